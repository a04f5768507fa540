/* The inside of an HTTP connection, as http_conn.c (states, ends), http_conn_time.c (deadlines) and
 * http_reader.c (requests) share it. Private to the three. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/body.h"
#include "proxy/http/http_conn.h"
#include "proxy/http/http_exchange.h"
#include "relay/linger.h"
#include "relay/loop.h"

enum http_conn_state {
    CONN_IDLE,     /* between requests: no buffer, no exchange */
    CONN_READING,  /* part of a head is there */
    CONN_SKIPPING, /* the head is there, part of a body may be */
    CONN_HANDLING, /* the answer is being made */
    CONN_SENDING,  /* by exchange->flow */
    CONN_CLOSING,  /* by linger */
    CONN_ENDED,    /* on_end was called or is being called */
    CONN_FREED,    /* waits for its burial */
};

struct http_conn {
    struct http_conn_options options;
    struct loop *loop;
    struct endpoint *client;
    enum http_conn_state state;
    bool draining;
    bool running;   /* run() is on the stack */
    bool had_first; /* the template's head_bytes were told with the first exchange */
    enum http_end end;

    /* limits.max_head bytes for a head and HTTP_CONN_BODY_ROOM for what comes behind it, of which `buffered`
     * are filled; NULL when nothing is. */
    char *buffer;
    size_t buffered;
    struct http_body body; /* SKIPPING */
    unsigned requests;     /* of which a head was read */
    uint64_t began_ms;
    struct http_exchange *exchange;
    struct relay_linger *linger;

    struct loop_task task, burial;

    /* One timer, armed for the earliest moment something may be due and looked at when it fires. */
    struct event timer;
    uint64_t armed_ms; /* when it fires; 0: not armed */
    uint64_t since_ms; /* the state's beginning, or the last progress that was noticed */
    uint64_t seen_moved;
    int seen_unsent;
    uint64_t received; /* bytes read, of heads and bodies */
    struct min_rate_watch receiving, sending;
};

#define HTTP_CONN_BODY_ROOM 4096

/* http_conn.c */
void http_conn_drop_buffer(struct http_conn *conn);
/* Closes in order: the client gets everything that was sent. The exchange is dropped, cancelled if need be.
 */
void http_conn_close(struct http_conn *conn, enum http_end how);
/* The same so that the client sees that something is missing. */
void http_conn_reset(struct http_conn *conn, enum http_end how);

/* http_conn_time.c */
void http_conn_enter(struct http_conn *conn, enum http_conn_state state);

/* Whether there is something to be done about the client. */
enum http_conn_patience {
    HTTP_CONN_FINE,
    HTTP_CONN_DUE,            /* the state's deadline has passed */
    HTTP_CONN_RECEIVING_SLOW, /* it sends its request too slowly */
    HTTP_CONN_SENDING_SLOW,   /* it takes its answers too slowly */
};
enum http_conn_patience http_conn_look(struct http_conn *conn);
/* Sees to it that the timer fires in time; one that fires too early is cheaper than moving it for every
 * request. */
void http_conn_arm(struct http_conn *conn);

/* The client's connection broke during an exchange, which is told so. */
void http_conn_lose_client(struct http_conn *conn);
/* Counts it. */
void http_conn_note_limited(struct http_conn *conn, enum http_limit limit);

/* http_reader.c */

/* IDLE and READING: reads until a head is complete or nothing is left (edges come once), and has it answered,
 * after its body if there is one. true: go on at once. */
bool http_conn_read(struct http_conn *conn);
/* SKIPPING: reads a part of the body. As http_conn_read(). */
bool http_conn_skip(struct http_conn *conn);
/* READING and SKIPPING: the rest of the stream can't be understood or waited for: answers, then closes.
 * outcome is what the report will say. Leads to HANDLING. */
void http_conn_refuse(struct http_conn *conn, int status, const char *problem, enum report_outcome outcome);
/* The same, because of a limit: that is counted. */
void http_conn_refuse_limited(struct http_conn *conn, int status, enum http_limit limit);
