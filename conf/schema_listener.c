/* The keys of listeners.NAME. */
#include "conf/schema_sections.h"

/* A choice is stored as its index: the list follows its enum. */
static const char *const relay_choices[] = {"auto", "splice", "sendfile", "mmap", "copy", NULL};
_Static_assert(COUNT(relay_choices) - 2 == CONF_RELAY_COPY, "relay");

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
        .name = "filters",
        .type = SCHEMA_LIST,
        .help = "What looks at proxied bytes or rewrites them, in this order. It copies for as long as a "
                "filter wants bytes (reasons `inspect` and `transform`)",
        .example = "( { type = \"log\"; } )",
        .section = &schema_filter,
        .offset = offsetof(struct conf_listener, filters),
        .count_offset = offsetof(struct conf_listener, filter_count),
        .place_offset = offsetof(struct conf_listener, filters_place),
    },
    {
        .name = "timeouts",
        .type = SCHEMA_GROUP,
        .help = "Deadlines of this listener's connections, where they differ from the global ones",
        .example = "{ idle = \"5m\"; }",
        .section = &schema_timeouts,
        .offset = offsetof(struct conf_listener, timeouts),
        .inherits_offset = offsetof(struct conf, timeouts),
    },
    {
        .name = "limits",
        .type = SCHEMA_GROUP,
        .help = "How much one client, and all of them together, may have of this listener",
        .example = "{ max_connections_per_client = 50; connection_rate = 20; }",
        .section = &schema_limits,
        .offset = offsetof(struct conf_listener, limits),
    },
    {
        .name = "backlog",
        .type = SCHEMA_INTEGER,
        .help = "How many connections may wait to be accepted, for each worker; net.core.somaxconn caps it",
        .example = "1024",
        .fallback = "4096",
        .min = 1,
        .max = 65535,
        .offset = offsetof(struct conf_listener, listening.backlog),
    },
    {
        .name = "unix_mode",
        .type = SCHEMA_STRING,
        .help =
            "Who may connect to a UNIX socket: the file's mode, in octal digits. Without it: as the umask "
            "says",
        .example = "\"0660\"",
        .offset = offsetof(struct conf_listener, listening.unix_mode),
        .place_offset = offsetof(struct conf_listener, listening.unix_mode_place),
    },
    {
        .name = "unix_user",
        .type = SCHEMA_STRING,
        .help = "Whom a UNIX socket's file belongs to",
        .example = "\"www-data\"",
        .offset = offsetof(struct conf_listener, listening.unix_user),
        .place_offset = offsetof(struct conf_listener, listening.unix_user_place),
    },
    {
        .name = "unix_group",
        .type = SCHEMA_STRING,
        .help = "The group of a UNIX socket's file",
        .example = "\"www-data\"",
        .offset = offsetof(struct conf_listener, listening.unix_group),
        .place_offset = offsetof(struct conf_listener, listening.unix_group_place),
    },
    {
        .name = "tcp",
        .type = SCHEMA_GROUP,
        .help = "Settings of the sockets to its clients",
        .example = "{ keepalive = { idle = \"60s\"; }; user_timeout = \"30s\"; }",
        .section = &schema_listener_tcp,
        .offset = offsetof(struct conf_listener, listening.tcp),
    },
};
const struct schema_section schema_listener = {
    SECTION_KEYS(listener_keys),
    .size = sizeof(struct conf_listener),
    .name_offset = offsetof(struct conf_listener, name),
    .place_offset = offsetof(struct conf_listener, place),
};
