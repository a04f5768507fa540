/* A connection's beginning, until it is known what is done with it: from a trusted peer the PROXY header is
 * taken, exactly; who may not connect is refused; and where routes choose, a ClientHello is looked at where
 * it lies (MSG_PEEK), so that its bytes are relayed like all others.
 * Refuses to know what the bytes mean (proxy_header, client_hello) and what a target does. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/address.h"
#include "proxy/client_hello.h"
#include "proxy/conn_internal.h"
#include "proxy/proxy_header.h"
#include "proxy/worker_internal.h"

static void refuse(struct conn *conn, const char *detail)
{
    conn_abort(conn, &(struct conn_outcome){OUTCOME_REFUSED, CLOSED_BY_SLUICE, detail});
}

/* --- Looking at what lies in the socket --- */

/* What lies there, in the worker's scratch buffer. */
struct look {
    const uint8_t *data;
    size_t size;
    int error;
};

static struct look look_at(struct conn *conn, size_t max)
{
    struct loop *loop = worker_loop(conn->worker);
    struct look look = {.data = loop->copy_buffer};
    ssize_t got;

    if (max > loop->copy_size)
        max = loop->copy_size;
    do {
        loop_count(loop, RELAY_SYS_RECV);
        got = recv(conn->client.fd, loop->copy_buffer, max, MSG_PEEK);
    } while (got == -1 && errno == EINTR);
    if (got >= 0)
        look.size = (size_t)got;
    else if (errno != EAGAIN)
        look.error = errno;
    return look;
}

/* Whether the client will send nothing more than lies there now. */
static bool has_ended(const struct conn *conn)
{
    struct pollfd poll_fd = {.fd = conn->client.fd, .events = POLLRDHUP};

    return poll(&poll_fd, 1, 0) == 1;
}

/* tcp(7): an edge comes for every segment, and looking again at what was seen costs as much as it has bytes.
 * So the next edge comes only when `needed` bytes are there (or the end is). 1: any byte. */
static void set_mark(struct conn *conn, size_t needed)
{
    const int mark = (int)needed;

    if (needed == 1 && !conn->marked)
        return;
    (void)setsockopt(conn->client.fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
    conn->marked = needed != 1;
}

/* --- The PROXY header --- */

static void admit(struct conn *conn);

static int keep_header(struct conn *conn, const struct proxy_header *header)
{
    struct conn_origin *origin = calloc(1, sizeof(*origin) + header->tlv_size);

    if (origin == NULL)
        return -1;
    conn_client_text(conn, origin->proxy, sizeof(origin->proxy));
    origin->header_size = header->size;
    origin->has_destination = header->has_addresses;
    origin->destination = header->destination;
    origin->tlv_size = header->tlv_size;
    if (header->tlv_size > 0)
        memcpy(origin->tlvs, header->tlvs, header->tlv_size);
    if (header->has_addresses)
        conn_set_client(conn, &header->source);
    conn->origin = origin;
    return 0;
}

/* Exactly this many bytes, which are there, leave the socket. */
static bool take_bytes(struct conn *conn, size_t size)
{
    struct loop *loop = worker_loop(conn->worker);

    for (size_t taken = 0; taken < size;) {
        ssize_t got;

        loop_count(loop, RELAY_SYS_RECV);
        got = recv(conn->client.fd, loop->copy_buffer, size - taken, 0);
        if (got == 0 || (got == -1 && errno != EINTR))
            return false;
        taken += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static void read_header(struct conn *conn)
{
    struct proxy_header header;
    enum proxy_header_status status;

    /* The end may have come after the look: then once more, for what came before it. */
    for (bool ended = false;; ended = true) {
        const struct look look = look_at(conn, PROXY_HEADER_READ_MAX);

        if (look.error != 0) {
            conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_CLIENT, strerror(look.error)});
            return;
        }
        status = proxy_header_parse(look.data, look.size, &header);
        if (status != PROXY_HEADER_MORE || ended)
            break;
        if (!has_ended(conn)) {
            set_mark(conn, header.size);
            return;
        }
    }
    set_mark(conn, 1);
    if (status == PROXY_HEADER_MORE)
        conn_abort(conn, &(struct conn_outcome){OUTCOME_REFUSED, CLOSED_BY_CLIENT,
                                                "closed before the end of a PROXY header"});
    else if (status == PROXY_HEADER_BAD)
        refuse(conn, header.problem);
    else if (keep_header(conn, &header) == -1)
        conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_SLUICE, "out of memory"});
    else if (!take_bytes(conn, header.size))
        conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_CLIENT, "lost in the PROXY header"});
    else if (conn_limit_client(conn))
        admit(conn);
}

/* --- Who may connect --- */

static void admit(struct conn *conn)
{
    const struct conf_listener *conf = conn->listener->conf;
    const struct sockaddr_storage client = conn_client(conn);

    if (conf != NULL && conf_cidrs_contain(&conf->deny, &client)) {
        refuse(conn, "deny");
        return;
    }
    if (conf != NULL && conf->allow.count > 0 && !conf_cidrs_contain(&conf->allow, &client)) {
        refuse(conn, "not in allow");
        return;
    }
    if (conn->listener->certs != NULL)
        conn_start_tls(conn);
    else
        conn_route(conn);
}

bool conn_is_proxied(const struct generation_listener *listener, const struct sockaddr_storage *peer)
{
    return listener->conf != NULL && conf_cidrs_contain(&listener->conf->proxy_protocol.trusted, peer);
}

void conn_front_start(struct conn *conn)
{
    const struct sockaddr_storage client = conn_client(conn);

    if (conn_is_proxied(conn->listener, &client)) {
        conn->state = CONN_READING_HEADER;
        conn_schedule(conn);
    } else {
        admit(conn);
    }
}

/* --- Routes --- */

static bool speaks_http(const struct conn *conn)
{
    const char *alpn = conn->tls != NULL ? conn->tls->facts.alpn : "";

    return alpn[0] == '\0' || strcmp(alpn, "http/1.1") == 0;
}

static void follow(struct conn *conn, const struct route *route)
{
    conn->target = route->target;
    set_mark(conn, 1);
    if (conn->target->kind == TARGET_FILES && !speaks_http(conn))
        refuse(conn, "files are served over http/1.1, and another protocol was agreed on");
    else
        conn_begin(conn);
}

static void choose(struct conn *conn, const struct route_facts *facts)
{
    const struct route *route;

    switch (routes_choose(&conn->listener->routes, facts, &route)) {
    case ROUTE_FOUND:
        follow(conn, route);
        return;
    case ROUTE_NONE:
        refuse(conn, "no route");
        return;
    case ROUTE_ASK:
        assert(!facts->asked);
        conn->state = CONN_PEEKING;
        conn_schedule(conn);
        conn_front_ready(conn);
        return;
    }
}

static int keep_name(struct conn *conn, const char *name)
{
    if (name[0] == '\0')
        return 0;
    conn->asked_name = strdup(name);
    return conn->asked_name != NULL ? 0 : -1;
}

static void peek_hello(struct conn *conn)
{
    const struct sockaddr_storage client = conn_client(conn);
    struct client_hello hello;
    enum client_hello_status status;

    for (bool ended = false;; ended = true) {
        const struct look look = look_at(conn, CLIENT_HELLO_MAX);

        if (look.error != 0) {
            conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_CLIENT, strerror(look.error)});
            return;
        }
        status = client_hello_parse(look.data, look.size, &hello);
        if (status != CLIENT_HELLO_MORE || ended)
            break;
        if (!has_ended(conn)) {
            set_mark(conn, hello.needed);
            return;
        }
    }
    if (status == CLIENT_HELLO_BAD) {
        refuse(conn, "malformed ClientHello");
        return;
    }
    if (status == CLIENT_HELLO_TOO_LONG) {
        refuse(conn, "ClientHello longer than 64 KiB");
        return;
    }
    if (status != CLIENT_HELLO_DONE) /* MORE: what is there is none and never will be */
        memset(&hello, 0, sizeof(hello));
    if (keep_name(conn, hello.sni) == -1) {
        conn_abort(conn, &(struct conn_outcome){OUTCOME_RESET, CLOSED_BY_SLUICE, "out of memory"});
        return;
    }
    choose(conn, &(struct route_facts){.client = &client,
                                       .asked = true,
                                       .sni = hello.sni,
                                       .alpn = hello.alpn,
                                       .alpn_size = hello.alpn_size});
}

void conn_route(struct conn *conn)
{
    const struct sockaddr_storage client = conn_client(conn);
    struct route_facts facts = {.client = &client};
    uint8_t alpn[sizeof(conn->tls->facts.alpn)];

    if (conn->listener->target != NULL) {
        conn->target = conn->listener->target;
        conn_begin(conn);
        return;
    }
    if (conn->tls != NULL) {
        const size_t length = strlen(conn->tls->facts.alpn);

        facts.asked = true;
        facts.sni = conn->tls->facts.sni;
        alpn[0] = (uint8_t)length;
        memcpy(alpn + 1, conn->tls->facts.alpn, length);
        facts.alpn = alpn;
        facts.alpn_size = length > 0 ? length + 1 : 0;
    }
    choose(conn, &facts);
}

void conn_front_ready(struct conn *conn)
{
    if (conn->state == CONN_READING_HEADER)
        read_header(conn);
    else
        peek_hello(conn);
}
