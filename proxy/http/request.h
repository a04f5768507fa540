/* The head of one HTTP/1.x request: a strict, incremental parser (RFC 9112) and what it found.
 * Pure: no system call, no memory, slices point into the caller's buffer. Where implementations disagree
 * about a message, smuggling begins: whatever RFC 9112 lets a server refuse is refused. Refuses to know what
 * a target names (target.h) and what is answered (http_conn.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/http_limits.h"
#include "proxy/http/slice.h"
#include "proxy/http/target.h"

enum http_method {
    HTTP_METHOD_NONE, /* the request line isn't there yet */
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_CONNECT,
    HTTP_METHOD_OTHER,   /* known, served by nobody here: 405 */
    HTTP_METHOD_UNKNOWN, /* 501 */
};

struct http_field {
    struct http_slice name, value; /* value without the white space around it */
};

/* Bytes of a request line beside its target, at most: a method, two spaces, a version. Past it 414, too. */
#define HTTP_LINE_REST 64

struct http_request {
    enum http_method method;
    struct http_slice line;   /* the request line as far as it was read */
    struct http_slice target; /* as sent */
    unsigned minor;           /* HTTP/1.minor; 1 for anything above */
    struct http_slice host;   /* at NULL: none (HTTP/1.0) */
    bool keep_alive;          /* the client wants another request on this connection */
    bool has_body;            /* Content-Length above 0, or chunked */
    bool expects_continue;
    uint64_t content_length;
    unsigned field_count;
    struct http_field *fields; /* the caller's */
    size_t head_size;          /* once complete: bytes of the head, its empty line included */

    int status;            /* of a refused request: 400, 414, 431, 501 or 505; else 0 */
    const char *problem;   /* in words, static; NULL where there is none */
    enum http_limit limit; /* which one was passed; else HTTP_LIMIT_NONE */

    /* Worked out of `target` by http_conn before a handler sees the request. */
    struct http_target resolved;

    /* The parser's own. */
    const struct http_limits *limits;
    size_t line_at, scanned;
    bool begun, in_fields;
};

enum http_parse {
    HTTP_PARSE_INCOMPLETE,
    HTTP_PARSE_COMPLETE,
    HTTP_PARSE_REFUSED, /* see status and problem; the connection can't be used further */
};

/* Both are borrowed; fields: room for limits->max_fields, not looked at before they are filled. */
void http_request_init(struct http_request *request, const struct http_limits *limits,
                       struct http_field *fields);

/* Looks at all `size` bytes read so far, of which earlier calls have seen the beginning at the same address.
 * The answer does not depend on how the bytes were cut. With limits->max_head bytes it is never INCOMPLETE.
 * Bytes past head_size are the next request's (or a body's) and are not looked at. */
enum http_parse http_request_parse(struct http_request *request, const char *buffer, size_t size);

/* The value of a field that may stand once only. false: absent, or there more than once. */
bool http_request_field(const struct http_request *request, const char *name, struct http_slice *value);
