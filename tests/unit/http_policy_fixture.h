/* The configuration of one `files` that has nothing but what is added to its answers.
 * Refuses to know what is tested. */
#pragma once

#include "conf_fixture.h"

/* keys: of the `files`, the only one. To be freed with conf_free. */
static inline struct conf *fixture_policy(const char *keys)
{
    char text[4096];
    snprintf(
        text, sizeof(text),
        "files = { f = { root = \"/\"; %s }; }; listeners = { l = { address = \":0\"; files = \"f\"; }; };",
        keys);
    return fixture_good(text, "/");
}
