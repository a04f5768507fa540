/* The part of /status.json that tells of a backend and its servers.
 * Refuses to know how the figures come about. */
#include "proxy/admin/status_backends.h"

#include "proxy/address.h"
#include "proxy/backend_names.h"
#include "proxy/health/result.h"
#include "relay/loop.h"

static const char *const balance_names[] = {
    [CONF_BALANCE_ROUND_ROBIN] = "round_robin", [CONF_BALANCE_LEAST_CONN] = "least_conn",
    [CONF_BALANCE_RANDOM] = "random",           [CONF_BALANCE_SOURCE_HASH] = "source_hash",
    [CONF_BALANCE_MAGLEV] = "maglev",
};

/* One word for an operator: why it is used or not. */
static const char *state_of(const struct backend_server *server, uint64_t now_ms)
{
    switch (backend_server_condition(server, now_ms)) {
    case BACKEND_DOWN:
        return "down";
    case BACKEND_EJECTED:
        return "ejected";
    case BACKEND_UP:
        break;
    }
    return backend_server_is_up(server, now_ms) ? "up" : "failing";
}

static json_t *check_to_json(const struct backend_server *server, uint64_t now_ms)
{
    const uint64_t at = atomic_load_explicit(&server->checked_ms, memory_order_relaxed);
    char text[160];

    if (!atomic_load_explicit(&server->is_checked, memory_order_relaxed))
        return json_null();
    health_result_text(
        health_result_unpack(atomic_load_explicit(&server->check_result, memory_order_relaxed)), text,
        sizeof(text));
    return json_pack("{s:s, s:o}", "result", text, "age_ms",
                     at != 0 && now_ms >= at ? admin_count(now_ms - at) : json_null());
}

static json_t *server_to_json(const struct server_slot *slot)
{
    const struct backend_server *server = slot->server;
    const struct server_stats *stats = &server->stats;
    const uint64_t now = loop_now_ms(),
                   until = atomic_load_explicit(&server->ejected_until_ms, memory_order_relaxed);
    char address[128];

    address_format(&server->address.addr, server->address.length, address, sizeof(address));
    return json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "name",
                     server->name, "address", address, "up", backend_server_is_up(server, now), "state",
                     state_of(server, now), "check", check_to_json(server, now), "ejected_ms",
                     admin_count(until > now ? until - now : 0), "ejections",
                     admin_count(relay_counter_get(&server->ejections)), "weight", admin_count(slot->weight),
                     "backup", slot->backup, "max_connections", admin_count(slot->max_connections),
                     "connections", admin_count(relay_counter_get(&stats->connections)), "total",
                     admin_count(relay_counter_get(&stats->connections_total)), "failures",
                     admin_count(relay_counter_get(&stats->failures)));
}

static json_t *queue_to_json(const struct backend *backend)
{
    const struct backend_queue *queue = &backend->shared->queue;

    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "length", admin_count(relay_counter_get(&queue->length)),
                     "size", admin_count(backend->queue.size), "waited",
                     admin_count(relay_counter_get(&queue->waited)), "overflowed",
                     admin_count(relay_counter_get(&queue->overflowed)), "timed_out",
                     admin_count(relay_counter_get(&queue->timed_out)));
}

static json_t *names_to_json(const struct backend *backend)
{
    static const char *const outcomes[] = {
        [NAME_FOUND] = "found", [NAME_ABSENT] = "absent", [NAME_FAILED] = "failed"};
    struct backend_name_status status;
    json_t *names = json_array();

    for (size_t i = 0; backend_names_status(backend->names, i, &status); i++)
        json_array_append_new(names,
                              json_pack("{s:s, s:o, s:s, s:o, s:o}", "name", status.name, "addresses",
                                        admin_count(status.addresses), "last",
                                        status.lookups.is_known ? outcomes[status.lookups.outcome] : "none",
                                        "lookups", admin_count(status.lookups.asked), "failures",
                                        admin_count(status.lookups.failed)));
    return names;
}

json_t *status_backend(struct backend *backend)
{
    struct server_set *set = backend_set(backend);
    json_t *servers = json_array();

    for (size_t i = 0; i < set->count; i++)
        json_array_append_new(servers, server_to_json(&set->slots[i]));
    server_set_unref(set);
    return json_pack("{s:s, s:o, s:o, s:o}", "balance", balance_names[backend->balancing.balance], "queue",
                     queue_to_json(backend), "servers", servers, "names", names_to_json(backend));
}
