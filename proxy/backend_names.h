/* Which servers a backend has by now: those of its configuration, a name replaced by a server for each
 * address that it stands for. A server of a name is called "NAME [ADDRESS]", "app.internal:8080
 * [10.0.0.1:8080]". Refuses to know how names are looked up and what is done with a server. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "proxy/names/resolver.h"

struct backend_names;
struct backend_shared;
struct server_set;

/* conf is borrowed. resolver NULL (only checking): a name stands for nothing. Main thread. NULL: out of
 * memory.
 */
struct backend_names *backend_names_new(const struct conf_backend *conf, struct resolver *resolver);
/* Names of this backend's needn't be looked up any more. Main thread; at most once, and before the resolver
 * is freed. */
void backend_names_retire(struct backend_names *names);
/* Any thread; after retire. NULL: nothing. */
void backend_names_free(struct backend_names *names);

/* Whether a name stands for something else than when backend_names_build() last looked. Main thread. */
bool backend_names_changed(const struct backend_names *names);
/* With one reference, the caller's. NULL: out of memory. Main thread. */
struct server_set *backend_names_build(struct backend_names *names, struct backend_shared *shared);

/* For the status page; any thread. NULL: no further name. */
struct backend_name_status {
    const char *name; /* as written */
    size_t addresses;
    struct resolver_status lookups;
};
bool backend_names_status(const struct backend_names *names, size_t index,
                          struct backend_name_status *status);
