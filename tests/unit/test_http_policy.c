/* proxy/http/policy: the text of heads, and which answers get it. */
#include "proxy/http/policy.h"

#include "conf/conf.h"
#include "http_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct conf *conf;
static struct http_policy *policy;

/* keys: of a `files`. What it makes is in `policy`. */
static void load(const char *keys)
{
    char text[4096];
    struct conf_problems problems = {0};
    snprintf(
        text, sizeof(text),
        "files = { f = { root = \"/\"; %s }; }; listeners = { l = { address = \":0\"; files = \"f\"; }; };",
        keys);
    conf = conf_load_text(text, "test.conf", "/", &problems);
    conf_problems_print(&problems, stderr);
    assert_non_null(conf);
    policy = http_policy_new(&conf->files[0].policy);
    assert_non_null(policy);
    /* It is on its own. */
    conf_free(conf);
}

static int drop(void **state)
{
    (void)state;
    http_policy_free(policy);
    policy = NULL;
    return 0;
}

static void assert_slice(struct http_slice slice, const char *text)
{
    if (!http_slice_is(slice, text))
        fail_msg("%.*s instead of %s", (int)slice.size, slice.at, text);
}

static void assert_fields(int status, bool secure, const char *text)
{
    assert_slice(http_policy_fields(policy, status, secure), text);
}

static void test_no_policy(void **state)
{
    (void)state;
    assert_fields(200, true, "Server: sluice\r\n");
    assert_fields(404, false, "Server: sluice\r\n");
    load("");
    assert_fields(200, true, "Server: sluice\r\n");
    assert_fields(404, false, "Server: sluice\r\n");
}

static void test_fields(void **state)
{
    (void)state;
    static const int fine[] = {200, 206, 301, 302, 304, 308}, wrong[] = {400, 403, 404, 405, 412, 416, 500};
    load("headers = ( { name = \"A\"; value = \"1\"; }, { name = \"B\"; value = \"2, 3\"; always = true; }, "
         "{ name = \"A\"; value = \"%s\"; } ); server_header = \"it's me\"; hsts = { };");
    for (size_t i = 0; i < COUNT(fine); i++) {
        assert_fields(fine[i], false, "Server: it's me\r\nA: 1\r\nB: 2, 3\r\nA: %s\r\n");
        assert_fields(fine[i], true,
                      "Server: it's me\r\nStrict-Transport-Security: max-age=31536000\r\nA: 1\r\nB: 2, 3\r\n"
                      "A: %s\r\n");
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_fields(wrong[i], false, "Server: it's me\r\nB: 2, 3\r\n");
        assert_fields(wrong[i], true,
                      "Server: it's me\r\nStrict-Transport-Security: max-age=31536000\r\nB: 2, 3\r\n");
    }
}

static void test_hsts(void **state)
{
    (void)state;
    load("hsts = { max_age = \"730d\"; include_subdomains = true; preload = true; }; server_header = "
         "\"off\";");
    assert_fields(200, true, "Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\r\n");
    assert_fields(200, false, "");
    drop(NULL);
    load("hsts = { max_age = \"0s\"; };");
    assert_fields(503, true, "Server: sluice\r\nStrict-Transport-Security: max-age=0\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_no_policy, drop),
        cmocka_unit_test_teardown(test_fields, drop),
        cmocka_unit_test_teardown(test_hsts, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
