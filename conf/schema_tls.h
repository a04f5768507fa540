/* The keys that both sides of TLS have, towards clients and towards servers.
 * Refuses to be included outside the schema. */
#pragma once

#include "conf/schema_sections.h"

extern const char *const schema_ktls_choices[];
extern const char *const schema_tls_versions[];
extern const char *const schema_tls_suites[];
extern const char *const schema_tls_groups[];

/* Entries of a table of keys. owner: a struct with a member `policy`, a struct conf_tls_policy. */
#define TLS_POLICY_KEYS(owner)                                                                             \
    {                                                                                                      \
        .name = "min_version",                                                                             \
        .type = SCHEMA_CHOICE,                                                                             \
        .help = "The oldest version of TLS that is spoken",                                                \
        .example = "\"1.3\"",                                                                              \
        .fallback = "1.2",                                                                                 \
        .choices = schema_tls_versions,                                                                    \
        .offset = offsetof(owner, policy.min_version),                                                     \
        .place_offset = offsetof(owner, policy.min_version_place),                                         \
    },                                                                                                     \
        {                                                                                                  \
            .name = "max_version",                                                                         \
            .type = SCHEMA_CHOICE,                                                                         \
            .help = "The newest version of TLS that is spoken",                                            \
            .example = "\"1.2\"",                                                                          \
            .fallback = "1.3",                                                                             \
            .choices = schema_tls_versions,                                                                \
            .offset = offsetof(owner, policy.max_version),                                                 \
            .place_offset = offsetof(owner, policy.max_version_place),                                     \
        },                                                                                                 \
        {                                                                                                  \
            .name = "suites",                                                                              \
            .type = SCHEMA_STRINGS,                                                                        \
            .help = "Cipher suites of both versions, in order of preference; a version without one isn't " \
                    "spoken. Without it: all of them, AES-128 first",                                      \
            .example = "[ \"TLS_AES_256_GCM_SHA384\", \"ECDHE-RSA-AES256-GCM-SHA384\" ]",                  \
            .choices = schema_tls_suites,                                                                  \
            .offset = offsetof(owner, policy.suites),                                                      \
            .count_offset = offsetof(owner, policy.suite_count),                                           \
            .place_offset = offsetof(owner, policy.suites_place),                                          \
        },                                                                                                 \
    {                                                                                                      \
        .name = "groups", .type = SCHEMA_STRINGS,                                                          \
        .help = "Groups of the key exchange, in order of preference. Without it: X25519, P-256, P-384",    \
        .example = "[ \"X25519\", \"P-256\" ]", .choices = schema_tls_groups,                              \
        .offset = offsetof(owner, policy.groups), .count_offset = offsetof(owner, policy.group_count),     \
        .place_offset = offsetof(owner, policy.groups_place),                                              \
    }
