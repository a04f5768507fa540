/* Sockets and OpenSSL, non-blocking.
 * Refuses to know what is said on them. */
#include "sluice_load/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sluice_load/target.h"

/* The newest ticket replaces the one before: servers may refuse one that was used. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **place = SSL_get_app_data(ssl);

    if (place == NULL)
        return 0;
    SSL_SESSION_free(*place);
    *place = session;
    return 1;
}

SSL_CTX *stream_tls_new(const struct stream_tls_options *options)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        return NULL;
    if (options->version != 0) {
        SSL_CTX_set_min_proto_version(ctx, options->version);
        SSL_CTX_set_max_proto_version(ctx, options->version);
    }
    if (options->ciphersuite != NULL && SSL_CTX_set_ciphersuites(ctx, options->ciphersuite) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Several records a read: the client is not to be the limit. */
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, 128 * 1024);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (options->resume) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    }
    if (options->ca != NULL) {
        if (SSL_CTX_load_verify_file(ctx, options->ca) != 1) {
            SSL_CTX_free(ctx);
            return NULL;
        }
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    return ctx;
}

/* A copy: OpenSSL marks a session of TLS 1.3 as used up as soon as one connection has resumed it, and others
 * may be about to offer it, too. */
static int offer_session(SSL *ssl, const SSL_SESSION *session)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    int status = copy != NULL && SSL_set_session(ssl, copy) == 1 ? 0 : -1;

    SSL_SESSION_free(copy);
    return status;
}

static int set_up_tls(struct stream *stream, const struct target *target, SSL_CTX *ctx, SSL_SESSION **session)
{
    struct in6_addr binary;

    stream->ssl = SSL_new(ctx);
    if (stream->ssl == NULL || SSL_set_fd(stream->ssl, stream->fd) != 1)
        return -1;
    SSL_set_connect_state(stream->ssl);
    if (inet_pton(AF_INET, target->host, &binary) == 1 || inet_pton(AF_INET6, target->host, &binary) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream->ssl), target->host);
    } else if (SSL_set_tlsext_host_name(stream->ssl, target->host) != 1 ||
               SSL_set1_host(stream->ssl, target->host) != 1) {
        return -1;
    }
    SSL_set_app_data(stream->ssl, session);
    return session == NULL || *session == NULL ? 0 : offer_session(stream->ssl, *session);
}

/* The port is chosen with the target in view, as without bind(). */
static int bind_source(int fd, const struct target *target, unsigned source)
{
    struct sockaddr_in address;
    int one = 1;

    if (source == 0 || target->address.ss_family != AF_INET)
        return 0;
    memcpy(&address, &target->address, sizeof(address));
    if (ntohl(address.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return 0;
    address.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00) | source);
    address.sin_port = 0;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

int stream_open(struct stream *stream, const struct target *target, unsigned source, SSL_CTX *ctx,
                SSL_SESSION **session)
{
    int one = 1, error;

    stream->ssl = NULL;
    stream->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd == -1)
        return -1;
    if (target->address.ss_family != AF_UNIX)
        setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind_source(stream->fd, target, source) == -1)
        goto fail;
    if (connect(stream->fd, (const struct sockaddr *)&target->address, target->address_size) == -1 &&
        errno != EINPROGRESS)
        goto fail;
    if (target->tls && set_up_tls(stream, target, ctx, session) == -1) {
        errno = ENOMEM;
        goto fail;
    }
    return 0;
fail:
    error = errno;
    SSL_free(stream->ssl);
    close(stream->fd);
    stream->ssl = NULL;
    stream->fd = -1;
    errno = error;
    return -1;
}

enum stream_result stream_finish_connect(struct stream *stream)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(int);
    int error = 0;

    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1 || error != 0) {
        errno = error != 0 ? error : errno;
        return STREAM_BROKEN;
    }
    size = sizeof(peer);
    return getpeername(stream->fd, (struct sockaddr *)&peer, &size) == 0 ? STREAM_GOOD : STREAM_AGAIN;
}

static enum stream_result ssl_result(const struct stream *stream, int result)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_END;
    default:
        return STREAM_BROKEN;
    }
}

enum stream_result stream_handshake(struct stream *stream)
{
    int result;

    ERR_clear_error();
    errno = 0;
    result = SSL_connect(stream->ssl);
    return result == 1 ? STREAM_GOOD : ssl_result(stream, result);
}

/* n: what the system call returned. */
static enum stream_result socket_result(ssize_t n, bool reading)
{
    if (n == -1)
        return errno == EAGAIN || errno == EINTR ? STREAM_AGAIN : STREAM_BROKEN;
    return n == 0 && reading ? STREAM_END : STREAM_GOOD;
}

enum stream_result stream_read(struct stream *stream, void *data, size_t size, size_t *n)
{
    ssize_t got;

    if (stream->ssl != NULL) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_read_ex(stream->ssl, data, size, n);

        return result == 1 ? STREAM_GOOD : ssl_result(stream, result);
    }
    got = recv(stream->fd, data, size, 0);
    *n = got > 0 ? (size_t)got : 0;
    return socket_result(got, true);
}

enum stream_result stream_discard(struct stream *stream, size_t size, size_t *n)
{
    ssize_t got = recv(stream->fd, NULL, size, MSG_TRUNC);

    *n = got > 0 ? (size_t)got : 0;
    return socket_result(got, true);
}

enum stream_result stream_write(struct stream *stream, const void *data, size_t size, size_t *n)
{
    ssize_t sent;

    if (stream->ssl != NULL) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_write_ex(stream->ssl, data, size, n);

        return result == 1 ? STREAM_GOOD : ssl_result(stream, result);
    }
    sent = send(stream->fd, data, size, MSG_NOSIGNAL);
    *n = sent > 0 ? (size_t)sent : 0;
    return socket_result(sent, false);
}

const char *stream_error(const struct stream *stream)
{
    const char *reason = NULL;

    if (stream->ssl != NULL) {
        long verify = SSL_get_verify_result(stream->ssl);

        reason = verify != X509_V_OK && SSL_get_verify_mode(stream->ssl) != SSL_VERIFY_NONE
                     ? X509_verify_cert_error_string(verify)
                     : ERR_reason_error_string(ERR_peek_error());
    }
    if (reason != NULL)
        return reason;
    return errno != 0 ? strerror(errno) : "the connection ended";
}

bool stream_pending(const struct stream *stream)
{
    return stream->ssl != NULL && SSL_has_pending(stream->ssl) == 1;
}

void stream_close(struct stream *stream)
{
    if (stream->ssl != NULL) {
        /* One attempt to say good-bye; without it a session may not be resumed. */
        ERR_clear_error();
        if (SSL_is_init_finished(stream->ssl) && SSL_shutdown(stream->ssl) < 0)
            ERR_clear_error();
        SSL_free(stream->ssl);
    }
    if (stream->fd != -1)
        close(stream->fd);
    stream->ssl = NULL;
    stream->fd = -1;
}
