/* The keys of listeners.NAME.tcp and backends.NAME.tcp. */
#include "conf/schema_sections.h"

#define AT(field) \
    .offset = offsetof(struct conf_tcp, field), .place_offset = offsetof(struct conf_tcp, field##_place)

static const struct schema_key keepalive_keys[] = {
    {
        .name = "idle",
        .type = SCHEMA_DURATION,
        .help = "After so long without a segment the peer is probed; in whole seconds",
        .example = "\"60s\"",
        .fallback = "60s",
        .min = 1000,
        .max = 9 * HOUR_MS,
        .offset = offsetof(struct conf_keepalive, idle_ms),
    },
    {
        .name = "interval",
        .type = SCHEMA_DURATION,
        .help = "Between two probes; in whole seconds",
        .example = "\"10s\"",
        .fallback = "10s",
        .min = 1000,
        .max = 9 * HOUR_MS,
        .offset = offsetof(struct conf_keepalive, interval_ms),
    },
    {
        .name = "count",
        .type = SCHEMA_INTEGER,
        .help = "After so many probes without an answer the connection is lost",
        .example = "3",
        .fallback = "3",
        .min = 1,
        .max = 127,
        .offset = offsetof(struct conf_keepalive, count),
    },
};
static const struct schema_section keepalive_section = {SECTION_KEYS(keepalive_keys)};

#define KEEPALIVE                                                                                       \
    {                                                                                                   \
        .name = "keepalive", .type = SCHEMA_GROUP,                                                      \
        .help = "Finds peers that are gone without a word. Without it the kernel doesn't look",         \
        .example = "{ idle = \"60s\"; interval = \"10s\"; count = 3; }", .section = &keepalive_section, \
        .given_offset = offsetof(struct conf_tcp, has_keepalive), AT(keepalive),                        \
    }
#define USER_TIMEOUT                                                                                     \
    {                                                                                                    \
        .name = "user_timeout", .type = SCHEMA_DURATION,                                                 \
        .help = "How long sent bytes may stay unacknowledged before the connection is lost "             \
                "(TCP_USER_TIMEOUT). Without it: as the kernel retransmits, a quarter of an hour or so", \
        .example = "\"30s\"", .min = 100, .max = 24 * HOUR_MS, AT(user_timeout),                         \
    }
#define CONGESTION                                                                                           \
    {                                                                                                        \
        .name = "congestion", .type = SCHEMA_STRING,                                                         \
        .help = "The congestion control, one of net.ipv4.tcp_available_congestion_control. Without it: the " \
                "system's",                                                                                  \
        .example = "\"bbr\"", AT(congestion),                                                                \
    }

static const struct schema_key listener_tcp_keys[] = {
    KEEPALIVE,
    USER_TIMEOUT,
    CONGESTION,
    {
        .name = "fast_open",
        .type = SCHEMA_INTEGER,
        .help = "Takes data with the SYN from clients that were here before (TCP Fast Open); how many such "
                "handshakes may be under way. Needs net.ipv4.tcp_fastopen = 3",
        .example = "256",
        .min = 1,
        .max = 65535,
        AT(fast_open_queue),
    },
};
const struct schema_section schema_listener_tcp = {SECTION_KEYS(listener_tcp_keys)};

static const struct schema_key backend_tcp_keys[] = {
    KEEPALIVE,
    USER_TIMEOUT,
    CONGESTION,
    {
        .name = "fast_open",
        .type = SCHEMA_BOOLEAN,
        .help = "Sends a client's first bytes with the SYN where the server has allowed it (TCP Fast Open), "
                "if they are there already and may be copied",
        .example = "true",
        .fallback = "false",
        AT(fast_open),
    },
};
const struct schema_section schema_backend_tcp = {SECTION_KEYS(backend_tcp_keys)};
