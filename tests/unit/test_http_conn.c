/* An HTTP connection over TCP: order, keep-alive, deadlines, half-close, loss, and handlers that answer late.
 * The handler here is a fake one; files are test_http_files.c's. */
#include "http_file_fixture.h"

#include "proxy/http/http_conn_state.h"
#include "proxy/http/request.h"

static bool body_is(const struct response *r, const char *text)
{
    return r->body_size == strlen(text) && memcmp(r->body, text, r->body_size) == 0;
}

/* --- Requests and answers --- */

static void test_one_answer(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    fixture_start(&f, false);
    static const char text[] = "GET /a%20b?q HTTP/1.1\r\n" HOST "\r\n";
    struct response r = fixture_ask(&f, text);
    assert_int_equal(r.status, 200);
    assert_true(body_is(&r, "a b"));
    assert_true(response_has(&r, "Server: sluice"));
    assert_true(response_has(&r, "Content-Type: text/plain"));
    assert_true(response_has(&r, "Content-Length: 3"));
    assert_false(response_has(&r, "Connection: close"));

    const struct report *report = &f.reports[0];
    assert_string_equal(report->request, "GET /a%20b?q HTTP/1.1");
    assert_string_equal(report->listener, "test");
    assert_int_equal(report->status, 200);
    assert_int_equal(report->outcome, OUTCOME_COMPLETE);
    const struct flow_report *to_client = &report->directions[SESSION_TO_CLIENT];
    assert_int_equal(to_client->bytes, 3);
    assert_int_equal(to_client->user_bytes, 3);
    assert_int_equal(to_client->segment_count, 1);
    assert_int_equal(to_client->segments[0].mode, RELAY_COPY);
    assert_int_equal(to_client->segments[0].reason, RELAY_REASON_GENERATED);
    /* The first response carries the template's bytes, the next ones don't. */
    assert_int_equal(to_client->head_bytes, 1000 + r.head_size);
    assert_int_equal(report->directions[SESSION_TO_SERVER].head_bytes, 500 + sizeof(text) - 1);
    size_t first_head = r.head_size;
    r = fixture_ask(&f, text);
    assert_int_equal(f.reports[1].directions[SESSION_TO_CLIENT].head_bytes, r.head_size);
    assert_int_equal(f.reports[1].directions[SESSION_TO_SERVER].head_bytes, sizeof(text) - 1);
    assert_int_equal(relay_counter_get(&f.counters[SESSION_TO_SERVER].head_bytes), 2 * (sizeof(text) - 1));
    assert_int_equal(relay_counter_get(&f.counters[SESSION_TO_CLIENT].head_bytes), first_head + r.head_size);
    assert_int_equal(f.conn->state, CONN_IDLE);
    assert_null(f.conn->buffer); /* an idle connection owns none */
    fixture_stop(&f);
}

static void test_pipelining(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    fixture_start(&f, false);
    char text[8192] = "", expected[32];
    for (int i = 0; i < 40; i++) /* more than one turn's worth */
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "GET /%d HTTP/1.1\r\n" HOST "\r\n", i);
    strcat(text, "HEAD /h HTTP/1.1\r\n" HOST "\r\nGET /last HT");
    fixture_send(&f, text);
    assert_true(fixture_wait(&f, fixture_has_reports, 41));
    fixture_send(&f, "TP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    size_t offset = 0;
    for (int i = 0; i < 40; i++) {
        struct response r = fixture_response(&f, &offset, true);
        snprintf(expected, sizeof(expected), "%d", i);
        assert_true(body_is(&r, expected));
    }
    struct response r = fixture_response(&f, &offset, false);
    assert_true(response_has(&r, "Content-Length: 1"));
    r = fixture_response(&f, &offset, true);
    assert_true(body_is(&r, "last"));
    assert_true(response_has(&r, "Connection: close"));
    assert_int_equal(offset, f.received_size);
    fixture_stop(&f);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    fixture_start(&f, false);
    static const char text[] = GET("/slow");
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        assert_int_equal(later.count, 0);
        fixture_send_bytes(&f, text + i, 1);
        fixture_turn(&f);
    }
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    size_t offset = 0;
    assert_true(fixture_wait(&f, fixture_has_received, 1));
    struct response r = fixture_response(&f, &offset, true);
    assert_true(body_is(&r, "slow"));
    fixture_stop(&f);
}

static void test_late_answer(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    fixture_start(&f, false);
    fixture_send(&f, GET("/1") GET("/2"));
    assert_true(fixture_wait(&f, asked, 1));
    for (int i = 0; i < 20; i++)
        fixture_turn(&f);
    assert_int_equal(later.count, 1); /* the second waits for the first */
    assert_int_equal(f.received_size, 0);
    struct report report;
    assert_true(http_conn_report(f.conn, &report));
    assert_string_equal(report.request, "GET /1 HTTP/1.1");
    assert_int_equal(report.outcome, OUTCOME_OPEN);

    http_respond_memory(later.asked[0], 200, "text/plain", "X-A: b\r\n", "one", 3);
    assert_int_equal(f.report_count, 0); /* nothing ends inside the call */
    assert_true(fixture_wait(&f, asked, 2));
    http_respond_status(later.asked[1], 503, NULL);
    assert_true(fixture_wait(&f, fixture_has_reports, 2));
    assert_false(http_conn_report(f.conn, &report));
    fixture_turn(&f);
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    assert_true(body_is(&r, "one"));
    assert_true(response_has(&r, "X-A: b"));
    assert_true(fixture_wait(&f, fixture_has_received, offset + 1));
    r = fixture_response(&f, &offset, true);
    assert_int_equal(r.status, 503);
    assert_int_equal(later.cancelled, 0);
    fixture_stop(&f);
}

struct refusal {
    const char *text;
    int status;
    bool keeps; /* the connection is usable afterwards */
    enum report_outcome outcome;
};

static const struct refusal refusals[] = {
    {"GET /%00 HTTP/1.1\r\n" HOST "\r\n", 400, true, OUTCOME_COMPLETE},
    {"GET /../x HTTP/1.1\r\n" HOST "\r\n", 400, true, OUTCOME_COMPLETE},
    {"GET /a%2fb HTTP/1.1\r\n" HOST "\r\n", 404, true, OUTCOME_COMPLETE},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", 400, true, OUTCOME_COMPLETE},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 405, true, OUTCOME_COMPLETE},
    {"DELETE /x HTTP/1.1\r\n" HOST "\r\n", 405, true, OUTCOME_COMPLETE},
    {"POST /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405, true, OUTCOME_COMPLETE},
    {"POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 405, true, OUTCOME_COMPLETE},
    {"PUT /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 405, false,
     OUTCOME_COMPLETE},
    {"POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 405, true, OUTCOME_COMPLETE},
    {"CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", 405, false, OUTCOME_COMPLETE},
    {"GET / HTTP/1.1\r\n\r\n", 400, false, OUTCOME_BAD_REQUEST},
    {"GET / HTTP/1.1\nHost: a\n\n", 400, false, OUTCOME_BAD_REQUEST},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     false, OUTCOME_BAD_REQUEST},
    {"\x16\x03\x01", 400, false, OUTCOME_BAD_REQUEST},
    {"BREW / HTTP/1.1\r\n" HOST "\r\n", 501, false, OUTCOME_BAD_REQUEST},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505, false, OUTCOME_BAD_REQUEST},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, false, OUTCOME_BAD_REQUEST},
};

static void check_refusal(const char *text, size_t size, const struct refusal *want)
{
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    fixture_start(&f, false);
    fixture_send_bytes(&f, text, size);
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_true(fixture_wait(&f, want->keeps ? fixture_has_received : fixture_peer_is_done, 1));
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    if (r.status != want->status || f.reports[0].outcome != want->outcome)
        fail_msg("%s: status %d, outcome %d", text, r.status, (int)f.reports[0].outcome);
    assert_int_equal(f.reports[0].status, want->status);
    assert_int_equal(f.reports[0].detail[0] != '\0', want->outcome != OUTCOME_COMPLETE);
    if (want->outcome == OUTCOME_LIMITED) {
        const enum http_limit limit = want->status == 414 ? HTTP_LIMIT_MAX_URI : HTTP_LIMIT_MAX_HEAD;
        assert_string_equal(f.reports[0].detail, http_limit_name(limit));
        assert_int_equal(f.limited[limit], 1);
    }
    assert_true(r.body_size > 0 && offset == f.received_size);
    assert_int_equal(response_has(&r, "Allow: GET, HEAD"), want->status == 405);
    assert_int_equal(response_has(&r, "Connection: close"), !want->keeps);
    assert_int_equal(later.count, 0);
    if (want->keeps) {
        r = fixture_ask(&f, GET("/still"));
        assert_true(body_is(&r, "still"));
    } else {
        assert_true(f.peer_eof); /* and not a reset, which could overtake the answer */
    }
    fixture_stop(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        check_refusal(refusals[i].text, strlen(refusals[i].text), &refusals[i]);
    char *text = malloc(65536);
    assert_non_null(text);
    memset(text, 'a', 65536);
    memcpy(text, "GET /", 5);
    check_refusal(text, 65536, &(struct refusal){"long line", 414, false, OUTCOME_LIMITED});
    int size = snprintf(text, 65536, "GET / HTTP/1.1\r\n" HOST "A: ");
    memset(text + size, 'a', (size_t)(65536 - size));
    check_refusal(text, 65536, &(struct refusal){"long head", 431, false, OUTCOME_LIMITED});
    free(text);
}

/* A body nobody asked for must not make the kernel reset the connection over the answer. */
static void test_large_body_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    f.keep_reading = false;
    fixture_start(&f, false);
    fixture_send(&f, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n");
    char *body = calloc(1, 3000000);
    assert_non_null(body);
    fixture_send_bytes(&f, body, 3000000);
    free(body);
    f.keep_reading = true;
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    size_t offset = 0;
    assert_int_equal(fixture_response(&f, &offset, true).status, 413);
    fixture_stop(&f);
}

static void test_http_10(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    fixture_start(&f, false);
    struct response r = fixture_ask(&f, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(response_has(&r, "Connection: keep-alive"));
    r = fixture_ask(&f, "GET /b HTTP/1.0\r\n\r\n");
    assert_true(body_is(&r, "b"));
    assert_true(response_has(&r, "Connection: close"));
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    close(f.peer);
    f.peer = -1;
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.end, HTTP_END_CLOSED);
    fixture_stop(&f);
}

/* --- Loss --- */

#define LARGE ((size_t)4 << 20)

static void test_truncated_file(void **state)
{
    (void)state;
    static const enum relay_force forces[] = {RELAY_FORCE_SENDFILE, RELAY_FORCE_MMAP, RELAY_FORCE_COPY};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        struct later later;
        begin(&f, &later, false);
        f.options.policy.force = forces[i];
        f.keep_reading = false;
        fixture_start(&f, true);
        int fd = make_file(LARGE), other = dup(fd);
        const struct http_file file = file_of(fd, LARGE);
        answer_with_file(&f, &later, &file, GET("/x"));
        for (int turn = 0; turn < 10; turn++)
            fixture_turn(&f);
        assert_int_equal(f.report_count, 0);
        assert_int_equal(ftruncate(other, 1000), 0);
        close(other);
        f.keep_reading = true;
        assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
        assert_true(f.peer_reset); /* never a clean end, never padding */
        assert_true(f.received_size < LARGE);
        assert_true(fixture_wait(&f, fixture_has_ended, 0));
        assert_int_equal(f.reports[0].outcome, OUTCOME_TRUNCATED);
        fixture_stop(&f);
    }
}

static void test_client_resets(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    f.keep_reading = false;
    fixture_start(&f, true);
    const struct http_file file = file_of(make_file(LARGE), LARGE);
    answer_with_file(&f, &later, &file, GET("/x"));
    for (int turn = 0; turn < 10; turn++)
        fixture_turn(&f);
    assert_int_equal(f.report_count, 0); /* held up by the client's full window */
    fixture_peer_reset(&f);
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.end, HTTP_END_RESET);
    assert_int_equal(f.report_count, 1);
    assert_int_equal(f.reports[0].outcome, OUTCOME_RESET);
    assert_int_equal(f.reports[0].closed_by, CLOSED_BY_CLIENT);
    fixture_stop(&f);
}

static void test_client_resets_while_handled(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    fixture_start(&f, false);
    fixture_send(&f, GET("/x"));
    assert_true(fixture_wait(&f, asked, 1));
    fixture_peer_reset(&f);
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(later.cancelled, 1);
    assert_int_equal(f.reports[0].outcome, OUTCOME_RESET);
    assert_int_equal(f.reports[0].closed_by, CLOSED_BY_CLIENT);
    fixture_stop(&f);
}

/* A client that has said all and shut its side down still gets everything. */
static void test_half_close(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    fixture_start(&f, true);
    const struct http_file file = file_of(make_file(LARGE), LARGE);
    fixture_send(&f, GET("/x"));
    shutdown(f.peer, SHUT_WR);
    assert_true(fixture_wait(&f, asked, 1));
    for (int turn = 0; turn < 10; turn++)
        fixture_turn(&f);
    http_respond_file(later.asked[0], &file);
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    assert_int_equal(r.body_size, LARGE);
    assert_true(file_bytes_are(r.body, LARGE));
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.end, HTTP_END_CLOSED);
    assert_int_equal(f.reports[0].outcome, OUTCOME_COMPLETE);
    fixture_stop(&f);
}

static void test_client_closes_early(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "GET / HTTP/1.1\r\nHo"};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        struct later later;
        begin(&f, &later, true);
        fixture_start(&f, false);
        fixture_send(&f, texts[i]);
        fixture_turn(&f);
        shutdown(f.peer, SHUT_WR);
        assert_true(fixture_wait(&f, fixture_has_ended, 0));
        assert_int_equal(f.end, HTTP_END_CLOSED);
        assert_int_equal(f.report_count, 0);
        assert_int_equal(f.received_size, 0);
        fixture_stop(&f);
    }
}

/* --- Deadlines --- */

static void test_header_timeout(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    f.options.header_ms = 60;
    fixture_start(&f, false);
    struct response r = fixture_ask(&f, GET("/first"));
    assert_int_equal(r.status, 200);
    size_t before = f.received_size;
    uint64_t began = loop_now_ms();
    fixture_send(&f, "GET / HTTP/1.1\r\nHost:");
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(loop_now_ms() - began >= 50);
    assert_true(f.peer_eof);
    r = fixture_response(&f, &before, true);
    assert_int_equal(r.status, 408);
    assert_true(response_has(&r, "Connection: close"));
    assert_int_equal(f.reports[1].status, 408);
    assert_int_equal(f.reports[1].outcome, OUTCOME_TIMEOUT);
    assert_string_equal(f.reports[1].request, "GET / HTTP/1.1");
    fixture_stop(&f);
}

static void test_idle_timeout(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    f.options.idle_ms = 60;
    fixture_start(&f, false);
    fixture_ask(&f, GET("/first"));
    size_t before = f.received_size;
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    assert_int_equal(f.received_size, before); /* silently */
    close(f.peer);
    f.peer = -1;
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.end, HTTP_END_TIMEOUT);
    assert_int_equal(f.report_count, 1);
    fixture_stop(&f);
}

static void test_stalled_client(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    f.options.idle_ms = 100;
    f.keep_reading = false;
    fixture_start(&f, true);
    const struct http_file file = file_of(make_file(LARGE), LARGE);
    answer_with_file(&f, &later, &file, GET("/x"));
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.end, HTTP_END_TIMEOUT);
    assert_int_equal(f.reports[0].outcome, OUTCOME_TIMEOUT);
    f.keep_reading = true;
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_reset);
    fixture_stop(&f);
}

/* Slow, but never idle: takes several times the deadline and gets everything. */
static void test_slow_client(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    f.options.idle_ms = 200;
    f.keep_reading = false;
    fixture_start(&f, true);
    const size_t size = (size_t)1 << 20;
    const struct http_file file = file_of(make_file(size), size);
    answer_with_file(&f, &later, &file, "GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    uint64_t began = loop_now_ms(), slow_until = began + 4 * f.options.idle_ms;
    while (!f.peer_eof) {
        fixture_turn(&f);
        assert_false(f.peer_reset);
        assert_true(loop_now_ms() - began < FIXTURE_PATIENCE_MS * 2);
        fixture_receive(&f, loop_now_ms() < slow_until ? 1024 : SIZE_MAX);
        struct pollfd nothing = {.fd = -1};
        poll(&nothing, 1, 2); /* the pace of the slow client */
    }
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    assert_int_equal(r.body_size, size);
    assert_true(file_bytes_are(r.body, size));
    assert_int_equal(f.reports[0].outcome, OUTCOME_COMPLETE);
    assert_true(f.reports[0].duration_ms > f.options.idle_ms);
    fixture_stop(&f);
}

static bool time_has_come(struct fixture *f, size_t at_ms)
{
    (void)f;
    return loop_now_ms() >= at_ms;
}

/* The last bytes of a closing connection are in the kernel; a client that pauses for longer than linger, but
 * not than idle, gets them all the same. */
static void test_pause_after_close(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    f.options.linger_ms = 50;
    f.keep_reading = false;
    fixture_start(&f, false);
    const int small = 16384;
    setsockopt(f.peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    const size_t size = 300000; /* more than the client's buffer, less than ours */
    const struct http_file file = file_of(make_file(size), size);
    answer_with_file(&f, &later, &file, "GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_true(fixture_wait(&f, time_has_come, loop_now_ms() + 4 * f.options.linger_ms));
    assert_false(f.ended);
    f.keep_reading = true;
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    assert_int_equal(r.body_size, size);
    assert_true(file_bytes_are(r.body, size));
    /* Everything is delivered: now the short deadline counts. */
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.end, HTTP_END_CLOSED);
    fixture_stop(&f);
}

static void test_handler_never_answers(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    f.options.idle_ms = 50;
    fixture_start(&f, false);
    fixture_send(&f, GET("/x"));
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(later.cancelled, 1);
    assert_int_equal(f.reports[0].outcome, OUTCOME_TIMEOUT);
    fixture_stop(&f);
}

/* --- Drain and free --- */

static void test_drain_idle(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    fixture_start(&f, false);
    fixture_ask(&f, GET("/x"));
    http_conn_drain(f.conn);
    assert_false(f.ended); /* from the event loop only */
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    fixture_stop(&f);
}

/* A request that was sent before the client could know is answered, and told that it was the last. */
static void test_drain_meets_request(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, true);
    fixture_start(&f, false);
    fixture_ask(&f, GET("/x"));
    size_t offset = f.received_size;
    http_conn_drain(f.conn);
    fixture_send(&f, GET("/y"));
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    struct response r = fixture_response(&f, &offset, true);
    assert_true(body_is(&r, "y"));
    assert_true(response_has(&r, "Connection: close"));
    fixture_stop(&f);
}

static void test_drain_busy(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false);
    fixture_start(&f, false);
    fixture_send(&f, GET("/1") GET("/2"));
    assert_true(fixture_wait(&f, asked, 1));
    http_conn_drain(f.conn);
    fixture_turn(&f);
    http_respond_memory(later.asked[0], 200, "text/plain", NULL, "one", 3);
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(f.peer_eof);
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    assert_true(body_is(&r, "one"));
    assert_true(response_has(&r, "Connection: close"));
    assert_int_equal(offset, f.received_size);
    assert_int_equal(later.count, 1);
    fixture_stop(&f);
}

static void test_free_any_time(void **state)
{
    (void)state;
    struct fixture f;
    struct later later;
    begin(&f, &later, false); /* at once */
    fixture_start(&f, false);
    fixture_stop(&f);

    begin(&f, &later, false); /* while it is handled */
    fixture_start(&f, false);
    fixture_send(&f, GET("/x"));
    assert_true(fixture_wait(&f, asked, 1));
    http_conn_free(f.conn);
    f.conn = NULL;
    assert_int_equal(later.cancelled, 1);
    fixture_send(&f, "more"); /* an edge on the endpoint that is left */
    fixture_turn(&f);
    fixture_stop(&f);
    assert_int_equal(f.report_count, 0);

    begin(&f, &later, false); /* answered, but not yet sent */
    fixture_start(&f, false);
    fixture_send(&f, GET("/x"));
    assert_true(fixture_wait(&f, asked, 1));
    http_respond_status(later.asked[0], 404, NULL);
    fixture_stop(&f);
    assert_int_equal(later.cancelled, 0);

    begin(&f, &later, false); /* in the middle of a transfer */
    f.keep_reading = false;
    fixture_start(&f, true);
    const struct http_file file = file_of(make_file(LARGE), LARGE);
    answer_with_file(&f, &later, &file, GET("/x"));
    fixture_turn(&f);
    fixture_turn(&f);
    struct report report;
    assert_true(http_conn_report(f.conn, &report));
    assert_true(report.directions[SESSION_TO_CLIENT].bytes > 0);
    fixture_stop(&f);

    begin(&f, &later, true); /* within on_response */
    f.free_in_response = true;
    fixture_start(&f, false);
    fixture_send(&f, "GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_null(f.conn);
    fixture_stop(&f);

    begin(&f, &later, true); /* while it lingers */
    fixture_start(&f, false);
    fixture_ask(&f, "GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_false(f.ended);
    fixture_stop(&f);
    assert_false(f.ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_answer),        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_byte_by_byte),      cmocka_unit_test(test_late_answer),
        cmocka_unit_test(test_refusals),          cmocka_unit_test(test_large_body_is_dropped),
        cmocka_unit_test(test_http_10),           cmocka_unit_test(test_truncated_file),
        cmocka_unit_test(test_client_resets),     cmocka_unit_test(test_client_resets_while_handled),
        cmocka_unit_test(test_half_close),        cmocka_unit_test(test_client_closes_early),
        cmocka_unit_test(test_header_timeout),    cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_stalled_client),    cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_pause_after_close), cmocka_unit_test(test_handler_never_answers),
        cmocka_unit_test(test_drain_idle),        cmocka_unit_test(test_drain_meets_request),
        cmocka_unit_test(test_drain_busy),        cmocka_unit_test(test_free_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
