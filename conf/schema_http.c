/* The keys of `http`, globally and in listeners.NAME. */
#include "conf/schema_sections.h"

#define AT(field) \
    .offset = offsetof(struct conf_http, field), .place_offset = offsetof(struct conf_http, field##_place)

static const struct schema_key http_keys[] = {
    {
        .name = "max_head",
        .type = SCHEMA_SIZE,
        .help = "Bytes of a request's head, request line included; past it 431",
        .example = "\"32KiB\"",
        .fallback = "16KiB",
        .min = KIB,
        .max = MIB,
        AT(max_head),
    },
    {
        .name = "max_uri",
        .type = SCHEMA_SIZE,
        .help = "Bytes of the path and query that a request asks for; past it 414",
        .example = "\"2KiB\"",
        .fallback = "8KiB",
        .min = 64,
        .max = MIB,
        AT(max_uri),
    },
    {
        .name = "max_fields",
        .type = SCHEMA_INTEGER,
        .help = "Header lines of a request; past it 431",
        .example = "50",
        .fallback = "100",
        .min = 8,
        .max = 1000,
        AT(max_fields),
    },
    {
        .name = "max_body",
        .type = SCHEMA_SIZE,
        .help = "Bytes of a request's body, chunk sizes and trailers included, that are read and thrown "
                "away so that the connection stays usable; past it 413 and the end",
        .example = "\"1MiB\"",
        .fallback = "64KiB",
        .max = GIB,
        AT(max_body),
    },
    {
        .name = "keepalive_requests",
        .type = SCHEMA_INTEGER,
        .help = "Requests on one connection, the last of which is answered with `Connection: close`; 0: any "
                "number",
        .example = "100",
        .fallback = "1000",
        .max = 1000000000,
        AT(keepalive_requests),
    },
    {
        .name = "keepalive_time",
        .type = SCHEMA_DURATION,
        .help = "The age of a connection after which its next answer is the last",
        .example = "\"10m\"",
        .fallback = "1h",
        .min = 1,
        .max = 168 * HOUR_MS,
        AT(keepalive_time),
    },
    {
        .name = "min_receive_rate",
        .type = SCHEMA_SIZE,
        .help = "Bytes a second that a request comes in with at least; below it 408. 0: as slowly as "
                "`timeouts` let it",
        .example = "\"1KiB\"",
        .fallback = "240",
        .max = MIB,
        AT(min_receive_rate),
    },
    {
        .name = "min_send_rate",
        .type = SCHEMA_SIZE,
        .help = "Bytes a second that a client takes of what waits for it at least; below it the connection "
                "is reset. 0: as slowly as `timeouts` let it",
        .example = "\"1KiB\"",
        .fallback = "240",
        .max = MIB,
        AT(min_send_rate),
    },
    {
        .name = "min_rate_window",
        .type = SCHEMA_DURATION,
        .help = "The time over which the least rates are averaged; who moves nothing in it is idle, not "
                "slow (`timeouts.idle`)",
        .example = "\"10s\"",
        .fallback = "30s",
        .min = 1000,
        .max = HOUR_MS,
        AT(min_rate_window),
    },
};
const struct schema_section schema_http = {SECTION_KEYS(http_keys), .size = sizeof(struct conf_http)};
