/* proxy/http/mime: content types by name, the built-in ones and the operator's over them. */
#include "proxy/http/mime.h"

#include <strings.h>

#include "http_policy_fixture.h"
#include "proxy/http/mime_types.h"

struct mime_case {
    const char *name, *type;
};

static void check(const char *keys, const struct mime_case *cases)
{
    struct conf *conf = fixture_policy(keys);
    struct http_mime *mime = http_mime_new(&conf->files[0].policy);
    assert_non_null(mime);
    for (; cases->name; cases++)
        assert_string_equal(http_mime_type(mime, cases->name), cases->type);
    http_mime_free(mime);
    conf_free(conf);
}

static void test_built_in(void **state)
{
    (void)state;
    static const struct mime_case table[] = {
        {"index.html", "text/html; charset=utf-8"},
        {"a/b/INDEX.HTM", "text/html; charset=utf-8"},
        {"a.css", "text/css; charset=utf-8"},
        {"a.js", "text/javascript; charset=utf-8"},
        {"a.json", "application/json"},
        {"a.txt", "text/plain; charset=utf-8"},
        {"a.tar.gz", "application/gzip"},
        {"a.jpg", "image/jpeg"},
        {"a.JPEG", "image/jpeg"},
        {"a.svg", "image/svg+xml; charset=utf-8"},
        {"a.mp4", "video/mp4"},
        {"a.7z", "application/x-7z-compressed"},
        {"a.zst", "application/zstd"},
        {"a.woff2", "font/woff2"},
        {"a.avif", "image/avif"},
        {"a.WebP", "image/webp"},
        {"a.mjs", "text/javascript; charset=utf-8"},
        {"a.m3u8", "application/vnd.apple.mpegurl"},
        {"a.webmanifest", "application/manifest+json"},
        {"a.xhtml", "application/xhtml+xml; charset=utf-8"},
        {"feed.rss", "application/rss+xml"},
        {"a.3gp", "video/3gpp"},
        {"a.wasm", "application/wasm"},
        {"a.bin", "application/octet-stream"},
        {"a.unknown", "application/octet-stream"},
        {"a", "application/octet-stream"},
        {"a.", "application/octet-stream"},
        {"", "application/octet-stream"},
        {".html", "application/octet-stream"},
        {"b/.html", "application/octet-stream"},
        {"dir.html/file", "application/octet-stream"},
        {"a.htmlx", "application/octet-stream"},
        {NULL, NULL},
    };
    check("", table);
}

/* Each once, and never with a charset: that is added. */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < mime_type_count; i++) {
        assert_non_null(strchr(mime_types[i].type, '/'));
        assert_null(strpbrk(mime_types[i].type, "; "));
        assert_null(strpbrk(mime_types[i].extension, "./"));
        if (i > 0)
            assert_true(strcasecmp(mime_types[i - 1].extension, mime_types[i].extension) < 0);
    }
}

static void test_operator(void **state)
{
    (void)state;
    static const struct mime_case table[] = {
        {"a.js", "application/javascript; charset=koi8-r"},
        {"a.Foo", "application/javascript; charset=koi8-r"},
        {"a.0", "image/x-zero"},
        {"a.txt", "text/plain; charset=iso-8859-1"},
        {"a.ZZZ", "Text/X-Last; charset=koi8-r"},
        {"a.css", "text/css; charset=koi8-r"},
        {"a.png", "image/png"},
        {"README", "text/markdown; charset=koi8-r"},
        {NULL, NULL},
    };
    check("mime_types = ( { extensions = [ \"JS\", \"foo\" ]; type = \"application/javascript\"; }, { "
          "extensions = "
          "\"0\"; type = \"image/x-zero\"; }, { extensions = \"txt\"; type = \"text/plain; "
          "charset=iso-8859-1\"; }, "
          "{ extensions = \"zzz\"; type = \"Text/X-Last\"; } ); default_type = \"text/markdown\"; charset = "
          "\"koi8-r\";",
          table);
}

static void test_no_charset(void **state)
{
    (void)state;
    static const struct mime_case table[] = {
        {"a.html", "text/html"},
        {"a.svg", "image/svg+xml"},
        {"a", "text/plain; charset=us-ascii"},
        {NULL, NULL},
    };
    check("default_type = \"text/plain; charset=us-ascii\"; charset = \"off\";", table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_operator),
        cmocka_unit_test(test_no_charset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
