/* conf: what a backend's keys come to, their defaults, and each wrong combination with its line and remedy.
 */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WEB "listeners = { web = { address = \"127.0.0.1:0\"; proxy = \"app\"; }; };\n"
#define BACKEND(text) WEB "backends = { app = {\n" text "\n}; };"
#define SERVERS(text) BACKEND("servers = (\n" text ");")
#define ONE "servers = ( \"127.0.0.1:1\" );"

static const struct fixture_case wrong[] = {
    {SERVERS("\"127.0.0.1:1\",\n\"127.0.0.1:2\",\n\"127.0.0.1:1\""),
     "test.conf:6: backends.app.servers[2].address: \"127.0.0.1:1\" is listed already (line 4): delete one; "
     "for a "
     "larger share, give it a `weight`\n"},
    {SERVERS("{ address = \"127.0.0.1:1\"; backup = true; },\n{ address = \"127.0.0.1:2\"; backup = true; }"),
     "test.conf:2: backends.app.servers: every server is a `backup`: delete it from those that serve from "
     "day to "
     "day\n"},
    {BACKEND(ONE "\nqueue = { size = 5; };"), "test.conf:4: backends.app.queue: nobody ever waits, since no "
                                              "server has `max_connections`: give it to the "
                                              "servers, or delete this\n"},
    {BACKEND(ONE " balance = \"maglev\";\nslow_start = \"5s\";"),
     "test.conf:4: backends.app.slow_start: a weight that grows would move clients from server to server, "
     "which "
     "`balance` = \"maglev\" is there to avoid: delete this, or choose \"round_robin\", \"least_conn\" or "
     "\"random\"\n"},
    {BACKEND(ONE " balance = \"source_hash\";\nslow_start = \"5s\";"),
     "test.conf:4: backends.app.slow_start: a weight that grows would move clients from server to server, "
     "which "
     "`balance` = \"source_hash\" is there to avoid: delete this, or choose \"round_robin\", \"least_conn\" "
     "or "
     "\"random\"\n"},
    {BACKEND(ONE "\nbalance = \"leastconn\";"),
     "test.conf:4: backends.app.balance: \"leastconn\" is not one of \"round_robin\", \"least_conn\", "
     "\"random\", "
     "\"source_hash\", \"maglev\": did you mean \"least_conn\"?\n"},
};

static const struct fixture_case wrong_health[] = {
    {BACKEND(ONE "health = {\npath = \"/x\";\nhost = \"h\"; };"),
     "test.conf:4: backends.app.health.path: a check of type \"tcp\" has no use for it: delete this, or "
     "choose type = "
     "\"http\"\n"
     "test.conf:5: backends.app.health.host: a check of type \"tcp\" has no use for it: delete this, or "
     "choose type = "
     "\"http\"\n"},
    {BACKEND(ONE "health = { type = \"tls\"; host = \"h\";\nstatus = [ \"200\" ]; };"),
     "test.conf:4: backends.app.health.status: a check of type \"tls\" has no use for it: delete this, or "
     "choose type "
     "= \"http\"\n"},
    {BACKEND(ONE "tls = { };\nhealth = { type = \"tls\";\nhost = \"h\"; };"),
     "test.conf:5: backends.app.health.host: checks use the names that connections use: set "
     "`tls.server_name` "
     "instead\n"},
    {BACKEND(ONE "health = { type = \"http\";\npath = \"x\";\nhost = \"a b\";\nstatus = [ \"2xx\", "
                 "\"399-200\" ]; };"),
     "test.conf:4: backends.app.health.path: \"x\" is no path of a request: begin it with /, and write "
     "spaces and the "
     "like as %20\n"
     "test.conf:5: backends.app.health.host: \"a b\" is no host name: write one such as \"app.example.org\"\n"
     "test.conf:6: backends.app.health.status: \"2xx\" is no status: write one such as \"200\", or a range "
     "such as "
     "\"200-399\"\n"
     "test.conf:6: backends.app.health.status: \"399-200\" is no status: write one such as \"200\", or a "
     "range such as "
     "\"200-399\"\n"},
    {BACKEND(ONE "health = { type = \"http\";\nstatus = [ ]; };"),
     "test.conf:4: backends.app.health.status: empty, so that no answer would do: write the good ones, such "
     "as [ "
     "\"200-399\" ]\n"},
    {BACKEND("servers = ( \"127.0.0.1:1\", \"127.0.0.1:2\" ); eject = { max = \"5s\";\nbase = \"6s\"; };"),
     "test.conf:4: backends.app.eject.base: longer than `max`: choose a shorter one, or a larger `max`\n"},
    {BACKEND(ONE "\neject = { };"), "test.conf:2: backends.app.eject.share: 50 % of 1 is not one server, so "
                                    "none would ever be ejected: choose a "
                                    "larger share, or delete `eject`\n"},
};

static void test_status_ranges(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "20",       "2000", "200-",        "-200",
                                      "200-2",   "200-2000", "099",  "600",         "200-600",
                                      "300-200", "2x0",      "200 ", "200-300-400", "200,201"};
    unsigned low, high;
    assert_true(conf_status_range_parse("200", &low, &high));
    assert_true(low == 200 && high == 200);
    assert_true(conf_status_range_parse("100-599", &low, &high));
    assert_true(low == 100 && high == 599);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(conf_status_range_parse(bad[i], &low, &high));
    }
}

static void test_wrong_health(void **state)
{
    (void)state;
    fixture_check(wrong_health, COUNT(wrong_health), NULL);
}

static void test_health_values(void **state)
{
    (void)state;
    struct conf *conf =
        fixture_good(BACKEND(ONE "health = { }; eject = { share = 100; }; panic = false;"), NULL);
    const struct conf_backend *app = &conf->backends[0];
    assert_true(app->has_health && app->has_eject);
    assert_false(app->panic);
    assert_int_equal(app->health.type, CONF_HEALTH_TCP); /* HAProxy's defaults */
    assert_int_equal(app->health.interval_ms, 2000);
    assert_int_equal(app->health.rise, 2);
    assert_int_equal(app->health.fall, 3);
    assert_int_equal(app->health.jitter, 10);
    assert_string_equal(app->health.path, "/");
    assert_null(app->health.host);
    assert_int_equal(app->health.status_count, 1);
    assert_int_equal(app->eject.failures, 5);
    assert_int_equal(app->eject.base_ms, 10000);
    conf_free(conf);
    conf = fixture_good(BACKEND(ONE), NULL);
    assert_false(conf->backends[0].has_health || conf->backends[0].has_eject);
    assert_true(conf->backends[0].panic);
    conf_free(conf);
}

static void test_wrong(void **state)
{
    (void)state;
    fixture_check(wrong, COUNT(wrong), NULL);
}

static void test_values(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(SERVERS("{ address = \"127.0.0.1:1\"; max_connections = 7; }, { address "
                                             "= \"127.0.0.1:2\"; backup = true; }") "",
                                     NULL);
    const struct conf_backend *app = &conf->backends[0];
    assert_int_equal(app->servers[0].max_connections, 7);
    assert_false(app->servers[0].backup);
    assert_true(app->servers[1].backup);
    assert_int_equal(app->servers[1].max_connections, 0);
    assert_int_equal(app->queue.size, 1000); /* defaults */
    assert_int_equal(app->queue.timeout_ms, 5000);
    assert_int_equal(app->slow_start_ms, 0);
    assert_int_equal(app->balance, CONF_BALANCE_ROUND_ROBIN);
    conf_free(conf);

    conf = fixture_good(
        BACKEND("servers = ( { address = \"127.0.0.1:1\"; max_connections = 1; } ); queue = { size = "
                "3; timeout = \"2s\"; }; slow_start = \"1m\"; balance = \"random\";"),
        NULL);
    app = &conf->backends[0];
    assert_int_equal(app->queue.size, 3);
    assert_int_equal(app->queue.timeout_ms, 2000);
    assert_int_equal(app->slow_start_ms, 60000);
    assert_int_equal(app->balance, CONF_BALANCE_RANDOM);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong),         cmocka_unit_test(test_wrong_health),
        cmocka_unit_test(test_status_ranges), cmocka_unit_test(test_health_values),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
