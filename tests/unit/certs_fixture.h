/* For the certs tests: certificates made on the spot, and a handshake between two SSL objects in memory.
 * Refuses to know what is tested. Everything here aborts the test when it fails. */
#pragma once

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY 86400L

/* A directory of the test's own; names in it. */
static char fixture_directory[PATH_MAX];

static inline int fixture_setup(void **state)
{
    (void)state;
    snprintf(fixture_directory, sizeof(fixture_directory), "%s/sluice-certs.XXXXXX",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(fixture_directory) != NULL ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
    (void)state;
    char command[PATH_MAX + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture_directory);
    return system(command);
}

/* One of eight rotating buffers. */
static inline const char *fixture_path(const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 8];
    assert_true(snprintf(path, PATH_MAX, "%s/%s", fixture_directory, name) < PATH_MAX);
    return path;
}

static inline void write_text(const char *name, const char *text)
{
    FILE *file = fopen(fixture_path(name), "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void append_file(const char *to, const char *from)
{
    char buffer[65536];
    FILE *source = fopen(fixture_path(from), "re");
    FILE *sink = fopen(fixture_path(to), "ae");
    assert_true(source != NULL && sink != NULL);
    size_t n = fread(buffer, 1, sizeof(buffer), source);
    assert_true(n > 0 && n < sizeof(buffer));
    assert_int_equal(fwrite(buffer, 1, n, sink), n);
    fclose(source);
    assert_int_equal(fclose(sink), 0);
}

/* What a certificate is to be; zeros: ECDSA, valid from yesterday until tomorrow, self-signed. */
struct cert_recipe {
    const char *cert, *key; /* file names */
    const char *common_name;
    const char *names; /* of the SAN, "DNS:a,DNS:b"; NULL: no SAN */
    bool rsa;
    int rsa_bits; /* 0: 2048 */
    const char *passphrase;
    long begins, ends; /* seconds from now */
    X509 *issuer;
    EVP_PKEY *issuer_key;
    bool ca;
    long serial;                /* 0: 7 */
    const char *extended_usage; /* NULL: any */
};

static inline void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void make_cert(const struct cert_recipe *recipe)
{
    EVP_PKEY *key = recipe->rsa ? EVP_RSA_gen((unsigned)(recipe->rsa_bits != 0 ? recipe->rsa_bits : 2048))
                                : EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert_true(key != NULL && cert != NULL);
    X509_NAME *subject = X509_get_subject_name(cert);
    const char *common_name = recipe->common_name != NULL ? recipe->common_name : "fixture";
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)common_name, -1, -1, 0),
                     1);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), recipe->serial != 0 ? recipe->serial : 7);
    X509_gmtime_adj(X509_getm_notBefore(cert), recipe->begins != 0 ? recipe->begins : -DAY);
    X509_gmtime_adj(X509_getm_notAfter(cert), recipe->ends != 0 ? recipe->ends : DAY);
    X509_set_issuer_name(cert, recipe->issuer != NULL ? X509_get_subject_name(recipe->issuer) : subject);
    X509_set_pubkey(cert, key);
    if (recipe->names != NULL) {
        add_extension(cert, NID_subject_alt_name, recipe->names);
    }
    if (recipe->ca) {
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    }
    if (recipe->extended_usage != NULL) {
        add_extension(cert, NID_ext_key_usage, recipe->extended_usage);
    }
    assert_true(X509_sign(cert, recipe->issuer_key != NULL ? recipe->issuer_key : key, EVP_sha256()) > 0);

    FILE *file = fopen(fixture_path(recipe->cert), "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(fixture_path(recipe->key), "we");
    assert_non_null(file);
    const EVP_CIPHER *cipher = recipe->passphrase != NULL ? EVP_aes_128_cbc() : NULL;
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, cipher, NULL, 0, NULL, (void *)recipe->passphrase),
                     1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(fixture_path(recipe->key), 0600), 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static inline X509 *read_cert(const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(cert);
    return cert;
}

/* What a client does; zeros: any version, no SNI, no ALPN. */
struct client_recipe {
    int version;             /* TLS1_2_VERSION ...; 0: 1.2 or 1.3 */
    const char *server_name; /* SNI */
    const char *alpn;        /* as on the wire: "\x08http/1.1" */
    const char *ciphers;     /* TLS 1.2 */
    const char *suites;      /* TLS 1.3 */
    const char *signatures;
    const char *groups;
    const char *cert, *key; /* files of a client certificate */
    bool ask_ocsp;
    SSL_SESSION *session; /* to resume; borrowed */
};

struct handshake {
    SSL_CTX *client_ctx;
    SSL *client, *server;
    bool done;
    SSL_SESSION *session; /* the newest that the client was given; freed by handshake_free */
};

static inline int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct handshake *handshake = SSL_get_app_data(ssl);
    SSL_SESSION_free(handshake->session);
    handshake->session = session;
    return 1;
}

static inline void handshake_free(struct handshake *handshake)
{
    SSL_SESSION_free(handshake->session);
    /* Freed without a farewell, OpenSSL takes the session for broken and won't offer it again. */
    if (handshake->client != NULL) {
        SSL_set_shutdown(handshake->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(handshake->client);
    SSL_free(handshake->server);
    SSL_CTX_free(handshake->client_ctx);
    *handshake = (struct handshake){0};
}

static inline void client_configure(struct handshake *handshake, const struct client_recipe *recipe)
{
    SSL_CTX *ctx = handshake->client_ctx;
    SSL_CTX_set_security_level(ctx, 0); /* so that it may offer what the server has to refuse */
    if (recipe->version != 0) {
        SSL_CTX_set_min_proto_version(ctx, recipe->version);
        SSL_CTX_set_max_proto_version(ctx, recipe->version);
    }
    assert_true(recipe->ciphers == NULL || SSL_CTX_set_cipher_list(ctx, recipe->ciphers) == 1);
    assert_true(recipe->suites == NULL || SSL_CTX_set_ciphersuites(ctx, recipe->suites) == 1);
    assert_true(recipe->signatures == NULL || SSL_CTX_set1_sigalgs_list(ctx, recipe->signatures) == 1);
    assert_true(recipe->groups == NULL || SSL_CTX_set1_groups_list(ctx, recipe->groups) == 1);
    assert_true(recipe->cert == NULL || SSL_CTX_use_certificate_chain_file(ctx, recipe->cert) == 1);
    assert_true(recipe->key == NULL || SSL_CTX_use_PrivateKey_file(ctx, recipe->key, SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    handshake->client = SSL_new(ctx);
    SSL *client = handshake->client;
    SSL_set_app_data(client, handshake);
    assert_true(recipe->server_name == NULL || SSL_set_tlsext_host_name(client, recipe->server_name) == 1);
    assert_true(recipe->alpn == NULL || SSL_set_alpn_protos(client, (const unsigned char *)recipe->alpn,
                                                            (unsigned)strlen(recipe->alpn)) == 0);
    assert_true(!recipe->ask_ocsp || SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp) == 1);
    assert_true(recipe->session == NULL || SSL_set_session(client, recipe->session) == 1);
    SSL_set_connect_state(client);
}

/* One step; whether it goes on. */
static inline bool handshake_step(SSL *ssl, bool *finished)
{
    ERR_clear_error();
    int result = SSL_do_handshake(ssl);
    *finished = result == 1;
    int error = SSL_get_error(ssl, result);
    return result == 1 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Runs the handshake to its end, then lets one byte each way pass, so that tickets have arrived. */
static inline void handshake_run(struct handshake *handshake, SSL_CTX *server_ctx,
                                 const struct client_recipe *recipe)
{
    *handshake = (struct handshake){.client_ctx = SSL_CTX_new(TLS_client_method())};
    client_configure(handshake, recipe);
    handshake->server = SSL_new(server_ctx);
    SSL_set_accept_state(handshake->server);
    BIO *one, *other;
    assert_int_equal(BIO_new_bio_pair(&one, 65536, &other, 65536), 1);
    SSL_set_bio(handshake->client, one, one);
    SSL_set_bio(handshake->server, other, other);
    bool client_done = false, server_done = false;
    for (int i = 0; i < 20 && !(client_done && server_done); i++) {
        if (!handshake_step(handshake->client, &client_done) ||
            !handshake_step(handshake->server, &server_done)) {
            return;
        }
    }
    char byte = 'x';
    handshake->done = client_done && server_done && SSL_write(handshake->server, &byte, 1) == 1 &&
                      SSL_read(handshake->client, &byte, 1) == 1 &&
                      SSL_write(handshake->client, &byte, 1) == 1 &&
                      SSL_read(handshake->server, &byte, 1) == 1;
    /* In TLS 1.2 a renewed ticket makes a new session object, without the callback. */
    SSL_SESSION *session = SSL_get1_session(handshake->client);
    if (handshake->session == NULL && SSL_session_reused(handshake->client) && session != recipe->session) {
        handshake->session = session;
    } else {
        SSL_SESSION_free(session);
    }
}
