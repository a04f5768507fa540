/* conf: names of servers, by table; `resolve`, globally and per backend; what is wrong with them. */
#include <sys/socket.h>

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X63 X50 "xxxxxxxxxxxxx"
#define WEB "listeners = { web = { address = \":0\"; proxy = \"app\"; }; };\n"

static const struct {
    const char *text, *host;
    unsigned port;
    bool srv;
} good[] = {
    {"app.internal:8080", "app.internal", 8080, false},
    {"localhost:1", "localhost", 1, false},
    {"a_b-c.d1.:65535", "a_b-c.d1.", 65535, false},
    {"1a:1", "1a", 1, false},
    {"10.0.0.1a:1", "10.0.0.1a", 1, false},
    {"0x7f:1", "0x7f", 1, false},
    {"xn--bcher-kva.example:80", "xn--bcher-kva.example", 80, false},
    {X63 "." X63 "." X63 "." X50 "xxxxxxxxxxx:1", X63 "." X63 "." X63 "." X50 "xxxxxxxxxxx", 1,
     false}, /* 253 */
    {"srv:_http._tcp.app.internal", "_http._tcp.app.internal", 0, true},
    {"srv:web.service.consul.", "web.service.consul.", 0, true},
};

static const struct {
    const char *text, *problem;
} bad[] = {
    {"app.internal", "lacks a port"},
    {"app.internal:", "no valid port"},
    {"app.internal:http", "no valid port"},
    {"app.internal:65536", "no valid port"},
    {"app..internal:1", "not a host name"},
    {".app:1", "not a host name"},
    {".:1", "numeric"},
    {"-app:1", "not a host name"},
    {"app-:1", "not a host name"},
    {"app internal:1", "not a host name"},
    {"b\xc3\xbc"
     "cher.example:80",
     "not a host name"},
    {"http//app:80", "not a host name"},
    {"http://app:80", "IPv6 address goes in brackets"},
    {X63 "x:1", "not a host name"},
    {X63 "." X63 "." X63 "." X50 "xxxxxxxxxxxx:1", "not a host name"}, /* 254 */
    {"10.0.0.256:80", "not a numeric address"},
    {"1.2.3:80", "not a numeric address"},
    {"app.1:80", "last part"},
    {"::1:80", "in brackets"},
    {"[app]:80", "in brackets"},
    {"srv:", "not a host name"},
    {"srv:a b", "not a host name"},
    {"srv:10.0.0.1", "last part"},
    {"srv:_http._tcp.app.internal:80", "has a port"},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct conf_address address;
        const char *problem = NULL;
        if (!conf_address_parse_server(good[i].text, &address, &problem)) {
            fail_msg("%s %s", good[i].text, problem);
        }
        assert_string_equal(address.host, good[i].host);
        assert_string_equal(address.text, good[i].text);
        assert_int_equal(address.port, good[i].port);
        assert_int_equal(address.srv, good[i].srv);
        assert_int_equal(address.length, 0);
        conf_address_clear(&address);
        assert_false(conf_address_parse(good[i].text, &address, &problem)); /* not to be listened on */
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct conf_address address = {.length = 42};
        const char *problem = NULL;
        assert_false(conf_address_parse_server(bad[i].text, &address, &problem));
        if (strstr(problem, bad[i].problem) == NULL) {
            fail_msg("%s: got \"%s\"", bad[i].text, problem);
        }
        assert_int_equal(address.length, 42);
    }
}

static void test_numbers_stay_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int family;
    } cases[] = {{"127.0.0.1:80", AF_INET}, {"[::1]:80", AF_INET6}, {":80", AF_INET6}, {"unix:srv", AF_UNIX}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf_address address;
        const char *problem = NULL;
        assert_true(conf_address_parse_server(cases[i].text, &address, &problem));
        assert_int_equal(address.addr.ss_family, cases[i].family);
        assert_null(address.host);
        conf_address_clear(&address);
    }
}

static void test_inheritance(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(
        "resolve = { servers = [ \"127.0.0.1:5353\", \"[::1]\" ]; timeout = \"1s\"; hold = \"0s\"; };\n"
        "backends = { app = { servers = ( \"app.internal:80\" ); };\n"
        "own = { servers = ( \"app.internal:80\" ); resolve = { servers = [ \"10.0.0.1\" ]; family = "
        "\"ipv6\"; }; };\n"
        "half = { servers = ( \"app.internal:80\" ); resolve = { interval_max = \"2s\"; }; };\n"
        "none = { servers = ( \"app.internal:80\" ); resolve = { servers = [ ]; }; }; };\n" WEB,
        NULL);
    const struct conf_resolve *app = &conf->backends[0].resolve, *own = &conf->backends[1].resolve,
                              *half = &conf->backends[2].resolve, *none = &conf->backends[3].resolve;
    assert_int_equal(app->server_count, 2);
    assert_string_equal(app->servers[1], "[::1]");
    assert_int_equal(app->timeout_ms, 1000);
    assert_int_equal(app->hold_ms, 0);
    assert_int_equal(app->interval_min_ms, 1000);
    assert_int_equal(app->interval_max_ms, 60000);
    assert_int_equal(own->server_count, 1);
    assert_string_equal(own->servers[0], "10.0.0.1");
    assert_int_equal(own->family, CONF_FAMILY_IPV6);
    assert_int_equal(own->timeout_ms, 1000);
    assert_int_equal(half->server_count, 2);
    assert_string_equal(half->servers[0], "127.0.0.1:5353");
    assert_int_equal(half->interval_max_ms, 2000);
    assert_int_equal(none->server_count, 0);
    assert_string_equal(conf->backends[0].servers[0].name, "app.internal:80");
    conf_free(conf);
}

static void test_problems(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"resolve = {\nservers = [ \"127.0.0.1:5353\", \"dns.internal\" ]; };\n" FIXTURE_BASE,
         "test.conf:2: resolve.servers[1]: \"dns.internal\" is not the address of a name server: write it in "
         "numbers, such as \"127.0.0.1:5353\", or \"[::1]\" for port 53\n"},
        {"resolve = { servers = [ \":53\", \"127.0.0.1:0\", \"unix:/x\" ]; };\n" FIXTURE_BASE,
         "test.conf:1: resolve.servers[0]: \":53\" is not the address of a name server: write it in numbers, "
         "such "
         "as \"127.0.0.1:5353\", or \"[::1]\" for port 53\n"
         "test.conf:1: resolve.servers[1]: \"127.0.0.1:0\" is not the address of a name server: write it in "
         "numbers, such as \"127.0.0.1:5353\", or \"[::1]\" for port 53\n"
         "test.conf:1: resolve.servers[2]: \"unix:/x\" is not the address of a name server: write it in "
         "numbers, "
         "such as \"127.0.0.1:5353\", or \"[::1]\" for port 53\n"},
        {"resolve = { servers = \"127.0.0.1\"; };\n" FIXTURE_BASE,
         "test.conf:1: resolve.servers: expected a list of strings, such as [ \"127.0.0.1:5353\", \"[::1]\" "
         "]; "
         "found a string\n"},
        {"backends = { app = { servers = ( \"app.internal:80\" ); resolve = {\nservers = [ \"ns\" "
         "];\ninterval_min "
         "= \"2m\"; }; }; };\n" WEB,
         "test.conf:2: backends.app.resolve.servers[0]: \"ns\" is not the address of a name server: write it "
         "in "
         "numbers, such as \"127.0.0.1:5353\", or \"[::1]\" for port 53\n"
         "test.conf:3: backends.app.resolve.interval_min: longer than interval_max, which is 60000 ms: make "
         "it "
         "shorter, or that one longer\n"},
        {"resolve = {\ninterval_max = \"200ms\"; };\n" FIXTURE_BASE,
         "test.conf:2: resolve.interval_max: shorter than interval_min, which is 1000 ms: make it longer, or "
         "that one shorter\n"},
        {"resolve = {\ninterval_max = \"x\"; };\n" FIXTURE_BASE,
         "test.conf:2: resolve.interval_max: \"x\" does not begin with a whole number, such as \"30s\"\n"},
        {"resolve = { timeout = \"2h\"; familiy = \"ipv4\"; };\n" FIXTURE_BASE,
         "test.conf:1: resolve.familiy: unknown key: did you mean `family`?\n"
         "test.conf:1: resolve.timeout: 2h is out of range: choose a duration in quotes from 10ms to 1m\n"},
        {"backends = { app = { servers = (\n\"app.internal:0\",\n\"app.internal\",\n\"APP.internal:0\" ); }; "
         "};\n" WEB,
         "test.conf:2: backends.app.servers[0].address: \"app.internal:0\" has port 0, to which nothing "
         "connects: "
         "write the port that the server listens on\n"
         "test.conf:3: backends.app.servers[1].address: \"app.internal\" lacks a port: write host and port, "
         "such "
         "as \"127.0.0.1:80\", or only \":80\" for every address of this host\n"
         "test.conf:4: backends.app.servers[2].address: \"APP.internal:0\" has port 0, to which nothing "
         "connects: "
         "write the port that the server listens on\n"
         "test.conf:4: backends.app.servers[2].address: \"APP.internal:0\" stands here twice (line 2): each "
         "of its "
         "addresses is a server already; delete one of the two\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *printed = fixture_bad(cases[i].text, NULL);
        assert_string_equal(printed, cases[i].printed);
        free(printed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_numbers_stay_numbers),
        cmocka_unit_test(test_inheritance),
        cmocka_unit_test(test_problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
