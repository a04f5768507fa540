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
};
const struct schema_section schema_http = {SECTION_KEYS(http_keys), .size = sizeof(struct conf_http)};
