/* See server_set.h. Refuses to know where the servers come from. */
#include "proxy/server_set.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/hash.h"
#include "proxy/maglev.h"

struct server_set *server_set_new(struct backend_shared *backend, const struct server_set_entry *entries,
                                  size_t count)
{
    struct server_set *set = calloc(1, sizeof(*set) + count * sizeof(set->slots[0]));

    if (set == NULL)
        return NULL;
    atomic_init(&set->references, 1);
    for (; set->count < count; set->count++) {
        const struct server_set_entry *entry = &entries[set->count];
        struct backend_server *server = backend_server_get(backend, entry->name, entry->host, entry->address);

        if (server == NULL) {
            server_set_unref(set);
            return NULL;
        }
        set->slots[set->count] = (struct server_slot){.server = server,
                                                      .hash = hash_text(entry->name, strlen(entry->name)),
                                                      .weight = entry->weight,
                                                      .max_connections = entry->max_connections,
                                                      .backup = entry->backup};
        set->limited = set->limited || entry->max_connections != 0;
    }
    return set;
}

void server_set_add_maglev(struct server_set *set)
{
    struct maglev_server *servers = calloc(set->count + 1, sizeof(*servers));
    size_t count = 0;

    if (servers == NULL)
        return;
    for (size_t i = 0; i < set->count && i <= MAGLEV_INDEX_MAX; i++) {
        const struct server_slot *slot = &set->slots[i];

        if (!slot->backup)
            servers[count++] = (struct maglev_server){
                .index = i, .hash = slot->hash, .name = slot->server->name, .weight = slot->weight};
    }
    set->maglev = maglev_new(servers, count);
    free(servers);
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
    maglev_free(set->maglev);
    free(set);
}
