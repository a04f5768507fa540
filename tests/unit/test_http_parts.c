/* Tables for the small pure parts of HTTP: targets, dates, content types and error pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "proxy/http/date.h"
#include "proxy/http/response.h"
#include "proxy/http/target.h"

static struct http_slice slice(const char *text)
{
    return (struct http_slice){text, strlen(text)};
}

/* --- targets --- */

struct target_case {
    const char *text;
    int status;
    const char *path;
    bool is_directory;
    const char *query; /* NULL: none */
};

static const struct target_case targets[] = {
    {"/", 0, "", true, NULL},
    {"/a", 0, "a", false, NULL},
    {"/a/", 0, "a", true, NULL},
    {"/a/b/c.txt", 0, "a/b/c.txt", false, NULL},
    {"//", 0, "", true, NULL},
    {"//a", 0, "a", false, NULL},
    {"//evil.example/..", 0, "", true, NULL},
    {"//evil.example", 0, "evil.example", false, NULL},
    {"/a//b///c", 0, "a/b/c", false, NULL},
    {"/a//", 0, "a", true, NULL},
    {"/.", 0, "", true, NULL},
    {"/./", 0, "", true, NULL},
    {"/a/.", 0, "a", true, NULL},
    {"/a/./b", 0, "a/b", false, NULL},
    {"/a/..", 0, "", true, NULL},
    {"/a/../b", 0, "b", false, NULL},
    {"/a/b/../../c", 0, "c", false, NULL},
    {"/a/b/../c/", 0, "a/c", true, NULL},
    {"/...", 0, "...", false, NULL},
    {"/..a", 0, "..a", false, NULL},
    {"/a..", 0, "a..", false, NULL},
    {"/.hidden", 0, ".hidden", false, NULL},
    {"/.well-known/acme-challenge/x", 0, ".well-known/acme-challenge/x", false, NULL},
    {"/..", 400, NULL, false, NULL},
    {"/../", 400, NULL, false, NULL},
    {"/../etc/passwd", 400, NULL, false, NULL},
    {"/a/../../b", 400, NULL, false, NULL},
    {"/a/../..", 400, NULL, false, NULL},
    {"//../a", 400, NULL, false, NULL},
    {"/./../a", 400, NULL, false, NULL},
    {"/%2e%2e/etc/passwd", 400, NULL, false, NULL},
    {"/.%2e/etc/passwd", 400, NULL, false, NULL},
    {"/%2E./etc/passwd", 400, NULL, false, NULL},
    {"/a/%2e%2e/b", 0, "b", false, NULL},
    {"/%2e/a", 0, "a", false, NULL},
    {"/%252e%252e/a", 0, "%2e%2e/a", false, NULL},
    {"/%2fetc/passwd", 404, NULL, false, NULL},
    {"/a%2Fb", 404, NULL, false, NULL},
    {"/..%2f..%2fetc%2fpasswd", 404, NULL, false, NULL},
    {"/a%2f..%2f..%2fb/../../c", 404, NULL, false, NULL},
    {"/..\\..\\a", 0, "..\\..\\a", false, NULL},
    {"/%5c..%5ca", 0, "\\..\\a", false, NULL},
    {"/%00", 400, NULL, false, NULL},
    {"/a%00.html", 400, NULL, false, NULL},
    {"/%2f%00", 400, NULL, false, NULL},
    {"/%0a", 400, NULL, false, NULL},
    {"/%0D%0Aset-cookie:x", 400, NULL, false, NULL},
    {"/%1b", 400, NULL, false, NULL},
    {"/%7f", 400, NULL, false, NULL},
    {"/%", 400, NULL, false, NULL},
    {"/%4", 400, NULL, false, NULL},
    {"/%zz", 400, NULL, false, NULL},
    {"/%4g", 400, NULL, false, NULL},
    {"/%-1", 400, NULL, false, NULL},
    {"/%u002e", 400, NULL, false, NULL},
    {"/a%2/b", 400, NULL, false, NULL},
    {"/%41%42", 0, "AB", false, NULL},
    {"/a%20b", 0, "a b", false, NULL},
    {"/a+b", 0, "a+b", false, NULL},
    {"/%25", 0, "%", false, NULL},
    {"/%3f", 0, "?", false, NULL},
    {"/%23", 0, "#", false, NULL},
    {"/%C3%A4", 0, "\xc3\xa4", false, NULL},
    {"/%C0%AE%C0%AE/a", 0, "\xc0\xae\xc0\xae/a", false, NULL}, /* overlong: bytes, not dots */
    {"/..%C0%AFa", 0,
     "..\xc0\xaf"
     "a",
     false, NULL},
    {"/%ff", 0, "\xff", false, NULL},
    {"/a;b=c", 0, "a;b=c", false, NULL},
    {"/a:b@c", 0, "a:b@c", false, NULL},
    {"/?", 0, "", true, ""},
    {"/?a", 0, "", true, "a"},
    {"/a?b=c&d=%00", 0, "a", false, "b=c&d=%00"},
    {"/a?b?c", 0, "a", false, "b?c"},
    {"/a?/../../x", 0, "a", false, "/../../x"},
    {"/a/?b", 0, "a", true, "b"},
    {"http://h", 0, "", true, NULL},
    {"http://h/", 0, "", true, NULL},
    {"HTTP://h:80/a?b", 0, "a", false, "b"},
    {"https://[::1]:8443/a/", 0, "a", true, NULL},
    {"http://h?q", 0, "", true, "q"},
    {"http://h/../a", 400, NULL, false, NULL},
    {"http://", 400, NULL, false, NULL},
    {"http:///a", 400, NULL, false, NULL},
    {"http://u@h/a", 400, NULL, false, NULL},
    {"http://h:x/a", 400, NULL, false, NULL},
    {"http:/a", 400, NULL, false, NULL},
    {"ftp://h/a", 400, NULL, false, NULL},
    {"file:///etc/passwd", 400, NULL, false, NULL},
    {"a", 400, NULL, false, NULL},
    {"*", 400, NULL, false, NULL},
    {"?a", 400, NULL, false, NULL},
    {"h:443", 400, NULL, false, NULL},
    {"../a", 400, NULL, false, NULL},
    {"", 400, NULL, false, NULL},
};

static void test_targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        const struct target_case *want = &targets[i];
        size_t size = strlen(want->text);
        char *text = malloc(size ? size : 1), *path = malloc(size + 1); /* exact: a sanitizer watches */
        assert_non_null(text);
        assert_non_null(path);
        memcpy(text, want->text, size);
        struct http_target target;
        int status = http_target_parse((struct http_slice){text, size}, path, &target);
        if (status != want->status)
            fail_msg("%s: expected %d, got %d", want->text, want->status, status);
        if (status == 0) {
            assert_string_equal(target.path, want->path);
            assert_int_equal(target.size, strlen(want->path));
            if (target.is_directory != want->is_directory)
                fail_msg("%s: is_directory", want->text);
            assert_int_equal(target.has_query, want->query != NULL);
            assert_true(!want->query || http_slice_is(target.query, want->query));
        }
        free(text);
        free(path);
    }
}

static void test_hidden_targets(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        size_t prefix;
        bool hidden;
    } table[] = {
        {"", 0, false},
        {"a", 0, false},
        {"a.b/c.", 0, false},
        {".a", 0, true},
        {"...", 0, true},
        {"a/.b", 0, true},
        {"a/.b/c", 0, true},
        {".git/config", 0, true},
        {".well-known", 0, false},
        {".well-known/acme-challenge/x", 0, false},
        {".well-known/.x", 0, true},
        {".well-known/a/.well-known", 0, true},
        {".well-knownx/a", 0, true},
        {".Well-Known/a", 0, true},
        {"a/.well-known/b", 0, true},
        {"a/.well-known/b", 2, true}, /* not at the top of the host */
        {".hidden/b", 8, false},      /* whoever wrote the prefix meant it */
        {".well-known/b", 12, false},
        {"a", 1, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct http_target target = {
            .path = table[i].path, .size = strlen(table[i].path), .prefix = table[i].prefix};
        if (http_target_is_hidden(&target) != table[i].hidden)
            fail_msg("%s behind %zu", table[i].path, table[i].prefix);
        assert_string_equal(http_target_rest(&target).at, table[i].path + table[i].prefix);
    }
}

static void test_target_encode(void **state)
{
    (void)state;
    static const char path[] = "a b/\xc3\xa4\"<>%?#\\:~-._z";
    char out[3 * sizeof(path)];
    size_t size = http_target_encode(path, sizeof(path) - 1, out);
    assert_string_equal(out, "a%20b/%C3%A4%22%3C%3E%25%3F%23%5C%3A~-._z");
    assert_int_equal(size, strlen(out));
}

/* --- dates --- */

#define NOW INT64_C(1763800000) /* 2025-11-22 */
#define BAD INT64_MIN

static const struct {
    const char *text;
    int64_t seconds;
} dates[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
    {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
    {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* a leap second */
    {"Wed Nov 16 08:49:37 1994", 784975777},
    {"Wednesday, 01-Jan-70 00:00:00 GMT", 3155760000}, /* 2070 is less than 50 years ahead */
    {"Friday, 01-Jan-99 00:00:00 GMT", 915148800},     /* 1999, as 2099 is more than 50 years ahead */
    {"Sunday, 01-Jan-75 00:00:00 GMT", 3313526400},    /* 2075 */
    {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777},      /* a wrong weekday harms nobody */
    {"Sun, 06 Nov 1994 08:49:37 UTC", BAD},
    {"Sun, 06 Nov 1994 08:49:37 +0000", BAD},
    {"Sun, 06 Nov 1994 08:49:37", BAD},
    {"Sun, 06 Nov 1994 08:49:37 GMT ", BAD},
    {" Sun, 06 Nov 1994 08:49:37 GMT", BAD},
    {"sun, 06 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 6 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06 nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06 Nov 94 08:49:37 GMT", BAD},
    {"Sun, 06-Nov-94 08:49:37 GMT", BAD},
    {"Sun, 00 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 31 Nov 1994 08:49:37 GMT", BAD},
    {"Wed, 29 Feb 2023 00:00:00 GMT", BAD},
    {"Thu, 29 Feb 1900 00:00:00 GMT", BAD},
    {"Sun, 06 Nov 1994 24:00:00 GMT", BAD},
    {"Sun, 06 Nov 1994 08:60:00 GMT", BAD},
    {"Sun, 06 Nov 1994 08:49:61 GMT", BAD},
    {"Sun, 06 Nov 1994 8:49:37 GMT", BAD},
    {"Xxx, 06 Nov 1994 08:49:37 GMT", BAD},
    {"1994-11-06T08:49:37Z", BAD},
    {"784111777", BAD},
    {"0", BAD},
    {"", BAD},
    {",", BAD},
    {"Sun,", BAD},
    {"Sunday,", BAD},
};

static void test_dates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        int64_t seconds = BAD;
        if (!http_date_parse(slice(dates[i].text), NOW, &seconds))
            seconds = BAD;
        if (seconds != dates[i].seconds)
            fail_msg("%s: %jd", dates[i].text, (intmax_t)seconds);
    }
}

/* Against the C library, over four hundred years in steps that meet every day of the year. */
static void test_date_format(void **state)
{
    (void)state;
    for (int64_t t = -INT64_C(6000000000); t < INT64_C(7000000000); t += 86400 * 3 + 12347) {
        char ours[HTTP_DATE_SIZE], theirs[64];
        time_t seconds = (time_t)t;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        http_date_format(t, ours);
        assert_string_equal(ours, theirs);
        int64_t back;
        assert_true(http_date_parse(slice(ours), NOW, &back));
        assert_true(back == t);
    }
    char out[HTTP_DATE_SIZE];
    http_date_format(INT64_MAX, out);
    assert_string_equal(out, "Fri, 31 Dec 9999 23:59:59 GMT");
    http_date_format(INT64_MIN, out);
    assert_string_equal(out, "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void test_date_now(void **state)
{
    (void)state;
    const char *text;
    time_t before = time(NULL);
    int64_t now = http_date_now(&text), parsed;
    assert_true(now >= before - 1 && now <= time(NULL));
    assert_true(http_date_parse(slice(text), now, &parsed));
    assert_true(parsed == now);
}

/* --- content types and pages --- */

static void test_response(void **state)
{
    (void)state;
    static const int statuses[] = {400, 403, 404, 405, 408, 412, 414, 416, 431, 500, 501, 503, 505};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        char page[HTTP_PAGE_MAX];
        assert_string_not_equal(http_status_text(statuses[i]), "Unknown");
        size_t size = http_status_page(statuses[i], page);
        assert_true(size > 0);
        assert_int_equal(size, strlen(page));
        assert_non_null(strstr(page, http_status_text(statuses[i])));
    }
    struct http_head head = {0};
    http_head_begin(&head, 404);
    for (int i = 0; i < 1000; i++)
        http_head_add(&head, "X-Line: %d\r\n", i);
    assert_false(head.failed);
    assert_int_equal(head.size, strlen(head.data));
    static const char begin[] = "HTTP/1.1 404 Not Found\r\nDate: ";
    assert_memory_equal(head.data, begin, sizeof(begin) - 1);
    assert_non_null(strstr(head.data, "GMT\r\nX-Line: 0\r\nX-Line: 1\r\n"));
    assert_string_equal(head.data + head.size - 13, "X-Line: 999\r\n");
    free(head.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),       cmocka_unit_test(test_hidden_targets),
        cmocka_unit_test(test_target_encode), cmocka_unit_test(test_dates),
        cmocka_unit_test(test_date_format),   cmocka_unit_test(test_date_now),
        cmocka_unit_test(test_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
