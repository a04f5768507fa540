/* See backend.h. Refuses to know connections and how servers are reached. */
#include "proxy/backend.h"

#include <stdlib.h>

#include "proxy/backend_names.h"
#include "proxy/health/checker.h"
#include "relay/loop.h"

/* Workers must not write to each other's cache lines. */
struct backend_view {
    _Alignas(128) uint64_t published; /* which set this is */
    struct server_set *set;           /* a reference */
    struct balancer *balancer;
};

/* Workers draw different lots. */
static struct balancer *new_balancer(const struct backend *backend, const struct server_set *set)
{
    static _Atomic uint64_t seed;
    struct balancer_options options = backend->balancing;

    if (atomic_load_explicit(&seed, memory_order_relaxed) == 0)
        atomic_store_explicit(&seed, loop_now_ms(), memory_order_relaxed);
    options.seed = atomic_fetch_add_explicit(&seed, 1, memory_order_relaxed);
    return balancer_new(&options, set);
}

int backend_init(struct backend *backend, const struct conf_backend *conf, struct backend_registry *registry,
                 struct resolver *resolver, unsigned worker_count)
{
    *backend = (struct backend){
        .name = conf->name,
        .balancing = {.balance = conf->balance, .slow_start_ms = conf->slow_start_ms, .panic = conf->panic},
        .queue = conf->queue,
        .ejects = conf->has_eject,
        .eject = conf->eject,
        .outgoing = &conf->outgoing};
    pthread_mutex_init(&backend->lock, NULL);
    backend->shared = backend_shared_get(registry, conf->name);
    backend->names = backend_names_new(conf, resolver);
    backend->views =
        aligned_alloc(_Alignof(struct backend_view), (worker_count + 1) * sizeof(*backend->views));
    if (backend->shared == NULL || backend->names == NULL || backend->views == NULL)
        goto clear;
    backend->newest = backend_names_build(backend->names, backend->shared);
    if (backend->newest == NULL)
        goto clear;
    if (conf->balance == CONF_BALANCE_MAGLEV)
        server_set_add_maglev(backend->newest);
    for (; backend->worker_count < worker_count; backend->worker_count++) {
        struct backend_view *view = &backend->views[backend->worker_count];

        *view = (struct backend_view){.set = server_set_ref(backend->newest)};
        view->balancer = new_balancer(backend, view->set);
        if (view->balancer == NULL) {
            server_set_unref(view->set);
            goto clear;
        }
    }
    atomic_store_explicit(&backend->shared->began, true, memory_order_relaxed);
    return 0;

clear:
    backend_retire(backend);
    backend_clear(backend);
    return -1;
}

void backend_clear(struct backend *backend)
{
    for (unsigned i = 0; i < backend->worker_count; i++) {
        balancer_free(backend->views[i].balancer);
        server_set_unref(backend->views[i].set);
    }
    free(backend->views);
    server_set_unref(backend->newest);
    backend_names_free(backend->names);
    backend_shared_unref(backend->shared);
    pthread_mutex_destroy(&backend->lock);
    *backend = (struct backend){0};
}

void backend_refresh(struct backend *backend)
{
    struct server_set *set;

    if (!backend_names_changed(backend->names))
        return;
    set = backend_names_build(backend->names, backend->shared);
    if (set != NULL)
        backend_publish(backend, set);
}

void backend_retire(struct backend *backend)
{
    if (backend->names != NULL)
        backend_names_retire(backend->names);
}

void backend_publish(struct backend *backend, struct server_set *set)
{
    struct server_set *old;

    if (backend->balancing.balance == CONF_BALANCE_MAGLEV)
        server_set_add_maglev(set);
    pthread_mutex_lock(&backend->lock);
    old = backend->newest;
    backend->newest = set;
    atomic_fetch_add_explicit(&backend->published, 1, memory_order_release);
    pthread_mutex_unlock(&backend->lock);
    server_set_unref(old);
    backend_queue_wake(backend->shared);
    checker_look(backend->checker);
}

struct server_set *backend_set(struct backend *backend)
{
    struct server_set *set;

    pthread_mutex_lock(&backend->lock);
    set = server_set_ref(backend->newest);
    pthread_mutex_unlock(&backend->lock);
    return set;
}

/* The worker's view, of the newest set if there is memory for it. */
static struct backend_view *look(struct backend *backend, unsigned worker_index)
{
    struct backend_view *view = &backend->views[worker_index];
    struct balancer *balancer;
    struct server_set *set;
    uint64_t published;

    if (atomic_load_explicit(&backend->published, memory_order_acquire) == view->published)
        return view;
    pthread_mutex_lock(&backend->lock);
    set = server_set_ref(backend->newest);
    published = atomic_load_explicit(&backend->published, memory_order_relaxed);
    pthread_mutex_unlock(&backend->lock);
    balancer = new_balancer(backend, set);
    if (balancer == NULL) {
        server_set_unref(set);
        return view;
    }
    balancer_carry_over(balancer, set, view->balancer, view->set);
    balancer_free(view->balancer);
    server_set_unref(view->set);
    *view = (struct backend_view){.published = published, .set = set, .balancer = balancer};
    return view;
}

static bool pick(struct backend_view *view, const struct balancer_request *request,
                 struct balancer_choice *picked, struct backend_choice *choice)
{
    balancer_pick(view->balancer, view->set, request, picked);
    *choice = (struct backend_choice){.left = picked->left};
    if (picked->slot == BALANCER_NONE)
        return false;
    choice->server = view->set->slots[picked->slot].server;
    backend_server_occupy(choice->server);
    return true;
}

/* With the lock, so that nobody is let in between looking and taking. */
static enum backend_answer choose_limited(struct backend *backend, struct backend_view *view,
                                          const struct balancer_request *request,
                                          struct backend_waiter *waiter, struct backend_choice *choice)
{
    struct backend_queue *queue = &backend->shared->queue;
    const struct backend_waiter *first = TAILQ_FIRST(&queue->waiters);
    struct balancer_choice picked = {.full = true};

    if (waiter->queued ? first == waiter : first == NULL) {
        if (pick(view, request, &picked, choice))
            return BACKEND_CHOSEN;
        if (!picked.full)
            return BACKEND_NOBODY;
    }
    if (waiter->queued) {
        waiter->woken = false;
        return BACKEND_WAIT;
    }
    if (atomic_load(&queue->length) >= backend->queue.size) {
        atomic_fetch_add_explicit(&queue->overflowed, 1, memory_order_relaxed);
        return BACKEND_OVERFLOW;
    }
    backend_queue_insert(queue, waiter);
    /* Once more: a place that was given up before we were counted has woken nobody. */
    if (TAILQ_FIRST(&queue->waiters) == waiter && pick(view, request, &picked, choice))
        return BACKEND_CHOSEN;
    return BACKEND_WAIT;
}

enum backend_answer backend_choose(struct backend *backend, unsigned worker_index,
                                   const struct balancer_request *request, struct backend_waiter *waiter,
                                   struct backend_choice *choice)
{
    struct backend_view *view = look(backend, worker_index);
    struct balancer_choice picked;
    enum backend_answer answer;

    *choice = (struct backend_choice){0};
    if (!view->set->limited && !waiter->queued)
        return pick(view, request, &picked, choice) ? BACKEND_CHOSEN : BACKEND_NOBODY;
    pthread_mutex_lock(&backend->shared->queue.lock);
    answer = choose_limited(backend, view, request, waiter, choice);
    if (answer != BACKEND_WAIT && waiter->queued)
        backend_queue_remove(backend->shared, waiter);
    pthread_mutex_unlock(&backend->shared->queue.lock);
    return answer;
}
