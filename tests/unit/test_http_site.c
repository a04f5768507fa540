/* proxy/http/site: tables of hosts, paths and redirects, nasty ones among them. */
#include "proxy/http/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct http_slice slice(const char *text)
{
    return (struct http_slice){text, strlen(text)};
}

/* --- Hosts --- */

static const struct {
    const char *host, *folded; /* NULL: none */
} folds[] = {
    {"example.org", "example.org"},
    {"EXAMPLE.Org", "example.org"},
    {"example.org.", "example.org"},
    {"example.org:8443", "example.org"},
    {"example.org.:8443", "example.org"},
    {"example.org:", "example.org"},
    {"127.0.0.1:80", "127.0.0.1"},
    {"[::1]", "[::1]"},
    {"[0:0::1]:443", "[::1]"},
    {"[2001:DB8::A]", "[2001:db8::a]"},
    {"a_b.example.org", "a_b.example.org"},
    {"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
    {"", NULL},
    {".", NULL},
    {":80", NULL},
    {".example.org", NULL},
    {"a..b", NULL},
    {"example.org..", NULL},
    {"*.example.org", NULL},
    {"ex%61mple.org", NULL},
    {"example.org/x", NULL},
    {"user@example.org", NULL},
    {"[::1", NULL},
    {"[]", NULL},
    {"[::g]", NULL},
    {"[1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9]", NULL},
};

static void test_fold(void **state)
{
    (void)state;
    char folded[CERT_NAME_SIZE];
    for (size_t i = 0; i < COUNT(folds); i++) {
        print_message("%s\n", folds[i].host);
        assert_int_equal(site_host_fold(slice(folds[i].host), folded), folds[i].folded != NULL);
        if (folds[i].folded)
            assert_string_equal(folded, folds[i].folded);
    }
    char longest[260];
    memset(longest, 'a', sizeof(longest));
    for (size_t i = 60; i < sizeof(longest); i += 60)
        longest[i] = '.';
    assert_true(site_host_fold((struct http_slice){longest, 253}, folded));
    assert_false(site_host_fold((struct http_slice){longest, 254}, folded));
    /* The longest IPv6 address there is. */
    assert_true(site_host_fold(slice("[1111:2222:3333:4444:5555:6666:7777:8888]"), folded));
    assert_string_equal(folded, "[1111:2222:3333:4444:5555:6666:7777:8888]");
}

static void test_fold_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *text, *folded;
    } cases[] = {
        {"Example.org.", "example.org"},
        {"*.Example.org", "*.example.org"},
        {"[::0001]", "[::1]"},
        {"192.0.2.1", "192.0.2.1"},
        {"example.org:80", NULL},
        {"[::1]:80", NULL},
        {"*", NULL},
        {"*.", NULL},
        {"*.*.example.org", NULL},
        {"www.*.org", NULL},
        {"w*.example.org", NULL},
        {".example.org", NULL},
        {"example.org/", NULL},
        {"m\xc3\xbcnchen.example", NULL},
    };
    char folded[CERT_NAME_SIZE];
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s\n", cases[i].text);
        assert_int_equal(site_host_fold_pattern(cases[i].text, folded), cases[i].folded != NULL);
        if (cases[i].folded)
            assert_string_equal(folded, cases[i].folded);
    }
}

static void test_find(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "example.org", "*.example.org", "www.example.org", "*.b.example.org", "*.deep.b.example.org",
        "[::1]",       "*.net"};
    static const struct {
        const char *host;
        size_t site;
    } cases[] = {
        {"example.org", 0},
        {"www.example.org", 2},
        {"other.example.org", 1},
        {"x.y.example.org", 1},
        {"x.www.example.org", 1},
        {"b.example.org", 1},
        {"a.b.example.org", 3},
        {"deep.b.example.org", 3},
        {"x.deep.b.example.org", 4},
        {"w.x.deep.b.example.org", 4},
        {"xexample.org", SITE_NONE},
        {"example.org.evil.example", SITE_NONE},
        {"org", SITE_NONE},
        {"net", SITE_NONE},
        {"a.net", 6},
        {"a.b.net", 6},
        {"[::1]", 5},
        {"[::2]", SITE_NONE},
        {"a", SITE_NONE},
    };
    struct site_hosts hosts = {0};
    assert_int_equal(site_hosts_find(&hosts, "example.org"), SITE_NONE);
    for (size_t i = 0; i < COUNT(patterns); i++)
        assert_int_equal(site_hosts_add(&hosts, patterns[i], i), 0);
    site_hosts_sort(&hosts);
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%s\n", cases[i].host);
        assert_int_equal(site_hosts_find(&hosts, cases[i].host), cases[i].site);
    }
    site_hosts_clear(&hosts);
    assert_null(hosts.items);
}

/* --- Paths --- */

static const struct {
    const char *path;
    bool is_exact;
    const char *target;
    bool matches;
} matches[] = {
    {"/", false, "/", true},
    {"/", false, "/a/b", true},
    {"/media", false, "/media", true},
    {"/media", false, "/media/", true},
    {"/media/", false, "/media", true},
    {"/media/", false, "/media/x/y", true},
    {"/media/", false, "/mediax", false},
    {"/media/", false, "/medi", false},
    {"/media/", false, "/", false},
    {"/media/", false, "/Media/", false},
    {"/media/", false, "/x/media/", false},
    /* It is the path that is looked up which is compared, however it was written. */
    {"/media/", false, "/%6dedia/x", true},
    {"/media/", false, "//media//x", true},
    {"/media/", false, "/./x/../media/x", true},
    {"/media/", false, "/media/../etc", false},
    {"/media/", false, "/media/..", false},
    {"/a b/\xc3\xbc", false, "/a%20b/%C3%BC/x", true},
    {"/a/b", false, "/a/b/c", true},
    {"/a/b", false, "/a/bc", false},
    {"/100%", false, "/100%25/x", true},
    {"/x", true, "/x", true},
    {"/x", true, "/x?q", true},
    {"/x", true, "/x/", false},
    {"/x", true, "/x/y", false},
    {"/x/", true, "/x/", true},
    {"/x/", true, "/x/.", true},
    {"/x/", true, "/x", false},
    {"/", true, "/", true},
    {"/", true, "/a/..", true},
    {"/", true, "/a", false},
};

static void test_matches(void **state)
{
    (void)state;
    char memory[256];
    struct http_target target;
    for (size_t i = 0; i < COUNT(matches); i++) {
        print_message("%s %s\n", matches[i].path, matches[i].target);
        const struct site_path path = site_path_make(matches[i].path, matches[i].is_exact);
        assert_int_equal(http_target_parse(slice(matches[i].target), memory, &target), 0);
        assert_int_equal(site_path_matches(&path, &target), matches[i].matches);
    }
}

static void test_order(void **state)
{
    (void)state;
    struct site_path paths[] = {
        site_path_make("/", false),   site_path_make("/a/b/", false),  site_path_make("/a", false),
        site_path_make("/a/b", true), site_path_make("/a/b/c", false), site_path_make("/", true),
    };
    qsort(paths, COUNT(paths), sizeof(paths[0]), site_path_order);
    static const char *const expected[] = {"a/b", "", "a/b/c", "a/b", "a", ""};
    for (size_t i = 0; i < COUNT(paths); i++) {
        assert_int_equal(paths[i].is_exact, i < 2);
        assert_int_equal(paths[i].size, strlen(expected[i]));
        assert_memory_equal(paths[i].text, expected[i], paths[i].size);
    }
}

/* --- Redirects --- */

static const struct {
    const char *base, *prefix, *target, *location;
} locations[] = {
    {"https://example.org", "/", "/", "https://example.org/"},
    {"https://example.org", "/", "/a", "https://example.org/a"},
    {"https://example.org/", "/", "/a/", "https://example.org/a/"},
    {"https://example.org", "/", "/a?b=c&d", "https://example.org/a?b=c&d"},
    {"https://example.org", "/", "/?", "https://example.org/?"},
    {"https://example.org:8443", "/", "/a", "https://example.org:8443/a"},
    {"https://example.org/new", "/old", "/old", "https://example.org/new"},
    {"https://example.org/new/", "/old", "/old", "https://example.org/new/"},
    {"https://example.org/new", "/old/", "/old/", "https://example.org/new/"},
    {"https://example.org/new/", "/old/", "/old/a/b?q", "https://example.org/new/a/b?q"},
    {"/new", "/old", "/old/a", "/new/a"},
    {"/", "/old", "/old", "/"},
    {"/", "/old", "/old/", "/"},
    {"/", "/old", "/old/a", "/a"},
    /* Neither another host nor another line. */
    {"/", "/old", "/old//evil.example", "/evil.example"},
    {"/", "/old", "/old/%5cevil.example", "/%5Cevil.example"},
    {"/", "/", "//evil.example", "/evil.example"},
    {"/", "/", "///evil.example/", "/evil.example/"},
    {"/", "/", "/\\evil.example", "/%5Cevil.example"},
    {"/", "/", "/.//evil.example", "/evil.example"},
    {"/", "/", "/a/..//evil.example", "/evil.example"},
    {"https://example.org", "/", "/@evil.example", "https://example.org/%40evil.example"},
    {"https://example.org", "/", "//evil.example", "https://example.org/evil.example"},
    {"https://example.org", "/", "/.evil.example", "https://example.org/.evil.example"},
    {"https://example.org", "/", "/:80", "https://example.org/%3A80"},
    {"https://example.org", "/", "/%3Cscript%3E\"'", "https://example.org/%3Cscript%3E%22%27"},
    {"https://example.org", "/", "/%E2%98%83%ff", "https://example.org/%E2%98%83%FF"},
    {"https://example.org", "/", "/a%3fb", "https://example.org/a%3Fb"},
    {"https://example.org", "/", "/a?%0d%0aSet-Cookie:%20x", "https://example.org/a?%0d%0aSet-Cookie:%20x"},
    {"https://example.org", "/", "/%252e%252e/", "https://example.org/%252e%252e/"},
    {"https://example.org", "/", "http://evil.example/a", "https://example.org/a"},
    {"https://example.org", "/", "http://evil.example", "https://example.org/"},
};

static void test_location(void **state)
{
    (void)state;
    char memory[256], expected[256];
    struct http_target target;
    for (size_t i = 0; i < COUNT(locations); i++) {
        print_message("%s %s\n", locations[i].base, locations[i].target);
        assert_int_equal(http_target_parse(slice(locations[i].target), memory, &target), 0);
        const struct site_path path = site_path_make(locations[i].prefix, false);
        assert_true(site_path_matches(&path, &target));
        char *line = site_location(locations[i].base, &target, path.size);
        snprintf(expected, sizeof(expected), "Location: %s\r\n", locations[i].location);
        assert_string_equal(line, expected);
        free(line);
    }
    /* Those never come so far. */
    assert_int_equal(http_target_parse(slice("/%0d%0aLocation:x"), memory, &target), 400);
    assert_int_equal(http_target_parse(slice("/old/%2f%2fevil.example"), memory, &target), 404);
}

/* Every byte that a path can have, as long as they come: the line is as large as it is said to be. */
static void test_location_of_every_byte(void **state)
{
    (void)state;
    char text[3 * 256 + 2], memory[sizeof(text)];
    size_t size = 1;
    text[0] = '/';
    for (int c = ' '; c < 256; c++)
        if (c != '/' && c != 0x7f)
            size += (size_t)sprintf(text + size, "%%%02x", c);
    text[size++] = '/';
    struct http_target target;
    assert_int_equal(http_target_parse((struct http_slice){text, size}, memory, &target), 0);
    char *line = site_location("/", &target, 0);
    for (const char *at = line; at < line + strlen(line) - 2; at++)
        assert_true(*at >= ' ' && *at <= '~' && *at != '\\' && *at != '"');
    assert_string_equal(line + strlen(line) - 3, "/\r\n");
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_fold_pattern),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_location),
        cmocka_unit_test(test_location_of_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
