/* For the tests of trust: a CA's work done on the spot: certificates it signs, CRLs, OCSP responses.
 * Refuses to know what is tested. */
#pragma once

#include <openssl/ocsp.h>

#include "certs_fixture.h"

static inline EVP_PKEY *read_key(const char *name)
{
    FILE *file = fopen(fixture_path(name), "re");
    assert_non_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(key);
    return key;
}

/* NAME.pem and NAME.key, signed by CA.pem (NULL: itself). The recipe's other fields hold. */
static inline void issue(const char *ca, const char *name, struct cert_recipe recipe)
{
    char cert[64], key[64], ca_cert[64], ca_key[64];
    snprintf(cert, sizeof(cert), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    recipe.cert = cert;
    recipe.key = key;
    recipe.common_name = recipe.common_name != NULL ? recipe.common_name : name;
    if (ca != NULL) {
        snprintf(ca_cert, sizeof(ca_cert), "%s.pem", ca);
        snprintf(ca_key, sizeof(ca_key), "%s.key", ca);
        recipe.issuer = read_cert(fixture_path(ca_cert));
        recipe.issuer_key = read_key(ca_key);
    }
    make_cert(&recipe);
    X509_free(recipe.issuer);
    EVP_PKEY_free(recipe.issuer_key);
}

/* Appends to the file a CRL of CA.pem that ends in `ends` seconds and lists the serial (0: none). signer:
 * whose key signs; NULL: the CA's. */
static inline void append_crl(const char *file, const char *ca, const char *signer, long serial, long ends)
{
    char ca_cert[64], key_name[64];
    snprintf(ca_cert, sizeof(ca_cert), "%s.pem", ca);
    snprintf(key_name, sizeof(key_name), "%s.key", signer != NULL ? signer : ca);
    X509 *issuer = read_cert(fixture_path(ca_cert));
    EVP_PKEY *key = read_key(key_name);
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *last = X509_gmtime_adj(NULL, -2 * DAY), *next = X509_gmtime_adj(NULL, ends);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
    X509_CRL_set1_lastUpdate(crl, last);
    X509_CRL_set1_nextUpdate(crl, next);
    if (serial != 0) {
        X509_REVOKED *revoked = X509_REVOKED_new();
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, serial);
        X509_REVOKED_set_serialNumber(revoked, number);
        X509_REVOKED_set_revocationDate(revoked, last);
        assert_int_equal(X509_CRL_add0_revoked(crl, revoked), 1);
        ASN1_INTEGER_free(number);
    }
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    FILE *out = fopen(fixture_path(file), "ae");
    assert_non_null(out);
    assert_int_equal(PEM_write_X509_CRL(out, crl), 1);
    assert_int_equal(fclose(out), 0);
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    X509_free(issuer);
}

/* An OCSP response about CERT.pem of CA.pem, signed with SIGNER's key. */
struct ocsp_recipe {
    const char *file, *cert, *ca;
    const char *signer; /* NULL: ca */
    int status;         /* V_OCSP_CERTSTATUS_GOOD ... */
    long begins, ends;  /* seconds from now */
    bool open_ended;    /* without an end */
    int response_status;
};

static inline X509 *read_named(const char *name)
{
    char file[64];
    snprintf(file, sizeof(file), "%s.pem", name);
    return read_cert(fixture_path(file));
}

static inline void make_ocsp(const struct ocsp_recipe *recipe)
{
    char key_name[64];
    const char *signer_name = recipe->signer != NULL ? recipe->signer : recipe->ca;
    snprintf(key_name, sizeof(key_name), "%s.key", signer_name);
    X509 *leaf = read_named(recipe->cert), *issuer = read_named(recipe->ca),
         *signer = read_named(signer_name);
    EVP_PKEY *key = read_key(key_name);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    ASN1_TIME *begins = X509_gmtime_adj(NULL, recipe->begins), *ends = X509_gmtime_adj(NULL, recipe->ends);
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), leaf, issuer);
    assert_non_null(OCSP_basic_add1_status(basic, id, recipe->status, 0, begins, begins,
                                           recipe->open_ended ? NULL : ends));
    assert_int_equal(OCSP_basic_sign(basic, signer, key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *response = OCSP_response_create(recipe->response_status, basic);
    unsigned char *der = NULL;
    int size = i2d_OCSP_RESPONSE(response, &der);
    FILE *out = fopen(fixture_path(recipe->file), "we");
    assert_true(size > 0 && out != NULL);
    assert_int_equal(fwrite(der, 1, (size_t)size, out), size);
    assert_int_equal(fclose(out), 0);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(begins);
    ASN1_TIME_free(ends);
    EVP_PKEY_free(key);
    X509_free(signer);
    X509_free(issuer);
    X509_free(leaf);
}
