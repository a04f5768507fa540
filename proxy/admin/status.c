/* Builds /status.json.
 * Refuses to know how the figures come about and how they are fetched. */
#include "proxy/admin/status.h"

#include "proxy/admin/status_backends.h"
#include "relay/session.h"

static json_t *segment_to_json(const struct admin_direction *sums, int mode, int source, int sink)
{
    json_t *reasons = json_object();
    uint64_t total = 0;

    for (int reason = 0; reason < RELAY_REASON_COUNT; reason++) {
        uint64_t n = sums->segments[mode][source][sink][reason];

        if (n == 0)
            continue;
        total += n;
        json_object_set_new(reasons, relay_reason_name((enum relay_reason)reason), admin_count(n));
    }
    if (total == 0 && sums->bytes[mode][source][sink] == 0) {
        json_decref(reasons);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "mode", relay_mode_name((enum relay_mode)mode),
                     "source_crypto", relay_crypto_name((enum relay_crypto)source), "sink_crypto",
                     relay_crypto_name((enum relay_crypto)sink), "bytes",
                     admin_count(sums->bytes[mode][source][sink]), "count", admin_count(total), "reasons",
                     reasons);
}

static json_t *direction_to_json(const struct admin_direction *sums)
{
    json_t *segments = json_array();

    for (int mode = 0; mode < RELAY_MODE_COUNT; mode++) {
        for (int source = 0; source < RELAY_CRYPTO_COUNT; source++) {
            for (int sink = 0; sink < RELAY_CRYPTO_COUNT; sink++) {
                json_t *segment = segment_to_json(sums, mode, source, sink);

                if (segment != NULL)
                    json_array_append_new(segments, segment);
            }
        }
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "bytes", admin_count(sums->user_bytes + sums->kernel_bytes),
                     "user_bytes", admin_count(sums->user_bytes), "kernel_bytes",
                     admin_count(sums->kernel_bytes), "head_bytes", admin_count(sums->head_bytes), "segments",
                     segments);
}

static json_t *listener_to_json(const struct generation_listener *listener)
{
    struct admin_listener sums;
    json_t *directions = json_object(), *limited = json_object();

    admin_view_listener(listener->stats, &sums);
    for (int direction = SESSION_TO_CLIENT; direction >= SESSION_TO_SERVER; direction--)
        json_object_set_new(directions, admin_direction_name(direction),
                            direction_to_json(&sums.directions[direction]));
    for (int limit = GATE_PASSED + 1; limit < GATE_LIMIT_COUNT; limit++)
        json_object_set_new(limited, gate_limit_name((enum gate_limit)limit),
                            admin_count(sums.limited[limit]));
    for (int limit = HTTP_LIMIT_NONE + 1; limit < HTTP_LIMIT_COUNT; limit++)
        json_object_set_new(limited, http_limit_name((enum http_limit)limit),
                            admin_count(sums.requests_limited[limit]));
    return json_pack(
        "{s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:o}", "address", listener->address, "tls",
        listener->certs != NULL, "target", listener->target != NULL ? listener->target->name : "routes",
        "connections", admin_count(sums.connections), "total", admin_count(sums.connections_total),
        "accept_paused", admin_count(sums.accept_paused), "limited", limited, "directions", directions);
}

json_t *status_build(const struct admin_view *view)
{
    const struct generation *generation = view->generation;
    json_t *listeners = json_object(), *backends = json_object(), *syscalls = json_object();

    for (size_t i = 0; i < generation->listener_count; i++) {
        const struct generation_listener *listener = &generation->listeners[i];

        /* Whoever reads this is admin's traffic: never idle and of no interest. /metrics has it. */
        if (!listener->is_admin)
            json_object_set_new(listeners, listener->name, listener_to_json(listener));
    }
    for (size_t i = 0; i < generation->backend_count; i++)
        json_object_set_new(backends, generation->backends[i].name, status_backend(&generation->backends[i]));
    for (int call = 0; call < RELAY_SYSCALL_COUNT; call++)
        json_object_set_new(syscalls, relay_syscall_name((enum relay_syscall)call),
                            admin_count(view->syscalls[call]));
    return json_pack("{s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "version", SLUICE_VERSION, "uptime_s",
                     admin_count(view->uptime_ms / 1000), "generation", admin_count(generation->number),
                     "workers", admin_count(view->workers), "draining", view->draining, "listeners",
                     listeners, "backends", backends, "syscalls", syscalls, "log_dropped",
                     admin_count(view->log_dropped));
}
