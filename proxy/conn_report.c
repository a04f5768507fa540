/* What is known of a connection, as a record for the log and /connections.json.
 * Refuses to know how a connection comes to its end. */
#include <stdlib.h>
#include <string.h>

#include "proxy/address.h"
#include "proxy/conn_internal.h"
#include "proxy/filters/filter_set.h"
#include "relay/session.h"
#include "relay/tls_conn.h"

/* Cuts what doesn't fit. */
static void set_text(char *text, size_t size, const char *from)
{
    const size_t length = strnlen(from, size - 1);

    memcpy(text, from, length);
    text[length] = '\0';
}

struct sockaddr_storage conn_client(const struct conn *conn)
{
    struct sockaddr_storage address = {0};

    if (conn->unix_address != NULL)
        return *conn->unix_address;
    memcpy(&address, &conn->address, sizeof(conn->address));
    return address;
}

void conn_set_client(struct conn *conn, const struct sockaddr_storage *address)
{
    free(conn->unix_address);
    conn->unix_address = NULL;
    memcpy(&conn->address, address, sizeof(conn->address));
    if (address->ss_family == AF_UNIX && (conn->unix_address = malloc(sizeof(*address))) != NULL)
        *conn->unix_address = *address;
}

void conn_client_text(const struct conn *conn, char *text, size_t size)
{
    const struct sockaddr_storage address = conn_client(conn);

    address_format(&address, sizeof(address), text, size);
}

struct conn_tls *conn_keep_tls(const struct tls_conn *tls)
{
    struct conn_tls *kept = malloc(sizeof(*kept));

    if (kept == NULL)
        return NULL;
    tls_conn_facts(tls, &kept->facts);
    kept->handshake_rx = tls_conn_handshake_rx(tls);
    kept->handshake_tx = tls_conn_handshake_tx(tls);
    return kept;
}

static void fill_tls(const struct conn_tls *tls, struct report *report)
{
    report->has_tls = true;
    report->tls = tls->facts;
}

uint64_t conn_head_bytes(const struct conn *conn, enum session_direction direction)
{
    uint64_t bytes = 0;

    if (conn->tls != NULL)
        bytes += direction == SESSION_TO_SERVER ? conn->tls->handshake_rx : conn->tls->handshake_tx;
    if (conn->server_tls != NULL)
        bytes +=
            direction == SESSION_TO_SERVER ? conn->server_tls->handshake_tx : conn->server_tls->handshake_rx;
    if (direction == SESSION_TO_SERVER)
        bytes += (conn->origin != NULL ? conn->origin->header_size : 0) + conn->greeting_size;
    return bytes;
}

/* Of a proxy the server is told, once there is one. */
static const char *target_name(const struct generation_target *target)
{
    return target != NULL && target->kind != TARGET_PROXY ? target->name : "";
}

static void fill_previews(const struct filtering *filtering, struct report *report)
{
    for (int d = 0; d < 2; d++) {
        const struct preview *preview = filtering_preview(filtering, (enum session_direction)d);

        report->has_preview[d] = preview != NULL;
        if (preview != NULL)
            report->previews[d] = *preview;
    }
}

void conn_fill_report(const struct conn *conn, struct report *report)
{
    memset(report, 0, sizeof(*report));
    report->id = conn->id;
    report->began = conn->began;
    report->duration_ms = loop_now_ms() - conn->began_ms;
    set_text(report->listener, sizeof(report->listener), conn->listener->name);
    conn_client_text(conn, report->client, sizeof(report->client));
    set_text(report->target, sizeof(report->target),
             conn->server_used != NULL ? conn->server_used->name : target_name(conn->target));
    report->outcome = OUTCOME_OPEN;
    if (conn->origin != NULL)
        set_text(report->proxy, sizeof(report->proxy), conn->origin->proxy);
    if (conn->tls != NULL)
        fill_tls(conn->tls, report);
    else if (conn->asked_name != NULL)
        set_text(report->tls.sni, sizeof(report->tls.sni), conn->asked_name);
    if (conn->server_tls != NULL) {
        report->has_server_tls = true;
        report->server_tls = conn->server_tls->facts;
    }
    if (conn->filtering != NULL)
        fill_previews(conn->filtering, report);
    for (int d = 0; d < 2; d++) {
        const enum session_direction direction = (enum session_direction)d;

        if (conn->session != NULL)
            flow_report(session_flow(conn->session, direction), &report->directions[d]);
        else
            report->directions[d].head_bytes = conn_head_bytes(conn, direction);
    }
}

void conn_fill_outcome(struct report *report, const struct conn_outcome *outcome)
{
    report->outcome = outcome->outcome;
    report->closed_by = outcome->closed_by;
    set_text(report->detail, sizeof(report->detail), outcome->detail);
}

bool conn_report(const struct conn *conn, struct report *report)
{
    switch (conn->state) {
    case CONN_ENDED:
        return false;
    case CONN_LINGERING:
        *report = *conn->final;
        report->outcome = OUTCOME_OPEN;
        report->detail[0] = '\0';
        report->duration_ms = loop_now_ms() - conn->began_ms;
        return true;
    case CONN_HTTP:
        if (http_conn_report(conn->http, report))
            return true;
        conn_fill_report(conn, report);
        /* The handshake was told with the first response. */
        report->directions[SESSION_TO_SERVER].head_bytes = 0;
        report->directions[SESSION_TO_CLIENT].head_bytes = 0;
        return true;
    case CONN_ACCEPTED:
    case CONN_READING_HEADER:
    case CONN_HANDSHAKING:
    case CONN_PEEKING:
    case CONN_DIALING:
    case CONN_GREETING:
    case CONN_SECURING:
    case CONN_RELAYING:
        conn_fill_report(conn, report);
        return true;
    }
    return false;
}

bool conn_is_admin(const struct conn *conn)
{
    return conn->listener->is_admin;
}
