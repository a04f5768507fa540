/* The state machine of one HTTP connection: read a request, have it answered, send, begin again or close; its
 * deadlines and its ends. Everything goes through run(), from the event loop only.
 * Refuses to read (http_reader.c), to make answers (http_exchange.c) and to move bytes (relay/flow.h). */
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

/* --- Deadlines --- */

/* When the state has lasted too long. */
static uint64_t deadline(const struct http_conn *conn)
{
    return conn->since_ms + (conn->state == CONN_READING ? conn->options.header_ms : conn->options.idle_ms);
}

void http_conn_enter(struct http_conn *conn, enum http_conn_state state)
{
    conn->state = state;
    conn->since_ms = loop_now_ms();
    conn->seen_moved = 0;
    conn->seen_unsent = 0;
}

/* Sees to it that the timer fires in time; one that fires too early is cheaper than moving it for every
 * request. */
static void arm(struct http_conn *conn)
{
    uint64_t now = loop_now_ms(), due = deadline(conn);
    if (conn->state == CONN_SENDING) {
        /* Progress is sampled, twice in the time after which its absence counts. */
        uint64_t sample = now + conn->options.idle_ms / 2;
        due = sample < due ? sample : due;
    }
    if (conn->armed_ms != 0 && conn->armed_ms <= due)
        return;
    /* The coarse clock may lag behind the timer: a due moment that has passed is looked at in 1 ms. */
    uint64_t wait = due > now ? due - now : 1;
    const struct timeval tv = {.tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000)};
    conn->armed_ms = now + wait;
    evtimer_add(&conn->timer, &tv);
}

/* Whether the client took anything since the last look: bytes given to the kernel, or bytes the kernel got
 * rid of. A send buffer of megabytes keeps a slow reader busy for long without our doing anything. */
static bool progressed(struct http_conn *conn)
{
    if (conn->state == CONN_SENDING && flow_is_paused(conn->exchange->flow))
        return true; /* it could take more than it is given */
    uint64_t moved = conn->state == CONN_SENDING ? flow_moved(conn->exchange->flow) : 0;
    int unsent = endpoint_unsent(conn->client);
    bool progress = moved != conn->seen_moved || unsent != conn->seen_unsent;
    conn->seen_moved = moved;
    conn->seen_unsent = unsent;
    return progress;
}

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
    conn->linger = NULL;
    end(conn, delivered ? conn->end : HTTP_END_RESET);
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
    if (!exchange || (conn->state != CONN_HANDLING && conn->state != CONN_SENDING))
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

static void lose_client(struct http_conn *conn)
{
    if (report_end(conn, OUTCOME_RESET, CLOSED_BY_CLIENT, NULL))
        http_conn_reset(conn, HTTP_END_RESET);
}

static bool begin_sending(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    if (!exchange->answered) {
        if (client_broke(conn))
            lose_client(conn);
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
        lose_client(conn);
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
        arm(conn);
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
        http_conn_refuse(conn, 408, "the request was not completed in time", OUTCOME_TIMEOUT);
        break;
    default:
        if (report_end(conn, OUTCOME_TIMEOUT, CLOSED_BY_SLUICE, NULL))
            http_conn_reset(conn, HTTP_END_TIMEOUT);
        break;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct http_conn *conn = arg;
    conn->armed_ms = 0;
    bool due = loop_now_ms() >= deadline(conn);
    if ((conn->state == CONN_SENDING || (conn->state == CONN_IDLE && due)) && progressed(conn)) {
        conn->since_ms = loop_now_ms();
        due = false;
    }
    if (due)
        on_due(conn);
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
