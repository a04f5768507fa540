/* See listener.h. Refuses to know what becomes of a connection. */
#include "proxy/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/conn.h"
#include "proxy/http/open_files.h"
#include "proxy/listen_set.h"
#include "proxy/worker_internal.h"
#include "relay/endpoint.h"

enum accept_result { ACCEPT_TAKEN, ACCEPT_LOST, ACCEPT_EMPTY, ACCEPT_PAUSED };

static bool is_admin(const struct listener *listener)
{
    return listener->runtime->is_admin;
}

/* What accept4() said no with. accept(2): Linux also passes on what befell the connection in the queue; that
 * connection is lost and the next one may be good. */
static enum accept_result on_refused(struct listener *listener, int error)
{
    switch (error) {
    case EAGAIN:
        listener->inherited = true; /* whoever connects from now on */
        return ACCEPT_EMPTY;
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case EPERM: /* a firewall's verdict */
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
        return ACCEPT_LOST;
    default:
        break;
    }
    if (error == EMFILE && open_files_clear(worker_open_files(listener->worker)))
        return ACCEPT_LOST; /* try again */
    if (is_admin(listener) && error == EMFILE && worker_free_reserve(listener->worker, WORKER_RESERVE_ADMIN))
        return ACCEPT_LOST; /* try again, with the descriptor just freed */
    relay_counter_add(&listener->runtime->stats->workers[worker_index(listener->worker)]->accept_paused, 1);
    worker_pause_accepting(listener->worker, strerror(error));
    /* Admin's too: waiting is better than spinning. */
    listener_pause(listener);
    return ACCEPT_PAUSED;
}

static enum accept_result accept_one(struct listener *listener)
{
    struct sockaddr_storage peer = {0}; /* a nameless UNIX client has only a family */
    socklen_t length = sizeof(peer);
    const int fd = accept4(listener->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd == -1)
        return on_refused(listener, errno);
    if (!listener->inherited)
        (void)endpoint_prepare(fd);
    conn_accept(listener->worker, worker_generation_pinned(listener->worker), listener->runtime, fd, &peer,
                length);
    return ACCEPT_TAKEN;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *listener = arg;
    enum accept_result result;

    (void)fd;
    (void)what;
    /* What is left over wakes us again: the event is level-triggered. */
    for (int i = 0; i < LISTENER_ACCEPTS_PER_TURN; i++) {
        result = accept_one(listener);
        if (result == ACCEPT_EMPTY || result == ACCEPT_PAUSED)
            return;
    }
}

int listener_start(struct listener *listener, struct worker *worker,
                   const struct generation_listener *runtime, int fd)
{
    listener->worker = worker;
    listener->runtime = runtime;
    listener->fd = fd;
    listener->paused = false;
    /* A descriptor from elsewhere may have a queue already, of connections from before this. */
    listener->inherited = false;
    (void)endpoint_prepare(fd);
    if (event_assign(&listener->event, worker_loop(worker)->base, fd, EV_READ | EV_PERSIST, on_acceptable,
                     listener) == -1)
        return -1;
    return event_add(&listener->event, NULL);
}

void listener_update(struct listener *listener, const struct generation_listener *runtime)
{
    listener->runtime = runtime;
}

void listener_pause(struct listener *listener)
{
    if (!listener->paused)
        event_del(&listener->event);
    listener->paused = true;
}

void listener_resume(struct listener *listener)
{
    if (listener->paused && event_add(&listener->event, NULL) == 0)
        listener->paused = false;
}

void listener_stop(struct listener *listener, bool take_queue)
{
    enum accept_result result = take_queue ? ACCEPT_TAKEN : ACCEPT_EMPTY;

    /* What waits in the queue and no more: whoever keeps connecting must not hold up a drain or a reload. */
    for (int i = 0; i < LISTEN_BACKLOG && (result == ACCEPT_TAKEN || result == ACCEPT_LOST); i++)
        result = accept_one(listener);
    event_del(&listener->event);
}
