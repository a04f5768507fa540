/* conf: settings of sockets. Those that can have no effect, with place and remedy, and what the good ones
 * load as.
 */
#include "conf_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define APP "backends = { app = { servers = ( \"127.0.0.1:9001\" ); }; };\n"
#define LISTENER(address, keys) \
    APP "listeners = { l = { address = \"" address "\"; proxy = \"app\";\n" keys " }; };"
#define TCP(keys) LISTENER("127.0.0.1:0", keys)
#define UNIX(keys) LISTENER("unix:/run/x", keys)
#define BACKEND(servers, keys)                                                                           \
    "listeners = { l = { address = \"127.0.0.1:0\"; proxy = \"b\"; }; };\nbackends = { b = { servers = " \
    "( " servers " );\n" keys " }; };\n"
#define ONE "\"127.0.0.1:9001\""
#define AT "test.conf:3: "

static const struct fixture_case bad[] = {
    {UNIX("tcp = { fast_open = 5; };"),
     AT "listeners.l.tcp.fast_open: this listens on a UNIX socket, which has no TCP: delete it\n"},
    {UNIX("tcp = { keepalive = { }; user_timeout = \"1s\"; };"),
     AT "listeners.l.tcp.keepalive: this listens on a UNIX socket, which has no TCP: delete it\n"},
    {UNIX("tcp = { congestion = \"bbr\"; };"),
     AT "listeners.l.tcp.congestion: this listens on a UNIX socket, which has no TCP: delete it\n"},
    {TCP("unix_user = \"x\"; unix_group = \"x\";"), AT
     "listeners.l.unix_user: this listens on TCP, where there is no file to own: delete it, or use a unix: "
     "address\n" AT
     "listeners.l.unix_group: this listens on TCP, where there is no file to own: delete it, or "
     "use a unix: address\n"},
    {UNIX("unix_mode = \"rw\";"),
     AT "listeners.l.unix_mode: \"rw\" is no file mode: write three octal digits, such as \"0660\"\n"},
    {UNIX("unix_mode = \"0680\";"),
     AT "listeners.l.unix_mode: \"0680\" is no file mode: write three octal digits, such as \"0660\"\n"},
    {UNIX("unix_mode = \"4755\";"),
     AT "listeners.l.unix_mode: \"4755\" is no file mode: write three octal digits, such as \"0660\"\n"},
    {UNIX("unix_mode = 660;"),
     AT "listeners.l.unix_mode: expected a string in quotes, such as \"0660\"; found a number\n"},
    {TCP("tcp = { keepalive = { idle = \"500ms\"; }; };"),
     AT "listeners.l.tcp.keepalive.idle: 500ms is out of range: choose a duration in quotes from 1s to 9h\n"},
    {TCP("backlog = 0;"),
     AT "listeners.l.backlog: 0 is out of range: choose a whole number from 1 to 65535\n"},
    {TCP("tcp = { fast_open = true; };"), AT "listeners.l.tcp.fast_open: expected a whole number from 1 to "
                                             "65535, such as 256; found a boolean\n"},

    {BACKEND("\"unix:/run/x\"", "tcp = { fast_open = true; };"),
     AT "backends.b.tcp.fast_open: every server is a UNIX socket, which has no TCP: delete it\n"},
    {BACKEND("\"unix:/run/x\"", "source = \"127.0.0.2\";"),
     AT "backends.b.source: every server is a UNIX socket, which has no TCP: delete it\n"},
    {BACKEND("\"unix:/run/x\"", "transparent = true;"),
     AT "backends.b.transparent: every server is a UNIX socket, which has no TCP: delete it\n"},
    {BACKEND(ONE, "source = \"127.0.0.2:80\";"),
     AT "backends.b.source: \"127.0.0.2:80\" is no address: write one of this host's without a port, such as "
        "\"127.0.0.2\" or \"::1\"\n"},
    {BACKEND(ONE, "source = \"eth0\";"), AT "backends.b.source: \"eth0\" is no address: write one of this "
                                            "host's without a port, such as \"127.0.0.2\" "
                                            "or \"::1\"\n"},
    {BACKEND(ONE, "source = \"::1\";"), AT
     "backends.b.source: the server \"127.0.0.1:9001\" can't be reached from it, one is IPv4 and the other "
     "IPv6: put that server into a backend of its own\n"},
    {BACKEND(ONE, "source = \"127.0.0.2\"; transparent = true;"),
     AT "backends.b.source: `transparent` connects from the client's address: delete one of the two\n"},
    {BACKEND(ONE, "transparent = true;") "user = \"nobody\";",
     AT "backends.b.transparent: needs a capability that is given up with root: add \"net_admin\" to "
        "`capabilities`\n"},
};

static void test_bad(void **state)
{
    (void)state;
    fixture_check(bad, COUNT(bad), NULL);
}

static void test_given(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(BACKEND(ONE ", \"unix:/run/x\"",
                                             "source = \"127.0.0.9\"; tcp = { keepalive = { count = 9; }; "
                                             "fast_open = true; };") "files = { }; user = \"nobody\";",
                                     NULL);
    const struct conf_outgoing *outgoing = &conf->backends[0].outgoing;
    assert_true(outgoing->tcp.has_keepalive);
    assert_int_equal(outgoing->tcp.keepalive.idle_ms, 60000);
    assert_int_equal(outgoing->tcp.keepalive.interval_ms, 10000);
    assert_int_equal(outgoing->tcp.keepalive.count, 9);
    assert_int_equal(outgoing->tcp.user_timeout, 0);
    assert_null(outgoing->tcp.congestion);
    assert_true(outgoing->tcp.fast_open);
    assert_string_equal(outgoing->source, "127.0.0.9");
    assert_int_equal(conf->listeners[0].listening.backlog, 4096);
    assert_false(conf->listeners[0].listening.tcp.has_keepalive);
    conf_free(conf);
    conf_free(fixture_good(UNIX("unix_mode = \"0660\"; unix_user = \"a\"; unix_group = \"b\"; backlog = 5;"),
                           NULL));
    conf_free(fixture_good(
        BACKEND(ONE, "transparent = true;") "user = \"nobody\"; capabilities = [ \"net_admin\" ];", NULL));
    conf_free(fixture_good(BACKEND("\"[::1]:1\", \"unix:/run/x\"", "source = \"::1\";"), NULL));
}

static void test_parsers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        unsigned mode;
    } modes[] = {
        {"0660", true, 0660}, {"660", true, 0660}, {"000", true, 0},    {"0777", true, 0777},
        {"", false, 0},       {"66", false, 0},    {"0o660", false, 0}, {"00660", false, 0},
        {"1777", false, 0},   {"66a", false, 0},   {"-660", false, 0},  {"0668", false, 0},
        {"u=rw", false, 0},
    };
    static const struct {
        const char *text;
        int family;
    } sources[] = {
        {"127.0.0.2", AF_INET}, {"::1", AF_INET6},  {"2001:db8::9", AF_INET6}, {"", 0},
        {"[::1]", 0},           {"127.0.0.2:0", 0}, {"localhost", 0},          {"unix:/x", 0},
        {"1.2.3", 0},           {"::1]:5[", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(modes); i++) {
        unsigned mode = 12345;
        print_message("%s\n", modes[i].text);
        assert_int_equal(conf_mode_parse(modes[i].text, &mode), modes[i].good);
        assert_int_equal(mode, modes[i].good ? modes[i].mode : 12345);
    }
    for (size_t i = 0; i < COUNT(sources); i++) {
        struct conf_address address = {0};
        print_message("%s\n", sources[i].text);
        assert_int_equal(conf_source_parse(sources[i].text, &address), sources[i].family != 0);
        assert_int_equal(address.addr.ss_family, sources[i].family);
        assert_false(address.dual_stack);
        conf_address_clear(&address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_given),
        cmocka_unit_test(test_parsers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
