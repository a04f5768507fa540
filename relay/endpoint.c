/* Edges of sockets, and reading and writing each kind of end from user space.
 * Refuses to know which mode moves the bytes. */
#include "relay/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/tls_conn.h"

/* EPOLLHUP and EPOLLERR come with whatever the socket is ready for, but a waiting side must look in any case.
 */
static void on_edge(struct poll_entry *entry, uint32_t events)
{
    struct endpoint *ep = (struct endpoint *)((char *)entry - offsetof(struct endpoint, entry));
    const uint32_t broken = EPOLLERR | EPOLLHUP;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI | broken))
        ep->readable = true;
    if (events & (EPOLLOUT | broken))
        ep->writable = true;
    if (events & broken)
        ep->suspect = true;
    if (events & (EPOLLRDHUP | EPOLLPRI | broken))
        ep->read_to_end = true;
    if (ep->on_ready != NULL)
        ep->on_ready(ep->on_ready_arg);
}

static int open_socket(struct endpoint *ep, const struct endpoint *as, int fd)
{
    *ep = *as;
    ep->kind = ENDPOINT_SOCKET;
    ep->entry.on_edge = on_edge;
    if (poller_add(ep->loop->poller, &ep->entry, fd) == -1) {
        ep->fd = -1;
        return -1;
    }
    ep->fd = fd;
    return 0;
}

/* The urgent byte stays in the stream (RFC 6093): without this it would be lost on the way. Fails harmlessly
 * on a UNIX socket, which has none, nor a delay. */
static void keep_urgent(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

bool endpoint_prepare(int fd)
{
    const int on = 1;
    keep_urgent(fd);
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
}

int endpoint_open_socket(struct endpoint *ep, struct loop *loop, int fd)
{
    /* A read from a UNIX socket stops short also where descriptors were passed, and no edge tells. */
    const bool tcp = endpoint_prepare(fd);
    return open_socket(
        ep, &(struct endpoint){.loop = loop, .readable = true, .writable = true, .read_to_end = !tcp}, fd);
}

int endpoint_open_accepted(struct endpoint *ep, struct loop *loop, int fd)
{
    return open_socket(ep, &(struct endpoint){.loop = loop}, fd);
}

int endpoint_open_connecting(struct endpoint *ep, struct loop *loop, int fd)
{
    keep_urgent(fd);
    return open_socket(ep, &(struct endpoint){.loop = loop, .delayed = true}, fd);
}

int endpoint_take_over(struct endpoint *ep, struct endpoint *from)
{
    *ep = *from;
    ep->on_ready = NULL;
    if (poller_move(ep->loop->poller, &ep->entry, &from->entry, from->fd) == -1) {
        *ep = ENDPOINT_NONE;
        return -1;
    }
    from->tls = NULL;
    from->kind = ENDPOINT_SOCKET;
    from->fd = -1;
    return 0;
}

void endpoint_set_tls(struct endpoint *ep, struct tls_conn *tls)
{
    assert(ep->kind == ENDPOINT_SOCKET);
    ep->kind = ENDPOINT_TLS;
    ep->tls = tls;
}

void endpoint_shook_hands(struct endpoint *ep)
{
    assert(ep->kind == ENDPOINT_TLS);
    if (tls_conn_holds(ep->tls))
        ep->readable = true;
}

void endpoint_open_file(struct endpoint *ep, struct loop *loop, int fd, uint64_t offset, uint64_t end,
                        bool is_regular)
{
    *ep = (struct endpoint){.kind = ENDPOINT_FILE,
                            .fd = fd,
                            .loop = loop,
                            .offset = offset,
                            .end = end,
                            .not_regular = !is_regular};
}

void endpoint_open_memory(struct endpoint *ep, struct loop *loop, const void *data, size_t size)
{
    *ep = (struct endpoint){.kind = ENDPOINT_MEMORY, .fd = -1, .loop = loop, .end = size, .data = data};
}

void endpoint_open_stream(struct endpoint *ep, struct loop *loop, int fd, endpoint_make_fn *make, void *arg)
{
    *ep = (struct endpoint){.kind = ENDPOINT_STREAM, .fd = fd, .loop = loop, .make = make, .make_arg = arg};
}

void endpoint_on_ready(struct endpoint *ep, void (*on_ready)(void *arg), void *arg)
{
    if (ep->kind != ENDPOINT_SOCKET && ep->kind != ENDPOINT_TLS)
        return;
    ep->on_ready = on_ready;
    ep->on_ready_arg = arg;
}

void endpoint_wake(void *ep)
{
    const struct endpoint *endpoint = ep;
    if (endpoint->on_ready != NULL)
        endpoint->on_ready(endpoint->on_ready_arg);
}

static enum io_status tls_io(struct endpoint *ep, enum tls_status status, bool reading)
{
    switch (status) {
    case TLS_DONE:
        return IO_OK;
    case TLS_WANT_READ:
        ep->readable = false;
        ep->write_wants_read = !reading;
        return IO_AGAIN;
    case TLS_WANT_WRITE:
        ep->writable = false;
        ep->read_wants_write = reading;
        return IO_AGAIN;
    case TLS_CLOSED:
        if (reading)
            return IO_EOF;
        errno = EPIPE;
        return IO_BROKEN;
    case TLS_TRUNCATED:
        errno = ENODATA;
        return IO_BROKEN;
    case TLS_BROKEN:
        break;
    }
    return IO_BROKEN;
}

/* A read that brought less than was asked for has emptied the socket, and what comes later is an edge: asking
 * again, to be told EAGAIN, would be a fifth of the system calls of a small request. But a read also stops
 * short at an urgent byte and before the peer's end, of which the edges have told, or are about to. */
static enum io_status read_socket(struct endpoint *ep, void *buffer, size_t size, size_t *n)
{
    ssize_t got;
    do {
        loop_count(ep->loop, RELAY_SYS_RECV);
        got = recv(ep->fd, buffer, size, 0);
    } while (got == -1 && errno == EINTR);
    if (got > 0) {
        *n = (size_t)got;
        if (*n < size && !ep->read_to_end)
            ep->readable = false;
        return IO_OK;
    }
    if (got == 0)
        return IO_EOF;
    if (errno != EAGAIN)
        return IO_BROKEN;
    ep->readable = false;
    return IO_AGAIN;
}

static enum io_status read_file(struct endpoint *ep, void *buffer, size_t size, size_t *n)
{
    uint64_t left = ep->end - ep->offset;
    if (left == 0)
        return IO_EOF;
    ssize_t got;
    do {
        loop_count(ep->loop, RELAY_SYS_PREAD);
        got = pread(ep->fd, buffer, left < size ? (size_t)left : size, (off_t)ep->offset);
    } while (got == -1 && errno == EINTR);
    if (got > 0) {
        ep->offset += (uint64_t)got;
        *n = (size_t)got;
        return IO_OK;
    }
    if (got == 0)
        errno = ENODATA; /* the file was truncated: never pad, never end cleanly */
    return IO_BROKEN;
}

static enum io_status read_memory(struct endpoint *ep, void *buffer, size_t size, size_t *n)
{
    uint64_t left = ep->end - ep->offset;
    if (left == 0)
        return IO_EOF;
    *n = left < size ? (size_t)left : size;
    memcpy(buffer, ep->data + ep->offset, *n);
    ep->offset += *n;
    return IO_OK;
}

static enum io_status read_tls(struct endpoint *ep, void *buffer, size_t size, size_t *n)
{
    ep->read_wants_write = false;
    loop_count(ep->loop, RELAY_SYS_SSL_READ);
    enum io_status status = tls_io(ep, tls_conn_read(ep->tls, buffer, size, n), true);
    if (status == IO_OK && !ep->read_to_end && tls_conn_drained(ep->tls))
        ep->readable = false;
    return status;
}

enum io_status endpoint_read(struct endpoint *ep, void *buffer, size_t size, size_t *n)
{
    switch (ep->kind) {
    case ENDPOINT_SOCKET:
        return read_socket(ep, buffer, size, n);
    case ENDPOINT_TLS:
        return read_tls(ep, buffer, size, n);
    case ENDPOINT_FILE:
        return read_file(ep, buffer, size, n);
    case ENDPOINT_STREAM:
        return ep->make(ep->make_arg, buffer, size, n);
    case ENDPOINT_MEMORY:
        break;
    }
    return read_memory(ep, buffer, size, n);
}

static void end_delay(struct endpoint *ep)
{
    const int on = 1;
    ep->delayed = false;
    loop_count(ep->loop, RELAY_SYS_IOCTL);
    (void)setsockopt(ep->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void endpoint_before_write(struct endpoint *ep)
{
    if (ep->delayed && ep->written)
        end_delay(ep);
    ep->written = true;
}

enum io_status endpoint_write(struct endpoint *ep, const void *data, size_t size, bool more, size_t *n)
{
    if (ep->kind == ENDPOINT_TLS && !tls_conn_ktls_tx(ep->tls)) {
        ep->write_wants_read = false;
        loop_count(ep->loop, RELAY_SYS_SSL_WRITE);
        return tls_io(ep, tls_conn_write(ep->tls, data, size, more, n), false);
    }
    ssize_t sent;
    endpoint_before_write(ep);
    do {
        loop_count(ep->loop, RELAY_SYS_SEND);
        sent = send(ep->fd, data, size, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } while (sent == -1 && errno == EINTR);
    if (sent >= 0) {
        *n = (size_t)sent;
        return IO_OK;
    }
    if (errno != EAGAIN)
        return IO_BROKEN;
    ep->writable = false;
    return IO_AGAIN;
}

enum io_status endpoint_shutdown_write(struct endpoint *ep, bool closes)
{
    if (ep->kind == ENDPOINT_TLS)
        return tls_io(ep, tls_conn_close_notify(ep->tls, closes), false);
    return shutdown(ep->fd, SHUT_WR) == 0 ? IO_OK : IO_BROKEN;
}

bool endpoint_can_read(const struct endpoint *ep)
{
    if (ep->kind == ENDPOINT_SOCKET || ep->kind == ENDPOINT_TLS)
        return ep->read_wants_write ? ep->writable : ep->readable;
    return true;
}

bool endpoint_can_write(const struct endpoint *ep)
{
    return ep->write_wants_read ? ep->readable : ep->writable;
}

int endpoint_check(struct endpoint *ep)
{
    if (!ep->suspect || ep->fd == -1)
        return 0;
    ep->suspect = false;
    int error = 0;
    socklen_t length = sizeof(error);
    loop_count(ep->loop, RELAY_SYS_IOCTL);
    return getsockopt(ep->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

int endpoint_unsent(const struct endpoint *ep)
{
    int unsent = 0;
    loop_count(ep->loop, RELAY_SYS_IOCTL);
    return ep->fd != -1 && ioctl(ep->fd, SIOCOUTQ, &unsent) == 0 ? unsent : 0;
}

void endpoint_close(struct endpoint *ep)
{
    if (ep->kind == ENDPOINT_SOCKET || ep->kind == ENDPOINT_TLS) {
        if (ep->fd != -1)
            poller_remove(ep->loop->poller, &ep->entry);
        tls_conn_free(ep->tls);
        ep->tls = NULL;
        ep->kind = ENDPOINT_SOCKET;
    }
    if (ep->fd != -1 && !ep->borrowed)
        close(ep->fd);
    ep->fd = -1;
    ep->readable = ep->writable = false;
}

void endpoint_reset(struct endpoint *ep)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (ep->fd != -1)
        (void)setsockopt(ep->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    endpoint_close(ep);
}

static enum plan_kind plan_kind(const struct endpoint *ep)
{
    switch (ep->kind) {
    case ENDPOINT_FILE:
        return PLAN_FILE;
    case ENDPOINT_MEMORY:
        return PLAN_MEMORY;
    case ENDPOINT_STREAM:
        return PLAN_STREAM;
    case ENDPOINT_SOCKET:
    case ENDPOINT_TLS:
        break;
    }
    return PLAN_SOCKET;
}

struct plan_side endpoint_plan_source(const struct endpoint *ep)
{
    struct plan_side side = {.kind = plan_kind(ep)};
    if (ep->kind == ENDPOINT_TLS) {
        side.crypto = tls_conn_ktls_rx(ep->tls) ? RELAY_CRYPTO_KTLS : RELAY_CRYPTO_USER;
        side.user_reason = tls_conn_rx_reason(ep->tls);
    }
    return side;
}

struct plan_side endpoint_plan_sink(const struct endpoint *ep)
{
    struct plan_side side = {.kind = plan_kind(ep)};
    if (ep->kind == ENDPOINT_TLS) {
        side.crypto = tls_conn_ktls_tx(ep->tls) ? RELAY_CRYPTO_KTLS : RELAY_CRYPTO_USER;
        side.user_reason = tls_conn_tx_reason(ep->tls);
    }
    return side;
}
