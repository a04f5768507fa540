/* Whom a certificate must come from to be believed: CA certificates and the lists of what they revoked.
 * Refuses to know whose certificates are verified, and names. Immutable once loaded; thread-safe. */
#pragma once

#include <openssl/types.h>
#include <openssl/x509.h>

#include "certs/store.h"

#define TRUST_DIGEST_SIZE 32

struct cert_trust_files {
    const char *ca;  /* PEM, any number; NULL: the system's own */
    const char *crl; /* PEM, any number; NULL: nothing is looked up */
};

/* Zeros: empty. */
struct cert_trust {
    X509_STORE *store;           /* with a CRL, every certificate of a chain is looked up, but for the last */
    STACK_OF(X509_NAME) * names; /* of the CA certificates */
    unsigned char digest[TRUST_DIGEST_SIZE]; /* of everything read: tells whether two are the same */
    char ca_warning[256], crl_warning[256];  /* "" or what an operator should know though they were loaded */
};

/* What is in the file of CAs is trusted as it is, an intermediate or a self-signed server certificate as well
 * as a root; only with a CRL a chain has to reach a root. A CRL that is over makes every verification fail
 * that needs it: it is loaded, with a warning, since the process may have others to serve. One that is
 * missing for a CA is a fault: nothing that it issued could be verified. 0; or -1 and *error (CERT_FAULT_CA,
 * CERT_FAULT_CRL), then *trust is empty. */
int cert_trust_load(struct cert_trust *trust, const struct cert_trust_files *files, struct cert_error *error)
    __attribute__((warn_unused_result));
void cert_trust_clear(struct cert_trust *trust);
