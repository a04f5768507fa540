/* Compresses a stream of bytes piece by piece: gzip by zlib, zstd by libzstd. Pure but for its memory, which
 * is bounded: 300 KiB of gzip, 2.5 MiB of zstd, less for what is small. Refuses to know where bytes come from
 * and go to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/coding.h"

struct http_encoder;

#define HTTP_ENCODER_LEVEL_MIN 1
#define HTTP_ENCODER_LEVEL_MAX 9

/* Whether there is one for this coding. */
bool http_encoder_knows(enum http_coding coding);

/* size: of all that will be put in, no byte more and none less. NULL: out of memory. */
struct http_encoder *http_encoder_new(enum http_coding coding, int level, uint64_t size);
void http_encoder_free(struct http_encoder *encoder); /* NULL: nothing */

/* What it may read and write; moved on past what it has. */
struct http_encoder_io {
    const uint8_t *input;
    size_t input_size;
    uint8_t *output;
    size_t output_size;
};

enum http_encoder_status {
    HTTP_ENCODER_MORE,   /* input is used up, or output full */
    HTTP_ENCODER_DONE,   /* all was written, after the last input */
    HTTP_ENCODER_BROKEN, /* out of memory, or more or less input than there was to be */
};

/* last: no more will come behind this input. Never without room for output. */
enum http_encoder_status http_encoder_run(struct http_encoder *encoder, struct http_encoder_io *io,
                                          bool last);
