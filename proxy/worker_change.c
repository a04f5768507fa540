/* How a worker changes over to a generation: everything is allocated beforehand, so nothing fails half-way.
 * Refuses to know where the generation and the descriptors come from. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/listener.h"
#include "proxy/server.h"
#include "proxy/worker_state.h"

struct worker_change {
    struct generation *generation;
    size_t count;
    struct {
        int fd;
        struct listener *spare; /* for a descriptor that isn't listened on yet */
    } listeners[];
};

struct worker_change *worker_change_new(struct generation *generation, const int *fds)
{
    const size_t count = generation->listener_count;
    struct worker_change *change = calloc(1, sizeof(*change) + count * sizeof(change->listeners[0]));

    if (change == NULL)
        return NULL;
    change->generation = generation_ref(generation);
    change->count = count;
    for (size_t i = 0; i < count; i++) {
        change->listeners[i].fd = fds[i];
        change->listeners[i].spare = calloc(1, sizeof(struct listener));
        if (change->listeners[i].spare == NULL) {
            worker_change_free(change);
            return NULL;
        }
    }
    return change;
}

void worker_change_free(struct worker_change *change)
{
    if (change == NULL)
        return;
    for (size_t i = 0; i < change->count; i++)
        free(change->listeners[i].spare);
    generation_unref(change->generation);
    free(change);
}

static struct listener *find_listener(struct worker *worker, int fd)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &worker->listeners, link)
    if (listener->fd == fd)
        return listener;
    return NULL;
}

static bool change_keeps(const struct worker_change *change, int fd)
{
    for (size_t i = 0; i < change->count; i++)
        if (change->listeners[i].fd == fd)
            return true;
    return false;
}

void worker_adopt(struct worker *worker, struct worker_change *change)
{
    struct generation *old = worker->generation;
    struct listener *listener, *next;

    /* Those gone still accept by the old generation. */
    for (listener = TAILQ_FIRST(&worker->listeners); listener != NULL; listener = next) {
        next = TAILQ_NEXT(listener, link);
        if (change_keeps(change, listener->fd))
            continue;
        TAILQ_REMOVE(&worker->listeners, listener, link);
        listener_stop(listener, true);
        free(listener);
    }
    worker->generation = generation_ref(change->generation);
    for (size_t i = 0; i < change->count; i++) {
        const struct generation_listener *runtime = &worker->generation->listeners[i];
        const int fd = change->listeners[i].fd;

        if (fd == -1)
            continue;
        listener = find_listener(worker, fd);
        if (listener != NULL) {
            listener_update(listener, runtime);
        } else if (listener_start(change->listeners[i].spare, worker, runtime, fd) == 0) {
            TAILQ_INSERT_TAIL(&worker->listeners, change->listeners[i].spare, link);
            change->listeners[i].spare = NULL;
        } else {
            server_note(worker->options.server, "listener %s: worker %u can't listen: %s", runtime->name,
                        worker->options.index, strerror(ENOMEM));
        }
    }
    generation_unref(old);
    worker_change_free(change);
}
