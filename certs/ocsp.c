/* Reads an OCSP response, holds it to a certificate, and staples it while it is valid.
 * Refuses to know where it comes from. */
#include "certs/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "certs/file.h"

/* Clocks differ: a response from just now is not from the future. */
#define SKEW_SECONDS 300

struct loading {
    struct cert_ocsp *ocsp;
    const char *path;
    X509 *leaf;
    X509 *issuer; /* NULL: not in the chain */
    STACK_OF(X509) * chain;
    struct cert_error *error;
};

static int fail(const struct loading *loading, const char *what)
{
    return cert_fail(loading->error, CERT_FAULT_OCSP, loading->path, "%s", what);
}

/* Whether the id is of this certificate: by name and key of the issuer where it is known, else by its name
 * alone; and by the serial number. */
static bool is_about(const struct loading *loading, const OCSP_CERTID *id)
{
    ASN1_OBJECT *algorithm = NULL;
    ASN1_INTEGER *serial = NULL;
    ASN1_OCTET_STRING *name_hash = NULL, *key_hash = NULL;
    OCSP_id_get0_info(&name_hash, &algorithm, &key_hash, &serial, (OCSP_CERTID *)id);
    const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
    if (digest == NULL || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(loading->leaf)) != 0) {
        return false;
    }
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_NAME_digest(X509_get_issuer_name(loading->leaf), digest, hash, &size) != 1 ||
        ASN1_STRING_length(name_hash) != (int)size ||
        memcmp(ASN1_STRING_get0_data(name_hash), hash, size) != 0) {
        return false;
    }
    return loading->issuer == NULL || (X509_pubkey_digest(loading->issuer, digest, hash, &size) == 1 &&
                                       ASN1_STRING_length(key_hash) == (int)size &&
                                       memcmp(ASN1_STRING_get0_data(key_hash), hash, size) == 0);
}

static OCSP_SINGLERESP *find_single(const struct loading *loading, OCSP_BASICRESP *basic)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        if (is_about(loading, OCSP_SINGLERESP_get0_id(single))) {
            return single;
        }
    }
    return NULL;
}

/* By the issuer, or by one whom the issuer named for it (RFC 6960 4.2.2.2). */
static bool is_signed(const struct loading *loading, OCSP_BASICRESP *basic)
{
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL && X509_STORE_add_cert(store, loading->issuer) == 1 &&
                X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
                OCSP_basic_verify(basic, loading->chain, store, OCSP_PARTIAL_CHAIN) == 1;
    X509_STORE_free(store);
    return good;
}

static time_t seconds_of(const ASN1_GENERALIZEDTIME *when)
{
    struct tm tm;
    return when != NULL && ASN1_TIME_to_tm(when, &tm) == 1 ? timegm(&tm) : (time_t)-1;
}

static int check_single(const struct loading *loading, OCSP_SINGLERESP *single)
{
    struct cert_ocsp *ocsp = loading->ocsp;
    ASN1_GENERALIZEDTIME *revoked = NULL, *begins = NULL, *ends = NULL;
    int reason = 0, status = OCSP_single_get0_status(single, &reason, &revoked, &begins, &ends);
    time_t now = time(NULL);
    char date[32];
    struct tm tm;
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
        return fail(loading, "says that the certificate is revoked: replace the certificate");
    }
    if (status != V_OCSP_CERTSTATUS_GOOD) {
        return fail(loading, "says that the responder doesn't know the certificate");
    }
    ocsp->begins = seconds_of(begins);
    ocsp->ends = seconds_of(ends);
    if (ocsp->begins == (time_t)-1 || ocsp->ends == (time_t)-1) {
        return fail(loading, "has no time up to which it is valid, so it can't be told when to stop");
    }
    if (ocsp->ends <= now && gmtime_r(&ocsp->ends, &tm) != NULL) {
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
        snprintf(ocsp->warning, sizeof(ocsp->warning), "the OCSP response expired on %s: it isn't stapled",
                 date);
    }
    return 0;
}

static int check_basic(const struct loading *loading, OCSP_BASICRESP *basic)
{
    OCSP_SINGLERESP *single = find_single(loading, basic);
    if (single == NULL) {
        return fail(loading, "is about another certificate: fetch one for this");
    }
    if (loading->issuer != NULL && !is_signed(loading, basic)) {
        return fail(loading, "isn't signed by the issuer of the certificate");
    }
    return check_single(loading, single);
}

static int check(const struct loading *loading)
{
    const unsigned char *at = loading->ocsp->der;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)loading->ocsp->size);
    if (response == NULL || at != loading->ocsp->der + loading->ocsp->size) {
        OCSP_RESPONSE_free(response);
        return fail(loading, "is no OCSP response in DER form");
    }
    int status = OCSP_response_status(response), result = -1;
    OCSP_BASICRESP *basic =
        status == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(response) : NULL;
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        cert_fail(loading->error, CERT_FAULT_OCSP, loading->path, "holds a refusal: %s",
                  OCSP_response_status_str(status));
    } else if (basic == NULL) {
        fail(loading, "is an OCSP response of a kind that nobody reads");
    } else {
        result = check_basic(loading, basic);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return result;
}

static X509 *find_issuer(X509 *leaf, STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (X509_check_issued(sk_X509_value(chain, i), leaf) == X509_V_OK) {
            return sk_X509_value(chain, i);
        }
    }
    return X509_check_issued(leaf, leaf) == X509_V_OK ? leaf : NULL;
}

int cert_ocsp_load(struct cert_ocsp *ocsp, const char *path, X509 *leaf, STACK_OF(X509) * chain,
                   struct cert_error *error)
{
    const struct loading loading = {.ocsp = ocsp,
                                    .path = path,
                                    .leaf = leaf,
                                    .issuer = find_issuer(leaf, chain),
                                    .chain = chain,
                                    .error = error};
    struct cert_file file;
    *ocsp = (struct cert_ocsp){0};
    if (cert_file_read(&file, path, CERT_FAULT_OCSP, error) == -1) {
        return -1;
    }
    ocsp->der = OPENSSL_memdup(file.data, file.size);
    ocsp->size = file.size;
    cert_file_clear(&file);
    int result = ocsp->der == NULL ? fail(&loading, "is empty") : check(&loading);
    ERR_clear_error();
    if (result == -1) {
        cert_ocsp_clear(ocsp);
    }
    return result;
}

void cert_ocsp_clear(struct cert_ocsp *ocsp)
{
    OPENSSL_free(ocsp->der);
    *ocsp = (struct cert_ocsp){0};
}

int cert_ocsp_staple(const struct cert_ocsp *ocsp, SSL *ssl)
{
    time_t now = time(NULL);
    if (ocsp->der == NULL || now >= ocsp->ends || now + SKEW_SECONDS < ocsp->begins) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    unsigned char *copy = OPENSSL_memdup(ocsp->der, ocsp->size); /* ssl frees it */
    if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)ocsp->size) != 1) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}
