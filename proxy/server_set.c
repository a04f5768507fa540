/* See server_set.h. Refuses to know where the servers come from. */
#include "proxy/server_set.h"

#include <stdlib.h>

struct server_set *server_set_new(struct backend_shared *backend, const struct server_set_entry *entries,
                                  size_t count)
{
    struct server_set *set = calloc(1, sizeof(*set) + count * sizeof(set->slots[0]));

    if (set == NULL)
        return NULL;
    atomic_init(&set->references, 1);
    for (; set->count < count; set->count++) {
        const struct server_set_entry *entry = &entries[set->count];
        struct server_slot *slot = &set->slots[set->count];

        slot->server = backend_server_get(backend, entry->name, entry->address);
        if (slot->server == NULL) {
            server_set_unref(set);
            return NULL;
        }
        slot->weight = entry->weight;
    }
    return set;
}

struct server_set *server_set_ref(struct server_set *set)
{
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void server_set_unref(struct server_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        backend_server_unref(set->slots[i].server);
    free(set);
}
