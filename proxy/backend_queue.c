/* See backend_queue.h. Refuses to know how a server is chosen. */
#include "proxy/backend_queue.h"

#include "proxy/backend_registry.h"

void backend_queue_init(struct backend_queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    TAILQ_INIT(&queue->waiters);
}

void backend_queue_destroy(struct backend_queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
}

/* On the thread of the one that was woken, unless that one has left: then the next has been woken. */
static void on_wake(struct worker *worker, void *arg)
{
    struct backend_shared *backend = arg;
    struct backend_waiter *first;

    pthread_mutex_lock(&backend->queue.lock);
    first = TAILQ_FIRST(&backend->queue.waiters);
    if (first != NULL && (!first->woken || first->worker != worker))
        first = NULL;
    pthread_mutex_unlock(&backend->queue.lock);
    if (first != NULL)
        first->on_turn(first); /* it is this thread's: nobody else takes it out */
    backend_shared_unref(backend);
}

static void wake_first(struct backend_shared *backend)
{
    struct backend_waiter *first = TAILQ_FIRST(&backend->queue.waiters);

    if (first == NULL || first->woken)
        return;
    first->woken = true;
    backend_shared_ref(backend);
    if (first->post(first->worker, on_wake, backend))
        return;
    first->woken = false;
    backend_shared_unref(backend); /* not the last: the waiter's backend has one */
}

void backend_queue_wake(struct backend_shared *backend)
{
    if (atomic_load(&backend->queue.length) == 0)
        return;
    pthread_mutex_lock(&backend->queue.lock);
    wake_first(backend);
    pthread_mutex_unlock(&backend->queue.lock);
}

void backend_queue_leave(struct backend_shared *backend, struct backend_waiter *waiter)
{
    if (!waiter->queued)
        return;
    pthread_mutex_lock(&backend->queue.lock);
    backend_queue_remove(backend, waiter);
    pthread_mutex_unlock(&backend->queue.lock);
}

void backend_queue_insert(struct backend_queue *queue, struct backend_waiter *waiter)
{
    waiter->queued = true;
    waiter->woken = false;
    TAILQ_INSERT_TAIL(&queue->waiters, waiter, link);
    atomic_fetch_add(&queue->length, 1);
    atomic_fetch_add_explicit(&queue->waited, 1, memory_order_relaxed);
}

void backend_queue_remove(struct backend_shared *backend, struct backend_waiter *waiter)
{
    waiter->queued = waiter->woken = false;
    TAILQ_REMOVE(&backend->queue.waiters, waiter, link);
    atomic_fetch_sub(&backend->queue.length, 1);
    wake_first(backend);
}
