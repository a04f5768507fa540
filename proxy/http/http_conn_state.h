/* The inside of an HTTP connection, as http_conn.c (states, deadlines, ends) and http_reader.c (requests)
 * share it. Private to the two. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/http_conn.h"
#include "proxy/http/http_exchange.h"
#include "relay/linger.h"
#include "relay/loop.h"

enum http_conn_state {
    CONN_IDLE,     /* between requests: no buffer, no exchange */
    CONN_READING,  /* part of a head is there */
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

    char *buffer; /* limits.max_head bytes, of which `buffered` are filled; NULL when nothing is */
    size_t buffered;
    struct http_exchange *exchange;
    struct relay_linger *linger;

    struct loop_task task, burial;

    /* One timer, armed for the earliest moment something may be due and looked at when it fires. */
    struct event timer;
    uint64_t armed_ms; /* when it fires; 0: not armed */
    uint64_t since_ms; /* the state's beginning, or the last progress that was noticed */
    uint64_t seen_moved;
    int seen_unsent;
};

/* http_conn.c */
void http_conn_enter(struct http_conn *conn, enum http_conn_state state);
void http_conn_drop_buffer(struct http_conn *conn);
/* Closes in order: the client gets everything that was sent. The exchange is dropped, cancelled if need be.
 */
void http_conn_close(struct http_conn *conn, enum http_end how);
/* The same so that the client sees that something is missing. */
void http_conn_reset(struct http_conn *conn, enum http_end how);

/* Counts it. */
void http_conn_note_limited(struct http_conn *conn, enum http_limit limit);

/* http_reader.c */

/* IDLE and READING: reads until a head is complete or nothing is left (edges come once), and has it answered.
 * true: HANDLING, go on at once. */
bool http_conn_read(struct http_conn *conn);
/* READING: the rest of the stream can't be understood or waited for: answers, then closes. outcome is what
 * the report will say. Leads to HANDLING. */
void http_conn_refuse(struct http_conn *conn, int status, const char *problem, enum report_outcome outcome);
