/* See backend_registry.h. Lists, searched by name: there are few, and only reloads and resolvers search.
 * Refuses to know sets and how servers are reached. */
#include "proxy/backend_registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/address.h"
#include "relay/loop.h"

struct backend_registry {
    pthread_mutex_t lock;
    SLIST_HEAD(, backend_shared) backends;
    void (*note)(void *arg, const char *line);
    void *note_arg;
};

struct backend_registry *backend_registry_new(void)
{
    struct backend_registry *registry = calloc(1, sizeof(*registry));

    if (registry == NULL)
        return NULL;
    pthread_mutex_init(&registry->lock, NULL);
    SLIST_INIT(&registry->backends);
    return registry;
}

void backend_registry_free(struct backend_registry *registry)
{
    if (registry == NULL)
        return;
    pthread_mutex_destroy(&registry->lock);
    free(registry);
}

void backend_registry_on_note(struct backend_registry *registry, void (*note)(void *arg, const char *line),
                              void *arg)
{
    registry->note = note;
    registry->note_arg = arg;
}

void backend_registry_note(const struct backend_registry *registry, const char *line)
{
    if (registry->note != NULL)
        registry->note(registry->note_arg, line);
}

/* Takes one off unless it is the last: that one goes under the lock, where nobody can find it meanwhile. */
static bool unref_shared(_Atomic unsigned *references)
{
    unsigned count = atomic_load_explicit(references, memory_order_relaxed);

    while (count > 1)
        if (atomic_compare_exchange_weak_explicit(references, &count, count - 1, memory_order_release,
                                                  memory_order_relaxed))
            return true;
    return false;
}

/* --- Backends --- */

struct backend_shared *backend_shared_get(struct backend_registry *registry, const char *name)
{
    struct backend_shared *backend;

    pthread_mutex_lock(&registry->lock);
    SLIST_FOREACH(backend, &registry->backends, link)
    if (strcmp(backend->name, name) == 0)
        break;
    if (backend != NULL) {
        backend_shared_ref(backend);
        goto unlock;
    }
    backend = calloc(1, sizeof(*backend));
    if (backend == NULL)
        goto unlock;
    backend->name = strdup(name);
    if (backend->name == NULL) {
        free(backend);
        backend = NULL;
        goto unlock;
    }
    backend->registry = registry;
    atomic_init(&backend->references, 1);
    SLIST_INIT(&backend->servers);
    backend_queue_init(&backend->queue);
    SLIST_INSERT_HEAD(&registry->backends, backend, link);

unlock:
    pthread_mutex_unlock(&registry->lock);
    return backend;
}

struct backend_shared *backend_shared_ref(struct backend_shared *backend)
{
    atomic_fetch_add_explicit(&backend->references, 1, memory_order_relaxed);
    return backend;
}

void backend_shared_unref(struct backend_shared *backend)
{
    struct backend_registry *registry;

    if (backend == NULL || unref_shared(&backend->references))
        return;
    registry = backend->registry;
    pthread_mutex_lock(&registry->lock);
    if (atomic_fetch_sub_explicit(&backend->references, 1, memory_order_acq_rel) == 1)
        SLIST_REMOVE(&registry->backends, backend, backend_shared, link);
    else
        backend = NULL;
    pthread_mutex_unlock(&registry->lock);
    if (backend == NULL)
        return;
    backend_queue_destroy(&backend->queue);
    free(backend->name);
    free(backend);
}

/* --- Servers --- */

static bool same_host(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_server(const struct backend_server *server, const char *name, const char *host,
                      const struct conf_address *address)
{
    return strcmp(server->name, name) == 0 && same_host(server->host, host) &&
           server->address.length == address->length &&
           memcmp(&server->address.addr, &address->addr, address->length) == 0;
}

static void server_free(struct backend_server *server)
{
    backend_shared_unref(server->backend);
    free(server->name);
    free(server->host);
    free(server);
}

struct backend_server *backend_server_get(struct backend_shared *backend, const char *name, const char *host,
                                          const struct conf_address *address)
{
    struct backend_registry *registry = backend->registry;
    struct backend_server *server;

    pthread_mutex_lock(&registry->lock);
    SLIST_FOREACH(server, &backend->servers, link)
    if (is_server(server, name, host, address))
        break;
    if (server != NULL) {
        backend_server_ref(server);
        goto unlock;
    }
    server = calloc(1, sizeof(*server));
    if (server == NULL)
        goto unlock;
    server->name = strdup(name);
    server->host = host != NULL ? strdup(host) : NULL;
    if (server->name == NULL || (host != NULL && server->host == NULL)) {
        free(server->name);
        free(server->host);
        free(server);
        server = NULL;
        goto unlock;
    }
    server->backend = backend_shared_ref(backend);
    server->address = *address;
    server->address.text = server->name;
    server->address.place = (struct conf_place){0};
    atomic_init(&server->references, 1);
    atomic_init(&server->stats.up, 1);
    if (atomic_load_explicit(&backend->began, memory_order_relaxed))
        atomic_init(&server->up_since_ms, loop_now_ms());
    SLIST_INSERT_HEAD(&backend->servers, server, link);

unlock:
    pthread_mutex_unlock(&registry->lock);
    return server;
}

struct backend_server *backend_server_ref(struct backend_server *server)
{
    atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
    return server;
}

void backend_server_unref(struct backend_server *server)
{
    struct backend_registry *registry;

    if (server == NULL || unref_shared(&server->references))
        return;
    registry = server->backend->registry;
    pthread_mutex_lock(&registry->lock);
    if (atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) == 1)
        SLIST_REMOVE(&server->backend->servers, server, backend_server, link);
    else
        server = NULL;
    pthread_mutex_unlock(&registry->lock);
    if (server != NULL)
        server_free(server);
}

enum backend_condition backend_server_condition(const struct backend_server *server, uint64_t now_ms)
{
    if (atomic_load_explicit(&server->down, memory_order_relaxed))
        return BACKEND_DOWN;
    return atomic_load_explicit(&server->ejected_until_ms, memory_order_relaxed) > now_ms ? BACKEND_EJECTED
                                                                                          : BACKEND_UP;
}

uint64_t backend_server_up_since(const struct backend_server *server)
{
    const uint64_t up = atomic_load_explicit(&server->up_since_ms, memory_order_relaxed);
    const uint64_t back = atomic_load_explicit(&server->ejected_until_ms, memory_order_relaxed);

    return up > back ? up : back;
}

/* --- What befalls it --- */

void backend_server_occupy(struct backend_server *server)
{
    backend_server_ref(server);
    atomic_fetch_add(&server->stats.occupied, 1);
}

void backend_server_vacate(struct backend_server *server)
{
    atomic_fetch_sub(&server->stats.occupied, 1);
    backend_queue_wake(server->backend);
    backend_server_unref(server);
}

void backend_server_connected(struct backend_server *server)
{
    atomic_fetch_add_explicit(&server->stats.connections_total, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->stats.connections, 1, memory_order_relaxed);
    atomic_store_explicit(&server->stats.up, 1, memory_order_relaxed);
    atomic_store_explicit(&server->avoid_until_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&server->connect_failures, 0, memory_order_relaxed);
}

void backend_server_failed(struct backend_server *server, uint64_t now_ms)
{
    atomic_fetch_add_explicit(&server->stats.failures, 1, memory_order_relaxed);
    atomic_store_explicit(&server->stats.up, 0, memory_order_relaxed);
    atomic_store_explicit(&server->avoid_until_ms, now_ms + BACKEND_AVOID_MS, memory_order_relaxed);
}

void backend_server_checked(struct backend_server *server, bool down, uint64_t now_ms)
{
    if (atomic_exchange_explicit(&server->down, down, memory_order_relaxed) == down || down)
        return;
    atomic_store_explicit(&server->up_since_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&server->ejected_until_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&server->avoid_until_ms, 0, memory_order_relaxed);
    backend_queue_wake(server->backend);
}

bool backend_server_is_up(const struct backend_server *server, uint64_t now_ms)
{
    if (backend_server_condition(server, now_ms) != BACKEND_UP)
        return false;
    return atomic_load_explicit(&server->is_checked, memory_order_relaxed) ||
           atomic_load_explicit(&server->stats.up, memory_order_relaxed) != 0;
}

void backend_server_released(struct backend_server *server)
{
    atomic_fetch_sub_explicit(&server->stats.connections, 1, memory_order_relaxed);
    backend_server_vacate(server);
}

void backend_server_tls_name(const struct backend_server *server, const char *configured, char *name,
                             size_t size)
{
    char *end;

    name[0] = '\0';
    if (configured != NULL || server->host != NULL) {
        snprintf(name, size, "%s", configured != NULL ? configured : server->host);
    } else if (server->address.addr.ss_family != AF_UNIX) {
        address_format(&server->address.addr, server->address.length, name, size);
        end = strrchr(name, ':'); /* "[::1]:443" */
        if (end != NULL)
            *end = '\0';
        if (name[0] == '[') {
            memmove(name, name + 1, strlen(name));
            name[strcspn(name, "]")] = '\0';
        }
    }
}
