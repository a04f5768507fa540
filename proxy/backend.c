/* See backend.h. Refuses to know connections and how servers are reached. */
#include "proxy/backend.h"

#include <stdlib.h>

/* Workers must not write to each other's cache lines. */
struct backend_view {
    _Alignas(128) uint64_t published; /* which set this is */
    struct server_set *set;           /* a reference */
    struct balancer *balancer;
};

static struct server_set *set_of_conf(struct backend *backend, const struct conf_backend *conf)
{
    struct server_set_entry *entries = calloc(conf->server_count + 1, sizeof(*entries));
    struct server_set *set;

    if (entries == NULL)
        return NULL;
    for (size_t i = 0; i < conf->server_count; i++)
        entries[i] = (struct server_set_entry){.name = conf->servers[i].name,
                                               .address = &conf->servers[i].address,
                                               .weight = conf->servers[i].weight};
    set = server_set_new(backend->shared, entries, conf->server_count);
    free(entries);
    return set;
}

int backend_init(struct backend *backend, const struct conf_backend *conf, struct backend_registry *registry,
                 unsigned worker_count)
{
    *backend = (struct backend){.name = conf->name, .balance = conf->balance};
    pthread_mutex_init(&backend->lock, NULL);
    backend->shared = backend_shared_get(registry, conf->name);
    backend->views =
        aligned_alloc(_Alignof(struct backend_view), (worker_count + 1) * sizeof(*backend->views));
    if (backend->shared == NULL || backend->views == NULL)
        goto clear;
    backend->newest = set_of_conf(backend, conf);
    if (backend->newest == NULL)
        goto clear;
    for (; backend->worker_count < worker_count; backend->worker_count++) {
        struct backend_view *view = &backend->views[backend->worker_count];

        *view = (struct backend_view){.set = server_set_ref(backend->newest)};
        view->balancer = balancer_new(backend->balance, view->set);
        if (view->balancer == NULL) {
            server_set_unref(view->set);
            goto clear;
        }
    }
    return 0;

clear:
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
    backend_shared_unref(backend->shared);
    pthread_mutex_destroy(&backend->lock);
    *backend = (struct backend){0};
}

void backend_publish(struct backend *backend, struct server_set *set)
{
    struct server_set *old;

    pthread_mutex_lock(&backend->lock);
    old = backend->newest;
    backend->newest = set;
    atomic_fetch_add_explicit(&backend->published, 1, memory_order_release);
    pthread_mutex_unlock(&backend->lock);
    server_set_unref(old);
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
    balancer = balancer_new(backend->balance, set);
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

struct backend_server *backend_choose(struct backend *backend, unsigned worker_index,
                                      const struct balancer_request *request, size_t *left)
{
    struct backend_view *view = look(backend, worker_index);
    const size_t chosen = balancer_pick(view->balancer, view->set, request, left);

    if (chosen == BALANCER_NONE)
        return NULL;
    backend_server_occupy(view->set->slots[chosen].server);
    return view->set->slots[chosen].server;
}
