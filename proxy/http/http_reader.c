/* The first half of an HTTP connection: bytes to request heads, requests to the handler.
 * Refuses to read a body: a request that has one is answered and the connection closed, so that nothing
 * behind a head can ever be taken for a request. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/http/http_conn_state.h"
#include "relay/counters.h"
#include "relay/tls_conn.h"

/* A head, or what there was of one, was read: its bytes are told once. */
static void account_head(struct http_conn *conn, size_t bytes)
{
    struct http_exchange *exchange = conn->exchange;
    struct relay_counters *counters = conn->options.counters[SESSION_TO_SERVER];
    http_exchange_describe(exchange);
    exchange->report.directions[SESSION_TO_SERVER].head_bytes += bytes;
    if (counters)
        relay_counter_add(&counters->head_bytes, bytes);
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
    conn->exchange->policy = conn->options.handler.policy;
    conn->exchange->secure = conn->client->kind == ENDPOINT_TLS;
    conn->had_first = true;
    http_conn_enter(conn, CONN_READING);
    return true;
}

void http_conn_refuse(struct http_conn *conn, int status, const char *problem, enum report_outcome outcome)
{
    struct http_exchange *exchange = conn->exchange;
    account_head(conn, conn->buffered);
    http_conn_enter(conn, CONN_HANDLING);
    exchange->close = true;
    exchange->outcome = outcome;
    snprintf(exchange->report.detail, sizeof(exchange->report.detail), "%s", problem);
    http_respond_status(exchange, status, NULL);
}

static void handle_request(struct http_conn *conn)
{
    struct http_exchange *exchange = conn->exchange;
    struct http_request *request = &exchange->request;
    account_head(conn, request->head_size);
    http_conn_enter(conn, CONN_HANDLING);
    /* Nor is 100 Continue sent: the client gets the final answer instead. */
    exchange->close = !request->keep_alive || request->has_body || request->expects_continue ||
                      request->method == HTTP_METHOD_CONNECT || conn->draining ||
                      (conn->client->kind == ENDPOINT_TLS && tls_conn_key_worn(conn->client->tls));

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

/* Whether a head is complete and handled. */
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
        handle_request(conn);
        return true;
    case HTTP_PARSE_REFUSED:
        break;
    }
    if (request->limit != HTTP_LIMIT_NONE)
        http_conn_note_limited(conn, request->limit);
    http_conn_refuse(conn, request->status, request->problem,
                     request->limit != HTTP_LIMIT_NONE ? OUTCOME_LIMITED : OUTCOME_BAD_REQUEST);
    return true;
}

static enum io_status read_some(struct http_conn *conn)
{
    const size_t most = conn->options.limits.max_head;
    if (!endpoint_can_read(conn->client))
        return IO_AGAIN;
    if (!conn->buffer) {
        conn->buffer = malloc(most);
        if (!conn->buffer) {
            errno = ENOMEM;
            return IO_BROKEN;
        }
    }
    /* There is room: a parser that has seen max_head bytes has made up its mind. */
    size_t n = 0;
    enum io_status status =
        endpoint_read(conn->client, conn->buffer + conn->buffered, most - conn->buffered, &n);
    if (status == IO_OK)
        conn->buffered += n;
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
        switch (read_some(conn)) {
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
    return false;
}
