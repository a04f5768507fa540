/* See conn.h. The states and the only ways between them:
 *   [reading header] -> [handshaking | peeking] -> dialing -> [greeting] -> [securing] -> relaying ->
 * [lingering]
 *                                               -> http     -> ended
 * Refuses to know how bytes move, what a request means, and which server is next. */
#include "proxy/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/store.h"
#include "proxy/conn_internal.h"
#include "proxy/dial.h"
#include "proxy/filters/filter_set.h"
#include "proxy/log.h"
#include "proxy/worker_internal.h"
#include "relay/linger.h"
#include "relay/session.h"
#include "relay/tls_conn.h"

/* --- The timer: one a connection, looked at when it fires, not moved at every byte --- */

#define NO_DEADLINE UINT64_MAX

/* All of this together has the time for a handshake. */
static bool is_beginning(const struct conn *conn)
{
    return conn->state == CONN_READING_HEADER || conn->state == CONN_HANDSHAKING ||
           conn->state == CONN_PEEKING;
}

static const char *describe_timeout(const struct conn *conn)
{
    switch (conn->state) {
    case CONN_READING_HEADER:
        return "PROXY header";
    case CONN_HANDSHAKING:
        return "handshake";
    case CONN_PEEKING:
        return "ClientHello";
    case CONN_GREETING:
        return "the server takes no PROXY header";
    default:
        return "idle";
    }
}

static uint64_t find_deadline(const struct conn *conn)
{
    uint64_t deadline = NO_DEADLINE;

    if (is_beginning(conn))
        deadline = conn->began_ms + conn->listener->timeouts.handshake_ms;
    else if (conn->state == CONN_GREETING)
        deadline = conn->greeting->deadline_ms;
    else if (conn->state == CONN_SECURING)
        deadline = conn->secure_deadline_ms;
    else if (conn->state == CONN_RELAYING)
        deadline = session_last_activity(conn->session) + conn->listener->timeouts.idle_ms;
    if (conn->drain_deadline_ms != 0 && conn->drain_deadline_ms < deadline)
        deadline = conn->drain_deadline_ms;
    return deadline; /* dial, http_conn and linger keep their own */
}

void conn_schedule(struct conn *conn)
{
    const uint64_t now = loop_now_ms(), deadline = find_deadline(conn);
    uint64_t left = deadline > now ? deadline - now : 1;

    /* Half-way, too: session_look() tells progress by comparing. */
    if (conn->state == CONN_RELAYING && left > conn->listener->timeouts.idle_ms / 2 + 1)
        left = conn->listener->timeouts.idle_ms / 2 + 1;
    if (deadline == NO_DEADLINE)
        timer_clear(worker_loop(conn->worker)->timers, &conn->timer);
    else
        timer_set(worker_loop(conn->worker)->timers, &conn->timer, now + left);
}

static void on_timer(struct loop_timer *timer)
{
    struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, timer));
    const uint64_t now = loop_now_ms();

    if (conn->state == CONN_RELAYING)
        session_look(conn->session);
    if (now < find_deadline(conn))
        conn_schedule(conn);
    else if (conn->drain_deadline_ms != 0 && now >= conn->drain_deadline_ms)
        conn_stop(conn);
    else if (conn->state == CONN_SECURING)
        conn_secure_timeout(conn);
    else
        conn_abort(conn, &(struct conn_outcome){OUTCOME_TIMEOUT, CLOSED_BY_SLUICE, describe_timeout(conn)});
}

/* --- The end --- */

static void on_burial(struct loop_task *task)
{
    struct conn *conn = (struct conn *)((char *)task - offsetof(struct conn, burial));

    filtering_free(conn->filtering);
    free(conn->final);
    free(conn->http_template);
    free(conn->tls);
    free(conn->unix_address);
    free(conn->server_tls);
    free(conn->paces);
    free(conn->origin);
    free(conn->greeting);
    free(conn->asked_name);
    generation_unref(conn->generation);
    free(conn);
}

/* Both ends are closed or taken over: lets go of everything; the memory goes on the next turn. */
void conn_release(struct conn *conn)
{
    assert(conn->state != CONN_ENDED);
    conn->state = CONN_ENDED;
    timer_clear(worker_loop(conn->worker)->timers, &conn->timer);
    if (conn->server_used != NULL)
        backend_server_released(conn->server_used);
    conn_limit_release(conn->listener, conn->client_entry);
    conn->client_entry = NULL;
    atomic_store_explicit(&conn->stats->connections,
                          atomic_load_explicit(&conn->stats->connections, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    loop_bury(worker_loop(conn->worker), &conn->burial);
    worker_remove_conn(conn->worker, conn);
}

void conn_log_end(struct conn *conn, const struct conn_outcome *outcome)
{
    struct report report;

    conn_fill_report(conn, &report);
    conn_fill_outcome(&report, outcome);
    log_post(worker_log(conn->worker), &report);
}

/* Whatever state it is in: both peers see a reset, the log tells why. */
void conn_abort(struct conn *conn, const struct conn_outcome *outcome)
{
    conn_log_end(conn, outcome);
    dial_free(conn->dial);
    session_free(conn->session);
    conn->dial = NULL;
    conn->session = NULL;
    endpoint_reset(&conn->client);
    endpoint_reset(&conn->server);
    conn_release(conn);
}

/* Told when neither side is waited for any more. */
static void linger_ended(struct conn *conn)
{
    if (conn->linger != NULL || conn->server_linger != NULL)
        return;
    conn->final->duration_ms = loop_now_ms() - conn->began_ms;
    log_post(worker_log(conn->worker), conn->final);
    conn_release(conn);
}

static void note_undelivered(struct conn *conn, const char *what)
{
    if (conn->final->outcome != OUTCOME_COMPLETE)
        return;
    conn->final->outcome = OUTCOME_RESET;
    conn->final->closed_by = CLOSED_BY_SLUICE;
    snprintf(conn->final->detail, sizeof(conn->final->detail), "%s", what);
}

static void on_client_lingered(void *arg, bool delivered)
{
    struct conn *conn = arg;

    conn->linger = NULL;
    if (!delivered)
        note_undelivered(conn, "the client did not take everything");
    linger_ended(conn);
}

static void on_server_lingered(void *arg, bool delivered)
{
    struct conn *conn = arg;

    conn->server_linger = NULL;
    if (!delivered)
        note_undelivered(conn, "the server did not take everything");
    linger_ended(conn);
}

/* An orderly close of the client, and of a server reached by TLS; the line in the log waits for it, since
 * only then is the outcome known. */
void conn_linger(struct conn *conn, const struct conn_outcome *outcome)
{
    const struct conf_timeouts *timeouts = &conn->listener->timeouts;

    conn->final = malloc(sizeof(*conn->final));
    if (conn->final == NULL) {
        conn_abort(conn, outcome);
        return;
    }
    conn_fill_report(conn, conn->final);
    conn_fill_outcome(conn->final, outcome);
    session_free(conn->session);
    conn->session = NULL;
    conn->state = CONN_LINGERING;
    conn_schedule(conn);
    if (conn->server.kind == ENDPOINT_TLS && conn->server.fd != -1)
        conn->server_linger = linger_start(&conn->server, timeouts->linger_ms, on_server_lingered, conn);
    else
        endpoint_close(&conn->server);
    conn->linger = linger_start(&conn->client, timeouts->linger_ms, on_client_lingered, conn);
    if (conn->linger != NULL)
        linger_allow_stall(conn->linger, timeouts->idle_ms);
    if (conn->server_linger != NULL)
        linger_allow_stall(conn->server_linger, timeouts->idle_ms);
    linger_ended(conn);
}

/* --- TLS --- */

static void on_handshake_done(struct conn *conn)
{
    const struct tls_conn *tls = conn->client.tls;

    conn->tls = conn_keep_tls(tls);
    if (conn->tls == NULL) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_HANDSHAKE, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    if (conn->listener->ktls == CONF_KTLS_REQUIRE && !tls_conn_ktls_tx(tls)) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_REFUSED, CLOSED_BY_SLUICE,
                                                relay_reason_name(tls_conn_tx_reason(tls))});
        return;
    }
    endpoint_shook_hands(&conn->client);
    tls_conn_drop_ssl(conn->client.tls);
    conn_route(conn);
}

static void conn_handshake(struct conn *conn)
{
    struct conn_outcome outcome = {OUTCOME_HANDSHAKE, CLOSED_BY_SLUICE, ""};

    switch (tls_conn_handshake(conn->client.tls)) {
    case TLS_DONE:
        on_handshake_done(conn);
        return;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return;
    case TLS_CLOSED:
    case TLS_TRUNCATED:
        outcome.closed_by = CLOSED_BY_CLIENT;
        outcome.detail = "the client closed during the handshake";
        break;
    case TLS_BROKEN:
        outcome.detail = tls_conn_error(conn->client.tls);
        break;
    }
    /* OpenSSL has sent an alert that says why: let it arrive. */
    conn_linger(conn, &outcome);
}

/* --- From the accepted socket on --- */

static void on_client_ready(void *arg)
{
    struct conn *conn = arg;
    int error;

    if (conn->state == CONN_HANDSHAKING) {
        conn_handshake(conn);
        return;
    }
    if (is_beginning(conn)) {
        conn_front_ready(conn);
        return;
    }
    assert(conn->state == CONN_DIALING || conn->state == CONN_GREETING || conn->state == CONN_SECURING);
    /* Data and half-close wait in the kernel for the session; a reset is noticed at once. */
    error = endpoint_check(&conn->client);
    if (error != 0)
        conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_CLIENT, strerror(error)});
}

/* Does with it what its target says. */
void conn_begin(struct conn *conn)
{
    switch (conn->target->kind) {
    case TARGET_PROXY:
        conn_start_dial(conn);
        return;
    case TARGET_FILES:
    case TARGET_ADMIN:
        conn_start_http(conn);
        return;
    case TARGET_DENY:
        conn_abort(conn, &(struct conn_outcome){OUTCOME_REFUSED, CLOSED_BY_SLUICE, "deny"});
        return;
    }
}

void conn_start_tls(struct conn *conn)
{
    const struct tls_conn_options options = {
        .ctx = cert_store_context(conn->listener->certs),
        .fd = conn->client.fd,
        .role = TLS_ACCEPT,
        .ktls_wanted = conn->listener->ktls != CONF_KTLS_OFF,
    };
    struct tls_conn *tls = tls_conn_new(&options);

    if (tls == NULL) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_HANDSHAKE, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    endpoint_set_tls(&conn->client, tls);
    conn->state = CONN_HANDSHAKING;
    conn_schedule(conn);
    /* The edge of the bytes behind a PROXY header has passed. */
    if (conn->origin != NULL)
        conn_handshake(conn);
}

static void reset_socket(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

uint64_t conn_next_id(void)
{
    static _Atomic uint64_t next_id = 1;

    return atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
}

/* The listener has seen to a TCP socket's options. */
static int open_client(struct endpoint *client, struct loop *loop, int fd, sa_family_t family)
{
    return family == AF_UNIX ? endpoint_open_socket(client, loop, fd)
                             : endpoint_open_accepted(client, loop, fd);
}

void conn_accept(struct worker *worker, struct generation *generation,
                 const struct generation_listener *listener, int fd, const struct sockaddr_storage *peer,
                 socklen_t peer_length)
{
    const struct conn_arrival arrival = {worker, listener, peer, peer_length};
    struct loop *loop = worker_loop(worker);
    struct client_entry *client_entry;
    struct conn *conn;

    if (!conn_limit_accept(&arrival, &client_entry)) {
        reset_socket(fd);
        return;
    }
    conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        conn_limit_release(listener, client_entry);
        reset_socket(fd);
        return;
    }
    conn->client_entry = client_entry;
    conn->client.fd = conn->server.fd = -1;
    conn->worker = worker;
    conn->listener = listener;
    conn->stats = listener->stats->workers[worker_index(worker)];
    conn->burial.run = on_burial;
    conn->id = conn_next_id();
    clock_gettime(CLOCK_REALTIME, &conn->began);
    conn->began_ms = loop_now_ms();
    conn_set_client(conn, peer);
    conn->timer.fire = on_timer;
    if (open_client(&conn->client, loop, fd, peer->ss_family) == -1) {
        conn_limit_release(listener, client_entry);
        reset_socket(fd);
        free(conn);
        return;
    }
    endpoint_on_ready(&conn->client, on_client_ready, conn);
    conn->generation = generation_ref(generation);
    relay_counter_add(&conn->stats->connections_total, 1);
    relay_counter_add(&conn->stats->connections, 1);
    worker_add_conn(worker, conn);
    if (worker_draining(worker))
        conn_drain(conn);
    conn_front_start(conn);
}

void conn_drain(struct conn *conn)
{
    if (conn->state == CONN_ENDED || conn_is_admin(conn))
        return;
    if (conn->drain_deadline_ms == 0)
        conn->drain_deadline_ms = loop_now_ms() + conn->listener->timeouts.drain_ms;
    conn_schedule(conn);
    if (conn->state == CONN_HTTP)
        http_conn_drain(conn->http);
}

void conn_stop(struct conn *conn)
{
    const struct conn_outcome stopped = {OUTCOME_STOPPED, CLOSED_BY_SLUICE, ""};

    switch (conn->state) {
    case CONN_ENDED:
        return;
    case CONN_HTTP:
        conn_stop_http(conn);
        return;
    case CONN_LINGERING:
        if (conn->linger != NULL)
            linger_cancel(conn->linger);
        if (conn->server_linger != NULL)
            linger_cancel(conn->server_linger);
        conn->linger = conn->server_linger = NULL;
        conn_fill_outcome(conn->final, &stopped);
        log_post(worker_log(conn->worker), conn->final);
        conn_release(conn);
        return;
    case CONN_ACCEPTED:
    case CONN_READING_HEADER:
    case CONN_HANDSHAKING:
    case CONN_PEEKING:
    case CONN_DIALING:
    case CONN_GREETING:
    case CONN_SECURING:
    case CONN_RELAYING:
        conn_abort(conn, &stopped);
    }
}
