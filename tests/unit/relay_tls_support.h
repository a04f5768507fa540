/* TLS for the tests of relay/: a certificate made in memory, a server-side tls_conn, and an OpenSSL client on
 * the other end of the pair, in the same thread. What depends on the kernel's TLS is worked out here, so that
 * each test asserts the right thing with it and without. Refuses to know flows and sessions. */
#pragma once

#include "relay_support.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "../tools/tls_craft.h"
#include "relay/tls_conn.h"

struct tls_options {
    int version; /* TLS1_2_VERSION, TLS1_3_VERSION */
    bool ktls;
    const char *suite; /* "AES128-GCM" (or NULL), "AES256-GCM", "CHACHA20" */
};

enum client_end { CLIENT_OPEN, CLIENT_CLOSE_NOTIFY, CLIENT_FIN, CLIENT_RESET, CLIENT_BROKEN };

/* The far end; what it reads must be the pattern, and what it writes is. */
struct tls_client {
    SSL *ssl;
    int fd;
    uint64_t sent, received;
    enum client_end end;
    struct craft_secret secret;
};

static const struct tls_options tls_variants[] = {
    {TLS1_2_VERSION, false, NULL},
    {TLS1_2_VERSION, true, NULL},
    {TLS1_3_VERSION, false, NULL},
    {TLS1_3_VERSION, true, NULL},
};
#define TLS_VARIANTS (sizeof(tls_variants) / sizeof(*tls_variants))

/* Whether the kernel will encrypt and decrypt for a connection with an AES-GCM suite. */
static inline bool expect_ktls_tx(const struct tls_options *options)
{
    return options->ktls && tls_kernel_has_ktls();
}

static inline bool expect_ktls_rx(const struct tls_options *options)
{
    return expect_ktls_tx(options);
}

/* Why not, where not. */
static inline enum relay_reason expect_tx_reason(const struct tls_options *options)
{
    return options->ktls ? RELAY_REASON_KTLS_KERNEL : RELAY_REASON_KTLS_OFF;
}

static inline enum relay_reason expect_rx_reason(const struct tls_options *options)
{
    return expect_tx_reason(options);
}

static inline SSL_CTX *tls_server_context(const struct tls_options *options)
{
    static EVP_PKEY *key; /* one for all: made once, and for the process's life */
    static X509 *certificate;
    if (key == NULL) {
        key = EVP_EC_gen("P-256");
        certificate = X509_new();
        assert_true(key != NULL && certificate != NULL);
        X509_NAME *name = X509_get_subject_name(certificate);
        assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                    (const unsigned char *)"localhost", -1, -1, 0),
                         1);
        assert_true(X509_set_version(certificate, X509_VERSION_3) && X509_set_issuer_name(certificate, name));
        assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600));
        assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 86400));
        assert_true(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()) > 0);
    }
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    if (options->ktls)
        SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_keylog_callback(ctx, tls_conn_keylog());
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS); /* as certs/ has it */
    return ctx;
}

static inline void on_client_keylog(const SSL *ssl, const char *line)
{
    craft_read_keylog(&((struct tls_client *)SSL_get_app_data(ssl))->secret, line);
}

static inline void tls_client_open(struct tls_client *client, int fd, const struct tls_options *options)
{
    const char *suite = options->suite != NULL ? options->suite : "AES128-GCM";
    const char *tls12 = "ECDHE+AES128+AESGCM", *tls13 = "TLS_AES_128_GCM_SHA256";
    if (strcmp(suite, "AES256-GCM") == 0)
        tls12 = "ECDHE+AES256+AESGCM", tls13 = "TLS_AES_256_GCM_SHA384";
    else if (strcmp(suite, "CHACHA20") == 0)
        tls12 = "ECDHE+CHACHA20", tls13 = "TLS_CHACHA20_POLY1305_SHA256";
    *client = (struct tls_client){.fd = fd};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, options->version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, options->version), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, tls12), 1);
    assert_int_equal(SSL_CTX_set_ciphersuites(ctx, tls13), 1);
    SSL_CTX_set_keylog_callback(ctx, on_client_keylog);
    client->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    assert_non_null(client->ssl);
    assert_int_equal(SSL_set_app_data(client->ssl, client), 1);
    assert_int_equal(SSL_set_fd(client->ssl, fd), 1);
    assert_int_equal(SSL_set_tlsext_host_name(client->ssl, "localhost"), 1);
    SSL_set_mode(client->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_connect_state(client->ssl);
}

static inline void tls_client_free(struct tls_client *client)
{
    SSL_free(client->ssl);
    client->ssl = NULL;
}

/* Both sides' handshake over a connected pair; the client's object must not move afterwards. */
static inline struct tls_conn *tls_pair_open(struct tls_client *client, int client_fd, int server_fd,
                                             const struct tls_options *options)
{
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = tls_server_context(options);
    struct tls_conn *tls =
        tls_conn_new(&(struct tls_conn_options){.ctx = ctx, .fd = server_fd, .ktls_wanted = options->ktls});
    SSL_CTX_free(ctx);
    assert_non_null(tls);
    assert_string_equal(tls_conn_version(tls), "");
    assert_string_equal(tls_conn_cipher(tls), "");
    tls_client_open(client, client_fd, options);
    bool client_done = false, server_done = false;
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (!client_done || !server_done) {
        assert_true(test_now_ms() < deadline);
        ERR_clear_error();
        client_done = client_done || SSL_do_handshake(client->ssl) == 1;
        if (server_done)
            continue;
        enum tls_status status = tls_conn_handshake(tls);
        if (status != TLS_DONE && status != TLS_WANT_READ && status != TLS_WANT_WRITE)
            fail_msg("handshake: %s", tls_conn_error(tls));
        server_done = status == TLS_DONE;
    }
    assert_string_equal(tls_conn_sni(tls), "localhost");
    tls_conn_drop_ssl(tls);
    assert_true((tls_conn_ssl(tls) == NULL) == (tls_conn_ktls_tx(tls) && tls_conn_ktls_rx(tls)));
    return tls;
}

static inline void tls_client_note_end(struct tls_client *client, int result)
{
    int error = errno;
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return;
    case SSL_ERROR_ZERO_RETURN:
        client->end = CLIENT_CLOSE_NOTIFY;
        return;
    case SSL_ERROR_SYSCALL:
        client->end = error == ECONNRESET || error == EPIPE ? CLIENT_RESET : CLIENT_FIN;
        return;
    default:
        client->end = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? CLIENT_FIN
                                                                                             : CLIENT_BROKEN;
    }
}

/* As reader_drain and writer_feed (relay_support.h). */
static inline size_t tls_client_read(struct tls_client *client, size_t limit)
{
    static uint8_t buffer[1 << 14];
    size_t moved = 0;
    while (moved < limit && client->end == CLIENT_OPEN) {
        size_t n = 0, room = limit - moved < sizeof(buffer) ? limit - moved : sizeof(buffer);
        ERR_clear_error();
        errno = 0;
        int result = SSL_read_ex(client->ssl, buffer, room, &n);
        if (result != 1) {
            tls_client_note_end(client, result);
            break;
        }
        for (size_t i = 0; i < n; i++)
            if (buffer[i] != pattern_at(client->received + i))
                fail_msg("byte %llu is wrong", (unsigned long long)(client->received + i));
        client->received += n;
        moved += n;
    }
    return moved;
}

static inline size_t tls_client_write(struct tls_client *client, uint64_t total, size_t limit)
{
    static uint8_t buffer[1 << 14];
    size_t moved = 0;
    while (moved < limit && client->sent < total) {
        size_t n = total - client->sent < sizeof(buffer) ? (size_t)(total - client->sent) : sizeof(buffer);
        pattern_fill(buffer, client->sent, n);
        ERR_clear_error();
        int result = SSL_write_ex(client->ssl, buffer, n, &n);
        if (result != 1) {
            int error = SSL_get_error(client->ssl, result);
            assert_true(error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE);
            break;
        }
        client->sent += n;
        moved += n;
    }
    return moved;
}

static inline void tls_client_key_update(struct tls_client *client, bool request)
{
    assert_int_equal(
        SSL_key_update(client->ssl, request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(client->ssl), 1);
}
