/* Where a request's body ends: a table of bodies, each fed whole and byte by byte with the next request
 * behind it. What two programs might read differently must be refused, whatever follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_limits_fixture.h"
#include "proxy/http/body.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NEXT "GET /next HTTP/1.1\r\n"

enum { DONE = 1, MORE = 2 }; /* or the status it is refused with */

struct body_case {
    const char *text;
    size_t size;
    int expected;
};
#define RAW(text, expected)              \
    {                                    \
        text, sizeof(text) - 1, expected \
    }

static const struct body_case chunked[] = {
    /* Good ones. */
    RAW("0\r\n\r\n", DONE),
    RAW("00000\r\n\r\n", DONE),
    RAW("5\r\nhello\r\n0\r\n\r\n", DONE),
    RAW("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", DONE),
    RAW("a\r\n0123456789\r\n0\r\n\r\n", DONE),
    RAW("A\r\n0123456789\r\n0\r\n\r\n", DONE),
    RAW("0000000000000005\r\nhello\r\n0\r\n\r\n", DONE),
    RAW("5\r\n\r\n0\r\n\r\n0\r\n\r\n", DONE), /* content that looks like framing */
    RAW("5;name\r\nhello\r\n0;last\r\n\r\n", DONE),
    RAW("5;a=b;c=\"d e\"\r\nhello\r\n0\r\n\r\n", DONE),
    RAW("0\r\nDigest: x\r\n\r\n", DONE),
    RAW("0\r\nA: b\r\nC:\r\n\r\n", DONE),
    RAW("0\r\nContent-Length: 5\r\n\r\n", DONE), /* trailers mean nothing here */
    /* Unfinished ones. */
    RAW("", MORE),
    RAW("5", MORE),
    RAW("5\r", MORE),
    RAW("5\r\n", MORE),
    RAW("5\r\nhell", MORE),
    RAW("5\r\nhello", MORE),
    RAW("5\r\nhello\r", MORE),
    RAW("5\r\nhello\r\n", MORE),
    RAW("5\r\nhello\r\n0\r\n", MORE),
    RAW("5\r\nhello\r\n0\r\n\r", MORE),
    RAW("0\r\nA: b\r\n", MORE),
    RAW("5;ext", MORE),
    /* Sizes that other programs read as something. */
    RAW("\r\n", 400),
    RAW("\n", 400),
    RAW("x\r\n", 400),
    RAW("0x5\r\nhello\r\n0\r\n\r\n", 400),
    RAW("-1\r\n", 400),
    RAW("+5\r\nhello\r\n0\r\n\r\n", 400),
    RAW(" 5\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5 \r\nhello\r\n0\r\n\r\n", 400),
    RAW("5\t\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5 ;a\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5,5\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5_\r\n", 400),
    RAW("5.0\r\n", 400),
    RAW("5\0\r\nhello\r\n0\r\n\r\n", 400),
    RAW("\"5\"\r\n", 400),
    RAW(";a\r\n", 400),
    RAW("00000000000000005\r\nhello\r\n0\r\n\r\n", 400), /* digits that a 64-bit number drops */
    RAW("10000000000000000\r\n", 400),
    /* Line ends. */
    RAW("5\nhello\r\n0\r\n\r\n", 400),
    RAW("5\rhello\r\n0\r\n\r\n", 400),
    RAW("5\r\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5\n\r\nhello", 400),
    RAW("5;a\nhello\r\n0\r\n\r\n", 400), /* a bare LF ends the line for some */
    RAW("5;a\rb\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5;\"\r\n\"\r\nhello\r\n0\r\n\r\n", 400), /* no quoted string spans lines: `"\r\nhe` is content */
    RAW("5;a\0b\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5;a\x7f\r\nhello\r\n0\r\n\r\n", 400),
    RAW("5\r\nhello0\r\n\r\n", 400),
    RAW("5\r\nhello\n0\r\n\r\n", 400),
    RAW("5\r\nhello\r0\r\n\r\n", 400),
    RAW("5\r\nhello\r\r\n0\r\n\r\n", 400),
    RAW("5\r\nhello world\r\n0\r\n\r\n", 400),
    RAW("5\r\nhell\r\n0\r\n\r\n", 400),
    RAW("0\n\n", 400),
    RAW("0\r\n\n", 400),
    RAW("0\r\n\rX", 400),
    /* Trailers. */
    RAW("0\r\n A: b\r\n\r\n", 400),
    RAW("0\r\nA : b\r\n\r\n", 400),
    RAW("0\r\n: b\r\n\r\n", 400),
    RAW("0\r\nA\r\n\r\n", 400),
    RAW("0\r\nA: b\n\r\n", 400),
    RAW("0\r\nA: b\rc\r\n\r\n", 400),
    RAW("0\r\nA: b\0\r\n\r\n", 400),
    RAW("0\r\nA: b\r\n c\r\n\r\n", 400),
    RAW("0\r\nGET /smuggled HTTP/1.1\r\n\r\n", 400),
    /* More than 1,000 bytes. */
    RAW("3e8\r\n", 413),
    RAW("fffffffffffffff\r\n", 413),
    RAW("ffffffffffffffff\r\n", 413),
};

static void begin(struct http_body *body, const char *head, uint64_t max_body)
{
    static struct http_request request;
    const struct http_limits limits = {.max_body = max_body};
    fixture_request_init(&request);
    assert_int_equal(http_request_parse(&request, head, strlen(head)), HTTP_PARSE_COMPLETE);
    assert_true(request.has_body);
    http_body_init(body, &request, &limits);
}

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static int result_of(const struct http_body *body, enum http_body_status status)
{
    assert_int_equal(status == HTTP_BODY_REFUSED, body->status != 0);
    assert_int_equal(body->status != 0, body->problem != NULL);
    return status == HTTP_BODY_DONE ? DONE : status == HTTP_BODY_MORE ? MORE : body->status;
}

/* In pieces of `step` bytes; *total: how many were the body's. */
static int step_over(struct http_body *body, const char *text, size_t size, size_t step, size_t *total)
{
    int result = MORE;
    *total = 0;
    for (size_t at = 0; at < size && result == MORE; at += step) {
        const size_t n = size - at < step ? size - at : step;
        size_t used;
        char *copy = malloc(n); /* so that a sanitizer sees a step too far */
        assert_non_null(copy);
        memcpy(copy, text + at, n);
        result = result_of(body, http_body_skip(body, copy, n, &used));
        assert_true(used <= n && (result == DONE || used == n));
        *total += used;
        free(copy);
    }
    return result;
}

static void test_chunked(void **state)
{
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < COUNT(chunked); i++) {
        char text[256];
        const bool ends = chunked[i].expected == DONE;
        memcpy(text, chunked[i].text, chunked[i].size);
        memcpy(text + chunked[i].size, NEXT, sizeof(NEXT));
        const size_t size = chunked[i].size + (ends ? sizeof(NEXT) - 1 : 0);
        for (size_t step = 1; step <= size + 1; step++) {
            struct http_body body;
            size_t total;
            begin(&body, CHUNKED, 1000);
            const int result = step_over(&body, text, size, step, &total);
            if (result != chunked[i].expected || (ends && total != chunked[i].size)) {
                print_error("case %zu by %zu: expected %d, got %d after %zu: %s\n", i, step,
                            chunked[i].expected, result, total, chunked[i].text);
                failures++;
            }
        }
    }
    assert_int_equal(failures, 0);
}

static void test_content_length(void **state)
{
    (void)state;
    static const char text[] = "hello" NEXT;
    for (size_t step = 1; step <= sizeof(text); step++) {
        struct http_body body;
        size_t total;
        begin(&body, POST "Content-Length: 5\r\n\r\n", 5);
        assert_int_equal(step_over(&body, text, sizeof(text) - 1, step, &total), DONE);
        assert_int_equal(total, 5);
    }
}

/* To the byte, and told before anything of it has come. */
static void test_too_large(void **state)
{
    (void)state;
    static const char fits[] = "5\r\nhello\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n";
    struct http_body body;
    size_t used;
    begin(&body, POST "Content-Length: 6\r\n\r\n", 5);
    assert_int_equal(http_body_skip(&body, "", 0, &used), HTTP_BODY_REFUSED);
    assert_int_equal(body.status, 413);
    assert_string_equal(body.problem, "max_body");
    begin(&body, POST "Content-Length: 18446744073709551600\r\n\r\n", 1 << 30);
    assert_int_equal(http_body_skip(&body, "", 0, &used), HTTP_BODY_REFUSED);
    begin(&body, POST "Content-Length: 1\r\n\r\n", 0);
    assert_int_equal(http_body_skip(&body, "", 0, &used), HTTP_BODY_REFUSED);
    for (uint64_t max = 0; max <= sizeof(fits); max++) {
        begin(&body, CHUNKED, max);
        assert_int_equal(step_over(&body, fits, sizeof(fits) - 1, 1, &used),
                         max >= sizeof(fits) - 1 ? DONE : 413);
        begin(&body, CHUNKED, max);
        assert_int_equal(step_over(&body, fits, sizeof(fits) - 1, 100, &used),
                         max >= sizeof(fits) - 1 ? DONE : 413);
    }
    /* Chunk extensions without end. */
    begin(&body, CHUNKED, 1000);
    char text[2000] = "1;";
    memset(text + 2, 'x', sizeof(text) - 2);
    assert_int_equal(step_over(&body, text, sizeof(text), 100, &used), 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
