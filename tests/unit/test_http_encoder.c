/* The encoders against their libraries' decoders: every size around the edges, fed and drained in pieces of
 * any size. Refuses to know HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "proxy/http/encoder.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const enum http_coding codings[] = {HTTP_CODING_GZIP, HTTP_CODING_ZSTD};

/* Half text, half noise. */
static uint8_t *content_of(size_t size)
{
    uint8_t *content = malloc(size + 1);
    uint32_t state = 1;
    assert_non_null(content);
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        content[i] = (i & 1024) != 0 ? (uint8_t)(state >> 24) : (uint8_t)("the quick brown fox "[i % 20]);
    }
    return content;
}

static void check_gzip(const uint8_t *encoded, size_t encoded_size, const uint8_t *content, size_t size)
{
    uint8_t *decoded = malloc(size + 1);
    z_stream stream = {.next_in = encoded, .avail_in = (uInt)encoded_size};
    assert_non_null(decoded);
    stream.next_out = decoded;
    stream.avail_out = (uInt)size + 1;
    assert_int_equal(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, size);
    assert_memory_equal(decoded, content, size);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    free(decoded);
}

static void check_zstd(const uint8_t *encoded, size_t encoded_size, const uint8_t *content, size_t size)
{
    uint8_t *decoded = malloc(size + 1);
    assert_non_null(decoded);
    assert_int_equal(ZSTD_findFrameCompressedSize(encoded, encoded_size), encoded_size);
    assert_int_equal(ZSTD_decompress(decoded, size + 1, encoded, encoded_size), size);
    assert_memory_equal(decoded, content, size);
    free(decoded);
}

/* In pieces of `in` and `out` bytes. Returns how much came out. */
static size_t encode(enum http_coding coding, int level, const uint8_t *content, size_t size, size_t in,
                     size_t out, uint8_t *encoded, size_t capacity)
{
    struct http_encoder *encoder = http_encoder_new(coding, level, size);
    enum http_encoder_status status = HTTP_ENCODER_MORE;
    size_t read = 0, written = 0;
    assert_non_null(encoder);
    while (status == HTTP_ENCODER_MORE) {
        const size_t left = size - read, room = capacity - written;
        struct http_encoder_io io = {content + read, left < in ? left : in, encoded + written,
                                     room < out ? room : out};
        const size_t given = io.input_size;
        assert_true(room > 0);
        status = http_encoder_run(encoder, &io, given == left);
        assert_ptr_equal(io.input, content + read + (given - io.input_size));
        read += given - io.input_size;
        written = (size_t)(io.output - encoded);
    }
    assert_int_equal(status, HTTP_ENCODER_DONE);
    assert_int_equal(read, size);
    http_encoder_free(encoder);
    return written;
}

static void test_sizes_and_pieces(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,      1,      2,      255,    256,    257,    511,   512,
                                   16383,  16384,  16385,  32767,  32768,  65535,  65536, 65537,
                                   131071, 131072, 131073, 262144, 300000, 1000000};
    static const size_t pieces[][2] = {{SIZE_MAX, SIZE_MAX}, {16384, 16384}, {16384, 100},
                                       {1000, 16384},        {7, 5},         {1, 1}};
    for (size_t c = 0; c < LENGTH(codings); c++)
        for (size_t i = 0; i < LENGTH(sizes); i++) {
            uint8_t *content = content_of(sizes[i]);
            const size_t capacity = sizes[i] + sizes[i] / 8 + 1000;
            uint8_t *encoded = malloc(capacity);
            assert_non_null(encoded);
            for (size_t p = 0; p < LENGTH(pieces) - (sizes[i] > 70000 ? 2 : 0); p++) {
                const size_t n =
                    encode(codings[c], 4, content, sizes[i], pieces[p][0], pieces[p][1], encoded, capacity);
                (codings[c] == HTTP_CODING_GZIP ? check_gzip : check_zstd)(encoded, n, content, sizes[i]);
            }
            free(encoded);
            free(content);
        }
}

static void test_levels(void **state)
{
    (void)state;
    enum { SIZE = 200000, CAPACITY = 300000 };
    uint8_t *content = content_of(SIZE), *encoded = malloc(CAPACITY);
    assert_non_null(encoded);
    for (size_t c = 0; c < LENGTH(codings); c++)
        for (int level = HTTP_ENCODER_LEVEL_MIN; level <= HTTP_ENCODER_LEVEL_MAX; level++) {
            const size_t n = encode(codings[c], level, content, SIZE, 16384, 16384, encoded, CAPACITY);
            (codings[c] == HTTP_CODING_GZIP ? check_gzip : check_zstd)(encoded, n, content, SIZE);
            assert_in_range(n, SIZE / 3, SIZE * 2 / 3); /* the text is nearly gone */
        }
    free(encoded);
    free(content);
}

/* The window that a decoder needs is what RFC 9659 lets one rely on, by far. */
static void test_window(void **state)
{
    (void)state;
    enum { SIZE = 3000000, CAPACITY = 4000000 };
    uint8_t *content = content_of(SIZE), *encoded = malloc(CAPACITY);
    assert_non_null(encoded);
    const size_t n = encode(HTTP_CODING_ZSTD, 9, content, SIZE, 16384, 16384, encoded, CAPACITY);
    ZSTD_DCtx *decoder = ZSTD_createDCtx();
    ZSTD_inBuffer in = {encoded, n, 0};
    ZSTD_outBuffer out = {malloc(SIZE), SIZE, 0};
    assert_non_null(out.dst);
    assert_false(ZSTD_isError(ZSTD_DCtx_setParameter(decoder, ZSTD_d_windowLogMax, 17)));
    assert_int_equal(ZSTD_decompressStream(decoder, &out, &in), 0);
    assert_int_equal(out.pos, SIZE);
    assert_memory_equal(out.dst, content, SIZE);
    ZSTD_freeDCtx(decoder);
    free(out.dst);
    free(encoded);
    free(content);
}

static void test_known(void **state)
{
    (void)state;
    assert_true(http_encoder_knows(HTTP_CODING_GZIP));
    assert_true(http_encoder_knows(HTTP_CODING_ZSTD));
    assert_false(http_encoder_knows(HTTP_CODING_BR));
    assert_false(http_encoder_knows(HTTP_CODING_IDENTITY));
    http_encoder_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_pieces),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
