/* Preconditions and If-Range: header lines against a file of known validators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_limits_fixture.h"
#include "proxy/http/conditional.h"

#define AT "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct http_validators file = {.etag = "\"a-1\"", .mtime = 784111777, .now = 1763800000};

static void parse(struct http_request *request, const char *lines)
{
    static char text[4096];
    int size = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
    fixture_request_init(request);
    assert_int_equal(http_request_parse(request, text, (size_t)size), HTTP_PARSE_COMPLETE);
}

static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum http_condition want;
    } table[] = {
        {"", HTTP_CONDITION_PROCEED},
        {"If-None-Match: \"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-None-Match: W/\"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-None-Match: *\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-None-Match: \"x\", \"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-None-Match: , \"x\" ,,W/\"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-None-Match: \"x,y\", \"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-None-Match: \"x\"\r\nIf-None-Match: \"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"if-none-match:\"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-None-Match: \"x\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: \"A-1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: \"a-1\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: a-1\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: w/\"a-1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: W/ \"a-1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: \"a -1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match:\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: W\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: W/\r\n", HTTP_CONDITION_PROCEED},
        {"If-None-Match: \"\r\n", HTTP_CONDITION_PROCEED},
        {"If-Modified-Since: " AT "\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Modified-Since: " AFTER "\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Modified-Since: " BEFORE "\r\n", HTTP_CONDITION_PROCEED},
        {"If-Modified-Since: yesterday\r\n", HTTP_CONDITION_PROCEED},
        {"If-Modified-Since: " AT "\r\nIf-Modified-Since: " AT "\r\n", HTTP_CONDITION_PROCEED},
        /* the tag is asked first, and alone */
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: " AT "\r\n", HTTP_CONDITION_PROCEED},
        {"If-Modified-Since: " BEFORE "\r\nIf-None-Match: \"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Match: \"a-1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-Match: *\r\n", HTTP_CONDITION_PROCEED},
        {"If-Match: \"x\", \"a-1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-Match: W/\"a-1\"\r\n", HTTP_CONDITION_FAILED}, /* strong comparison */
        {"If-Match: W/\"a-1\", \"a-1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-Match: \"x\"\r\nIf-Match: \"a-1\"\r\n", HTTP_CONDITION_PROCEED},
        {"If-Match: \"x\", *\r\n", HTTP_CONDITION_FAILED}, /* "*" stands alone */
        {"If-Match: \"a-1\r\n", HTTP_CONDITION_FAILED},
        {"If-Match:\r\n", HTTP_CONDITION_FAILED},
        {"If-Match: \"x\"\r\n", HTTP_CONDITION_FAILED},
        {"If-Match: x\r\n", HTTP_CONDITION_FAILED},
        {"If-Match: \"x\"\r\nIf-None-Match: \"a-1\"\r\n", HTTP_CONDITION_FAILED},
        {"If-Match: \"a-1\"\r\nIf-None-Match: \"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Unmodified-Since: " AT "\r\n", HTTP_CONDITION_PROCEED},
        {"If-Unmodified-Since: " AFTER "\r\n", HTTP_CONDITION_PROCEED},
        {"If-Unmodified-Since: " BEFORE "\r\n", HTTP_CONDITION_FAILED},
        {"If-Unmodified-Since: never\r\n", HTTP_CONDITION_PROCEED},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-Unmodified-Since: " BEFORE "\r\n", HTTP_CONDITION_PROCEED},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-Modified-Since: " AT "\r\n", HTTP_CONDITION_FAILED},
        {"If-Unmodified-Since: " AT "\r\nIf-Modified-Since: " AT "\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Match: *\r\nIf-None-Match: *\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Match: \"a-1\"\r\nIf-Modified-Since: " AT "\r\n", HTTP_CONDITION_NOT_MODIFIED},
        {"If-Match: \"x\"\r\nIf-Unmodified-Since: " AT "\r\n", HTTP_CONDITION_FAILED},
        {"If-None-Match: x\r\nIf-Modified-Since: " AT "\r\n", HTTP_CONDITION_PROCEED},
        {"If-Match: \"a-1\"\r\nIf-Unmodified-Since: " BEFORE "\r\n", HTTP_CONDITION_PROCEED},
        {"If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: \"a-1\"\r\n", HTTP_CONDITION_FAILED},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        static struct http_request request;
        parse(&request, table[i].lines);
        int condition = (int)http_condition_check(&request, &file);
        if (condition != (int)table[i].want)
            fail_msg("%s: %d", table[i].lines, condition);
    }
}

/* Against a weak tag: If-None-Match names it, nothing else does. */
static void test_weak(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum http_condition want;
        bool ranged;
    } table[] = {
        {"If-None-Match: W/\"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED, true},
        {"If-None-Match: \"a-1\"\r\n", HTTP_CONDITION_NOT_MODIFIED, true},
        {"If-None-Match: *\r\n", HTTP_CONDITION_NOT_MODIFIED, true},
        {"If-None-Match: \"W/a-1\"\r\n", HTTP_CONDITION_PROCEED, true},
        {"If-Match: W/\"a-1\"\r\n", HTTP_CONDITION_FAILED, true},
        {"If-Match: \"a-1\"\r\n", HTTP_CONDITION_FAILED, true},
        {"If-Match: *\r\n", HTTP_CONDITION_PROCEED, true},
        {"If-Range: W/\"a-1\"\r\n", HTTP_CONDITION_PROCEED, false},
        {"If-Range: \"a-1\"\r\n", HTTP_CONDITION_PROCEED, false},
    };
    struct http_validators weak = file;
    weak.etag = "W/\"a-1\"";
    static struct http_request request;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        parse(&request, table[i].lines);
        int condition = (int)http_condition_check(&request, &weak);
        if (condition != (int)table[i].want || http_condition_range(&request, &weak) != table[i].ranged)
            fail_msg("%s: %d", table[i].lines, condition);
    }
}

static void test_settled(void **state)
{
    (void)state;
    static const struct {
        int64_t mtime, now;
        bool settled;
    } table[] = {
        {10, 10, false}, {10, 11, false}, {10, 12, true},        {11, 10, false},
        {12, 10, true},  {-5, 10, true},  {INT64_MIN, 10, true}, {INT64_MAX, 10, true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(http_condition_is_settled(table[i].mtime, table[i].now), table[i].settled);
}

static void test_if_range(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool holds;
    } table[] = {
        {"", true},
        {"If-Range: \"a-1\"\r\n", true},
        {"If-Range: " AT "\r\n", true},
        {"If-Range: Sun Nov  6 08:49:37 1994\r\n", true},
        {"If-Range: W/\"a-1\"\r\n", false},
        {"If-Range: \"x\"\r\n", false},
        {"If-Range: *\r\n", false},
        {"If-Range: \"a-1\", \"b\"\r\n", false},
        {"If-Range: " BEFORE "\r\n", false},
        {"If-Range: " AFTER "\r\n", false}, /* equal, or it isn't this version */
        {"If-Range:\r\n", false},
        {"If-Range: \"a-1\"\r\nIf-Range: \"a-1\"\r\n", false},
    };
    static struct http_request request;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        parse(&request, table[i].lines);
        if (http_condition_range(&request, &file) != table[i].holds)
            fail_msg("%s", table[i].lines);
    }
    /* A file written this very second may be written again before it is over: its date proves nothing yet. */
    struct http_validators fresh = file;
    parse(&request, "If-Range: " AT "\r\n");
    for (int64_t age = -2; age <= 3; age++) {
        fresh.now = fresh.mtime + age;
        assert_int_equal(http_condition_range(&request, &fresh), age >= 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_weak),
        cmocka_unit_test(test_settled),
        cmocka_unit_test(test_if_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
