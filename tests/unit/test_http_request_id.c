/* Ids of requests: never the same twice, on no thread; and which of a client's are harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/request_id.h"

#define THREADS 4u
#define EACH 5000u

typedef char id[REQUEST_ID_MAX + 1];
static id ids[THREADS * EACH];

static void *make(void *first)
{
    id *at = first;

    for (unsigned i = 0; i < EACH; i++)
        request_id_make(at[i]);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void test_no_two_are_the_same(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make, ids[i * EACH]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, THREADS * EACH, sizeof(ids[0]), compare);
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        assert_int_equal(strlen(ids[i]), 32);
        assert_int_equal(strspn(ids[i], "0123456789abcdef"), 32);
        assert_true(i == 0 || strcmp(ids[i - 1], ids[i]) != 0);
    }
}

static void test_which_are_valid(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        bool valid;
    } table[] = {
#define ROW(text, valid) {text, sizeof(text) - 1, valid}
        ROW("a", true),
        ROW("7f0000-01.Az_9~+/=", true),
        ROW("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true),
        ROW("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefg", false),
        ROW("", false),
        ROW("a b", false),
        ROW("a\tb", false),
        ROW("a\"b", false),
        ROW("a\\b", false),
        ROW("a,b", false),
        ROW("$(a)", false),
        ROW("a;b", false),
        ROW("a<b", false),
        ROW("a\0b", false),
        ROW("\xc3\xa4", false),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (request_id_valid((struct http_slice){table[i].text, table[i].size}) != table[i].valid)
            fail_msg("\"%s\"", table[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_two_are_the_same),
        cmocka_unit_test(test_which_are_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
