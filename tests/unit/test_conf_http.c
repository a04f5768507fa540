/* conf: `http`, what an HTTP client may ask for. What makes no sense together, with its place and remedy; and
 * how a listener's keys go before the global ones. */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define APP \
    "backends = { app = { servers = ( \"127.0.0.1:9001\" ); }; }; files = { f = { root = \"/\"; }; };\n"
#define LISTENER(target, keys) \
    "listeners = { l = { address = \"127.0.0.1:0\"; " target ";\nhttp = {\n" keys " }; }; };"
#define FILES(keys) APP LISTENER("files = \"f\"", keys)
#define GLOBAL(keys) FILES("") "\nhttp = {\n" keys " };"
#define BOTH(global, listener) "http = { " global " };\n" FILES(listener)

static const struct fixture_case bad[] = {
    {GLOBAL("max_head = \"4KiB\"; max_uri = \"4KiB\";"),
     "test.conf:6: http.max_uri: not less than max_head (\"4KiB\"), so it is never reached: lower it, or "
     "raise "
     "max_head\n"},
    {FILES("max_uri = \"20KiB\";"), "test.conf:4: listeners.l.http.max_uri: not less than max_head "
                                    "(\"16KiB\"), so it is never reached: lower "
                                    "it, or raise max_head\n"},
    /* Told once, where it stands. */
    {BOTH("max_uri = \"16KiB\";", "max_fields = 10;"),
     "test.conf:1: http.max_uri: not less than max_head (\"16KiB\"), so it is never reached: lower it, or "
     "raise max_head\n"},
    /* What holds for all is too much for this one. */
    {BOTH("max_uri = \"6KiB\";", "max_head = \"5KiB\";"),
     "test.conf:1: listeners.l.http.max_uri: not less than max_head (\"5KiB\"), so it is never reached: "
     "lower "
     "it, or raise max_head\n"},
    {APP LISTENER("proxy = \"app\"", ""),
     "test.conf:3: listeners.l.http: what is proxied is not looked at as "
     "HTTP: delete this, or use `limits`\n"},
    {FILES("max_haed = 1024;"),
     "test.conf:4: listeners.l.http.max_haed: unknown key: did you mean `max_head`?\n"},
    {FILES("max_head = 1;"),
     "test.conf:4: listeners.l.http.max_head: 1 is out of range: choose a size from 1KiB to 1MiB\n"},
    {FILES("max_fields = 7;"),
     "test.conf:4: listeners.l.http.max_fields: 7 is out of range: choose a whole number from 8 to 1000\n"},
};

static void test_bad(void **state)
{
    (void)state;
    fixture_check(bad, COUNT(bad), NULL);
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(FILES(""), NULL);
    assert_int_equal(conf->http.max_head, 16384);
    assert_int_equal(conf->http.max_uri, 8192);
    assert_int_equal(conf->http.max_fields, 100);
    assert_int_equal(conf->http.max_body, 65536);
    assert_int_equal(conf->http.keepalive_requests, 1000);
    assert_int_equal(conf->http.keepalive_time, 3600000);
    assert_int_equal(conf->http.min_receive_rate, 240);
    assert_int_equal(conf->http.min_send_rate, 240);
    assert_int_equal(conf->http.min_rate_window, 30000);
    conf_free(conf);
    /* A default is in nobody's way. */
    conf_free(fixture_good(FILES("max_head = \"1KiB\";"), NULL));
}

static void test_inherited(void **state)
{
    (void)state;
    struct conf *conf =
        fixture_good(BOTH("max_head = \"32KiB\"; max_uri = \"1KiB\";", "max_uri = \"2KiB\";"), NULL);
    const struct conf_http *http = &conf->listeners[0].http;
    assert_int_equal(http->max_head, 32768);
    assert_int_equal(http->max_uri, 2048);
    assert_int_equal(http->max_fields, 100);
    assert_int_equal(conf->http.max_uri, 1024);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
