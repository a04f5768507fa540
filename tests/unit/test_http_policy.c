/* proxy/http/policy: the text of heads, and which answers get it. */
#include "proxy/http/policy.h"

#include "http_policy_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct conf *conf;
static struct http_policy *policy;

/* keys: of a `files`. What it makes is in `policy`. */
static void load(const char *keys)
{
    conf = fixture_policy(keys);
    policy = http_policy_new(&conf->files[0].policy);
    assert_non_null(policy);
}

static int drop(void **state)
{
    (void)state;
    http_policy_free(policy);
    conf_free(conf);
    policy = NULL;
    conf = NULL;
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

static void assert_rule(const char *path, const char *line, bool no_transform)
{
    const struct http_cache_rule *rule = http_policy_cache_rule(policy, path);
    assert_non_null(rule);
    assert_slice(rule->line, line);
    assert_int_equal(rule->no_transform, no_transform);
}

static void test_cache_rules(void **state)
{
    (void)state;
    load("cache_control = ( { match = [ \"*.css\", \"*.js\" ]; value = \"max-age=60\"; }, { match = "
         "\"/a/*\"; value = \"private, No-Transform\"; }, { match = \"*.html\"; value = \"no-transforms\"; } "
         ");");
    assert_rule("a/b.css", "Cache-Control: max-age=60\r\n", false);
    assert_rule("b.js", "Cache-Control: max-age=60\r\n", false);
    assert_rule("a/b.html", "Cache-Control: private, No-Transform\r\n", true);
    assert_rule("b.html", "Cache-Control: no-transforms\r\n", false);
    assert_null(http_policy_cache_rule(policy, "b"));
    drop(NULL);
    load("");
    assert_null(http_policy_cache_rule(policy, "a.css"));
}

static void test_error_pages(void **state)
{
    (void)state;
    load("error_pages = ( { status = [ 404, 403 ]; path = \"/e/4.html\"; }, { status = [ 500 ]; path = "
         "\"//5\"; } );");
    assert_string_equal(http_policy_error_page(policy, 403), "e/4.html");
    assert_string_equal(http_policy_error_page(policy, 404), "e/4.html");
    assert_string_equal(http_policy_error_page(policy, 500), "5");
    assert_null(http_policy_error_page(policy, 503));
}

static void test_types(void **state)
{
    (void)state;
    load(
        "mime_types = ( { extensions = \"foo\"; type = \"text/x-foo\"; } ); default_type = \"image/x-any\";");
    assert_string_equal(http_policy_type(policy, "a/b.foo"), "text/x-foo; charset=utf-8");
    assert_string_equal(http_policy_type(policy, "a/b.html"), "text/html; charset=utf-8");
    assert_string_equal(http_policy_type(policy, "a/b.c/d"), "image/x-any");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_no_policy, drop),   cmocka_unit_test_teardown(test_fields, drop),
        cmocka_unit_test_teardown(test_hsts, drop),        cmocka_unit_test_teardown(test_cache_rules, drop),
        cmocka_unit_test_teardown(test_error_pages, drop), cmocka_unit_test_teardown(test_types, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
