/* The keys of what is added to HTTP answers.
 * Refuses to be included outside the schema. */
#pragma once

#include "conf/schema_sections.h"

/* Entries of a table of keys. owner: a struct with a member `policy`, a struct conf_http_policy. */
#define HTTP_POLICY_KEYS(owner)                                                                           \
    {                                                                                                     \
        .name = "headers",                                                                                \
        .type = SCHEMA_LIST,                                                                              \
        .help = "Header fields added to answers, in this order; a name may stand here more than once",    \
        .example = "( { name = \"X-Frame-Options\"; value = \"DENY\"; } )",                               \
        .section = &schema_header,                                                                        \
        .offset = offsetof(owner, policy.headers),                                                        \
        .count_offset = offsetof(owner, policy.header_count),                                             \
    },                                                                                                    \
        {                                                                                                 \
            .name = "hsts",                                                                               \
            .type = SCHEMA_GROUP,                                                                         \
            .help =                                                                                       \
                "Strict-Transport-Security: browsers use https alone from then on. On every answer over " \
                "TLS, on none without",                                                                   \
            .example = "{ max_age = \"365d\"; include_subdomains = true; }",                              \
            .section = &schema_hsts,                                                                      \
            .offset = offsetof(owner, policy.hsts),                                                       \
            .given_offset = offsetof(owner, policy.has_hsts),                                             \
        },                                                                                                \
    {                                                                                                     \
        .name = "server_header", .type = SCHEMA_STRING,                                                   \
        .help = "The value of the Server field; `off`: there is none", .example = "\"off\"",              \
        .fallback = "sluice", .offset = offsetof(owner, policy.server),                                   \
        .place_offset = offsetof(owner, policy.server_place),                                             \
    }
