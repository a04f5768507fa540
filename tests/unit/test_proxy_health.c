/* Health: when checks make a server be down or up, the status line they read, what they tell; and one probe
 * after the other against real sockets that answer, refuse, are silent or talk nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/backend_registry.h"
#include "proxy/health/probe.h"
#include "proxy/health/state.h"
#include "relay/loop.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- Rise and fall: checks ('+' good, '-' bad) and what the server is after each ('U', 'D') --- */

static void test_rise_and_fall(void **state)
{
    static const struct {
        unsigned rise, fall;
        const char *checks, *expected;
    } cases[] = {
        {2, 3, "+---++", "UUUDDU"},     {2, 3, "+--+--+---", "UUUUUUUUUD"}, /* only in a row */
        {2, 3, "-+-++", "DDDDU"},                                           /* the first decides alone */
        {2, 3, "-++---", "DDUUUD"},     {1, 1, "+-+-", "UDUD"},
        {3, 2, "+--+-+++", "UUDDDDDU"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct health_state server = {0};

        for (size_t j = 0; cases[i].checks[j] != '\0'; j++) {
            const bool before = server.down;
            const bool changed =
                health_note(&server, cases[i].checks[j] == '+', cases[i].rise, cases[i].fall);

            assert_int_equal(changed, before != server.down);
            assert_int_equal(server.down ? 'D' : 'U', cases[i].expected[j]);
        }
    }
}

static void test_status_lines(void **state)
{
    static const struct {
        const char *text;
        enum status_line expected;
        unsigned status;
    } cases[] = {
        {"", STATUS_LINE_PARTIAL, 0},
        {"HTTP/1.1 200", STATUS_LINE_PARTIAL, 0}, /* 2000 could follow */
        {"HTTP/1.1 200 ", STATUS_LINE_GOOD, 200},
        {"HTTP/1.0 503 Service Unavailable\r\n", STATUS_LINE_GOOD, 503},
        {"HTTP/1.1 204\r\n", STATUS_LINE_GOOD, 204},
        {"HTTP/1.1 099 x", STATUS_LINE_BAD, 0},
        {"HTTP/1.1 2000 ", STATUS_LINE_BAD, 0},
        {"HTTP/2 200 OK", STATUS_LINE_BAD, 0},
        {"HTTP/1.x 200 ", STATUS_LINE_BAD, 0},
        {"http/1.1 200 ", STATUS_LINE_BAD, 0},
        {"SSH-2.0", STATUS_LINE_BAD, 0},
        {"HTTP/1.1  200 ", STATUS_LINE_BAD, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned status = 0;

        assert_int_equal(status_line_parse(cases[i].text, strlen(cases[i].text), &status), cases[i].expected);
        if (cases[i].expected == STATUS_LINE_GOOD)
            assert_int_equal(status, cases[i].status);
        /* Of a good one every beginning is partial, never bad. */
        for (size_t n = 0; cases[i].expected == STATUS_LINE_GOOD && n < STATUS_LINE_MAX; n++)
            assert_int_equal(status_line_parse(cases[i].text, n, &status), STATUS_LINE_PARTIAL);
    }
}

static void test_results(void **state)
{
    static const struct {
        struct health_result result;
        const char *text;
    } cases[] = {
        {{HEALTH_NONE, 0}, "not checked"},
        {{HEALTH_GOOD, 200}, "good"},
        {{HEALTH_CONNECT, ECONNREFUSED}, "connect: Connection refused"},
        {{HEALTH_TIMEOUT, 0}, "no answer in time"},
        {{HEALTH_TLS, 0}, "the TLS handshake failed"},
        {{HEALTH_TLS, X509_V_ERR_CERT_HAS_EXPIRED}, "TLS: certificate has expired"},
        {{HEALTH_LOST, ECONNRESET}, "Connection reset by peer"},
        {{HEALTH_LOST, 0}, "closed before it answered"},
        {{HEALTH_NOT_HTTP, 0}, "the answer is no HTTP"},
        {{HEALTH_STATUS, 503}, "status 503"},
        {{HEALTH_SHORT, EMFILE}, "not checked: Too many open files"},
    };

    (void)state;
    assert_true(health_result_unpack(0).cause == HEALTH_NONE);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[100];

        health_result_text(health_result_unpack(health_result_pack(cases[i].result)), text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
}

/* --- What the word of checks does to a server --- */

static void test_checked_servers(void **state)
{
    struct backend_registry *registry = backend_registry_new();
    struct backend_shared *shared = backend_shared_get(registry, "app");
    struct conf_address address;
    struct backend_server *server;
    const char *problem;

    (void)state;
    assert_true(conf_address_parse("10.0.0.1:80", &address, &problem));
    server = backend_server_get(shared, "10.0.0.1:80", NULL, &address);
    conf_address_clear(&address);
    assert_true(backend_server_is_up(server, 1));
    backend_server_failed(server, 1);
    assert_false(backend_server_is_up(server, 1)); /* nobody checks: the last connect tells */
    atomic_store(&server->is_checked, true);
    assert_true(backend_server_is_up(server, 1));
    backend_server_checked(server, true, 100);
    assert_int_equal(backend_server_condition(server, 100), BACKEND_DOWN);
    assert_int_equal(backend_server_up_since(server), 0);
    atomic_store(&server->ejected_until_ms, 1000);
    backend_server_checked(server, false, 200);
    assert_int_equal(backend_server_condition(server, 200), BACKEND_UP); /* which ends an ejection, too */
    assert_int_equal(backend_server_up_since(server), 200);              /* slow start */
    backend_server_checked(server, false, 300);
    assert_int_equal(backend_server_up_since(server), 200);
    backend_server_unref(server);
    backend_shared_unref(shared);
    backend_registry_free(registry);
}

/* --- Probes --- */

struct fixture {
    struct event_base *base;
    struct health_probe probe;
    struct conf_address address;
    struct health_result result;
    unsigned ends;
    int listening;
};

static void listen_on(struct fixture *f)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    f->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listening, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(f->listening, 8), 0);
    f->address.length = sizeof(in);
    assert_int_equal(getsockname(f->listening, (struct sockaddr *)&f->address.addr, &f->address.length), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->base = event_base_new();
    assert_non_null(f->base);
    listen_on(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    health_probe_stop(&f->probe);
    close(f->listening);
    event_base_free(f->base);
    free(f);
    return 0;
}

static bool is_good(void *arg, unsigned status)
{
    (void)arg;
    return status == 200;
}

static void on_end(void *arg, struct health_result result)
{
    struct fixture *f = arg;

    f->ends++;
    f->result = result;
}

static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

static void start(struct fixture *f, bool asks, SSL_CTX *tls, uint32_t timeout_ms)
{
    f->ends = 0;
    health_probe_start(&f->probe, &(struct health_probe_options){.base = f->base,
                                                                 .address = &f->address,
                                                                 .timeout_ms = timeout_ms,
                                                                 .tls = tls,
                                                                 .request = asks ? request : NULL,
                                                                 .request_length = sizeof(request) - 1,
                                                                 .is_good = is_good,
                                                                 .on_end = on_end,
                                                                 .arg = f});
    assert_int_equal(f->ends, 0); /* never before it returns */
}

static void run(struct fixture *f)
{
    while (f->ends == 0)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_int_equal(f->ends, 1);
}

/* A server that sends these pieces, each once the last one has been looked at, and closes. */
static void answer(struct fixture *f, const char *const *pieces)
{
    char buffer[200];
    int accepted;

    event_base_loop(f->base, EVLOOP_ONCE); /* connects */
    accepted = accept(f->listening, NULL, NULL);
    assert_true(accepted >= 0);
    for (; *pieces != NULL && f->ends == 0; pieces++) {
        assert_int_equal(send(accepted, *pieces, strlen(*pieces), MSG_NOSIGNAL), strlen(*pieces));
        for (int i = 0; i < 3; i++)
            event_base_loop(f->base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(recv(accepted, buffer, sizeof(buffer), MSG_DONTWAIT), (int)sizeof(request) - 1);
    assert_memory_equal(buffer, request, sizeof(request) - 1);
    close(accepted);
}

static void test_tcp(void **state)
{
    struct fixture *f = *state;

    start(f, false, NULL, 5000);
    run(f);
    assert_int_equal(f->result.cause, HEALTH_GOOD);
    shutdown(f->listening, SHUT_RDWR); /* nobody listens any more, and nobody else can */
    start(f, false, NULL, 5000);
    run(f);
    assert_int_equal(f->result.cause, HEALTH_CONNECT);
    assert_int_equal(f->result.detail, ECONNREFUSED);
}

static void test_http(void **state)
{
    static const struct {
        const char *pieces[16];
        enum health_cause cause;
        int detail;
    } cases[] = {
        {{"HTTP/1.1 200 OK\r\n\r\n"}, HEALTH_GOOD, 200},
        {{"H", "T", "T", "P", "/", "1", ".", "1", " ", "2", "0", "0", "\r"}, HEALTH_GOOD, 200},
        {{"HTTP/1.1 50", "3 x"}, HEALTH_STATUS, 503},
        {{"220 mail.example.org"}, HEALTH_NOT_HTTP, 0},
        {{"HTTP/1.1 2"}, HEALTH_LOST, 0},
        {{NULL}, HEALTH_LOST, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        start(f, true, NULL, 5000);
        answer(f, cases[i].pieces);
        run(f);
        assert_int_equal(f->result.cause, cases[i].cause);
        assert_int_equal(f->result.detail, cases[i].detail);
    }
}

static void test_silence(void **state)
{
    struct fixture *f = *state;
    const uint64_t began = loop_now_ms();

    start(f, true, NULL, 100);
    run(f);
    assert_int_equal(f->result.cause, HEALTH_TIMEOUT);
    assert_true(loop_now_ms() - began >= 90);
}

static void test_stopped_half_way(void **state)
{
    struct fixture *f = *state;

    start(f, true, NULL, 5000);
    event_base_loop(f->base, EVLOOP_ONCE);
    health_probe_stop(&f->probe);
    health_probe_stop(&f->probe);
    event_base_loop(f->base, EVLOOP_NONBLOCK);
    assert_int_equal(f->ends, 0);
    shutdown(f->listening, SHUT_RDWR);
    start(f, false, NULL, 5000);
    event_base_loop(f->base, EVLOOP_ONCE); /* refused, and not told yet, or just told */
    health_probe_stop(&f->probe);
    event_base_loop(f->base, EVLOOP_NONBLOCK);
    assert_true(f->ends <= 1);
}

static void test_tls_with_who_does_not_speak_it(void **state)
{
    struct fixture *f = *state;
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    int accepted;

    assert_non_null(tls);
    start(f, false, tls, 5000);
    event_base_loop(f->base, EVLOOP_ONCE);
    accepted = accept(f->listening, NULL, NULL);
    assert_int_equal(send(accepted, "HTTP/1.1 400 no\r\n", 17, MSG_NOSIGNAL), 17);
    run(f);
    assert_int_equal(f->result.cause, HEALTH_TLS);
    close(accepted);
    SSL_CTX_free(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rise_and_fall),
        cmocka_unit_test(test_status_lines),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_checked_servers),
        cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_http, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopped_half_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tls_with_who_does_not_speak_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
