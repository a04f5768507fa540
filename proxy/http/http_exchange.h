/* One request and its answer, as http_conn.c, http_exchange.c and the respond_*.c share it. Private to them:
 * handlers see http_conn.h and respond_file.h. Refuses to know sockets: the answer is a head and a body
 * endpoint for a flow to send. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/http/encoded_body.h"
#include "proxy/http/fill.h"
#include "proxy/http/http_conn.h"
#include "proxy/http/multipart.h"
#include "proxy/http/request.h"
#include "proxy/http/response.h"
#include "relay/endpoint.h"
#include "relay/flow.h"

struct error_page; /* error_page.h */

struct http_exchange {
    struct http_conn *conn;
    struct loop *loop;
    const struct http_handler *handler; /* who has it, borrowed; NULL: nobody yet */
    void *data;                         /* the handler's */

    const struct http_files *files; /* whose policy and error pages it gets; NULL: none */
    struct error_page *page;        /* being opened; NULL: none is */
    bool secure;                    /* over TLS */

    struct http_request request; /* points into the connection's buffer, into path and fields */
    char *path;                  /* memory of request.resolved */

    bool handed;   /* handler has it and must answer or be cancelled */
    bool answered; /* head and body are ready */
    bool failed;   /* out of memory: nothing can be answered */
    bool close;    /* no further request on this connection */
    bool streams;  /* the connection's policy lets bytes be made on the way */

    struct http_head head;
    void *memory;           /* behind body where it is not a file */
    struct open_file *open; /* behind body where it is one of the worker's open files */
    struct http_ids ids;
    struct open_files *open_files;
    struct disk_port *disk;
    struct http_fill fill; /* of body, where it is a file */
    struct endpoint body;
    struct http_multipart *multipart;  /* several ranges of body; NULL: all that body has */
    struct http_encoded_body *encoded; /* what makes body, where that is a stream */
    struct flow *flow;

    uint64_t began_ms;
    uint64_t handshake_bytes;    /* sent before the first response: part of its head_bytes */
    enum report_outcome outcome; /* if it is sent completely */
    struct report report;        /* the template and what is known so far */

    struct http_field fields[]; /* limits->max_fields */
};

/* Begins now. is_first: of its connection, so the template's head_bytes (a TLS handshake's) are told with it.
 * NULL: out of memory. */
struct http_exchange *http_exchange_new(struct http_conn *conn, struct loop *loop,
                                        const struct http_limits *limits, const struct report *template,
                                        bool is_first);
/* Flow, file and memory go; nobody is told. NULL: nothing. */
void http_exchange_free(struct http_exchange *exchange);

/* exchange_report.c: what its record tells, from http_exchange_new() on. */
void http_exchange_begin_report(struct http_exchange *exchange, const struct report *template, bool is_first);
/* The head is there, or as much of it as there will be: puts the request, as far as it was read, into the
 * record. */
void http_exchange_describe(struct http_exchange *exchange);
/* The kernel has taken the first bytes of its answer. */
void http_exchange_note_first_byte(struct http_exchange *exchange);
/* Brings what changes while it goes on up to date in report, a copy of exchange->report or that itself. */
void http_exchange_update(const struct http_exchange *exchange, struct report *report);

/* A complete request, its target resolved, goes to the handler; or is answered with 405, if that is none of
 * the methods that it takes. */
void http_exchange_hand(struct http_exchange *exchange, const struct http_handler *handler);
bool http_handler_takes(const struct http_handler *handler, enum http_method method);
void http_respond_method(struct http_exchange *exchange); /* 405 */
/* As http_respond_status(), but always the page made here. */
void http_respond_built_in(struct http_exchange *exchange, int status, const char *extra_headers);

/* For what answers: status line and the fields of every head, to be followed by http_head_add() on ->head. */
void http_exchange_begin(struct http_exchange *exchange, int status);
/* Ends the head and hands the answer over. A body of no bytes is an empty memory, whatever it came from: it
 * has no mode that a policy could forbid. */
void http_exchange_end(struct http_exchange *exchange);
bool http_exchange_wants_body(const struct http_exchange *exchange); /* false: HEAD */

/* Its answer went out to the last byte. */
void http_exchange_note_sent(struct http_exchange *exchange);

/* By http_respond_*: the answer is ready (or failed). http_conn.c has it sent, not before the caller returns.
 */
void http_conn_answered(struct http_conn *conn);
/* Its body's next bytes were read: sending goes on. arg: the connection. */
void http_conn_filled(void *arg);
