/* Adds the workers' counters up.
 * Refuses to know how the sums are shown. */
#include "proxy/admin/view.h"

#include <string.h>

#include "relay/session.h"

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_direction(struct admin_direction *sums, const struct relay_counters *counters)
{
    for (int mode = 0; mode < RELAY_MODE_COUNT; mode++) {
        for (int source = 0; source < RELAY_CRYPTO_COUNT; source++) {
            for (int sink = 0; sink < RELAY_CRYPTO_COUNT; sink++) {
                sums->bytes[mode][source][sink] += relay_counter_get(&counters->bytes[mode][source][sink]);
                for (int reason = 0; reason < RELAY_REASON_COUNT; reason++)
                    sums->segments[mode][source][sink][reason] +=
                        relay_counter_get(&counters->segments[mode][source][sink][reason]);
            }
        }
    }
    sums->user_bytes += relay_counter_get(&counters->user_bytes);
    sums->kernel_bytes += relay_counter_get(&counters->kernel_bytes);
    sums->head_bytes += relay_counter_get(&counters->head_bytes);
}

void admin_view_listener(const struct stats_listener *stats, struct admin_listener *sums)
{
    memset(sums, 0, sizeof(*sums));
    for (int limit = 0; limit < GATE_LIMIT_COUNT && stats->gate != NULL; limit++)
        sums->limited[limit] = load(&stats->gate->limited[limit]);
    for (unsigned i = 0; i < stats->worker_count; i++) {
        const struct listener_stats *worker = stats->workers[i];

        sums->connections += load(&worker->connections);
        sums->connections_total += load(&worker->connections_total);
        sums->accept_paused += load(&worker->accept_paused);
        for (int limit = 0; limit < HTTP_LIMIT_COUNT; limit++)
            sums->requests_limited[limit] += load(&worker->limited[limit]);
        for (int direction = 0; direction < 2; direction++)
            add_direction(&sums->directions[direction], &worker->directions[direction]);
    }
}

const char *admin_direction_name(int direction)
{
    return direction == SESSION_TO_SERVER ? "to_server" : "to_client";
}
