/* Fills a buffer with one chunk, gives that away in pieces of any size, and begins again. Refuses to wait:
 * where the file's bytes are not at hand it says so and is asked again. */
#include "proxy/http/encoded_body.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/http/compression.h"
#include "proxy/http/encoder.h"

#define BUFFER_SIZE (16u << 10) /* a TLS record */
#define PIECE_SIZE (16u << 10)  /* read at a time, on the stack */
#define FILL_SIZE (256u << 10)  /* asked of the disk at a time */

#define CHUNK_HEAD 6 /* "4000" and CRLF: as much as BUFFER_SIZE takes */
#define CRLF_SIZE 2
static const char last_chunk[] = "0\r\n\r\n";
#define CHUNK_MAX (BUFFER_SIZE - CHUNK_HEAD - CRLF_SIZE - (sizeof(last_chunk) - 1))

struct http_encoded_body {
    struct http_encoded_body_options options;
    struct http_encoder *encoder;
    uint64_t taken; /* of the file */
    bool done;      /* the last chunk is in the buffer, or was */
    int error;
    size_t from, to; /* of the buffer: not given away yet */
    uint8_t buffer[BUFFER_SIZE];
};

struct http_encoded_body *http_encoded_body_new(const struct http_encoded_body_options *options)
{
    struct http_encoded_body *body;
    if (!http_compression_begin(options->compression))
        return NULL;
    body = malloc(sizeof(*body));
    if (!body)
        goto end_compression;
    body->options = *options;
    body->taken = 0;
    body->done = false;
    body->error = 0;
    body->from = body->to = 0;
    body->encoder =
        http_encoder_new(options->coding, http_compression_level(options->compression), options->size);
    if (!body->encoder)
        goto free_body;
    return body;

free_body:
    free(body);
end_compression:
    http_compression_end(options->compression);
    return NULL;
}

void http_encoded_body_free(struct http_encoded_body *body)
{
    if (!body)
        return;
    http_encoder_free(body->encoder);
    http_compression_end(body->options.compression);
    free(body);
}

uint64_t http_encoded_body_taken(const struct http_encoded_body *body)
{
    return body->taken;
}

static bool is_at_hand(const struct http_encoded_body *body)
{
    const struct http_encoded_body_options *options = &body->options;
    const uint64_t left = options->size - body->taken;
    return !options->fill ||
           options->fill(options->fill_arg, body->taken, left < FILL_SIZE ? (size_t)left : FILL_SIZE);
}

/* How much there is to read next; 0: all was, and the encoder has only to end. */
static size_t next_piece(const struct http_encoded_body *body)
{
    const uint64_t left = body->options.size - body->taken;
    return left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
}

/* Reads and encodes one piece. false: nothing more will come of this file. */
static bool encode_piece(struct http_encoded_body *body, size_t size, struct http_encoder_io *io)
{
    uint8_t piece[PIECE_SIZE];
    ssize_t got = 0;
    if (size > 0) {
        do {
            loop_count(body->options.loop, RELAY_SYS_PREAD);
            got = pread(body->options.fd, piece, size, (off_t)body->taken);
        } while (got == -1 && errno == EINTR);
        if (got <= 0) {
            body->error = got == 0 ? ENODATA : errno;
            return false;
        }
    }
    io->input = piece;
    io->input_size = (size_t)got;
    const bool last = body->taken + (size_t)got == body->options.size;
    const enum http_encoder_status status = http_encoder_run(body->encoder, io, last);
    body->taken += (size_t)got - io->input_size;
    body->done = status == HTTP_ENCODER_DONE;
    if (status == HTTP_ENCODER_BROKEN)
        body->error = ENOMEM;
    return status != HTTP_ENCODER_BROKEN;
}

/* Puts a chunk's head before `size` bytes of it, and what follows them behind. */
static void frame(struct http_encoded_body *body, size_t size)
{
    uint8_t *end = body->buffer + CHUNK_HEAD + size;
    body->from = body->to = CHUNK_HEAD;
    if (size > 0) {
        char head[CHUNK_HEAD + 1];
        const int length = snprintf(head, sizeof(head), "%zx\r\n", size);
        body->from -= (size_t)length;
        memcpy(body->buffer + body->from, head, (size_t)length);
        memcpy(end, "\r\n", CRLF_SIZE);
        end += CRLF_SIZE;
    }
    if (body->done) {
        memcpy(end, last_chunk, sizeof(last_chunk) - 1);
        end += sizeof(last_chunk) - 1;
    }
    body->to = (size_t)(end - body->buffer);
}

/* Fills the empty buffer. false: there is nothing in it, for want of file bytes or effort. */
static bool refill(struct http_encoded_body *body, uint64_t until, bool *waits)
{
    struct http_encoder_io io = {.output = body->buffer + CHUNK_HEAD, .output_size = CHUNK_MAX};
    while (!body->done && io.output_size > 0 && body->error == 0) {
        const size_t size = next_piece(body);
        if (size > 0 && body->taken >= until)
            break;
        *waits = size > 0 && !is_at_hand(body);
        if (*waits || !encode_piece(body, size, &io))
            break;
    }
    frame(body, CHUNK_MAX - io.output_size);
    return body->to > body->from;
}

static size_t give(struct http_encoded_body *body, uint8_t *buffer, size_t size)
{
    const size_t held = body->to - body->from;
    const size_t n = held < size ? held : size;
    memcpy(buffer, body->buffer + body->from, n);
    body->from += n;
    return n;
}

enum io_status http_encoded_body_make(void *arg, void *buffer, size_t size, size_t *n)
{
    struct http_encoded_body *body = arg;
    const uint64_t began = body->taken;
    bool waits = false;
    *n = 0;
    while (*n < size) {
        if (body->from == body->to &&
            (body->done || body->error != 0 || !refill(body, began + ENCODED_BODY_STEP, &waits)))
            break;
        *n += give(body, (uint8_t *)buffer + *n, size - *n);
    }
    /* A step costs what moving LOOP_MOVE_BYTES does, or more: sockets are looked at before the next one. */
    body->options.loop->moved += (body->taken - began) * (LOOP_MOVE_BYTES / ENCODED_BODY_STEP);
    if (*n > 0)
        return IO_OK;
    if (body->error != 0) {
        errno = body->error;
        return IO_BROKEN;
    }
    if (body->done)
        return IO_EOF;
    if (!waits)
        body->options.on_more(body->options.arg);
    return IO_AGAIN;
}
