/* Waits until a peer has everything, dropping what it still sends, then closes; resets it after a deadline.
 * Refuses to know what was sent and why it ends. */
#include "relay/linger.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "relay/timer.h"
#include "relay/tls_conn.h"

/* No event tells that the last byte was acknowledged, so SIOCOUTQ is polled: soon at first (a peer close by
 * takes microseconds), then at twice the distance each time up to the largest. */
#define POLL_FIRST_MS 1
#define POLL_LARGEST_MS 200
/* The kernel's TLS may still hold a partly queued record at the moment when TCP's queue runs empty, and its
 * worker thread queues the rest: believe an empty queue that has stayed so for longer than a busy machine
 * lets that thread wait. (Two looks alone may be microseconds apart, at two edges.) */
#define SETTLE_MS 20
/* Bytes of unwanted input dropped a turn: a peer that talks for ever gets no more of the worker than others.
 */
#define DROP_PER_TURN (256u << 10)

enum linger_state { LINGER_NOTIFYING, LINGER_DELIVERING, LINGER_WAITING_FIN, LINGER_ENDED };

struct relay_linger {
    struct endpoint ep;
    struct loop_timer timer;
    struct loop_task task, burial;
    enum linger_state state;
    bool ktls, delivered, saw_fin;
    uint64_t poll_ms, look_at; /* SIOCOUTQ */
    uint64_t empty_since;      /* 0: the queue wasn't empty when last seen */
    int queued;                /* as SIOCOUTQ said last */
    size_t dropped;            /* bytes of input */
    uint64_t timeout_ms, stall_ms, deadline;
    struct min_rate min_rate;
    struct min_rate_watch watch;
    bool slow;
    void (*on_end)(void *arg, bool delivered);
    void *arg;
};

static void on_burial(struct loop_task *task)
{
    free((char *)task - offsetof(struct relay_linger, burial));
}

static void dispose(struct relay_linger *linger)
{
    timer_clear(linger->ep.loop->timers, &linger->timer);
    loop_unqueue(linger->ep.loop, &linger->task);
    loop_bury(linger->ep.loop, &linger->burial);
}

static void finish(struct relay_linger *linger, bool delivered)
{
    linger->state = LINGER_ENDED;
    linger->delivered = delivered;
    if (delivered)
        endpoint_close(&linger->ep);
    else
        endpoint_reset(&linger->ep);
    timer_clear(linger->ep.loop->timers, &linger->timer);
    loop_queue(linger->ep.loop, &linger->task); /* on_end: not from within linger_start or an edge */
}

static void arm(struct relay_linger *linger)
{
    uint64_t now = loop_now_ms(), left = linger->deadline > now ? linger->deadline - now : 0;
    uint64_t poll = linger->look_at > now ? linger->look_at - now : 1;
    uint64_t wait = linger->state == LINGER_DELIVERING && poll < left ? poll : left;
    timer_set(linger->ep.loop->timers, &linger->timer, now + wait);
}

/* What the peer still sends is dropped, or close() would answer it with a reset that overtakes our last
 * bytes. */
static enum io_status drop_input(struct relay_linger *linger)
{
    struct endpoint *ep = &linger->ep;
    /* Records that the kernel decrypts can only be read whole, by OpenSSL; any other ciphertext is just
     * bytes. */
    bool through_tls = ep->kind == ENDPOINT_TLS && tls_conn_ktls_rx(ep->tls);
    for (size_t dropped = 0; dropped < DROP_PER_TURN;) {
        if (!ep->readable)
            return IO_AGAIN;
        size_t n = 0;
        enum io_status status;
        if (through_tls) {
            status = endpoint_read(ep, ep->loop->copy_buffer, ep->loop->copy_size, &n);
        } else {
            loop_count(ep->loop, RELAY_SYS_RECV);
            ssize_t got = recv(ep->fd, ep->loop->copy_buffer, ep->loop->copy_size, 0);
            status = got > 0 ? IO_OK : got == 0 ? IO_EOF : errno == EAGAIN ? IO_AGAIN : IO_BROKEN;
            n = got > 0 ? (size_t)got : 0;
            ep->readable = status != IO_AGAIN;
        }
        if (status == IO_BROKEN && errno == ENODATA) /* FIN without close_notify: an end all the same */
            return IO_EOF;
        if (status != IO_OK)
            return status;
        dropped += n;
        linger->dropped += n;
    }
    return IO_OK;
}

/* Whether everything was acknowledged. */
static bool queue_empty(struct relay_linger *linger)
{
    int queued = 0;
    loop_count(linger->ep.loop, RELAY_SYS_IOCTL);
    if (ioctl(linger->ep.fd, SIOCOUTQ, &queued) == -1)
        return true; /* a UNIX socket: what was written is with the peer */
    /* It changed: the peer is still taking what was sent. */
    if (queued != linger->queued) {
        linger->queued = queued;
        linger->deadline = loop_now_ms() + linger->stall_ms;
    }
    uint64_t now = loop_now_ms();
    if (queued != 0)
        linger->empty_since = 0;
    else if (linger->empty_since == 0)
        linger->empty_since = now;
    return queued == 0 && (!linger->ktls || now - linger->empty_since >= SETTLE_MS);
}

/* A peer that had ended in good order and closed its socket, payload taken, resets when our close_notify
 * comes after that: nothing was lost, if just that is what TCP has no acknowledgement of. */
static bool only_notice_refused(struct relay_linger *linger)
{
    size_t notice = linger->ktls && linger->saw_fin ? tls_conn_close_notify_size(linger->ep.tls) : 0;
    return notice != 0 && (size_t)endpoint_unsent(&linger->ep) == notice;
}

static void deliver(struct relay_linger *linger)
{
    if (!queue_empty(linger)) {
        if (linger->empty_since == 0 && linger->poll_ms < POLL_LARGEST_MS)
            linger->poll_ms *= 2;
        linger->look_at = loop_now_ms() + (linger->empty_since != 0 ? SETTLE_MS : linger->poll_ms);
        return;
    }
    linger->delivered = true;
    linger->state = LINGER_WAITING_FIN;
    linger->deadline = loop_now_ms() + linger->timeout_ms;
    if (linger->ktls)
        (void)shutdown(linger->ep.fd, SHUT_WR); /* nothing is left that it could cut off */
}

static bool is_slow(struct relay_linger *linger)
{
    uint64_t now = loop_now_ms(), taken, waiting;
    if (linger->watch.due_ms == 0 || now < linger->watch.due_ms || linger->state == LINGER_WAITING_FIN)
        return false;
    return min_rate_look(linger->ep.fd, &taken, &waiting) &&
           min_rate_is_slow(&linger->watch, &linger->min_rate, now, taken, waiting);
}

static void advance(struct relay_linger *linger)
{
    struct endpoint *ep = &linger->ep;
    linger->slow = is_slow(linger);
    if (linger->slow) {
        finish(linger, false);
        return;
    }
    /* Looked at here too: armed anew at every edge, the timer of a peer that never falls silent never fires.
     */
    if (loop_now_ms() >= linger->deadline && linger->state == LINGER_DELIVERING)
        deliver(linger);
    if (loop_now_ms() >= linger->deadline) {
        finish(linger, linger->delivered);
        return;
    }
    if (linger->state == LINGER_NOTIFYING) {
        enum io_status status = IO_OK;
        if (ep->kind == ENDPOINT_TLS && endpoint_can_write(ep))
            status = endpoint_shutdown_write(ep, !linger->ktls);
        else if (ep->kind == ENDPOINT_TLS)
            status = IO_AGAIN;
        if (status == IO_BROKEN || status == IO_EOF) {
            finish(linger, false);
            return;
        }
        if (status == IO_OK) {
            linger->state = LINGER_DELIVERING;
            if (!linger->ktls)
                (void)shutdown(ep->fd, SHUT_WR);
        }
    }
    enum io_status input = linger->saw_fin ? IO_EOF : drop_input(linger);
    if (linger->dropped > LINGER_DROP_MAX) {
        finish(linger, linger->delivered);
        return;
    }
    /* Behind a FIN nothing is read any more that could tell of a reset. */
    if (input == IO_BROKEN || (linger->saw_fin && endpoint_check(ep) != 0)) {
        finish(linger, linger->delivered || only_notice_refused(linger));
        return;
    }
    linger->saw_fin = input == IO_EOF;
    if (linger->state == LINGER_DELIVERING && loop_now_ms() >= linger->look_at)
        deliver(linger);
    if (linger->state == LINGER_WAITING_FIN && linger->saw_fin) {
        finish(linger, true);
        return;
    }
    /* Without kTLS the kernel delivers a closed socket's queue by itself once no input is in the way. */
    if (linger->state == LINGER_DELIVERING && linger->saw_fin && !linger->ktls) {
        finish(linger, true);
        return;
    }
    if (input == IO_OK)
        loop_queue(ep->loop, &linger->task);
    arm(linger);
}

static void on_ready(void *arg)
{
    struct relay_linger *linger = arg;
    if (linger->state != LINGER_ENDED)
        advance(linger);
}

static void on_timer(struct loop_timer *timer)
{
    advance((struct relay_linger *)((char *)timer - offsetof(struct relay_linger, timer)));
}

static void on_task(struct loop_task *task)
{
    struct relay_linger *linger = (struct relay_linger *)((char *)task - offsetof(struct relay_linger, task));
    if (linger->state != LINGER_ENDED) {
        advance(linger);
        return;
    }
    if (linger->on_end != NULL)
        linger->on_end(linger->arg, linger->delivered);
    dispose(linger);
}

struct relay_linger *linger_start(struct endpoint *ep, uint64_t timeout_ms,
                                  void (*on_end)(void *arg, bool delivered), void *arg)
{
    if (ep->fd == -1)
        return NULL;
    struct relay_linger *linger = calloc(1, sizeof(*linger));
    if (linger == NULL || endpoint_take_over(&linger->ep, ep) == -1) {
        free(linger);
        endpoint_reset(ep);
        return NULL;
    }
    linger->ktls = linger->ep.kind == ENDPOINT_TLS && tls_conn_ktls_tx(linger->ep.tls);
    linger->state = LINGER_NOTIFYING;
    /* Without kTLS the kernel delivers what a closed socket holds, and most peers say soon that they have it,
     * by ending too: only the deadline depends on the queue, and looking costs more than the close. */
    bool soon = linger->ktls || timeout_ms == 0;
    linger->poll_ms = soon                               ? POLL_FIRST_MS
                      : timeout_ms / 2 < POLL_LARGEST_MS ? timeout_ms / 2
                                                         : POLL_LARGEST_MS;
    linger->look_at = linger->ktls ? 0 : loop_now_ms() + linger->poll_ms;
    linger->timeout_ms = linger->stall_ms = timeout_ms;
    linger->deadline = loop_now_ms() + timeout_ms;
    linger->on_end = on_end;
    linger->arg = arg;
    linger->task.run = on_task;
    linger->burial.run = on_burial;
    linger->timer.fire = on_timer;
    endpoint_on_ready(&linger->ep, on_ready, linger);
    loop_queue(linger->ep.loop, &linger->task);
    return linger;
}

void linger_allow_stall(struct relay_linger *linger, uint64_t stall_ms)
{
    linger->stall_ms = stall_ms;
    linger->deadline = loop_now_ms() + stall_ms;
}

void linger_require_rate(struct relay_linger *linger, const struct min_rate *rate)
{
    uint64_t taken, waiting;
    linger->min_rate = *rate;
    linger->watch.due_ms = 0;
    if (rate->rate != 0 && min_rate_look(linger->ep.fd, &taken, &waiting))
        min_rate_begin(&linger->watch, rate, loop_now_ms(), taken, waiting);
}

bool linger_was_slow(const struct relay_linger *linger)
{
    return linger->slow;
}

void linger_cancel(struct relay_linger *linger)
{
    if (linger == NULL)
        return;
    linger->state = LINGER_ENDED;
    endpoint_reset(&linger->ep);
    dispose(linger);
}
