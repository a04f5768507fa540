/* conf: sites and their paths: every wrong combination with its line, key and remedy. */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BASE                                   \
    "files = { media = { root = \"/\"; }; }; " \
    "tls = { main = { certs = ( { cert = \"c\"; key = \"k\"; } ); }; };\n"
#define LISTENER " listeners = { web = { address = \":0\"; files = \"media\"; }; };"
#define SITE(text) BASE "sites = { main = {\n" text " }; };" LISTENER
#define PATH(text) SITE("paths = (\n{ " text " } );")
#define SITES(sites, listener) \
    BASE "sites = { " sites " };\nlisteners = { web = { address = \":0\"; " listener " }; };"
#define ANY "paths = ( { files = \"media\"; } );"

static const struct fixture_case cases[] = {
    /* What a site is */
    {SITE(""),
     "test.conf:2: sites.main: answers nothing: add paths = ( { files = \"NAME\"; } ); with a name under "
     "`files`\n"},
    {SITE("paths = ( );"), "test.conf:3: sites.main.paths: empty: at least one is needed, such as ( { prefix "
                           "= \"/\"; files = \"media\"; } "
                           ")\n"},
    {SITE("hosts = [ ]; " ANY), "test.conf:3: sites.main.hosts: empty: at least one is needed, such as [ "
                                "\"example.org\", \"*.example.org\" ]\n"},
    {SITE("redirect_https = true;"), "test.conf:3: sites.main.redirect_https: a site for every host has no "
                                     "name to redirect to: add hosts = [ "
                                     "\"NAME\" ]; or canonical = \"NAME\";\n"},
    {SITE("https_port = 8443; " ANY), "test.conf:3: sites.main.https_port: without redirect_https nobody is "
                                      "sent there: add redirect_https = true; or "
                                      "delete this\n"},
    {SITE("https_port = 0; redirect_https = true; canonical = \"a\";"),
     "test.conf:3: sites.main.https_port: 0 is out of range: choose a whole number from 1 to 65535\n"},
    {SITE("host = [ \"a\" ]; " ANY), "test.conf:3: sites.main.host: unknown key: did you mean `hosts`?\n"},

    /* Where a path is */
    {PATH("prefix = \"media\"; files = \"media\";"),
     "test.conf:4: sites.main.paths[0].prefix: \"media\" does not begin with a /, as the path of every "
     "request does: "
     "put one in front\n"},
    {PATH("exact = \"/a b%20c\"; files = \"media\";"),
     "test.conf:4: sites.main.paths[0].exact: \"/a b%20c\" is encoded, and requests are compared after "
     "decoding: write "
     "the character itself\n"},
    {PATH("prefix = \"/a?b\"; files = \"media\";"), "test.conf:4: sites.main.paths[0].prefix: \"/a?b\" has a "
                                                    "? or #, and paths end before them: leave out what "
                                                    "follows\n"},
    {PATH("prefix = \"/a\\r\"; files = \"media\";"),
     "test.conf:4: sites.main.paths[0].prefix: \"/a?\" has a control character, and requests with one are "
     "refused: "
     "leave it out\n"},
    {PATH("prefix = \"//a\"; files = \"media\";"), "test.conf:4: sites.main.paths[0].prefix: \"//a\" has an "
                                                   "empty segment, \".\" or \"..\", which requests have no "
                                                   "longer when they are compared: leave it out\n"},
    {PATH("prefix = \"/a/../b\"; files = \"media\";"),
     "test.conf:4: sites.main.paths[0].prefix: \"/a/../b\" has an empty segment, \".\" or \"..\", which "
     "requests have "
     "no longer when they are compared: leave it out\n"},
    {PATH("prefix = \"/a/.\"; files = \"media\";"),
     "test.conf:4: sites.main.paths[0].prefix: \"/a/.\" has an empty segment, \".\" or \"..\", which "
     "requests have no "
     "longer when they are compared: leave it out\n"},
    {PATH("prefix = \"/a\"; exact = \"/b\"; files = \"media\";"),
     "test.conf:4: sites.main.paths[0].prefix: `exact` is given as well, and a path is matched in one way: "
     "delete one "
     "of them\n"},
    {PATH("prefix = \"/a\"; files = \"media\"; },\n{ prefix = \"/a/\"; status = 410;"),
     "test.conf:5: sites.main.paths[1].prefix: \"/a/\" stands in this site already (line 4): delete one of "
     "the two\n"},
    {PATH("files = \"media\"; },\n{ status = 410;"),
     "test.conf:5: sites.main.paths[1].prefix: \"/\" stands in this site already (line 4): delete one of the "
     "two\n"},
    {PATH("exact = \"/a\"; files = \"media\"; },\n{ exact = \"/a\"; status = 410; },\n{ exact = \"/a/\"; "
          "status = 410; "
          "},\n{ prefix = \"/a\"; status = 410;"),
     "test.conf:5: sites.main.paths[1].exact: \"/a\" stands in this site already (line 4): delete one of the "
     "two\n"},

    /* What is done */
    {PATH("prefix = \"/\";"), "test.conf:4: sites.main.paths[0]: does nothing: add files = \"NAME\"; with a "
                              "name under `files`, redirect = "
                              "\"URL\"; or status = 404;\n"},
    {PATH("files = \"media\"; redirect = \"http://x\"; status = 302;"),
     "test.conf:4: sites.main.paths[0].redirect: `files` is given as well, and a path does one of the two: "
     "delete one "
     "of them\n"},
    {PATH("files = \"media\"; status = 404;"), "test.conf:4: sites.main.paths[0].status: `files` is given as "
                                               "well, and a path does one of the two: delete one of "
                                               "them\n"},
    {PATH("files = \"medai\";"), "test.conf:4: sites.main.paths[0].files: there is no \"medai\" under "
                                 "`files`: did you mean \"media\"?\n"},
    {PATH("status = 302;"), "test.conf:4: sites.main.paths[0].status: 302 needs somewhere to go: add "
                            "redirect = \"URL\"; or choose 400 to "
                            "599\n"},
    {PATH("status = 200;"),
     "test.conf:4: sites.main.paths[0].status: 200 is out of range: choose a whole number from 300 to 599\n"},
    {PATH("redirect = \"http://x\"; status = 404;"),
     "test.conf:4: sites.main.paths[0].status: 404 is no status of "
     "a redirect: choose 301, 302, 303, 307 or 308\n"},
    {PATH("redirect = \"http://x\"; status = 304;"),
     "test.conf:4: sites.main.paths[0].status: 304 is no status of "
     "a redirect: choose 301, 302, 303, 307 or 308\n"},
    {PATH("redirect = \"http://x\"; strip = false;"),
     "test.conf:4: sites.main.paths[0].strip: without `files` nothing is looked up: delete this\n"},
    {PATH("exact = \"/x\"; files = \"media\"; strip = true;"),
     "test.conf:4: sites.main.paths[0].strip: an exact path is looked up as it is: delete this\n"},
    {PATH("files = \"media\"; append = false;"), "test.conf:4: sites.main.paths[0].append: without "
                                                 "`redirect` there is nothing to put anything behind: delete "
                                                 "this\n"},

    /* Where a redirect goes */
    {PATH("redirect = \"www.example.org/\";"),
     "test.conf:4: sites.main.paths[0].redirect: \"www.example.org/\" is neither a path nor a URL: begin "
     "with /, "
     "http:// or https://\n"},
    {PATH("redirect = \"//example.org/\";"),
     "test.conf:4: sites.main.paths[0].redirect: \"//example.org/\" begins with //, behind which clients "
     "expect a "
     "host: begin with one /, or write the URL with http:// or https://\n"},
    {PATH("redirect = \"javascript:alert(1)\";"),
     "test.conf:4: sites.main.paths[0].redirect: \"javascript:alert(1)\" is neither a path nor a URL: begin "
     "with /, "
     "http:// or https://\n"},
    {PATH("redirect = \"https:///x\";"), "test.conf:4: sites.main.paths[0].redirect: \"https:///x\" has no "
                                         "host between // and /: write one, such as "
                                         "\"https://example.org/\"\n"},
    {PATH("redirect = \"https://user@example.org/\";"),
     "test.conf:4: sites.main.paths[0].redirect: \"https://user@example.org/\" has no host between // and /: "
     "write "
     "one, such as \"https://example.org/\"\n"},
    {PATH("redirect = \"/a\\nSet-Cookie:x\";"),
     "test.conf:4: sites.main.paths[0].redirect: \"/a?Set-Cookie:x\" has a character that no URL has: write "
     "it as % "
     "and two hexadecimal digits\n"},
    {PATH("redirect = \"/\\\\evil\";"), "test.conf:4: sites.main.paths[0].redirect: \"/\\evil\" has a "
                                        "character that no URL has: write it as % and two "
                                        "hexadecimal digits\n"},
    {PATH("redirect = \"/a b\";"), "test.conf:4: sites.main.paths[0].redirect: \"/a b\" has a character that "
                                   "no URL has: write it as % and two "
                                   "hexadecimal digits\n"},
    {PATH("redirect = \"/a?b\";"), "test.conf:4: sites.main.paths[0].redirect: \"/a?b\" has a query or a "
                                   "fragment, behind which no path can be put: "
                                   "add append = false\n"},

    {PATH("redirect = \"/x\";"), "test.conf:4: sites.main.paths[0].redirect: \"/x\" is where this path "
                                 "redirects again, without end: add a path "
                                 "to the site that is for it, or redirect elsewhere\n"},
    {PATH("prefix = \"/a/\"; redirect = \"/a?b\"; append = false; }, { files = \"media\"; }, { exact = "
          "\"/a/\"; "
          "status = 404;"),
     "test.conf:4: sites.main.paths[0].redirect: \"/a?b\" is where this path redirects again, without end: "
     "add a "
     "path to the site that is for it, or redirect elsewhere\n"},

    /* The sites of a listener */
    {SITES("a = { " ANY " };", "sites = [ ];"),
     "test.conf:3: listeners.web.sites: empty: at least one is needed, such as [ \"main\" ]\n"},
    {SITES("a = { " ANY " };", "sites = \"a\";"),
     "test.conf:3: listeners.web.sites: expected a list of names defined under `sites`, such as [ \"main\" "
     "]; found a "
     "string\n"},
    {SITES("mine = { " ANY " };", "sites = ( \"mine\", 3 );"),
     "test.conf:3: listeners.web.sites[1]: expected a list of names defined under `sites`, such as [ "
     "\"main\" ]; found "
     "a number\n"},
    {SITES("mine = { " ANY " };", "sites = [ \"mine\",\n\"mien\" ];"),
     "test.conf:4: listeners.web.sites[1]: there is no \"mien\" under `sites`: did you mean \"mine\"?\n"},
    {SITES("a = { " ANY " };", "sites = [ \"a\", \"a\" ];"),
     "test.conf:3: listeners.web.sites: \"a\" stands here twice: delete one of the two\n"},
    {SITES("a = { " ANY " }; b = { " ANY " };", "sites = [ \"a\", \"b\" ];"),
     "test.conf:3: listeners.web.sites: \"a\" and \"b\" are both for every host that no other site has: give "
     "one of "
     "them `hosts`\n"},
    {SITES("a = { hosts = [ \"x\", \"y\" ]; " ANY " };\nb = { hosts = [ \"Y.\" ]; " ANY " };",
           "sites = [ \"a\", \"b\" ];"),
     "test.conf:4: listeners.web.sites: \"a\" and \"b\" both have the host \"y\" (lines 2 and 3): delete it "
     "from one of "
     "them\n"},
    {SITES("a = { hosts = [ \"x\" ]; " ANY " };\nb = { canonical = \"X\"; " ANY " };",
           "sites = [ \"a\", \"b\" ];"),
     "test.conf:4: listeners.web.sites: \"a\" and \"b\" both have the host \"x\" (lines 2 and 3): delete it "
     "from one of "
     "them\n"},
    {SITES("a = { hosts = [ \"x\" ]; redirect_https = true; };", "tls = \"main\"; sites = [ \"a\" ];"),
     "test.conf:3: listeners.web.sites: \"a\" has no `paths`, and so nothing to answer over TLS: add them "
     "there, or "
     "take it away here\n"},
    {SITES("a = { " ANY " };", "sites = [ \"a\" ];\nfiles = \"media\";"),
     "test.conf:4: listeners.web.files: `sites` and `files` are both given, and a listener does one: delete "
     "one of "
     "them\n"},
    {SITES("a = { " ANY " };", "sites = [ \"a\" ]; relay = \"splice\";"),
     "test.conf:3: listeners.web.relay: \"splice\" moves from socket to socket, and this listener serves "
     "files: choose "
     "\"auto\", \"sendfile\", \"mmap\" or \"copy\"\n"},
    {SITES("a = { " ANY " };", "routes = (\n{ sites = [ \"a\", \"a\" ]; } );"),
     "test.conf:4: listeners.web.routes[0].sites: \"a\" stands here twice: delete one of the two\n"},
    {SITES("a = { " ANY " };", "routes = (\n{ sites = [ \"a\" ]; files = \"media\"; } );"),
     "test.conf:4: listeners.web.routes[0]: `files` and `sites` are both given, and a route does one: delete "
     "one of "
     "them\n"},
    {SITES("a = { " ANY " };", "routes = (\n{ sni = [ \"x\" ]; sites = [ \"a\" ]; } );"),
     "test.conf:4: listeners.web.routes[0].sites: what has a name (`sni`) is encrypted, and without `tls` "
     "only a "
     "backend can read it: add tls to the listener, or use `proxy`\n"},
};

static void test_wrong(void **state)
{
    (void)state;
    fixture_check(cases, COUNT(cases), "/");
}

static void test_loads(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(
        SITES(
            "a = { hosts = [ \"x\", \"*.y\" ]; canonical = \"x\"; redirect_https = true; paths = ( { files = "
            "\"media\"; }, { prefix = \"/old\"; redirect = \"https://x:1/new?q#f\"; append = false; status = "
            "308; }, "
            "{ exact = \"/gone\"; status = 410; }, { prefix = \"/b/\"; files = \"media\"; strip = false; } "
            "); }; b = "
            "{ " ANY " };",
            "sites = [ \"b\", \"a\" ];"),
        "/");
    const struct conf_site *a = &conf->sites[0], *b = &conf->sites[1];
    const struct conf_sites *sites = &conf->listeners[0].sites;
    assert_int_equal(conf->site_count, 2);
    assert_int_equal(sites->count, 2);
    assert_ptr_equal(sites->items[0], b);
    assert_ptr_equal(sites->items[1], a);
    assert_int_equal(a->host_count, 2);
    assert_string_equal(a->hosts[1], "*.y");
    assert_string_equal(a->canonical, "x");
    assert_true(a->redirect_https);
    assert_int_equal(a->https_port, 443);
    assert_int_equal(b->host_count, 0);
    assert_null(b->canonical);
    assert_false(b->redirect_https);

    assert_int_equal(a->path_count, 4);
    assert_string_equal(a->paths[0].prefix, "/");
    assert_null(a->paths[0].exact);
    assert_ptr_equal(a->paths[0].files, &conf->files[0]);
    assert_true(a->paths[0].strip);
    assert_string_equal(a->paths[1].redirect, "https://x:1/new?q#f");
    assert_false(a->paths[1].append);
    assert_int_equal(a->paths[1].status, 308);
    assert_string_equal(a->paths[2].exact, "/gone");
    assert_null(a->paths[2].files);
    assert_int_equal(a->paths[2].status, 410);
    assert_false(a->paths[3].strip);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wrong), cmocka_unit_test(test_loads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
