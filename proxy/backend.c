/* See backend.h. Refuses to know connections and how servers are reached. */
#include "proxy/backend.h"

#include <stdlib.h>

#include "proxy/balancer.h"

int backend_init(struct backend *backend, const struct conf_backend *conf, struct stats_registry *registry,
                 unsigned worker_count)
{
    *backend = (struct backend){.name = conf->name, .balance = conf->balance};
    backend->servers = calloc(conf->server_count, sizeof(*backend->servers));
    backend->balancers = calloc(worker_count, sizeof(*backend->balancers));
    if (backend->servers == NULL || backend->balancers == NULL)
        goto clear;
    backend->server_count = conf->server_count;
    backend->worker_count = worker_count;
    for (size_t i = 0; i < conf->server_count; i++) {
        struct backend_server *server = &backend->servers[i];

        server->name = conf->servers[i].name;
        server->address = &conf->servers[i].address;
        server->weight = conf->servers[i].weight;
        server->stats = stats_registry_server(registry, conf->name, server->name);
        if (server->stats == NULL)
            goto clear;
    }
    for (unsigned i = 0; i < worker_count; i++) {
        backend->balancers[i] = balancer_new(conf->server_count);
        if (backend->balancers[i] == NULL)
            goto clear;
    }
    return 0;

clear:
    backend_clear(backend);
    return -1;
}

void backend_clear(struct backend *backend)
{
    for (unsigned i = 0; i < backend->worker_count; i++)
        balancer_free(backend->balancers[i]);
    free(backend->balancers);
    free(backend->servers);
    *backend = (struct backend){0};
}

void backend_server_connected(struct backend_server *server)
{
    atomic_fetch_add_explicit(&server->stats->connections_total, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->stats->connections, 1, memory_order_relaxed);
    atomic_store_explicit(&server->stats->up, 1, memory_order_relaxed);
    atomic_store_explicit(&server->avoid_until_ms, 0, memory_order_relaxed);
}

void backend_server_failed(struct backend_server *server, uint64_t now_ms)
{
    atomic_fetch_add_explicit(&server->stats->failures, 1, memory_order_relaxed);
    atomic_store_explicit(&server->stats->up, 0, memory_order_relaxed);
    atomic_store_explicit(&server->avoid_until_ms, now_ms + BACKEND_AVOID_MS, memory_order_relaxed);
}

void backend_server_released(struct backend_server *server)
{
    atomic_fetch_sub_explicit(&server->stats->connections, 1, memory_order_relaxed);
}
