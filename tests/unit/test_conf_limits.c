/* conf: limits. Every combination that makes no sense, with its place and remedy; and what the good ones load
 * as. */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define APP \
    "backends = { app = { servers = ( \"127.0.0.1:9001\" ); }; }; files = { f = { root = \"/\"; }; };\n"
#define WITH(target, address, limits) \
    APP "listeners = { l = { address = \"" address "\"; " target ";\nlimits = {\n" limits " }; }; };"
#define PROXY(limits) WITH("proxy = \"app\"", "127.0.0.1:0", limits)
#define FILES(limits) WITH("files = \"f\"", "127.0.0.1:0", limits)
#define UNIX(limits) WITH("proxy = \"app\"", "unix:/run/x", limits)
#define AT "test.conf:4: listeners.l.limits."

static const struct fixture_case bad[] = {
    {PROXY("connection_burst = 5;"),
     AT "connection_burst: without connection_rate there is nothing to exceed: add it, or delete this\n"},
    {PROXY("connection_rate = 2; connection_burst = 180;"),
     AT "connection_burst: more than 60 seconds of connection_rate: write at most 120\n"},
    {PROXY("client_prefix_v4 = 24;"), AT "client_prefix_v4: no limit is for each client: add "
                                         "max_connections_per_client or connection_rate, or delete this\n"},
    {PROXY("client_prefix_v6 = 48;"), AT "client_prefix_v6: no limit is for each client: add "
                                         "max_connections_per_client or connection_rate, or delete this\n"},
    {PROXY("max_connections = 5; max_clients = 2000;"),
     AT "max_clients: no limit is for each client: add max_connections_per_client or connection_rate, or "
        "delete this\n"},
    {PROXY("max_connections = 5; max_connections_per_client = 6;"),
     AT "max_connections_per_client: more than max_connections (5), so it is never reached: lower it, or "
        "delete one of the two\n"},
    {UNIX("max_connections_per_client = 6; connection_rate = 1;"), AT
     "max_connections_per_client: the clients of a UNIX socket have no addresses to tell them apart: delete "
     "this, or use max_connections\n"},
    {UNIX("connection_rate = 1;"),
     AT "connection_rate: the clients of a UNIX socket have no addresses to tell "
        "them apart: delete this, or use max_connections\n"},
    {FILES("bandwidth = { to_server = \"1MiB\"; };"),
     AT "bandwidth.to_server: files come from no server: delete this, or limit to_client\n"},
    {PROXY("bandwidth = { burst = \"1MiB\"; };"), AT
     "bandwidth.burst: without to_client or to_server there is nothing to exceed: add one, or delete this\n"},
    {PROXY("bandwidth = { to_client = \"1KiB\"; to_server = \"100MiB\"; burst = \"1000KiB\"; };"),
     AT "bandwidth.burst: less than 10 ms of the rate, which could not be kept up: write at least "
        "\"1MiB\"\n"},
    /* Ranges. */
    {PROXY("max_connections = 0;"),
     AT "max_connections: 0 is out of range: choose a whole number from 1 to 10000000\n"},
    {PROXY("client_prefix_v4 = 33; connection_rate = 1;"),
     AT "client_prefix_v4: 33 is out of range: choose a whole number from 1 to 32\n"},
    {PROXY("bandwidth = { to_client = 1000; };"),
     AT "bandwidth.to_client: 1000 is out of range: choose a size from 1KiB to 8GiB\n"},
    {PROXY("connection_rat = 1;"), AT "connection_rat: unknown key: did you mean `connection_rate`?\n"},
    {PROXY("bandwidth = { to_clients = 1; };"),
     AT "bandwidth.to_clients: unknown key: did you mean `to_client`?\n"},
    {PROXY("bandwidth = 5;"),
     AT "bandwidth: expected a group in braces, such as { to_client = \"1MiB\"; }; found "
        "a number\n"},
};

static void test_bad(void **state)
{
    (void)state;
    fixture_check(bad, COUNT(bad), NULL);
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(PROXY(""), NULL);
    const struct conf_limits *limits = &conf->listeners[0].limits;
    assert_int_equal(limits->max_connections, 0);
    assert_int_equal(limits->max_connections_per_client, 0);
    assert_int_equal(limits->connection_rate, 0);
    assert_int_equal(limits->connection_burst, 0);
    assert_int_equal(limits->client_prefix_v4, 32);
    assert_int_equal(limits->client_prefix_v6, 64);
    assert_int_equal(limits->to_client, 0);
    assert_int_equal(limits->to_server, 0);
    assert_int_equal(limits->bandwidth_burst, 0);
    conf_free(conf);
}

static void test_given(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(
        PROXY("max_connections = 100; max_connections_per_client = 10; connection_rate = 5; connection_burst "
              "= 7; "
              "client_prefix_v4 = 24; client_prefix_v6 = 56; max_clients = 5000; bandwidth = { to_client = "
              "\"2MiB\"; to_server = \"64KiB\"; burst = \"100KiB\"; };"),
        NULL);
    const struct conf_limits *limits = &conf->listeners[0].limits;
    assert_int_equal(limits->max_connections, 100);
    assert_int_equal(limits->max_connections_per_client, 10);
    assert_int_equal(limits->connection_rate, 5);
    assert_int_equal(limits->connection_burst, 7);
    assert_int_equal(limits->client_prefix_v4, 24);
    assert_int_equal(limits->client_prefix_v6, 56);
    assert_int_equal(limits->max_clients, 5000);
    assert_int_equal(limits->to_client, 2 << 20);
    assert_int_equal(limits->to_server, 64 << 10);
    assert_int_equal(limits->bandwidth_burst, 100 << 10);
    conf_free(conf);
    conf_free(fixture_good(UNIX("max_connections = 5; bandwidth = { to_server = 4096; };"), NULL));
    conf_free(fixture_good(WITH("proxy = \"app\"; proxy_protocol = { trusted = [ \"unix\" ]; }",
                                "unix:/run/x", "max_connections_per_client = 5;"),
                           NULL));
    conf_free(fixture_good(FILES("bandwidth = { to_client = 4096; };"), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
