/* See maglev.h. Refuses to know which servers are up. */
#include "proxy/maglev.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/hash.h"

#define EMPTY UINT16_MAX
_Static_assert(MAGLEV_INDEX_MAX < EMPTY, "an index is no empty place");

struct maglev {
    uint16_t places[MAGLEV_PLACES];
};

/* One server while the table is filled. */
struct filler {
    const struct maglev_server *server;
    uint32_t next, skip; /* its permutation: (next + n * skip) mod MAGLEV_PLACES */
    uint64_t due;
};

static int compare_names(const void *left, const void *right)
{
    const struct filler *a = left, *b = right;

    return strcmp(a->server->name, b->server->name);
}

/* The next place of its permutation that is free. */
static void take_place(struct maglev *maglev, struct filler *filler)
{
    while (maglev->places[filler->next] != EMPTY)
        filler->next = (filler->next + filler->skip) % MAGLEV_PLACES;
    maglev->places[filler->next] = (uint16_t)filler->server->index;
}

/* A server of the greatest weight has a place in each round, others in as many as their weight allows. */
static void fill(struct maglev *maglev, struct filler *fillers, size_t count, uint64_t greatest)
{
    size_t filled = 0;

    for (uint64_t round = 1; filled < MAGLEV_PLACES; round++) {
        for (size_t i = 0; i < count && filled < MAGLEV_PLACES; i++) {
            if (round * fillers[i].server->weight < fillers[i].due)
                continue;
            fillers[i].due += greatest;
            take_place(maglev, &fillers[i]);
            filled++;
        }
    }
}

struct maglev *maglev_new(const struct maglev_server *servers, size_t count)
{
    struct filler *fillers;
    struct maglev *maglev;
    uint64_t greatest = 0;

    if (count == 0)
        return NULL;
    fillers = calloc(count, sizeof(*fillers));
    maglev = malloc(sizeof(*maglev));
    if (fillers == NULL || maglev == NULL) {
        free(fillers);
        free(maglev);
        return NULL;
    }
    for (size_t i = 0; i < MAGLEV_PLACES; i++)
        maglev->places[i] = EMPTY;
    for (size_t i = 0; i < count; i++) {
        fillers[i] =
            (struct filler){.server = &servers[i],
                            .next = (uint32_t)(servers[i].hash % MAGLEV_PLACES),
                            .skip = (uint32_t)(hash_mix(~servers[i].hash) % (MAGLEV_PLACES - 1)) + 1};
        if (servers[i].weight > greatest)
            greatest = servers[i].weight;
    }
    for (size_t i = 0; i < count; i++)
        fillers[i].due = greatest;
    qsort(fillers, count, sizeof(*fillers), compare_names);
    fill(maglev, fillers, count, greatest);
    free(fillers);
    return maglev;
}

void maglev_free(struct maglev *maglev)
{
    free(maglev);
}

size_t maglev_find(const struct maglev *maglev, uint64_t hash)
{
    return maglev->places[hash % MAGLEV_PLACES];
}
