/* See balancer.h. Smooth weighted round robin: at every pick each candidate gains its weight, the richest is
 * chosen and pays the sum of the weights; so that 5:1:1 gives A A B A C A A, not five times A in a row.
 * Refuses to know sockets and failures. */
#include "proxy/balancer.h"

#include <stdlib.h>

#include "proxy/backend.h"

struct balancer {
    size_t count;
    int64_t credit[]; /* by server */
};

struct balancer *balancer_new(size_t server_count)
{
    struct balancer *balancer = calloc(1, sizeof(*balancer) + server_count * sizeof(balancer->credit[0]));

    if (balancer != NULL)
        balancer->count = server_count;
    return balancer;
}

void balancer_free(struct balancer *balancer)
{
    free(balancer);
}

static bool is_candidate(const struct backend *backend, size_t i, const bool *tried, bool any,
                         uint64_t now_ms)
{
    if (tried[i])
        return false;
    return any || atomic_load_explicit(&backend->servers[i].avoid_until_ms, memory_order_relaxed) <= now_ms;
}

/* Whether a would be busier than b with one connection more, each in proportion to its weight. */
static bool is_busier(const struct backend_server *a, const struct backend_server *b)
{
    const uint64_t on_a = atomic_load_explicit(&a->stats->connections, memory_order_relaxed) + 1;
    const uint64_t on_b = atomic_load_explicit(&b->stats->connections, memory_order_relaxed) + 1;

    return on_a * b->weight > on_b * a->weight;
}

static bool is_better(const struct balancer *balancer, const struct backend *backend, size_t i, size_t best)
{
    const struct backend_server *server = &backend->servers[i], *other = &backend->servers[best];

    if (backend->balance == CONF_BALANCE_LEAST_CONN) {
        if (is_busier(other, server))
            return true;
        if (is_busier(server, other))
            return false;
    }
    return balancer->credit[i] > balancer->credit[best]; /* equally busy servers take turns */
}

static size_t pick(struct balancer *balancer, const struct backend *backend, const bool *tried, bool any,
                   uint64_t now_ms)
{
    size_t best = BALANCER_NONE;
    int64_t sum = 0;

    for (size_t i = 0; i < balancer->count; i++) {
        if (!is_candidate(backend, i, tried, any, now_ms))
            continue;
        balancer->credit[i] += backend->servers[i].weight;
        sum += backend->servers[i].weight;
        if (best == BALANCER_NONE || is_better(balancer, backend, i, best))
            best = i;
    }
    if (best != BALANCER_NONE)
        balancer->credit[best] -= sum;
    return best;
}

size_t balancer_pick(struct balancer *balancer, const struct backend *backend, const bool *tried,
                     uint64_t now_ms)
{
    size_t best = pick(balancer, backend, tried, false, now_ms);

    return best != BALANCER_NONE ? best : pick(balancer, backend, tried, true, now_ms);
}
