/* Accept-Encoding: header lines against the codings that may be sent for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_limits_fixture.h"
#include "proxy/http/accept_encoding.h"

static void parse(const char *lines, struct http_accept_encoding *accept)
{
    static char text[4096];
    struct http_request request;
    int size = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    fixture_request_init(&request);
    assert_int_equal(http_request_parse(&request, text, (size_t)size), HTTP_PARSE_COMPLETE);
    http_accept_encoding_parse(&request, accept);
}

#define FIELD(value) "Accept-Encoding:" value "\r\n"

static const enum http_coding columns[HTTP_CODING_COUNT] = {HTTP_CODING_BR, HTTP_CODING_ZSTD,
                                                            HTTP_CODING_GZIP, HTTP_CODING_IDENTITY};

static void test_qualities(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        uint16_t want[HTTP_CODING_COUNT]; /* in the order of columns */
    } table[] = {
        {"", {0, 0, 0, 0}},
        {FIELD(""), {0, 0, 0, 0}},
        {FIELD("  "), {0, 0, 0, 0}},
        {FIELD("gzip"), {0, 0, 1000, 0}},
        {FIELD("gzip, deflate, br, zstd"), {1000, 1000, 1000, 0}},
        {FIELD("gzip,deflate,br"), {1000, 0, 1000, 0}},
        {FIELD("GZip"), {0, 0, 1000, 0}},
        {FIELD("x-gzip"), {0, 0, 1000, 0}},
        {FIELD("X-GZIP;q=0.3"), {0, 0, 300, 0}},
        {FIELD("x-gzip;q=0.3, gzip;q=0.2"), {0, 0, 200, 0}},
        {FIELD("gzipped"), {0, 0, 0, 0}},
        {FIELD("gzi"), {0, 0, 0, 0}},
        {FIELD("deflate"), {0, 0, 0, 0}},
        {FIELD("compress;q=0.5, gzip;q=1.0"), {0, 0, 1000, 0}},
        {FIELD("identity"), {0, 0, 0, 1000}},
        {FIELD("identity;q=0"), {0, 0, 0, 0}},
        {FIELD("identity;q=0.5, gzip;q=0.25"), {0, 0, 250, 500}},
        /* what browsers send for video */
        {FIELD("identity;q=1, *;q=0"), {0, 0, 0, 1000}},
        {FIELD("*"), {1000, 1000, 1000, 1000}},
        {FIELD("*;q=0"), {0, 0, 0, 0}},
        {FIELD("*;q=0.5, br;q=0"), {0, 500, 500, 500}},
        {FIELD("br;q=0, *;q=0.5"), {0, 500, 500, 500}},
        {FIELD("gzip;q=1.0, identity; q=0.5, *;q=0"), {0, 0, 1000, 500}},
        {FIELD("*;q=0.7, *;q=0.2"), {200, 200, 200, 200}},
        /* weights */
        {FIELD("gzip;q=0"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0."), {0, 0, 0, 0}},
        {FIELD("gzip;q=0.0"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0.000"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0.001"), {0, 0, 1, 0}},
        {FIELD("gzip;q=0.12"), {0, 0, 120, 0}},
        {FIELD("gzip;q=0.999"), {0, 0, 999, 0}},
        {FIELD("gzip;q=1"), {0, 0, 1000, 0}},
        {FIELD("gzip;q=1."), {0, 0, 1000, 0}},
        {FIELD("gzip;q=1.000"), {0, 0, 1000, 0}},
        {FIELD("gzip;Q=0.5"), {0, 0, 500, 0}},
        {FIELD("gzip \t; \tq=0.5\t"), {0, 0, 500, 0}},
        {FIELD("gzip;q=0.5,zstd"), {0, 1000, 500, 0}},
        /* what isn't one says nothing */
        {FIELD("gzip;q=1.001"), {0, 0, 0, 0}},
        {FIELD("gzip;q=1.5"), {0, 0, 0, 0}},
        {FIELD("gzip;q=2"), {0, 0, 0, 0}},
        {FIELD("gzip;q=10"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0.1234"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0.12345678901234567890"), {0, 0, 0, 0}},
        {FIELD("gzip;q=-0"), {0, 0, 0, 0}},
        {FIELD("gzip;q=-1"), {0, 0, 0, 0}},
        {FIELD("gzip;q=.5"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0,5"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0.5.5"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0.a"), {0, 0, 0, 0}},
        {FIELD("gzip;q=0x1"), {0, 0, 0, 0}},
        {FIELD("gzip;q=1e0"), {0, 0, 0, 0}},
        {FIELD("gzip;q=nan"), {0, 0, 0, 0}},
        {FIELD("gzip;q=\"1\""), {0, 0, 0, 0}},
        {FIELD("gzip;q="), {0, 0, 0, 0}},
        {FIELD("gzip;q"), {0, 0, 0, 0}},
        {FIELD("gzip;"), {0, 0, 0, 0}},
        {FIELD("gzip;q =1"), {0, 0, 0, 0}},
        {FIELD("gzip;q= 1"), {0, 0, 0, 0}},
        {FIELD("gzip;level=9"), {0, 0, 0, 0}},
        {FIELD("gzip;q=1;q=1"), {0, 0, 0, 0}},
        {FIELD("gzip;level=9;q=1"), {0, 0, 0, 0}},
        {FIELD("gzip q=1"), {0, 0, 0, 0}},
        {FIELD("gzip br"), {0, 0, 0, 0}},
        {FIELD("\"gzip\""), {0, 0, 0, 0}},
        {FIELD(";q=1"), {0, 0, 0, 0}},
        {FIELD(" ; "), {0, 0, 0, 0}},
        {FIELD(",,gzip,,"), {0, 0, 1000, 0}},
        {FIELD(","), {0, 0, 0, 0}},
        {FIELD("gzip;q=2, br"), {1000, 0, 0, 0}},
        {FIELD("**"), {0, 0, 0, 0}},
        {FIELD("gz*"), {0, 0, 0, 0}},
        /* the cautious reading of a contradiction */
        {FIELD("gzip;q=0, gzip"), {0, 0, 0, 0}},
        {FIELD("gzip, gzip;q=0"), {0, 0, 0, 0}},
        /* several lines are one list */
        {FIELD("gzip;q=0.5") FIELD("br"), {1000, 0, 500, 0}},
        {FIELD("*;q=0") FIELD("zstd"), {0, 1000, 0, 0}},
        {"accept-encoding: br\r\n", {1000, 0, 0, 0}},
        {"Accept-Encodings: br\r\nX-Accept-Encoding: br\r\nContent-Encoding: br\r\n", {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct http_accept_encoding accept;
        parse(table[i].lines, &accept);
        for (unsigned at = 0; at < HTTP_CODING_COUNT; at++)
            if (accept.quality[columns[at]] != table[i].want[at])
                fail_msg("%s: %s is %u, not %u", table[i].lines, http_coding_name(columns[at]),
                         accept.quality[columns[at]], table[i].want[at]);
    }
}

static void test_takes(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool br, gzip;
    } table[] = {
        {"", false, false},
        {FIELD("gzip"), false, true},
        {FIELD("gzip;q=0.001"), false, true},
        {FIELD("gzip, identity"), false, true},
        {FIELD("gzip;q=0.9, identity"), false, false},
        {FIELD("gzip;q=0.9, identity;q=0"), false, true},
        {FIELD("*"), true, true},
        {FIELD("gzip;q=0.5, *"), true, false},
        {FIELD("gzip;q=0.5, *;q=0.4"), true, true},
        {FIELD("*;q=0"), false, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct http_accept_encoding accept;
        parse(table[i].lines, &accept);
        if (http_accept_encoding_takes(&accept, HTTP_CODING_BR) != table[i].br ||
            http_accept_encoding_takes(&accept, HTTP_CODING_GZIP) != table[i].gzip)
            fail_msg("%s", table[i].lines);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const suffixes[] = {"", ".br", ".zst", ".gz"};
    for (unsigned i = 0; i < HTTP_CODING_COUNT; i++) {
        const char *name = http_coding_name(i);
        enum http_coding coding;
        assert_true(http_coding_parse((struct http_slice){name, strlen(name)}, &coding));
        assert_int_equal(coding, i);
        assert_string_equal(http_coding_suffix(i), suffixes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qualities),
        cmocka_unit_test(test_takes),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
