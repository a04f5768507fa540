/* One HTTP/1.1 connection: reads requests, asks a handler for the answer, sends it, keeps alive. Serves files
 * and the admin pages alike. The only HTTP server of the project (RFC 9110, RFC 9112).
 * Refuses to know what a path means (the handler does) and who listens. Belongs to one worker. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/http_limits.h"
#include "proxy/report.h"
#include "relay/endpoint.h"
#include "relay/flow.h"

struct http_conn;
struct http_request;  /* request.h */
struct http_exchange; /* one request and its answer to be */
struct http_files;    /* files.h */

/* Answers one request through exactly one http_respond_* call, now or later (opening a file may take time).
 * `request` is valid until that call returns; its `resolved` has the path, its method is GET or HEAD (or
 * OTHER, if the handler takes any_method; what it doesn't take is answered with 405 before it is asked).
 * `cancel` is called if the connection ends first: the handler must then not answer any more. A handler that
 * answers at once has none. */
struct http_handler {
    void (*handle)(void *arg, const struct http_request *request, struct http_exchange *exchange);
    void (*cancel)(void *arg, struct http_exchange *exchange);
    void *arg;
    bool any_method;
    const struct http_files *files; /* whose policy and error pages answers get, also where it isn't asked */
};

struct disk_port;
struct open_files;

/* A body made in memory (copied). status 200 for pages, errors otherwise; extra_headers: whole lines, each
 * ending in CRLF, or NULL. */
void http_respond_memory(struct http_exchange *exchange, int status, const char *content_type,
                         const char *extra_headers, const void *body, size_t size);
/* A small error page of that status (400 ... 505); extra_headers as above (Location, Allow). */
void http_respond_status(struct http_exchange *exchange, int status, const char *extra_headers);
/* For the handler's own state between handle and its answer. */
void http_exchange_set_data(struct http_exchange *exchange, void *data);
void *http_exchange_data(const struct http_exchange *exchange);
const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/* Whose policy and error pages the answer gets instead of the handler's; borrowed. NULL: none. */
void http_exchange_set_files(struct http_exchange *exchange, const struct http_files *files);
/* Whether the answer may be a body that is made on the way, in chunks: connection and request allow it. */
bool http_exchange_takes_stream(const struct http_exchange *exchange);
/* The worker's, NULL: none. */
struct open_files *http_exchange_open_files(const struct http_exchange *exchange);
struct disk_port *http_exchange_disk(const struct http_exchange *exchange);

/* See request_id.h. Each request gets one, for its report. */
struct http_ids {
    bool told;     /* to the client: X-Request-Id */
    bool accepted; /* from the client, by the same field */
};

enum http_end {
    HTTP_END_CLOSED,
    HTTP_END_RESET,
    HTTP_END_TIMEOUT,
    HTTP_END_LIMITED, /* reset: the client was too slow at taking answers that were told as sent */
};

struct http_conn_options {
    struct loop *loop;
    struct endpoint *client; /* borrowed; handshake done; on_ready is taken over */
    struct http_handler handler;
    struct open_files *open_files; /* for the handler; borrowed; may be NULL */
    struct disk_port *disk;        /* threads that wait for disks; borrowed; NULL: the worker waits */
    struct relay_policy policy;
    struct relay_counters *counters[2];
    struct pace *pace; /* of all answers together; NULL: as fast as they go. Outlives the connection */
    /* Template, borrowed for as long as the connection: listener, client, target and TLS stand in each
     * response's report; directions[].head_bytes (a TLS handshake's) are added to the first one's. */
    const struct report *report;
    /* header: from a request's first byte to the end of its head, then 408. idle: between requests, then the
     * connection is closed; and without progress of an answer, then it is reset (seen after half as long
     * again at most). linger: see linger.h. */
    uint32_t header_ms, idle_ms, linger_ms;
    struct http_limits limits;
    struct http_ids ids;
    _Atomic uint64_t *limited; /* HTTP_LIMIT_COUNT counters of what passed a limit; NULL: not counted */
    /* One response has ended, also a broken one; report is valid during the call. A request whose head never
     * came to its end, but for the 408, has none. May be NULL (admin). */
    void (*on_response)(void *arg, const struct report *report);
    /* The connection is over: from the event loop, never before http_conn_start returns; the client endpoint
     * is closed. Free it within or later. */
    void (*on_end)(void *arg, enum http_end end);
    void *arg;
};

struct http_conn *http_conn_start(const struct http_conn_options *options); /* NULL: out of memory */
/* At any time, also in on_response and on_end; the endpoint stays as it is. on_end will not run, nor
 * on_response for the response under way: http_conn_report() tells of it before. NULL: nothing. */
void http_conn_free(struct http_conn *conn);
/* No further request after the one under way; an idle connection ends at once, but a request that has already
 * arrived is answered, with Connection: close. */
void http_conn_drain(struct http_conn *conn);
/* The response under way, for /connections.json; false: idle. */
bool http_conn_report(const struct http_conn *conn, struct report *report);
