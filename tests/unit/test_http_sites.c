/* proxy/http/sites: what a connection gets from sites: whose files, which redirect, 421; and what the report
 * says of it. */
#include "proxy/http/sites.h"

#include "http_fixture.h"
#include "proxy/http/request.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Stands for a `files`: answers with its name and the path that it was asked for, or later. */
struct place {
    const char *name;
    bool at_once;
    unsigned asked, cancelled;
};

static void place_handle(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    struct place *place = arg;
    char text[128];
    int size = snprintf(text, sizeof(text), "%s:%s%s", place->name, http_target_rest(&request->resolved).at,
                        request->resolved.is_directory ? "/" : "");
    place->asked++;
    if (place->at_once)
        http_respond_memory(exchange, 200, "text/plain", NULL, text, (size_t)size);
}

static void place_cancel(void *arg, struct http_exchange *exchange)
{
    struct place *place = arg;
    assert_non_null(exchange);
    place->cancelled++;
}

struct places {
    struct place root, media;
    struct http_handler root_handler, media_handler;
};

static struct http_handler handler_of(struct place *place)
{
    return (struct http_handler){.handle = place_handle, .cancel = place_cancel, .arg = place};
}

static struct http_site *make(const struct http_site_options *options)
{
    enum http_site_fault fault;
    size_t index;
    struct http_site *site = http_site_new(options, &fault, &index);
    assert_int_equal(fault, HTTP_SITE_GOOD);
    assert_non_null(site);
    return site;
}

/* Three sites: main, secure (for https alone), and, if wanted, one for all other hosts. */
struct world {
    struct places places;
    struct http_site *sites[3];
    struct http_sites *all;
    struct fixture f;
};

static void begin(struct world *world, bool at_once, bool has_default, const char *sni)
{
    static char *main_hosts[] = {(char *)"Example.org", (char *)"www.example.org", (char *)"*.wild.example"};
    static char *secure_hosts[] = {(char *)"secure.example", (char *)"[::1]"};
    struct places *places = &world->places;
    *places = (struct places){.root = {.name = "root", .at_once = at_once},
                              .media = {.name = "media", .at_once = at_once}};
    places->root_handler = handler_of(&places->root);
    places->media_handler = handler_of(&places->media);
    const struct http_site_path paths[] = {
        {.path = "/", .handler = &places->root_handler, .target = "files:root", .strip = true},
        {.path = "/media/", .handler = &places->media_handler, .target = "files:media", .strip = true},
        {.path = "/media/kept", .handler = &places->root_handler, .target = "files:root"},
        {.path = "/old", .redirect = "https://other.example/new/", .append = true, .status = 301},
        {.path = "/fixed", .redirect = "/there?x#y", .status = 307},
        {.path = "/gone", .status = 410},
        {.path = "/gone", .is_exact = true, .redirect = "/", .append = true, .status = 302},
    };
    world->sites[0] = make(&(struct http_site_options){.name = "main",
                                                       .hosts = main_hosts,
                                                       .host_count = COUNT(main_hosts),
                                                       .canonical = "example.org.",
                                                       .paths = paths,
                                                       .path_count = COUNT(paths)});
    world->sites[1] = make(&(struct http_site_options){.name = "secure",
                                                       .hosts = secure_hosts,
                                                       .host_count = COUNT(secure_hosts),
                                                       .https_port = 8443,
                                                       .paths = paths + 1,
                                                       .path_count = 1});
    world->sites[2] = make(&(struct http_site_options){.name = "rest", .paths = paths, .path_count = 2});
    world->all = http_sites_new((const struct http_site *const *)world->sites, has_default ? 3 : 2);
    assert_non_null(world->all);
    const struct http_handler handler = http_sites_handler(world->all);
    fixture_init(&world->f, &handler);
    snprintf(world->f.template.target, sizeof(world->f.template.target), "sites");
    world->f.template.has_tls = sni != NULL;
    world->f.template.tls.version = world->f.template.tls.cipher = "";
    if (sni)
        snprintf(world->f.template.tls.sni, sizeof(world->f.template.tls.sni), "%s", sni);
    fixture_start(&world->f, false);
}

static void end(struct world *world)
{
    fixture_stop(&world->f);
    http_sites_free(world->all);
    for (size_t i = 0; i < COUNT(world->sites); i++)
        http_site_free(world->sites[i]);
}

#define PLAIN NULL

static const struct {
    bool has_default;
    const char *sni;     /* NULL: plain */
    const char *request; /* without the empty line */
    int status;
    const char *body, *location; /* NULL: not looked at; none */
    const char *site, *target;
} cases[] = {
    /* By host */
    {false, PLAIN, "GET /a HTTP/1.1\r\nHost: example.org", 200, "root:a", NULL, "main", "files:root"},
    {false, PLAIN, "HEAD /a HTTP/1.1\r\nHost: EXAMPLE.ORG.:1", 200, NULL, NULL, "main", "files:root"},
    {false, PLAIN, "GET /a HTTP/1.1\r\nHost: nobody.example", 421, NULL, NULL, "", "status"},
    {true, PLAIN, "GET /a HTTP/1.1\r\nHost: nobody.example", 200, "root:a", NULL, "rest", "files:root"},
    {true, PLAIN, "GET /a HTTP/1.1\r\nHost: no%62ody", 200, "root:a", NULL, "rest", "files:root"},
    {true, PLAIN, "GET /a HTTP/1.0", 200, "root:a", NULL, "rest", "files:root"},
    {false, PLAIN, "GET /a HTTP/1.0", 421, NULL, NULL, "", "status"},
    {false, PLAIN, "GET /a HTTP/1.1", 400, NULL, NULL, "", "sites"},
    {false, PLAIN, "GET http://example.org/a HTTP/1.1\r\nHost: nobody.example", 200, "root:a", NULL, "main",
     "files:root"},
    {true, PLAIN, "GET http://nobody.example/a HTTP/1.1\r\nHost: example.org", 200, "root:a", NULL, "rest",
     "files:root"},

    /* By SNI */
    {false, "example.org", "GET /a HTTP/1.1\r\nHost: example.org", 200, "root:a", NULL, "main", "files:root"},
    {false, "x.wild.example", "GET /a HTTP/1.1\r\nHost: example.org", 200, "root:a", NULL, "main",
     "files:root"},
    {true, "secure.example", "GET /a HTTP/1.1\r\nHost: example.org", 421, NULL, NULL, "", "status"},
    {true, "example.org", "GET /media/ HTTP/1.1\r\nHost: secure.example", 421, NULL, NULL, "", "status"},
    {true, "example.org", "GET /media/ HTTP/1.1\r\nHost: nobody.example", 421, NULL, NULL, "", "status"},
    {true, "nobody.example", "GET /a HTTP/1.1\r\nHost: example.org", 421, NULL, NULL, "", "status"},
    {false, "nobody.example", "GET /a HTTP/1.1\r\nHost: example.org", 421, NULL, NULL, "", "status"},
    {false, "nobody.example", "GET /a HTTP/1.1\r\nHost: nobody.example", 421, NULL, NULL, "", "status"},
    {true, "nobody.example", "GET /a HTTP/1.1\r\nHost: anybody.example", 200, "root:a", NULL, "rest",
     "files:root"},
    {true, "", "GET /media/x HTTP/1.1\r\nHost: secure.example", 200, "media:x", NULL, "secure",
     "files:media"},
    {false, "", "GET /a HTTP/1.1\r\nHost: nobody.example", 421, NULL, NULL, "", "status"},
    {false, "example.org", "GET /a HTTP/1.0", 200, "root:a", NULL, "main", "files:root"},
    {true, "", "GET /a HTTP/1.0", 200, "root:a", NULL, "rest", "files:root"},
    {false, "secure.example", "GET http://example.org/a HTTP/1.1\r\nHost: secure.example", 421, NULL, NULL,
     "", "status"},

    /* By path */
    {false, PLAIN, "GET /media HTTP/1.1\r\nHost: example.org", 200, "media:", NULL, "main", "files:media"},
    {false, PLAIN, "GET /media/ HTTP/1.1\r\nHost: example.org", 200, "media:/", NULL, "main", "files:media"},
    {false, PLAIN, "GET /media/a/b/ HTTP/1.1\r\nHost: example.org", 200, "media:a/b/", NULL, "main",
     "files:media"},
    {false, PLAIN, "GET /mediax HTTP/1.1\r\nHost: example.org", 200, "root:mediax", NULL, "main",
     "files:root"},
    {false, PLAIN, "GET /x/../%6dedia//a HTTP/1.1\r\nHost: example.org", 200, "media:a", NULL, "main",
     "files:media"},
    {false, PLAIN, "GET /media/../a HTTP/1.1\r\nHost: example.org", 200, "root:a", NULL, "main",
     "files:root"},
    {false, PLAIN, "GET /media/kept/a HTTP/1.1\r\nHost: example.org", 200, "root:media/kept/a", NULL, "main",
     "files:root"},
    {false, "secure.example", "GET /a HTTP/1.1\r\nHost: secure.example", 404, NULL, NULL, "secure", "status"},
    {false, PLAIN, "GET /gone/x HTTP/1.1\r\nHost: example.org", 410, NULL, NULL, "main", "status"},
    {false, PLAIN, "POST /a HTTP/1.1\r\nHost: example.org", 405, NULL, NULL, "main", "files:root"},
    {false, PLAIN, "POST /gone/ HTTP/1.1\r\nHost: example.org", 410, NULL, NULL, "main", "status"},
    {false, PLAIN, "GET /%0d%0a HTTP/1.1\r\nHost: example.org", 400, NULL, NULL, "", "sites"},

    /* Redirects */
    {false, PLAIN, "GET /gone HTTP/1.1\r\nHost: example.org", 302, NULL, "/", "main", "redirect"},
    {false, PLAIN, "GET /gone?x HTTP/1.1\r\nHost: example.org", 302, NULL, "/?x", "main", "redirect"},
    {false, PLAIN, "GET /old HTTP/1.1\r\nHost: example.org", 301, NULL, "https://other.example/new/", "main",
     "redirect"},
    {false, PLAIN, "HEAD /old/a/%20?q=1 HTTP/1.1\r\nHost: example.org", 301, NULL,
     "https://other.example/new/a/%20?q=1", "main", "redirect"},
    {false, PLAIN, "GET /fixed/a?q HTTP/1.1\r\nHost: example.org", 307, NULL, "/there?x#y", "main",
     "redirect"},
    {false, PLAIN, "POST /fixed HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0", 307, NULL, "/there?x#y",
     "main", "redirect"},

    /* To the canonical host: with the port only if it is the one that was connected to, which no test knows
     */
    {false, PLAIN, "GET /a//b?q HTTP/1.1\r\nHost: www.example.org", 301, NULL, "http://example.org/a/b?q",
     "main", "redirect"},
    {false, PLAIN, "GET / HTTP/1.1\r\nHost: x.y.wild.example:1", 301, NULL, "http://example.org/", "main",
     "redirect"},
    {false, "www.example.org", "HEAD //evil.example HTTP/1.1\r\nHost: www.example.org", 301, NULL,
     "https://example.org/evil.example", "main", "redirect"},
    {false, PLAIN, "DELETE /a HTTP/1.1\r\nHost: www.example.org", 308, NULL, "http://example.org/a", "main",
     "redirect"},

    /* To https: it counts before all else */
    {false, PLAIN, "GET /a/?q HTTP/1.1\r\nHost: secure.EXAMPLE:80", 301, NULL,
     "https://secure.example:8443/a/?q", "secure", "redirect"},
    {false, PLAIN, "GET / HTTP/1.1\r\nHost: [0::1]:80", 301, NULL, "https://[::1]:8443/", "secure",
     "redirect"},
    {false, PLAIN, "POST /x HTTP/1.1\r\nHost: secure.example\r\nContent-Length: 0", 308, NULL,
     "https://secure.example:8443/x", "secure", "redirect"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct world world;
        char request[512], line[256];
        print_message("%s, %s\n", cases[i].sni ? cases[i].sni : "plain", cases[i].request);
        begin(&world, true, cases[i].has_default, cases[i].sni);
        snprintf(request, sizeof(request), "%s\r\n\r\n", cases[i].request);
        struct response r = fixture_ask(&world.f, request);
        assert_int_equal(r.status, cases[i].status);
        if (cases[i].body) {
            assert_int_equal(r.body_size, strlen(cases[i].body));
            assert_memory_equal(r.body, cases[i].body, r.body_size);
        }
        snprintf(line, sizeof(line), "Location: %s", cases[i].location ? cases[i].location : "");
        assert_int_equal(response_has(&r, line), cases[i].location != NULL);
        const struct report *report = &world.f.reports[0];
        assert_string_equal(report->site, cases[i].site);
        assert_string_equal(report->target, cases[i].target);
        assert_int_equal(report->status, cases[i].status);
        end(&world);
    }
}

static unsigned port_of(struct fixture *f)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    assert_int_equal(getpeername(f->peer, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

/* A port of the client's making would be in the redirect that a cache hands to everyone. */
static void test_own_port(void **state)
{
    (void)state;
    struct world world;
    char request[256], line[256];
    for (int other = 0; other < 2; other++) {
        begin(&world, true, false, PLAIN);
        const unsigned port = port_of(&world.f);
        snprintf(request, sizeof(request), "GET /a HTTP/1.1\r\nHost: www.example.org:%u\r\n\r\n",
                 other ? port ^ 1 : port);
        struct response r = fixture_ask(&world.f, request);
        if (other)
            snprintf(line, sizeof(line), "Location: http://example.org/a");
        else
            snprintf(line, sizeof(line), "Location: http://example.org:%u/a", port);
        assert_int_equal(r.status, 301);
        assert_true(response_has(&r, line));
        end(&world);
    }
}

static bool media_asked(struct fixture *f, size_t n)
{
    return ((struct world *)((char *)f - offsetof(struct world, f)))->places.media.asked >= n;
}

/* Whose handler has the request is whose is cancelled. */
static void test_cancel(void **state)
{
    (void)state;
    struct world world;
    begin(&world, false, false, PLAIN);
    fixture_send(&world.f, "GET /media/x HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert_true(fixture_wait(&world.f, media_asked, 1));
    struct report report;
    assert_true(http_conn_report(world.f.conn, &report));
    assert_string_equal(report.site, "main");
    assert_string_equal(report.target, "files:media");
    http_conn_free(world.f.conn);
    world.f.conn = NULL;
    assert_int_equal(world.places.media.cancelled, 1);
    assert_int_equal(world.places.root.cancelled, 0);
    end(&world);
}

/* Requests on one connection go to the sites that they name, one after the other. */
static void test_one_connection(void **state)
{
    (void)state;
    struct world world;
    begin(&world, true, true, PLAIN);
    size_t offset = 0;
    fixture_send(&world.f, "GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n"
                           "GET /b HTTP/1.1\r\nHost: nobody.example\r\n\r\n"
                           "GET /old HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert_true(fixture_wait(&world.f, fixture_has_reports, 3));
    fixture_turn(&world.f);
    static const char *const sites[] = {"main", "rest", "main"};
    static const char *const targets[] = {"files:root", "files:root", "redirect"};
    for (size_t i = 0; i < 3; i++) {
        struct response r = fixture_response(&world.f, &offset, true);
        assert_int_equal(r.status, i < 2 ? 200 : 301);
        assert_string_equal(world.f.reports[i].site, sites[i]);
        assert_string_equal(world.f.reports[i].target, targets[i]);
    }
    end(&world);
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *host, *canonical;
        enum http_site_fault fault;
        size_t index;
    } bad[] = {
        {"a/b", NULL, HTTP_SITE_HOST, 1},
        {"example.org:80", NULL, HTTP_SITE_HOST, 1},
        {"*.example.org", "example.net", HTTP_SITE_CANONICAL, 2},
        {"*.example.org", "*.example.org", HTTP_SITE_CANONICAL, 2},
        {"*.example.org", "www.example.org:80", HTTP_SITE_CANONICAL, 2},
        {"*.example.org", "www.example.org", HTTP_SITE_GOOD, 2},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char *hosts[] = {(char *)"first", (char *)bad[i].host};
        enum http_site_fault fault;
        size_t index;
        struct http_site *site = http_site_new(
            &(struct http_site_options){.hosts = hosts, .host_count = 2, .canonical = bad[i].canonical},
            &fault, &index);
        assert_int_equal(site != NULL, bad[i].fault == HTTP_SITE_GOOD);
        assert_int_equal(fault, bad[i].fault);
        assert_int_equal(index, bad[i].index);
        http_site_free(site);
    }
}

/* The canonical host of a site for every host is served, and all others lead there. */
static void test_canonical_of_all(void **state)
{
    (void)state;
    struct world world;
    const struct http_site_path gone = {.path = "/", .status = 410};
    begin(&world, true, false, PLAIN);
    http_sites_free(world.all);
    http_site_free(world.sites[2]);
    world.sites[2] = make(&(struct http_site_options){
        .name = "all", .canonical = "Only.example", .paths = &gone, .path_count = 1});
    world.all = http_sites_new((const struct http_site *const *)world.sites, 3);
    http_conn_free(world.f.conn);
    world.f.options.handler = http_sites_handler(world.all);
    world.f.conn = http_conn_start(&world.f.options);
    struct response r = fixture_ask(&world.f, "GET /x HTTP/1.1\r\nHost: only.example\r\n\r\n");
    assert_int_equal(r.status, 410);
    r = fixture_ask(&world.f, "GET /x HTTP/1.1\r\nHost: nobody.example\r\n\r\n");
    assert_int_equal(r.status, 301);
    assert_true(response_has(&r, "Location: http://only.example/x"));
    r = fixture_ask(&world.f, "GET /x HTTP/1.0\r\n\r\n");
    assert_true(response_has(&r, "Location: http://only.example/x"));
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),  cmocka_unit_test(test_own_port),
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_one_connection),
        cmocka_unit_test(test_faults), cmocka_unit_test(test_canonical_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
