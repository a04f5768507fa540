/* One interface before the two libraries. Refuses to compress better than its memory and a worker's turn
 * allow: windows of 128 KiB at most. */
#include "proxy/http/encoder.h"

#include <assert.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

/* Measured with 1 MB of sources at level 4: with 128 KiB an encoder keeps 2.4 MiB of memory; 2 MiB would make
 * the result 7 % smaller for more than a megabyte besides. */
#define ZSTD_WINDOW_LOG 17
#define ZLIB_GZIP 16 /* added to windowBits (zlib.h): a gzip header */

struct http_encoder {
    enum http_coding coding;
    union {
        z_stream zlib;
        ZSTD_CCtx *zstd;
    };
};

bool http_encoder_knows(enum http_coding coding)
{
    return coding == HTTP_CODING_GZIP || coding == HTTP_CODING_ZSTD;
}

/* A small file needs neither a large window nor a large hash table: clearing that would cost more than a
 * page. */
static bool start_zlib(struct http_encoder *encoder, int level, uint64_t size)
{
    int window_bits = MAX_WBITS, memory_level = 8;
    while (window_bits > 9 && size < UINT64_C(1) << (window_bits - 1)) {
        window_bits--;
        memory_level -= memory_level > 1;
    }
    encoder->zlib = (z_stream){.zalloc = Z_NULL};
    return deflateInit2(&encoder->zlib, level, Z_DEFLATED, window_bits + ZLIB_GZIP, memory_level,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

static bool start_zstd(struct http_encoder *encoder, int level, uint64_t size)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    encoder->zstd = zstd;
    return zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level)) &&
           (size <= UINT64_C(1) << ZSTD_WINDOW_LOG || /* it chooses a small one by itself */
            !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG))) &&
           !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd, size));
}

struct http_encoder *http_encoder_new(enum http_coding coding, int level, uint64_t size)
{
    struct http_encoder *encoder = malloc(sizeof(*encoder));
    assert(http_encoder_knows(coding));
    if (!encoder)
        return NULL;
    encoder->coding = coding;
    if (coding == HTTP_CODING_ZSTD ? start_zstd(encoder, level, size) : start_zlib(encoder, level, size))
        return encoder;
    http_encoder_free(encoder);
    return NULL;
}

void http_encoder_free(struct http_encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->coding == HTTP_CODING_ZSTD)
        ZSTD_freeCCtx(encoder->zstd);
    else
        (void)deflateEnd(&encoder->zlib);
    free(encoder);
}

/* zlib counts in unsigned int: callers' pieces are far smaller. */
static enum http_encoder_status run_zlib(z_stream *zlib, struct http_encoder_io *io, bool last)
{
    zlib->next_in = io->input;
    zlib->avail_in = (uInt)io->input_size;
    zlib->next_out = io->output;
    zlib->avail_out = (uInt)io->output_size;
    const int result = deflate(zlib, last ? Z_FINISH : Z_NO_FLUSH);
    io->input = zlib->next_in;
    io->input_size = zlib->avail_in;
    io->output = zlib->next_out;
    io->output_size = zlib->avail_out;
    if (result == Z_STREAM_END)
        return HTTP_ENCODER_DONE;
    return result == Z_OK || result == Z_BUF_ERROR ? HTTP_ENCODER_MORE : HTTP_ENCODER_BROKEN;
}

static enum http_encoder_status run_zstd(ZSTD_CCtx *zstd, struct http_encoder_io *io, bool last)
{
    ZSTD_inBuffer input = {io->input, io->input_size, 0};
    ZSTD_outBuffer output = {io->output, io->output_size, 0};
    const size_t left = ZSTD_compressStream2(zstd, &output, &input, last ? ZSTD_e_end : ZSTD_e_continue);
    io->input += input.pos;
    io->input_size -= input.pos;
    io->output += output.pos;
    io->output_size -= output.pos;
    if (ZSTD_isError(left))
        return HTTP_ENCODER_BROKEN;
    return last && left == 0 ? HTTP_ENCODER_DONE : HTTP_ENCODER_MORE;
}

enum http_encoder_status http_encoder_run(struct http_encoder *encoder, struct http_encoder_io *io, bool last)
{
    assert(io->output_size > 0);
    return encoder->coding == HTTP_CODING_ZSTD ? run_zstd(encoder->zstd, io, last)
                                               : run_zlib(&encoder->zlib, io, last);
}
