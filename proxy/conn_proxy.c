/* The proxy's part of a connection: a server is dialled, then a session moves bytes until it ends.
 * Refuses to know how bytes move, and which server is next. */
#include <assert.h>
#include <string.h>
#include <sys/ioctl.h>

#include "proxy/conn_internal.h"
#include "proxy/dial.h"
#include "proxy/ejection.h"
#include "proxy/filters/filter_set.h"
#include "proxy/worker_internal.h"
#include "relay/session.h"

/* --- Relaying --- */

/* What the end says of the server. */
static void judge_server(struct conn *conn, const struct session_end *end)
{
    const bool answered = flow_moved(session_flow(conn->session, SESSION_TO_CLIENT)) > 0;
    const bool lost =
        end->end == FLOW_END_SOURCE || end->end == FLOW_END_SINK || end->end == FLOW_END_TRUNCATED;

    if (answered || end->end == FLOW_END_COMPLETE)
        ejection_note(conn->target->backend, conn->server_used, EJECTION_GOOD, loop_now_ms());
    else if (lost && end->closed_by == SESSION_SERVER)
        ejection_note(conn->target->backend, conn->server_used, EJECTION_EARLY_RESET, loop_now_ms());
}

static void on_session_end(void *arg, const struct session_end *end)
{
    struct conn *conn = arg;
    struct conn_outcome outcome = {.outcome = OUTCOME_COMPLETE, .detail = ""};
    char denial[160];

    assert(conn->state == CONN_RELAYING);
    judge_server(conn, end);
    outcome.closed_by = end->closed_by == SESSION_CLIENT   ? CLOSED_BY_CLIENT
                        : end->closed_by == SESSION_SERVER ? CLOSED_BY_SERVER
                                                           : CLOSED_BY_SLUICE;
    switch (end->end) {
    case FLOW_END_NONE:
    case FLOW_END_COMPLETE:
        break;
    case FLOW_END_SOURCE:
    case FLOW_END_SINK:
        outcome.outcome = OUTCOME_RESET;
        outcome.detail = end->detail[0] != '\0' ? end->detail : end->error != 0 ? strerror(end->error) : "";
        break;
    case FLOW_END_TRUNCATED:
        outcome.outcome = OUTCOME_TRUNCATED;
        outcome.detail = "the stream ended without close_notify";
        break;
    case FLOW_END_DENIED:
        filtering_denial(conn->filtering, denial, sizeof(denial));
        outcome.outcome = OUTCOME_REFUSED;
        outcome.detail = denial;
        break;
    case FLOW_END_REFUSED:
        outcome.outcome = OUTCOME_REFUSED;
        outcome.detail = relay_reason_name(end->refusal);
        break;
    }
    if (outcome.outcome != OUTCOME_COMPLETE) {
        conn_abort(conn, &outcome);
    } else if ((conn->client.kind == ENDPOINT_TLS && conn->client.fd != -1) ||
               (conn->server.kind == ENDPOINT_TLS && conn->server.fd != -1)) {
        /* close() would cut off what the kernel's TLS still holds (kernel.md 3). */
        if (conn->client.kind != ENDPOINT_TLS)
            endpoint_close(&conn->client); /* read to its end and shut down: the kernel delivers */
        conn_linger(conn, &outcome);
    } else {
        /* Both streams have been read to their end and shut down: the kernel delivers what it holds. */
        conn_log_end(conn, &outcome);
        session_free(conn->session);
        endpoint_close(&conn->client);
        endpoint_close(&conn->server);
        conn_release(conn);
    }
}

/* false: out of memory. */
static bool start_filters(struct conn *conn)
{
    if (conn->listener->filters != NULL)
        conn->filtering = filtering_new(conn->listener->filters, conn->client.fd, conn->id);
    return conn->listener->filters == NULL || conn->filtering != NULL;
}

void conn_start_session(struct conn *conn)
{
    const bool paced = conn_make_paces(conn) == 0;
    struct session_options options = {
        .loop = worker_loop(conn->worker),
        .client = &conn->client,
        .server = &conn->server,
        .policy = conn->listener->policy,
        .counters = {&conn->stats->directions[0], &conn->stats->directions[1]},
        .paces = {conn_pace(conn, SESSION_TO_SERVER), conn_pace(conn, SESSION_TO_CLIENT)},
        .on_end = on_session_end,
        .arg = conn,
    };

    if (paced && start_filters(conn)) {
        for (int d = 0; conn->filtering != NULL && d < 2; d++)
            options.filters[d] = filtering_chain(conn->filtering, (enum session_direction)d);
        conn->session = session_start(&options);
    }
    if (conn->session == NULL) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    for (int d = 0; d < 2; d++)
        flow_add_head_bytes(session_flow(conn->session, (enum session_direction)d),
                            conn_head_bytes(conn, (enum session_direction)d));
    conn->state = CONN_RELAYING;
    conn_schedule(conn);
}

/* --- Dialling --- */

static bool on_descriptor_wanted(void *arg)
{
    struct conn *conn = arg;

    return worker_free_reserve(conn->worker, WORKER_RESERVE_DIAL);
}

static void on_dial_end(void *arg, const struct dial_end *end)
{
    struct conn *conn = arg;

    assert(conn->state == CONN_DIALING);
    conn->server_used = end->server;
    if (end->status == DIAL_LOST) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_SERVER, end->detail});
        return;
    }
    if (end->status == DIAL_WAITED) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_TIMEOUT, CLOSED_BY_SLUICE, end->detail});
        return;
    }
    if (end->status != DIAL_CONNECTED) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, end->detail});
        return;
    }
    dial_free(conn->dial);
    conn->dial = NULL;
    conn_greet(conn);
}

/* As it is known by now: from its PROXY header where it had one. */
static void on_client_address_wanted(void *arg, struct sockaddr_storage *address)
{
    *address = conn_client(arg);
}

/* Splicing would wait for a connection that waits for it (before Linux 6.5), so early bytes are copied. */
static bool on_may_be_early(void *arg)
{
    const struct conn *conn = arg;
    const struct relay_policy *policy = &conn->listener->policy;
    int waiting = 0;

    return (policy->force == RELAY_AUTO || policy->force == RELAY_FORCE_COPY) && !policy->require_zero_copy &&
           ioctl(conn->client.fd, FIONREAD, &waiting) == 0 && waiting > 0;
}

void conn_start_dial(struct conn *conn)
{
    char client[CONN_CLIENT_TEXT];

    conn_client_text(conn, client, sizeof(client));
    const struct dial_options options = {
        .loop = worker_loop(conn->worker),
        .backend = conn->target->backend,
        .worker_index = worker_index(conn->worker),
        .post = worker_post,
        .worker = conn->worker,
        .client_hash = balancer_hash_client(client),
        .timeout_ms = conn->listener->timeouts.connect_ms,
        .server = &conn->server,
        .client_address = on_client_address_wanted,
        .may_be_early = on_may_be_early,
        .free_descriptor = on_descriptor_wanted,
        .on_end = on_dial_end,
        .arg = conn,
    };

    conn->state = CONN_DIALING;
    conn_schedule(conn);
    conn->dial = dial_start(&options);
    if (conn->dial == NULL)
        conn_abort(conn, &(struct conn_outcome){OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, "out of memory"});
}
