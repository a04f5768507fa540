/* Finds the end of a request's body, which nobody here wants: by its exact Content-Length, or as chunks (RFC
 * 9112 7.1), read strictly. What follows is the next request, so whatever two programs might read differently
 * is refused: a bare LF, white space in or behind a size, a folded or malformed trailer line.
 * Pure, incremental, keeps nothing. Refuses to know where the bytes come from. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/http/http_limits.h"
#include "proxy/http/request.h"

enum http_body_status {
    HTTP_BODY_MORE,
    HTTP_BODY_DONE,
    HTTP_BODY_REFUSED, /* see status and problem; the connection can't be used further */
};

/* body.c's own. */
enum http_body_state {
    HTTP_BODY_CONTENT, /* by Content-Length */
    HTTP_BODY_SIZE,
    HTTP_BODY_EXTENSION,
    HTTP_BODY_SIZE_LF,
    HTTP_BODY_DATA,
    HTTP_BODY_DATA_CR,
    HTTP_BODY_DATA_LF,
    HTTP_BODY_TRAILER, /* the beginning of a line */
    HTTP_BODY_TRAILER_NAME,
    HTTP_BODY_TRAILER_VALUE,
    HTTP_BODY_TRAILER_LF,
    HTTP_BODY_END_LF,
    HTTP_BODY_AT_END,
    HTTP_BODY_AT_REFUSAL,
};

struct http_body {
    uint64_t room; /* bytes that may still come, chunk sizes and trailers included */
    uint64_t left; /* of the content, or of the chunk */
    unsigned digits;
    enum http_body_state state;

    int status;          /* of a refused one: 400 or 413; else 0 */
    const char *problem; /* in words, static; the limit's key for 413 */
};

/* request: complete. */
void http_body_init(struct http_body *body, const struct http_request *request,
                    const struct http_limits *limits);

/* Goes on with the next `size` bytes (0 at first, too: a length may be refused before anything comes). *used:
 * how many of them belong to the body, all of them unless it is done. The answer does not depend on how the
 * bytes were cut. */
enum http_body_status http_body_skip(struct http_body *body, const char *data, size_t size, size_t *used);
