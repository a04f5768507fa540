/* A server set: the servers of a backend at one moment. Built whole, then never changed; reference-counted,
 * so that whoever chooses from it is not disturbed by the next one. What is known of a server (statistics,
 * health) is no part of it: that is shared by all sets that name the server (backend_registry.h).
 * Refuses to know where the servers come from. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/backend_registry.h"

struct maglev;

/* How a set is described. */
struct server_set_entry {
    const char *name;                   /* unique in the set; copied */
    const char *host;                   /* the name whose address it is; NULL: it has none; copied */
    const struct conf_address *address; /* copied; `text` and `place` are not looked at */
    unsigned weight;                    /* 1 .. 256 */
    unsigned max_connections;           /* 0: no limit */
    bool backup;                        /* only while no other is up */
};

struct server_set {
    _Atomic unsigned references;
    struct maglev *maglev; /* of those that are no backups; NULL: not asked for, none, or no memory */
    bool limited;          /* some server has max_connections */
    size_t count;          /* 0: nobody to go to, for now */
    struct server_slot {
        struct backend_server *server; /* a reference */
        uint64_t hash;                 /* of its name */
        unsigned weight, max_connections;
        bool backup;
    } slots[];
};

/* The servers are found by name and address, or made. With one reference, the caller's. NULL: out of memory.
 */
struct server_set *server_set_new(struct backend_shared *backend, const struct server_set_entry *entries,
                                  size_t count);
/* Before anybody else has the set. Without memory for it there is none, and whoever looks for it does
 * without. */
void server_set_add_maglev(struct server_set *set);
struct server_set *server_set_ref(struct server_set *set);
void server_set_unref(struct server_set *set); /* NULL: nothing */
