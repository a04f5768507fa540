/* See dial.h. Refuses to know clients. */
#include "proxy/dial.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/ejection.h"
#include "proxy/tcp_options.h"
#include "relay/timer.h"

/* A UNIX server whose backlog is full says EAGAIN at once instead of letting us wait: asked again this often.
 */
#define DIAL_UNIX_RETRY_MS 10

/* How many servers one connection tries: with more than that out of order, asking all of them would only take
 * each one's share of the deadline below what a connect over a network needs. */
#define DIAL_TRIES_MAX 16

/* Who waits in the queue looks again this often, whether woken or not: an ejection that ends wakes nobody. */
#define DIAL_QUEUE_LOOK_MS 1000

enum dial_state { DIAL_STATE_QUEUED, DIAL_STATE_CONNECTING, DIAL_STATE_BUSY_UNIX, DIAL_STATE_OVER };

struct dial {
    struct dial_options options;
    enum dial_state state;
    bool starting; /* within dial_start: the end has to wait for the next turn */
    uint64_t deadline_ms, try_deadline_ms;
    uint64_t queue_deadline_ms; /* 0: has not waited */
    struct backend_waiter waiter;
    struct backend_server *current; /* occupied by us; NULL: none, or handed over */
    struct loop_timer timer;
    struct loop_task report, burial;
    enum dial_status status;
    const char *refused; /* which setting of our socket the kernel didn't take, in the last try */
    char *detail;        /* of the last failure; NULL: none, or no memory to tell it */
    size_t tried_count;
    struct backend_server *tried[DIAL_TRIES_MAX]; /* references */
};

static void dial_next(struct dial *dial);
static void on_lost(struct dial *dial, int error);

static bool was_reached(enum dial_status status)
{
    return status == DIAL_CONNECTED || status == DIAL_LOST;
}

static void tell_end(struct dial *dial)
{
    const struct dial_end end = {
        .status = dial->status,
        .server = dial->current,
        .detail = dial->detail != NULL ? dial->detail : "",
    };

    dial->current = NULL; /* whoever is told owes it */
    dial->options.on_end(dial->options.arg, &end);
}

static void on_report(struct loop_task *task)
{
    tell_end((struct dial *)((char *)task - offsetof(struct dial, report)));
}

/* A connection to it comes to nothing. */
static void leave_current(struct dial *dial)
{
    if (dial->current != NULL)
        backend_server_vacate(dial->current);
    dial->current = NULL;
}

static void dial_finish(struct dial *dial, enum dial_status status)
{
    dial->state = DIAL_STATE_OVER;
    dial->status = status;
    timer_clear(dial->options.loop->timers, &dial->timer);
    if (was_reached(status))
        backend_server_connected(dial->current);
    else
        leave_current(dial);
    if (dial->starting)
        loop_queue(dial->options.loop, &dial->report);
    else
        tell_end(dial);
}

/* The text has memory only once there is one: a dial no larger than what is made after it leaves no hole
 * between the connections that stay. */
static void __attribute__((format(printf, 2, 3))) note_detail(struct dial *dial, const char *format, ...)
{
    va_list arguments;

    free(dial->detail);
    va_start(arguments, format);
    if (vasprintf(&dial->detail, format, arguments) == -1)
        dial->detail = NULL;
    va_end(arguments);
}

static void note_failure(struct dial *dial, const char *why)
{
    note_detail(dial, "%s: %s", dial->current->name, why);
}

static void note_at_fault(struct dial *dial)
{
    const uint64_t now = loop_now_ms();

    backend_server_failed(dial->current, now);
    ejection_note(dial->options.backend, dial->current, EJECTION_CONNECT_FAILED, now);
}

/* The current server can't be had: on to the next. */
static void try_failed(struct dial *dial, const char *why, bool server_at_fault)
{
    note_failure(dial, why);
    if (server_at_fault)
        note_at_fault(dial);
    endpoint_reset(dial->options.server);
    dial_next(dial);
}

static void arm_timer(struct dial *dial, uint64_t ms)
{
    timer_set(dial->options.loop->timers, &dial->timer, loop_now_ms() + ms);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static int open_stream(struct dial *dial, int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1 && errno == EMFILE && dial->options.free_descriptor(dial->options.arg))
        fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd;
}

/* An edge: the connection stands unless it tells of an error. */
static void on_server_ready(void *arg)
{
    struct dial *dial = arg;

    if (dial->state != DIAL_STATE_CONNECTING)
        return;
    const int error = endpoint_check(dial->options.server);
    if (error == 0) {
        dial_finish(dial, DIAL_CONNECTED);
    } else if (error == ECONNRESET || error == EPIPE) {
        on_lost(dial, error);
    } else {
        try_failed(dial, strerror(error), true);
    }
}

/* What the configuration asks of a socket to a server. */
static int apply_options(struct dial *dial, int fd, int family)
{
    const struct conf_outgoing *outgoing = dial->options.backend->outgoing;
    struct sockaddr_storage client = {.ss_family = AF_UNSPEC};
    bool early;

    dial->refused = NULL;
    if (outgoing == NULL || family == AF_UNIX)
        return 0;
    if (outgoing->transparent)
        dial->options.client_address(dial->options.arg, &client);
    early = outgoing->tcp.fast_open && dial->options.may_be_early(dial->options.arg);
    if (tcp_options_apply_outgoing(fd, family, outgoing, &client, early, &dial->refused) == -1)
        return -1;
    dial->refused = NULL;
    return 0;
}

enum connect_outcome { CONNECT_STARTED, CONNECT_DONE, CONNECT_BUSY, CONNECT_FAILED, CONNECT_NO_RESOURCE };

/* A UNIX socket is connected at once and told so by no edge. */
static int open_endpoint(struct endpoint *server, struct loop *loop, int fd, enum connect_outcome outcome)
{
    return outcome == CONNECT_STARTED ? endpoint_open_connecting(server, loop, fd)
                                      : endpoint_open_socket(server, loop, fd);
}

/* One connect() to the current server. errno is set for FAILED and NO_RESOURCE. */
static enum connect_outcome connect_once(struct dial *dial)
{
    const struct conf_address *address = &dial->current->address;
    enum connect_outcome outcome = CONNECT_DONE;
    int fd = open_stream(dial, address->addr.ss_family), saved;

    if (fd == -1)
        return is_shortage(errno) ? CONNECT_NO_RESOURCE : CONNECT_FAILED;
    if (apply_options(dial, fd, address->addr.ss_family) == -1) {
        outcome = CONNECT_FAILED;
    } else if (connect(fd, (const struct sockaddr *)&address->addr, address->length) == -1) {
        if (errno == EINPROGRESS)
            outcome = CONNECT_STARTED;
        else if (errno == EAGAIN && address->addr.ss_family == AF_UNIX)
            outcome = CONNECT_BUSY;
        else
            outcome = is_shortage(errno) ? CONNECT_NO_RESOURCE : CONNECT_FAILED;
    }
    if (outcome == CONNECT_STARTED || outcome == CONNECT_DONE) {
        if (open_endpoint(dial->options.server, dial->options.loop, fd, outcome) == 0) {
            endpoint_on_ready(dial->options.server, on_server_ready, dial);
            return outcome;
        }
        outcome = CONNECT_NO_RESOURCE;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return outcome;
}

/* Tries the current server. false: it is out at once, try_failed() has to follow. */
static bool dial_current(struct dial *dial)
{
    const uint64_t now = loop_now_ms();
    const uint64_t left = dial->try_deadline_ms > now ? dial->try_deadline_ms - now : 1;

    switch (connect_once(dial)) {
    case CONNECT_STARTED:
        dial->state = DIAL_STATE_CONNECTING;
        arm_timer(dial, left);
        return true;
    case CONNECT_DONE:
        dial_finish(dial, DIAL_CONNECTED);
        return true;
    case CONNECT_BUSY:
        dial->state = DIAL_STATE_BUSY_UNIX;
        arm_timer(dial, left < DIAL_UNIX_RETRY_MS ? left : DIAL_UNIX_RETRY_MS);
        return true;
    case CONNECT_NO_RESOURCE:
        note_failure(dial, strerror(errno));
        dial_finish(dial, DIAL_NO_RESOURCE);
        return true;
    case CONNECT_FAILED:
        break;
    }
    return false;
}

static void forget_tried(struct dial *dial)
{
    for (size_t i = 0; i < dial->tried_count; i++)
        backend_server_unref(dial->tried[i]);
    dial->tried_count = 0;
}

/* Its time in the queue is no connect's: afterwards it begins anew, with every server and the whole deadline.
 */
static void wait_in_queue(struct dial *dial)
{
    const uint64_t now = loop_now_ms();
    uint64_t left;

    if (dial->queue_deadline_ms == 0)
        dial->queue_deadline_ms = now + dial->options.backend->queue.timeout_ms;
    left = dial->queue_deadline_ms > now ? dial->queue_deadline_ms - now : 1;
    dial->state = DIAL_STATE_QUEUED;
    forget_tried(dial);
    arm_timer(dial, left < DIAL_QUEUE_LOOK_MS ? left : DIAL_QUEUE_LOOK_MS);
}

static void give_up(struct dial *dial, const char *why)
{
    if (why != NULL)
        note_detail(dial, "%s: %s", dial->options.backend->name, why);
    dial_finish(dial, DIAL_NO_SERVER);
}

/* What the balancer says now, without acting on it. */
static enum backend_answer choose(struct dial *dial, struct backend_choice *choice)
{
    const struct balancer_request request = {.tried = dial->tried,
                                             .tried_count = dial->tried_count,
                                             .client_hash = dial->options.client_hash,
                                             .now_ms = loop_now_ms()};

    return backend_choose(dial->options.backend, dial->options.worker_index, &request, &dial->waiter, choice);
}

/* It gets its share of the time that is left. */
static void set_current(struct dial *dial, const struct backend_choice *choice)
{
    const uint64_t now = loop_now_ms(), left_ms = dial->deadline_ms > now ? dial->deadline_ms - now : 0;
    const size_t room = DIAL_TRIES_MAX - dial->tried_count;
    const size_t sharers = choice->left < room ? choice->left : room;

    dial->state = DIAL_STATE_CONNECTING;
    dial->current = choice->server;
    dial->tried[dial->tried_count++] = backend_server_ref(choice->server);
    dial->try_deadline_ms = now + (left_ms + sharers - 1) / sharers;
}

static bool may_go_on(const struct dial *dial)
{
    return dial->tried_count < DIAL_TRIES_MAX && loop_now_ms() < dial->deadline_ms;
}

/* Another server than those tried, if one can be had at once. */
static bool choose_other(struct dial *dial)
{
    struct backend_choice choice;

    if (!may_go_on(dial))
        return false;
    if (choose(dial, &choice) == BACKEND_CHOSEN) {
        set_current(dial, &choice);
        return true;
    }
    backend_queue_leave(dial->options.backend->shared, &dial->waiter);
    return false;
}

/* Chooses the next server. false: it waits, or nobody is left to try and that has been told. */
static bool choose_next(struct dial *dial)
{
    struct backend_choice choice;

    leave_current(dial);
    if (dial->state == DIAL_STATE_QUEUED)
        dial->deadline_ms = loop_now_ms() + dial->options.timeout_ms;
    if (!may_go_on(dial)) {
        give_up(dial, NULL);
        return false;
    }
    switch (choose(dial, &choice)) {
    case BACKEND_CHOSEN:
        set_current(dial, &choice);
        return true;
    case BACKEND_NOBODY:
        give_up(dial, dial->tried_count == 0 ? "no server for now" : NULL);
        break;
    case BACKEND_WAIT:
        wait_in_queue(dial);
        break;
    case BACKEND_OVERFLOW:
        give_up(dial, "every server has its max_connections, and the queue is full");
        break;
    }
    return false;
}

static void note_refusal(struct dial *dial, const char *why)
{
    note_detail(dial, "%s: %s: %s", dial->current->name, dial->refused, why);
}

/* No local port left for this destination, or a setting of ours that the kernel doesn't take, is not the
 * server's failure; another may still do. */
static void note_failed_at_once(struct dial *dial, int error)
{
    note_failure(dial, strerror(error));
    if (dial->refused != NULL)
        note_refusal(dial, strerror(error));
    else if (error != EADDRNOTAVAIL)
        note_at_fault(dial);
}

static void dial_next(struct dial *dial)
{
    while (choose_next(dial)) {
        if (dial_current(dial))
            return;
        note_failed_at_once(dial, errno);
    }
}

/* A SYN that is refused gives ECONNREFUSED: this was a connection, with a server that is alive, or was when
 * the kernel accepted for it. Nothing was forwarded, so another server will do; without one, the reset is
 * passed on. */
static void on_lost(struct dial *dial, int error)
{
    struct backend_server *lost = dial->current;

    note_detail(dial, "%s", strerror(error));
    endpoint_reset(dial->options.server);
    ejection_note(dial->options.backend, lost, EJECTION_EARLY_RESET, loop_now_ms());
    dial->current = NULL;
    if (choose_other(dial)) {
        backend_server_vacate(lost);
        if (!dial_current(dial)) {
            note_failed_at_once(dial, errno);
            dial_next(dial);
        }
        return;
    }
    dial->current = lost;
    dial_finish(dial, DIAL_LOST);
}

static void on_turn(struct backend_waiter *waiter)
{
    dial_next((struct dial *)((char *)waiter - offsetof(struct dial, waiter)));
}

static void on_queue_timer(struct dial *dial)
{
    struct backend_shared *shared = dial->options.backend->shared;

    if (loop_now_ms() < dial->queue_deadline_ms) {
        dial_next(dial);
        return;
    }
    backend_queue_leave(shared, &dial->waiter);
    atomic_fetch_add_explicit(&shared->queue.timed_out, 1, memory_order_relaxed);
    note_detail(dial, "queue");
    dial_finish(dial, DIAL_WAITED);
}

static void on_timer(struct loop_timer *timer)
{
    struct dial *dial = (struct dial *)((char *)timer - offsetof(struct dial, timer));

    if (dial->state == DIAL_STATE_QUEUED) {
        on_queue_timer(dial);
        return;
    }
    if (dial->state == DIAL_STATE_BUSY_UNIX && loop_now_ms() < dial->try_deadline_ms) {
        if (!dial_current(dial))
            try_failed(dial, strerror(errno), true);
        return;
    }
    try_failed(dial, dial->state == DIAL_STATE_BUSY_UNIX ? "its backlog stays full" : "no answer in time",
               true);
}

static void on_burial(struct loop_task *task)
{
    struct dial *dial = (struct dial *)((char *)task - offsetof(struct dial, burial));

    free(dial->detail);
    free(dial);
}

struct dial *dial_start(const struct dial_options *options)
{
    struct dial *dial = calloc(1, sizeof(*dial));

    if (dial == NULL)
        return NULL;
    dial->options = *options;
    dial->report.run = on_report;
    dial->burial.run = on_burial;
    dial->deadline_ms = loop_now_ms() + options->timeout_ms;
    dial->options.server->fd = -1;
    dial->timer.fire = on_timer;
    dial->waiter =
        (struct backend_waiter){.post = options->post, .worker = options->worker, .on_turn = on_turn};
    dial->state = DIAL_STATE_CONNECTING;
    dial->starting = true;
    dial_next(dial);
    dial->starting = false;
    return dial;
}

void dial_free(struct dial *dial)
{
    const bool over = dial != NULL && dial->state == DIAL_STATE_OVER;

    if (dial == NULL)
        return;
    timer_clear(dial->options.loop->timers, &dial->timer);
    loop_unqueue(dial->options.loop, &dial->report);
    /* The server may have accepted by now: whoever gives up here does so after a loss, which it must see. */
    if (!over)
        endpoint_reset(dial->options.server);
    dial->state = DIAL_STATE_OVER;
    if (dial->current != NULL && over && was_reached(dial->status))
        backend_server_released(dial->current); /* reached, but nobody has been told */
    else
        leave_current(dial);
    dial->current = NULL;
    forget_tried(dial);
    backend_queue_leave(dial->options.backend->shared, &dial->waiter);
    loop_bury(dial->options.loop, &dial->burial);
}
