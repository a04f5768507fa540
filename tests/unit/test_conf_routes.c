/* conf: routes, access lists and the PROXY protocol: every wrong combination with its line, key and remedy.
 */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BASE                                                                                             \
    "backends = { app = { servers = ( \"127.0.0.1:1\" ); }; }; files = { media = { root = \"/\"; }; }; " \
    "tls = { main = { certs = ( { cert = \"c\"; key = \"k\"; } ); alpn = [ \"http/1.1\" ]; }; };\n"
#define WEB(text) BASE "listeners = { web = { address = \":0\"; " text " }; };"

static const struct fixture_case cases[] = {
    {WEB("proxy = \"app\";\nroutes = ( { deny = true; } );"),
     "test.conf:3: listeners.web.routes: `proxy` and `routes` are both given: delete one, or move `proxy` "
     "into a "
     "last route without conditions, for what no other route takes\n"},
    {WEB("routes = ( );"),
     "test.conf:2: listeners.web.routes: empty: at least one is needed, such as ( { sni = "
     "[ \"*.example.org\" ]; proxy = \"app\"; }, { deny = true; } )\n"},
    {WEB("routes = (\n{ source = [ \"::1\" ]; } );"),
     "test.conf:3: listeners.web.routes[0]: does nothing: add proxy = \"NAME\"; with a name under "
     "`backends`, "
     "files = \"NAME\"; with one under `files`, sites = [ \"NAME\" ]; with some under `sites`, or deny = "
     "true;\n"},
    {WEB("routes = (\n{ deny = false; } );"), "test.conf:3: listeners.web.routes[0]: does nothing: add proxy "
                                              "= \"NAME\"; with a name under `backends`, "
                                              "files = \"NAME\"; with one under `files`, sites = [ \"NAME\" "
                                              "]; with some under `sites`, or deny = true;\n"},
    {WEB("routes = (\n{ proxy = \"app\"; deny = true; } );"),
     "test.conf:3: listeners.web.routes[0]: `proxy` and `deny` are both given, and a route does one: delete "
     "one "
     "of them\n"},
    {WEB("routes = (\n{ proxy = \"app\"; },\n{ sni = [ \"a\" ]; deny = true; } );"),
     "test.conf:4: listeners.web.routes[1]: never reached: the route on line 3 has no condition and takes "
     "everything; put it last\n"},
    {WEB("routes = (\n{ sni = [ \"a\" ];\nfiles = \"media\"; } );"),
     "test.conf:4: listeners.web.routes[0].files: what has a name (`sni`) is encrypted, and without `tls` "
     "only a "
     "backend can read it: add tls to the listener, or use `proxy`\n"},
    {WEB("routes = ( { sni = [ ]; deny = true; } );"), "test.conf:2: listeners.web.routes[0].sni: empty: at "
                                                       "least one is needed, such as [ \"www.example.org\", "
                                                       "\"*.example.org\" ]\n"},
    {WEB("tls = \"main\"; routes = (\n{ alpn = [ \"h2\" ]; proxy = \"app\"; } );"),
     "test.conf:3: listeners.web.routes[0].alpn: never matches, since tls.main.alpn has none of these and so "
     "they "
     "are never agreed on: add them there\n"},
    {WEB("relay = \"sendfile\"; routes = ( { source = [ \"::1\" ]; files = \"media\"; }, { proxy = \"app\"; "
         "} );"),
     "test.conf:2: listeners.web.relay: \"sendfile\" reads files, and a proxy has none: choose \"auto\", "
     "\"splice\" or \"copy\"\n"},
    {WEB("relay = \"splice\"; routes = ( { source = [ \"::1\" ]; files = \"media\"; }, { proxy = \"app\"; } "
         ");"),
     "test.conf:2: listeners.web.relay: \"splice\" moves from socket to socket, and this listener serves "
     "files: "
     "choose \"auto\", \"sendfile\", \"mmap\" or \"copy\"\n"},
    {WEB("routes = ( { snii = [ \"a\" ]; deny = true; } );"),
     "test.conf:2: listeners.web.routes[0].snii: unknown key: did you mean `sni`?\n"},
    {WEB("routes = ( { proxy = \"ap\"; } );"), "test.conf:2: listeners.web.routes[0].proxy: there is no "
                                               "\"ap\" under `backends`: did you mean \"app\"?\n"},
    {WEB("proxy = \"app\"; allow = [ \"10.0.0.0/8\",\n\"10.0.0.1/8\" ];"),
     "test.conf:3: listeners.web.allow[1]: \"10.0.0.1/8\" has bits set beyond its prefix: write the first "
     "address "
     "of the range, such as \"10.0.0.0/8\", or without the / for one address\n"},
    {WEB("proxy = \"app\"; deny = [ \"localhost\" ];"),
     "test.conf:2: listeners.web.deny[0]: \"localhost\" is not a range of addresses: write, for example, "
     "\"10.0.0.0/8\", \"2001:db8::/32\", one address, or \"unix\"\n"},
    {WEB("proxy = \"app\"; deny = true;"), "test.conf:2: listeners.web.deny: expected a list of ranges of "
                                           "addresses, such as [ \"10.66.0.0/16\" ]; found "
                                           "a boolean\n"},
    {WEB("proxy = \"app\"; allow = [ ];"),
     "test.conf:2: listeners.web.allow: empty: at least one is needed, such "
     "as [ \"10.0.0.0/8\", \"2001:db8::/32\" ]\n"},
    {WEB("proxy = \"app\"; proxy_protocol = { };"), "test.conf:2: listeners.web.proxy_protocol.trusted: "
                                                    "missing: add trusted = [ \"10.0.0.0/8\", \"unix\" ];\n"},
    {WEB("proxy = \"app\"; proxy_protocol = \"v2\";"),
     "test.conf:2: listeners.web.proxy_protocol: expected a group in braces, such as { trusted = [ "
     "\"10.0.0.0/8\" ]; }; found a string\n"},
    {"backends = { app = { servers = ( \"127.0.0.1:1\" ); proxy_protocol = \"v3\"; }; }; listeners = { web = "
     "{ "
     "address = \":0\"; proxy = \"app\"; }; };",
     "test.conf:1: backends.app.proxy_protocol: \"v3\" is not one of \"off\", \"v1\", \"v2\": did you mean "
     "\"v1\"?\n"},
};

static void test_problems(void **state)
{
    (void)state;
    fixture_check(cases, COUNT(cases), "/");
}

static void test_good(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(
        WEB("tls = \"main\"; allow = [ \"10.0.0.0/8\" ]; deny = [ \"10.1.0.0/16\", \"unix\" ]; "
            "proxy_protocol = { "
            "trusted = [ \"::1\" ]; }; routes = ( { sni = [ \"a\", \"*.b\" ]; alpn = [ \"http/1.1\" ]; files "
            "= "
            "\"media\"; }, { source = [ \"::/0\" ]; proxy = \"app\"; deny = false; }, { deny = true; } );"),
        "/");
    const struct conf_listener *listener = &conf->listeners[0];
    assert_int_equal(listener->allow.count, 1);
    assert_int_equal(listener->deny.count, 2);
    assert_true(listener->has_proxy_protocol);
    assert_int_equal(listener->proxy_protocol.trusted.count, 1);
    assert_int_equal(listener->route_count, 3);
    assert_int_equal(listener->routes[0].sni_count, 2);
    assert_ptr_equal(listener->routes[0].files, &conf->files[0]);
    assert_int_equal(listener->routes[1].source.count, 1);
    assert_ptr_equal(listener->routes[1].backend, &conf->backends[0]);
    assert_true(listener->routes[2].deny);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
