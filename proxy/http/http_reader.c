/* The first half of an HTTP connection: bytes to request heads, requests to the handler. A body is skipped,
 * since nobody here wants one, before its request is answered: a client may not read before it has written.
 * Refuses to guess where a body ends (body.h): then the connection does. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/http_conn_state.h"
#include "relay/counters.h"
#include "relay/plan.h"
#include "relay/tls_conn.h"

/* Bytes of a request are told once; those of its body count as part of its head. */
static void account(struct http_conn *conn, size_t bytes)
{
    struct relay_counters *counters = conn->options.counters[SESSION_TO_SERVER];
    conn->exchange->report.directions[SESSION_TO_SERVER].head_bytes += bytes;
    if (counters)
        relay_counter_add(&counters->head_bytes, bytes);
}

/* A head, or what there was of one, was read. */
static void account_head(struct http_conn *conn, size_t bytes)
{
    http_exchange_describe(conn->exchange);
    account(conn, bytes);
}

static bool begin_exchange(struct http_conn *conn)
{
    conn->exchange =
        http_exchange_new(conn, conn->loop, &conn->options.limits, conn->options.report, !conn->had_first);
    if (!conn->exchange)
        return false;
    conn->exchange->ids = conn->options.ids;
    conn->exchange->open_files = conn->options.open_files;
    conn->exchange->disk = conn->options.disk;
    conn->exchange->files = conn->options.handler.files;
    conn->exchange->secure = conn->client->kind == ENDPOINT_TLS;
    conn->exchange->streams = plan_allows_stream(&conn->options.policy);
    conn->had_first = true;
    http_conn_enter(conn, CONN_READING);
    return true;
}

void http_conn_refuse(struct http_conn *conn, int status, const char *problem, enum report_outcome outcome)
{
    struct http_exchange *exchange = conn->exchange;
    if (conn->state == CONN_READING)
        account_head(conn, conn->buffered);
    http_conn_enter(conn, CONN_HANDLING);
    exchange->close = true;
    exchange->outcome = outcome;
    snprintf(exchange->report.detail, sizeof(exchange->report.detail), "%s", problem);
    http_respond_status(exchange, status, NULL);
}

/* Whether this request is the connection's last. */
static bool is_last(const struct http_conn *conn, const struct http_request *request)
{
    const struct http_limits *limits = &conn->options.limits;
    /* 100 Continue is never sent: the client gets the final answer instead, and may leave out the body. */
    if (!request->keep_alive || request->expects_continue || request->method == HTTP_METHOD_CONNECT)
        return true;
    if (limits->keepalive_requests != 0 && conn->requests >= limits->keepalive_requests)
        return true;
    return conn->draining || loop_now_ms() - conn->began_ms >= limits->keepalive_ms ||
           (conn->client->kind == ENDPOINT_TLS && tls_conn_key_worn(conn->client->tls));
}

static void handle_request(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    struct http_request *request = &exchange->request;
    http_conn_enter(conn, CONN_HANDLING);
    exchange->close = is_last(conn, request);

    if (!http_handler_takes(&conn->options.handler, request->method)) {
        http_respond_method(exchange);
        return;
    }
    exchange->path = malloc(request->target.size + 1);
    if (!exchange->path) {
        exchange->close = true;
        http_respond_status(exchange, 503, NULL);
        return;
    }
    int status = http_target_parse(request->target, exchange->path, &request->resolved);
    if (status != 0) {
        http_respond_status(exchange, status, NULL);
        return;
    }
    http_exchange_hand(exchange, &conn->options.handler);
}

void http_conn_refuse_limited(struct http_conn *conn, int status, enum http_limit limit)
{
    http_conn_note_limited(conn, limit);
    http_conn_refuse(conn, status, http_limit_name(limit), OUTCOME_LIMITED);
}

/* Steps over what has come of the body. Whether its request is answered now. */
static bool skip_buffered(struct http_conn *conn)
{
    struct http_body *body = &conn->body;
    char *start = conn->buffer + conn->exchange->request.head_size;
    const size_t size = conn->buffered - conn->exchange->request.head_size;
    size_t used;
    const enum http_body_status status = http_body_skip(body, start, size, &used);
    account(conn, used);
    conn->buffered -= used;
    memmove(start, start + used, size - used);
    switch (status) {
    case HTTP_BODY_MORE:
        return false;
    case HTTP_BODY_DONE:
        handle_request(conn);
        return true;
    case HTTP_BODY_REFUSED:
        break;
    }
    if (body->status == 413)
        http_conn_refuse_limited(conn, 413, HTTP_LIMIT_MAX_BODY);
    else
        http_conn_refuse(conn, body->status, body->problem, OUTCOME_BAD_REQUEST);
    return true;
}

/* A head is complete. Whether its request is answered now. */
static bool take_request(struct http_conn *conn)
{
    const struct http_request *request = &conn->exchange->request;
    account_head(conn, request->head_size);
    conn->requests++;
    if (!request->has_body) {
        handle_request(conn);
        return true;
    }
    http_conn_enter(conn, CONN_SKIPPING);
    http_body_init(&conn->body, request, &conn->options.limits);
    if (request->expects_continue && conn->body.status == 0) {
        handle_request(conn);
        return true;
    }
    return skip_buffered(conn);
}

/* Whether what is there of a request is answered now. */
static bool parse(struct http_conn *conn)
{
    if (!conn->exchange && !begin_exchange(conn)) {
        http_conn_reset(conn, HTTP_END_RESET);
        return false;
    }
    struct http_request *request = &conn->exchange->request;
    switch (http_request_parse(request, conn->buffer, conn->buffered)) {
    case HTTP_PARSE_INCOMPLETE:
        return false;
    case HTTP_PARSE_COMPLETE:
        return take_request(conn);
    case HTTP_PARSE_REFUSED:
        break;
    }
    if (request->limit != HTTP_LIMIT_NONE)
        http_conn_refuse_limited(conn, request->status, request->limit);
    else
        http_conn_refuse(conn, request->status, request->problem, OUTCOME_BAD_REQUEST);
    return true;
}

/* Up to `most` bytes in the buffer. */
static enum io_status read_some(struct http_conn *conn, size_t most)
{
    if (!endpoint_can_read(conn->client))
        return IO_AGAIN;
    if (!conn->buffer) {
        conn->buffer = malloc(conn->options.limits.max_head + HTTP_CONN_BODY_ROOM);
        if (!conn->buffer) {
            errno = ENOMEM;
            return IO_BROKEN;
        }
    }
    size_t n = 0;
    enum io_status status =
        endpoint_read(conn->client, conn->buffer + conn->buffered, most - conn->buffered, &n);
    if (status == IO_OK)
        conn->buffered += n;
    conn->received += n;
    return status;
}

/* Nothing more to read now: an idle connection keeps nothing, and ends if it is to. */
static void rest(struct http_conn *conn)
{
    if (conn->state == CONN_IDLE) {
        http_conn_drop_buffer(conn);
        if (conn->draining) {
            /* An idle client has no reason to end by itself: deliver what it may still be reading, then go.
             */
            conn->options.linger_ms = 0;
            http_conn_close(conn, HTTP_END_CLOSED);
        }
    }
}

bool http_conn_read(struct http_conn *conn)
{
    if (conn->state == CONN_IDLE && conn->buffered > 0 && parse(conn))
        return true; /* it was pipelined */
    while (conn->state == CONN_IDLE || conn->state == CONN_READING) {
        /* There is room: a parser that has seen max_head bytes has made up its mind. */
        switch (read_some(conn, conn->options.limits.max_head)) {
        case IO_OK:
            if (parse(conn))
                return true;
            break;
        case IO_AGAIN:
            rest(conn);
            return false;
        case IO_EOF:
            http_conn_close(conn, HTTP_END_CLOSED);
            return false;
        case IO_BROKEN:
            if (errno == ENODATA) {
                /* FIN without close_notify: many clients end so, and no request was cut. */
                http_conn_close(conn, HTTP_END_CLOSED);
            } else {
                http_conn_reset(conn, HTTP_END_RESET);
            }
            return false;
        }
    }
    return conn->state == CONN_SKIPPING;
}

bool http_conn_skip(struct http_conn *conn)
{
    assert(conn->buffered == conn->exchange->request.head_size);
    switch (read_some(conn, conn->options.limits.max_head + HTTP_CONN_BODY_ROOM)) {
    case IO_OK:
        conn->since_ms = loop_now_ms();
        skip_buffered(conn);
        return true;
    case IO_AGAIN:
        return false;
    case IO_EOF:
        http_conn_refuse(conn, 400, "the body was cut short", OUTCOME_BAD_REQUEST);
        return true;
    case IO_BROKEN:
        break;
    }
    http_conn_lose_client(conn);
    return false;
}
