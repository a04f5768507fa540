/* The Range field: one range of bytes (RFC 9110 14). Pure.
 * Several ranges, other units and malformed fields are ignored, as the RFC allows: the whole is sent. */
#pragma once

#include <stdint.h>

#include "proxy/http/slice.h"

enum http_range {
    HTTP_RANGE_WHOLE,         /* 200 */
    HTTP_RANGE_PART,          /* 206: bytes [*first, *end) */
    HTTP_RANGE_UNSATISFIABLE, /* 416 */
};

/* size: of the whole. */
enum http_range http_range_parse(struct http_slice value, uint64_t size, uint64_t *first, uint64_t *end);
