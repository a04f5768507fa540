/* The keys of listeners.NAME.limits. */
#include "conf/schema_sections.h"

#define AT(field) \
    .offset = offsetof(struct conf_limits, field), .place_offset = offsetof(struct conf_limits, field##_place)

static const struct schema_key bandwidth_keys[] = {
    {
        .name = "to_client",
        .type = SCHEMA_SIZE,
        .help = "Payload bytes a second to each client",
        .example = "\"1MiB\"",
        .min = KIB,
        .max = 8 * GIB,
        AT(to_client),
    },
    {
        .name = "to_server",
        .type = SCHEMA_SIZE,
        .help = "Payload bytes a second from each client to the server",
        .example = "\"1MiB\"",
        .min = KIB,
        .max = 8 * GIB,
        AT(to_server),
    },
    {
        .name = "burst",
        .type = SCHEMA_SIZE,
        .help = "What may go at once, at the beginning and after a lull. Without it: what comes in 250 ms, "
                "at least 64KiB",
        .example = "\"256KiB\"",
        .min = 4 * KIB,
        .max = GIB,
        AT(bandwidth_burst),
    },
};
static const struct schema_section bandwidth_section = {SECTION_KEYS(bandwidth_keys)};

static const struct schema_key limits_keys[] = {
    {
        .name = "max_connections",
        .type = SCHEMA_INTEGER,
        .help = "Connections at a time, over all workers; those beyond are reset at once",
        .example = "10000",
        .min = 1,
        .max = 10000000,
        AT(max_connections),
    },
    {
        .name = "max_connections_per_client",
        .type = SCHEMA_INTEGER,
        .help = "Connections at a time from one client",
        .example = "50",
        .min = 1,
        .max = 10000000,
        AT(max_connections_per_client),
    },
    {
        .name = "connection_rate",
        .type = SCHEMA_INTEGER,
        .help = "New connections a second from one client",
        .example = "20",
        .min = 1,
        .max = 1000000,
        AT(connection_rate),
    },
    {
        .name = "connection_burst",
        .type = SCHEMA_INTEGER,
        .help = "New connections that one client may open at once after a lull. Without it: as many as "
                "`connection_rate`",
        .example = "40",
        .min = 1,
        .max = 10000000,
        AT(connection_burst),
    },
    {
        .name = "client_prefix_v4",
        .type = SCHEMA_INTEGER,
        .help = "How many bits of an IPv4 address make a client",
        .example = "24",
        .fallback = "32",
        .min = 1,
        .max = 32,
        AT(client_prefix_v4),
    },
    {
        .name = "client_prefix_v6",
        .type = SCHEMA_INTEGER,
        .help = "How many bits of an IPv6 address make a client: a site has 64 at least to itself",
        .example = "56",
        .fallback = "64",
        .min = 1,
        .max = 128,
        AT(client_prefix_v6),
    },
    {
        .name = "max_clients",
        .type = SCHEMA_INTEGER,
        .help = "Clients to keep account of, some 100 bytes each. Idle ones make room; when all of them have "
                "connections, further clients are reset",
        .example = "1000000",
        .fallback = "100000",
        .min = 1024,
        .max = 10000000,
        AT(max_clients),
    },
    {
        .name = "bandwidth",
        .type = SCHEMA_GROUP,
        .help = "How fast each connection may be. How its bytes cross stays the same",
        .example = "{ to_client = \"1MiB\"; }",
        .section = &bandwidth_section,
    },
};
const struct schema_section schema_limits = {SECTION_KEYS(limits_keys)};
