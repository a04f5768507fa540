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
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
