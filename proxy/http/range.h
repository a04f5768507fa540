/* The Range field: ranges of bytes (RFC 9110 14.1.2, 14.2). Pure.
 * Ranges that overlap, touch, or lie so close together that the text between two parts would be longer than
 * the gap become one, at the place of the first of them; otherwise they keep the client's order. So no byte
 * is sent twice, and an answer is never much longer than the whole: nothing is gained by asking for a
 * thousand copies of a file. What a part costs beyond its bytes (text, memory, two system calls) is bounded
 * by HTTP_RANGES_MAX.
 * Other units, what can't be understood, and more than that are ignored, as 14.2 allows: the whole is sent.
 * A refusal (416) would lead clients to believe that the file is shorter than it is. */
#pragma once

#include <stdint.h>

#include "proxy/http/slice.h"

/* Ranges in an answer. Programs that update a file by ranges ask for dozens. A part is some 300 bytes of
 * our memory for as long as the answer is being sent. */
#define HTTP_RANGES_MAX 64
/* Ranges in a request: each is compared with those before it. */
#define HTTP_RANGES_ASKED_MAX 128

enum http_range {
    HTTP_RANGE_WHOLE,         /* 200 */
    HTTP_RANGE_PARTS,         /* 206: one or more */
    HTTP_RANGE_UNSATISFIABLE, /* 416 */
};

struct http_ranges {
    unsigned count;
    struct {
        uint64_t first, end; /* bytes [first, end) */
    } at[HTTP_RANGES_ASKED_MAX];
};

/* size: of the whole. gap: bytes between two ranges that are better sent than a part of its own. *ranges is
 * filled in for PARTS only: 1 to HTTP_RANGES_MAX of them, all within the whole, more than gap apart. */
enum http_range http_range_parse(struct http_slice value, uint64_t size, uint64_t gap,
                                 struct http_ranges *ranges);
