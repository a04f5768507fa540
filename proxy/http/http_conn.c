/* The state machine of one HTTP connection: read a request, have it answered, send, begin again or close; and
 * its ends. Everything goes through run(), from the event loop only.
 * Refuses to read (http_reader.c), to be impatient (http_conn_time.c), to make answers (http_exchange.c) and
 * to move bytes (relay/flow.h). */
#include "proxy/http/http_conn.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/http_conn_state.h"
#include "relay/counters.h"

/* A request takes three steps. A buffer full of pipelined ones must not keep other connections waiting. */
#define STEPS_PER_TURN 48

static void run(struct http_conn *conn);

void http_conn_note_limited(struct http_conn *conn, enum http_limit limit)
{
    if (conn->options.limited)
        relay_counter_add(&conn->options.limited[limit], 1);
}

/* --- The end --- */

static void end(struct http_conn *conn, enum http_end how)
{
    conn->state = CONN_ENDED;
    conn->options.on_end(conn->options.arg, how);
}

void http_conn_drop_buffer(struct http_conn *conn)
{
    free(conn->buffer);
    conn->buffer = NULL;
    conn->buffered = 0;
}

/* Ends the exchange without an answer, or after it. */
static void drop_exchange(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    if (exchange && exchange->handed) {
        exchange->handed = false;
        exchange->handler->cancel(exchange->handler->arg, exchange);
    }
    conn->exchange = NULL;
    http_exchange_free(exchange);
}

static void stop_timer(struct http_conn *conn)
{
    evtimer_del(&conn->timer);
    conn->armed_ms = 0;
}

static void on_lingered(void *arg, bool delivered)
{
    struct http_conn *conn = arg;
    assert(conn->state == CONN_CLOSING);
    const bool slow = linger_was_slow(conn->linger);
    conn->linger = NULL;
    if (slow)
        http_conn_note_limited(conn, HTTP_LIMIT_MIN_SEND_RATE);
    end(conn, delivered ? conn->end : slow ? HTTP_END_LIMITED : HTTP_END_RESET);
}

void http_conn_close(struct http_conn *conn, enum http_end how)
{
    drop_exchange(conn);
    http_conn_drop_buffer(conn);
    stop_timer(conn);
    conn->end = how;
    conn->state = CONN_CLOSING;
    conn->linger = linger_start(conn->client, conn->options.linger_ms, on_lingered, conn);
    if (!conn->linger) {
        end(conn, HTTP_END_RESET);
        return;
    }
    linger_allow_stall(conn->linger, conn->options.idle_ms);
    linger_require_rate(conn->linger, &conn->options.limits.min_send);
}

void http_conn_reset(struct http_conn *conn, enum http_end how)
{
    drop_exchange(conn);
    http_conn_drop_buffer(conn);
    stop_timer(conn);
    endpoint_reset(conn->client);
    end(conn, how);
}

/* --- Reports --- */

/* Tells of the exchange's end. false: the connection was freed in the callback. */
static bool report_end(struct http_conn *conn, enum report_outcome outcome, enum report_closed_by closed_by,
                       const char *detail)
{
    struct http_exchange *exchange = conn->exchange;
    struct report *report = &exchange->report;
    http_exchange_update(exchange, report);
    report->outcome = outcome;
    report->closed_by = closed_by;
    if (detail)
        snprintf(report->detail, sizeof(report->detail), "%s", detail);
    if (conn->options.on_response)
        conn->options.on_response(conn->options.arg, report);
    return conn->state != CONN_FREED;
}

bool http_conn_report(const struct http_conn *conn, struct report *report)
{
    const struct http_exchange *exchange = conn->exchange;
    if (!exchange || conn->state < CONN_SKIPPING || conn->state > CONN_SENDING)
        return false;
    *report = exchange->report;
    http_exchange_update(exchange, report);
    report->outcome = OUTCOME_OPEN;
    return true;
}

/* --- Sending --- */

/* The client's connection broke while nobody was reading or writing. */
static bool client_broke(struct http_conn *conn)
{
    return conn->client->suspect && endpoint_check(conn->client) != 0;
}

void http_conn_lose_client(struct http_conn *conn)
{
    if (report_end(conn, OUTCOME_RESET, CLOSED_BY_CLIENT, NULL))
        http_conn_reset(conn, HTTP_END_RESET);
}

static bool begin_sending(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    if (!exchange->answered) {
        if (client_broke(conn))
            http_conn_lose_client(conn);
        return false;
    }
    if (!exchange->failed) {
        const struct flow_options options = {
            .source = exchange->multipart ? NULL : &exchange->body,
            .parts = exchange->multipart ? exchange->multipart->parts : NULL,
            .sink = conn->client,
            .policy = conn->options.policy,
            .counters = conn->options.counters[SESSION_TO_CLIENT],
            .head = exchange->head.data,
            .head_size = exchange->head.size,
            .closes = exchange->close,
            .pace = conn->options.pace,
            .resume = &conn->task,
        };
        exchange->flow = flow_new(conn->loop, &options);
    }
    if (!exchange->flow) {
        if (report_end(conn, OUTCOME_RESET, CLOSED_BY_SLUICE, "out of memory"))
            http_conn_reset(conn, HTTP_END_RESET);
        return false;
    }
    /* The request isn't needed any more; what is behind it waits, a long transfer needs no buffer. */
    size_t used = exchange->close ? conn->buffered : exchange->request.head_size;
    conn->buffered -= used;
    if (conn->buffered > 0)
        memmove(conn->buffer, conn->buffer + used, conn->buffered);
    else
        http_conn_drop_buffer(conn);
    http_conn_enter(conn, CONN_SENDING);
    return true;
}

static bool complete(struct http_conn *conn)
{
    bool closes = conn->exchange->close;
    http_exchange_note_sent(conn->exchange);
    if (!report_end(conn, conn->exchange->outcome, CLOSED_BY_SLUICE, NULL))
        return false;
    if (closes) {
        http_conn_close(conn, HTTP_END_CLOSED);
        return false;
    }
    drop_exchange(conn);
    http_conn_enter(conn, CONN_IDLE);
    return true;
}

static bool finish_sending(struct http_conn *conn)
{
    struct flow *flow = conn->exchange->flow;
    enum report_outcome outcome = OUTCOME_RESET;
    enum report_closed_by closed_by = CLOSED_BY_SLUICE;
    const char *detail = NULL;
    switch (flow_end(flow)) {
    case FLOW_END_COMPLETE:
        return complete(conn);
    case FLOW_END_NONE:
        assert(false);
        break;
    case FLOW_END_SINK:
        closed_by = CLOSED_BY_CLIENT;
        detail = strerror(flow_error(flow));
        break;
    case FLOW_END_SOURCE:
        detail = strerror(flow_error(flow));
        break;
    case FLOW_END_TRUNCATED:
        outcome = OUTCOME_TRUNCATED;
        detail = "the file is shorter than it was";
        break;
    case FLOW_END_DENIED: /* a file has no filters */
    case FLOW_END_REFUSED:
        outcome = OUTCOME_REFUSED;
        detail = relay_reason_name(flow_refusal(flow));
        break;
    }
    if (!flow_head_done(flow))
        conn->exchange->report.status = 0; /* which the client never saw */
    if (report_end(conn, outcome, closed_by, detail))
        http_conn_reset(conn, HTTP_END_RESET);
    return false;
}

static bool send_response(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    enum flow_status status = flow_step(exchange->flow);
    if (!exchange->report.has_first_byte && flow_head_done(exchange->flow))
        http_exchange_note_first_byte(exchange);
    switch (status) {
    case FLOW_ENDED:
        return finish_sending(conn);
    case FLOW_READY:
        loop_queue(conn->loop, &conn->task);
        return false;
    case FLOW_WAITING:
        break;
    }
    if (client_broke(conn))
        http_conn_lose_client(conn);
    return false;
}

/* --- What the loop calls --- */

static void run(struct http_conn *conn)
{
    bool more = true;
    conn->running = true;
    for (unsigned steps = 0; more && steps < STEPS_PER_TURN; steps++) {
        switch (conn->state) {
        case CONN_IDLE:
        case CONN_READING:
            more = http_conn_read(conn);
            break;
        case CONN_SKIPPING:
            more = http_conn_skip(conn);
            break;
        case CONN_HANDLING:
            more = begin_sending(conn);
            break;
        case CONN_SENDING:
            more = send_response(conn);
            break;
        case CONN_CLOSING:
        case CONN_ENDED:
        case CONN_FREED:
            more = false;
            break;
        }
    }
    conn->running = false;
    if (conn->state < CONN_CLOSING) {
        if (more)
            loop_queue(conn->loop, &conn->task);
        http_conn_arm(conn);
    }
}

static void on_ready(void *arg)
{
    run(arg);
}

static void on_task(struct loop_task *task)
{
    run((struct http_conn *)((char *)task - offsetof(struct http_conn, task)));
}

static void on_due(struct http_conn *conn)
{
    switch (conn->state) {
    case CONN_IDLE:
        http_conn_close(conn, HTTP_END_TIMEOUT);
        break;
    case CONN_READING:
    case CONN_SKIPPING:
        http_conn_refuse(conn, 408, "the request was not completed in time", OUTCOME_TIMEOUT);
        break;
    default:
        if (report_end(conn, OUTCOME_TIMEOUT, CLOSED_BY_SLUICE, NULL))
            http_conn_reset(conn, HTTP_END_TIMEOUT);
        break;
    }
}

static void on_slow_sending(struct http_conn *conn)
{
    http_conn_note_limited(conn, HTTP_LIMIT_MIN_SEND_RATE);
    if (conn->state == CONN_IDLE)
        http_conn_reset(conn, HTTP_END_LIMITED);
    else if (report_end(conn, OUTCOME_LIMITED, CLOSED_BY_SLUICE, http_limit_name(HTTP_LIMIT_MIN_SEND_RATE)))
        http_conn_reset(conn, HTTP_END_RESET);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct http_conn *conn = arg;
    conn->armed_ms = 0;
    switch (http_conn_look(conn)) {
    case HTTP_CONN_FINE:
        break;
    case HTTP_CONN_DUE:
        on_due(conn);
        break;
    case HTTP_CONN_RECEIVING_SLOW:
        http_conn_refuse_limited(conn, 408, HTTP_LIMIT_MIN_RECEIVE_RATE);
        break;
    case HTTP_CONN_SENDING_SLOW:
        on_slow_sending(conn);
        break;
    }
    run(conn);
}

void http_conn_answered(struct http_conn *conn)
{
    /* Not now: the handler is still on the stack. If run() is below it, it goes on by itself. */
    if (!conn->running)
        loop_queue(conn->loop, &conn->task);
}

void http_conn_filled(void *arg)
{
    struct http_conn *conn = arg;
    loop_queue(conn->loop, &conn->task);
}

/* --- Life --- */

struct http_conn *http_conn_start(const struct http_conn_options *options)
{
    struct http_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return NULL;
    conn->options = *options;
    conn->loop = options->loop;
    conn->client = options->client;
    conn->task.run = on_task;
    conn->began_ms = loop_now_ms();
    evtimer_assign(&conn->timer, conn->loop->base, on_timer, conn);
    http_conn_enter(conn, CONN_IDLE);
    endpoint_on_ready(conn->client, on_ready, conn);
    /* Edges that came before the hand-over don't come again. */
    loop_queue(conn->loop, &conn->task);
    return conn;
}

static void on_burial(struct loop_task *task)
{
    free((char *)task - offsetof(struct http_conn, burial));
}

void http_conn_free(struct http_conn *conn)
{
    if (!conn)
        return;
    assert(conn->state != CONN_FREED);
    bool has_client = conn->state < CONN_CLOSING;
    conn->state = CONN_FREED;
    drop_exchange(conn);
    http_conn_drop_buffer(conn);
    stop_timer(conn);
    loop_unqueue(conn->loop, &conn->task);
    if (has_client)
        endpoint_on_ready(conn->client, NULL, NULL);
    linger_cancel(conn->linger);
    conn->burial.run = on_burial;
    loop_bury(conn->loop, &conn->burial);
}

void http_conn_drain(struct http_conn *conn)
{
    conn->draining = true;
    if (conn->state == CONN_HANDLING && !conn->exchange->answered)
        conn->exchange->close = true;
    loop_queue(conn->loop, &conn->task);
}
