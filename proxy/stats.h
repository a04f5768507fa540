/* Live statistics. Each worker writes its own copy with relaxed atomics; whoever reports adds the copies up.
 * Kept by name across reloads: a listener or server that stays keeps its counts. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "proxy/http/http_limits.h"
#include "relay/counters.h"
#include "relay/session.h"

/* One listener on one worker. */
struct listener_stats {
    _Atomic uint64_t connections_total;         /* accepted */
    _Atomic uint64_t connections;               /* open now */
    _Atomic uint64_t accept_paused;             /* times accepting stopped for want of descriptors */
    _Atomic uint64_t limited[HTTP_LIMIT_COUNT]; /* requests that passed a limit */
    struct relay_counters directions[2];        /* by enum session_direction */
};

/* One server of a backend, shared by all workers (atomic add, once a connection: not on the data path). */
struct server_stats {
    _Atomic uint64_t connections_total, connections, failures;
    _Atomic uint64_t occupied; /* connections, and those being made */
    _Atomic int up;            /* 1, or 0 after the last connect failed */
};
