/* The keys of backends.NAME.health and .eject. */
#include "conf/schema_sections.h"

/* A choice is stored as its index: the list follows its enum. */
static const char *const type_choices[] = {"tcp", "tls", "http", "https", NULL};
_Static_assert(COUNT(type_choices) - 2 == CONF_HEALTH_HTTPS, "type");

static const struct schema_key health_keys[] = {
    {
        .name = "type",
        .type = SCHEMA_CHOICE,
        .help = "What has to succeed: a connect, a TLS handshake, or an HTTP request, over TLS with `https`",
        .example = "\"http\"",
        .fallback = "tcp",
        .choices = type_choices,
        .offset = offsetof(struct conf_health, type),
    },
    {
        .name = "interval",
        .type = SCHEMA_DURATION,
        .help = "From the beginning of one check of a server to that of the next",
        .example = "\"10s\"",
        .fallback = "2s",
        .min = 10,
        .max = HOUR_MS,
        .offset = offsetof(struct conf_health, interval_ms),
    },
    {
        .name = "jitter",
        .type = SCHEMA_INTEGER,
        .help = "By how many per cent each interval is longer or shorter, by lot, so that checks don't all "
                "come at "
                "once",
        .example = "20",
        .fallback = "10",
        .min = 0,
        .max = 50,
        .offset = offsetof(struct conf_health, jitter),
    },
    {
        .name = "timeout",
        .type = SCHEMA_DURATION,
        .help = "How long one check may take, from the connect to the answer",
        .example = "\"1s\"",
        .fallback = "2s",
        .min = 1,
        .max = HOUR_MS,
        .offset = offsetof(struct conf_health, timeout_ms),
    },
    {
        .name = "rise",
        .type = SCHEMA_INTEGER,
        .help = "After how many good checks in a row a server that is down is up",
        .example = "3",
        .fallback = "2",
        .min = 1,
        .max = 100,
        .offset = offsetof(struct conf_health, rise),
    },
    {
        .name = "fall",
        .type = SCHEMA_INTEGER,
        .help = "After how many bad checks in a row a server that is up is down. The very first check "
                "decides alone",
        .example = "2",
        .fallback = "3",
        .min = 1,
        .max = 100,
        .offset = offsetof(struct conf_health, fall),
    },
    {
        .name = "path",
        .type = SCHEMA_STRING,
        .help = "What is asked for, with `http` and `https`: GET, HTTP/1.1",
        .example = "\"/healthz\"",
        .fallback = "/",
        .offset = offsetof(struct conf_health, path),
        .place_offset = offsetof(struct conf_health, path_place),
    },
    {
        .name = "host",
        .type = SCHEMA_STRING,
        .help =
            "The `Host` that is asked for; with `tls` and `https` also the name for SNI, unless the backend "
            "has `tls`, whose `server_name` it is then. Without it: the server's name, or its address and "
            "no SNI",
        .example = "\"app.example.org\"",
        .offset = offsetof(struct conf_health, host),
        .place_offset = offsetof(struct conf_health, host_place),
    },
    {
        .name = "status",
        .type = SCHEMA_STRINGS,
        .help = "The statuses that are good, with `http` and `https`",
        .example = "[ \"200\", \"300-399\" ]",
        .fallback = "200-399",
        .offset = offsetof(struct conf_health, status),
        .count_offset = offsetof(struct conf_health, status_count),
        .place_offset = offsetof(struct conf_health, status_place),
    },
};
const struct schema_section schema_health = {SECTION_KEYS(health_keys)};

static const struct schema_key eject_keys[] = {
    {
        .name = "failures",
        .type = SCHEMA_INTEGER,
        .help = "After how many connects in a row that failed, or connections that the server reset before "
                "it sent a byte or with which TLS failed",
        .example = "3",
        .fallback = "5",
        .min = 1,
        .max = 1000,
        .offset = offsetof(struct conf_eject, failures),
    },
    {
        .name = "base",
        .type = SCHEMA_DURATION,
        .help = "For how long the first time; twice as long each further time, unless it has stayed in for "
                "as long as "
                "it was out",
        .example = "\"5s\"",
        .fallback = "10s",
        .min = 10,
        .max = 24 * HOUR_MS,
        .offset = offsetof(struct conf_eject, base_ms),
        .place_offset = offsetof(struct conf_eject, base_place),
    },
    {
        .name = "max",
        .type = SCHEMA_DURATION,
        .help = "For how long at most",
        .example = "\"1m\"",
        .fallback = "5m",
        .min = 10,
        .max = 24 * HOUR_MS,
        .offset = offsetof(struct conf_eject, max_ms),
    },
    {
        .name = "share",
        .type = SCHEMA_INTEGER,
        .help = "How many of the servers may be ejected at a time, in per cent, rounded down",
        .example = "30",
        .fallback = "50",
        .min = 1,
        .max = 100,
        .offset = offsetof(struct conf_eject, share),
    },
};
const struct schema_section schema_eject = {SECTION_KEYS(eject_keys)};
