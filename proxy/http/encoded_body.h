/* The body of an answer that is compressed while it is sent: a file's bytes, through an encoder, in the
 * chunks of chunked transfer coding (RFC 9112 7.1). What makes an endpoint's stream. Refuses to know heads,
 * and whether a client wants it. Belongs to one worker. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/coding.h"
#include "relay/endpoint.h"

struct http_compression;
struct http_encoded_body;
struct loop;

struct http_encoded_body_options {
    struct loop *loop;
    int fd;        /* borrowed until http_encoded_body_free() */
    uint64_t size; /* of the file: what it has beyond is not sent, what it lacks is a loss */
    enum http_coding coding;
    struct http_compression *compression; /* it counts there as long as it lives; borrowed */
    endpoint_fill_fn *fill;               /* NULL: the file's bytes can always be had at once */
    void *fill_arg;
    void (*on_more)(
        void *arg); /* there was nothing to give, but asking again helps: not before the next turn */
    void *arg;
};

/* NULL: out of memory, or there are enough at a time. */
struct http_encoded_body *http_encoded_body_new(const struct http_encoded_body_options *options);
void http_encoded_body_free(struct http_encoded_body *body); /* NULL: nothing */

/* endpoint_make_fn; arg is the body. A call compresses ENCODED_BODY_STEP bytes at most. IO_BROKEN: errno,
 * ENODATA if the file has become shorter. */
enum io_status http_encoded_body_make(void *arg, void *buffer, size_t size, size_t *n);
/* About a millisecond of work at the slowest level, so that others get their turn; measured with text, level
 * 4: 0.5 ms. */
#define ENCODED_BODY_STEP (32u << 10)

/* Bytes of the file that were taken so far: progress, also where nothing has come out. */
uint64_t http_encoded_body_taken(const struct http_encoded_body *body);
