/* A development CA and its certificate for localhost, made when they are missing, damaged or nearly over.
 * The CA may sign for localhost only (name constraints), so that trusting it risks nothing else.
 * Refuses to know who serves with them. */
#include "certs/dev_ca.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "certs/pair.h"

#define DAY 86400L
#define LEAF_DAYS 90
#define CA_DAYS 730
#define SKEW_SECONDS 300 /* a guest or a second machine whose clock is a little behind */
#define SERIAL_BYTES 16

struct extension {
    int nid;
    const char *value; /* in the syntax of X509V3_EXT_nconf_nid */
};

static const struct extension ca_extensions[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_subject_key_identifier, "hash"},
    {NID_name_constraints, "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0,"
                           "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

static const struct extension leaf_extensions[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid"},
    {NID_subject_alt_name, "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1"},
};

struct paths {
    char ca_cert[PATH_MAX], ca_key[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
};

struct failure {
    char *text;
    size_t size;
};

static int fail_system(struct failure *failure, const char *path, const char *what)
{
    snprintf(failure->text, failure->size, "%s: %s: %s", path, what, strerror(errno));
    return -1;
}

static int fail_openssl(struct failure *failure, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(failure->text, failure->size, "%s: %s", what, reason != NULL ? reason : "out of memory");
    return -1;
}

/* ---- making ---- */

static bool set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

static bool add_extensions(X509 *cert, X509 *issuer, const struct extension *extensions, size_t count)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        X509_EXTENSION *extension =
            X509V3_EXT_nconf_nid(NULL, &context, extensions[i].nid, extensions[i].value);
        bool added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
        X509_EXTENSION_free(extension);
        if (!added) {
            return false;
        }
    }
    return true;
}

static bool add_name(X509_NAME *name, const char *field, const char *value)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, (const unsigned char *)value, -1, -1, 0) ==
           1;
}

static bool set_basics(X509 *cert, EVP_PKEY *key, const char *common_name, int days)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -SKEW_SECONDS) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(cert), days * DAY) != NULL &&
           add_name(subject, "O", "Sluice development") && add_name(subject, "CN", common_name) &&
           X509_set_pubkey(cert, key) == 1;
}

/* The name is unique, so that a trust store can hold the CAs of several checkouts. */
static int make_ca(struct cert_pair *ca, struct failure *failure)
{
    unsigned char random[4];
    char common_name[64];
    *ca = (struct cert_pair){.key = EVP_EC_gen("P-256"), .leaf = X509_new(), .chain = sk_X509_new_null()};
    if (ca->key == NULL || ca->leaf == NULL || ca->chain == NULL || RAND_bytes(random, sizeof(random)) != 1) {
        return fail_openssl(failure, "can't make a key");
    }
    snprintf(common_name, sizeof(common_name), "Sluice development CA %02x%02x%02x%02x", random[0], random[1],
             random[2], random[3]);
    if (!set_basics(ca->leaf, ca->key, common_name, CA_DAYS) ||
        X509_set_issuer_name(ca->leaf, X509_get_subject_name(ca->leaf)) != 1 ||
        !add_extensions(ca->leaf, ca->leaf, ca_extensions,
                        sizeof(ca_extensions) / sizeof(ca_extensions[0])) ||
        X509_sign(ca->leaf, ca->key, EVP_sha256()) == 0) {
        return fail_openssl(failure, "can't make a CA certificate");
    }
    return 0;
}

static int make_leaf(struct cert_pair *leaf, const struct cert_pair *ca, struct failure *failure)
{
    *leaf = (struct cert_pair){.key = EVP_EC_gen("P-256"), .leaf = X509_new(), .chain = sk_X509_new_null()};
    if (leaf->key == NULL || leaf->leaf == NULL || leaf->chain == NULL ||
        X509_add_cert(leaf->chain, ca->leaf, X509_ADD_FLAG_UP_REF) != 1) {
        return fail_openssl(failure, "can't make a key");
    }
    if (!set_basics(leaf->leaf, leaf->key, "localhost", LEAF_DAYS) ||
        X509_set_issuer_name(leaf->leaf, X509_get_subject_name(ca->leaf)) != 1 ||
        !add_extensions(leaf->leaf, ca->leaf, leaf_extensions,
                        sizeof(leaf_extensions) / sizeof(leaf_extensions[0])) ||
        X509_sign(leaf->leaf, ca->key, EVP_sha256()) == 0) {
        return fail_openssl(failure, "can't make a certificate");
    }
    return 0;
}

/* ---- writing ---- */

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n == -1 && errno != EINTR) {
            return -1;
        }
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* Through a temporary name: whoever reads finds the old file or the new one, never half of it. */
static int write_file(const char *path, mode_t mode, BIO *content, struct failure *failure)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd == -1) {
        return fail_system(failure, path, "can't create");
    }
    char *data;
    long size = BIO_get_mem_data(content, &data);
    bool written = fchmod(fd, mode) == 0 && write_all(fd, data, (size_t)size) == 0;
    int saved = errno;
    close(fd);
    if (written && rename(temporary, path) == 0) {
        return 0;
    }
    errno = written ? errno : saved;
    fail_system(failure, path, "can't write");
    unlink(temporary);
    return -1;
}

static int write_pair(const struct cert_pair *pair, const char *cert_path, const char *key_path,
                      struct failure *failure)
{
    BIO *cert = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_secmem());
    int result = -1;
    bool encoded = cert != NULL && key != NULL && PEM_write_bio_X509(cert, pair->leaf) == 1 &&
                   PEM_write_bio_PKCS8PrivateKey(key, pair->key, NULL, NULL, 0, NULL, NULL) == 1;
    for (int i = 0; i < sk_X509_num(pair->chain) && encoded; i++) {
        encoded = PEM_write_bio_X509(cert, sk_X509_value(pair->chain, i)) == 1;
    }
    if (!encoded) {
        fail_openssl(failure, "can't encode as PEM");
    } else if (write_file(key_path, 0600, key, failure) == 0) {
        result = write_file(cert_path, 0644, cert, failure);
    }
    BIO_free(cert);
    BIO_free(key); /* secure memory: cleansed */
    return result;
}

/* ---- judging what is there ---- */

static bool lasts_another_day(const X509 *cert)
{
    time_t tomorrow = time(NULL) + DAY;
    return X509_cmp_time(X509_get0_notAfter(cert), &tomorrow) > 0 &&
           X509_cmp_current_time(X509_get0_notBefore(cert)) < 0;
}

static bool pair_usable(struct cert_pair *pair, const char *cert, const char *key)
{
    struct cert_error ignored;
    return cert_pair_load(pair, &(struct cert_files){.cert = cert, .key = key}, &ignored) == 0 &&
           lasts_another_day(pair->leaf);
}

/* Under the lock. A good CA is kept when only the leaf has to be made again: somebody may trust it. */
static int ensure_locked(const struct paths *paths, struct failure *failure)
{
    struct cert_pair ca = {0}, leaf = {0};
    int result = 0;
    bool old_ca = pair_usable(&ca, paths->ca_cert, paths->ca_key);
    if (!old_ca) {
        cert_pair_clear(&ca);
        result = make_ca(&ca, failure);
        if (result == 0) {
            result = write_pair(&ca, paths->ca_cert, paths->ca_key, failure);
        }
    }
    if (result == 0 && !(old_ca && pair_usable(&leaf, paths->cert, paths->key) &&
                         X509_verify(leaf.leaf, X509_get0_pubkey(ca.leaf)) == 1)) {
        cert_pair_clear(&leaf);
        result = make_leaf(&leaf, &ca, failure);
        if (result == 0) {
            result = write_pair(&leaf, paths->cert, paths->key, failure);
        }
    }
    cert_pair_clear(&ca);
    cert_pair_clear(&leaf);
    return result;
}

static bool make_path(char path[PATH_MAX], const char *directory, const char *name)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return length > 0 && length < PATH_MAX;
}

int dev_ca_ensure(const char *directory, char *error, size_t error_size)
{
    struct failure failure = {error, error_size};
    struct paths paths;
    if (!make_path(paths.ca_cert, directory, "ca.pem") || !make_path(paths.ca_key, directory, "ca.key") ||
        !make_path(paths.cert, directory, "localhost.pem") ||
        !make_path(paths.key, directory, "localhost.key")) {
        errno = ENAMETOOLONG;
        return fail_system(&failure, directory, "can't use");
    }
    if (mkdir(directory, 0700) == -1 && errno != EEXIST) {
        return fail_system(&failure, directory, "can't create the directory");
    }
    int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock == -1) {
        return fail_system(&failure, directory, "can't open the directory");
    }
    /* Four files can't be replaced at once: of two processes, the second waits and finds the first one's. */
    int result = -1;
    int locked;
    do {
        locked = flock(lock, LOCK_EX);
    } while (locked == -1 && errno == EINTR);
    if (locked == -1) {
        fail_system(&failure, directory, "can't lock the directory");
    } else {
        ERR_clear_error();
        result = ensure_locked(&paths, &failure);
        ERR_clear_error();
    }
    close(lock);
    return result;
}
