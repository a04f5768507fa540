/* See stats_registry.h. A list, searched by name: there are few, and only a reload searches.
 * Refuses to know generations and how the figures are shown. */
#include "proxy/stats_registry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/gate.h"

/* Workers must not write to each other's cache lines; 128: adjacent lines are prefetched in pairs. */
#define STATS_ALIGNMENT 128

struct listener_entry {
    SLIST_ENTRY(listener_entry) link;
    struct stats_listener stats;
    struct gate gate;
};

struct stats_registry {
    unsigned worker_count;
    SLIST_HEAD(, listener_entry) listeners;
};

static void listener_entry_free(struct listener_entry *entry)
{
    if (entry->stats.workers != NULL)
        for (unsigned i = 0; i < entry->stats.worker_count; i++)
            free(entry->stats.workers[i]);
    free(entry->stats.workers);
    gate_clear(&entry->gate);
    free(entry->stats.name);
    free(entry);
}

struct stats_registry *stats_registry_new(unsigned worker_count)
{
    struct stats_registry *registry = calloc(1, sizeof(*registry));

    if (registry != NULL)
        registry->worker_count = worker_count;
    return registry;
}

void stats_registry_free(struct stats_registry *registry)
{
    struct listener_entry *listener;

    if (registry == NULL)
        return;
    while ((listener = SLIST_FIRST(&registry->listeners)) != NULL) {
        SLIST_REMOVE_HEAD(&registry->listeners, link);
        listener_entry_free(listener);
    }
    free(registry);
}

static struct listener_stats *listener_stats_new(void)
{
    const size_t size =
        (sizeof(struct listener_stats) + STATS_ALIGNMENT - 1) / STATS_ALIGNMENT * STATS_ALIGNMENT;
    struct listener_stats *stats = aligned_alloc(STATS_ALIGNMENT, size);

    if (stats != NULL)
        memset(stats, 0, size);
    return stats;
}

const struct stats_listener *stats_registry_listener(struct stats_registry *registry, const char *name)
{
    struct listener_entry *entry;

    SLIST_FOREACH(entry, &registry->listeners, link)
    if (strcmp(entry->stats.name, name) == 0)
        return &entry->stats;
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    entry->stats.worker_count = registry->worker_count;
    entry->stats.name = strdup(name);
    entry->stats.workers = calloc(registry->worker_count, sizeof(*entry->stats.workers));
    entry->stats.gate = &entry->gate;
    if (gate_init(&entry->gate) == -1 || entry->stats.name == NULL || entry->stats.workers == NULL)
        goto free_entry;
    for (unsigned i = 0; i < registry->worker_count; i++) {
        entry->stats.workers[i] = listener_stats_new();
        if (entry->stats.workers[i] == NULL)
            goto free_entry;
    }
    SLIST_INSERT_HEAD(&registry->listeners, entry, link);
    return &entry->stats;

free_entry:
    listener_entry_free(entry);
    return NULL;
}
