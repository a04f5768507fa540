/* A backend at run time: its servers, their statistics, and one balancer a worker.
 * Refuses to know connections and how servers are reached (dial.h). Immutable but for atomics and the
 * balancers, each of which belongs to its worker. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/stats_registry.h"

struct balancer;

struct backend_server {
    const char *name;                   /* borrowed from the conf, as written */
    const struct conf_address *address; /* likewise */
    unsigned weight;
    struct server_stats *stats;      /* the registry's */
    _Atomic uint64_t avoid_until_ms; /* loop_now_ms(): after a failure others are preferred for a moment */
};

struct backend {
    const char *name;
    enum conf_balance balance;
    struct backend_server *servers;
    size_t server_count;
    struct balancer **balancers; /* by worker index */
    unsigned worker_count;
};

/* Fills *backend from conf (borrowed, outlives it). 0, or -1: out of memory, and *backend is empty. */
int backend_init(struct backend *backend, const struct conf_backend *conf, struct stats_registry *registry,
                 unsigned worker_count) __attribute__((warn_unused_result));
void backend_clear(struct backend *backend);

/* How long a server that failed is tried only after the others. */
#define BACKEND_AVOID_MS 1000u

/* The outcome of a connect, from any worker. */
void backend_server_connected(struct backend_server *server);
void backend_server_failed(struct backend_server *server, uint64_t now_ms);
/* A connection to it has ended. */
void backend_server_released(struct backend_server *server);
