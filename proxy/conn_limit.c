/* What limits mean for a connection: let in or reset at once, counted as long as it lives, and paced.
 * Refuses to know how limits are kept (gate.h, relay/pace.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/address.h"
#include "proxy/conn_internal.h"
#include "proxy/log.h"
#include "proxy/worker_internal.h"
#include "relay/pace.h"

/* The line in the log of a connection that never was one. */
static void tell_refusal(const struct conn_arrival *arrival, enum gate_limit limit)
{
    struct report report = {.id = conn_next_id(), .outcome = OUTCOME_LIMITED, .closed_by = CLOSED_BY_SLUICE};

    clock_gettime(CLOCK_REALTIME, &report.began);
    snprintf(report.listener, sizeof(report.listener), "%s", arrival->listener->name);
    snprintf(report.detail, sizeof(report.detail), "%s", gate_limit_name(limit));
    address_format(arrival->peer, arrival->peer_length, report.client, sizeof(report.client));
    log_post(worker_log(arrival->worker), &report);
}

bool conn_limit_accept(const struct conn_arrival *arrival, struct client_entry **entry)
{
    struct gate *gate = arrival->listener->stats->gate;
    const struct gate_rules *rules = &arrival->listener->limits;
    enum gate_limit limit = gate_enter(gate, rules);

    *entry = NULL;
    if (limit == GATE_PASSED && conn_is_proxied(arrival->listener, arrival->peer))
        return true;
    if (limit == GATE_PASSED) {
        limit = gate_enter_client(gate, rules, arrival->peer, loop_now_ms(), entry);
        if (limit == GATE_PASSED)
            return true;
        gate_leave(gate);
    }
    tell_refusal(arrival, limit);
    return false;
}

bool conn_limit_client(struct conn *conn)
{
    const struct sockaddr_storage client = conn_client(conn);
    enum gate_limit limit = gate_enter_client(conn->listener->stats->gate, &conn->listener->limits, &client,
                                              loop_now_ms(), &conn->client_entry);

    if (limit != GATE_PASSED)
        conn_abort(conn, &(struct conn_outcome){OUTCOME_LIMITED, CLOSED_BY_SLUICE, gate_limit_name(limit)});
    return limit == GATE_PASSED;
}

void conn_limit_release(const struct generation_listener *listener, struct client_entry *entry)
{
    gate_leave_client(listener->stats->gate, entry);
    gate_leave(listener->stats->gate);
}

int conn_make_paces(struct conn *conn)
{
    const struct bucket_rate *bandwidth = conn->listener->bandwidth;

    if (bandwidth[0].rate == 0 && bandwidth[1].rate == 0)
        return 0;
    conn->paces = calloc(2, sizeof(*conn->paces));
    if (conn->paces == NULL)
        return -1;
    for (int d = 0; d < 2; d++)
        if (bandwidth[d].rate != 0)
            pace_init(&conn->paces[d], worker_loop(conn->worker), &bandwidth[d]);
    return 0;
}

struct pace *conn_pace(const struct conn *conn, enum session_direction direction)
{
    return conn->paces != NULL && conn->paces[direction].rate.rate != 0 ? &conn->paces[direction] : NULL;
}
