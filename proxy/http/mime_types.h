/* The built-in content types, by extension. Private to mime.c.
 * Refuses to be complete: it has what browsers treat differently from a download. */
#pragma once

#include <stddef.h>

struct mime_type {
    const char *extension, *type; /* without a charset */
};
extern const struct mime_type mime_types[];
extern const size_t mime_type_count;
