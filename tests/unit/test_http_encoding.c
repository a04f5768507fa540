/* Files that lie beside others in a coding of their own, over a real directory: which one a client gets, with
 * which fields, and what looking for them costs. */
#include "http_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "proxy/http/files.h"
#include "proxy/http/open_files.h"

#define HOST "Host: localhost\r\n"
#define ACCEPT(codings) "Accept-Encoding: " codings "\r\n"

/* --- The directory --- */

static char root[64];

/* Written long ago: its tag is strong. */
static void make_file(const char *name, const char *text)
{
    char path[256];
    const struct timespec settled[2] = {{.tv_sec = 784111777}, {.tv_sec = 784111777}};
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, settled, 0), 0);
}

static void remove_file(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(remove(path), 0);
}

static int make_tree(void **state)
{
    (void)state;
    char path[256];
    strcpy(root, "/tmp/sluice-encoding-XXXXXX");
    assert_non_null(mkdtemp(root));
    make_file("all.html", "as it is");
    make_file("all.html.br", "by br");
    make_file("all.html.zst", "by zstd");
    make_file("all.html.gz", "by gzip");
    make_file("one.txt", "as it is");
    make_file("one.txt.gz", "by gzip");
    make_file("none.txt", "as it is");
    char text[1001] = "";
    memset(text, 'x', 1000);
    make_file("long.txt", text);
    make_file("long.txt.gz", text);
    make_file("archive.tar.gz", "an archive");
    make_file("archive.tar.gz.br", "never sent");
    make_file("odd.txt", "as it is");
    make_file("odd.txt.gz", "");
    make_file("empty.txt", "");
    make_file("empty.txt.gz", "by gzip");
    snprintf(path, sizeof(path), "%s/odd.txt.br", root);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/odd.txt.zst", root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/dir", root);
    assert_int_equal(mkdir(path, 0755), 0);
    make_file("dir/index.html", "as it is");
    make_file("dir/index.html.br", "by br");
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command) == 0 ? 0 : -1;
}

/* --- Asking --- */

static char br[] = "br", zstd[] = "zstd", gzip[] = "gzip", index_html[] = "index.html";
static char *indexes[] = {index_html};
static char *br_first[] = {br, zstd, gzip}, *gzip_first[] = {gzip, br};

static struct http_files *open_root(char *const *codings, size_t count, const struct http_opener *opener)
{
    struct http_files *files = http_files_new(&(struct http_files_options){.root = root,
                                                                           .index = indexes,
                                                                           .index_count = 1,
                                                                           .precompressed = codings,
                                                                           .precompressed_count = count,
                                                                           .opener = opener});
    assert_non_null(files);
    return files;
}

static struct response ask(struct fixture *f, const char *method, const char *path, const char *lines)
{
    char text[512];
    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\n" HOST "%s\r\n", method, path, lines);
    f->report_count = 0;
    return fixture_ask(f, text);
}

static void etag_of(const struct response *r, char etag[80])
{
    const char *at = memmem(r->head, r->head_size, "\r\nETag: ", 8);
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\r\nETag: %79[^\r]", etag), 1);
}

static bool body_is(const struct response *r, const char *text)
{
    return r->body_size == strlen(text) && memcmp(r->body, text, r->body_size) == 0;
}

/* What a client gets of a resource: coding NULL, the file as it is. */
static void check(struct fixture *f, const char *path, const char *lines, const char *coding,
                  const char *body)
{
    char line[64];
    struct response r = ask(f, "GET", path, lines);
    snprintf(line, sizeof(line), "Content-Encoding: %s", coding ? coding : "");
    if (r.status != 200 || !body_is(&r, body) || (coding && !response_has(&r, line)) ||
        (!coding && memmem(r.head, r.head_size, "Content-Encoding", 16)))
        fail_msg("%s %s: %.*s", path, lines, (int)(r.head_size + r.body_size), r.head);
    if (r.body_size > 0)
        assert_int_equal(f->reports[0].directions[SESSION_TO_CLIENT].segments[0].mode, RELAY_SENDFILE);
}

static void test_choice(void **state)
{
    (void)state;
    static const struct {
        const char *path, *lines, *coding, *body;
    } table[] = {
        {"/all.html", "", NULL, "as it is"},
        {"/all.html", ACCEPT(""), NULL, "as it is"},
        {"/all.html", ACCEPT("gzip, deflate, br, zstd"), "br", "by br"},
        {"/all.html", ACCEPT("gzip, zstd"), "zstd", "by zstd"},
        {"/all.html", ACCEPT("gzip"), "gzip", "by gzip"},
        {"/all.html", ACCEPT("x-gzip"), "gzip", "by gzip"},
        {"/all.html", ACCEPT("*"), "br", "by br"},
        {"/all.html", ACCEPT("br;q=0, *"), "zstd", "by zstd"},
        {"/all.html", ACCEPT("br;q=0.5, gzip;q=0.8, zstd;q=0.6"), "gzip", "by gzip"},
        {"/all.html", ACCEPT("br;q=0.5, gzip;q=0.5"), "br", "by br"},
        {"/all.html", ACCEPT("br;q=0.5, identity"), NULL, "as it is"},
        {"/all.html", ACCEPT("br;q=0.5, identity;q=0.5"), "br", "by br"},
        {"/all.html", ACCEPT("identity;q=1, *;q=0"), NULL, "as it is"},
        {"/all.html", ACCEPT("deflate"), NULL, "as it is"},
        {"/all.html", ACCEPT("br;q=1.5"), NULL, "as it is"},
        {"/one.txt", ACCEPT("br, zstd, gzip"), "gzip", "by gzip"},
        {"/one.txt", ACCEPT("br, zstd"), NULL, "as it is"},
        /* nothing that fits is no error */
        {"/one.txt", ACCEPT("br, identity;q=0"), NULL, "as it is"},
        {"/none.txt", ACCEPT("*;q=0"), NULL, "as it is"},
        {"/none.txt", ACCEPT("br, zstd, gzip"), NULL, "as it is"},
        {"/dir/", ACCEPT("br"), "br", "by br"},
        {"/dir/", ACCEPT("gzip"), NULL, "as it is"},
        /* a directory, a link out of the root and an empty file */
        {"/odd.txt", ACCEPT("br, zstd, gzip"), NULL, "as it is"},
        {"/empty.txt", ACCEPT("gzip"), "gzip", "by gzip"},
        /* asked for by their own names they are what they are */
        {"/archive.tar.gz", ACCEPT("br, gzip"), NULL, "an archive"},
        {"/all.html.br", ACCEPT("br, gzip"), NULL, "by br"},
    };
    struct http_files *files = open_root(br_first, 3, NULL);
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    f.options.open_files = open_files_new(f.base, 100);
    fixture_start(&f, false);
    for (int turn = 0; turn < 2; turn++) /* afresh, and from what is kept open */
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
            check(&f, table[i].path, table[i].lines, table[i].coding, table[i].body);
    fixture_stop(&f);
    open_files_free(f.options.open_files);
    http_files_free(files);

    files = open_root(gzip_first, 2, NULL);
    handler = http_files_handler(files);
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    check(&f, "/all.html", ACCEPT("br, gzip, zstd"), "gzip", "by gzip");
    check(&f, "/all.html", ACCEPT("zstd"), NULL, "as it is");
    check(&f, "/all.html", ACCEPT("zstd, br"), "br", "by br");
    fixture_stop(&f);
    http_files_free(files);
}

static void test_fields(void **state)
{
    (void)state;
    struct http_files *files = open_root(br_first, 3, NULL);
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    char tags[2][80], lines[256];
    static const char *const accepts[] = {"", ACCEPT("gzip")};
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    for (int i = 0; i < 2; i++) {
        struct response r = ask(&f, "GET", "/one.txt", accepts[i]);
        assert_true(response_has(&r, "Vary: Accept-Encoding"));
        assert_true(response_has(&r, "Content-Type: text/plain; charset=utf-8"));
        assert_true(response_has(&r, "Accept-Ranges: bytes"));
        etag_of(&r, tags[i]);
        assert_int_equal(tags[i][0], '"');
        r = ask(&f, "HEAD", "/one.txt", accepts[i]);
        assert_true(response_has(&r, i == 0 ? "Content-Length: 8" : "Content-Length: 7"));
        assert_int_equal(response_has(&r, "Content-Encoding: gzip"), i == 1);
        assert_true(response_has(&r, "Vary: Accept-Encoding"));
    }
    assert_string_not_equal(tags[0], tags[1]);
    assert_non_null(strstr(tags[1], "-gzip\""));

    /* Each representation is known by its own tag. */
    for (int i = 0; i < 4; i++) {
        const int asked = i / 2, known = i % 2;
        snprintf(lines, sizeof(lines), "%sIf-None-Match: %s\r\n", accepts[asked], tags[known]);
        struct response r = ask(&f, "GET", "/one.txt", lines);
        assert_int_equal(r.status, asked == known ? 304 : 200);
        assert_true(response_has(&r, "Vary: Accept-Encoding"));
        snprintf(lines, sizeof(lines), "%sIf-Match: %s\r\n", accepts[asked], tags[known]);
        assert_int_equal(ask(&f, "GET", "/one.txt", lines).status, asked == known ? 200 : 412);
    }

    /* Nor do ranges mix them. */
    for (int i = 0; i < 4; i++) {
        const int asked = i / 2, known = i % 2;
        snprintf(lines, sizeof(lines), "%sRange: bytes=3-5\r\nIf-Range: %s\r\n", accepts[asked], tags[known]);
        struct response r = ask(&f, "GET", "/one.txt", lines);
        assert_int_equal(r.status, asked == known ? 206 : 200);
        assert_true(response_has(&r, "Vary: Accept-Encoding"));
        assert_int_equal(response_has(&r, "Content-Encoding: gzip"), asked == 1);
        if (asked == known) {
            assert_true(
                response_has(&r, asked == 0 ? "Content-Range: bytes 3-5/8" : "Content-Range: bytes 3-5/7"));
            assert_true(body_is(&r, asked == 0 ? "it " : "gzi"));
        }
    }
    /* Parts of an encoded body have no way to say so. */
    struct response r = ask(&f, "GET", "/long.txt", ACCEPT("gzip") "Range: bytes=0-0,999-999\r\n");
    assert_int_equal(r.status, 200);
    assert_true(response_has(&r, "Content-Encoding: gzip"));
    assert_int_equal(r.body_size, 1000);
    r = ask(&f, "GET", "/long.txt", "Range: bytes=0-0,999-999\r\n");
    assert_int_equal(r.status, 206);
    assert_non_null(memmem(r.head, r.head_size, "multipart/byteranges", 20));
    assert_true(response_has(&r, "Vary: Accept-Encoding"));
    r = ask(&f, "GET", "/one.txt", ACCEPT("gzip") "Range: bytes=7-\r\n");
    assert_int_equal(r.status, 416);
    assert_true(response_has(&r, "Content-Range: bytes */7"));

    /* What can't vary doesn't say so. */
    r = ask(&f, "GET", "/archive.tar.gz", ACCEPT("br"));
    assert_null(memmem(r.head, r.head_size, "Vary", 4));
    fixture_stop(&f);
    http_files_free(files);

    files = open_root(NULL, 0, NULL);
    handler = http_files_handler(files);
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    r = ask(&f, "GET", "/one.txt", ACCEPT("gzip"));
    assert_null(memmem(r.head, r.head_size, "Vary", 4));
    assert_true(body_is(&r, "as it is"));
    fixture_stop(&f);
    http_files_free(files);
}

/* The same file under both names: two representations all the same. */
static void test_linked(void **state)
{
    (void)state;
    char from[256], to[256], tags[2][80];
    make_file("linked.txt", "as it is");
    snprintf(from, sizeof(from), "%s/linked.txt", root);
    snprintf(to, sizeof(to), "%s/linked.txt.gz", root);
    assert_int_equal(link(from, to), 0);
    struct http_files *files = open_root(br_first, 3, NULL);
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    for (int i = 0; i < 2; i++) {
        struct response r = ask(&f, "GET", "/linked.txt", i == 0 ? "" : ACCEPT("gzip"));
        etag_of(&r, tags[i]);
    }
    assert_string_not_equal(tags[0], tags[1]);
    fixture_stop(&f);
    http_files_free(files);
}

/* --- What it costs --- */

struct counting_opener {
    unsigned opened, cancelled;
    bool late;
    int error; /* of what has a coding's suffix; 0: none */
    struct http_opening *pending;
};

static void answer_opening(struct counting_opener *opener, struct http_opening *opening)
{
    const size_t size = strlen(opening->what.path);
    if (opener->error != 0 && size > 3 && strcmp(opening->what.path + size - 3, ".gz") == 0)
        opening->on_opened(opening, opener->error, -1, NULL);
    else
        http_opener_direct.open(NULL, opening);
}

static void open_counting(void *arg, struct http_opening *opening)
{
    struct counting_opener *opener = arg;
    opener->opened++;
    if (opener->late)
        opener->pending = opening;
    else
        answer_opening(opener, opening);
}

static void cancel_counting(void *arg, struct http_opening *opening)
{
    struct counting_opener *opener = arg;
    assert_ptr_equal(opener->pending, opening);
    opener->pending = NULL;
    opener->cancelled++;
}

static bool is_pending(struct fixture *f, size_t n)
{
    (void)f;
    return ((struct counting_opener *)n)->pending != NULL;
}

static void answer_pending(struct counting_opener *opener)
{
    struct http_opening *opening = opener->pending;
    opener->pending = NULL;
    answer_opening(opener, opening);
}

/* What isn't there is looked for once in a second; what is comes from the open files. */
static void test_misses_are_remembered(void **state)
{
    (void)state;
    struct counting_opener opener = {0};
    struct http_files *files =
        open_root(br_first, 3, &(struct http_opener){.open = open_counting, .arg = &opener});
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    f.options.open_files = open_files_new(f.base, 100);
    fixture_start(&f, false);
    const uint64_t began = loop_now_ms();
    check(&f, "/none.txt", "", NULL, "as it is");
    assert_int_equal(opener.opened, 1); /* who takes nothing costs nothing */
    check(&f, "/none.txt", ACCEPT("br, zstd, gzip"), NULL, "as it is");
    const unsigned first = opener.opened;
    for (int i = 0; i < 5; i++)
        check(&f, "/none.txt", ACCEPT("br, zstd, gzip"), NULL, "as it is");
    const unsigned then = opener.opened;
    if (loop_now_ms() - began < OPEN_FILES_VALID_MS) {
        assert_int_equal(first, 4);
        assert_int_equal(then, 4);
    }

    /* It comes into being, and is seen. */
    make_file("none.txt.zst", "by zstd");
    bool seen = false;
    for (int i = 0; i < 5000 && !seen; i++) {
        struct response r = ask(&f, "GET", "/none.txt", ACCEPT("br, zstd, gzip"));
        seen = body_is(&r, "by zstd");
        poll(NULL, 0, 1);
    }
    assert_true(seen);
    remove_file("none.txt.zst"); /* at once: the open file tells */
    check(&f, "/none.txt", ACCEPT("br, zstd, gzip"), NULL, "as it is");
    fixture_stop(&f);
    open_files_free(f.options.open_files);
    http_files_free(files);
}

/* Descriptors that have run out say nothing about a file. */
static void test_shortage(void **state)
{
    (void)state;
    struct counting_opener opener = {.error = EMFILE};
    struct http_files *files =
        open_root(br_first, 3, &(struct http_opener){.open = open_counting, .arg = &opener});
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    f.options.open_files = open_files_new(f.base, 100);
    fixture_start(&f, false);
    check(&f, "/one.txt", ACCEPT("gzip"), NULL, "as it is");
    opener.error = 0;
    check(&f, "/one.txt", ACCEPT("gzip"), "gzip", "by gzip");
    fixture_stop(&f);
    open_files_free(f.options.open_files);
    http_files_free(files);
}

static void test_late_opener(void **state)
{
    (void)state;
    struct counting_opener opener = {.late = true};
    struct http_files *files = open_root(
        br_first, 3, &(struct http_opener){.open = open_counting, .cancel = cancel_counting, .arg = &opener});
    struct http_handler handler = http_files_handler(files);
    for (int keeps = 0; keeps < 2; keeps++) {
        struct fixture f;
        fixture_init(&f, &handler);
        f.options.open_files = keeps ? open_files_new(f.base, 100) : NULL;
        fixture_start(&f, false);
        opener.opened = opener.cancelled = 0;
        fixture_send(&f, "GET /one.txt HTTP/1.1\r\n" HOST ACCEPT("br, gzip") "\r\n");
        for (unsigned i = 1; i <= 3; i++) { /* itself, br, gzip */
            assert_true(fixture_wait(&f, is_pending, (size_t)&opener));
            assert_int_equal(opener.opened, i);
            fixture_turn(&f);
            assert_int_equal(f.received_size, 0);
            answer_pending(&opener);
        }
        assert_true(fixture_wait(&f, fixture_has_reports, 1));
        assert_true(fixture_wait(&f, fixture_has_received, 1));
        fixture_turn(&f);
        size_t offset = 0;
        struct response r = fixture_response(&f, &offset, true);
        assert_true(body_is(&r, "by gzip"));

        /* The client goes while the file beside is being opened. */
        fixture_send(&f, "GET /all.html HTTP/1.1\r\n" HOST ACCEPT("br, gzip") "\r\n");
        assert_true(fixture_wait(&f, is_pending, (size_t)&opener));
        answer_pending(&opener);
        assert_true(fixture_wait(&f, is_pending, (size_t)&opener));
        fixture_peer_reset(&f);
        assert_true(fixture_wait(&f, fixture_has_ended, 0));
        assert_int_equal(opener.cancelled, 1);
        fixture_stop(&f);
        open_files_free(f.options.open_files);
    }
    http_files_free(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),   cmocka_unit_test(test_fields),
        cmocka_unit_test(test_linked),   cmocka_unit_test(test_misses_are_remembered),
        cmocka_unit_test(test_shortage), cmocka_unit_test(test_late_opener),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
