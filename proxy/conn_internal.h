/* What conn.c, conn_front.c, conn_http.c, conn_proxy.c, conn_greeting.c and conn_report.c share: the
 * connection itself. Nobody else includes this. */
#pragma once

#include <netinet/in.h>
#include <sys/queue.h>
#include <time.h>

#include "proxy/conn.h"
#include "relay/endpoint.h"
#include "relay/loop.h"
#include "relay/session.h"
#include "relay/timer.h"
#include "relay/tls_facts.h"

struct dial;
struct filtering;
struct http_conn;
struct relay_linger;
struct pace;
struct session;
struct tls_conn;

enum conn_state {
    CONN_ACCEPTED,
    CONN_READING_HEADER, /* PROXY protocol, under the timer */
    CONN_HANDSHAKING,    /* TLS, likewise */
    CONN_PEEKING,        /* at a ClientHello, likewise */
    CONN_DIALING,        /* dial has the deadline */
    CONN_HTTP,           /* http_conn has the client and the time */
    CONN_GREETING,       /* the server has not taken all of its PROXY header; under the timer */
    CONN_SECURING,       /* TLS with the server, under the timer */
    CONN_RELAYING,       /* session moves bytes; the timer looks for idleness */
    CONN_LINGERING,      /* everything is written; the client is being closed */
    CONN_ENDED,          /* only the memory is left */
};

/* What the handshake came to, kept apart from the TLS object: a loss frees that before the record is written.
 */
struct conn_tls {
    struct tls_facts facts;
    uint64_t handshake_rx, handshake_tx;
};

/* What a PROXY header told. */
struct conn_origin {
    char proxy[80]; /* whose header it was: the socket's peer */
    size_t header_size;
    bool has_destination;
    struct sockaddr_storage destination;
    size_t tlv_size;
    uint8_t tlvs[];
};

/* What a server has not taken yet of the PROXY header for it. */
struct conn_greeting {
    uint64_t deadline_ms;
    size_t size, sent;
    uint8_t bytes[];
};

struct conn {
    TAILQ_ENTRY(conn) link; /* the worker's list */
    enum conn_state state : 8;
    bool marked : 1;        /* SO_RCVLOWAT is set on the client's socket */
    uint16_t greeting_size; /* bytes that the server was sent before the client's */
    struct worker *worker;
    struct generation *generation; /* pinned */
    const struct generation_listener *listener;
    const struct generation_target *target; /* NULL: not chosen yet */
    struct listener_stats *stats;           /* this worker's */
    uint64_t id, began_ms;
    uint64_t drain_deadline_ms; /* 0: not draining. Then the timer serves nothing else */
    struct timespec began;
    struct endpoint client, server;
    struct dial *dial;
    struct session *session;
    struct http_conn *http;
    struct relay_linger *linger, *server_linger; /* LINGERING: each until its side has everything */
    struct filtering *filtering;                 /* NULL: nothing looks at its bytes */
    struct backend_server *server_used;          /* connected to: backend_server_released() is owed */
    struct report *http_template;                /* HTTP: lives as long as http_conn */
    struct report *final;              /* LINGERING: the record, complete but for how the linger ends */
    struct conn_tls *tls;              /* NULL: no handshake, or not yet */
    struct conn_tls *server_tls;       /* likewise, with the server */
    uint64_t secure_deadline_ms;       /* SECURING */
    struct client_entry *client_entry; /* its client's, while it counts there; or NULL */
    struct pace *paces;                /* by enum session_direction; NULL: neither has one */
    struct loop_timer timer;
    struct conn_origin *origin;     /* NULL: no PROXY header came */
    struct conn_greeting *greeting; /* GREETING */
    char *asked_name;            /* SNI of a ClientHello that is passed through; NULL: none, or not known */
    struct sockaddr_in6 address; /* or sockaddr_in, see conn_client() */
    struct sockaddr_storage *unix_address; /* instead, of a UNIX socket; or NULL */
    struct loop_task burial;
};

/* How it ended. */
struct conn_outcome {
    enum report_outcome outcome;
    enum report_closed_by closed_by;
    const char *detail;
};

/* The client's address: the original one, where a PROXY header told it. */
struct sockaddr_storage conn_client(const struct conn *conn);
void conn_set_client(struct conn *conn, const struct sockaddr_storage *address);
void conn_client_text(const struct conn *conn, char *text, size_t size);
/* As much as that takes. */
#define CONN_CLIENT_TEXT 80

/* Everything that is known now, outcome OUTCOME_OPEN. Not in CONN_LINGERING and CONN_ENDED. */
void conn_fill_report(const struct conn *conn, struct report *report);
/* What a finished handshake came to. To be freed; NULL: out of memory. */
struct conn_tls *conn_keep_tls(const struct tls_conn *tls);
/* What crossed before the payload: handshake and PROXY headers. */
uint64_t conn_head_bytes(const struct conn *conn, enum session_direction direction);
void conn_fill_outcome(struct report *report, const struct conn_outcome *outcome);

/* Arms the timer for the deadline of the state it is in. */
void conn_schedule(struct conn *conn);
/* Whatever state it is in: both peers see a reset, the log tells why, the connection is gone. */
void conn_abort(struct conn *conn, const struct conn_outcome *outcome);
/* An orderly close of the client, and of a server reached by TLS; the line in the log waits for it, since
 * only then is the outcome known. */
void conn_linger(struct conn *conn, const struct conn_outcome *outcome);
void conn_log_end(struct conn *conn, const struct conn_outcome *outcome);
/* Both ends are closed or taken over: lets go of everything; the memory goes on the next turn. */
void conn_release(struct conn *conn);

/* A connection just accepted, before anything is made for it. */
struct conn_arrival {
    struct worker *worker;
    const struct generation_listener *listener;
    const struct sockaddr_storage *peer;
    socklen_t peer_length;
};
uint64_t conn_next_id(void);

/* conn_limit.c. false: a limit of the listener or of the client refuses it, which was logged and counted; the
 * caller resets the socket. true: conn_limit_release() is owed, with *entry (may be NULL). */
bool conn_limit_accept(const struct conn_arrival *arrival, struct client_entry **entry);
/* For a client that a PROXY header told of, which counts only then. false: it is refused and gone. */
bool conn_limit_client(struct conn *conn);
void conn_limit_release(const struct generation_listener *listener, struct client_entry *entry);
/* The paces its listener asks for. 0, or -1: out of memory. */
int conn_make_paces(struct conn *conn) __attribute__((warn_unused_result));
/* NULL: none in that direction. */
struct pace *conn_pace(const struct conn *conn, enum session_direction direction);
/* conn.c: what follows when it is known. The client is admitted; the target is chosen. */
void conn_start_tls(struct conn *conn);
void conn_begin(struct conn *conn);

/* conn_front.c: from the accepted socket until the target is chosen. */
bool conn_is_proxied(const struct generation_listener *listener, const struct sockaddr_storage *peer);
void conn_front_start(struct conn *conn);
void conn_front_ready(struct conn *conn); /* READING_HEADER and PEEKING: an edge */
void conn_route(struct conn *conn);       /* admitted; the handshake, if any, is done */

/* conn_greeting.c: sends the server its PROXY header, if it is to have one, then calls conn_start_session().
 */
void conn_greet(struct conn *conn);
void conn_start_session(struct conn *conn);

/* conn_http.c: CONN_HTTP. */
void conn_start_http(struct conn *conn);
void conn_stop_http(struct conn *conn); /* the response under way, if there is one, is told as `stopped` */

/* conn_proxy.c: from CONN_DIALING on. */
void conn_start_dial(struct conn *conn);
void conn_start_session(struct conn *conn);

/* conn_secure.c: with a server that is connected, TLS if it is to be, then conn_start_session(). What a
 * server is sent in the clear, a PROXY header, goes before. */
void conn_secure(struct conn *conn);
void conn_secure_timeout(struct conn *conn);
