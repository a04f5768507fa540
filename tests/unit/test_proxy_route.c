/* proxy/route: the first that matches, by name, protocol and address; and when a hello must be looked at. */
#include "proxy/route.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char text[] =
    "backends = { app = { servers = ( \"127.0.0.1:1\" ); }; };\n"
    "listeners = { web = { address = \":0\"; routes = ("
    "  { source = [ \"10.0.0.0/8\" ]; deny = true; },"                                        /* 0 */
    "  { sni = [ \"WWW.example.org.\", \"mail.example.org\" ]; proxy = \"app\"; },"           /* 1 */
    "  { alpn = [ \"acme-tls/1\", \"h3\" ]; sni = [ \"*.example.org\" ]; proxy = \"app\"; }," /* 2 */
    "  { sni = [ \"*.example.org\" ]; source = [ \"192.0.2.0/24\" ]; proxy = \"app\"; },"     /* 3 */
    "  { alpn = [ \"h2\" ]; deny = true; },"                                                  /* 4 */
    "  { source = [ \"192.0.2.0/24\" ]; proxy = \"app\"; } ); }; };";                         /* 5 */

struct choice_case {
    const char *client;
    bool asked;
    const char *sni, *alpn; /* alpn: each with its length in front */
    enum route_choice choice;
    size_t index;
};

static const struct choice_case cases[] = {
    {"10.1.2.3", false, "", "", ROUTE_FOUND, 0},
    {"192.0.2.1", false, "", "", ROUTE_ASK, 0},
    {"192.0.2.1", true, "www.example.org", "", ROUTE_FOUND, 1},
    {"192.0.2.1", true, "WWW.Example.ORG", "\x02h2", ROUTE_FOUND, 1},
    {"192.0.2.1", true, "mail.example.org.", "", ROUTE_FOUND, 1},
    {"192.0.2.1", true, "x.example.org", "", ROUTE_FOUND, 3},
    {"198.51.100.1", true, "x.example.org", "", ROUTE_NONE, 0},
    {"198.51.100.1", true, "x.example.org",
     "\x02h2\x0a"
     "acme-tls/1",
     ROUTE_FOUND, 2},
    {"198.51.100.1", true, "x.example.org", "\x02h2\x08http/1.1", ROUTE_FOUND, 4},
    {"198.51.100.1", true, "y.x.example.org",
     "\x0a"
     "acme-tls/1",
     ROUTE_NONE, 0},
    {"198.51.100.1", true, "example.org", "\x02h3", ROUTE_NONE, 0},
    {"198.51.100.1", true, "", "\x01h\x03h22", ROUTE_NONE, 0},
    {"192.0.2.9", true, "", "", ROUTE_FOUND, 5},
    {"192.0.2.9", true, "bad name \xff", "", ROUTE_FOUND, 5},
    {"192.0.2.9", true, "*.example.org", "", ROUTE_FOUND, 5},
};

static void test_first_match_wins(void **state)
{
    struct conf *conf = fixture_good(text, "/");
    struct conf_problems problems = {0};
    struct routes routes;

    (void)state;
    assert_true(routes_init(&routes, &conf->listeners[0], &problems));
    assert_int_equal(routes.count, 6);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sockaddr_storage client = {.ss_family = AF_INET};
        const struct route *chosen = NULL;
        const struct route_facts facts = {.client = &client,
                                          .asked = cases[i].asked,
                                          .sni = cases[i].sni,
                                          .alpn = (const uint8_t *)cases[i].alpn,
                                          .alpn_size = strlen(cases[i].alpn)};

        print_message("case %zu\n", i);
        assert_int_equal(inet_pton(AF_INET, cases[i].client, &((struct sockaddr_in *)&client)->sin_addr), 1);
        assert_int_equal(routes_choose(&routes, &facts, &chosen), cases[i].choice);
        if (cases[i].choice == ROUTE_FOUND)
            assert_ptr_equal(chosen, &routes.items[cases[i].index]);
    }
    routes_clear(&routes);
    conf_free(conf);
}

static void test_what_is_no_name(void **state)
{
    static const char *const names[] = {"", "a..b", "*", "*.*.org", "www.*.org", "a b"};

    (void)state;
    for (size_t i = 1; i < COUNT(names); i++) {
        char *name = strdup(names[i]);
        struct conf_route route = {.sni = &name, .sni_count = 1, .sni_place = {"f", 7}};
        const struct conf_listener listener = {.name = (char *)"web", .routes = &route, .route_count = 1};
        struct conf_problems problems = {0};
        struct routes routes;

        print_message("%s\n", name);
        assert_false(routes_init(&routes, &listener, &problems));
        assert_int_equal(problems.count, 1);
        assert_int_equal(problems.items[0].line, 7);
        assert_string_equal(problems.items[0].key, "listeners.web.routes[0].sni[0]");
        routes_clear(&routes);
        conf_problems_clear(&problems);
        free(name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_match_wins),
        cmocka_unit_test(test_what_is_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
