/* The elements of try_files: which path each stands for, of which kind, and for which requests it is nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/try_files.h"

static const struct {
    const char *text, *target;
    enum try_kind kind;
    const char *path; /* NULL: nothing */
} cases[] = {
    {"$uri", "/", TRY_FILE, NULL},
    {"$uri", "/a", TRY_FILE, "a"},
    {"$uri", "/a/b.txt", TRY_FILE, "a/b.txt"},
    {"$uri", "/a/", TRY_FILE, NULL},
    {"$uri/", "/", TRY_DIRECTORY, ""},
    {"$uri/", "/a", TRY_DIRECTORY, "a"},
    {"$uri/", "/a/", TRY_DIRECTORY, "a"},
    {"$uri.html", "/a", TRY_FILE, "a.html"},
    {"$uri.html", "/a/b", TRY_FILE, "a/b.html"},
    {"$uri.html", "/a/", TRY_FILE, NULL},
    {"$uri.html", "/", TRY_FILE, NULL},
    {"$uri.d/", "/a", TRY_DIRECTORY, "a.d"},
    {"$uri.d/", "/a/", TRY_DIRECTORY, NULL},
    {"$uri/index.txt", "/", TRY_FILE, "index.txt"},
    {"$uri/index.txt", "/a", TRY_FILE, "a/index.txt"},
    {"$uri/index.txt", "/a/", TRY_FILE, "a/index.txt"},
    {"$uri//x", "/a", TRY_FILE, "a/x"},
    {"/static$uri", "/a", TRY_FILE, "static/a"},
    {"/static/$uri", "/a", TRY_FILE, "static/a"},
    {"//static//$uri//", "/a", TRY_DIRECTORY, "static/a"},
    {"/static$uri/", "/", TRY_DIRECTORY, "static"},
    {"/static$uri/x", "/", TRY_FILE, "static/x"},
    {"/$uri", "/a", TRY_FILE, "a"},
    {"/", "/a", TRY_DIRECTORY, ""},
    {"/index.html", "/", TRY_FILE, "index.html"},
    {"/index.html", "/a/b", TRY_FILE, "index.html"},
    {"/errors/", "/a", TRY_DIRECTORY, "errors"},
    {"/errors/none.html", "/a/", TRY_FILE, "errors/none.html"},
};

/* Exactly as much room as is asked for: a sanitizer watches. */
static char *path_of(const struct try_files *tries, const char *text, size_t prefix, bool *any)
{
    const size_t size = strlen(text);
    char *memory = malloc(size + 1);
    struct http_target target;
    assert_non_null(memory);
    assert_int_equal(http_target_parse((struct http_slice){text, size}, memory, &target), 0);
    target.prefix = prefix;
    const size_t room = http_target_rest(&target).size + tries->longest + 1;
    char *path = malloc(room);
    size_t length = 0;
    assert_non_null(path);
    *any = try_file_path(&tries->items[0], &target, path, &length);
    if (*any)
        assert_int_equal(length, strlen(path));
    free(memory);
    return path;
}

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = strdup(cases[i].text);
        struct try_files tries;
        bool any;
        print_message("%s of %s\n", cases[i].text, cases[i].target);
        assert_true(try_files_init(&tries, &text, 1));
        assert_int_equal(tries.count, 1);
        assert_int_equal(tries.status, 404);
        assert_int_equal(tries.items[0].kind, cases[i].kind);
        assert_int_equal(tries.items[0].has_uri, strstr(text, "$uri") != NULL);
        char *path = path_of(&tries, cases[i].target, 0, &any);
        assert_int_equal(any, cases[i].path != NULL);
        if (any)
            assert_string_equal(path, cases[i].path);
        free(path);
        try_files_free(&tries);
        free(text);
    }
}

static void test_a_prefix_is_left_out(void **state)
{
    (void)state;
    char in_x[] = "/x$uri", page[] = "$uri.html", file[] = "$uri", *texts[] = {in_x, page, file};
    static const char *const below[] = {"x/a/b", "a/b.html", "a/b"};
    static const char *const itself[] = {"x", NULL, ""}; /* "/media", where "/media/" is mounted */
    for (size_t i = 0; i < 3; i++) {
        struct try_files tries;
        bool any;
        assert_true(try_files_init(&tries, &texts[i], 1));
        char *path = path_of(&tries, "/media/a/b", strlen("media/"), &any);
        assert_true(any);
        assert_string_equal(path, below[i]);
        free(path);
        path = path_of(&tries, "/media", strlen("media"), &any);
        assert_int_equal(any, itself[i] != NULL);
        if (any)
            assert_string_equal(path, itself[i]);
        free(path);
        try_files_free(&tries);
    }
}

static void test_lists(void **state)
{
    (void)state;
    char a[] = "$uri", b[] = "$uri/", c[] = "$uri.html", d[] = "$uri.html/", e[] = "/x", f[] = "/x/",
         g[] = "=410";
    char *texts[] = {a, b, c, d, e, f, g};
    static const bool repeated[] = {false, true, false, true, false, false};
    struct try_files tries;
    assert_true(try_files_init(&tries, texts, 7));
    assert_int_equal(tries.count, 6);
    assert_int_equal(tries.status, 410);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(tries.items[i].repeats, repeated[i]);
    try_files_free(&tries);

    assert_true(try_files_init(&tries, NULL, 0));
    assert_int_equal(tries.count, 1);
    assert_int_equal(tries.items[0].kind, TRY_EITHER);
    assert_int_equal(tries.status, 404);
    bool any;
    char *path = path_of(&tries, "/a/b/", 0, &any);
    assert_true(any);
    assert_string_equal(path, "a/b");
    free(path);
    try_files_free(&tries);

    assert_true(try_files_init(&tries, &texts[6], 1));
    assert_int_equal(tries.count, 0);
    try_files_free(&tries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_a_prefix_is_left_out),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
