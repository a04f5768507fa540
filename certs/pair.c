/* Reads a certificate chain and a key from PEM, and tells exactly what is wrong with which file.
 * Refuses to know what the pair is for. Key material is cleansed from every buffer it passed through. */
#include "certs/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_FILE_MAX (1u << 20) /* a long chain is some 20 KiB */
#define PATH_SHOWN 300          /* of a longer path only the end, which tells more than the beginning */

static int fail(struct cert_error *error, enum cert_fault fault, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "PATH: what is wrong"; always -1. */
static int fail(struct cert_error *error, enum cert_fault fault, const char *path, const char *format, ...)
{
    size_t length = strlen(path);
    bool cut = length > PATH_SHOWN;
    error->fault = fault;
    int used = snprintf(error->text, sizeof(error->text), "%s%s: ", cut ? "..." : "",
                        cut ? path + length - PATH_SHOWN : path);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text + used, sizeof(error->text) - (size_t)used, format, arguments);
    va_end(arguments);
    return -1;
}

static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "unknown error";
}

struct pem_file {
    unsigned char *data;
    size_t size;
    mode_t mode;
};

static void pem_file_clear(struct pem_file *file)
{
    OPENSSL_clear_free(file->data, PEM_FILE_MAX);
    file->data = NULL;
}

static int read_all(int fd, struct pem_file *file)
{
    file->size = 0;
    while (file->size < PEM_FILE_MAX) {
        ssize_t n = read(fd, file->data + file->size, PEM_FILE_MAX - file->size);
        if (n == -1 && errno == EINTR) {
            continue;
        }
        if (n == -1) {
            return -1;
        }
        if (n == 0) {
            return 0;
        }
        file->size += (size_t)n;
    }
    errno = EFBIG;
    return -1;
}

/* O_NONBLOCK: opening a FIFO must not wait for its writer before fstat can refuse it. */
static int pem_file_read(struct pem_file *file, const char *path, enum cert_fault fault,
                         struct cert_error *error)
{
    *file = (struct pem_file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd == -1) {
        return fail(error, fault, path, "can't read: %s", strerror(errno));
    }
    int result = -1;
    struct stat status;
    if (fstat(fd, &status) == -1) {
        fail(error, CERT_FAULT_SYSTEM, path, "fstat: %s", strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        fail(error, fault, path, "not a regular file");
    } else if ((file->data = OPENSSL_malloc(PEM_FILE_MAX)) == NULL) {
        fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
    } else if (read_all(fd, file) == -1) {
        fail(error, fault, path, "can't read: %s", strerror(errno));
    } else {
        file->mode = status.st_mode;
        result = 0;
    }
    if (result == -1) {
        pem_file_clear(file);
    }
    close(fd);
    return result;
}

static int parse_chain(struct cert_pair *pair, BIO *bio, const char *path, struct cert_error *error)
{
    pair->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (pair->leaf == NULL) {
        bool none = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        return fail(error, CERT_FAULT_CERT, path,
                    none ? "holds no certificate in PEM form" : "bad certificate: %s", openssl_reason());
    }
    pair->chain = sk_X509_new_null();
    if (pair->chain == NULL) {
        return fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
    }
    X509 *next;
    while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(pair->chain, next) == 0) {
            X509_free(next);
            return fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
        }
    }
    /* Running out of blocks is how the loop ends well; anything else is a damaged one. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return fail(error, CERT_FAULT_CERT, path, "bad certificate after the first: %s", openssl_reason());
    }
    if (X509_get0_pubkey(pair->leaf) == NULL) {
        return fail(error, CERT_FAULT_CERT, path, "its public key can't be used: %s", openssl_reason());
    }
    return 0;
}

static int load_chain(struct cert_pair *pair, const char *path, struct cert_error *error)
{
    struct pem_file file;
    if (pem_file_read(&file, path, CERT_FAULT_CERT, error) == -1) {
        return -1;
    }
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.size);
    int result = bio == NULL ? fail(error, CERT_FAULT_SYSTEM, path, "out of memory")
                             : parse_chain(pair, bio, path, error);
    BIO_free(bio);
    pem_file_clear(&file);
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
    struct pem_file file;
    if (pem_file_read(&file, path, CERT_FAULT_KEY, error) == -1) {
        return -1;
    }
    int result = 0;
    bool asked = false;
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.size);
    if (bio == NULL) {
        result = fail(error, CERT_FAULT_SYSTEM, path, "out of memory");
    } else if ((pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked)) == NULL) {
        result = fail(error, CERT_FAULT_KEY, path, "%s",
                      asked ? "the key is encrypted, and there is nobody to ask for the passphrase"
                            : "holds no private key in PEM form");
    } else if ((file.mode & S_IROTH) != 0) {
        snprintf(pair->warning, sizeof(pair->warning), "the key file is readable by every user");
    }
    BIO_free(bio);
    pem_file_clear(&file);
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
        fail(error, CERT_FAULT_MISMATCH, files->key, "does not match the public key of the certificate");
        cert_pair_clear(pair);
        ERR_clear_error();
        return -1;
    }
    warn_of_time(pair);
    ERR_clear_error();
    return 0;
}

void cert_pair_clear(struct cert_pair *pair)
{
    X509_free(pair->leaf);
    sk_X509_pop_free(pair->chain, X509_free);
    EVP_PKEY_free(pair->key);
    *pair = (struct cert_pair){0};
}
