/* The body of a 206 that holds several ranges of one file: multipart/byteranges (RFC 9110 14.6), as parts for
 * a flow. Between the ranges, which go by the file's mover, stands text made here.
 * Refuses to know how it is sent, and what else stands in the head. */
#pragma once

#include <stdint.h>

#include "proxy/http/range.h"
#include "proxy/http/response.h"
#include "relay/flow.h"

#define HTTP_BOUNDARY_SIZE 33 /* 128 bits in hexadecimal, and the terminator */

struct http_multipart {
    /* Unknown until the answer is made: whoever writes files can't put it into one. */
    char boundary[HTTP_BOUNDARY_SIZE];
    struct http_head text;    /* of all parts, and what ends the last */
    uint64_t length;          /* Content-Length */
    struct flow_part parts[]; /* for a flow, once joined */
};

/* How long the text before a part can be, and so the `gap` of http_range_parse(). */
uint64_t http_multipart_overhead(const char *content_type, uint64_t size);

/* size: of the whole file. NULL: no memory, or no random numbers yet (early at boot); the whole file is an
 * answer, too. */
struct http_multipart *http_multipart_new(const struct http_ranges *ranges, const char *content_type,
                                          uint64_t size);
/* Makes the parts: the first's text is put behind `head`, which is complete but for that, and the ranges are
 * of `file`'s descriptor, which stays its own, and filled as it is. head and file outlive the parts. */
void http_multipart_join(struct http_multipart *multipart, struct http_head *head,
                         const struct endpoint *file);
void http_multipart_free(struct http_multipart *multipart); /* NULL: nothing */
