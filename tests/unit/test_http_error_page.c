/* The operator's pages for errors: which answers have them, what stands in their heads, and what happens
 * where they can't be opened, late or at all. */
#include <fcntl.h>
#include <sys/stat.h>

#include "http_fixture.h"
#include "http_policy_fixture.h"
#include "proxy/http/files.h"
#include "proxy/http/open_files.h"
#include "proxy/http/policy.h"

#define HOST "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define BUILT_IN "<!doctype html>"

static char root[64];

static void make_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int make_tree(void **state)
{
    (void)state;
    char path[256];
    strcpy(root, "/tmp/sluice-page-XXXXXX");
    assert_non_null(mkdtemp(root));
    make_file("a.txt", "hello");
    make_file("404.html", "<p>not here");
    make_file("range.txt", "range?");
    make_file("empty.html", "");
    snprintf(path, sizeof(path), "%s/dir", root);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/fifo", root);
    assert_int_equal(mkfifo(path, 0644), 0);
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command) == 0 ? 0 : -1;
}

/* --- A server of it --- */

#define PAGES                                                                                       \
    "error_pages = ( { status = [ 404, 405 ]; path = \"/404.html\"; }, { status = [ 416 ]; path = " \
    "\"/range.txt\"; }, { status = [ 412 ]; path = \"/none.html\"; }, { status = [ 403 ]; path = "  \
    "\"/fifo\"; }, { status = [ 400 ]; path = \"/empty.html\"; } ); cache_control = ( { match = "   \
    "\"*\"; value = \"no-cache\"; } ); headers = ( { name = \"A\"; value = \"b\"; always = true; } );"

struct server {
    struct fixture f;
    struct conf *conf;
    struct http_files *files;
};

static void start(struct server *server, const struct http_opener *opener)
{
    server->conf = fixture_policy(PAGES);
    server->files = http_files_new(&(struct http_files_options){
        .root = root, .opener = opener, .policy = http_policy_new(&server->conf->files[0].policy)});
    assert_non_null(server->files);
    struct http_handler handler = http_files_handler(server->files);
    fixture_init(&server->f, &handler);
    fixture_start(&server->f, false);
}

static void stop(struct server *server)
{
    fixture_stop(&server->f);
    http_files_free(server->files);
    conf_free(server->conf);
}

static bool begins(const struct response *r, const char *text)
{
    return r->body_size >= strlen(text) && memcmp(r->body, text, strlen(text)) == 0;
}

static bool has_field(const struct response *r, const char *name)
{
    char line[64];
    int size = snprintf(line, sizeof(line), "\r\n%s: ", name);
    return memmem(r->head, r->head_size, line, (size_t)size) != NULL;
}

static void check_page(struct server *server, const char *request, int status, const char *body,
                       const char *line)
{
    struct response r = fixture_ask(&server->f, request);
    assert_int_equal(r.status, status);
    assert_int_equal(server->f.reports[server->f.report_count - 1].status, status);
    assert_true(begins(&r, body));
    if (strcmp(body, BUILT_IN) != 0)
        assert_int_equal(r.body_size, strlen(body));
    assert_true(response_has(&r, line));
    assert_true(response_has(&r, "A: b"));
    assert_false(has_field(&r, "ETag") || has_field(&r, "Last-Modified") || has_field(&r, "Accept-Ranges") ||
                 has_field(&r, "Cache-Control"));
}

static void test_pages(void **state)
{
    (void)state;
    static const char type[] = "Content-Type: text/html; charset=utf-8";
    struct server server;
    start(&server, NULL);
    struct open_files *open_files = open_files_new(server.f.base, 10);
    assert_non_null(open_files);
    server.f.options.open_files = open_files;
    for (int i = 0; i < 2; i++) { /* the second time from what is kept open */
        check_page(&server, GET("/none"), 404, "<p>not here", type);
        check_page(&server, "GET /none HTTP/1.1\r\n" HOST "Range: bytes=0-1\r\nIf-None-Match: *\r\n\r\n", 404,
                   "<p>not here", type);
        check_page(&server, "POST /a.txt HTTP/1.1\r\n" HOST "\r\n", 405, "<p>not here", "Allow: GET, HEAD");
        check_page(&server, "GET /a.txt HTTP/1.1\r\n" HOST "Range: bytes=9-\r\n\r\n", 416, "range?",
                   "Content-Range: bytes */5");
        check_page(&server, "GET /a.txt HTTP/1.1\r\n" HOST "If-Match: \"x\"\r\n\r\n", 412, BUILT_IN, type);
        check_page(&server, GET("/dir/"), 403, BUILT_IN, type);
    }
    struct response r = fixture_ask(&server.f, "HEAD /none HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 404);
    assert_true(response_has(&r, "Content-Length: 11"));
    r = fixture_ask(&server.f, GET("/404.html"));
    assert_int_equal(r.status, 200);
    assert_true(has_field(&r, "ETag") && response_has(&r, "Cache-Control: no-cache"));
    check_page(&server, "GET /%zz HTTP/1.1\r\n" HOST "\r\n", 400, "", type);
    check_page(&server, "GET / HTTP/1.1\r\n\r\n", 400, "", type); /* no Host: nobody else is asked */
    assert_true(fixture_wait(&server.f, fixture_has_ended, 0));
    stop(&server);
    open_files_free(open_files);
}

/* --- Late openers --- */

struct late {
    struct http_opening *pending;
    unsigned cancelled;
};

static void open_later(void *arg, struct http_opening *opening)
{
    struct late *late = arg;
    assert_null(late->pending);
    late->pending = opening;
}

static void cancel_later(void *arg, struct http_opening *opening)
{
    struct late *late = arg;
    assert_ptr_equal(late->pending, opening);
    late->pending = NULL;
    late->cancelled++;
}

static bool is_pending(struct fixture *f, size_t n)
{
    (void)f;
    return ((struct late *)n)->pending != NULL;
}

static void open_pending(struct fixture *f, struct late *late, int error)
{
    assert_true(fixture_wait(f, is_pending, (size_t)late));
    struct http_opening *opening = late->pending;
    late->pending = NULL;
    if (error)
        opening->on_opened(opening, error, -1, NULL);
    else
        http_opener_direct.open(NULL, opening);
}

static void test_late_pages(void **state)
{
    (void)state;
    struct late late = {0};
    const struct http_opener opener = {.open = open_later, .cancel = cancel_later, .arg = &late};
    struct server server;
    size_t offset = 0;
    start(&server, &opener);
    static const struct {
        int error;
        const char *body;
    } ends[] = {{0, "<p>not here"}, {ENOENT, BUILT_IN}, {EMFILE, BUILT_IN}, {EIO, BUILT_IN}};
    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        fixture_send(&server.f, GET("/none"));
        open_pending(&server.f, &late, ENOENT);
        assert_true(fixture_wait(&server.f, is_pending, (size_t)&late));
        fixture_turn(&server.f);
        assert_int_equal(server.f.received_size, offset);
        open_pending(&server.f, &late, ends[i].error);
        assert_true(fixture_wait(&server.f, fixture_has_reports, i + 1));
        assert_true(fixture_wait(&server.f, fixture_has_received, offset + 1));
        struct response r = fixture_response(&server.f, &offset, true);
        assert_int_equal(r.status, 404);
        assert_true(begins(&r, ends[i].body));
    }
    /* The client goes while the page is being opened. */
    fixture_send(&server.f, GET("/none"));
    open_pending(&server.f, &late, ENOENT);
    assert_true(fixture_wait(&server.f, is_pending, (size_t)&late));
    fixture_peer_reset(&server.f);
    assert_true(fixture_wait(&server.f, fixture_has_ended, 0));
    assert_int_equal(late.cancelled, 1);
    stop(&server);

    /* The server does. */
    start(&server, &opener);
    fixture_send(&server.f, "GET /a.txt HTTP/9.9\r\n");
    fixture_send(&server.f, "PUT /a.txt HTTP/1.1\r\n" HOST "\r\n");
    assert_true(fixture_wait(&server.f, fixture_has_reports, 1)); /* 505 has no page */
    stop(&server);
    start(&server, &opener);
    fixture_send(&server.f, "PUT /a.txt HTTP/1.1\r\n" HOST "\r\n");
    assert_true(fixture_wait(&server.f, is_pending, (size_t)&late));
    stop(&server);
    assert_int_equal(late.cancelled, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_late_pages),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
