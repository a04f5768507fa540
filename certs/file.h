/* Small files that certificates, keys, CRLs and OCSP responses come from, and how their faults are told.
 * Refuses to know what is in them. What passed through is cleansed: it may be key material. */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "certs/store.h"

/* Fills *error with "PATH: what is wrong" and the fault; its index is left alone. Always -1. */
int cert_fail(struct cert_error *error, enum cert_fault fault, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Of the latest error in OpenSSL's queue, in words. */
const char *cert_openssl_reason(void);

struct cert_file {
    unsigned char *data;
    size_t size;
    mode_t mode;
};

/* Regular files of at most 4 MiB only. 0; or -1 and *error, then *file is empty. */
int cert_file_read(struct cert_file *file, const char *path, enum cert_fault fault, struct cert_error *error)
    __attribute__((warn_unused_result));
void cert_file_clear(struct cert_file *file);
