/* A TLS connection whose records the kernel decrypts: data by recv(), everything else by recvmsg() with its
 * type; and our own alerts by sendmsg(). Every branch here is a fact of kernel.md 3.
 * Refuses to know OpenSSL's state: it may be gone. */
#include <errno.h>
#include <linux/tcp.h> /* not netinet/tcp.h: its tcp_info ends before bytes_received */
#include <linux/tls.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "relay/loop.h"
#include "relay/tls_conn_internal.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* Room for the largest alert and the head of a message: a caller's buffer may be smaller. */
#define CONTROL_ROOM 256

/* A read that finds nothing though TCP has received this much since the last payload: no record is so large
 * (16 KiB and some), so what came were empty ones, which recv() passes over in silence. */
#define BARREN_BYTES (64u << 10)

static ssize_t receive_typed(int fd, uint8_t *type, void *buffer, size_t size)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(uint8_t))];
    } control;
    struct iovec iov = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    *type = TLS_RECORD_DATA;
    ssize_t got = recvmsg(fd, &message, 0);
    const struct cmsghdr *header = got >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_level == SOL_TLS && header->cmsg_type == TLS_GET_RECORD_TYPE)
        *type = *CMSG_DATA(header);
    return got;
}

static ssize_t send_typed(int fd, uint8_t type, const void *data, size_t size)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(uint8_t))];
    } control = {.header = {.cmsg_level = SOL_TLS,
                            .cmsg_type = TLS_SET_RECORD_TYPE,
                            .cmsg_len = CMSG_LEN(sizeof(uint8_t))}};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    *CMSG_DATA(&control.header) = type;
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (sent == -1 && errno == EINTR);
    return sent;
}

enum tls_status tls_kernel_close_notify(struct tls_conn *tls)
{
    static const uint8_t close_notify[2] = {SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY};
    if (send_typed(tls->fd, TLS_RECORD_ALERT, close_notify, sizeof(close_notify)) != -1) {
        tls->notified = true;
        return TLS_DONE;
    }
    return errno == EAGAIN ? TLS_WANT_WRITE : tls_conn_broken(tls, errno, strerror(errno));
}

/* Header, alert and tag; in TLS 1.3 the type of the record, in TLS 1.2 what AES-GCM tells of its nonce. */
size_t tls_conn_close_notify_size(const struct tls_conn *tls)
{
    if (!tls->ktls_tx || !tls->notified || strstr(tls->cipher, "_CCM") != NULL)
        return 0;
    bool nonce = strstr(tls->cipher, "_GCM_") != NULL;
    return 5 + 2 + 16 + (tls->control.tls13 ? 1 : nonce ? 8 : 0);
}

/* TLS 1.2: as OpenSSL does under SSL_OP_NO_RENEGOTIATION, goes on. What can't be sent now isn't sent: the
 * peer may wait, and that is its affair. */
static void refuse_renegotiation(const struct tls_conn *tls)
{
    static const uint8_t alert[2] = {SSL3_AL_WARNING, SSL_AD_NO_RENEGOTIATION};
    (void)send_typed(tls->fd, TLS_RECORD_ALERT, alert, sizeof(alert));
}

static enum tls_status on_control(struct tls_conn *tls, uint8_t type, const uint8_t *data, size_t size)
{
    const char *why = "";
    char text[sizeof(tls->error)];
    if (tls_conn_storm(tls))
        return tls_conn_broken(tls, EPROTO, "too many TLS records that carry no data");
    switch (tls_control_read(&tls->control, type, data, size, &why)) {
    case TLS_CONTROL_RENEGOTIATE:
        refuse_renegotiation(tls);
        return TLS_DONE;
    case TLS_CONTROL_IGNORE:
        return TLS_DONE;
    case TLS_CONTROL_CLOSE:
        tls->closed = true;
        return TLS_CLOSED;
    case TLS_CONTROL_KEY_UPDATE:
        return tls_conn_broken(tls, EPROTO, "KeyUpdate: the kernel's TLS can't change its keys");
    case TLS_CONTROL_FATAL:
        break;
    }
    snprintf(text, sizeof(text), "%s %s",
             type == TLS_RECORD_ALERT ? "the peer sent the alert:" : "the peer sent", why);
    return tls_conn_broken(tls, EPROTO, text);
}

/* TLS_DONE: the record was no obstacle; *n bytes if it was data after all. */
static enum tls_status read_control(struct tls_conn *tls, void *buffer, size_t size, size_t *n)
{
    uint8_t small[CONTROL_ROOM], type;
    void *room = size < sizeof(small) ? small : buffer;
    ssize_t got = receive_typed(tls->fd, &type, room, size < sizeof(small) ? sizeof(small) : size);
    *n = 0;
    if (got == -1)
        return errno == EAGAIN ? TLS_WANT_READ : tls_conn_broken(tls, errno, strerror(errno));
    if (type != TLS_RECORD_DATA)
        return on_control(tls, type, room, (size_t)got);
    if ((size_t)got > size) /* the kernel has contradicted itself: never go on after a loss */
        return tls_conn_broken(tls, EIO, "the kernel's TLS took data for a control record");
    if (room == small)
        memcpy(buffer, small, (size_t)got);
    *n = (size_t)got;
    return TLS_DONE;
}

enum tls_status tls_conn_skip_control(struct tls_conn *tls)
{
    uint8_t none;
    size_t n;
    return tls->closed ? TLS_CLOSED : read_control(tls, &none, 0, &n);
}

/* Whether empty records are being poured into a read that never finds any payload. Looked at from the second
 * such read on: the first is how every reading ends. */
static bool is_barren_storm(struct tls_conn *tls)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    if (++tls->barren < 2)
        return false;
    if (getsockopt(tls->fd, IPPROTO_TCP, TCP_INFO, &info, &length) == -1)
        return false;
    if (tls->barren == 2)
        tls->barren_mark = info.tcpi_bytes_received;
    return info.tcpi_bytes_received - tls->barren_mark > BARREN_BYTES;
}

void tls_conn_note_spliced(struct tls_conn *tls)
{
    tls->barren = 0;
}

static enum tls_status on_nothing(struct tls_conn *tls)
{
    if (is_barren_storm(tls))
        return tls_conn_broken(tls, EPROTO, "too many TLS records that carry no data");
    return TLS_WANT_READ;
}

/* recv() said 0: the end, if TCP has really come to one. */
static bool peer_has_ended(const struct tls_conn *tls)
{
    struct pollfd fd = {.fd = tls->fd, .events = POLLRDHUP};
    return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

enum tls_status tls_kernel_read(struct tls_conn *tls, void *buffer, size_t size, size_t *n)
{
    if (tls->closed)
        return TLS_CLOSED;
    for (;;) {
        ssize_t got = recv(tls->fd, buffer, size, 0);
        if (got > 0) {
            tls->barren = 0;
            *n = (size_t)got;
            return TLS_DONE;
        }
        if (got == 0)
            return peer_has_ended(tls) ? tls_conn_truncated(tls) : on_nothing(tls);
        if (errno == EAGAIN)
            return on_nothing(tls);
        if (errno == EIO) {
            enum tls_status status = read_control(tls, buffer, size, n);
            if (status != TLS_DONE || *n != 0)
                return status;
        } else if (errno != EINTR) {
            return tls_conn_broken(tls, errno == ECONNRESET ? ECONNRESET : EPROTO,
                                   errno == EBADMSG ? "a record that can't be decrypted" : strerror(errno));
        }
    }
}
