/* The lookup table of Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4): a prime number of places,
 * filled by the servers in turn, each along a permutation of its own; weights as turns left out. It depends
 * on the servers' names and weights alone, not on their order, so hosts that know the same servers have the
 * same table. Refuses to know which servers are up. Immutable, any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct maglev;

/* With 100 places a server the shares are even to 1 %; 128 KiB. */
#define MAGLEV_PLACES 65537u
#define MAGLEV_INDEX_MAX 65534u

struct maglev_server {
    size_t index;  /* what is found: at most MAGLEV_INDEX_MAX */
    uint64_t hash; /* of its name */
    const char *name;
    unsigned weight; /* 1 or more */
};

/* NULL: out of memory, or no server. */
struct maglev *maglev_new(const struct maglev_server *servers, size_t count);
void maglev_free(struct maglev *maglev); /* NULL: nothing */

/* The index of the server for a key that hashes to this. */
size_t maglev_find(const struct maglev *maglev, uint64_t hash);
