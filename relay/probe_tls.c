/* Tries kTLS, once a process: a real handshake per TLS version and cipher over a loopback pair, both ends on
 * this thread, then bytes through each direction that the kernel took over (probe_trial.c). The server's end
 * is a tls_conn, so that what is found here is by construction what connections will say of themselves.
 * Refuses to know certificate files: the certificate is made in memory and goes nowhere. */
#include "relay/probe.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/probe_trial.h"
#include "relay/tls_conn_internal.h"

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
    SSL_CTX_set_keylog_callback(ctx, tls_conn_on_keylog);
    if (SSL_CTX_use_certificate(ctx, identity->cert) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, identity->key) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void on_keylog(const SSL *ssl, const char *line)
{
    struct trial *trial = SSL_get_app_data(ssl);

    (void)tls_secret_parse(&trial->client_secret, "CLIENT_TRAFFIC_SECRET_0", line);
}

static bool handshake(struct trial *trial)
{
    bool client_done = false, server_done = false;

    for (int turn = 0; turn < TRIAL_TURNS_MAX; turn++) {
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
        if (!trial_wait(trial))
            return false;
    }
    return false;
}

/* Opens both ends and shakes hands. false: the trial must be closed all the same. */
static bool open_trial(struct trial *trial, SSL_CTX *client_ctx, SSL_CTX *server_ctx)
{
    *trial = (struct trial){.pair = {-1, -1}};
    if (probe_tcp_pair(trial->pair) == -1)
        return false;
    trial->client = SSL_new(client_ctx);
    trial->server = tls_conn_new(&(struct tls_conn_options){
        .ctx = server_ctx, .fd = trial->pair[1], .ktls_wanted = true, .untested = true});
    return trial->client != NULL && trial->server != NULL && SSL_set_app_data(trial->client, trial) == 1 &&
           SSL_set_fd(trial->client, trial->pair[0]) == 1 && handshake(trial);
}

static void close_trial(struct trial *trial)
{
    tls_secret_cleanse(&trial->client_secret);
    tls_conn_free(trial->server);
    SSL_free(trial->client);
    for (int i = 0; i < 2; i++)
        if (trial->pair[i] != -1)
            close(trial->pair[i]);
}

/* TLS 1.2 is offloaded both ways or not at all: OpenSSL has one option for the two. Without sending, the
 * socket has no ULP that could receive. */
static void conclude(struct probe_ktls *out, enum probe_version version, bool tx, bool rx)
{
    if (out->tx && (!tx || (version == PROBE_TLS12 && out->rx && !rx))) {
        out->tx = false;
        out->tx_reason = RELAY_REASON_KERNEL_REFUSED;
    }
    if (out->rx && (!rx || !out->tx)) {
        out->rx = false;
        out->rx_reason = RELAY_REASON_KERNEL_REFUSED;
    }
}

/* What only a connection of its own can show, since nothing can follow it: a record of TLS 1.3 made by hand.
 */
static bool try_oddities(SSL_CTX *client_ctx, SSL_CTX *server_ctx)
{
    struct trial trial;
    bool good = open_trial(&trial, client_ctx, server_ctx) && trial_rx_oddities(&trial, true);

    close_trial(&trial);
    return good;
}

static void try_limits(SSL_CTX *client_ctx, SSL_CTX *server_ctx, struct probe_ktls_limits *limits)
{
    struct trial trial;

    if (open_trial(&trial, client_ctx, server_ctx) && tls_conn_ktls_rx(trial.server)) {
        limits->known = true;
        limits->full_pipe = trial_full_pipe(&trial);
        limits->rekey = trial_rekey(&trial);
    }
    close_trial(&trial);
}

static void try_cipher(const struct identity *identity, enum probe_version version, enum probe_cipher cipher,
                       struct probe *probe)
{
    struct probe_ktls *out = &probe->ktls[version][cipher];
    SSL_CTX *server_ctx = make_server_context(identity, version, cipher);
    SSL_CTX *client_ctx = make_context(TLS_client_method(), version, cipher);
    struct trial trial = {.pair = {-1, -1}};

    if (server_ctx == NULL || client_ctx == NULL)
        goto free_contexts;
    SSL_CTX_set_keylog_callback(client_ctx, on_keylog);
    out->handshake = open_trial(&trial, client_ctx, server_ctx);
    if (out->handshake) {
        out->tx = tls_conn_ktls_tx(trial.server);
        out->rx = tls_conn_ktls_rx(trial.server);
        out->tx_reason = tls_conn_tx_reason(trial.server);
        out->rx_reason = tls_conn_rx_reason(trial.server);
        /* In this order: trial_tx ends our half, the last of the others the client's. */
        bool rx = out->rx && trial_rx(&trial), tx = out->tx && trial_tx(&trial);

        rx = rx && (!tx || trial_rx_oddities(&trial, false));
        if (rx && version == PROBE_TLS13)
            rx = try_oddities(client_ctx, server_ctx);
        if (version == PROBE_TLS13 && cipher == PROBE_AES128_GCM)
            try_limits(client_ctx, server_ctx, &probe->ktls_limits);
        conclude(out, version, tx, rx);
    }
    close_trial(&trial);
free_contexts:
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    ERR_clear_error();
}

static struct probe tested;

static void test_kernel(void)
{
    struct identity identity = {NULL, NULL};
    bool made = identity_make(&identity);

    tested.ktls_kernel = tls_kernel_has_ktls();
    for (int version = 0; version < PROBE_VERSION_COUNT; version++) {
        for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++) {
            /* Until a handshake says otherwise. */
            tested.ktls[version][cipher] = (struct probe_ktls){.tx_reason = RELAY_REASON_KTLS_CIPHER,
                                                               .rx_reason = RELAY_REASON_KTLS_CIPHER};
            if (made)
                try_cipher(&identity, version, cipher, &tested);
        }
    }
    identity_clear(&identity);
    ERR_clear_error();
}

static const struct probe *test_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, test_kernel);
    return &tested;
}

const struct probe_ktls *probe_ktls_verdict(int version, int cipher_nid)
{
    static const int nids[PROBE_CIPHER_COUNT] = {NID_aes_128_gcm, NID_aes_256_gcm, NID_chacha20_poly1305};

    for (int v = 0; v < PROBE_VERSION_COUNT; v++)
        for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++)
            if (version == version_numbers[v] && cipher_nid == nids[cipher])
                return &test_once()->ktls[v][cipher];
    return NULL;
}

void probe_run_ktls(struct probe *probe)
{
    const struct probe *found = test_once();

    probe->ktls_kernel = found->ktls_kernel;
    probe->ktls_limits = found->ktls_limits;
    memcpy(probe->ktls, found->ktls, sizeof(probe->ktls));
}
