/* The Range field, whole and in parts: what is asked for, what meets, what is too much, what is no range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/http/multipart.h"
#include "proxy/http/range.h"

#define MAX64 "18446744073709551615"
#define PAST64 "18446744073709551616"
#define WHOLE "whole"
#define NONE "none"

static const char *describe(const char *value, uint64_t size, uint64_t gap)
{
    static char text[64 * HTTP_RANGES_ASKED_MAX];
    struct http_ranges ranges;
    size_t at = 0;
    switch (http_range_parse((struct http_slice){value, strlen(value)}, size, gap, &ranges)) {
    case HTTP_RANGE_WHOLE:
        return WHOLE;
    case HTTP_RANGE_UNSATISFIABLE:
        return NONE;
    case HTTP_RANGE_PARTS:
        break;
    }
    assert_in_range(ranges.count, 1, HTTP_RANGES_MAX);
    for (unsigned i = 0; i < ranges.count; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%ju-%ju", i == 0 ? "" : " ",
                               (uintmax_t)ranges.at[i].first, (uintmax_t)ranges.at[i].end - 1);
    return text;
}

static const struct range_case {
    const char *value;
    uint64_t size, gap;
    const char *want;
} cases[] = {
    /* one */
    {"bytes=0-0", 10, 0, "0-0"},
    {"bytes=0-9", 10, 0, "0-9"},
    {"bytes=0-", 10, 0, "0-9"},
    {"bytes=9-", 10, 0, "9-9"},
    {"bytes=3-5", 10, 0, "3-5"},
    {"bytes=003-0005", 10, 0, "3-5"},
    {"bytes=5-99", 10, 0, "5-9"},
    {"bytes=5-" MAX64, 10, 0, "5-9"},
    {"bytes=5-" PAST64, 10, 0, "5-9"},
    {"bytes=5-99999999999999999999999999", 10, 0, "5-9"},
    {"bytes=4294967296-", 5000000000, 0, "4294967296-4999999999"},
    {"bytes=0-" MAX64, UINT64_MAX, 0, "0-18446744073709551614"},
    {"bytes= 3-5 ", 10, 0, "3-5"},
    {"bytes=\t3-5\t", 10, 0, "3-5"},
    {"BYTES=3-5", 10, 0, "3-5"},
    /* the last bytes */
    {"bytes=-1", 10, 0, "9-9"},
    {"bytes=-10", 10, 0, "0-9"},
    {"bytes=-11", 10, 0, "0-9"},
    {"bytes=-" MAX64, 10, 0, "0-9"},
    {"bytes=-99999999999999999999999999", 10, 0, "0-9"},
    /* past the end */
    {"bytes=10-", 10, 0, NONE},
    {"bytes=10-20", 10, 0, NONE},
    {"bytes=" MAX64 "-", 10, 0, NONE},
    {"bytes=" PAST64 "-", 10, 0, NONE},
    {"bytes=99999999999999999999999-", 10, 0, NONE},
    {"bytes=-0", 10, 0, NONE},
    {"bytes=-00", 10, 0, NONE},
    {"bytes=10-,20-,-0", 10, 0, NONE},
    /* of nothing */
    {"bytes=0-", 0, 0, NONE},
    {"bytes=0-0", 0, 0, NONE},
    {"bytes=0-0,-0", 0, 0, NONE},
    {"bytes=-5", 0, 0, WHOLE},
    {"bytes=0-,-5", 0, 0, WHOLE},
    /* several: the client's order */
    {"bytes=0-1,3-4", 10, 0, "0-1 3-4"},
    {"bytes=3-4,0-1", 10, 0, "3-4 0-1"},
    {"bytes=8-8,4-4,6-6,2-2,0-0", 10, 0, "8-8 4-4 6-6 2-2 0-0"},
    {"bytes=0-0,-1", 10, 0, "0-0 9-9"},
    {"bytes=-1,0-0", 10, 0, "9-9 0-0"},
    {"bytes=0-1,", 10, 0, "0-1"},
    {"bytes=,0-1", 10, 0, "0-1"},
    {"bytes= , ,,0-1 ,\t3-4, ", 10, 0, "0-1 3-4"},
    {"bytes=0-1 , 3-4", 10, 0, "0-1 3-4"},
    {"bytes=0-1,10-,3-4", 10, 0, "0-1 3-4"},
    {"bytes=10-,0-1", 10, 0, "0-1"},
    {"bytes=-0,0-1,99-", 10, 0, "0-1"},
    /* what meets becomes one, at the place of the first */
    {"bytes=0-1,2-3", 10, 0, "0-3"},
    {"bytes=2-3,0-1", 10, 0, "0-3"},
    {"bytes=0-4,2-8", 10, 0, "0-8"},
    {"bytes=0-9,2-3", 10, 0, "0-9"},
    {"bytes=2-3,0-", 10, 0, "0-9"},
    {"bytes=-1,-2", 10, 0, "8-9"},
    {"bytes=0-0,0-0,0-0", 10, 0, "0-0"},
    {"bytes=6-7,0-1,8-9,2-3", 10, 0, "6-9 0-3"},
    {"bytes=0-1,8-9,4-5,2-3,6-7", 10, 0, "0-9"},
    {"bytes=8-9,0-1,4-5,1-4", 10, 0, "8-9 0-5"},
    {"bytes=0-,-3", 10, 0, "0-9"},
    /* and what lies close */
    {"bytes=0-1,12-13", 100, 10, "0-13"},
    {"bytes=0-1,13-14", 100, 10, "0-1 13-14"},
    {"bytes=12-13,0-1", 100, 10, "0-13"},
    {"bytes=13-14,0-1", 100, 10, "13-14 0-1"},
    {"bytes=0-0,40-40,20-20", 100, 19, "0-40"},
    {"bytes=0-0,40-40,20-20", 100, 18, "0-0 40-40 20-20"},
    {"bytes=0-0,-1", 100, UINT64_MAX, "0-99"},
    {"bytes=0-0,-1", UINT64_MAX, UINT64_MAX, "0-18446744073709551614"},
    /* none at all: one that is wrong spoils the others */
    {"bytes=5-3", 10, 0, WHOLE},
    {"bytes=15-13", 10, 0, WHOLE},
    {"bytes=" MAX64 "-3", 10, 0, WHOLE},
    {"bytes=" PAST64 "-3", 10, 0, WHOLE},
    {"bytes=0-1,5-3", 10, 0, WHOLE},
    {"bytes=5-3,0-1", 10, 0, WHOLE},
    {"bytes=0-1,x", 10, 0, WHOLE},
    {"bytes=0-1;3-4", 10, 0, WHOLE},
    {"bytes=0-1 3-4", 10, 0, WHOLE},
    {"bytes=0-1-2", 10, 0, WHOLE},
    {"bytes=10-,x", 10, 0, WHOLE},
    {"bytes=", 10, 0, WHOLE},
    {"bytes=,", 10, 0, WHOLE},
    {"bytes=-", 10, 0, WHOLE},
    {"bytes=--1", 10, 0, WHOLE},
    {"bytes=-1-", 10, 0, WHOLE},
    {"bytes=a-b", 10, 0, WHOLE},
    {"bytes=1", 10, 0, WHOLE},
    {"bytes=1 -2", 10, 0, WHOLE},
    {"bytes=1- 2", 10, 0, WHOLE},
    {"bytes=- 2", 10, 0, WHOLE},
    {"bytes=+1-2", 10, 0, WHOLE},
    {"bytes=0x1-2", 10, 0, WHOLE},
    {"bytes=1-2x", 10, 0, WHOLE},
    {"bytes=\"1-2\"", 10, 0, WHOLE},
    {"bytes =1-2", 10, 0, WHOLE},
    {"bytes:1-2", 10, 0, WHOLE},
    {"byte=1-2", 10, 0, WHOLE},
    {"bytes", 10, 0, WHOLE},
    {"lines=1-2", 10, 0, WHOLE},
    {"1-2", 10, 0, WHOLE},
    {"", 10, 0, WHOLE},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct range_case *c = &cases[i];
        const char *got = describe(c->value, c->size, c->gap);
        if (strcmp(got, c->want) != 0)
            fail_msg("%s of %ju, gap %ju: %s", c->value, (uintmax_t)c->size, (uintmax_t)c->gap, got);
    }
}

/* count ranges of one byte, each `step` behind the one before. */
static const char *many(unsigned count, unsigned step, uint64_t gap)
{
    static char value[16 * 1000];
    size_t at = (size_t)snprintf(value, sizeof(value), "bytes=");
    for (unsigned i = 0; i < count; i++)
        at += (size_t)snprintf(value + at, sizeof(value) - at, "%u-%u,", i * step, i * step);
    return describe(value, 1000000, gap);
}

static void test_limits(void **state)
{
    (void)state;
    assert_string_equal(many(HTTP_RANGES_MAX + 1, 3, 1), WHOLE);
    assert_non_null(strstr(many(HTTP_RANGES_MAX, 3, 1), "0-0 3-3 6-6"));
    /* It is what is left that counts ... */
    assert_string_equal(many(HTTP_RANGES_ASKED_MAX, 3, 2), "0-381");
    assert_string_equal(many(HTTP_RANGES_ASKED_MAX, 0, 0), "0-0");
    /* ... within reason. */
    assert_string_equal(many(HTTP_RANGES_ASKED_MAX + 1, 0, 0), WHOLE);
}

/* --- The body --- */

static void make_whole(struct http_multipart *multipart, struct http_head *head, const char *file, char *out,
                       size_t capacity)
{
    size_t at = 0;
    const struct endpoint ep = {.kind = ENDPOINT_FILE, .fd = 99, .not_regular = true};
    http_multipart_join(multipart, head, &ep);
    for (const struct flow_part *part = multipart->parts; part; part = part->next) {
        assert_true(at + part->head_size + (part->source.end - part->source.offset) < capacity);
        if (part->head_size != 0)
            memcpy(out + at, part->head, part->head_size);
        at += part->head_size;
        const char *data = part->source.kind == ENDPOINT_MEMORY ? (const char *)part->source.data : file;
        memcpy(out + at, data + part->source.offset, part->source.end - part->source.offset);
        at += part->source.end - part->source.offset;
        assert_int_equal(part->source.kind == ENDPOINT_MEMORY, part->next == NULL);
        if (part->next) {
            assert_int_equal(part->source.fd, 99);
            assert_true(part->source.borrowed && part->source.not_regular);
        }
    }
    out[at] = '\0';
}

static void test_multipart(void **state)
{
    (void)state;
    static const struct http_ranges ranges = {.count = 3, .at = {{10, 13}, {0, 1}, {35, 36}}};
    static const char file[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char boundaries[2][HTTP_BOUNDARY_SIZE];
    for (int i = 0; i < 2; i++) {
        struct http_multipart *multipart = http_multipart_new(&ranges, "text/plain", 36);
        assert_non_null(multipart);
        const char *b = multipart->boundary;
        assert_int_equal(strlen(b), 32);
        assert_int_equal(strspn(b, "0123456789abcdef"), 32);
        memcpy(boundaries[i], b, sizeof(boundaries[i]));
        struct http_head head = {0};
        http_head_add_text(&head, "HEAD\r\n\r\n");
        char want[1000], got[1000];
        int size = snprintf(want, sizeof(want),
                            "HEAD\r\n\r\n"
                            "--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 10-12/36\r\n\r\nabc"
                            "\r\n--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/36\r\n\r\n0"
                            "\r\n--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 35-35/36\r\n\r\nz"
                            "\r\n--%s--\r\n",
                            b, b, b, b);
        make_whole(multipart, &head, file, got, sizeof(got));
        assert_string_equal(got, want);
        assert_int_equal(multipart->length, size - 8);
        assert_int_equal(multipart->parts[0].head_size, multipart->parts[0].generated + 8);
        free(head.data);
        http_multipart_free(multipart);
    }
    assert_string_not_equal(boundaries[0], boundaries[1]);
    http_multipart_free(NULL);
}

/* What the gap is measured by is what a part costs. */
static void test_overhead(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1001, 9999, 1000000000001};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct http_ranges ranges = {.count = 2, .at = {{0, 1}, {sizes[i] - 1, sizes[i]}}};
        struct http_multipart *multipart = http_multipart_new(&ranges, "a/b", sizes[i]);
        assert_non_null(multipart);
        assert_int_equal(multipart->parts[1].generated, http_multipart_overhead("a/b", sizes[i]));
        http_multipart_free(multipart);
    }
    assert_true(http_multipart_overhead("a/b", 0) < http_multipart_overhead("a/b", UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_multipart),
        cmocka_unit_test(test_overhead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
