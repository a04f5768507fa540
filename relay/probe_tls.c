/* Tries kTLS: a real handshake per TLS version and cipher over a loopback pair, both ends on this thread,
 * then bytes through each direction that the kernel took over. The server's end is a tls_conn, so that what
 * is found here is by construction what connections will say of themselves. Refuses to know certificate
 * files: the certificate is made in memory and goes nowhere. */
#include "relay/probe.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/tls_conn.h"

/* A handshake is a handful of flights; each turn of the loop moves at least one or waits for one. */
#define TURNS_MAX 64
#define TURN_TIMEOUT_MS 1000
/* Fits one record. */
#define TRIAL_SIZE 4096u

static const int version_numbers[PROBE_VERSION_COUNT] = {TLS1_2_VERSION, TLS1_3_VERSION};
static const char *const suites[PROBE_VERSION_COUNT][PROBE_CIPHER_COUNT] = {
    {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
};

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static void identity_clear(struct identity *identity)
{
    X509_free(identity->cert);
    EVP_PKEY_free(identity->key);
}

static bool identity_make(struct identity *identity)
{
    X509_NAME *name;

    identity->key = EVP_EC_gen("P-256");
    identity->cert = X509_new();
    if (identity->key == NULL || identity->cert == NULL)
        return false;
    name = X509_get_subject_name(identity->cert);
    return X509_set_version(identity->cert, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(identity->cert), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(identity->cert), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(identity->cert), 3600) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"probe", -1, -1, 0) ==
               1 &&
           X509_set_issuer_name(identity->cert, name) == 1 &&
           X509_set_pubkey(identity->cert, identity->key) == 1 &&
           X509_sign(identity->cert, identity->key, EVP_sha256()) != 0;
}

/* A context that can do this version and cipher and nothing else. NULL: OpenSSL can't do it. */
static SSL_CTX *make_context(const SSL_METHOD *method, enum probe_version version, enum probe_cipher cipher)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    const char *suite = suites[version][cipher];
    int ok;

    if (ctx == NULL)
        return NULL;
    ok = version == PROBE_TLS13 ? SSL_CTX_set_ciphersuites(ctx, suite) : SSL_CTX_set_cipher_list(ctx, suite);
    if (ok != 1 || SSL_CTX_set_min_proto_version(ctx, version_numbers[version]) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, version_numbers[version]) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static SSL_CTX *make_server_context(const struct identity *identity, enum probe_version version,
                                    enum probe_cipher cipher)
{
    SSL_CTX *ctx = make_context(TLS_server_method(), version, cipher);

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_keylog_callback(ctx, tls_conn_keylog());
    if (SSL_CTX_use_certificate(ctx, identity->cert) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, identity->key) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* Both ends of one trial connection. */
struct trial {
    int pair[2]; /* client, server */
    SSL *client;
    struct tls_conn *server;
};

static bool wait_for_input(const struct trial *trial)
{
    struct pollfd fds[2] = {{.fd = trial->pair[0], .events = POLLIN},
                            {.fd = trial->pair[1], .events = POLLIN}};

    return poll(fds, 2, TURN_TIMEOUT_MS) > 0;
}

static bool handshake(struct trial *trial)
{
    bool client_done = false, server_done = false;

    for (int turn = 0; turn < TURNS_MAX; turn++) {
        if (!client_done) {
            int n = SSL_connect(trial->client);

            client_done = n == 1;
            if (!client_done && SSL_get_error(trial->client, n) != SSL_ERROR_WANT_READ)
                return false;
        }
        if (!server_done) {
            enum tls_status status = tls_conn_handshake(trial->server);

            server_done = status == TLS_DONE;
            if (!server_done && status != TLS_WANT_READ)
                return false;
        }
        if (client_done && server_done)
            return true;
        if (!wait_for_input(trial))
            return false;
    }
    return false;
}

/* Bytes sent plainly on the server's descriptor must be what the client decrypts. */
static bool try_tx(struct trial *trial)
{
    uint8_t sent[TRIAL_SIZE], got[TRIAL_SIZE];
    size_t have = 0;

    memset(sent, 0x5a, sizeof(sent));
    if (send(trial->pair[1], sent, sizeof(sent), MSG_NOSIGNAL) != (ssize_t)sizeof(sent))
        return false;
    for (int turn = 0; turn < TURNS_MAX && have < sizeof(got); turn++) {
        int n = SSL_read(trial->client, got + have, (int)(sizeof(got) - have));

        if (n > 0)
            have += (size_t)n;
        else if (SSL_get_error(trial->client, n) != SSL_ERROR_WANT_READ || !wait_for_input(trial))
            return false;
    }
    return have == sizeof(got) && memcmp(sent, got, sizeof(got)) == 0;
}

static bool try_rx(struct trial *trial)
{
    uint8_t sent[TRIAL_SIZE], got[TRIAL_SIZE];
    size_t have = 0;

    memset(sent, 0xa5, sizeof(sent));
    if (SSL_write(trial->client, sent, sizeof(sent)) != (int)sizeof(sent))
        return false;
    for (int turn = 0; turn < TURNS_MAX && have < sizeof(got); turn++) {
        size_t n = 0;
        enum tls_status status = tls_conn_read(trial->server, got + have, sizeof(got) - have, &n);

        if (status == TLS_DONE)
            have += n;
        else if (status != TLS_WANT_READ || !wait_for_input(trial))
            return false;
    }
    return have == sizeof(got) && memcmp(sent, got, sizeof(got)) == 0;
}

static void try_connection(struct trial *trial, struct probe_ktls *out)
{
    out->handshake = handshake(trial);
    if (!out->handshake)
        return;
    out->tx = tls_conn_ktls_tx(trial->server);
    out->rx = tls_conn_ktls_rx(trial->server);
    if (!out->tx)
        out->tx_reason = tls_conn_tx_reason(trial->server);
    if (!out->rx)
        out->rx_reason = tls_conn_rx_reason(trial->server);
    if (out->tx && !try_tx(trial)) {
        out->tx = false;
        out->tx_reason = RELAY_REASON_KERNEL_REFUSED;
    }
    if (out->rx && !try_rx(trial)) {
        out->rx = false;
        out->rx_reason = RELAY_REASON_KERNEL_REFUSED;
    }
}

static void try_cipher(const struct identity *identity, enum probe_version version, enum probe_cipher cipher,
                       struct probe_ktls *out)
{
    SSL_CTX *server_ctx = make_server_context(identity, version, cipher);
    SSL_CTX *client_ctx = make_context(TLS_client_method(), version, cipher);
    struct trial trial = {.pair = {-1, -1}};

    /* Until a handshake says otherwise. */
    *out = (struct probe_ktls){.tx_reason = RELAY_REASON_KTLS_CIPHER, .rx_reason = RELAY_REASON_KTLS_CIPHER};
    if (server_ctx == NULL || client_ctx == NULL || probe_tcp_pair(trial.pair) == -1)
        goto free_contexts;
    trial.client = SSL_new(client_ctx);
    trial.server =
        tls_conn_new(&(struct tls_conn_options){.ctx = server_ctx, .fd = trial.pair[1], .ktls_wanted = true});
    if (trial.client != NULL && trial.server != NULL && SSL_set_fd(trial.client, trial.pair[0]) == 1)
        try_connection(&trial, out);
    tls_conn_free(trial.server);
    SSL_free(trial.client);
    close(trial.pair[0]);
    close(trial.pair[1]);
free_contexts:
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    ERR_clear_error();
}

void probe_run_ktls(struct probe *probe)
{
    struct identity identity = {NULL, NULL};
    bool made = identity_make(&identity);

    probe->ktls_kernel = tls_kernel_has_ktls();
    for (int version = 0; version < PROBE_VERSION_COUNT; version++) {
        for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++) {
            struct probe_ktls *out = &probe->ktls[version][cipher];

            if (made)
                try_cipher(&identity, version, cipher, out);
            else
                *out = (struct probe_ktls){.tx_reason = RELAY_REASON_KTLS_CIPHER,
                                           .rx_reason = RELAY_REASON_KTLS_CIPHER};
        }
    }
    identity_clear(&identity);
    ERR_clear_error();
}
