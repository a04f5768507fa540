/* Where live statistics of listeners are kept, by name, for the life of the process: a listener that survives
 * a reload keeps its counts, and one that comes back finds them again.
 * Refuses to know generations and how the figures are shown. The main thread adds; any thread reads. */
#pragma once

#include <stddef.h>

#include "proxy/stats.h"

struct gate;
struct stats_registry;

struct stats_listener {
    char *name;
    unsigned worker_count;
    struct listener_stats **workers; /* by worker index: each on cache lines of its own */
    struct gate *gate;               /* shared by the workers */
};

/* NULL: out of memory. */
struct stats_registry *stats_registry_new(unsigned worker_count);
/* When nobody holds what it handed out any more. NULL: nothing. */
void stats_registry_free(struct stats_registry *registry);

/* Found or made; NULL: out of memory. What is returned stays until the registry is freed. */
const struct stats_listener *stats_registry_listener(struct stats_registry *registry, const char *name);
