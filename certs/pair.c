/* Reads a certificate chain and a key from PEM, and tells exactly what is wrong with which file.
 * Refuses to know what the pair is for. Key material is cleansed from every buffer it passed through. */
#include "certs/pair.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "certs/file.h"

static int parse_chain(struct cert_pair *pair, BIO *bio, const char *path, struct cert_error *error)
{
    pair->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (pair->leaf == NULL) {
        bool none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        return cert_fail(error, CERT_FAULT_CERT, path,
                         none ? "holds no certificate in PEM form" : "bad certificate: %s",
                         cert_openssl_reason());
    }
    pair->chain = sk_X509_new_null();
    if (pair->chain == NULL) {
        return cert_fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
    }
    X509 *next;
    while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(pair->chain, next) == 0) {
            X509_free(next);
            return cert_fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
        }
    }
    /* Running out of blocks is how the loop ends well; anything else is a damaged one. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return cert_fail(error, CERT_FAULT_CERT, path, "bad certificate after the first: %s",
                         cert_openssl_reason());
    }
    if (X509_get0_pubkey(pair->leaf) == NULL) {
        return cert_fail(error, CERT_FAULT_CERT, path, "its public key can't be used: %s",
                         cert_openssl_reason());
    }
    return 0;
}

static int load_chain(struct cert_pair *pair, const char *path, struct cert_error *error)
{
    struct cert_file file;
    if (cert_file_read(&file, path, CERT_FAULT_CERT, error) == -1) {
        return -1;
    }
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.size);
    int result = bio == NULL ? cert_fail(error, CERT_FAULT_SYSTEM, path, "out of memory")
                             : parse_chain(pair, bio, path, error);
    BIO_free(bio);
    cert_file_clear(&file);
    return result;
}

/* OpenSSL's own would prompt on the terminal and stop the start there. */
static int no_passphrase(char *buffer, int size, int for_writing, void *arg)
{
    bool *asked = arg;
    (void)buffer, (void)size, (void)for_writing;
    *asked = true;
    return -1;
}

static int load_key(struct cert_pair *pair, const char *path, struct cert_error *error)
{
    struct cert_file file;
    if (cert_file_read(&file, path, CERT_FAULT_KEY, error) == -1) {
        return -1;
    }
    int result = 0;
    bool asked = false;
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.size);
    if (bio == NULL) {
        result = cert_fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
    } else if ((pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked)) == NULL) {
        result = cert_fail(error, CERT_FAULT_KEY, path, "%s",
                           asked ? "the key is encrypted, and there is nobody to ask for the passphrase"
                                 : "holds no private key in PEM form");
    } else if ((file.mode & S_IROTH) != 0) {
        pair->warns_of_key = true;
        snprintf(pair->warning, sizeof(pair->warning), "the key file is readable by every user");
    }
    BIO_free(bio);
    cert_file_clear(&file);
    return result;
}

/* A certificate out of its time still loads: the old one served on is better than a start refused. */
static void warn_of_time(struct cert_pair *pair)
{
    const ASN1_TIME *when = NULL;
    const char *what = NULL;
    if (X509_cmp_current_time(X509_get0_notAfter(pair->leaf)) < 0) {
        when = X509_get0_notAfter(pair->leaf);
        what = "the certificate expired on";
    } else if (X509_cmp_current_time(X509_get0_notBefore(pair->leaf)) > 0) {
        when = X509_get0_notBefore(pair->leaf);
        what = "the certificate is not valid before";
    }
    struct tm tm;
    char date[32] = "";
    if (when != NULL && ASN1_TIME_to_tm(when, &tm) == 1) {
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
        pair->warns_of_key = false;
        snprintf(pair->warning, sizeof(pair->warning), "%s %s", what, date);
    }
}

int cert_pair_load(struct cert_pair *pair, const struct cert_files *files, struct cert_error *error)
{
    *pair = (struct cert_pair){0};
    ERR_clear_error();
    if (load_chain(pair, files->cert, error) == -1 || load_key(pair, files->key, error) == -1) {
        cert_pair_clear(pair);
        ERR_clear_error();
        return -1;
    }
    if (EVP_PKEY_eq(X509_get0_pubkey(pair->leaf), pair->key) != 1) {
        cert_fail(error, CERT_FAULT_MISMATCH, files->key, "does not match the public key of the certificate");
        cert_pair_clear(pair);
        ERR_clear_error();
        return -1;
    }
    if (files->ocsp != NULL &&
        cert_ocsp_load(&pair->ocsp, files->ocsp, pair->leaf, pair->chain, error) == -1) {
        cert_pair_clear(pair);
        return -1;
    }
    warn_of_time(pair);
    ERR_clear_error();
    return 0;
}

void cert_pair_clear(struct cert_pair *pair)
{
    cert_ocsp_clear(&pair->ocsp);
    X509_free(pair->leaf);
    sk_X509_pop_free(pair->chain, X509_free);
    EVP_PKEY_free(pair->key);
    *pair = (struct cert_pair){0};
}
