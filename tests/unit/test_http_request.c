/* The request parser: its limits, what it finds in good requests, and heads that aren't all there. What it
 * refuses stands in a table of its own, see test_http_requests.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http_limits_fixture.h"
#include "proxy/http/request.h"

#define COMPLETE 0
#define INCOMPLETE (-1)

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST

static int result_of(const struct http_request *request, enum http_parse parse)
{
    switch (parse) {
    case HTTP_PARSE_COMPLETE:
        assert_int_equal(request->status, 0);
        assert_true(request->head_size > 0);
        return COMPLETE;
    case HTTP_PARSE_INCOMPLETE:
        return INCOMPLETE;
    case HTTP_PARSE_REFUSED:
        break;
    }
    assert_non_null(request->problem);
    return request->status;
}

static struct http_limits limits; /* those that are in force */
static struct http_field fields[100];

/* Exactly `size` bytes of heap, so that a sanitizer sees a step too far. */
static char *copy_of(const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    return copy;
}

static int parse_whole(struct http_request *request, const char *text, size_t size)
{
    http_request_init(request, &limits, fields);
    return result_of(request, http_request_parse(request, text, size));
}

static int parse_by_bytes(struct http_request *request, const char *text, size_t size)
{
    http_request_init(request, &limits, fields);
    for (size_t i = 0; i < size; i++) {
        int result = result_of(request, http_request_parse(request, text, i));
        if (result != INCOMPLETE)
            return result;
    }
    return result_of(request, http_request_parse(request, text, size));
}

static void test_unfinished_heads(void **state)
{
    static const char *const table[] = {
        "",  "G",      "\r",         "\r\n", "GET / HTTP/1.1", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\n",
        GET, GET "\r", GET "Accept",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        static struct http_request request;
        char *copy = copy_of(table[i], strlen(table[i]));
        assert_int_equal(parse_whole(&request, copy, strlen(table[i])), INCOMPLETE);
        assert_int_equal(parse_by_bytes(&request, copy, strlen(table[i])), INCOMPLETE);
        free(copy);
    }
}

/* A head of `lines` extra lines, or with a request line or a field of a given length. */
static int parse_built(const char *before, char fill, size_t count, const char *after)
{
    static struct http_request request;
    size_t head = strlen(before), tail = strlen(after);
    char *text = malloc(head + count + tail);
    assert_non_null(text);
    memcpy(text, before, head);
    memset(text + head, fill, count);
    memcpy(text + head + count, after, tail);
    int whole = parse_whole(&request, text, head + count + tail);
    assert_int_equal(parse_by_bytes(&request, text, head + count + tail), whole);
    free(text);
    return whole;
}

static void check_limits(void)
{
    static const char rest[] = " HTTP/1.1\r\n" HOST "\r\n";
    const size_t uri = limits.max_uri, line = uri + HTTP_LINE_REST, head = limits.max_head;
    assert_int_equal(parse_built("GET /", 'a', uri - 1, rest), COMPLETE);
    assert_int_equal(parse_built("GET /", 'a', uri, rest), 414);
    assert_int_equal(parse_built("GET /", 'a', line, rest), 414);
    assert_int_equal(parse_built("GET /", 'a', head, rest), 414);
    assert_int_equal(parse_built("GET /", 'a', line, ""), 414);       /* no line end in sight */
    assert_int_equal(parse_built("", 'a', line + 1, ""), INCOMPLETE); /* the last may be its CR */
    assert_int_equal(parse_built("", 'a', line + 2, ""), 414);
    assert_int_equal(parse_built("", 'a', line + 1, " / HTTP/1.1\r\n"), 414);

    const size_t fixed = sizeof(GET "A: \r\n\r\n") - 1;
    assert_int_equal(parse_built(GET "A: ", 'b', head - fixed, "\r\n\r\n"), COMPLETE);
    assert_int_equal(parse_built(GET "A: ", 'b', head - fixed + 1, "\r\n\r\n"), 431);
    assert_int_equal(parse_built(GET "A: ", 'b', head, ""), 431);
    assert_int_equal(parse_built(GET, 'b', head, ""), 431);
}

static void test_limits(void **state)
{
    (void)state;
    check_limits();
    limits.max_head = 1024;
    limits.max_uri = 64;
    check_limits();
    limits = fixture_http_limits;
}

/* Which one it was. */
static void test_limit_told(void **state)
{
    (void)state;
    static struct http_request request;
    limits = (struct http_limits){.max_head = 200, .max_uri = 9, .max_fields = 2};
    static const struct {
        const char *text, *name;
    } table[] = {
        {"GET /123456789 HTTP/1.1\r\n", "max_uri"},
        {GET "A: b\r\nC: d\r\n\r\n", "max_fields"},
        {GET
         "A: 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
         "456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456",
         "max_head"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_true(parse_whole(&request, table[i].text, strlen(table[i].text)) > 400);
        assert_string_equal(http_limit_name(request.limit), table[i].name);
        assert_string_equal(request.problem, table[i].name);
    }
    limits = fixture_http_limits;
    assert_int_equal(parse_whole(&request, "GET\r\n", 5), 400);
    assert_int_equal(request.limit, HTTP_LIMIT_NONE);
}

static void test_field_count(void **state)
{
    (void)state;
    for (unsigned extra = limits.max_fields - 1; extra <= limits.max_fields; extra++) {
        char text[2048] = GET;
        for (unsigned i = 0; i < extra; i++)
            strcat(text, "A: b\r\n");
        strcat(text, "\r\n");
        static struct http_request request;
        int expected = extra + 1 <= limits.max_fields ? COMPLETE : 431;
        assert_int_equal(parse_whole(&request, text, strlen(text)), expected);
        assert_int_equal(parse_by_bytes(&request, text, strlen(text)), expected);
    }
}

static void parse_good(struct http_request *request, const char *text)
{
    assert_int_equal(parse_whole(request, text, strlen(text)), COMPLETE);
}

static void test_contents(void **state)
{
    (void)state;
    static struct http_request request;
    struct http_slice value;
    static const char text[] =
        "HEAD /a?b HTTP/1.1\r\nHost:  h:1 \r\nX-A:\tone  two \r\nx-b: 1\r\nX-B: 2\r\n\r\nGET /";
    parse_good(&request, text);
    assert_int_equal(request.method, HTTP_METHOD_HEAD);
    assert_true(http_slice_is(request.line, "HEAD /a?b HTTP/1.1"));
    assert_true(http_slice_is(request.target, "/a?b"));
    assert_true(http_slice_is(request.host, "h:1"));
    assert_int_equal(request.minor, 1);
    assert_int_equal(request.field_count, 4);
    assert_int_equal(request.head_size, strlen(text) - strlen("GET /"));
    assert_true(http_request_field(&request, "x-a", &value));
    assert_true(http_slice_is(value, "one  two"));
    assert_false(http_request_field(&request, "X-B", &value)); /* there twice */
    assert_false(http_request_field(&request, "X-C", &value));
    assert_false(request.has_body);
    assert_false(request.expects_continue);

    parse_good(&request, POST "Content-Length: 42\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(request.method, HTTP_METHOD_OTHER);
    assert_true(request.has_body);
    assert_true(request.expects_continue);
    assert_int_equal(request.content_length, 42);
    parse_good(&request, POST "Content-Length: 0\r\n\r\n");
    assert_false(request.has_body);
    parse_good(&request, POST "Transfer-Encoding: chunked\r\n\r\n");
    assert_true(request.has_body);
    parse_good(&request, "GET / HTTP/1.7\r\n" HOST "\r\n");
    assert_int_equal(request.minor, 1);
}

static void test_keep_alive(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keeps;
    } table[] = {
        {GET "\r\n", true},
        {GET "Connection: close\r\n\r\n", false},
        {GET "Connection: CLOSE\r\n\r\n", false},
        {GET "Connection: keep-alive\r\n\r\n", true},
        {GET "Connection: keep-alive, close\r\n\r\n", false},
        {GET "Connection: a ,close , b\r\n\r\n", false},
        {GET "Connection: a\r\nConnection: close\r\n\r\n", false},
        {GET "Connection: closed\r\n\r\n", true},
        {GET "Connection:\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: x\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        static struct http_request request;
        parse_good(&request, table[i].text);
        if (request.keep_alive != table[i].keeps)
            fail_msg("%s", table[i].text);
    }
}

int main(void)
{
    limits = fixture_http_limits;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unfinished_heads), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limit_told),       cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_contents),         cmocka_unit_test(test_keep_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
