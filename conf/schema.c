/* The only list of keys, with type, unit, range, default, example and help.
 * Refuses to know how a value is parsed and what keys mean together. */
#include "conf/schema.h"

#include <string.h>

#include "conf/conf.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define HOUR_MS UINT64_C(3600000)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECTION_KEYS(array) .keys = (array), .count = COUNT(array)

static const char *const log_choices[] = {"off", "stderr", "stdout", NULL};       /* enum conf_log_to */
static const char *const log_formats[] = {"json", NULL};                          /* enum conf_log_format */
static const char *const ktls_choices[] = {"auto", "off", "require", NULL};       /* enum conf_ktls */
static const char *const balance_choices[] = {"round_robin", "least_conn", NULL}; /* enum conf_balance */
static const char *const relay_choices[] = {"auto", "splice", "sendfile",
                                            "mmap", "copy",   NULL}; /* conf_relay */
static const char *const capability_choices[] = {"net_bind_service", "net_admin", "sys_resource", NULL};

/* A choice is stored as its index: the lists above follow their enums. */
_Static_assert(COUNT(log_choices) - 1 == CONF_LOG_FILE, "a path is the value after the last choice");
_Static_assert(COUNT(log_formats) - 2 == CONF_LOG_JSON, "log.format");
_Static_assert(COUNT(ktls_choices) - 2 == CONF_KTLS_REQUIRE, "ktls");
_Static_assert(COUNT(balance_choices) - 2 == CONF_BALANCE_LEAST_CONN, "balance");
_Static_assert(COUNT(relay_choices) - 2 == CONF_RELAY_COPY, "relay");

static const struct schema_key log_keys[] = {
    {
        .name = "access",
        .type = SCHEMA_LOG,
        .help =
            "Where the access log goes, one line for each connection or response as it ends: a stream, or a "
            "file (a path with a `/`), which SIGUSR1 reopens",
        .example = "\"logs/access.log\"",
        .fallback = "stderr",
        .choices = log_choices,
        .offset = offsetof(struct conf, log.access),
        .count_offset = offsetof(struct conf, log.path),
        .place_offset = offsetof(struct conf, log.place),
    },
    {
        .name = "format",
        .type = SCHEMA_CHOICE,
        .help = "How a line is written: one JSON object",
        .example = "\"json\"",
        .fallback = "json",
        .choices = log_formats,
        .offset = offsetof(struct conf, log.format),
    },
};
static const struct schema_section log_section = {SECTION_KEYS(log_keys)};

static const struct schema_key admin_keys[] = {
    {
        .name = "listen",
        .type = SCHEMA_ADDRESS,
        .help = "The address of the status page, metrics and JSON. It has no password: keep it on loopback",
        .example = "\"127.0.0.1:9400\"",
        .required = true,
        .offset = offsetof(struct conf, admin),
        .place_offset = offsetof(struct conf, admin.place),
    },
};
static const struct schema_section admin_section = {SECTION_KEYS(admin_keys)};

/* No deadline is infinite: a week is the longest, far below 2^32 milliseconds. */
#define TIMEOUT(key, default_text, help_text)                                                        \
    {                                                                                                \
        .name = #key, .type = SCHEMA_DURATION, .help = help_text, .example = "\"" default_text "\"", \
        .fallback = default_text, .min = 1, .max = 168 * HOUR_MS,                                    \
        .offset = offsetof(struct conf_timeouts, key##_ms)                                           \
    }
static const struct schema_key timeouts_keys[] = {
    TIMEOUT(connect, "5s", "Connecting to a server of a backend, the next ones after a failure included"),
    TIMEOUT(handshake, "10s", "A TLS handshake, from the client's first byte to its end"),
    TIMEOUT(header, "10s", "Receiving the head of an HTTP request"),
    TIMEOUT(idle, "60s", "A connection on which no byte moves in either direction"),
    TIMEOUT(linger, "5s", "Waiting for the peer's end after a close, so that the last bytes are not lost"),
    TIMEOUT(drain, "30s", "Letting connections finish after SIGTERM or SIGINT"),
};
static const struct schema_section timeouts_section = {SECTION_KEYS(timeouts_keys),
                                                       .size = sizeof(struct conf_timeouts)};

static const struct schema_key cert_keys[] = {
    {
        .name = "cert",
        .type = SCHEMA_PATH,
        .help =
            "PEM file: the certificate, then its intermediates. Its names choose among several (SNI); the "
            "first certificate answers for unknown names",
        .example = "\"certs/example.pem\"",
        .required = true,
        .offset = offsetof(struct conf_cert, cert),
        .place_offset = offsetof(struct conf_cert, cert_place),
    },
    {
        .name = "key",
        .type = SCHEMA_PATH,
        .help = "PEM file: the private key, unencrypted. May be readable by root alone",
        .example = "\"certs/example.key\"",
        .required = true,
        .offset = offsetof(struct conf_cert, key),
        .place_offset = offsetof(struct conf_cert, key_place),
    },
};
static const struct schema_section cert_section = {
    SECTION_KEYS(cert_keys),
    .size = sizeof(struct conf_cert),
    .name_offset = SCHEMA_NOWHERE,
    .place_offset = offsetof(struct conf_cert, place),
};

static const struct schema_key tls_keys[] = {
    {
        .name = "certs",
        .type = SCHEMA_LIST,
        .help = "The certificates and their keys",
        .example = "( { cert = \"certs/example.pem\"; key = \"certs/example.key\"; } )",
        .required = true,
        .min = 1,
        .section = &cert_section,
        .offset = offsetof(struct conf_tls, certs),
        .count_offset = offsetof(struct conf_tls, cert_count),
    },
    {
        .name = "ktls",
        .type = SCHEMA_CHOICE,
        .help = "Whether the kernel encrypts: wherever it can, never, or else the connection is refused",
        .example = "\"require\"",
        .fallback = "auto",
        .choices = ktls_choices,
        .offset = offsetof(struct conf_tls, ktls),
        .place_offset = offsetof(struct conf_tls, ktls_place),
    },
};
static const struct schema_section tls_section = {
    SECTION_KEYS(tls_keys),
    .size = sizeof(struct conf_tls),
    .name_offset = offsetof(struct conf_tls, name),
    .place_offset = offsetof(struct conf_tls, place),
};

static const struct schema_key server_keys[] = {
    {
        .name = "address",
        .type = SCHEMA_ADDRESS,
        .help = "Where to connect to",
        .example = "\"127.0.0.1:9001\"",
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
};
static const struct schema_section server_section = {
    SECTION_KEYS(server_keys),
    .size = sizeof(struct conf_server),
    .name_offset = offsetof(struct conf_server, name),
    .place_offset = offsetof(struct conf_server, place),
    .shorthand = "address",
};

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
        .help = "How a server is chosen: in turn, or the one with the fewest connections for its weight",
        .example = "\"least_conn\"",
        .fallback = "round_robin",
        .choices = balance_choices,
        .offset = offsetof(struct conf_backend, balance),
    },
};
static const struct schema_section backend_section = {
    SECTION_KEYS(backend_keys),
    .size = sizeof(struct conf_backend),
    .name_offset = offsetof(struct conf_backend, name),
    .place_offset = offsetof(struct conf_backend, place),
};

static const struct schema_key files_keys[] = {
    {
        .name = "root",
        .type = SCHEMA_PATH,
        .help = "The directory that is served; nothing outside it ever is",
        .example = "\"/srv/media\"",
        .required = true,
        .offset = offsetof(struct conf_files, root),
        .place_offset = offsetof(struct conf_files, root_place),
    },
    {
        .name = "index",
        .type = SCHEMA_STRINGS,
        .forbidden = "/",
        .help = "The files that answer for a directory: the first that exists",
        .example = "[ \"index.html\", \"index.htm\" ]",
        .fallback = "index.html",
        .offset = offsetof(struct conf_files, index),
        .count_offset = offsetof(struct conf_files, index_count),
    },
};
static const struct schema_section files_section = {
    SECTION_KEYS(files_keys),
    .size = sizeof(struct conf_files),
    .name_offset = offsetof(struct conf_files, name),
    .place_offset = offsetof(struct conf_files, place),
};

static const struct schema_key listener_keys[] = {
    {
        .name = "address",
        .type = SCHEMA_ADDRESS,
        .help = "Where to listen: `127.0.0.1:80`, `[::1]:443`, `:443` (every address, IPv4 and IPv6), "
                "`unix:/run/x.sock`. Port 0: the kernel chooses",
        .example = "\":8080\"",
        .required = true,
        .offset = offsetof(struct conf_listener, address),
        .place_offset = offsetof(struct conf_listener, address.place),
    },
    {
        .name = "tls",
        .type = SCHEMA_REFERENCE,
        .help = "The name under `tls` whose certificates it shows. Without it: plain TCP",
        .example = "\"main\"",
        .target = "tls",
        .offset = offsetof(struct conf_listener, tls),
        .place_offset = offsetof(struct conf_listener, tls_place),
    },
    {
        .name = "proxy",
        .type = SCHEMA_REFERENCE,
        .help = "The name under `backends` that its connections go to. Either this or `files`",
        .example = "\"app\"",
        .target = "backends",
        .offset = offsetof(struct conf_listener, backend),
        .place_offset = offsetof(struct conf_listener, proxy_place),
    },
    {
        .name = "files",
        .type = SCHEMA_REFERENCE,
        .help = "The name under `files` that it serves over HTTP/1.1. Either this or `proxy`",
        .example = "\"media\"",
        .target = "files",
        .offset = offsetof(struct conf_listener, files),
        .place_offset = offsetof(struct conf_listener, files_place),
    },
    {
        .name = "relay",
        .type = SCHEMA_CHOICE,
        .help = "How bytes cross: the cheapest way that each connection allows, or one mode forced. A "
                "connection that can't have the forced mode is reset",
        .example = "\"splice\"",
        .fallback = "auto",
        .choices = relay_choices,
        .offset = offsetof(struct conf_listener, relay),
        .place_offset = offsetof(struct conf_listener, relay_place),
    },
    {
        .name = "require_zero_copy",
        .type = SCHEMA_BOOLEAN,
        .help =
            "Refuse a connection before its first payload byte rather than let one pass through user space",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf_listener, require_zero_copy),
        .place_offset = offsetof(struct conf_listener, require_zero_copy_place),
    },
    {
        .name = "timeouts",
        .type = SCHEMA_GROUP,
        .help = "Deadlines of this listener's connections, where they differ from the global ones",
        .example = "{ idle = \"5m\"; }",
        .section = &timeouts_section,
        .offset = offsetof(struct conf_listener, timeouts),
        .inherits_offset = offsetof(struct conf, timeouts),
    },
};
static const struct schema_section listener_section = {
    SECTION_KEYS(listener_keys),
    .size = sizeof(struct conf_listener),
    .name_offset = offsetof(struct conf_listener, name),
    .place_offset = offsetof(struct conf_listener, place),
};

static const struct schema_key root_keys[] = {
    {
        .name = "workers",
        .type = SCHEMA_INTEGER,
        .help = "Worker threads; 0: one per CPU",
        .example = "4",
        .fallback = "0",
        .fixed = true,
        .max = 1024,
        .offset = offsetof(struct conf, workers),
        .place_offset = offsetof(struct conf, workers_place),
    },
    {
        .name = "user",
        .type = SCHEMA_STRING,
        .help = "Whom to become after binding, when started as root",
        .example = "\"nobody\"",
        .fixed = true,
        .offset = offsetof(struct conf, user),
        .place_offset = offsetof(struct conf, user_place),
    },
    {
        .name = "group",
        .type = SCHEMA_STRING,
        .help = "The group to become; without it the user's own",
        .example = "\"nogroup\"",
        .fixed = true,
        .offset = offsetof(struct conf, group),
        .place_offset = offsetof(struct conf, group_place),
    },
    {
        .name = "capabilities",
        .type = SCHEMA_STRINGS,
        .help = "The capabilities kept after the change of user, so that a reload can bind ports below 1024",
        .example = "[ \"net_bind_service\" ]",
        .fallback = "net_bind_service",
        .fixed = true,
        .choices = capability_choices,
        .offset = offsetof(struct conf, capabilities),
        .count_offset = offsetof(struct conf, capability_count),
        .place_offset = offsetof(struct conf, capabilities_place),
    },
    {
        .name = "pipe_size",
        .type = SCHEMA_SIZE,
        .help = "The capacity asked of each splice pipe; the kernel may grant an unprivileged process less",
        .example = "\"1MiB\"",
        .fallback = "1MiB",
        .fixed = true,
        .min = 64 * KIB,
        .max = 16 * MIB,
        .offset = offsetof(struct conf, pipe_size),
        .place_offset = offsetof(struct conf, pipe_size_place),
    },
    {
        .name = "log",
        .type = SCHEMA_GROUP,
        .help = "The access log",
        .example = "{ access = \"stdout\"; }",
        .section = &log_section,
    },
    {
        .name = "admin",
        .type = SCHEMA_GROUP,
        .help = "The status page, metrics and JSON. Without it there is no such listener",
        .example = "{ listen = \"127.0.0.1:9400\"; }",
        .section = &admin_section,
        .given_offset = offsetof(struct conf, has_admin),
    },
    {
        .name = "timeouts",
        .type = SCHEMA_GROUP,
        .help = "Deadlines, for every listener that doesn't set its own",
        .example = "{ idle = \"5m\"; }",
        .section = &timeouts_section,
        .offset = offsetof(struct conf, timeouts),
    },
    {
        .name = "tls",
        .type = SCHEMA_NAMED,
        .help = "Sets of certificates, by name",
        .example =
            "{ main = { certs = ( { cert = \"certs/example.pem\"; key = \"certs/example.key\"; } ); }; }",
        .section = &tls_section,
        .offset = offsetof(struct conf, tls),
        .count_offset = offsetof(struct conf, tls_count),
    },
    {
        .name = "backends",
        .type = SCHEMA_NAMED,
        .help = "Groups of equivalent servers, by name",
        .example = "{ app = { servers = ( \"127.0.0.1:9001\" ); }; }",
        .section = &backend_section,
        .offset = offsetof(struct conf, backends),
        .count_offset = offsetof(struct conf, backend_count),
    },
    {
        .name = "files",
        .type = SCHEMA_NAMED,
        .help = "Directories to serve, by name",
        .example = "{ media = { root = \"/srv/media\"; }; }",
        .section = &files_section,
        .offset = offsetof(struct conf, files),
        .count_offset = offsetof(struct conf, files_count),
    },
    {
        .name = "listeners",
        .type = SCHEMA_NAMED,
        .help = "What Sluice listens on, by name; the name is told in logs and metrics",
        .example = "{ web = { address = \":8080\"; files = \"media\"; }; }",
        .required = true,
        .min = 1,
        .section = &listener_section,
        .offset = offsetof(struct conf, listeners),
        .count_offset = offsetof(struct conf, listener_count),
    },
};
const struct schema_section schema_root = {SECTION_KEYS(root_keys)};

const struct schema_key *schema_find(const struct schema_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (strcmp(section->keys[i].name, name) == 0) {
            return &section->keys[i];
        }
    }
    return NULL;
}
