/* One HTTP connection over TCP on loopback, its client driven by hand in the same thread: nothing sleeps, the
 * loop is turned until a condition holds or five seconds have passed.
 * Refuses to know what is tested. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http_limits_fixture.h"
#include "proxy/http/http_conn.h"
#include "relay/counters.h"
#include "relay/endpoint.h"
#include "relay/loop.h"

#define FIXTURE_REPORTS 64
#define FIXTURE_PATIENCE_MS 5000

struct fixture {
    struct event_base *base;
    struct loop *loop;
    struct endpoint client; /* our end, as the server sees it */
    struct http_conn *conn;
    struct relay_counters counters[2];
    _Atomic uint64_t limited[HTTP_LIMIT_COUNT];
    struct http_conn_options options;
    struct report template;

    int peer; /* the client's socket */
    bool keep_reading;
    char *received;
    size_t received_size, received_capacity;
    bool peer_eof, peer_reset;

    struct report reports[FIXTURE_REPORTS];
    unsigned report_count;
    bool ended;
    enum http_end end;
    bool free_in_response;
};

static inline void fixture_on_response(void *arg, const struct report *report)
{
    struct fixture *f = arg;
    assert_true(f->report_count < FIXTURE_REPORTS);
    f->reports[f->report_count++] = *report;
    if (f->free_in_response) {
        http_conn_free(f->conn);
        f->conn = NULL;
    }
}

static inline void fixture_on_end(void *arg, enum http_end end)
{
    struct fixture *f = arg;
    assert_false(f->ended);
    f->ended = true;
    f->end = end;
    assert_int_equal(f->client.fd, -1);
    http_conn_free(f->conn);
    f->conn = NULL;
}

/* Defaults that a test may change before fixture_start. */
static inline void fixture_init(struct fixture *f, const struct http_handler *handler)
{
    memset(f, 0, sizeof(*f));
    f->base = event_base_new();
    assert_non_null(f->base);
    f->loop = loop_new(&(struct loop_options){.base = f->base});
    assert_non_null(f->loop);
    f->peer = -1;
    f->keep_reading = true;
    f->client = ENDPOINT_NONE;
    snprintf(f->template.listener, sizeof(f->template.listener), "test");
    f->template.directions[SESSION_TO_CLIENT].head_bytes = 1000;
    f->template.directions[SESSION_TO_SERVER].head_bytes = 500;
    f->options = (struct http_conn_options){
        .loop = f->loop,
        .client = &f->client,
        .handler = *handler,
        .counters = {&f->counters[0], &f->counters[1]},
        .report = &f->template,
        .header_ms = 60000,
        .idle_ms = 60000,
        .linger_ms = 2000,
        .limits = fixture_http_limits,
        .limited = f->limited,
        .on_response = fixture_on_response,
        .on_end = fixture_on_end,
        .arg = f,
    };
}

/* small_buffers: so that a response of a megabyte can't vanish into the kernel. */
static inline void fixture_start(struct fixture *f, bool small_buffers)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in addr;
    socklen_t length = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener != -1);
    assert_int_equal(bind(listener, (const struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &length), 0);
    f->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->peer != -1);
    const int size = 16384;
    if (small_buffers)
        setsockopt(f->peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    assert_int_equal(connect(f->peer, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd != -1);
    close(listener);
    if (small_buffers)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    assert_int_equal(endpoint_open_socket(&f->client, f->loop, fd), 0);
    f->conn = http_conn_start(&f->options);
    assert_non_null(f->conn);
}

static inline void fixture_stop(struct fixture *f)
{
    http_conn_free(f->conn);
    f->conn = NULL;
    endpoint_close(&f->client);
    if (f->peer != -1)
        close(f->peer);
    event_base_loop(f->base, EVLOOP_NONBLOCK);
    loop_free(f->loop);
    event_base_free(f->base);
    free(f->received);
}

/* Reads what the client was sent, at most `most` bytes. */
static inline void fixture_receive(struct fixture *f, size_t most)
{
    while (most > 0 && !f->peer_eof && !f->peer_reset) {
        if (f->received_capacity - f->received_size < 65537) {
            f->received_capacity = f->received_capacity * 2 + 131072;
            f->received = realloc(f->received, f->received_capacity);
            assert_non_null(f->received);
        }
        ssize_t n = recv(f->peer, f->received + f->received_size, most < 65536 ? most : 65536, MSG_DONTWAIT);
        if (n == -1) {
            f->peer_reset = errno == ECONNRESET;
            assert_true(f->peer_reset || errno == EAGAIN);
            return;
        }
        f->peer_eof = n == 0;
        f->received_size += (size_t)n;
        f->received[f->received_size] = '\0';
        most -= (size_t)n;
    }
}

static inline void fixture_turn(struct fixture *f)
{
    event_base_loop(f->base, EVLOOP_NONBLOCK);
    if (f->keep_reading && f->peer != -1)
        fixture_receive(f, SIZE_MAX);
}

typedef bool fixture_condition(struct fixture *f, size_t n);

/* Turns the loop until the condition holds. false: it never did. */
static inline bool fixture_wait(struct fixture *f, fixture_condition *condition, size_t n)
{
    uint64_t deadline = loop_now_ms() + FIXTURE_PATIENCE_MS;
    while (!condition(f, n)) {
        if (loop_now_ms() > deadline)
            return false;
        fixture_turn(f);
        if (!condition(f, n)) {
            struct pollfd poll_fd = {.fd = f->keep_reading ? f->peer : -1, .events = POLLIN};
            poll(&poll_fd, 1, 1);
        }
    }
    return true;
}

static inline bool fixture_has_reports(struct fixture *f, size_t n)
{
    return f->report_count >= n;
}

static inline bool fixture_has_ended(struct fixture *f, size_t n)
{
    (void)n;
    return f->ended;
}

static inline bool fixture_peer_is_done(struct fixture *f, size_t n)
{
    (void)n;
    return f->peer_eof || f->peer_reset;
}

static inline bool fixture_has_received(struct fixture *f, size_t n)
{
    return f->received_size >= n;
}

static inline void fixture_send_bytes(struct fixture *f, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = send(f->peer, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == -1) {
            assert_int_equal(errno, EAGAIN);
            fixture_turn(f);
            continue;
        }
        at += n;
        size -= (size_t)n;
    }
}

static inline void fixture_send(struct fixture *f, const char *text)
{
    fixture_send_bytes(f, text, strlen(text));
}

static inline void fixture_peer_reset(struct fixture *f)
{
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(f->peer);
    f->peer = -1;
}

/* --- Reading responses --- */

struct response {
    int status;
    const char *head; /* up to and with the empty line */
    size_t head_size;
    const char *body;
    size_t body_size; /* as Content-Length says */
};

/* The response at *offset of what was received; moves *offset behind it. has_body: false for HEAD and 304. */
static inline struct response fixture_response(struct fixture *f, size_t *offset, bool has_body)
{
    struct response r = {0};
    assert_true(*offset < f->received_size);
    r.head = f->received + *offset;
    const char *end = memmem(r.head, f->received_size - *offset, "\r\n\r\n", 4);
    assert_non_null(end);
    r.head_size = (size_t)(end - r.head) + 4;
    assert_int_equal(sscanf(r.head, "HTTP/1.1 %d ", &r.status), 1);
    const char *length = memmem(r.head, r.head_size, "\r\nContent-Length: ", 18);
    r.body = end + 4;
    if (has_body) {
        assert_non_null(length);
        r.body_size = (size_t)strtoull(length + 18, NULL, 10);
        assert_true(*offset + r.head_size + r.body_size <= f->received_size);
    }
    *offset += r.head_size + r.body_size;
    return r;
}

static inline bool response_has(const struct response *r, const char *line)
{
    size_t size = strlen(line);
    const char *at = r->head;
    while ((at = memmem(at, r->head_size - (size_t)(at - r->head), line, size))) {
        if (at[-1] == '\n' && at[size] == '\r')
            return true;
        at += size;
    }
    return false;
}

/* Sends one request on a started fixture and waits for its response and, unless it keeps the connection
 * alive, for the end. */
static inline struct response fixture_ask(struct fixture *f, const char *request)
{
    size_t offset = f->received_size;
    unsigned reports = f->report_count;
    fixture_send(f, request);
    assert_true(fixture_wait(f, fixture_has_reports, reports + 1));
    fixture_turn(f);
    bool has_body = strncmp(request, "HEAD ", 5) != 0 && f->reports[reports].status != 304;
    assert_true(fixture_wait(f, fixture_has_received, offset + 1));
    return fixture_response(f, &offset, has_body);
}
