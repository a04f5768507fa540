/* What the log is told of a response: the client's words, raw and cut, and how long things took. */
#include "http_fixture.h"

#define HOST "Host: a.example:8080\r\n"

struct late {
    struct http_exchange *exchange;
};

static void late_handle(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    (void)request;
    ((struct late *)arg)->exchange = exchange;
}

static void late_cancel(void *arg, struct http_exchange *exchange)
{
    assert_ptr_equal(exchange, ((struct late *)arg)->exchange);
    ((struct late *)arg)->exchange = NULL;
}

static bool is_asked(struct fixture *f, size_t n)
{
    (void)n;
    return ((struct late *)f->options.handler.arg)->exchange != NULL;
}

static void begin(struct fixture *f, struct late *late)
{
    const struct http_handler handler = {.handle = late_handle, .cancel = late_cancel, .arg = late};
    *late = (struct late){0};
    fixture_init(f, &handler);
    fixture_start(f, false);
}

/* The value of X-Request-Id in what was received last; "" where it isn't there. */
static const char *told_id(struct fixture *f, size_t from)
{
    static const char name[] = "\r\nX-Request-Id: ";
    static char value[256];
    fixture_turn(f);
    const char *at = memmem(f->received + from, f->received_size - from, name, sizeof(name) - 1);
    value[0] = '\0';
    if (at)
        sscanf(at + sizeof(name) - 1, "%255[^\r]", value);
    return value;
}

/* Until the coarse clock has moved on by so much. */
static void let_pass(struct fixture *f, uint64_t ms)
{
    const uint64_t until = loop_now_ms() + ms;
    while (loop_now_ms() < until) {
        fixture_turn(f);
        poll(NULL, 0, 1);
    }
}

/* Sends a request, has it answered, and gives its record. */
static const struct report *tell(struct fixture *f, const char *request)
{
    struct late *late = f->options.handler.arg;
    const unsigned told = f->report_count;
    late->exchange = NULL;
    fixture_send(f, request);
    assert_true(fixture_wait(f, is_asked, 0));
    http_respond_memory(late->exchange, 200, "text/plain", NULL, "x", 1);
    assert_true(fixture_wait(f, fixture_has_reports, told + 1));
    return &f->reports[told];
}

static void test_the_clients_words(void **state)
{
    (void)state;
    struct fixture f;
    struct late late;
    begin(&f, &late);
    const struct report *report = tell(
        &f, "GET /a HTTP/1.1\r\n" HOST "referer:  http://b/ \r\nUser-Agent: one\r\nUser-Agent: two\r\n\r\n");
    assert_int_equal(report->kind, REPORT_RESPONSE);
    assert_string_equal(report->request, "GET /a HTTP/1.1");
    assert_string_equal(report->host, "a.example:8080");
    assert_string_equal(report->referer, "http://b/");
    assert_string_equal(report->user_agent, "one");
    /* Nothing stays of the request before. */
    report = tell(&f, "GET /b HTTP/1.0\r\nConnection: keep-alive\r\nUser-Agent: \xc3\xa4\xff\r\n\r\n");
    assert_string_equal(report->request, "GET /b HTTP/1.0");
    assert_string_equal(report->host, "");
    assert_string_equal(report->referer, "");
    assert_string_equal(report->user_agent, "\xc3\xa4\xff");
    fixture_stop(&f);
}

/* A text that doesn't fit is cut, not within a character. */
static void test_long_words_are_cut(void **state)
{
    (void)state;
    struct fixture f;
    struct late late;
    char request[2048] = "GET /";
    begin(&f, &late);
    memset(request + strlen(request), 'p', 600);
    strcat(request, " HTTP/1.1\r\n" HOST "User-Agent: ");
    memset(request + strlen(request), 'u', 254);
    strcat(request, "\xc3\xa4\xc3\xa4\r\nReferer: ");
    memset(request + strlen(request), 'r', 255);
    strcat(request, "\r\n\r\n");
    const struct report *report = tell(&f, request);
    assert_int_equal(strlen(report->request), sizeof(report->request) - 1);
    assert_int_equal(strlen(report->user_agent), 254);
    assert_int_equal(report->user_agent[253], 'u');
    assert_int_equal(strlen(report->referer), 255);
    fixture_stop(&f);
}

/* As far as it was read: a refused request has its line, and fields that came before what was wrong. */
static void test_a_refused_request(void **state)
{
    (void)state;
    struct fixture f;
    struct late late;
    begin(&f, &late);
    fixture_send(&f, "GET /a HTTP/1.1\r\nUser-Agent: bad\r\n" HOST "X : y\r\n\r\n");
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_int_equal(f.reports[0].status, 400);
    assert_string_equal(f.reports[0].request, "GET /a HTTP/1.1");
    assert_string_equal(f.reports[0].user_agent, "bad");
    assert_string_equal(f.reports[0].host, "a.example:8080");
    fixture_stop(&f);

    static const char nul[] = "GET /a\0b\xe4 HTTP/1.1\r\n\r\n";
    begin(&f, &late);
    fixture_send_bytes(&f, nul, sizeof(nul) - 1);
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_string_equal(f.reports[0].request, "GET /a?b\xe4 HTTP/1.1");
    fixture_stop(&f);
}

static void test_ids(void **state)
{
    (void)state;
    struct fixture f;
    struct late late;
    begin(&f, &late);
    const struct report *first = tell(&f, "GET / HTTP/1.1\r\n" HOST "X-Request-Id: mine\r\n\r\n");
    const struct report *second = tell(&f, "GET / HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(strlen(first->request_id), 32); /* nobody trusts this client */
    assert_int_equal(strlen(second->request_id), 32);
    assert_string_not_equal(first->request_id, second->request_id);
    assert_string_equal(told_id(&f, 0), "");
    fixture_stop(&f);
}

static void test_ids_are_told_and_accepted(void **state)
{
    static const struct {
        const char *fields, *id; /* NULL: a new one */
    } table[] = {
        {"X-Request-Id: mine-1\r\n", "mine-1"},
        {"x-request-id:mine-2\r\n", "mine-2"},
        {"X-Request-Id: a b\r\n", NULL},
        {"X-Request-Id: a\r\nX-Request-Id: b\r\n", NULL},
        {"X-Request-Id:\r\n", NULL},
        {"", NULL},
    };
    (void)state;
    struct late late = {0};
    const struct http_handler handler = {.handle = late_handle, .cancel = late_cancel, .arg = &late};
    struct fixture f;
    fixture_init(&f, &handler);
    f.options.ids = (struct http_ids){.told = true, .accepted = true};
    fixture_start(&f, false);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char request[256];
        const size_t from = f.received_size;
        snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" HOST "%s\r\n", table[i].fields);
        const struct report *report = tell(&f, request);
        if (table[i].id)
            assert_string_equal(report->request_id, table[i].id);
        else
            assert_int_equal(strspn(report->request_id, "0123456789abcdef"), 32);
        assert_string_equal(told_id(&f, from), report->request_id);
    }
    /* So do errors. */
    const size_t from = f.received_size;
    const unsigned told = f.report_count;
    fixture_send(&f, "GET /\r\n\r\n");
    assert_true(fixture_wait(&f, fixture_peer_is_done, 0));
    assert_string_equal(told_id(&f, from), f.reports[told].request_id);
    assert_int_equal(strlen(f.reports[told].request_id), 32);
    fixture_stop(&f);
}

static void test_times(void **state)
{
    (void)state;
    struct fixture f;
    struct late late;
    struct report report;
    begin(&f, &late);
    fixture_send(&f, "GET /a HTT");
    let_pass(&f, 20);
    fixture_send(&f, "P/1.1\r\n" HOST "\r\n");
    assert_true(fixture_wait(&f, is_asked, 0));
    assert_true(http_conn_report(f.conn, &report));
    assert_false(report.has_first_byte);
    assert_true(report.request_ms >= 20);
    let_pass(&f, 20);
    http_respond_memory(late.exchange, 200, "text/plain", NULL, "x", 1);
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_true(f.reports[0].has_first_byte);
    assert_int_equal(f.reports[0].request_ms, report.request_ms);
    assert_true(f.reports[0].ttfb_ms >= f.reports[0].request_ms + 20);
    assert_true(f.reports[0].duration_ms >= f.reports[0].ttfb_ms);
    fixture_stop(&f);
}

/* A body that the client is slow to take is no part of the time to the first byte. */
static void test_first_byte_of_a_long_answer(void **state)
{
    (void)state;
    static char body[4 << 20];
    const struct http_handler handler = {
        .handle = late_handle, .cancel = late_cancel, .arg = &(struct late){0}};
    struct fixture f;
    struct report report;
    fixture_init(&f, &handler);
    fixture_start(&f, true);
    f.keep_reading = false;
    fixture_send(&f, "GET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_true(fixture_wait(&f, is_asked, 0));
    http_respond_memory(((struct late *)handler.arg)->exchange, 200, "text/plain", NULL, body, sizeof(body));
    let_pass(&f, 40);
    assert_true(http_conn_report(f.conn, &report));
    assert_true(report.has_first_byte);
    f.keep_reading = true;
    assert_true(fixture_wait(&f, fixture_has_reports, 1));
    assert_int_equal(f.reports[0].ttfb_ms, report.ttfb_ms);
    assert_true(f.reports[0].duration_ms >= report.ttfb_ms + 20);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_clients_words),           cmocka_unit_test(test_long_words_are_cut),
        cmocka_unit_test(test_a_refused_request),           cmocka_unit_test(test_ids),
        cmocka_unit_test(test_ids_are_told_and_accepted),   cmocka_unit_test(test_times),
        cmocka_unit_test(test_first_byte_of_a_long_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
