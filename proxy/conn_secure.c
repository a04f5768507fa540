/* TLS with the server that was connected to: the handshake, and what it means for connection and server when
 * it fails. Refuses to know certificates and names' rules (certs/connect), and which server is next: none is,
 * since a server that answers has been reached. */
#include <assert.h>
#include <stdio.h>

#include "certs/connect.h"
#include "proxy/conn_internal.h"
#include "proxy/ejection.h"
#include "proxy/worker_internal.h"
#include "relay/tls_conn.h"

static void fail(struct conn *conn, enum report_outcome outcome, enum report_closed_by closed_by,
                 const char *why)
{
    char detail[160];

    snprintf(detail, sizeof(detail), "%.60s: TLS: %s", conn->server_used->name, why);
    backend_server_failed(conn->server_used, loop_now_ms());
    /* Not a failed connect: each connect that succeeds begins the count of those anew. */
    ejection_note(conn->target->backend, conn->server_used, EJECTION_EARLY_RESET, loop_now_ms());
    /* OpenSSL has sent an alert that says why: a reset would overtake it. */
    endpoint_close(&conn->server);
    conn_abort(conn, &(struct conn_outcome){outcome, closed_by, detail});
}

void conn_secure_timeout(struct conn *conn)
{
    fail(conn, OUTCOME_TIMEOUT, CLOSED_BY_SLUICE, "handshake");
}

static void on_secured(struct conn *conn)
{
    const struct tls_conn *tls = conn->server.tls;

    conn->server_tls = conn_keep_tls(tls);
    if (conn->server_tls == NULL) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    if (conn->target->server_tls->ktls == CONF_KTLS_REQUIRE && !tls_conn_ktls_tx(tls)) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_REFUSED, CLOSED_BY_SLUICE,
                                                relay_reason_name(tls_conn_tx_reason(tls))});
        return;
    }
    endpoint_shook_hands(&conn->server);
    tls_conn_drop_ssl(conn->server.tls);
    conn_start_session(conn);
}

static void on_server_ready(void *arg)
{
    struct conn *conn = arg;

    assert(conn->state == CONN_SECURING);
    switch (tls_conn_handshake(conn->server.tls)) {
    case TLS_DONE:
        on_secured(conn);
        return;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        return;
    case TLS_CLOSED:
    case TLS_TRUNCATED:
        fail(conn, OUTCOME_NO_SERVER, CLOSED_BY_SERVER, "the server closed during the handshake");
        return;
    case TLS_BROKEN:
        fail(conn, OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, tls_conn_error(conn->server.tls));
        return;
    }
}

void conn_secure(struct conn *conn)
{
    struct cert_connect *secure = conn->target->secure;
    const struct relay_policy *policy = &conn->listener->policy;
    struct tls_conn *tls;
    char name[256];

    if (secure == NULL) {
        conn_start_session(conn);
        return;
    }
    tls = tls_conn_new(&(struct tls_conn_options){
        .ctx = cert_connect_context(secure),
        .fd = conn->server.fd,
        .role = TLS_CONNECT,
        .ktls_wanted = conn->target->server_tls->ktls != CONF_KTLS_OFF,
        /* For the sake of TLS 1.3's tickets, unless no byte may be read here. */
        .late_rx = !policy->require_zero_copy && policy->force != RELAY_FORCE_SPLICE});
    if (tls == NULL) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    endpoint_set_tls(&conn->server, tls);
    conn->state = CONN_SECURING;
    conn->secure_deadline_ms = loop_now_ms() + conn->listener->timeouts.handshake_ms;
    conn_schedule(conn);
    backend_server_tls_name(conn->server_used, conn->target->server_tls->server_name, name, sizeof(name));
    if (cert_connect_prepare(secure, tls_conn_ssl(tls), conn->server_used->name,
                             name[0] != '\0' ? name : NULL) == -1) {
        fail(conn, OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, "its name can't be verified");
        return;
    }
    endpoint_on_ready(&conn->server, on_server_ready, conn);
    on_server_ready(conn); /* it has to say the first word */
}
