/* What one HTTP connection may ask for, over TCP on loopback: bodies that are skipped, and those that aren't;
 * how many requests; how slowly. */
#include "http_fixture.h"

#include "proxy/http/http_conn_state.h"
#include "relay/pace.h"

#define HOST "Host: localhost\r\n"
#define POST(lines) "POST /x HTTP/1.1\r\n" HOST lines "\r\n"
#define GET "GET /y HTTP/1.1\r\n" HOST "\r\n"

/* --- The page is as large as the test wants --- */

struct page {
    size_t size;
    unsigned asked;
};

static void page_handle(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    struct page *page = arg;
    char *bytes = calloc(1, page->size + 1);
    (void)request;
    assert_non_null(bytes);
    page->asked++;
    http_respond_memory(exchange, 200, "text/plain", NULL, bytes, page->size);
    free(bytes);
}

static void page_cancel(void *arg, struct http_exchange *exchange)
{
    (void)arg;
    (void)exchange;
    fail();
}

static void begin(struct fixture *f, struct page *page, size_t size)
{
    *page = (struct page){.size = size};
    fixture_init(f, &(struct http_handler){.handle = page_handle, .cancel = page_cancel, .arg = page});
}

/* --- Bodies --- */

/* Sends `text` and then a GET, cut at `cut`; the GET is answered, too, if the connection is kept. */
static void ask_with_body(const char *text, size_t cut, int status, bool keeps)
{
    struct fixture f;
    struct page page;
    begin(&f, &page, 3);
    fixture_start(&f, false);
    char both[512];
    const size_t size = (size_t)snprintf(both, sizeof(both), "%s%s", text, GET),
                 first = cut < size ? cut : size;
    fixture_send_bytes(&f, both, first);
    for (int i = 0; i < 3 && first < size; i++)
        fixture_turn(&f);
    fixture_send_bytes(&f, both + first, size - first);
    assert_true(fixture_wait(&f, fixture_has_reports, keeps ? 2 : 1));
    if (!keeps)
        assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    fixture_turn(&f);
    size_t offset = 0;
    struct response r = fixture_response(&f, &offset, true);
    if (r.status != status || response_has(&r, "Connection: close") == keeps)
        fail_msg("%s cut at %zu: %d, %.*s", text, cut, r.status, (int)r.head_size, r.head);
    if (keeps) {
        assert_true(fixture_wait(&f, fixture_has_received, offset + 1));
        r = fixture_response(&f, &offset, true);
        assert_int_equal(r.status, 200);
        assert_string_equal(f.reports[1].request, "GET /y HTTP/1.1");
        assert_int_equal(f.reports[0].directions[SESSION_TO_SERVER].head_bytes, 500 + strlen(text));
        assert_int_equal(f.reports[1].directions[SESSION_TO_SERVER].head_bytes, strlen(GET));
        assert_int_equal(f.conn->state, CONN_IDLE);
        assert_null(f.conn->buffer);
    } else {
        assert_false(f.peer_reset); /* the answer arrives, whatever else was sent */
        assert_int_equal(page.asked, 0);
    }
    assert_int_equal(offset, f.received_size);
    fixture_stop(&f);
}

static void test_skipped(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        POST("Content-Length: 5\r\n") "hello",
        POST("Content-Length: 55\r\n") "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nGET /more HTTP/1.1\r\n",
        POST("Transfer-Encoding: chunked\r\n") "0\r\n\r\n",
        POST("Transfer-Encoding: chunked\r\n") "5;x=y\r\nhello\r\n2\r\n\r\n\r\n0\r\nA: b\r\n\r\n",
        "DELETE /x HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        for (size_t cut = strlen(bodies[i]) - 12; cut <= strlen(bodies[i]) + 3; cut++)
            ask_with_body(bodies[i], cut, 405, true);
}

/* Where the end is uncertain, nothing behind it is taken for a request. */
static void test_not_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } bodies[] = {
        {POST("Transfer-Encoding: chunked\r\n") "5\nhello\r\n0\r\n\r\n", 400},
        {POST("Transfer-Encoding: chunked\r\n") "5\r\nhello world\r\n0\r\n\r\n", 400},
        {POST("Transfer-Encoding: chunked\r\n") "0\r\nA : b\r\n\r\n", 400},
        {POST("Transfer-Encoding: chunked\r\n") "0\r\n\n", 400},
        {POST("Content-Length: 65537\r\n") "hello", 413},
        {POST("Transfer-Encoding: chunked\r\n") "10001\r\nhello", 413},
        /* It may come or not. */
        {POST("Content-Length: 5\r\nExpect: 100-continue\r\n") "hello", 405},
        {POST("Content-Length: 5\r\nExpect: 100-continue\r\n"), 405},
        {POST("Content-Length: 99999\r\nExpect: 100-continue\r\n"), 413},
        {POST("Content-Length: 5\r\nConnection: close\r\n") "hello", 405},
        {"POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 405},
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        for (size_t cut = 10; cut <= strlen(bodies[i].text) + 10; cut += 7)
            ask_with_body(bodies[i].text, cut, bodies[i].status, false);
}

static void test_body_limits(void **state)
{
    (void)state;
    struct fixture f;
    struct page page;
    begin(&f, &page, 3);
    f.options.limits.max_head = 1024; /* a body is larger than the buffer */
    f.options.limits.max_body = 300000;
    fixture_start(&f, false);
    char *body = calloc(1, 300000);
    assert_non_null(body);
    fixture_send(&f, POST("Content-Length: 300000\r\n"));
    fixture_send_bytes(&f, body, 300000);
    fixture_send(&f, GET);
    assert_true(fixture_wait(&f, fixture_has_reports, 2));
    assert_int_equal(f.reports[0].status, 405);
    assert_int_equal(f.reports[1].status, 200);

    fixture_send(&f, POST("Content-Length: 300001\r\n"));
    assert_true(fixture_wait(&f, fixture_has_reports, 3));
    assert_int_equal(f.reports[2].status, 413);
    assert_int_equal(f.reports[2].outcome, OUTCOME_LIMITED);
    assert_string_equal(f.reports[2].detail, "max_body");
    assert_int_equal(f.limited[HTTP_LIMIT_MAX_BODY], 1);
    free(body);
    fixture_stop(&f);
}

/* Answered and closed as if there had been all of it. */
static void test_body_cut_short(void **state)
{
    (void)state;
    struct fixture f;
    struct page page;
    begin(&f, &page, 3);
    fixture_start(&f, false);
    fixture_send(&f, POST("Content-Length: 5\r\n") "hell");
    shutdown(f.peer, SHUT_WR);
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_int_equal(f.reports[0].status, 400);
    assert_int_equal(f.reports[0].outcome, OUTCOME_BAD_REQUEST);
    assert_int_equal(page.asked, 0);
    fixture_stop(&f);

    begin(&f, &page, 3);
    fixture_start(&f, false);
    fixture_send(&f, POST("Content-Length: 5\r\n") "hell");
    for (int i = 0; i < 5; i++)
        fixture_turn(&f);
    struct report report;
    assert_true(http_conn_report(f.conn, &report));
    assert_string_equal(report.request, "POST /x HTTP/1.1");
    fixture_peer_reset(&f);
    assert_true(fixture_wait(&f, fixture_has_ended, 0));
    assert_int_equal(f.report_count, 1);
    assert_int_equal(f.reports[0].outcome, OUTCOME_RESET);
    assert_int_equal(f.reports[0].closed_by, CLOSED_BY_CLIENT);
    fixture_stop(&f);
}

/* --- How many --- */

static void test_keepalive_requests(void **state)
{
    (void)state;
    struct fixture f;
    struct page page;
    begin(&f, &page, 3);
    f.options.limits.keepalive_requests = 3;
    fixture_start(&f, false);
    for (int i = 0; i < 4; i++)
        fixture_send(&f, GET);
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    size_t offset = 0;
    for (int i = 0; i < 3; i++) {
        const struct response r = fixture_response(&f, &offset, true);
        assert_int_equal(r.status, 200);
        assert_int_equal(response_has(&r, "Connection: close"), i == 2);
    }
    assert_int_equal(offset, f.received_size);
    assert_int_equal(page.asked, 3);
    assert_false(f.peer_reset);
    fixture_stop(&f);
}

static void test_keepalive_time(void **state)
{
    (void)state;
    struct fixture f;
    struct page page;
    begin(&f, &page, 3);
    f.options.limits.keepalive_requests = 0;
    fixture_start(&f, false);
    struct response r = fixture_ask(&f, GET);
    assert_false(response_has(&r, "Connection: close"));
    f.conn->began_ms -= f.options.limits.keepalive_ms;
    r = fixture_ask(&f, GET);
    assert_true(response_has(&r, "Connection: close"));
    fixture_stop(&f);
}

/* --- How slowly --- */

/* One byte now and then: always in motion, never fast enough. */
static bool trickle_until_report(struct fixture *f)
{
    const uint64_t deadline = loop_now_ms() + FIXTURE_PATIENCE_MS;
    while (f->report_count == 0 && loop_now_ms() < deadline) {
        fixture_send(f, "a");
        for (int i = 0; i < 10 && f->report_count == 0; i++) {
            fixture_turn(f);
            usleep(1000);
        }
    }
    return f->report_count > 0;
}

static void test_slow_request(void **state)
{
    (void)state;
    static const char *const beginnings[] = {"GET /y HTTP/1.1\r\nX: ", POST("Content-Length: 60000\r\n"),
                                             POST("Transfer-Encoding: chunked\r\n") "ea60\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        struct page page;
        begin(&f, &page, 3);
        f.options.limits.min_receive = (struct min_rate){.rate = 10000, .window_ms = 100};
        fixture_start(&f, false);
        fixture_send(&f, beginnings[i]);
        assert_true(trickle_until_report(&f));
        assert_int_equal(f.reports[0].status, 408);
        assert_int_equal(f.reports[0].outcome, OUTCOME_LIMITED);
        assert_string_equal(f.reports[0].detail, "min_receive_rate");
        assert_int_equal(f.limited[HTTP_LIMIT_MIN_RECEIVE_RATE], 1);
        assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
        assert_false(f.peer_reset);
        size_t offset = 0;
        assert_int_equal(fixture_response(&f, &offset, true).status, 408);
        fixture_stop(&f);
    }
}

/* Between requests nobody has to send, and one who has sent enough may take the time that deadlines leave. */
static void test_slow_request_allowed(void **state)
{
    (void)state;
    struct fixture f;
    struct page page;
    begin(&f, &page, 3);
    f.options.limits.min_receive = (struct min_rate){.rate = 10, .window_ms = 50};
    fixture_start(&f, false);
    fixture_ask(&f, GET);
    fixture_send(&f, "GET /y HTTP/1.1\r\nX: ");
    const uint64_t end = loop_now_ms() + 400;
    while (loop_now_ms() < end) {
        fixture_send(&f, "a");
        fixture_turn(&f);
        usleep(5000);
    }
    struct response r = fixture_ask(&f, "\r\n" HOST "\r\n");
    assert_int_equal(r.status, 200);
    assert_int_equal(f.report_count, 2);
    fixture_stop(&f);
}

/* Takes 100 bytes now and then. false: its patience ended before the connection did. */
static bool sip_until_ended(struct fixture *f)
{
    const uint64_t deadline = loop_now_ms() + FIXTURE_PATIENCE_MS;
    while (!f->ended && loop_now_ms() < deadline) {
        fixture_receive(f, 1000);
        for (int i = 0; i < 10 && !f->ended; i++) {
            fixture_turn(f);
            usleep(1000);
        }
    }
    return f->ended;
}

enum { PAGE = 8 << 20 };

/* While it is sent; while it waits in the kernel, and the connection is idle or being closed. */
static void test_slow_reader(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        struct page page;
        begin(&f, &page, i == 0 ? PAGE : 200000);
        f.options.limits.min_send = (struct min_rate){.rate = 1 << 20, .window_ms = 300};
        f.keep_reading = false;
        fixture_start(&f, true);
        if (i > 0) { /* all of it fits */
            const int size = 1 << 20;
            setsockopt(f.client.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        }
        fixture_send(&f, i == 2 ? "GET /y HTTP/1.0\r\n\r\n" : GET);
        if (i > 0) {
            assert_true(fixture_wait(&f, fixture_has_reports, 1));
            assert_int_equal(f.reports[0].outcome, OUTCOME_COMPLETE);
        }
        assert_true(sip_until_ended(&f));
        assert_int_equal(f.report_count, 1);
        if (i == 0) {
            assert_int_equal(f.reports[0].outcome, OUTCOME_LIMITED);
            assert_string_equal(f.reports[0].detail, "min_send_rate");
        }
        assert_int_equal(f.end, i == 0 ? HTTP_END_RESET : HTTP_END_LIMITED);
        assert_int_equal(f.limited[HTTP_LIMIT_MIN_SEND_RATE], 1);
        f.keep_reading = true;
        assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
        assert_true(f.peer_reset);
        fixture_stop(&f);
    }
}

/* We are the slow ones: a pace far below the least rate, and a client that takes all it is given. */
static void test_paced_reader(void **state)
{
    (void)state;
    struct fixture f;
    struct page page;
    struct pace pace;
    begin(&f, &page, 60000);
    f.options.limits.min_send = (struct min_rate){.rate = 1 << 30, .window_ms = 200};
    pace_init(&pace, f.loop, &(struct bucket_rate){.rate = 100000, .burst = 4096});
    f.options.pace = &pace;
    fixture_start(&f, false);
    struct response r = fixture_ask(&f, GET);
    assert_int_equal(r.body_size, 60000);
    assert_int_equal(f.reports[0].outcome, OUTCOME_COMPLETE);
    assert_true(f.reports[0].duration_ms > 2 * f.options.limits.min_send.window_ms);
    assert_int_equal(f.limited[HTTP_LIMIT_MIN_SEND_RATE], 0);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_not_skipped),
        cmocka_unit_test(test_body_limits),
        cmocka_unit_test(test_body_cut_short),
        cmocka_unit_test(test_keepalive_requests),
        cmocka_unit_test(test_keepalive_time),
        cmocka_unit_test(test_slow_request),
        cmocka_unit_test(test_slow_request_allowed),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_paced_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
