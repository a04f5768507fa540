/* One GET over a blocking socket.
 * Refuses to know what is fetched and why. */
#include "proxy/demo_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"

#define TIMEOUT_SECONDS 30
#define BUFFER_SIZE (256u << 10)
#define HEAD_MAX 16384u

struct link {
    struct demo_fetch *fetch;
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    EVP_MD_CTX *hash;
    char *buffer;
    size_t filled;   /* bytes of the head, and what came with it */
    uint64_t length; /* Content-Length */
};

static bool fail(struct link *link, const char *what, const char *why)
{
    snprintf(link->fetch->error, sizeof(link->fetch->error), "%s: %s", what, why);
    return false;
}

static bool fail_tls(struct link *link, const char *what)
{
    unsigned long code = ERR_peek_error();
    long verdict = link->ssl != NULL ? SSL_get_verify_result(link->ssl) : X509_V_OK;
    const char *why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                      : code != 0          ? ERR_reason_error_string(code)
                                           : strerror(errno);

    ERR_clear_error();
    return fail(link, what, why != NULL ? why : "TLS error");
}

static bool dial(struct link *link)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
    struct conf_address address;
    const char *problem;
    bool connected;

    if (!conf_address_parse(link->fetch->address, &address, &problem))
        return fail(link, link->fetch->address, problem);
    link->fd = socket(address.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected = link->fd != -1 &&
                setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
                setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
                connect(link->fd, (struct sockaddr *)&address.addr, address.length) == 0;
    conf_address_clear(&address);
    return connected || fail(link, "connect", strerror(errno));
}

static bool shake_hands(struct link *link)
{
    struct demo_fetch *fetch = link->fetch;
    const char *cipher;

    ERR_clear_error();
    link->ctx = SSL_CTX_new(TLS_client_method());
    if (link->ctx == NULL || SSL_CTX_load_verify_file(link->ctx, fetch->ca) != 1)
        return fail_tls(link, fetch->ca);
    SSL_CTX_set_verify(link->ctx, SSL_VERIFY_PEER, NULL);
    if (fetch->tls_version != 0 && (SSL_CTX_set_min_proto_version(link->ctx, fetch->tls_version) != 1 ||
                                    SSL_CTX_set_max_proto_version(link->ctx, fetch->tls_version) != 1))
        return fail_tls(link, "TLS version");
    link->ssl = SSL_new(link->ctx);
    if (link->ssl == NULL || SSL_set_fd(link->ssl, link->fd) != 1 ||
        SSL_set_tlsext_host_name(link->ssl, "localhost") != 1 || SSL_set1_host(link->ssl, "localhost") != 1 ||
        SSL_connect(link->ssl) != 1)
        return fail_tls(link, "TLS handshake");
    cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(link->ssl));
    snprintf(fetch->tls, sizeof(fetch->tls), "%s", SSL_get_version(link->ssl));
    snprintf(fetch->cipher, sizeof(fetch->cipher), "%s", cipher != NULL ? cipher : "");
    return true;
}

static bool send_request(struct link *link)
{
    char request[512];
    int size = snprintf(request, sizeof(request),
                        "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", link->fetch->path);

    if (size < 0 || (size_t)size >= sizeof(request))
        return fail(link, "request", "the path is too long");
    if (link->ssl != NULL)
        return SSL_write(link->ssl, request, size) == size || fail_tls(link, "request");
    return send(link->fd, request, (size_t)size, MSG_NOSIGNAL) == size ||
           fail(link, "request", strerror(errno));
}

/* At least one byte into buffer. false: an error, the end, or stop. */
static bool receive(struct link *link, char *buffer, size_t size, size_t *n)
{
    ssize_t result;

    do {
        if (link->fetch->stop != NULL && *link->fetch->stop != 0)
            return fail(link, "answer", "stopped");
        if (link->ssl != NULL) {
            ERR_clear_error();
            return SSL_read_ex(link->ssl, buffer, size, n) == 1 || fail_tls(link, "answer");
        }
        result = recv(link->fd, buffer, size, 0);
    } while (result == -1 && errno == EINTR);
    if (result == 0)
        return fail(link, "answer", "it ended short");
    *n = (size_t)result;
    return result > 0 || fail(link, "answer", strerror(errno));
}

/* Reads and parses the head; what came of the body with it is moved to the front of the buffer. */
static bool receive_head(struct link *link)
{
    char *end, *field;
    size_t n;

    do {
        if (link->filled >= HEAD_MAX)
            return fail(link, "answer", "its head is too long");
        if (!receive(link, link->buffer + link->filled, HEAD_MAX - link->filled, &n))
            return false;
        link->filled += n;
        link->buffer[link->filled] = '\0';
        end = strstr(link->buffer, "\r\n\r\n");
    } while (end == NULL);
    if (sscanf(link->buffer, "HTTP/1.1 %3d", &link->fetch->status) != 1)
        return fail(link, "answer", "not HTTP/1.1");
    field = strcasestr(link->buffer, "\r\nContent-Length:");
    if (field == NULL || field > end)
        return fail(link, "answer", "no Content-Length");
    link->length = strtoull(strchr(field, ':') + 1, NULL, 10);
    end += strlen("\r\n\r\n");
    link->filled -= (size_t)(end - link->buffer);
    memmove(link->buffer, end, link->filled);
    return true;
}

static bool take(struct link *link, const char *data, size_t size)
{
    struct demo_fetch *fetch = link->fetch;

    if (size > link->length - fetch->bytes)
        return fail(link, "answer", "longer than its Content-Length");
    if (fetch->body != NULL)
        memcpy(fetch->body + fetch->bytes, data, size);
    fetch->bytes += size;
    return EVP_DigestUpdate(link->hash, data, size) == 1 || fail(link, "SHA-256", "failed");
}

static bool receive_body(struct link *link)
{
    struct demo_fetch *fetch = link->fetch;
    size_t n;

    if (fetch->keep_body) {
        if (link->length > DEMO_BODY_MAX || (fetch->body = calloc(1, link->length + 1)) == NULL)
            return fail(link, "answer", "too long to keep");
    }
    if (EVP_DigestInit_ex(link->hash, EVP_sha256(), NULL) != 1)
        return fail(link, "SHA-256", "not to be had");
    if (!take(link, link->buffer, link->filled))
        return false;
    while (fetch->bytes < link->length) {
        if (!receive(link, link->buffer, BUFFER_SIZE, &n) || !take(link, link->buffer, n))
            return false;
    }
    return EVP_DigestFinal_ex(link->hash, fetch->digest, NULL) == 1 || fail(link, "SHA-256", "failed");
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool demo_fetch(struct demo_fetch *fetch)
{
    struct link link = {.fetch = fetch, .fd = -1};
    uint64_t began = now_ms();
    bool good;

    link.buffer = malloc(BUFFER_SIZE);
    link.hash = EVP_MD_CTX_new();
    if (link.buffer == NULL || link.hash == NULL)
        good = fail(&link, "answer", "out of memory");
    else
        good = dial(&link) && (fetch->ca == NULL || shake_hands(&link)) && send_request(&link) &&
               receive_head(&link) && receive_body(&link);
    fetch->milliseconds = now_ms() - began;
    if (link.ssl != NULL && good)
        SSL_shutdown(link.ssl);
    SSL_free(link.ssl);
    SSL_CTX_free(link.ctx);
    ERR_clear_error();
    if (link.fd != -1)
        close(link.fd);
    EVP_MD_CTX_free(link.hash);
    free(link.buffer);
    return good;
}
