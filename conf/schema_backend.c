/* The keys of backends.NAME and of its servers. */
#include "conf/schema_sections.h"

/* A choice is stored as its index: the list follows its enum. */
static const char *const balance_choices[] = {"round_robin", "least_conn", "random",
                                              "source_hash", "maglev",     NULL};
_Static_assert(COUNT(balance_choices) - 2 == CONF_BALANCE_MAGLEV, "balance");

static const char *const proxy_header_choices[] = {"off", "v1", "v2", NULL};
_Static_assert(COUNT(proxy_header_choices) - 2 == CONF_PROXY_HEADER_V2, "proxy_protocol");

static const struct schema_key server_keys[] = {
    {
        .name = "address",
        .type = SCHEMA_ADDRESS,
        .help =
            "Where to connect to: an address, `unix:/run/app.sock`, a name that is looked up and stands for "
            "all its addresses (`app.internal:8080`), or one whose SRV records are "
            "(`srv:_http._tcp.app.internal`)",
        .example = "\"127.0.0.1:9001\"",
        .takes_names = true,
        .required = true,
        .offset = offsetof(struct conf_server, address),
        .place_offset = offsetof(struct conf_server, address.place),
    },
    {
        .name = "weight",
        .type = SCHEMA_INTEGER,
        .help = "Its share of the connections, relative to the other servers'",
        .example = "2",
        .fallback = "1",
        .min = 1,
        .max = 256,
        .offset = offsetof(struct conf_server, weight),
    },
    {
        .name = "max_connections",
        .type = SCHEMA_INTEGER,
        .help = "How many connections it has at most, those being made included; further ones wait in the "
                "backend's `queue`. 0: no limit",
        .example = "100",
        .fallback = "0",
        .min = 0,
        .max = 10000000,
        .offset = offsetof(struct conf_server, max_connections),
        .place_offset = offsetof(struct conf_server, max_connections_place),
    },
    {
        .name = "backup",
        .type = SCHEMA_BOOLEAN,
        .help = "Used only while no other server is up",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_server, backup),
    },
};
static const struct schema_section server_section = {
    SECTION_KEYS(server_keys),
    .size = sizeof(struct conf_server),
    .name_offset = offsetof(struct conf_server, name),
    .place_offset = offsetof(struct conf_server, place),
    .shorthand = "address",
};

static const struct schema_key queue_keys[] = {
    {
        .name = "size",
        .type = SCHEMA_INTEGER,
        .help = "How many connections wait at most; the next one is refused. 0: none waits",
        .example = "100",
        .fallback = "1000",
        .min = 0,
        .max = 1000000,
        .offset = offsetof(struct conf_queue, size),
    },
    {
        .name = "timeout",
        .type = SCHEMA_DURATION,
        .help = "How long each waits at most",
        .example = "\"2s\"",
        .fallback = "5s",
        .min = 1,
        .max = HOUR_MS,
        .offset = offsetof(struct conf_queue, timeout_ms),
    },
};
static const struct schema_section queue_section = {SECTION_KEYS(queue_keys)};

static const struct schema_key backend_keys[] = {
    {
        .name = "servers",
        .type = SCHEMA_LIST,
        .help = "The servers; an address alone will do for one without further keys",
        .example = "( \"127.0.0.1:9001\", { address = \"127.0.0.1:9002\"; weight = 2; } )",
        .required = true,
        .min = 1,
        .section = &server_section,
        .offset = offsetof(struct conf_backend, servers),
        .count_offset = offsetof(struct conf_backend, server_count),
    },
    {
        .name = "balance",
        .type = SCHEMA_CHOICE,
        .help =
            "How a server is chosen: in turn, the one with the fewest connections for its weight, the better "
            "of two drawn by lot, or by the client's address: `source_hash`, or `maglev`, with a table that "
            "is the same on every host",
        .example = "\"least_conn\"",
        .fallback = "round_robin",
        .choices = balance_choices,
        .offset = offsetof(struct conf_backend, balance),
    },
    {
        .name = "health",
        .type = SCHEMA_GROUP,
        .help = "Checks each server again and again, whether or not there are connections",
        .example = "{ type = \"http\"; path = \"/healthz\"; }",
        .section = &schema_health,
        .offset = offsetof(struct conf_backend, health),
        .given_offset = offsetof(struct conf_backend, has_health),
    },
    {
        .name = "eject",
        .type = SCHEMA_GROUP,
        .help = "Leaves a server out for a while when connections to it fare badly",
        .example = "{ failures = 3; base = \"5s\"; }",
        .section = &schema_eject,
        .offset = offsetof(struct conf_backend, eject),
        .given_offset = offsetof(struct conf_backend, has_eject),
    },
    {
        .name = "panic",
        .type = SCHEMA_BOOLEAN,
        .help = "When no server is up, those that checks call down are tried all the same",
        .example = "false",
        .fallback = "true",
        .offset = offsetof(struct conf_backend, panic),
    },
    {
        .name = "slow_start",
        .type = SCHEMA_DURATION,
        .help =
            "How long the weight of a server that has come up or is new takes to grow from a tenth to the "
            "whole",
        .example = "\"30s\"",
        .min = 1,
        .max = HOUR_MS,
        .offset = offsetof(struct conf_backend, slow_start_ms),
        .place_offset = offsetof(struct conf_backend, slow_start_place),
    },
    {
        .name = "queue",
        .type = SCHEMA_GROUP,
        .help =
            "Where connections wait while every server has its `max_connections`; first come, first served",
        .example = "{ size = 100; timeout = \"2s\"; }",
        .section = &queue_section,
        .offset = offsetof(struct conf_backend, queue),
        .place_offset = offsetof(struct conf_backend, queue_place),
    },
    {
        .name = "resolve",
        .type = SCHEMA_GROUP,
        .help = "How the names of its servers are looked up, where that differs from the global way",
        .example = "{ servers = [ \"127.0.0.1:8600\" ]; }",
        .section = &schema_resolve,
        .offset = offsetof(struct conf_backend, resolve),
        .place_offset = offsetof(struct conf_backend, resolve_place),
        .inherits_offset = offsetof(struct conf, resolve),
    },
    {
        .name = "source",
        .type = SCHEMA_STRING,
        .help = "The address of this host to connect from; without it the kernel chooses",
        .example = "\"127.0.0.2\"",
        .offset = offsetof(struct conf_backend, outgoing.source),
        .place_offset = offsetof(struct conf_backend, outgoing.source_place),
    },
    {
        .name = "transparent",
        .type = SCHEMA_BOOLEAN,
        .help = "Connects from the client's own address. Needs the capability net_admin, and a network that "
                "leads the servers' answers back here",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_backend, outgoing.transparent),
        .place_offset = offsetof(struct conf_backend, outgoing.transparent_place),
    },
    {
        .name = "tcp",
        .type = SCHEMA_GROUP,
        .help = "Settings of the sockets to its servers",
        .example = "{ keepalive = { idle = \"60s\"; }; user_timeout = \"30s\"; }",
        .section = &schema_backend_tcp,
        .offset = offsetof(struct conf_backend, outgoing.tcp),
    },
    {
        .name = "proxy_protocol",
        .type = SCHEMA_CHOICE,
        .help = "Whether each connection to a server begins with a PROXY header that tells the client's "
                "address; version 2 tells what is known of its TLS, too",
        .example = "\"v2\"",
        .fallback = "off",
        .choices = proxy_header_choices,
        .offset = offsetof(struct conf_backend, proxy_header),
    },
    {
        .name = "tls",
        .type = SCHEMA_GROUP,
        .help = "TLS to the servers, with their certificates verified; `{ }` will do. Without it: plain TCP",
        .example = "{ ca = \"certs/servers-ca.pem\"; server_name = \"app.example.org\"; }",
        .section = &schema_server_tls,
        .offset = offsetof(struct conf_backend, tls),
        .given_offset = offsetof(struct conf_backend, has_tls),
        .place_offset = offsetof(struct conf_backend, tls_place),
    },
};
const struct schema_section schema_backend = {
    SECTION_KEYS(backend_keys),
    .size = sizeof(struct conf_backend),
    .name_offset = offsetof(struct conf_backend, name),
    .place_offset = offsetof(struct conf_backend, place),
};
