/* The PROXY header that a server is sent in front of the client's bytes, as soon as it is connected: it goes
 * also where the server is to speak first. Refuses to know how it is written (proxy_header). */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/conn_internal.h"
#include "proxy/ejection.h"
#include "proxy/proxy_header.h"
#include "proxy/worker_internal.h"

static void lose_server(struct conn *conn, int error)
{
    ejection_note(conn->target->backend, conn->server_used, EJECTION_EARLY_RESET, loop_now_ms());
    conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_SERVER, strerror(error)});
}

static size_t write_header(const struct conn *conn, enum proxy_header_version version,
                           uint8_t to[PROXY_HEADER_WRITE_MAX])
{
    const struct sockaddr_storage client = conn_client(conn);
    struct proxy_header_facts facts = {.source = &client, .authority = conn->asked_name};
    struct sockaddr_storage here = {0};
    socklen_t length = sizeof(here);

    if (conn->origin != NULL) {
        facts.tlvs = conn->origin->tlvs;
        facts.tlv_size = conn->origin->tlv_size;
    }
    if (conn->origin != NULL && conn->origin->has_destination)
        facts.destination = &conn->origin->destination;
    else if (getsockname(conn->client.fd, (struct sockaddr *)&here, &length) == 0)
        facts.destination = &here;
    if (conn->tls != NULL) {
        const struct tls_facts *tls = &conn->tls->facts;
        const char *cipher = OPENSSL_cipher_name(tls->cipher);

        facts.authority = tls->sni;
        facts.alpn = tls->alpn;
        facts.tls_version = tls->version;
        facts.tls_cipher = strcmp(cipher, "(NONE)") != 0 ? cipher : tls->cipher;
        facts.tls_name = tls->peer_name;
    }
    return proxy_header_write(version, &facts, to);
}

/* What a full send buffer left over is kept until there is room. */
static int keep_rest(struct conn *conn, const uint8_t *rest, size_t size)
{
    conn->greeting = malloc(sizeof(*conn->greeting) + size);
    if (conn->greeting == NULL)
        return -1;
    *conn->greeting = (struct conn_greeting){
        .deadline_ms = loop_now_ms() + conn->listener->timeouts.connect_ms, .size = size};
    memcpy(conn->greeting->bytes, rest, size);
    return 0;
}

static void on_server_ready(void *arg)
{
    struct conn *conn = arg;
    struct conn_greeting *greeting = conn->greeting;

    while (greeting->sent < greeting->size) {
        size_t n = 0;

        switch (endpoint_write(&conn->server, greeting->bytes + greeting->sent,
                               greeting->size - greeting->sent, false, &n)) {
        case IO_OK:
            greeting->sent += n;
            break;
        case IO_AGAIN:
            return;
        case IO_EOF:
        case IO_BROKEN:
            lose_server(conn, errno);
            return;
        }
    }
    conn_secure(conn);
}

void conn_greet(struct conn *conn)
{
    static const enum proxy_header_version versions[] = {
        [CONF_PROXY_HEADER_V1] = PROXY_HEADER_V1, [CONF_PROXY_HEADER_V2] = PROXY_HEADER_V2};
    uint8_t header[PROXY_HEADER_WRITE_MAX];
    size_t size, n = 0;

    if (conn->target->proxy_header == CONF_PROXY_HEADER_OFF) {
        conn_secure(conn);
        return;
    }
    size = write_header(conn, versions[conn->target->proxy_header], header);
    conn->greeting_size = (uint16_t)size;
    if (endpoint_write(&conn->server, header, size, false, &n) == IO_BROKEN) {
        lose_server(conn, errno);
        return;
    }
    if (n == size) {
        conn_secure(conn);
        return;
    }
    if (keep_rest(conn, header + n, size - n) == -1) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_NO_SERVER, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    conn->state = CONN_GREETING;
    conn_schedule(conn);
    endpoint_on_ready(&conn->server, on_server_ready, conn);
    /* Room may have come meanwhile, and its edge passed. */
    on_server_ready(conn);
}
