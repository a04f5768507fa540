/* The SSL_CTX that connections to servers start from, and each one's name and session.
 * Refuses to know who drives the SSL objects made from it. */
#include "certs/connect.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "certs/pair.h"
#include "certs/sessions.h"

struct cert_connect {
    SSL_CTX *ctx;
    struct cert_trust trust; /* empty: not verified */
    struct cert_pair client; /* empty: none is shown */
    struct cert_sessions *sessions;
};

/* Of each SSL object: which sessions its own belongs to. Of each SSL_CTX: where they are. */
static int key_index = -1, connect_index = -1;
static pthread_once_t indices_once = PTHREAD_ONCE_INIT;

static void free_key(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    free(key);
}

static void make_indices(void)
{
    key_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_key);
    connect_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static uint64_t now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

/* After a handshake whose certificate was verified; with TLS 1.3 whenever the server gives out a ticket. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    const struct cert_connect *connect = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), connect_index);
    const char *key = SSL_get_ex_data(ssl, key_index);
    if (connect != NULL && key != NULL) {
        cert_sessions_put(connect->sessions, key, session, now_seconds());
    }
    return 0; /* it stays OpenSSL's */
}

static void set_options(SSL_CTX *ctx, const struct cert_connect_options *options)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
    if (options->ktls) {
        SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    } else {
        SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_KTLS);
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    /* Read-ahead would take records out of the socket that kTLS RX then misses. */
    SSL_CTX_set_read_ahead(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    if (options->ktls && options->keylog != NULL) {
        SSL_CTX_set_keylog_callback(ctx, options->keylog);
    }
    SSL_CTX_set_verify(ctx, options->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
}

static int fail_openssl(struct cert_error *error)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    error->fault = CERT_FAULT_SYSTEM;
    snprintf(error->text, sizeof(error->text), "OpenSSL: %s", reason != NULL ? reason : "out of memory");
    return -1;
}

static int set_protocols(SSL_CTX *ctx, const struct cert_policy *policy)
{
    unsigned char *wire;
    size_t size;
    if (cert_policy_alpn(policy->alpn, policy->alpn_count, &wire, &size) == -1) {
        return -1;
    }
    int refused = size > 0 ? SSL_CTX_set_alpn_protos(ctx, wire, (unsigned)size) : 0; /* 0 is success */
    free(wire);
    return refused == 0 ? 0 : -1;
}

static int build(struct cert_connect *connect, const struct cert_connect_options *options,
                 struct cert_error *error)
{
    connect->sessions = cert_sessions_new();
    connect->ctx = SSL_CTX_new(TLS_client_method());
    if (connect->sessions == NULL || connect->ctx == NULL || connect_index == -1 || key_index == -1 ||
        SSL_CTX_set_ex_data(connect->ctx, connect_index, connect) != 1) {
        return fail_openssl(error);
    }
    set_options(connect->ctx, options);
    if (cert_policy_apply(&options->policy, connect->ctx) == -1 ||
        set_protocols(connect->ctx, &options->policy) == -1) {
        return fail_openssl(error);
    }
    if (options->verify) {
        if (cert_trust_load(&connect->trust, &options->trust, error) == -1) {
            return -1;
        }
        SSL_CTX_set1_verify_cert_store(connect->ctx, connect->trust.store);
    }
    if (options->client.cert != NULL) {
        if (cert_pair_load(&connect->client, &options->client, error) == -1) {
            return -1;
        }
        if (SSL_CTX_use_cert_and_key(connect->ctx, connect->client.leaf, connect->client.key,
                                     connect->client.chain, 1) != 1) {
            return fail_openssl(error);
        }
    }
    return 0;
}

struct cert_connect *cert_connect_new(const struct cert_connect_options *options, struct cert_error *error)
{
    *error = (struct cert_error){0};
    pthread_once(&indices_once, make_indices);
    struct cert_connect *connect = calloc(1, sizeof(*connect));
    if (connect == NULL) {
        fail_openssl(error);
        return NULL;
    }
    ERR_clear_error();
    int result = build(connect, options, error);
    ERR_clear_error();
    if (result == -1) {
        cert_connect_free(connect);
        return NULL;
    }
    return connect;
}

void cert_connect_free(struct cert_connect *connect)
{
    if (connect == NULL) {
        return;
    }
    SSL_CTX_free(connect->ctx);
    cert_trust_clear(&connect->trust);
    cert_pair_clear(&connect->client);
    cert_sessions_free(connect->sessions);
    free(connect);
}

SSL_CTX *cert_connect_context(const struct cert_connect *connect)
{
    return connect->ctx;
}

static bool is_numeric(const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* RFC 6066 3 has no numeric addresses in SNI; RFC 9525 wants them in an iPAddress of the SAN. */
static int set_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (is_numeric(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ? 0 : -1;
    }
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 ? 0
                                                                                                        : -1;
}

static int set_session(struct cert_connect *connect, SSL *ssl, const char *key)
{
    char *own = strdup(key);
    if (own == NULL || SSL_set_ex_data(ssl, key_index, own) != 1) {
        free(own);
        return -1;
    }
    SSL_SESSION *session = cert_sessions_take(connect->sessions, key, now_seconds());
    if (session != NULL) {
        SSL_set_session(ssl, session); /* without it, a full handshake */
        SSL_SESSION_free(session);
    }
    return 0;
}

int cert_connect_prepare(struct cert_connect *connect, SSL *ssl, const char *key, const char *name)
{
    char whole[1024]; /* a server may be shown by more than one name */
    snprintf(whole, sizeof(whole), "%s %s", name != NULL ? name : "", key);
    ERR_clear_error();
    int result = name != NULL ? set_name(ssl, name) : 0;
    result = result == 0 ? set_session(connect, ssl, whole) : -1;
    ERR_clear_error();
    return result;
}

int cert_connect_set_name(SSL *ssl, const char *name)
{
    ERR_clear_error();
    int result = set_name(ssl, name);
    ERR_clear_error();
    return result;
}

static void tell(const char *text, enum cert_fault fault,
                 void (*on_warning)(void *arg, const struct cert_error *warning), void *arg)
{
    if (text[0] != '\0') {
        struct cert_error warning = {.fault = fault};
        snprintf(warning.text, sizeof(warning.text), "%s", text);
        on_warning(arg, &warning);
    }
}

void cert_connect_each_warning(const struct cert_connect *connect,
                               void (*on_warning)(void *arg, const struct cert_error *warning), void *arg)
{
    tell(connect->client.warning, connect->client.warns_of_key ? CERT_FAULT_KEY : CERT_FAULT_CERT, on_warning,
         arg);
    tell(connect->trust.ca_warning, CERT_FAULT_CA, on_warning, arg);
    tell(connect->trust.crl_warning, CERT_FAULT_CRL, on_warning, arg);
}
