/* A certificate chain and its private key, read from two PEM files and held to each other; with an OCSP
 * response, if there is one. Refuses to know what they are for; never asks for a passphrase. */
#pragma once

#include <openssl/types.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "certs/ocsp.h"
#include "certs/store.h"

struct cert_pair {
    X509 *leaf;
    STACK_OF(X509) * chain; /* what follows the leaf; may be empty, never NULL */
    EVP_PKEY *key;
    struct cert_ocsp ocsp;
    bool warns_of_key; /* what follows is about the key */
    char warning[128]; /* "" or what an operator should know though it loads: expired, key readable by all */
};

/* Reads them. 0; or -1 and *error (its index is left alone), then *pair is empty. Files only: a FIFO would
 * block the start. cert_pair_clear(pair) releases it, and does nothing to an empty one. */
int cert_pair_load(struct cert_pair *pair, const struct cert_files *files, struct cert_error *error)
    __attribute__((warn_unused_result));
void cert_pair_clear(struct cert_pair *pair);
