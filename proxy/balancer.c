/* See balancer.h. Smooth weighted round robin: at every pick each candidate gains its weight, the richest is
 * chosen and pays the sum of the weights; so that 5:1:1 gives A A B A C A A, not five times A in a row.
 * Refuses to know sockets and how failures come about. */
#include "proxy/balancer.h"

#include <stdlib.h>

struct balancer {
    enum conf_balance balance;
    int64_t credit[]; /* by slot */
};

struct balancer *balancer_new(enum conf_balance balance, const struct server_set *set)
{
    struct balancer *balancer = calloc(1, sizeof(*balancer) + set->count * sizeof(balancer->credit[0]));

    if (balancer != NULL)
        balancer->balance = balance;
    return balancer;
}

void balancer_carry_over(struct balancer *balancer, const struct server_set *set, const struct balancer *old,
                         const struct server_set *old_set)
{
    for (size_t i = 0; i < set->count; i++)
        for (size_t j = 0; j < old_set->count; j++)
            if (set->slots[i].server == old_set->slots[j].server)
                balancer->credit[i] = old->credit[j];
}

void balancer_free(struct balancer *balancer)
{
    free(balancer);
}

static bool was_tried(const struct backend_server *server, const struct balancer_request *request)
{
    for (size_t i = 0; i < request->tried_count; i++)
        if (request->tried[i] == server)
            return true;
    return false;
}

static bool is_candidate(const struct backend_server *server, const struct balancer_request *request,
                         bool any)
{
    if (was_tried(server, request))
        return false;
    return any || atomic_load_explicit(&server->avoid_until_ms, memory_order_relaxed) <= request->now_ms;
}

/* Whether a would be busier than b with one connection more, each in proportion to its weight. */
static bool is_busier(const struct server_slot *a, const struct server_slot *b)
{
    const uint64_t on_a = atomic_load_explicit(&a->server->stats.occupied, memory_order_relaxed) + 1;
    const uint64_t on_b = atomic_load_explicit(&b->server->stats.occupied, memory_order_relaxed) + 1;

    return on_a * b->weight > on_b * a->weight;
}

static bool is_better(const struct balancer *balancer, const struct server_set *set, size_t i, size_t best)
{
    if (balancer->balance == CONF_BALANCE_LEAST_CONN) {
        if (is_busier(&set->slots[best], &set->slots[i]))
            return true;
        if (is_busier(&set->slots[i], &set->slots[best]))
            return false;
    }
    return balancer->credit[i] > balancer->credit[best]; /* equally busy servers take turns */
}

static size_t pick(struct balancer *balancer, const struct server_set *set,
                   const struct balancer_request *request, bool any)
{
    size_t best = BALANCER_NONE;
    int64_t sum = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (!is_candidate(set->slots[i].server, request, any))
            continue;
        balancer->credit[i] += set->slots[i].weight;
        sum += set->slots[i].weight;
        if (best == BALANCER_NONE || is_better(balancer, set, i, best))
            best = i;
    }
    if (best != BALANCER_NONE)
        balancer->credit[best] -= sum;
    return best;
}

size_t balancer_pick(struct balancer *balancer, const struct server_set *set,
                     const struct balancer_request *request, size_t *left)
{
    size_t best = pick(balancer, set, request, false);

    *left = 0;
    for (size_t i = 0; i < set->count; i++)
        *left += !was_tried(set->slots[i].server, request);
    return best != BALANCER_NONE ? best : pick(balancer, set, request, true);
}
