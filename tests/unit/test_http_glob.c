/* proxy/http/glob: patterns by table, and against fnmatch(3) with patterns and paths put together at random.
 */
#include "proxy/http/glob.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* path: with its first slash. */
static bool matches(const char *pattern, const char *path)
{
    struct http_glob glob;
    http_glob_init(&glob, pattern);
    return http_glob_matches(&glob, (struct http_slice){path + 1, strlen(path + 1)});
}

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool matches;
    } table[] = {
        {"*", "/", true},
        {"*", "/a/b.css", true},
        {"*.css", "/a.css", true},
        {"*.css", "/a/b/c.css", true},
        {"*.css", "/.css", true},
        {"*.css", "/a.CSS", false},
        {"*.css", "/a.css.map", false},
        {"*.css", "/css", false},
        {"*/a.css", "/a.css", true},
        {"*/a.css", "/b/a.css", true},
        {"*/a.css", "/ba.css", false},
        {"/assets/*", "/assets/", true},
        {"/assets/*", "/assets/a/b", true},
        {"/assets/*", "/assets", false},
        {"/assets/*", "/b/assets/a", false},
        {"/a/*/c.*", "/a/b/b/c.x", true},
        {"/a/*/c.*", "/a/c.x", false},
        {"/index.html", "/index.html", true},
        {"/index.html", "/index.htm", false},
        {"/index.html", "/a/index.html", false},
        {"/?.js", "/a.js", true},
        {"/?.js", "/ab.js", false},
        {"?a", "/a", true},
        {"/[a-c][!0-9]", "/bx", true},
        {"/[a-c][!0-9]", "/b5", false},
        {"/[a-c][^0-9]", "/dx", false},
        {"/[]x]", "/]", true},
        {"/[!]x]", "/]", false},
        {"/[a-]", "/-", true},
        {"/\\*", "/*", true},
        {"/\\*", "/a", false},
        {"/[\\]]", "/]", true},
        {"*.\xc3\xa4", "/x.\xc3\xa4", true},
        {"*[\x80-\xff]*", "/x\xc3", true},
        {"*a*a*a*b", "/aaaaab", true},
        {"*a*a*a*b", "/aabaaa", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (matches(table[i].pattern, table[i].path) != table[i].matches)
            fail_msg("%s and %s", table[i].pattern, table[i].path);
}

static void test_as_fnmatch(void **state)
{
    (void)state;
    static const char *const pieces[] = {"*", "?", "a", "b", "/", "[ab]", "[!a]", "[a-b]", "\\a", "."};
    static const char letters[] = "ab/.";
    unsigned found = 0;
    srand(5);
    for (int i = 0; i < 200000; i++) {
        char pattern[64] = "", path[16] = "/";
        for (int j = rand() % 7 + 1; j > 0; j--)
            strcat(pattern, pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
        for (int j = rand() % 8, k = 1; j > 0; j--, k++)
            path[k] = letters[rand() % 4];
        const bool expected = fnmatch(pattern, path, 0) == 0;
        if (matches(pattern, path) != expected)
            fail_msg("%s and %s", pattern, path);
        found += expected;
    }
    assert_true(found > 1000);
}

/* Where each star may be tried with each of the others, an hour wouldn't do. */
static void test_takes_no_time(void **state)
{
    (void)state;
    char path[8193] = "/";
    memset(path + 1, 'a', sizeof(path) - 2);
    const clock_t began = clock();
    assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", path));
    assert_true(clock() - began < 20 * CLOCKS_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_as_fnmatch),
        cmocka_unit_test(test_takes_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
