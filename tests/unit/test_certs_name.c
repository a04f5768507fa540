/* certs/name: folding and wildcards, by table. */
#include "certs/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NAME_253                           \
    LABEL_63 "." LABEL_63 "." LABEL_63 "." \
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *name;
    const char *folded;  /* NULL: refused */
    const char *pattern; /* folded as a pattern; NULL: refused */
} folds[] = {
    {"example.org", "example.org", "example.org"},
    {"ExAmPlE.ORG", "example.org", "example.org"},
    {"example.org.", "example.org", "example.org"},
    {"localhost", "localhost", "localhost"},
    {"xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example"},
    {"a_b.example", "a_b.example", "a_b.example"},
    {"-a-.example", "-a-.example", "-a-.example"},
    {LABEL_63 ".org", LABEL_63 ".org", LABEL_63 ".org"},
    {NAME_253, NAME_253, NAME_253},
    {NAME_253 ".", NAME_253, NAME_253},
    {NAME_253 "a", NULL, NULL},
    {"a" LABEL_63, NULL, NULL},
    {"", NULL, NULL},
    {".", NULL, NULL},
    {"..", NULL, NULL},
    {"a..b", NULL, NULL},
    {".a", NULL, NULL},
    {"a..", NULL, NULL},
    {"b\xc3\xbc"
     "cher.example",
     NULL, NULL},
    {"a b", NULL, NULL},
    {"a:443", NULL, NULL},
    {"[::1]", NULL, NULL},
    {"*.Example.org", NULL, "*.example.org"},
    {"*.localhost.", NULL, "*.localhost"},
    {"*", NULL, NULL},
    {"*.", NULL, NULL},
    {"*.*.org", NULL, NULL},
    {"a.*.org", NULL, NULL},
    {"f*.example.org", NULL, NULL},
    {"*a.example.org", NULL, NULL},
    {"*." NAME_253, NULL, NULL},
};

static void test_fold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(folds) / sizeof(folds[0]); i++) {
        char folded[CERT_NAME_SIZE];
        size_t length = strlen(folds[i].name);
        assert_int_equal(cert_name_fold(folds[i].name, length, folded), folds[i].folded != NULL);
        if (folds[i].folded != NULL) {
            assert_string_equal(folded, folds[i].folded);
        }
        assert_int_equal(cert_name_fold_pattern(folds[i].name, length, folded), folds[i].pattern != NULL);
        if (folds[i].pattern != NULL) {
            assert_string_equal(folded, folds[i].pattern);
        }
    }
}

/* "good.example\0.evil.example" is one name in a certificate and another to strcmp(). */
static void test_embedded_nul(void **state)
{
    (void)state;
    char folded[CERT_NAME_SIZE];
    static const char name[] = "good.example\0.evil.example";
    assert_false(cert_name_fold(name, sizeof(name) - 1, folded));
    assert_false(cert_name_fold_pattern(name, sizeof(name) - 1, folded));
}

static const struct {
    const char *pattern, *name;
    bool matches;
} matches[] = {
    {"example.org", "example.org", true},      {"example.org", "a.example.org", false},
    {"*.example.org", "a.example.org", true},  {"*.example.org", "xn--bcher-kva.example.org", true},
    {"*.example.org", "example.org", false},   {"*.example.org", "a.b.example.org", false},
    {"*.example.org", ".example.org", false},  {"*.example.org", "aexample.org", false},
    {"*.example.org", "a.example.com", false}, {"*.localhost", "a.localhost", true},
    {"*.localhost", "localhost", false},
};

static void test_match(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        assert_int_equal(cert_name_match(matches[i].pattern, matches[i].name), matches[i].matches);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_embedded_nul),
        cmocka_unit_test(test_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
