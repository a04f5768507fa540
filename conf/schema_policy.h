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
        {                                                                                                 \
            .name = "cache_control",                                                                      \
            .type = SCHEMA_LIST,                                                                          \
            .help = "The Cache-Control of files, by their paths: the first entry that matches holds",     \
            .example = "( { match = \"/assets/*\"; value = \"max-age=31536000, immutable\"; } )",         \
            .section = &schema_cache_rule,                                                                \
            .offset = offsetof(owner, policy.cache_rules),                                                \
            .count_offset = offsetof(owner, policy.cache_rule_count),                                     \
        },                                                                                                \
        {                                                                                                 \
            .name = "error_pages",                                                                        \
            .type = SCHEMA_LIST,                                                                          \
            .help = "Files that stand in for the small built-in pages of errors",                         \
            .example = "( { status = [ 404 ]; path = \"/404.html\"; } )",                                 \
            .section = &schema_error_page,                                                                \
            .offset = offsetof(owner, policy.error_pages),                                                \
            .count_offset = offsetof(owner, policy.error_page_count),                                     \
        },                                                                                                \
        {                                                                                                 \
            .name = "mime_types",                                                                         \
            .type = SCHEMA_LIST,                                                                          \
            .help = "Content types of extensions that the built-in list doesn't have, or has otherwise",  \
            .example = "( { extensions = [ \"foo\" ]; type = \"application/x-foo\"; } )",                 \
            .section = &schema_mime_type,                                                                 \
            .offset = offsetof(owner, policy.mime_types),                                                 \
            .count_offset = offsetof(owner, policy.mime_type_count),                                      \
        },                                                                                                \
        {                                                                                                 \
            .name = "default_type",                                                                       \
            .type = SCHEMA_STRING,                                                                        \
            .help = "The content type of all other files",                                                \
            .example = "\"text/plain\"",                                                                  \
            .fallback = "application/octet-stream",                                                       \
            .offset = offsetof(owner, policy.default_type),                                               \
            .place_offset = offsetof(owner, policy.default_type_place),                                   \
        },                                                                                                \
        {                                                                                                 \
            .name = "charset",                                                                            \
            .type = SCHEMA_STRING,                                                                        \
            .help = "The charset told with text/*, application/javascript, application/xhtml+xml and "    \
                    "image/svg+xml where their type names none; `off`: none",                             \
            .example = "\"off\"",                                                                         \
            .fallback = "utf-8",                                                                          \
            .offset = offsetof(owner, policy.charset),                                                    \
            .place_offset = offsetof(owner, policy.charset_place),                                        \
        },                                                                                                \
    {                                                                                                     \
        .name = "server_header", .type = SCHEMA_STRING,                                                   \
        .help = "The value of the Server field; `off`: there is none", .example = "\"off\"",              \
        .fallback = "sluice", .offset = offsetof(owner, policy.server),                                   \
        .place_offset = offsetof(owner, policy.server_place),                                             \
    }
