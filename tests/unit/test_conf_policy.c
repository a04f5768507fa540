/* conf: what a `files` adds to its answers. Every value that no head may hold, with its place and remedy; and
 * what the good ones load as. */
#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The keys stand on lines 2 and 3. */
#define WITH(keys) FIXTURE_BASE "files = { f = { root = \"/\"; " keys " }; };"
#define HEADER(name, value) WITH("headers = ( { name = \"" name "\";\nvalue = \"" value "\"; } );")
#define NAME "test.conf:2: files.f.headers[0].name: "
#define VALUE "test.conf:3: files.f.headers[0].value: "
#define CACHED(match, value) WITH("cache_control = ( { match = " match ";\nvalue = \"" value "\"; } );")
#define MATCH "test.conf:2: files.f.cache_control[0].match: "
#define PAGE(status, path) WITH("error_pages = ( { status = " status ";\npath = \"" path "\"; } );")
#define PATH "test.conf:3: files.f.error_pages[0].path: "
#define NO_PATH                                                                                           \
    " is no path of a file: begin it with a slash, end it without one, and write where \".\" and \"..\" " \
    "lead\n"
#define TYPED(extensions, type) \
    WITH("mime_types = ( { extensions = " extensions ";\ntype = \"" type "\"; } );")
#define TYPE "test.conf:3: files.f.mime_types[0].type: "
#define PRELOAD                                                                                    \
    "test.conf:3: files.f.hsts.preload: no list takes a site without `include_subdomains = true` " \
    "and a `max_age` of \"365d\" or more: set them, or delete this\n"

static const struct fixture_case bad[] = {
    {HEADER("X Frame", "DENY"), NAME "\"X Frame\" is no name of a field: use letters, digits and hyphens\n"},
    {HEADER("X:", "DENY"), NAME "\"X:\" is no name of a field: use letters, digits and hyphens\n"},
    {HEADER("\xc3\xa4", "v"), NAME "\"\xc3\xa4\" is no name of a field: use letters, digits and hyphens\n"},
    {HEADER("X\\r\\nSet-Cookie", "a"),
     NAME "\"X??Set-Cookie\" is no name of a field: use letters, digits and hyphens\n"},
    {HEADER("content-length", "1"), NAME "content-length is counted by Sluice itself: delete this\n"},
    {HEADER("Transfer-Encoding", "chunked"),
     NAME "Transfer-Encoding is Sluice's own, by how it sends: delete this\n"},
    {HEADER("ETag", "x"), NAME "ETag is made by Sluice itself, from the file: delete this\n"},
    {HEADER("Server", "x"), NAME "Server has a key of its own: use `server_header`\n"},
    {HEADER("strict-transport-security", "max-age=1"),
     NAME "strict-transport-security may be sent over TLS alone: use `hsts`\n"},
    {HEADER("A", "b\\r\\nC: d"),
     VALUE "it holds a line break or another control character, which no field may: leave it out\n"},
    {HEADER("A", "b\\x01"),
     VALUE "it holds a line break or another control character, which no field may: leave it out\n"},
    {HEADER("A", "b\\x7f"),
     VALUE "it holds a line break or another control character, which no field may: leave it out\n"},
    {HEADER("A", " b"),
     VALUE "it begins or ends with white space, which no client would see: leave it out\n"},
    {HEADER("A", "b\\t"),
     VALUE "it begins or ends with white space, which no client would see: leave it out\n"},
    {HEADER("A", ""), "test.conf:3: files.f.headers[0].value: expected a string in quotes, such as \"DENY\"; "
                      "found an empty string\n"},
    {WITH("headers = ( { name = \"A\"; } );"),
     "test.conf:2: files.f.headers[0].value: missing: add value = \"DENY\";\n"},
    {WITH("headers = ( { name = \"Date\"; value = \"a\"; },\n{ name = \"B\"; value = \"\\n\"; } );"),
     "test.conf:2: files.f.headers[0].name: Date is told by Sluice itself: delete this\n"
     "test.conf:3: files.f.headers[1].value: it holds a line break or another control character, which no "
     "field may: leave it out\n"},
    {WITH("\nserver_header = \"a\\nb\";"),
     "test.conf:3: files.f.server_header: it holds a line break or another control character, which no field "
     "may: leave it out\n"},
    {HEADER("cache-control", "no-store"), NAME "cache-control has a key of its own: use `cache_control`\n"},
    {HEADER("Content-Type", "a/b"),
     NAME "Content-Type is told by Sluice itself, by the file's name: use `mime_types`\n"},
    {CACHED("[ \"*.css\", \"css\" ]", "a"),
     MATCH "\"css\" matches nothing, for paths begin with a slash: begin it with / or *\n"},
    {CACHED("\"/[a\"", "a"),
     MATCH "\"/[a\" opens a set with [ that no ] closes: close it, or write \\\\[ for the character\n"},
    {CACHED("\"/[]\"", "a"),
     MATCH "\"/[]\" opens a set with [ that no ] closes: close it, or write \\\\[ for the character\n"},
    {CACHED("\"/[!]\"", "a"),
     MATCH "\"/[!]\" opens a set with [ that no ] closes: close it, or write \\\\[ for the character\n"},
    {CACHED("\"/a\\\\\"", "a"), MATCH
     "\"/a\\\" ends with a backslash, which takes the meaning of what follows: delete it, or double it\n"},
    {CACHED("[ ]", "a"), MATCH "empty: at least one is needed, such as [ \"*.css\", \"/assets/*\" ]\n"},
    {CACHED("\"\"", "a"),
     MATCH "expected a string or a list of strings, such as [ \"*.css\", \"/assets/*\" ]; found "
           "an empty string\n"},
    {CACHED("\"*\"", "a\\nb"),
     "test.conf:3: files.f.cache_control[0].value: it holds a line break or another control character, which "
     "no field may: leave it out\n"},
    {PAGE("[ 399, 400, 600, -1 ]", "/p"),
     "test.conf:2: files.f.error_pages[0].status[0]: 399 is out of range: choose a list of whole numbers "
     "from "
     "400 to 599\n"
     "test.conf:2: files.f.error_pages[0].status[2]: 600 is out of range: choose a list of whole numbers "
     "from "
     "400 to 599\n"
     "test.conf:2: files.f.error_pages[0].status[3]: -1 is out of range: choose a list of whole numbers from "
     "400 to 599\n"},
    {PAGE("[ 404, 403, 404 ]", "/p"),
     "test.conf:2: files.f.error_pages[0].status: 404 has a page already (line "
     "2): delete one of the two\n"},
    {WITH("error_pages = ( { status = [ 404 ]; path = \"/a\"; },\n{ status = [ 404 ]; path = \"/b\"; } );"),
     "test.conf:3: files.f.error_pages[1].status: 404 has a page already (line 2): delete one of the two\n"},
    {PAGE("[ ]", "/p"),
     "test.conf:2: files.f.error_pages[0].status: empty: at least one is needed, such as [ "
     "500, 503 ]\n"},
    {PAGE("404", "/p"),
     "test.conf:2: files.f.error_pages[0].status: expected a list of whole numbers from 400 to "
     "599, such as [ 500, 503 ]; found a number\n"},
    {PAGE("[ \"404\" ]", "/p"), "test.conf:2: files.f.error_pages[0].status[0]: expected a list of whole "
                                "numbers from 400 to 599, such as [ "
                                "500, 503 ]; found a string\n"},
    {PAGE("[ 404 ]", "404.html"), PATH "\"404.html\"" NO_PATH},
    {PAGE("[ 404 ]", "/errors/"), PATH "\"/errors/\"" NO_PATH},
    {PAGE("[ 404 ]", "/../404.html"), PATH "\"/../404.html\"" NO_PATH},
    {TYPED("[ \"foo\" ]", "foo"),
     TYPE "\"foo\" is no content type: write it as text/plain or text/plain; charset=utf-8\n"},
    {TYPED("[ \"foo\" ]", "a/b/c"),
     TYPE "\"a/b/c\" is no content type: write it as text/plain or text/plain; charset=utf-8\n"},
    {TYPED("[ \"foo\" ]", "a b/c"),
     TYPE "\"a b/c\" is no content type: write it as text/plain or text/plain; charset=utf-8\n"},
    {TYPED("[ \"foo\" ]", "a/b; c=\\n"),
     TYPE "it holds a line break or another control character, which no field may: leave it out\n"},
    {TYPED("[ \".foo\" ]", "a/b"),
     "test.conf:2: files.f.mime_types[0].extensions[0]: \".foo\" contains .: leave it out\n"},
    {TYPED("[ \"a\", \"b\", \"A\" ]", "a/b"),
     "test.conf:2: files.f.mime_types[0].extensions: \"A\" has a type already (line 2): delete one of the "
     "two\n"},
    {WITH("mime_types = ( { extensions = \"a\"; type = \"a/b\"; },\n{ extensions = \"a\"; type = \"a/c\"; } "
          ");"),
     "test.conf:3: files.f.mime_types[1].extensions: \"a\" has a type already (line 2): delete one of the "
     "two\n"},
    {WITH("\ndefault_type = \"text\";"),
     "test.conf:3: files.f.default_type: \"text\" is no content type: write it as text/plain or text/plain; "
     "charset=utf-8\n"},
    {WITH("\ncharset = \"utf 8\";"),
     "test.conf:3: files.f.charset: \"utf 8\" is no name of a charset: write it "
     "as \"utf-8\", or \"off\"\n"},
    {WITH("hsts = {\npreload = true; };"), PRELOAD},
    {WITH("hsts = { include_subdomains = true; max_age = \"364d\";\npreload = true; };"), PRELOAD},
    {WITH("hsts = { max_age = \"3651d\"; };"),
     "test.conf:2: files.f.hsts.max_age: 3651d is out of range: choose a duration in quotes from 0ms to "
     "3650d\n"},
};

static void test_bad(void **state)
{
    (void)state;
    fixture_check(bad, COUNT(bad), "/");
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(WITH(""), "/");
    const struct conf_http_policy *policy = &conf->files[0].policy;
    assert_string_equal(policy->server, "sluice");
    assert_int_equal(policy->header_count, 0);
    assert_false(policy->has_hsts);
    assert_int_equal(policy->cache_rule_count + policy->error_page_count + policy->mime_type_count, 0);
    assert_string_equal(policy->default_type, "application/octet-stream");
    assert_string_equal(policy->charset, "utf-8");
    conf_free(conf);
}

static void test_good(void **state)
{
    (void)state;
    struct conf *conf = fixture_good(
        WITH("headers = ( { name = \"Link\"; value = \"</a>;\\trel=x\"; }, { name = \"Link\"; value = "
             "\"\xc3\xa4\"; always = true; } ); server_header = \"off\"; hsts = { max_age = \"730d\"; "
             "include_subdomains = true; preload = true; };"),
        "/");
    const struct conf_http_policy *policy = &conf->files[0].policy;
    assert_int_equal(policy->header_count, 2);
    assert_string_equal(policy->headers[0].value, "</a>;\trel=x");
    assert_false(policy->headers[0].always);
    assert_string_equal(policy->headers[1].value, "\xc3\xa4");
    assert_true(policy->headers[1].always);
    assert_string_equal(policy->server, "off");
    assert_true(policy->has_hsts && policy->hsts.include_subdomains && policy->hsts.preload);
    assert_int_equal(policy->hsts.max_age, 730 * 24 * 3600);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
