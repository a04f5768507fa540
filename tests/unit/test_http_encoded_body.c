/* A file's bytes through an encoder, in chunks: every size around the edges, taken in pieces of any size, and
 * what happens when the file isn't at hand or is cut short. */
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "proxy/http/compression.h"
#include "proxy/http/encoded_body.h"
#include "relay/loop.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct rig {
    struct event_base *base;
    struct loop *loop;
    struct http_compression *compression;
    struct http_encoded_body *body;
    int fd;
    unsigned more, asked;
    bool absent; /* the disk has nothing at hand */
};

static void on_more(void *arg)
{
    ((struct rig *)arg)->more++;
}

static bool fill(void *arg, uint64_t offset, size_t length)
{
    struct rig *rig = arg;
    (void)offset;
    assert_true(length > 0);
    rig->asked++;
    return !rig->absent;
}

static uint8_t byte_at(size_t i, bool zeros)
{
    return zeros            ? 0
           : (i & 512) != 0 ? (uint8_t)((i * 0x9E3779B97F4A7C15u) >> 56)
                            : (uint8_t)("abcdef "[i % 7]);
}

static void rig_open(struct rig *rig, size_t size, bool zeros, enum http_coding coding, unsigned max_at_once)
{
    *rig = (struct rig){.base = event_base_new()};
    assert_non_null(rig->base);
    rig->loop = loop_new(&(struct loop_options){.base = rig->base});
    assert_non_null(rig->loop);
    rig->fd = memfd_create("body", MFD_CLOEXEC);
    uint8_t *content = malloc(size + 1);
    assert_non_null(content);
    for (size_t i = 0; i < size; i++)
        content[i] = byte_at(i, zeros);
    assert_int_equal(write(rig->fd, content, size), size);
    free(content);
    rig->compression = http_compression_new(
        &(struct http_compression_options){.max_size = UINT64_MAX, .level = 4, .max_at_once = max_at_once});
    assert_non_null(rig->compression);
    rig->body = http_encoded_body_new(&(struct http_encoded_body_options){.loop = rig->loop,
                                                                          .fd = rig->fd,
                                                                          .size = size,
                                                                          .coding = coding,
                                                                          .compression = rig->compression,
                                                                          .fill = fill,
                                                                          .fill_arg = rig,
                                                                          .on_more = on_more,
                                                                          .arg = rig});
}

static void rig_close(struct rig *rig)
{
    http_encoded_body_free(rig->body);
    assert_true(http_compression_begin(rig->compression)); /* what was taken was given back */
    http_compression_end(rig->compression);
    http_compression_free(rig->compression);
    close(rig->fd);
    loop_free(rig->loop);
    event_base_free(rig->base);
}

/* All of it, in pieces. */
static uint8_t *take_all(struct rig *rig, size_t piece, size_t *size)
{
    size_t capacity = 1 << 20;
    uint8_t *all = malloc(capacity);
    assert_non_null(all);
    for (*size = 0;;) {
        const uint64_t before = http_encoded_body_taken(rig->body);
        const unsigned more = rig->more;
        size_t n;
        if (capacity - *size < piece) {
            capacity = 2 * capacity + piece;
            uint8_t *more_room = realloc(all, capacity);
            assert_non_null(more_room);
            all = more_room;
        }
        const enum io_status status = http_encoded_body_make(rig->body, all + *size, piece, &n);
        assert_in_range(http_encoded_body_taken(rig->body) - before, 0, 2 * ENCODED_BODY_STEP);
        if (status == IO_EOF)
            return all;
        if (status == IO_AGAIN) {
            assert_int_equal(rig->more, more + 1);
        } else {
            assert_int_equal(status, IO_OK);
            assert_in_range(n, 1, piece);
            *size += n;
        }
    }
}

/* Takes the chunks apart, in place. */
static size_t unchunk(uint8_t *data, size_t size)
{
    size_t from = 0, to = 0;
    for (;;) {
        char *end;
        const size_t length = strtoul((char *)data + from, &end, 16);
        from = (size_t)((uint8_t *)end - data);
        assert_memory_equal(data + from, "\r\n", 2);
        from += 2;
        if (length == 0)
            break;
        assert_true(from + length + 2 <= size);
        memmove(data + to, data + from, length);
        to += length;
        from += length;
        assert_memory_equal(data + from, "\r\n", 2);
        from += 2;
        if (data[from] == '0') {
            assert_memory_equal(data + from, "0\r\n\r\n", 5);
            from += 3;
            break;
        }
    }
    assert_memory_equal(data + from, "\r\n", 2);
    assert_int_equal(from + 2, size); /* nothing behind the end */
    return to;
}

static void check_decoded(enum http_coding coding, const uint8_t *data, size_t size, size_t want, bool zeros)
{
    uint8_t *decoded = malloc(want + 1);
    size_t got;
    assert_non_null(decoded);
    if (coding == HTTP_CODING_GZIP) {
        z_stream stream = {.next_in = data, .avail_in = (uInt)size};
        stream.next_out = decoded;
        stream.avail_out = (uInt)want + 1;
        assert_int_equal(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        got = stream.total_out;
        assert_int_equal(inflateEnd(&stream), Z_OK);
    } else {
        got = ZSTD_decompress(decoded, want + 1, data, size);
    }
    assert_int_equal(got, want);
    for (size_t i = 0; i < want; i++)
        if (decoded[i] != byte_at(i, zeros))
            fail_msg("byte %zu of %zu is wrong", i, want);
    free(decoded);
}

static void test_sizes_and_pieces(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     100,    16359,  16360,  16361,  16384,
                                   16385, 32768, 131072, 131073, 500000, 3000000};
    static const size_t pieces[] = {1 << 19, 65536, 16384, 1000, 1};
    for (unsigned c = 0; c < 2; c++)
        for (size_t i = 0; i < LENGTH(sizes); i++)
            for (size_t p = 0; p < LENGTH(pieces) - (sizes[i] > 140000); p++)
                for (int zeros = 0; zeros < 2; zeros++) {
                    const enum http_coding coding = c == 0 ? HTTP_CODING_GZIP : HTTP_CODING_ZSTD;
                    struct rig rig;
                    size_t size;
                    rig_open(&rig, sizes[i], zeros != 0, coding, 1);
                    assert_non_null(rig.body);
                    uint8_t *all = take_all(&rig, pieces[p], &size);
                    assert_int_equal(http_encoded_body_taken(rig.body), sizes[i]);
                    check_decoded(coding, all, unchunk(all, size), sizes[i], zeros != 0);
                    free(all);
                    rig_close(&rig);
                }
}

static void test_disk(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t buffer[65536];
    size_t n;
    rig_open(&rig, 200000, false, HTTP_CODING_GZIP, 1);
    rig.absent = true;
    assert_int_equal(http_encoded_body_make(rig.body, buffer, sizeof(buffer), &n), IO_AGAIN);
    assert_int_equal(rig.asked, 1);
    assert_int_equal(rig.more, 0); /* the disk tells */
    rig.absent = false;
    assert_int_equal(http_encoded_body_make(rig.body, buffer, sizeof(buffer), &n), IO_OK);
    rig_close(&rig);
}

/* A loss, never an end. */
static void test_cut_short(void **state)
{
    (void)state;
    static const off_t lengths[] = {0, 1, 100000};
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        struct rig rig;
        uint8_t buffer[65536];
        enum io_status status;
        size_t n;
        rig_open(&rig, 200000, false, HTTP_CODING_GZIP, 1);
        assert_int_equal(ftruncate(rig.fd, lengths[i]), 0);
        do {
            status = http_encoded_body_make(rig.body, buffer, sizeof(buffer), &n);
        } while (status == IO_OK || status == IO_AGAIN);
        assert_int_equal(status, IO_BROKEN);
        assert_int_equal(errno, ENODATA);
        assert_int_equal(http_encoded_body_make(rig.body, buffer, sizeof(buffer), &n), IO_BROKEN);
        rig_close(&rig);
    }
}

static void test_enough_at_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1000, false, HTTP_CODING_ZSTD, 1);
    assert_non_null(rig.body);
    assert_false(http_compression_begin(rig.compression));
    assert_false(http_compression_begin(rig.compression));
    rig_close(&rig);
}

static void test_what_is_covered(void **state)
{
    (void)state;
    char html[] = "text/html", svg[] = "image/svg+xml";
    char *types[] = {html, svg};
    struct http_compression *compression = http_compression_new(&(struct http_compression_options){
        .types = types, .type_count = 2, .min_size = 10, .max_size = 20, .level = 1, .max_at_once = 1});
    assert_non_null(compression);
    assert_true(http_compression_covers(compression, "text/html", 10));
    assert_true(http_compression_covers(compression, "text/html; charset=utf-8", 20));
    assert_true(http_compression_covers(compression, "Image/SVG+xml", 15));
    assert_false(http_compression_covers(compression, "text/html", 9));
    assert_false(http_compression_covers(compression, "text/html", 21));
    assert_false(http_compression_covers(compression, "text/htm", 15));
    assert_false(http_compression_covers(compression, "text/html5", 15));
    assert_false(http_compression_covers(compression, "", 15));
    http_compression_free(compression);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_pieces), cmocka_unit_test(test_disk),
        cmocka_unit_test(test_cut_short),        cmocka_unit_test(test_enough_at_once),
        cmocka_unit_test(test_what_is_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
