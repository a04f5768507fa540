/* How long an HTTP connection waits for its client: the deadlines of its states, and the least rates at which
 * a request comes in and answers are taken. One timer serves them all, lazily: it fires when something may be
 * due, and only then is looked what the client has done.
 * Refuses to know what follows (http_conn.c). */
#include <event2/event.h>

#include "proxy/http/http_conn_state.h"

void http_conn_enter(struct http_conn *conn, enum http_conn_state state)
{
    const uint64_t now = loop_now_ms();
    conn->state = state;
    conn->since_ms = now;
    conn->seen_moved = 0;
    conn->seen_unsent = 0;
    if (state == CONN_READING)
        min_rate_begin(&conn->receiving, &conn->options.limits.min_receive, now, conn->received, UINT64_MAX);
    /* Nothing is asked of a client before something has waited for it: in the window after this one. */
    if (state == CONN_SENDING && conn->sending.due_ms == 0)
        min_rate_begin(&conn->sending, &conn->options.limits.min_send, now, 0, 0);
}

static bool is_receiving(const struct http_conn *conn)
{
    return (conn->state == CONN_READING || conn->state == CONN_SKIPPING) &&
           conn->options.limits.min_receive.rate != 0;
}

/* Also between answers: what was sent waits in the kernel, and a new request makes no better reader. */
static bool is_sending(const struct http_conn *conn)
{
    return (conn->state == CONN_SENDING || conn->state == CONN_IDLE) && conn->sending.due_ms != 0 &&
           conn->options.limits.min_send.rate != 0;
}

/* When the state has lasted too long. */
static uint64_t deadline(const struct http_conn *conn)
{
    return conn->since_ms + (conn->state == CONN_READING ? conn->options.header_ms : conn->options.idle_ms);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void http_conn_arm(struct http_conn *conn)
{
    uint64_t now = loop_now_ms(), due = deadline(conn);
    if (conn->state ==
        CONN_SENDING) /* progress is sampled, twice in the time after which its absence counts */
        due = earlier(due, now + conn->options.idle_ms / 2);
    if (is_receiving(conn))
        due = earlier(due, conn->receiving.due_ms);
    if (is_sending(conn))
        due = earlier(due, conn->sending.due_ms);
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
    if (conn->state == CONN_SENDING && conn->exchange->encoded)
        moved += http_encoded_body_taken(conn->exchange->encoded); /* a megabyte may become nothing */
    int unsent = endpoint_unsent(conn->client);
    bool progress = moved != conn->seen_moved || unsent != conn->seen_unsent;
    conn->seen_moved = moved;
    conn->seen_unsent = unsent;
    return progress;
}

static bool receives_slowly(struct http_conn *conn, uint64_t now)
{
    return is_receiving(conn) && now >= conn->receiving.due_ms &&
           min_rate_is_slow(&conn->receiving, &conn->options.limits.min_receive, now, conn->received,
                            UINT64_MAX);
}

static bool sends_slowly(struct http_conn *conn, uint64_t now)
{
    uint64_t taken, waiting;
    if (!is_sending(conn) || now < conn->sending.due_ms)
        return false;
    if (!min_rate_look(conn->client->fd, &taken, &waiting))
        taken = waiting = 0;
    const bool slow = min_rate_is_slow(&conn->sending, &conn->options.limits.min_send, now, taken, waiting);
    if (conn->state == CONN_IDLE && waiting == 0)
        conn->sending.due_ms = 0; /* until the next answer */
    return slow;
}

enum http_conn_patience http_conn_look(struct http_conn *conn)
{
    const uint64_t now = loop_now_ms();
    const bool due = now >= deadline(conn);
    if (receives_slowly(conn, now))
        return HTTP_CONN_RECEIVING_SLOW;
    if (sends_slowly(conn, now))
        return HTTP_CONN_SENDING_SLOW;
    if ((conn->state == CONN_SENDING || (conn->state == CONN_IDLE && due)) && progressed(conn)) {
        conn->since_ms = now;
        return HTTP_CONN_FINE;
    }
    return due ? HTTP_CONN_DUE : HTTP_CONN_FINE;
}
