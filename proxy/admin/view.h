/* What the admin pages are made from: one look at the server, the same for all of them.
 * Refuses to know how it is shown. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/generation.h"
#include "relay/counters.h"

struct admin_view {
    const struct generation *generation; /* borrowed */
    unsigned workers;
    uint64_t uptime_ms, log_dropped, disk_jobs;
    bool draining;
    uint64_t syscalls[RELAY_SYSCALL_COUNT]; /* over all workers */
};

/* One listener's counters, over all workers. */
struct admin_listener {
    uint64_t connections, connections_total, accept_paused;
    uint64_t limited[GATE_LIMIT_COUNT];          /* by enum gate_limit */
    uint64_t requests_limited[HTTP_LIMIT_COUNT]; /* by enum http_limit */
    struct admin_direction {
        uint64_t bytes[RELAY_MODE_COUNT][RELAY_CRYPTO_COUNT][RELAY_CRYPTO_COUNT];
        uint64_t segments[RELAY_MODE_COUNT][RELAY_CRYPTO_COUNT][RELAY_CRYPTO_COUNT][RELAY_REASON_COUNT];
        uint64_t user_bytes, kernel_bytes, head_bytes;
    } directions[2]; /* by enum session_direction */
};

void admin_view_listener(const struct stats_listener *stats, struct admin_listener *sums);

/* "to_server", "to_client". */
const char *admin_direction_name(int direction);
