/* Where connections wait while every server of a backend has its max_connections: first come, first served
 * over all workers. Refuses to know how a server is chosen (backend.h) and what becomes of the connection.
 *
 * Only the first one in the queue is ever woken, and looks again on its own thread, under the lock; if it
 * gets a server, it wakes the next. Nobody is forgotten: whoever queues has looked once more after it was
 * counted, and whoever gives up a place looks at the count afterwards (both sequentially consistent). */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct backend_shared;
struct worker;

struct backend_waiter {
    TAILQ_ENTRY(backend_waiter) link; /* the queue's, as are the next two: zero-initialise */
    bool queued, woken;
    /* Calls fn(worker, arg) soon, on the waiter's thread; any thread. false: can't; it is asked again. Set by
     * the owner, as the rest. */
    bool (*post)(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg);
    struct worker *worker;
    void (*on_turn)(struct backend_waiter *waiter); /* on its thread: it may be its turn, choose again */
};

struct backend_queue {
    pthread_mutex_t lock;
    TAILQ_HEAD(, backend_waiter) waiters;
    _Atomic uint64_t length;
    _Atomic uint64_t waited, overflowed, timed_out; /* how many, ever */
};

void backend_queue_init(struct backend_queue *queue);
void backend_queue_destroy(struct backend_queue *queue); /* empty by now */

/* A server may have a place free, or have come up: wakes the first, if somebody waits. Any thread. */
void backend_queue_wake(struct backend_shared *backend);
/* Takes it out, if it is in, and wakes the next. On its thread. on_turn will not be called any more. */
void backend_queue_leave(struct backend_shared *backend, struct backend_waiter *waiter);

/* --- For backend.c: with the lock held --- */
void backend_queue_insert(struct backend_queue *queue, struct backend_waiter *waiter);
void backend_queue_remove(struct backend_shared *backend, struct backend_waiter *waiter);
