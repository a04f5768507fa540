/* Files beneath a root, over a real directory: index files, redirects, links, what is no file, and openers
 * that fail or answer late. */
#include "http_fixture.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "proxy/http/files.h"

#define HOST "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

/* --- The directory --- */

static char top[64];  /* holds the root and what is outside it */
static char root[80]; /* top/root */

static void path_of(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", root, name);
}

static void make_file(const char *name, const char *text)
{
    char path[256];
    path_of(path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void make_directory(const char *name)
{
    char path[256];
    path_of(path, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
    char path[256];
    path_of(path, name);
    assert_int_equal(symlink(target, path), 0);
}

static void make_socket(const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", root, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd != -1);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
}

static int make_tree(void **state)
{
    (void)state;
    char path[256];
    strcpy(top, "/tmp/sluice-files-XXXXXX");
    assert_non_null(mkdtemp(top));
    snprintf(root, sizeof(root), "%s/root", top);
    assert_int_equal(mkdir(root, 0755), 0);
    make_file("../secret.txt", "secret");
    make_file("a.txt", "hello");
    make_file("empty.html", "");
    make_file("with space \xc3\xa4.txt", "odd");
    make_directory("dir");
    make_file("dir/index.html", "index of dir");
    make_directory("second");
    make_file("second/index.txt", "second choice");
    make_directory("noindex");
    make_directory("strange");
    make_directory("strange/index.html");
    make_directory(".git");
    make_file(".git/config", "hidden");
    make_file("dir/.hidden", "hidden");
    make_directory(".well-known");
    make_file(".well-known/x", "known");
    make_directory("di r%\xc3\xa4");
    make_link("a.txt", "inside");
    make_link("dir/../a.txt", "inside-dots");
    make_link("dir", "link-dir");
    make_directory("linked-index");
    make_link("../a.txt", "linked-index/index.html");
    make_link("../secret.txt", "outside");
    make_link("..", "parent");
    make_link("missing", "dangling");
    make_link("loop", "loop");
    make_link("/etc/passwd", "absolute");
    snprintf(path, sizeof(path), "%s/a.txt", root);
    make_link(path, "absolute-inside");
    make_link("/proc/self/root", "magic");
    path_of(path, "fifo");
    assert_int_equal(mkfifo(path, 0644), 0);
    make_socket("socket");
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command) == 0 ? 0 : -1;
}

/* --- Asking --- */

static char first_index[] = "index.html", second_index[] = "index.txt";
static char *indexes[] = {first_index, second_index};

static struct http_files *open_root(const struct http_opener *opener)
{
    struct http_files *files = http_files_new(
        &(struct http_files_options){.root = root, .index = indexes, .index_count = 2, .opener = opener});
    assert_non_null(files);
    return files;
}

struct files_case {
    const char *path;
    int status;
    const char *body; /* NULL: a page */
    const char *line; /* a header line that must be there */
};

static const struct files_case cases[] = {
    {"/a.txt", 200, "hello", "Content-Type: text/plain; charset=utf-8"},
    {"/a.txt?query", 200, "hello", NULL},
    {"/./dir/../a.txt", 200, "hello", NULL},
    {"//a.txt", 200, "hello", NULL},
    {"/empty.html", 200, "", "Content-Type: text/html; charset=utf-8"},
    {"/with%20space%20%C3%A4.txt", 200, "odd", NULL},
    {"/.well-known/x", 200, "known", "Content-Type: application/octet-stream"},
    {"/dir/", 200, "index of dir", "Content-Type: text/html; charset=utf-8"},
    {"/dir/index.html", 200, "index of dir", NULL},
    {"/dir/.", 200, "index of dir", NULL},
    {"/dir/x/..", 200, "index of dir", NULL},
    {"/second/", 200, "second choice", "Content-Type: text/plain; charset=utf-8"},
    {"/noindex/", 403, NULL, NULL},
    {"/", 403, NULL, NULL},
    {"/strange/", 403, NULL, NULL}, /* its index is a directory */
    {"/dir", 301, NULL, "Location: /dir/"},
    {"/dir?a=b&c", 301, NULL, "Location: /dir/?a=b&c"},
    {"/dir?", 301, NULL, "Location: /dir/?"},
    {"//dir", 301, NULL, "Location: /dir/"},
    {"///dir//../dir", 301, NULL, "Location: /dir/"},
    {"http://evil.example/dir", 301, NULL, "Location: /dir/"},
    {"/di%20r%25%C3%A4", 301, NULL, "Location: /di%20r%25%C3%A4/"},
    {"/link-dir", 301, NULL, "Location: /link-dir/"},
    {"/link-dir/", 200, "index of dir", NULL},
    {"/inside", 200, "hello", NULL},
    {"/inside-dots", 200, "hello", NULL},
    {"/.git/config", 404, NULL, NULL},
    {"/%2egit/config", 404, NULL, NULL},
    {"/.git", 404, NULL, NULL},
    {"/.git/", 404, NULL, NULL},
    {"/dir/.hidden", 404, NULL, NULL},
    {"/.git/../a.txt", 200, "hello", NULL},
    {"/missing", 404, NULL, NULL},
    {"/missing/", 404, NULL, NULL},
    {"/dangling", 404, NULL, NULL},
    {"/a.txt/", 404, NULL, NULL},
    {"/a.txt/b", 404, NULL, NULL},
    {"/A.TXT", 404, NULL, NULL},
    {"/outside", 403, NULL, NULL}, /* nginx would follow it */
    {"/parent/secret.txt", 403, NULL, NULL},
    {"/parent/root/a.txt", 403, NULL, NULL},
    {"/absolute", 403, NULL, NULL},
    {"/absolute-inside", 403, NULL, NULL}, /* an absolute link never stays beneath */
    {"/magic", 403, NULL, NULL},
    {"/magic/etc/passwd", 403, NULL, NULL},
    {"/loop", 403, NULL, NULL},
    {"/fifo", 403, NULL, NULL}, /* and does not hang */
    {"/socket", 403, NULL, NULL},
    {"/%2e%2e/secret.txt", 400, NULL, NULL},
    {"/..%2fsecret.txt", 404, NULL, NULL},
    {"/dir/..%c0%af../secret.txt", 404, NULL, NULL},
};

/* Takes files. */
static void check_table(struct http_files *files, const struct files_case *table, size_t count)
{
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    for (size_t i = 0; i < count; i++) {
        const struct files_case *want = &table[i];
        char text[512];
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", want->path);
        f.report_count = 0;
        struct response r = fixture_ask(&f, text);
        if (r.status != want->status || (want->line && !response_has(&r, want->line)) ||
            (want->body &&
             (r.body_size != strlen(want->body) || memcmp(r.body, want->body, r.body_size) != 0)))
            fail_msg("%s: %.*s", want->path, (int)(r.head_size + r.body_size), r.head);
        assert_int_equal(f.reports[0].outcome, OUTCOME_COMPLETE);
        if (want->body && want->body[0] != '\0')
            assert_int_equal(f.reports[0].directions[SESSION_TO_CLIENT].segments[0].mode, RELAY_SENDFILE);
    }
    fixture_stop(&f);
    http_files_free(files);
}

static void test_table(void **state)
{
    (void)state;
    check_table(open_root(NULL), cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_policies(void **state)
{
    (void)state;
    static const struct files_case strict[] = {
        {"/a.txt", 200, "hello", NULL},
        {"/dir/", 200, "index of dir", NULL},
        {"/inside", 403, NULL, NULL},
        {"/inside-dots", 403, NULL, NULL},
        {"/link-dir", 403, NULL, NULL},
        {"/link-dir/", 403, NULL, NULL},
        {"/link-dir/index.html", 403, NULL, NULL},
        {"/linked-index/", 403, NULL, NULL},
        {"/dangling", 403, NULL, NULL},
        {"/outside", 403, NULL, NULL},
        {"/.git/config", 200, "hidden", NULL},
        {"/dir/.hidden", 200, "hidden", NULL},
        {"/.git", 301, NULL, "Location: /.git/"},
        {"/.git/../../x", 400, NULL, NULL},
    };
    static const struct files_case by_owner[] = {
        {"/inside", 200, "hello", NULL},        {"/inside-dots", 200, "hello", NULL},
        {"/linked-index/", 200, "hello", NULL}, {"/link-dir/", 200, "index of dir", NULL},
        {"/outside", 403, NULL, NULL},          {"/dangling", 404, NULL, NULL},
    };
    check_table(http_files_new(&(struct http_files_options){.root = root,
                                                            .index = indexes,
                                                            .index_count = 2,
                                                            .symlinks = HTTP_SYMLINKS_OFF,
                                                            .dotfiles = true}),
                strict, sizeof(strict) / sizeof(strict[0]));
    check_table(http_files_new(&(struct http_files_options){
                    .root = root, .index = indexes, .index_count = 2, .symlinks = HTTP_SYMLINKS_SAME_OWNER}),
                by_owner, sizeof(by_owner) / sizeof(by_owner[0]));
}

struct try_table {
    const char *texts[6];
    struct files_case cases[16];
};

static const struct try_table try_tables[] = {
    /* The usual one, with pages whose names have no extension. */
    {{"$uri", "$uri/", "$uri.html", "=404"},
     {{"/a.txt", 200, "hello", NULL},
      {"/a.txt?x", 200, "hello", NULL},
      {"/dir/", 200, "index of dir", NULL},
      {"/dir", 301, NULL, "Location: /dir/"},
      {"/dir?a=b", 301, NULL, "Location: /dir/?a=b"},
      {"/empty", 200, "", "Content-Type: text/html; charset=utf-8"},
      {"/empty/", 404, NULL, NULL},
      {"/a.txt/", 404, NULL, NULL},
      {"/noindex/", 404, NULL, NULL},
      {"/noindex", 301, NULL, "Location: /noindex/"},
      {"/missing", 404, NULL, NULL},
      {"/outside", 403, NULL, NULL},
      {"/fifo", 403, NULL, NULL},
      {"/.git", 404, NULL, NULL}}},
    /* An application of one page. */
    {{"$uri", "/dir/index.html"},
     {{"/a.txt", 200, "hello", "Content-Type: text/plain; charset=utf-8"},
      {"/", 200, "index of dir", "Content-Type: text/html; charset=utf-8"},
      {"/dir", 200, "index of dir", NULL},
      {"/dir/", 200, "index of dir", NULL},
      {"/some/route", 200, "index of dir", NULL},
      {"/some/route/?x=y", 200, "index of dir", NULL},
      {"/a.txt/x", 200, "index of dir", NULL},
      {"/dangling", 200, "index of dir", NULL},
      {"/outside", 403, NULL, NULL},
      {"/.git/config", 404, NULL, NULL},
      {"/%2e%2e/x", 400, NULL, NULL}}},
    /* Directories of their own, and a status. */
    {{"/dir$uri", "/second/", "=410"},
     {{"/index.html", 200, "index of dir", NULL},
      {"/a.txt", 200, "second choice", NULL},
      {"/a/b", 200, "second choice", NULL},
      {"/", 200, "second choice", NULL}}},
    {{"$uri/index.txt", "/missing/", "/noindex/", "=410"},
     {{"/second", 200, "second choice", NULL},
      {"/second/", 200, "second choice", NULL},
      {"/dir/", 410, NULL, NULL},
      {"/strange/", 410, NULL, NULL}}},
    /* No list does without an end. */
    {{"$uri/"},
     {{"/dir/", 200, "index of dir", NULL},
      {"/dir", 301, NULL, "Location: /dir/"},
      {"/a.txt", 404, NULL, NULL},
      {"/a.txt/", 404, NULL, NULL},
      {"/link-dir", 301, NULL, "Location: /link-dir/"},
      {"/strange/", 403, NULL, NULL}}},
    {{"=403"}, {{"/a.txt", 403, NULL, NULL}}},
};

static void test_try_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(try_tables) / sizeof(try_tables[0]); i++) {
        const struct try_table *table = &try_tables[i];
        size_t texts = 0, count = 0;
        while (table->texts[texts])
            texts++;
        while (table->cases[count].path)
            count++;
        check_table(http_files_new(&(struct http_files_options){.root = root,
                                                                .index = indexes,
                                                                .index_count = 2,
                                                                .try_files = (char *const *)table->texts,
                                                                .try_count = texts}),
                    table->cases, count);
    }
}

static void test_names_too_long(void **state)
{
    (void)state;
    struct http_files *files = open_root(NULL);
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    static const size_t sizes[] = {300, 5000};
    for (size_t i = 0; i < 2; i++) {
        char text[6000] = "GET /";
        memset(text + 5, 'a', sizes[i]);
        strcpy(text + 5 + sizes[i], " HTTP/1.1\r\n" HOST "\r\n");
        assert_int_equal(fixture_ask(&f, text).status, 404);
    }
    fixture_stop(&f);
    http_files_free(files);
}

/* A file that is replaced between two requests has another tag, and the first one's transfer is not
 * disturbed. */
static void test_validators_follow_the_file(void **state)
{
    (void)state;
    struct http_files *files = open_root(NULL);
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    char tags[2][64], from[256], to[256];
    const struct timespec settled[2] = {{.tv_sec = 784111777}, {.tv_sec = 784111777}};
    for (int i = 0; i < 2; i++) {
        make_file("new.txt", "same!");
        path_of(from, "new.txt");
        path_of(to, "changing.txt");
        assert_int_equal(utimensat(AT_FDCWD, from, settled, 0), 0);
        assert_int_equal(rename(from, to), 0);
        struct response r = fixture_ask(&f, GET("/changing.txt"));
        const char *etag = memmem(r.head, r.head_size, "\r\nETag: ", 8);
        assert_non_null(etag);
        assert_int_equal(sscanf(etag, "\r\nETag: %63[^\r]", tags[i]), 1);
    }
    assert_string_not_equal(tags[0], tags[1]);
    char text[256];
    snprintf(text, sizeof(text), "GET /changing.txt HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n", tags[1]);
    assert_int_equal(fixture_ask(&f, text).status, 304);
    fixture_stop(&f);
    http_files_free(files);
}

static void test_no_root(void **state)
{
    (void)state;
    errno = 0;
    assert_null(http_files_new(&(struct http_files_options){.root = "/nonexistent"}));
    assert_int_equal(errno, ENOENT);
    char path[256];
    path_of(path, "a.txt");
    assert_null(http_files_new(&(struct http_files_options){.root = path}));
    assert_int_equal(errno, ENOTDIR);
    http_files_free(NULL);
}

/* --- Openers of ours --- */

struct fake_opener {
    int error;
    struct http_opening *pending;
    unsigned opened, cancelled;
};

static void open_failing(void *arg, struct http_opening *opening)
{
    struct fake_opener *fake = arg;
    fake->opened++;
    opening->on_opened(opening, fake->error, -1, NULL);
}

static void open_later(void *arg, struct http_opening *opening)
{
    struct fake_opener *fake = arg;
    assert_null(fake->pending);
    fake->opened++;
    fake->pending = opening;
}

static void cancel_later(void *arg, struct http_opening *opening)
{
    struct fake_opener *fake = arg;
    assert_ptr_equal(fake->pending, opening);
    fake->pending = NULL;
    fake->cancelled++;
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        int error, status;
    } table[] = {
        {ENOENT, 404}, {ENOTDIR, 404}, {ENAMETOOLONG, 404}, {EACCES, 403}, {EPERM, 403},
        {EXDEV, 403},  {ELOOP, 403},   {ENXIO, 403},        {EMFILE, 503}, {ENFILE, 503},
        {ENOMEM, 503}, {EAGAIN, 503},  {EINTR, 503},        {EIO, 500},    {ENOSYS, 500},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct fake_opener fake = {.error = table[i].error};
        struct http_files *files = open_root(&(struct http_opener){.open = open_failing, .arg = &fake});
        struct http_handler handler = http_files_handler(files);
        struct fixture f;
        fixture_init(&f, &handler);
        fixture_start(&f, false);
        assert_int_equal(fixture_ask(&f, GET("/a.txt")).status, table[i].status);
        assert_int_equal(fake.opened, 1);
        fixture_stop(&f);
        http_files_free(files);
    }
}

/* A process out of descriptors says so, and serves again once it has some. */
static void test_descriptors_exhausted(void **state)
{
    (void)state;
    struct http_files *files = open_root(NULL);
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    assert_int_equal(fixture_ask(&f, GET("/a.txt")).status, 200);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int next = dup(0);
    assert_true(next != -1);
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, limit.rlim_max}), 0);
    int status = fixture_ask(&f, GET("/a.txt")).status;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(status, 503);
    assert_int_equal(fixture_ask(&f, GET("/a.txt")).status, 200);
    fixture_stop(&f);
    http_files_free(files);
}

static bool is_pending(struct fixture *f, size_t n)
{
    (void)f;
    return ((struct fake_opener *)n)->pending != NULL;
}

static void answer_pending(struct fake_opener *fake)
{
    struct http_opening *opening = fake->pending;
    fake->pending = NULL;
    http_opener_direct.open(NULL, opening);
}

static void test_late_opener(void **state)
{
    (void)state;
    struct fake_opener fake = {0};
    struct http_files *files =
        open_root(&(struct http_opener){.open = open_later, .cancel = cancel_later, .arg = &fake});
    struct http_handler handler = http_files_handler(files);
    struct fixture f;
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    fixture_send(&f, GET("/second/") GET("/a.txt"));
    for (unsigned i = 1; i <= 2; i++) { /* index.html, index.txt */
        assert_true(fixture_wait(&f, is_pending, (size_t)&fake));
        assert_int_equal(fake.opened, i);
        fixture_turn(&f);
        assert_int_equal(f.received_size, 0);
        answer_pending(&fake);
    }
    assert_true(fixture_wait(&f, is_pending, (size_t)&fake));
    answer_pending(&fake);
    assert_true(fixture_wait(&f, fixture_has_reports, 2));
    assert_true(fixture_wait(&f, fixture_has_received, 1));
    fixture_turn(&f);
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    assert_int_equal(r.body_size, strlen("second choice"));
    assert_memory_equal(r.body, "second choice", r.body_size);
    r = fixture_response(&f, &offset, true);
    assert_memory_equal(r.body, "hello", 5);

    /* The client goes while a file is being opened. */
    fixture_send(&f, GET("/a.txt"));
    assert_true(fixture_wait(&f, is_pending, (size_t)&fake));
    fixture_peer_reset(&f);
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(fake.cancelled, 1);
    assert_null(fake.pending);
    fixture_stop(&f);

    /* The server does. */
    fixture_init(&f, &handler);
    fixture_start(&f, false);
    fixture_send(&f, GET("/a.txt"));
    assert_true(fixture_wait(&f, is_pending, (size_t)&fake));
    fixture_stop(&f);
    assert_int_equal(fake.cancelled, 2);
    http_files_free(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_try_files),
        cmocka_unit_test(test_names_too_long),
        cmocka_unit_test(test_validators_follow_the_file),
        cmocka_unit_test(test_no_root),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_descriptors_exhausted),
        cmocka_unit_test(test_late_opener),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
