/* Loads CA certificates and CRLs into an X509_STORE, and finds out beforehand what would make it refuse all.
 * Refuses to know whose certificates are verified. */
#include "certs/trust.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "certs/file.h"

/* Read whole when it is loaded: OpenSSL's own default is a directory in which each handshake would look, on
 * the disk, and a worker must not wait for that. Debian, Fedora, SUSE, Alpine. */
static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

struct loading {
    struct cert_trust *trust;
    const struct cert_trust_files *files;
    struct cert_error *error;
    EVP_MD_CTX *digest;
    STACK_OF(X509) * authorities;
    STACK_OF(X509_CRL) * lists;
};

static const char *ca_path(const struct cert_trust_files *files)
{
    if (files->ca != NULL) {
        return files->ca;
    }
    const char *given = getenv(X509_get_default_cert_file_env());
    if (given != NULL && given[0] != '\0') {
        return given;
    }
    size_t count = sizeof(system_bundles) / sizeof(system_bundles[0]);
    for (size_t i = 0; i < count; i++) {
        if (access(system_bundles[i], R_OK) == 0) {
            return system_bundles[i];
        }
    }
    return NULL;
}

static int out_of_memory(const struct loading *loading, const char *path)
{
    return cert_fail(loading->error, CERT_FAULT_SYSTEM, path, "out of memory");
}

/* "CN=name", as short as it can be told. */
static void name_text(const X509_NAME *name, char *text, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    text[0] = '\0';
    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        int length = BIO_read(bio, text, (int)size - 1);
        text[length > 0 ? length : 0] = '\0';
    }
    BIO_free(bio);
}

static void time_text(const ASN1_TIME *when, char *text, size_t size)
{
    struct tm tm;
    snprintf(text, size, "an unknown date");
    if (when != NULL && ASN1_TIME_to_tm(when, &tm) == 1) {
        strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
}

/* Whether running out of blocks is how a loop over a PEM file ended. */
static bool at_end(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static bool add_to_digest(EVP_MD_CTX *digest, unsigned char *der, int length)
{
    bool good = length > 0 && EVP_DigestUpdate(digest, der, (size_t)length) == 1;
    OPENSSL_free(der);
    return good;
}

/* ---- CA certificates ---- */

static int add_authority(struct loading *loading, const char *path, X509 *authority)
{
    struct cert_trust *trust = loading->trust;
    unsigned char *der = NULL;
    int length = i2d_X509(authority, &der);
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(authority));
    if (!add_to_digest(loading->digest, der, length) || name == NULL ||
        sk_X509_NAME_push(trust->names, name) == 0) {
        X509_NAME_free(name);
        return out_of_memory(loading, path);
    }
    if (X509_STORE_add_cert(trust->store, authority) != 1) {
        return cert_fail(loading->error, CERT_FAULT_CA, path, "%s", cert_openssl_reason());
    }
    /* Not of the system's: nobody here can do anything about those. */
    const ASN1_TIME *end = X509_get0_notAfter(authority);
    if (loading->files->ca != NULL && X509_cmp_current_time(end) < 0) {
        char who[128], when[32];
        name_text(X509_get_subject_name(authority), who, sizeof(who));
        time_text(end, when, sizeof(when));
        snprintf(trust->ca_warning, sizeof(trust->ca_warning), "the CA certificate of %s expired on %s", who,
                 when);
    }
    return 0;
}

static int parse_authorities(struct loading *loading, BIO *bio, const char *path)
{
    X509 *authority;
    while ((authority = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(loading->authorities, authority) == 0) {
            X509_free(authority);
            return out_of_memory(loading, path);
        }
        if (add_authority(loading, path, authority) == -1) {
            return -1;
        }
    }
    if (!at_end()) {
        return cert_fail(loading->error, CERT_FAULT_CA, path, "bad certificate: %s", cert_openssl_reason());
    }
    ERR_clear_error();
    return sk_X509_num(loading->authorities) > 0
               ? 0
               : cert_fail(loading->error, CERT_FAULT_CA, path, "holds no certificate in PEM form");
}

/* ---- CRLs ---- */

static bool lists_of(const struct loading *loading, const X509_NAME *issuer)
{
    for (int i = 0; i < sk_X509_CRL_num(loading->lists); i++) {
        if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(loading->lists, i)), issuer) == 0) {
            return true;
        }
    }
    return false;
}

/* A CA of that name that is known must have signed it; of others nothing can be said yet. */
static bool signed_by_known(const struct loading *loading, X509_CRL *list)
{
    bool known = false;
    for (int i = 0; i < sk_X509_num(loading->authorities); i++) {
        X509 *authority = sk_X509_value(loading->authorities, i);
        if (X509_NAME_cmp(X509_get_subject_name(authority), X509_CRL_get_issuer(list)) == 0) {
            if (X509_CRL_verify(list, X509_get0_pubkey(authority)) == 1) {
                return true;
            }
            known = true;
        }
    }
    return !known;
}

static int add_list(struct loading *loading, X509_CRL *list)
{
    struct cert_trust *trust = loading->trust;
    const char *path = loading->files->crl;
    unsigned char *der = NULL;
    int length = i2d_X509_CRL(list, &der);
    char who[128], when[32];
    if (!add_to_digest(loading->digest, der, length)) {
        return out_of_memory(loading, path);
    }
    name_text(X509_CRL_get_issuer(list), who, sizeof(who));
    if (!signed_by_known(loading, list)) {
        return cert_fail(loading->error, CERT_FAULT_CRL, path,
                         "the CRL of %s isn't signed by the CA certificate of that name", who);
    }
    if (X509_STORE_add_crl(trust->store, list) != 1) {
        return cert_fail(loading->error, CERT_FAULT_CRL, path, "%s", cert_openssl_reason());
    }
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list), *last = X509_CRL_get0_lastUpdate(list);
    if (next != NULL && X509_cmp_current_time(next) < 0) {
        time_text(next, when, sizeof(when));
        snprintf(trust->crl_warning, sizeof(trust->crl_warning),
                 "the CRL of %s expired on %s: until there is a new one, every certificate that it issued is "
                 "refused",
                 who, when);
    } else if (X509_cmp_current_time(last) > 0) {
        time_text(last, when, sizeof(when));
        snprintf(
            trust->crl_warning, sizeof(trust->crl_warning),
            "the CRL of %s is not valid before %s: until then, every certificate that it issued is refused",
            who, when);
    }
    return 0;
}

static bool is_there(const struct loading *loading, const X509_NAME *subject)
{
    for (int i = 0; i < sk_X509_num(loading->authorities); i++) {
        if (X509_NAME_cmp(X509_get_subject_name(sk_X509_value(loading->authorities, i)), subject) == 0) {
            return true;
        }
    }
    return false;
}

/* A CA without a list would have everything refused; so would an intermediate whose own issuer can't be asked
 * whether it is revoked. */
static int check_lists_are_there(const struct loading *loading)
{
    for (int i = 0; i < sk_X509_num(loading->authorities); i++) {
        const X509 *authority = sk_X509_value(loading->authorities, i);
        char who[128], issuer[128];
        name_text(X509_get_subject_name(authority), who, sizeof(who));
        name_text(X509_get_issuer_name(authority), issuer, sizeof(issuer));
        if (!lists_of(loading, X509_get_subject_name(authority))) {
            return cert_fail(loading->error, CERT_FAULT_CRL, loading->files->crl,
                             "holds no CRL of %s, so that nothing it issued could be verified: add it", who);
        }
        if (!is_there(loading, X509_get_issuer_name(authority))) {
            return cert_fail(
                loading->error, CERT_FAULT_CA, ca_path(loading->files),
                "%s isn't a root, and with a CRL its issuer is needed too: add the certificate of "
                "%s",
                who, issuer);
        }
    }
    return 0;
}

static int parse_lists(struct loading *loading, BIO *bio, const char *path)
{
    X509_CRL *list;
    while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_CRL_push(loading->lists, list) == 0) {
            X509_CRL_free(list);
            return out_of_memory(loading, path);
        }
        if (add_list(loading, list) == -1) {
            return -1;
        }
    }
    if (!at_end()) {
        return cert_fail(loading->error, CERT_FAULT_CRL, path, "bad CRL: %s", cert_openssl_reason());
    }
    ERR_clear_error();
    if (sk_X509_CRL_num(loading->lists) == 0) {
        return cert_fail(loading->error, CERT_FAULT_CRL, path, "holds no CRL in PEM form");
    }
    X509_STORE_set_flags(loading->trust->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return check_lists_are_there(loading);
}

/* ---- both ---- */

static int load_file(struct loading *loading, const char *path, enum cert_fault fault,
                     int (*parse)(struct loading *loading, BIO *bio, const char *path))
{
    struct cert_file file;
    if (cert_file_read(&file, path, fault, loading->error) == -1) {
        return -1;
    }
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.size);
    int result = bio == NULL ? out_of_memory(loading, path) : parse(loading, bio, path);
    BIO_free(bio);
    cert_file_clear(&file);
    return result;
}

static int load(struct loading *loading)
{
    const char *path = ca_path(loading->files);
    if (path == NULL) {
        return cert_fail(loading->error, CERT_FAULT_CA, "the system's CA certificates",
                         "not found: install the package ca-certificates, or name a file");
    }
    struct cert_trust *trust = loading->trust;
    trust->store = X509_STORE_new();
    trust->names = sk_X509_NAME_new_null();
    loading->authorities = sk_X509_new_null();
    loading->lists = sk_X509_CRL_new_null();
    loading->digest = EVP_MD_CTX_new();
    if (trust->store == NULL || trust->names == NULL || loading->authorities == NULL ||
        loading->lists == NULL || loading->digest == NULL ||
        EVP_DigestInit_ex(loading->digest, EVP_sha256(), NULL) != 1) {
        return out_of_memory(loading, path);
    }
    /* With CRLs OpenSSL must see the issuer of each of a chain, up to a root. */
    if (loading->files->crl == NULL) {
        X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN);
    }
    if (load_file(loading, path, CERT_FAULT_CA, parse_authorities) == -1) {
        return -1;
    }
    if (loading->files->crl != NULL &&
        load_file(loading, loading->files->crl, CERT_FAULT_CRL, parse_lists) == -1) {
        return -1;
    }
    return EVP_DigestFinal_ex(loading->digest, trust->digest, NULL) == 1 ? 0 : out_of_memory(loading, path);
}

int cert_trust_load(struct cert_trust *trust, const struct cert_trust_files *files, struct cert_error *error)
{
    struct loading loading = {.trust = trust, .files = files, .error = error};
    *trust = (struct cert_trust){0};
    ERR_clear_error();
    int result = load(&loading);
    ERR_clear_error();
    EVP_MD_CTX_free(loading.digest);
    sk_X509_pop_free(loading.authorities, X509_free);
    sk_X509_CRL_pop_free(loading.lists, X509_CRL_free);
    if (result == -1) {
        cert_trust_clear(trust);
    }
    return result;
}

void cert_trust_clear(struct cert_trust *trust)
{
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
    *trust = (struct cert_trust){0};
}
