/* The only list of keys (with schema_*.c), with type, unit, range, default, example and help.
 * Refuses to know how a value is parsed and what keys mean together. */
#include "conf/schema.h"

#include <string.h>

#include "conf/schema_sections.h"

static const char *const log_choices[] = {"off", "stderr", "stdout", NULL}; /* enum conf_log_to */
static const char *const log_formats[] = {"json", "combined", NULL};        /* enum conf_log_format */
static const char *const capability_choices[] = {"net_bind_service", "net_admin", "sys_resource", NULL};

/* A choice is stored as its index: the lists above follow their enums. */
_Static_assert(COUNT(log_choices) - 1 == CONF_LOG_FILE, "a path is the value after the last choice");
_Static_assert(COUNT(log_formats) - 2 == CONF_LOG_COMBINED, "log.format");

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
        .help =
            "How a line is written: `json`, an object with all that is known; `combined`, what Apache and "
            "nginx call so",
        .example = "\"combined\"",
        .fallback = "json",
        .choices = log_formats,
        .offset = offsetof(struct conf, log.format),
    },
    {
        .name = "request_id_header",
        .type = SCHEMA_BOOLEAN,
        .help = "Whether each response tells the id under which it stands in the JSON log, as `X-Request-Id`",
        .example = "true",
        .fallback = "false",
        .offset = offsetof(struct conf, log.request_id_header),
    },
    {
        .name = "request_id_trusted",
        .type = SCHEMA_CIDRS,
        .min = 1,
        .help = "Clients, by address, whose requests keep the id that they bring along as `X-Request-Id`, if "
                "it is one of 1 to 64 letters, digits and `-._~+/=`",
        .example = "[ \"10.0.0.0/8\" ]",
        .offset = offsetof(struct conf, log.request_id_trusted.items),
        .count_offset = offsetof(struct conf, log.request_id_trusted.count),
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
const struct schema_section schema_timeouts = {SECTION_KEYS(timeouts_keys),
                                               .size = sizeof(struct conf_timeouts)};

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
        .name = "disk_threads",
        .type = SCHEMA_INTEGER,
        .help =
            "Threads that wait for disks in the workers' stead: for opening files, and for pages that are "
            "not in memory",
        .example = "16",
        .fallback = "8",
        .fixed = true,
        .min = 1,
        .max = 256,
        .offset = offsetof(struct conf, disk_threads),
        .place_offset = offsetof(struct conf, disk_threads_place),
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
        .section = &schema_timeouts,
        .offset = offsetof(struct conf, timeouts),
    },
    {
        .name = "http",
        .type = SCHEMA_GROUP,
        .help = "How much HTTP clients may ask for, on every listener that doesn't say otherwise",
        .example = "{ max_uri = \"2KiB\"; }",
        .section = &schema_http,
        .offset = offsetof(struct conf, http),
    },
    {
        .name = "resolve",
        .type = SCHEMA_GROUP,
        .help = "How names of servers are looked up, for every backend that doesn't say otherwise",
        .example = "{ servers = [ \"127.0.0.1:5353\" ]; }",
        .section = &schema_resolve,
        .offset = offsetof(struct conf, resolve),
    },
    {
        .name = "tls",
        .type = SCHEMA_NAMED,
        .help = "Sets of certificates, by name",
        .example =
            "{ main = { certs = ( { cert = \"certs/example.pem\"; key = \"certs/example.key\"; } ); }; }",
        .section = &schema_tls,
        .offset = offsetof(struct conf, tls),
        .count_offset = offsetof(struct conf, tls_count),
    },
    {
        .name = "backends",
        .type = SCHEMA_NAMED,
        .help = "Groups of equivalent servers, by name",
        .example = "{ app = { servers = ( \"127.0.0.1:9001\" ); }; }",
        .section = &schema_backend,
        .offset = offsetof(struct conf, backends),
        .count_offset = offsetof(struct conf, backend_count),
    },
    {
        .name = "files",
        .type = SCHEMA_NAMED,
        .help = "Directories to serve, by name",
        .example = "{ media = { root = \"/srv/media\"; }; }",
        .section = &schema_files,
        .offset = offsetof(struct conf, files),
        .count_offset = offsetof(struct conf, files_count),
    },
    {
        .name = "sites",
        .type = SCHEMA_NAMED,
        .help =
            "Virtual hosts, by name: what is served by host and path. Listeners name those that they have",
        .example = "{ main = { hosts = [ \"example.org\" ]; paths = ( { files = \"media\"; } ); }; }",
        .section = &schema_site,
        .offset = offsetof(struct conf, sites),
        .count_offset = offsetof(struct conf, site_count),
    },
    {
        .name = "listeners",
        .type = SCHEMA_NAMED,
        .help = "What Sluice listens on, by name; the name is told in logs and metrics",
        .example = "{ web = { address = \":8080\"; files = \"media\"; }; }",
        .required = true,
        .min = 1,
        .section = &schema_listener,
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
