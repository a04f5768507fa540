/* conf/suggest: what was probably meant, by table. */
#include "conf/suggest.h"

#include "conf_fixture.h"

static const char *const keys[] = {"workers", "user", "group",    "capabilities", "pipe_size", "log",
                                   "admin",   "tls",  "backends", "files",        "listeners", "timeouts"};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static const struct {
    const char *word;
    const char *meant; /* NULL: nothing near */
} cases[] = {
    {"workers", "workers"},
    {"worker", "workers"},
    {"Workers", "workers"},
    {"listner", "listeners"},
    {"lisetners", "listeners"}, /* neighbours swapped */
    {"listen", "listeners"},
    {"usr", "user"},
    {"timeout", "timeouts"},
    {"cap", "capabilities"},
    {"pipesize", "pipe_size"},
    {"tsl", "tls"},
    {"logs", "log"},
    {"bakcend", "backends"},
    {"", NULL},
    {"x", NULL},
    {"zzz", NULL},
    {"routes", NULL},
    {"verylongwordthatnobodywouldhavemeantforanyofthekeysthatweknowabout", NULL},
};

static void test_nearest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *meant = suggest_nearest(cases[i].word, keys, KEY_COUNT);
        if (cases[i].meant == NULL) {
            assert_null(meant);
        } else {
            assert_non_null(meant);
            assert_string_equal(meant, cases[i].meant);
        }
    }
    assert_null(suggest_nearest("workers", keys, 0));
}

/* Words of the greatest length that is compared, and one more. */
static void test_long_words(void **state)
{
    (void)state;
    char word[66], other[66];
    memset(word, 'a', sizeof(word));
    memset(other, 'a', sizeof(other));
    word[64] = other[64] = '\0';
    other[0] = 'b';
    const char *words[] = {other};
    assert_ptr_equal(suggest_nearest(word, words, 1), other);
    word[64] = 'a';
    word[65] = '\0';
    assert_null(suggest_nearest(word, words, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
