/* See balancer.h. Refuses to know sockets, and how what is known of servers came about. */
#include "proxy/balancer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/hash.h"
#include "proxy/maglev.h"

/* Weights are reckoned in thousandths, so that one of 1 can start slowly, too. */
#define WEIGHT_UNIT 1000u
#define SLOW_START_LEAST (WEIGHT_UNIT / 10)

enum rank { RANK_UP, RANK_BACKUP, RANK_AVOIDED, RANK_EJECTED, RANK_DOWN, RANK_NONE };

struct balancer {
    struct balancer_options options;
    uint64_t lots;
    struct place {
        int64_t credit;
        unsigned weight;   /* of this pick, in WEIGHT_UNIT */
        uint64_t occupied; /* likewise */
        enum rank rank;    /* likewise */
        bool candidate;    /* likewise */
    } places[];            /* by slot */
};

struct balancer *balancer_new(const struct balancer_options *options, const struct server_set *set)
{
    struct balancer *balancer = calloc(1, sizeof(*balancer) + set->count * sizeof(balancer->places[0]));

    if (balancer == NULL)
        return NULL;
    balancer->options = *options;
    balancer->lots = hash_mix(options->seed);
    return balancer;
}

void balancer_carry_over(struct balancer *balancer, const struct server_set *set, const struct balancer *old,
                         const struct server_set *old_set)
{
    balancer->lots = old->lots;
    for (size_t i = 0; i < set->count; i++)
        for (size_t j = 0; j < old_set->count; j++)
            if (set->slots[i].server == old_set->slots[j].server)
                balancer->places[i].credit = old->places[j].credit;
}

void balancer_free(struct balancer *balancer)
{
    free(balancer);
}

/* --- Who may be named --- */

static bool was_tried(const struct backend_server *server, const struct balancer_request *request)
{
    for (size_t i = 0; i < request->tried_count; i++)
        if (request->tried[i] == server)
            return true;
    return false;
}

static enum rank rank_of(const struct server_slot *slot, enum backend_condition condition, uint64_t now_ms)
{
    switch (condition) {
    case BACKEND_EJECTED:
        return RANK_EJECTED;
    case BACKEND_DOWN:
        return RANK_DOWN;
    case BACKEND_UP:
        break;
    }
    if (atomic_load_explicit(&slot->server->avoid_until_ms, memory_order_relaxed) > now_ms)
        return RANK_AVOIDED;
    return slot->backup ? RANK_BACKUP : RANK_UP;
}

static unsigned weight_of(const struct balancer *balancer, const struct server_slot *slot, uint64_t now_ms)
{
    const uint64_t since = backend_server_up_since(slot->server), length = balancer->options.slow_start_ms;
    uint64_t share;

    if (length == 0 || since == 0 || now_ms >= since + length)
        return slot->weight * WEIGHT_UNIT;
    share = now_ms > since ? (now_ms - since) * WEIGHT_UNIT / length : 0;
    return slot->weight * (unsigned)(share > SLOW_START_LEAST ? share : SLOW_START_LEAST);
}

/* Looks at every server once, so that a pick doesn't contradict itself; choice->left and ->full. How many
 * candidates there are. */
static size_t survey(struct balancer *balancer, const struct server_set *set,
                     const struct balancer_request *request, struct balancer_choice *choice)
{
    enum rank best = RANK_NONE;
    bool panic = balancer->options.panic;
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct server_slot *slot = &set->slots[i];
        const enum backend_condition condition = backend_server_condition(slot->server, request->now_ms);
        struct place *place = &balancer->places[i];

        panic = panic && condition != BACKEND_UP;
        place->rank =
            was_tried(slot->server, request) ? RANK_NONE : rank_of(slot, condition, request->now_ms);
        place->occupied = atomic_load(&slot->server->stats.occupied); /* seq_cst: see backend_queue.h */
        place->weight = weight_of(balancer, slot, request->now_ms);
    }
    *choice = (struct balancer_choice){.slot = BALANCER_NONE};
    for (size_t i = 0; i < set->count; i++) {
        struct place *place = &balancer->places[i];

        if (place->rank == RANK_DOWN && !panic)
            place->rank = RANK_NONE;
        choice->left += place->rank != RANK_NONE;
        if (place->rank < best)
            best = place->rank;
    }
    for (size_t i = 0; i < set->count; i++) {
        const unsigned max = set->slots[i].max_connections;
        struct place *place = &balancer->places[i];

        place->candidate = best != RANK_NONE && place->rank == best && (max == 0 || place->occupied < max);
        count += place->candidate;
    }
    choice->full = best != RANK_NONE && count == 0;
    return count;
}

/* --- The methods: each names one of the candidates, of which there is at least one --- */

/* Whether a would be busier than b with one connection more, each in proportion to its weight. */
static bool is_busier(const struct place *a, const struct place *b)
{
    return (a->occupied + 1) * b->weight > (b->occupied + 1) * a->weight;
}

/* Smooth weighted round robin: at every pick each candidate gains its weight, the richest is chosen and pays
 * the sum of the weights; so that 5:1:1 gives A A B A C A A, not five times A in a row. With least_conn,
 * those that are equally busy take turns in this way. */
static size_t pick_in_turn(struct balancer *balancer, size_t count, bool least_busy)
{
    struct place *best = NULL, *places = balancer->places;
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct place *place = &places[i];

        if (!place->candidate)
            continue;
        place->credit += place->weight;
        sum += place->weight;
        if (best == NULL || (least_busy && is_busier(best, place)))
            best = place;
        else if (!(least_busy && is_busier(place, best)) && place->credit > best->credit)
            best = place;
    }
    if (best == NULL)
        return BALANCER_NONE;
    best->credit -= sum;
    return (size_t)(best - places);
}

/* By weight, of the candidates but `other`. BALANCER_NONE: there is no other. */
static size_t draw(struct balancer *balancer, size_t count, size_t other)
{
    uint64_t sum = 0, lot;

    for (size_t i = 0; i < count; i++)
        if (balancer->places[i].candidate && i != other)
            sum += balancer->places[i].weight;
    if (sum == 0)
        return BALANCER_NONE;
    balancer->lots += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    lot = hash_mix(balancer->lots) % sum;
    for (size_t i = 0; i < count; i++) {
        if (!balancer->places[i].candidate || i == other)
            continue;
        if (lot < balancer->places[i].weight)
            return i;
        lot -= balancer->places[i].weight;
    }
    return BALANCER_NONE;
}

/* Of two that are equally busy for their weights the one drawn first: idle servers have their shares by
 * weight. */
static size_t pick_of_two(struct balancer *balancer, size_t count)
{
    const size_t one = draw(balancer, count, BALANCER_NONE), two = draw(balancer, count, one);
    const struct place *a = &balancer->places[one], *b;

    if (two == BALANCER_NONE)
        return one;
    b = &balancer->places[two];
    return a->occupied * b->weight > b->occupied * a->weight ? two : one;
}

/* Rendezvous hashing: client and server together give a number in (0, 1], of which the best -ln/weight wins.
 * When a server goes, its clients and no others move, to each of the rest by weight. */
static size_t pick_by_rendezvous(const struct balancer *balancer, const struct server_set *set, uint64_t hash)
{
    size_t best = BALANCER_NONE;
    double least = 0;

    for (size_t i = 0; i < set->count; i++) {
        const uint64_t both = hash_mix(hash ^ set->slots[i].hash);
        const double score = -log(ldexp((double)((both >> 11) + 1), -53)) / set->slots[i].weight;

        if (!balancer->places[i].candidate || (best != BALANCER_NONE && score >= least))
            continue;
        best = i;
        least = score;
    }
    return best;
}

/* The table knows nothing of who is up: a client whose server can't be named looks at another place, derived
 * from the first, so that others aren't disturbed. */
#define MAGLEV_LOOKS 16

static size_t pick_by_maglev(const struct balancer *balancer, const struct server_set *set, uint64_t hash)
{
    uint64_t at = hash;

    for (int i = 0; set->maglev != NULL && i < MAGLEV_LOOKS; i++) {
        const size_t slot = maglev_find(set->maglev, at);

        if (balancer->places[slot].candidate)
            return slot;
        at = hash_mix(at + 1);
    }
    return pick_by_rendezvous(balancer, set, hash);
}

void balancer_pick(struct balancer *balancer, const struct server_set *set,
                   const struct balancer_request *request, struct balancer_choice *choice)
{
    if (survey(balancer, set, request, choice) == 0)
        return;
    switch (balancer->options.balance) {
    case CONF_BALANCE_ROUND_ROBIN:
        choice->slot = pick_in_turn(balancer, set->count, false);
        break;
    case CONF_BALANCE_LEAST_CONN:
        choice->slot = pick_in_turn(balancer, set->count, true);
        break;
    case CONF_BALANCE_RANDOM:
        choice->slot = pick_of_two(balancer, set->count);
        break;
    case CONF_BALANCE_SOURCE_HASH:
        choice->slot = pick_by_rendezvous(balancer, set, request->client_hash);
        break;
    case CONF_BALANCE_MAGLEV:
        choice->slot = pick_by_maglev(balancer, set, request->client_hash);
        break;
    }
}

uint64_t balancer_hash_client(const char *address)
{
    const char *port = strncmp(address, "unix:", 5) == 0 ? NULL : strrchr(address, ':');

    return hash_text(address, port != NULL ? (size_t)(port - address) : strlen(address));
}
