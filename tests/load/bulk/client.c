/* A connection that fetches: connect, handshake, request, head, body and the server's end, one step after the
 * other as the socket allows, every byte of the body judged.
 * Refuses to know how the options came about and what is printed in the end. */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "options.h"

#define FAILURES_TOLD 5

enum io { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_EOF, IO_BROKEN };

/* ---- one connection's end ---- */

static void client_close(struct client *client)
{
    struct run *run = client->run;
    if (client->ssl != NULL) {
        SSL_shutdown(client->ssl);
        SSL_free(client->ssl);
        client->ssl = NULL;
    }
    EVP_MD_CTX_free(client->digest);
    client->digest = NULL;
    close(client->fd);
    client->fd = -1;
    client->state = STATE_DONE;
    run->active--;
}

void client_fail(struct client *client, const char *format, ...)
{
    struct run *run = client->run;
    if (run->failed++ < FAILURES_TOLD) {
        va_list arguments;
        va_start(arguments, format);
        fputs("bulk: ", stderr);
        vfprintf(stderr, format, arguments);
        fprintf(stderr, " (after %" PRIu64 " bytes of the body)\n", client->received);
        va_end(arguments);
    }
    client_close(client);
}

/* ---- reading and writing ---- */

static enum io ssl_result(struct client *client, int result)
{
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    default:
        return IO_BROKEN;
    }
}

static enum io client_read(struct client *client, void *data, size_t size, size_t *n)
{
    struct run *run = client->run;
    if (client->ssl != NULL) {
        ERR_clear_error();
        int result = SSL_read_ex(client->ssl, data, size, n);
        return result == 1 ? IO_OK : ssl_result(client, result);
    }
    bool discard = run->options->drain == DRAIN_TRUNC && data == run->buffer;
    ssize_t result = recv(client->fd, discard ? NULL : data, size, discard ? MSG_TRUNC : 0);
    if (result == -1) {
        return errno == EAGAIN || errno == EINTR ? IO_WANT_READ : IO_BROKEN;
    }
    *n = (size_t)result;
    return result == 0 ? IO_EOF : IO_OK;
}

static enum io client_write(struct client *client, const void *data, size_t size, size_t *n)
{
    if (client->ssl != NULL) {
        ERR_clear_error();
        int result = SSL_write_ex(client->ssl, data, size, n);
        return result == 1 ? IO_OK : ssl_result(client, result);
    }
    ssize_t result = send(client->fd, data, size, MSG_NOSIGNAL);
    if (result == -1) {
        return errno == EAGAIN || errno == EINTR ? IO_WANT_WRITE : IO_BROKEN;
    }
    *n = (size_t)result;
    return IO_OK;
}

static const char *broken_reason(const struct client *client)
{
    const char *reason = client->ssl != NULL ? ERR_reason_error_string(ERR_peek_error()) : NULL;
    return reason != NULL ? reason : errno != 0 ? strerror(errno) : "connection broken";
}

/* ---- the body ---- */

/* Whether the bytes are the right ones so far; discarded ones are only counted. */
static bool body_take(struct client *client, const uint8_t *data, size_t n)
{
    struct run *run = client->run;
    uint64_t at = client->received;
    client->received += n;
    run->bytes += n;
    if (client->length != LENGTH_UNKNOWN && client->received > client->length) {
        client_fail(client, "more than the %" PRIu64 " bytes announced", client->length);
        return false;
    }
    if (run->options->drain != DRAIN_VERIFY) {
        return true;
    }
    if (run->options->content == NULL) {
        if (EVP_DigestUpdate(client->digest, data, n) != 1) {
            die("out of memory");
        }
    } else if (at + n > run->options->length || memcmp(run->options->content + at, data, n) != 0) {
        client_fail(client, "the bytes from %" PRIu64 " on are not those of the file", at);
        return false;
    }
    return true;
}

static bool body_begin(struct client *client)
{
    struct run *run = client->run;
    client->received = 0;
    client->state = STATE_BODY;
    if (run->options->drain == DRAIN_VERIFY && run->options->content == NULL) {
        client->digest = client->digest != NULL ? client->digest : EVP_MD_CTX_new();
        if (client->digest == NULL || EVP_DigestInit_ex(client->digest, EVP_sha256(), NULL) != 1) {
            die("out of memory");
        }
    }
    if (run->options->length != LENGTH_UNKNOWN && client->length != LENGTH_UNKNOWN &&
        client->length != run->options->length) {
        client_fail(client, "Content-Length is %" PRIu64 ", not %" PRIu64, client->length,
                    run->options->length);
        return false;
    }
    return true;
}

static bool digest_good(struct client *client)
{
    struct run *run = client->run;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char text[sizeof(run->sha256)];
    if (run->options->drain != DRAIN_VERIFY || run->options->content != NULL) {
        return true;
    }
    if (EVP_DigestFinal_ex(client->digest, sum, &size) != 1) {
        die("out of memory");
    }
    for (size_t i = 0; i < size && 2 * i + 3 <= sizeof(text); i++) {
        snprintf(text + 2 * i, 3, "%02x", sum[i]);
    }
    if (run->sha256[0] == '\0') {
        snprintf(run->sha256, sizeof(run->sha256), "%s", text);
    }
    const char *wanted = run->options->sha256 != NULL ? run->options->sha256 : run->sha256;
    if (strcasecmp(text, wanted) != 0) {
        client_fail(client, "SHA-256 is %s, not %s", text, wanted);
        return false;
    }
    return true;
}

/* The body is whole: the next request, or wait for the server's end. */
static void body_end(struct client *client)
{
    struct run *run = client->run;
    uint64_t wanted = run->options->length != LENGTH_UNKNOWN ? run->options->length : client->received;
    if (client->received != wanted) {
        client_fail(client, "the body ended early, %" PRIu64 " bytes were expected", wanted);
    } else if (!digest_good(client)) {
        return;
    } else if (run->options->scheme == SCHEME_TCP) {
        run->ok++;
        client_close(client);
    } else {
        client->head_used = client->request_sent = 0;
        client->state = --client->requests_left > 0 ? STATE_REQUEST : STATE_END;
    }
}

/* At once when the last byte is in: no further event would come for it. */
static void body_check(struct client *client)
{
    if (client->received == client->length) {
        body_end(client);
    }
}

/* ---- the states; each returns what it waits for, IO_OK to go on ---- */

static enum io step_connect(struct client *client)
{
    struct run *run = client->run;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1 || error != 0) {
        client_fail(client, "connect: %s", strerror(error != 0 ? error : errno));
        return IO_BROKEN;
    }
    /* Writable before it is connected, too, on the way through the first call. */
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof(peer);
    if (getpeername(client->fd, (struct sockaddr *)&peer, &peer_size) == -1) {
        return IO_WANT_WRITE;
    }
    client->state = run->options->scheme == SCHEME_HTTPS ? STATE_HANDSHAKE : STATE_REQUEST;
    if (run->options->scheme == SCHEME_TCP && body_begin(client)) {
        body_check(client);
    }
    return IO_OK;
}

static enum io step_handshake(struct client *client)
{
    ERR_clear_error();
    int result = SSL_connect(client->ssl);
    if (result == 1) {
        client->state = STATE_REQUEST;
        return IO_OK;
    }
    enum io io = ssl_result(client, result);
    if (io == IO_EOF || io == IO_BROKEN) {
        client_fail(client, "TLS handshake: %s", broken_reason(client));
    }
    return io;
}

static enum io step_request(struct client *client)
{
    struct run *run = client->run;
    char request[sizeof(run->options->request) + 32];
    int size = snprintf(request, sizeof(request), "%s%s\r\n", run->options->request,
                        client->requests_left > 1 ? "" : "Connection: close\r\n");
    size_t n = 0;
    enum io io =
        client_write(client, request + client->request_sent, (size_t)size - client->request_sent, &n);
    if (io == IO_BROKEN || io == IO_EOF) {
        client_fail(client, "sending the request: %s", broken_reason(client));
    } else if (io == IO_OK) {
        client->request_sent += n;
        if (client->request_sent == (size_t)size) {
            client->state = STATE_HEAD;
        }
    }
    return io;
}

/* Status and Content-Length of a head that is terminated by NUL. */
static bool head_parse(struct client *client)
{
    client->received = 0;
    if (strncmp(client->head, "HTTP/1.1 200 ", 13) != 0) {
        client_fail(client, "answered \"%.*s\"", (int)strcspn(client->head, "\r\n"), client->head);
        return false;
    }
    const char *field = strcasestr(client->head, "\r\nContent-Length:");
    char *end = NULL;
    client->length = field != NULL ? strtoull(field + 17, &end, 10) : 0;
    if (field == NULL || (*end != '\r' && *end != '\0')) {
        client_fail(client, "answered without a Content-Length");
        return false;
    }
    return body_begin(client);
}

static enum io step_head(struct client *client)
{
    size_t n = 0;
    enum io io = client_read(client, client->head + client->head_used, HEAD_SIZE - 1 - client->head_used, &n);
    if (io == IO_BROKEN || io == IO_EOF) {
        client_fail(client, "reading the head: %s",
                    io == IO_EOF ? "the connection ended" : broken_reason(client));
    }
    if (io != IO_OK) {
        return io;
    }
    client->head_used += n;
    client->head[client->head_used] = '\0';
    char *end = strstr(client->head, "\r\n\r\n");
    if (end == NULL) {
        if (client->head_used == HEAD_SIZE - 1) {
            client_fail(client, "the head is larger than %d bytes", HEAD_SIZE);
            return IO_BROKEN;
        }
        return IO_OK;
    }
    *end = '\0';
    const uint8_t *body = (const uint8_t *)end + 4;
    size_t rest = client->head_used - (size_t)(body - (const uint8_t *)client->head);
    if (!head_parse(client) || !body_take(client, body, rest)) {
        return IO_BROKEN;
    }
    body_check(client);
    return IO_OK;
}

static enum io step_body(struct client *client)
{
    struct run *run = client->run;
    size_t n = 0;
    enum io io = client_read(client, run->buffer, BUFFER_SIZE, &n);
    if (io == IO_OK) {
        if (body_take(client, run->buffer, n)) {
            body_check(client);
        }
    } else if (io == IO_EOF && client->length == LENGTH_UNKNOWN) {
        body_end(client);
    } else if (io == IO_EOF) {
        client_fail(client, "the connection ended early, %" PRIu64 " bytes were announced", client->length);
    } else if (io == IO_BROKEN) {
        client_fail(client, "reading the body: %s", broken_reason(client));
    }
    return io;
}

/* After the last body nothing but an orderly end may come: over TLS, close_notify. */
static enum io step_end(struct client *client)
{
    struct run *run = client->run;
    size_t n = 0;
    char byte;
    enum io io = client_read(client, &byte, 1, &n);
    if (io == IO_EOF) {
        run->ok++;
        client_close(client);
    } else if (io == IO_OK) {
        client_fail(client, "bytes after the last body");
    } else if (io == IO_BROKEN) {
        client_fail(client, "instead of an end: %s", broken_reason(client));
    }
    return io;
}

static enum io (*const steps[])(struct client *client) = {
    [STATE_CONNECT] = step_connect, [STATE_HANDSHAKE] = step_handshake, [STATE_REQUEST] = step_request,
    [STATE_HEAD] = step_head,       [STATE_BODY] = step_body,           [STATE_END] = step_end,
};

/* A few reads a turn: enough to use the buffer, few enough that no connection starves the others. */
void client_turn(struct client *client)
{
    struct run *run = client->run;
    uint32_t events = EPOLLIN;
    for (int i = 0; i < 8 && client->state != STATE_DONE; i++) {
        errno = 0;
        enum io io = steps[client->state](client);
        if (io == IO_WANT_READ || io == IO_WANT_WRITE) {
            events = io == IO_WANT_WRITE ? EPOLLOUT : EPOLLIN;
            break;
        }
        events = client->state == STATE_REQUEST ? EPOLLOUT : EPOLLIN;
    }
    if (client->state != STATE_DONE && events != client->events) {
        struct epoll_event event = {.events = events, .data.ptr = client};
        client->events = events;
        if (epoll_ctl(run->epoll, EPOLL_CTL_MOD, client->fd, &event) == -1) {
            die("epoll_ctl: %s", strerror(errno));
        }
    }
}

static void start_tls(struct client *client, const struct options *options)
{
    client->ssl = SSL_new(options->tls);
    if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1) {
        die("out of memory");
    }
    struct in6_addr binary;
    if (inet_pton(AF_INET, options->host, &binary) == 1 || inet_pton(AF_INET6, options->host, &binary) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client->ssl), options->host);
    } else {
        SSL_set_tlsext_host_name(client->ssl, options->host);
        SSL_set1_host(client->ssl, options->host);
    }
}

void client_start(struct client *client, struct run *run)
{
    const struct options *options = run->options;
    int one = 1;
    client->run = run;
    client->requests_left = options->requests;
    client->length = options->scheme == SCHEME_TCP ? options->length : LENGTH_UNKNOWN;
    client->fd = socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd == -1) {
        die("socket: %s", strerror(errno));
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    run->active++;
    if (options->scheme == SCHEME_HTTPS) {
        start_tls(client, options);
    }
    const struct sockaddr *address = (const struct sockaddr *)&options->address;
    if (connect(client->fd, address, options->address_size) == -1 && errno != EINPROGRESS) {
        client_fail(client, "connect: %s", strerror(errno));
        return;
    }
    struct epoll_event event = {.events = client->events = EPOLLOUT, .data.ptr = client};
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, client->fd, &event) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}
