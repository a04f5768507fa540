/* Files as answers: ranges, conditions, validators, and the mode in which their bytes go. */
#include "http_file_fixture.h"

#define ASK(lines) ask_file(&f, &later, 1000, "GET /x HTTP/1.1\r\n" HOST lines "\r\n")

static void test_file_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    fixture_start(&f, false);
    struct response r = ASK("");
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_size, 1000);
    assert_true(file_bytes_are(r.body, 1000));
    assert_true(response_has(&r, "Accept-Ranges: bytes"));
    assert_true(response_has(&r, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_true(response_has(&r, "Content-Type: application/octet-stream"));
    const char *etag = memmem(r.head, r.head_size, "\r\nETag: \"", 9);
    assert_non_null(etag);
    char tag[64], text[512];
    assert_int_equal(sscanf(etag, "\r\nETag: %63[^\r]", tag), 1);
    static char head[1024];
    size_t head_size = r.head_size;
    memcpy(head, r.head, head_size);

    r = ask_file(&f, &later, 1000, "HEAD /x HTTP/1.1\r\n" HOST "Range: bytes=0-1\r\n\r\n");
    assert_int_equal(r.status, 200); /* Range means nothing here */
    assert_int_equal(r.head_size, head_size);
    const char *date = memmem(head, head_size, "Date: ", 6);
    assert_non_null(date);
    memcpy(head + (date - head), r.head + (date - head), 35); /* may have moved on by a second */
    assert_memory_equal(r.head, head, head_size);

    r = ASK("Range: bytes=10-19\r\n");
    assert_int_equal(r.status, 206);
    assert_int_equal(r.body_size, 10);
    assert_true(response_has(&r, "Content-Range: bytes 10-19/1000"));
    char whole[20];
    int fd = make_file(20);
    assert_int_equal(pread(fd, whole, 20, 0), 20);
    close(fd);
    assert_memory_equal(r.body, whole + 10, 10);
    r = ASK("Range: bytes=-1\r\n");
    assert_true(response_has(&r, "Content-Range: bytes 999-999/1000"));
    r = ASK("Range: bytes=5-6,0-1\r\n"); /* too close to each other to be two parts */
    assert_int_equal(r.status, 206);
    assert_true(response_has(&r, "Content-Range: bytes 0-6/1000"));
    assert_int_equal(r.body_size, 7);
    r = ASK("Range: bytes=1-0,5-6\r\n");
    assert_int_equal(r.status, 200);
    r = ASK("Range: bytes=0-1\r\nRange: bytes=0-1\r\n");
    assert_int_equal(r.status, 200);
    r = ASK("Range: bytes=1000-\r\n");
    assert_int_equal(r.status, 416);
    assert_true(response_has(&r, "Content-Range: bytes */1000"));
    r = ASK("Range: bytes=0-1\r\nIf-Range: \"old\"\r\n");
    assert_int_equal(r.status, 200);
    snprintf(text, sizeof(text), "GET /x HTTP/1.1\r\n" HOST "Range: bytes=0-1\r\nIf-Range: %s\r\n\r\n", tag);
    assert_int_equal(ask_file(&f, &later, 1000, text).status, 206);
    assert_int_equal(ask_file(&f, &later, 1001, text).status, 200); /* another file, another tag */
    snprintf(text, sizeof(text), "GET /x HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n", tag);
    r = ask_file(&f, &later, 1000, text);
    assert_int_equal(r.status, 304);
    assert_non_null(memmem(r.head, r.head_size, tag, strlen(tag)));
    assert_null(memmem(r.head, r.head_size, "Content-Length", 14));
    assert_int_equal(r.head + r.head_size - f.received, f.received_size);
    r = ASK("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    assert_int_equal(r.status, 304);
    r = ASK("If-Match: \"other\"\r\n");
    assert_int_equal(r.status, 412);
    r = ask_file(&f, &later, 0, GET("/empty"));
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_size, 0);
    fixture_stop(&f);
}

static const struct {
    enum relay_force force;
    enum relay_mode mode;
    enum relay_reason reason;
    bool is_user;
} table[] = {
    {RELAY_AUTO, RELAY_SENDFILE, RELAY_REASON_PASSTHROUGH, false},
    {RELAY_FORCE_SENDFILE, RELAY_SENDFILE, RELAY_REASON_FORCED, false},
    {RELAY_FORCE_MMAP, RELAY_MMAP, RELAY_REASON_FORCED, true},
    {RELAY_FORCE_COPY, RELAY_COPY, RELAY_REASON_FORCED, true},
};

static void test_modes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16383, 65537, 3000000};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct fixture f;
        struct later later;
        begin(&f, &later, false);
        f.options.policy.force = table[i].force;
        fixture_start(&f, false);
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            struct response r = ask_file(&f, &later, sizes[j], GET("/x"));
            assert_int_equal(r.body_size, sizes[j]);
            assert_true(file_bytes_are(r.body, sizes[j]));
            const struct flow_report *report = &f.reports[j].directions[SESSION_TO_CLIENT];
            assert_int_equal(report->segment_count, 1);
            assert_int_equal(report->segments[0].mode, table[i].mode);
            assert_int_equal(report->segments[0].reason, table[i].reason);
            assert_int_equal(report->segments[0].bytes, sizes[j]);
            assert_int_equal(report->user_bytes, table[i].is_user ? sizes[j] : 0);
            assert_int_equal(report->head_bytes, r.head_size + (j == 0 ? 1000 : 0));
            /* What has no payload is exempt from the policy. */
            r = fixture_ask(&f, "DELETE / HTTP/1.1\r\n" HOST "\r\n");
            assert_int_equal(r.status, 405);
            f.reports[j] = f.reports[f.report_count - 1];
            f.report_count = (unsigned)j + 1;
        }
        fixture_stop(&f);
    }
}

/* What the body of `count` ranges must be: file is all of it. */
static size_t expect_parts(char *out, const struct response *r, const char *file, size_t size,
                           const size_t ranges[][2], size_t count)
{
    char boundary[71];
    size_t at = 0;
    const char *type = memmem(r->head, r->head_size, "\r\nContent-Type: ", 16);
    assert_non_null(type);
    assert_int_equal(sscanf(type, "\r\nContent-Type: multipart/byteranges; boundary=%70[0-9a-f]\r", boundary),
                     1);
    for (size_t i = 0; i < count; i++) {
        const size_t first = ranges[i][0], last = ranges[i][1];
        at += (size_t)sprintf(out + at,
                              "%s--%s\r\nContent-Type: application/octet-stream\r\n"
                              "Content-Range: bytes %zu-%zu/%zu\r\n\r\n",
                              i == 0 ? "" : "\r\n", boundary, first, last, size);
        memcpy(out + at, file + first, last + 1 - first);
        at += last + 1 - first;
    }
    return at + (size_t)sprintf(out + at, "\r\n--%s--\r\n", boundary);
}

static void test_several_ranges(void **state)
{
    (void)state;
    enum { SIZE = 1000000 };
    static const size_t ranges[][2] = {{500000, 799999}, {0, 0}, {1000, 66535}, {999990, 999999}};
    static char whole[SIZE], want[SIZE];
    const int fd = make_file(SIZE);
    assert_int_equal(pread(fd, whole, SIZE, 0), SIZE);
    close(fd);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct fixture f;
        struct later later;
        begin(&f, &later, false);
        f.options.policy.force = table[i].force;
        fixture_start(&f, false);
        for (int turn = 0; turn < 2; turn++) { /* the connection goes on after it */
            struct response r = ask_file(&f, &later, SIZE,
                                         "GET /x HTTP/1.1\r\n" HOST
                                         "Range: bytes=500000-799999, 0-0, 1000-66535, -10\r\n\r\n");
            assert_int_equal(r.status, 206);
            assert_true(response_has(&r, "Accept-Ranges: bytes"));
            assert_null(memmem(r.head, r.head_size, "Content-Range", 13));
            assert_int_equal(r.body_size, expect_parts(want, &r, whole, SIZE, ranges, 4));
            assert_memory_equal(r.body, want, r.body_size);
            const struct report *report = &f.reports[turn];
            const struct flow_report *sent = &report->directions[SESSION_TO_CLIENT];
            const size_t bytes = 300000 + 1 + 65536 + 10;
            assert_int_equal(report->outcome, OUTCOME_COMPLETE);
            assert_int_equal(sent->bytes, r.body_size);
            assert_int_equal(sent->head_bytes, r.head_size + (turn == 0 ? 1000 : 0));
            assert_int_equal(sent->kernel_bytes, table[i].is_user ? 0 : bytes);
            assert_int_equal(sent->user_bytes, table[i].is_user ? sent->bytes : sent->bytes - bytes);
            size_t moved = 0;
            for (unsigned j = 0; j < sent->segment_count; j++)
                if (sent->segments[j].mode == table[i].mode && sent->segments[j].reason == table[i].reason)
                    moved += sent->segments[j].bytes;
                else
                    assert_int_equal(sent->segments[j].reason, RELAY_REASON_GENERATED);
            assert_int_equal(moved, bytes);
        }
        fixture_stop(&f);
    }
}

/* A part's text is ours, and passes with its bytes only. */
static void test_several_ranges_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    f.options.policy = (struct relay_policy){.require_zero_copy = true};
    fixture_start(&f, false);
    struct http_file file = file_of(make_file(1000), 1000);
    answer_with_file(&f, &later, &file, "GET /x HTTP/1.1\r\n" HOST "Range: bytes=0-0,-1\r\n\r\n");
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    size_t offset = 0;
    assert_int_equal(fixture_response(&f, &offset, true).status, 206);
    assert_int_equal(f.reports[0].directions[SESSION_TO_CLIENT].kernel_bytes, 2);
    file = file_of(make_file(1000), 1000);
    file.is_regular = false;
    answer_with_file(&f, &later, &file, "GET /x HTTP/1.1\r\n" HOST "Range: bytes=0-0,-1\r\n\r\n");
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_reset);
    assert_int_equal(f.received_size, offset);
    assert_int_equal(f.reports[1].outcome, OUTCOME_REFUSED);
    assert_int_equal(f.reports[1].status, 0);
    fixture_stop(&f);
}

/* What was written a moment ago may be written again and look the same. */
static void test_fresh_file(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    fixture_start(&f, false);
    char tags[2][64];
    for (int i = 0; i < 2; i++) {
        struct http_file file = file_of(make_file(10), 10);
        file.mtime = i == 0 ? time(NULL) + 1 : time(NULL) - 60;
        file.mtime_ns = 1; /* the tags differ by their kind alone */
        size_t offset = f.received_size;
        answer_with_file(&f, &later, &file, GET("/x"));
        assert_true(fixture_wait(&f, fixture_has_reports, (size_t)i + 1));
        assert_true(fixture_wait(&f, fixture_has_received, offset + 1));
        struct response r = fixture_response(&f, &offset, true);
        const char *etag = memmem(r.head, r.head_size, "\r\nETag: ", 8);
        assert_non_null(etag);
        assert_int_equal(sscanf(etag, "\r\nETag: %63[^\r]", tags[i]), 1);
    }
    assert_string_equal(tags[0], "W/\"1-a-7~\"");
    assert_string_equal(tags[1], "\"1-a-7\"");
    fixture_stop(&f);
}

/* Zero copy required of a file that can't have it: reset before the first byte, with the reason. */
static void test_policy_refuses(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    f.options.policy = (struct relay_policy){.require_zero_copy = true};
    fixture_start(&f, false);
    struct response r = fixture_ask(&f, "PUT / HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 405); /* a page of ours passes */
    size_t before = f.received_size;
    struct http_file file = file_of(make_file(1000), 1000);
    file.is_regular = false;
    answer_with_file(&f, &later, &file, GET("/x"));
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_reset);
    assert_int_equal(f.received_size, before);
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.end, HTTP_END_RESET);
    assert_int_equal(f.reports[1].outcome, OUTCOME_REFUSED);
    assert_string_equal(f.reports[1].detail, relay_reason_name(RELAY_REASON_NOT_REGULAR_FILE));
    assert_int_equal(f.reports[1].status, 0);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_answers),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_fresh_file),
        cmocka_unit_test(test_several_ranges),
        cmocka_unit_test(test_several_ranges_refused),
        cmocka_unit_test(test_policy_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
