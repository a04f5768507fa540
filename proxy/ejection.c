/* See ejection.h. Refuses to know how the outcome was found.
 * What is counted is the server's own (atomics): generations and workers may differ for a moment in what they
 * see, which can eject a server a connection early or late and nothing worse. */
#include "proxy/ejection.h"

#include <stdio.h>

#include "proxy/backend.h"

/* A share of the newest set's servers, those that are out already among them. */
static bool has_room(struct backend *backend, uint64_t now_ms)
{
    struct server_set *set = backend_set(backend);
    const size_t most = set->count * backend->eject.share / 100;
    size_t out = 0;

    for (size_t i = 0; i < set->count; i++)
        out += atomic_load_explicit(&set->slots[i].server->ejected_until_ms, memory_order_relaxed) > now_ms;
    server_set_unref(set);
    return out < most;
}

/* Twice the last one, unless the server has stayed in for at least as long as it was out. */
static uint64_t find_length(const struct backend *backend, const struct backend_server *server,
                            uint64_t now_ms)
{
    const uint64_t last = atomic_load_explicit(&server->ejected_for_ms, memory_order_relaxed);
    const uint64_t until = atomic_load_explicit(&server->ejected_until_ms, memory_order_relaxed);
    const uint64_t length = last == 0 || now_ms >= until + last ? backend->eject.base_ms : 2 * last;

    return length < backend->eject.max_ms ? length : backend->eject.max_ms;
}

static void tell(const struct backend_server *server, enum ejection_event event, unsigned count,
                 uint64_t length)
{
    char line[512];

    snprintf(line, sizeof(line), "backend %s: server %s is ejected for %llu.%03llu s: %u %s in a row",
             server->backend->name, server->name, (unsigned long long)(length / 1000),
             (unsigned long long)(length % 1000), count,
             event == EJECTION_CONNECT_FAILED ? "connects failed" : "early losses");
    backend_registry_note(server->backend->registry, line);
}

void ejection_note(struct backend *backend, struct backend_server *server, enum ejection_event event,
                   uint64_t now_ms)
{
    _Atomic unsigned *run =
        event == EJECTION_CONNECT_FAILED ? &server->connect_failures : &server->early_resets;
    unsigned count;
    uint64_t length;

    if (event == EJECTION_GOOD) {
        atomic_store_explicit(&server->connect_failures, 0, memory_order_relaxed);
        atomic_store_explicit(&server->early_resets, 0, memory_order_relaxed);
        return;
    }
    count = atomic_fetch_add_explicit(run, 1, memory_order_relaxed) + 1;
    if (!backend->ejects || count < backend->eject.failures ||
        backend_server_condition(server, now_ms) != BACKEND_UP || !has_room(backend, now_ms))
        return;
    length = find_length(backend, server, now_ms);
    atomic_store_explicit(&server->ejected_for_ms, length, memory_order_relaxed);
    atomic_store_explicit(&server->ejected_until_ms, now_ms + length, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->ejections, 1, memory_order_relaxed);
    /* On probation afterwards: the first failure is enough, unless something good comes before. */
    atomic_store_explicit(run, backend->eject.failures - 1, memory_order_relaxed);
    tell(server, event, count, length);
}
