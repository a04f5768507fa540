/* The HTTP part of a connection, for files and admin: http_conn has the client and the time until its end.
 * Refuses to know what a request means (http/). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/conn_internal.h"
#include "proxy/log.h"
#include "proxy/worker_internal.h"

static void on_http_response(void *arg, const struct report *report)
{
    struct conn *conn = arg;

    log_post(worker_log(conn->worker), report);
}

/* Its answers were told when the kernel had taken them. */
static void log_slow_client(struct conn *conn)
{
    struct report report = *conn->http_template;

    if (conn->listener->is_admin)
        return;
    memset(report.directions, 0, sizeof(report.directions)); /* a handshake's bytes were told */
    report.duration_ms = loop_now_ms() - conn->began_ms;
    conn_fill_outcome(&report, &(struct conn_outcome){OUTCOME_LIMITED, CLOSED_BY_SLUICE,
                                                      http_limit_name(HTTP_LIMIT_MIN_SEND_RATE)});
    log_post(worker_log(conn->worker), &report);
}

static void on_http_end(void *arg, enum http_end end)
{
    struct conn *conn = arg;

    assert(conn->state == CONN_HTTP);
    if (end == HTTP_END_LIMITED) /* else each response has told its own outcome */
        log_slow_client(conn);
    http_conn_free(conn->http);
    conn->http = NULL;
    endpoint_close(&conn->client);
    conn_release(conn);
}

/* The admin pages are in no log. */
static struct http_ids choose_ids(const struct conn *conn)
{
    const struct conf *conf = conn->generation->conf;
    const struct sockaddr_storage client = conn_client(conn);

    if (conn->listener->is_admin)
        return (struct http_ids){0};
    return (struct http_ids){.told = conf->log.request_id_header,
                             .accepted = conf_cidrs_contain(&conf->log.request_id_trusted, &client)};
}

void conn_start_http(struct conn *conn)
{
    const bool paced = conn_make_paces(conn) == 0;
    struct http_conn_options options = {
        .loop = worker_loop(conn->worker),
        .client = &conn->client,
        .handler = conn->target->handler,
        .open_files = worker_open_files(conn->worker),
        .disk = worker_disk(conn->worker),
        .policy = conn->listener->policy,
        .counters = {&conn->stats->directions[0], &conn->stats->directions[1]},
        .header_ms = conn->listener->timeouts.header_ms,
        .pace = conn_pace(conn, SESSION_TO_CLIENT),
        .idle_ms = conn->listener->timeouts.idle_ms,
        .linger_ms = conn->listener->timeouts.linger_ms,
        .limits = conn->listener->http,
        .ids = choose_ids(conn),
        .limited = conn->stats->limited,
        /* Looking at the admin pages is not traffic. */
        .on_response = conn->listener->is_admin ? NULL : on_http_response,
        .on_end = on_http_end,
        .arg = conn,
    };

    for (int d = 0; d < 2; d++)
        relay_counter_add(&conn->stats->directions[d].head_bytes,
                          conn_head_bytes(conn, (enum session_direction)d));
    conn->http_template = malloc(sizeof(*conn->http_template));
    if (conn->http_template != NULL && paced) {
        conn_fill_report(conn, conn->http_template);
        options.report = conn->http_template;
        conn->http = http_conn_start(&options);
    }
    if (conn->http == NULL) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    conn->state = CONN_HTTP;
    conn_schedule(conn);
    if (conn->drain_deadline_ms != 0)
        http_conn_drain(conn->http);
}

void conn_stop_http(struct conn *conn)
{
    struct report report;

    if (!conn->listener->is_admin && http_conn_report(conn->http, &report)) {
        conn_fill_outcome(&report, &(struct conn_outcome){OUTCOME_STOPPED, CLOSED_BY_SLUICE, ""});
        log_post(worker_log(conn->worker), &report);
    }
    http_conn_free(conn->http);
    conn->http = NULL;
    endpoint_reset(&conn->client);
    conn_release(conn);
}
