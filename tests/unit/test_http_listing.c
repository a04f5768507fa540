/* Listings: what of a directory is told of, in which order, and that no name gets out of its place in a page
 * or in JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/http/listing_page.h"

static char top[64];
static int root_fd = -1;

static void make_file(const char *path, off_t size)
{
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    int fd = openat(root_fd, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd != -1);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void make_directory(const char *path)
{
    assert_int_equal(mkdirat(root_fd, path, 0755), 0);
}

static void set_time(const char *path, time_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    assert_int_equal(utimensat(root_fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_link(const char *target, const char *path)
{
    assert_int_equal(symlinkat(target, root_fd, path), 0);
}

static int set_up(void **state)
{
    (void)state;
    char path[128];
    strcpy(top, "/tmp/sluice-listing-XXXXXX");
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof(path), "%s/root", top);
    assert_int_equal(mkdir(path, 0755), 0);
    root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(root_fd != -1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    close(root_fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command) == 0 ? 0 : -1;
}

static struct listing_options options_for(const char *path)
{
    return (struct listing_options){.what = {root_fd, path, HTTP_SYMLINKS_ON}};
}

/* To be freed. */
static char *write_by(listing_writer *write, const struct listing *listing, const char *path, size_t prefix)
{
    const struct listing_place place = {path, prefix};
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    write(stream, listing, &place);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(strlen(text), size);
    return text;
}

static void assert_names(const struct listing_options *options, const char *const *names, size_t count)
{
    struct listing listing;
    assert_int_equal(listing_read(&listing, options), 0);
    for (size_t i = 0; i < listing.count && i < count; i++)
        assert_string_equal(listing_name(&listing, &listing.entries[i]), names[i]);
    assert_int_equal(listing.count, count);
    assert_false(listing.truncated);
    listing_free(&listing);
}

static void test_what_is_listed(void **state)
{
    (void)state;
    make_directory("dir");
    make_directory("dir/Z");
    make_directory("dir/a");
    make_directory("dir/.git");
    make_file("dir/b", 5);
    make_file("dir/B", 6);
    make_file("dir/.hidden", 1);
    make_file("dir/..x", 1);
    make_file("dir/new\nline", 1);
    make_file("dir/bell\a", 1);
    make_file("dir/delete\x7f", 1);
    make_file("secret", 1);
    assert_int_equal(mkfifoat(root_fd, "dir/fifo", 0644), 0);
    make_link("b", "dir/link");
    make_link("../secret", "dir/up");
    make_link("a", "dir/dirlink");
    make_link("../../secret", "dir/out");
    make_link("..", "dir/parent");
    make_link("/etc/passwd", "dir/absolute");
    make_link("missing", "dir/dangling");
    make_link("fifo", "dir/fifolink");
    make_link("loop", "dir/loop");
    struct listing_options options = options_for("dir");
    static const char *const on[] = {"Z", "a", "dirlink", "parent", "B", "b", "link", "up"};
    static const char *const off[] = {"Z", "a", "B", "b"};
    static const char *const dots[] = {".git", "Z", "a", "..x", ".hidden", "B", "b"};
    assert_names(&options, on, 8);
    options.what.symlinks = HTTP_SYMLINKS_SAME_OWNER;
    assert_names(&options, on, 8);
    options.what.symlinks = HTTP_SYMLINKS_OFF;
    assert_names(&options, off, 4);
    options.dotfiles = true;
    assert_names(&options, dots, 7);
    options = options_for(".");
    static const char *const root_names[] = {"dir", "secret"};
    assert_names(&options, root_names, 2);
}

static void test_what_cannot_be_listed(void **state)
{
    (void)state;
    make_file("file", 1);
    make_directory("dir");
    make_link("dir", "link");
    struct listing listing;
    struct listing_options options = options_for("file");
    assert_int_equal(listing_read(&listing, &options), ENOTDIR);
    options = options_for("missing");
    assert_int_equal(listing_read(&listing, &options), ENOENT);
    options = options_for("link");
    options.what.symlinks = HTTP_SYMLINKS_OFF;
    assert_int_equal(listing_read(&listing, &options), ELOOP);
    options = options_for("dir");
    assert_int_equal(fchmodat(root_fd, "dir", 0311, 0), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(4711), 0);
    assert_int_equal(listing_read(&listing, &options), EACCES);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void test_there_is_an_end(void **state)
{
    (void)state;
    struct listing listing;
    struct listing_options options = options_for(".");
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        make_file(name, 1);
    }
    options.entries_max = 20;
    assert_int_equal(listing_read(&listing, &options), 0);
    assert_int_equal(listing.count, 20);
    assert_false(listing.truncated);
    char *page = write_by(listing_write_html, &listing, "", 0);
    assert_null(strstr(page, "There is more"));
    free(page);
    listing_free(&listing);

    options.entries_max = 19;
    assert_int_equal(listing_read(&listing, &options), 0);
    assert_int_equal(listing.count, 19);
    assert_true(listing.truncated);
    page = write_by(listing_write_html, &listing, "", 0);
    assert_non_null(strstr(page, "There is more in this directory than the 19 entries shown here."));
    free(page);
    page = write_by(listing_write_json, &listing, "", 0);
    assert_non_null(strstr(page, "\"truncated\":true"));
    free(page);
    listing_free(&listing);
}

static void test_json(void **state)
{
    (void)state;
    make_directory("d");
    make_directory("d/sub \xc3\xa4");
    make_file("d/a\"\\b'<>&.txt", 12345678901);
    make_file("d/latin\xe4", 0);
    set_time("d/sub \xc3\xa4", 0);
    set_time("d/latin\xe4", -1);
    struct listing listing;
    struct listing_options options = options_for("d");
    assert_int_equal(listing_read(&listing, &options), 0);
    char *text = write_by(listing_write_json, &listing, "x\"/d", 3);
    assert_string_equal(
        text, "{\"path\":\"/x\\\"/d/\",\"truncated\":false,\"entries\":[\n"
              "{\"name\":\"sub \xc3\xa4\",\"href\":\"sub%20%C3%A4/\",\"type\":\"directory\","
              "\"mtime\":\"1970-01-01T00:00:00Z\"},\n"
              "{\"name\":\"a\\\"\\\\b'<>&.txt\",\"href\":\"a%22%5Cb%27%3C%3E%26.txt\",\"type\":\"file\","
              "\"size\":12345678901,\"mtime\":\"2001-09-09T01:46:40Z\"},\n"
              "{\"name\":\"latin\xef\xbf\xbd\",\"href\":\"latin%E4\",\"type\":\"file\",\"size\":0,"
              "\"mtime\":\"1969-12-31T23:59:59Z\"}\n]}\n");
    free(text);
    listing_free(&listing);
    text = write_by(listing_write_json, &listing, "", 0);
    assert_string_equal(text, "{\"path\":\"/\",\"truncated\":false,\"entries\":[\n]}\n");
    free(text);
}

static void test_html(void **state)
{
    (void)state;
    make_directory("a");
    make_directory("a/<b>");
    make_directory("a/<b>/sub");
    set_time("a/<b>/sub", 1000000000);
    make_file("a/<b>/<script>alert('1')&\"", 1536);
    struct listing listing;
    struct listing_options options = options_for("a/<b>");
    assert_int_equal(listing_read(&listing, &options), 0);
    char *page = write_by(listing_write_html, &listing, "a/<b>", 0);
    static const char *const parts[] = {
        "<title>Index of /a/&lt;b&gt;/</title>",
        "<h1><span>Index of</span> <a href=\"../../\">/</a><a "
        "href=\"../\"><bdi>a</bdi></a>/<bdi>&lt;b&gt;</bdi>/</h1>",
        "<tbody>\n<tr class=\"d\"><td><a href=\"../\">..</a><td><td>\n"
        "<tr class=\"d\"><td><a href=\"sub/\"><bdi>sub/</bdi></a><td><td>2001-09-09 01:46\n"
        "<tr><td><a "
        "href=\"%3Cscript%3Ealert%28%271%27%29%26%22\"><bdi>&lt;script&gt;alert(&#39;1&#39;)&amp;&quot;"
        "</bdi></a><td>1.5 KiB<td>2001-09-09 01:46\n</tbody>\n",
        "<p>1 directory, 1 file, 1.5 KiB</p>",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strstr(page, parts[i]))
            fail_msg("%s\nis not in\n%s", parts[i], page);
    assert_null(strstr(page, "<script"));
    free(page);
    listing_free(&listing);

    /* What is above the root is told, but nothing leads there. */
    page = write_by(listing_write_html, &listing, "media/x", 6);
    assert_non_null(strstr(page, "</span> <a href=\"../\">/media/</a><bdi>x</bdi>/</h1>"));
    assert_non_null(strstr(page, "<a href=\"../\">..</a>"));
    assert_non_null(strstr(page, "<p>This directory is empty.</p>"));
    free(page);
    page = write_by(listing_write_html, &listing, "media", 5);
    assert_non_null(strstr(page, "</span> /media/</h1>"));
    assert_null(strstr(page, "<a "));
    free(page);
    page = write_by(listing_write_html, &listing, "", 0);
    assert_non_null(strstr(page, "<title>Index of /</title>"));
    assert_non_null(strstr(page, "</span> /</h1>"));
    assert_null(strstr(page, "<a "));
    free(page);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1587, "1.5 KiB"}, /* 1.5498 */
        {1588, "1.6 KiB"},
        {10188, "9.9 KiB"},
        {10189, "10 KiB"},
        {1048063, "1023 KiB"},
        {1048064, "1.0 MiB"},
        {1048576, "1.0 MiB"},
        {UINT64_C(23456789012), "22 GiB"},
        {UINT64_C(1) << 50, "1.0 PiB"},
        {UINT64_MAX, "16 EiB"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[] = "x", want[64];
        struct listing_entry entry = {.size = cases[i].size};
        const struct listing listing = {.entries = &entry, .count = 1, .names = name, .names_size = 2};
        char *page = write_by(listing_write_html, &listing, "", 0);
        snprintf(want, sizeof(want), "<td>%s<td>1970-01-01 00:00\n", cases[i].text);
        if (!strstr(page, want))
            fail_msg("%s is not there", want);
        free(page);
    }
}

/* UTF-8 and what only looks like it. */
static void test_names(void **state)
{
    (void)state;
#define BAD "\xef\xbf\xbd"
    static const struct {
        const char *name, *html;
    } cases[] = {
        {"a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z", "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"},
        {"\xc0\xaf", BAD BAD},         /* overlong */
        {"\xe0\x80\xaf", BAD BAD BAD}, /* overlong */
        {"\xf0\x80\x80\xaf", BAD BAD BAD BAD},
        {"\xed\xa0\x80", BAD BAD BAD},         /* a surrogate */
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD}, /* past U+10FFFF */
        {"\xf8\x88\x80\x80\x80", BAD BAD BAD BAD BAD},
        {"\xc3", BAD},
        {"\xe2\x82", BAD BAD},
        {"\xe2\x82<", BAD BAD "&lt;"},
        {"\xc3<b>", BAD "&lt;b&gt;"},
        {"\x80x\xff", BAD "x" BAD},
        {"exe\xe2\x80\xaetxt\xe2\x81\xa6", "exe" BAD "txt" BAD},
        {"\xe2\x80\xa9\xe2\x80\xaf", "\xe2\x80\xa9\xe2\x80\xaf"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t size = strlen(cases[i].name);
        char *exact = malloc(size), *text = NULL; /* a sanitizer watches its end */
        size_t length;
        assert_non_null(exact);
        memcpy(exact, cases[i].name, size);
        FILE *stream = open_memstream(&text, &length);
        assert_non_null(stream);
        listing_put_html(stream, exact, size);
        assert_int_equal(fclose(stream), 0);
        assert_string_equal(text, cases[i].html);
        free(text);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_there_is_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html, set_up, tear_down),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
