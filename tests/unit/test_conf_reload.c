/* conf_reloadable: what needs a restart is told by key and line, everything else may change. */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *before, *after; /* added to a good configuration, after its first line */
    const char *key;            /* the one key that can't change; NULL: all of it can */
    int line;                   /* where it is told; 0: of the file */
} cases[] = {
    {"", "", NULL, 0},
    {"workers = 1;", "workers = 1;", NULL, 0},
    {"workers = 1;", "\nworkers = 2;", "workers", 3},
    {"workers = 1;", "", "workers", 0},
    {"workers = 0;", "", NULL, 0}, /* the default, written out */
    {"", "user = \"a\";", "user", 2},
    {"user = \"a\";", "", "user", 0},
    {"user = \"a\";", "user = \"b\";", "user", 2},
    {"user = \"a\";", "user = \"a\";", NULL, 0},
    {"group = \"a\";", "group = \"b\";", "group", 2},
    {"capabilities = [ ];", "", "capabilities", 0},
    {"capabilities = [ \"net_bind_service\" ];", "", NULL, 0},
    {"capabilities = [ \"net_admin\" ];", "capabilities = [ \"sys_resource\" ];", "capabilities", 2},
    {"capabilities = [ \"net_admin\" ];", "capabilities = ( \"net_admin\" );", NULL, 0},
    {"pipe_size = \"1MiB\";", "pipe_size = 1048576;", NULL, 0},
    {"pipe_size = \"1MiB\";", "pipe_size = \"2MiB\";", "pipe_size", 2},
    {"log = { access = \"off\"; };", "log = { access = \"./log\"; };", NULL, 0},
    {"", "admin = { listen = \":0\"; };", NULL, 0},
    {"timeouts = { idle = \"1s\"; };", "timeouts = { idle = \"2s\"; };", NULL, 0},
    {"files = { f = { root = \"/\"; }; };", "tls = { t = { certs = ( { cert = \"c\"; key = \"k\"; } ); }; };",
     NULL, 0},
};

static struct conf *load(const char *more)
{
    char text[1024];
    snprintf(text, sizeof(text), "%s%s", FIXTURE_BASE, more);
    return fixture_good(text, NULL);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf *old = load(cases[i].before), *fresh = load(cases[i].after);
        struct conf_problems problems = {0};
        assert_int_equal(conf_reloadable(old, fresh, &problems), cases[i].key == NULL);
        assert_int_equal(problems.count, cases[i].key != NULL);
        if (cases[i].key != NULL) {
            assert_string_equal(problems.items[0].key, cases[i].key);
            assert_int_equal(problems.items[0].line, cases[i].line);
            assert_string_equal(problems.items[0].file, "test.conf");
            assert_string_equal(problems.items[0].text,
                                "a reload can't change this: restart, or set it back to what it was");
        }
        conf_problems_clear(&problems);
        conf_free(old);
        conf_free(fresh);
    }
}

static void test_all_at_once(void **state)
{
    (void)state;
    struct conf *old = load(""),
                *fresh = load("workers = 2;\nuser = \"u\";\ngroup = \"g\";\ncapabilities = [ ];\n"
                              "pipe_size = 65536;\n");
    struct conf_problems problems = {0};
    assert_false(conf_reloadable(old, fresh, &problems));
    static const char *const keys[] = {"workers", "user", "group", "capabilities", "pipe_size"};
    assert_int_equal(problems.count, COUNT(keys));
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_string_equal(problems.items[i].key, keys[i]);
        assert_int_equal(problems.items[i].line, (int)i + 2);
    }
    conf_problems_clear(&problems);
    conf_free(old);
    conf_free(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
