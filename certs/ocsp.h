/* OCSP stapling: a response that the certificate's CA gave out (RFC 6960), held ready for clients that ask.
 * Refuses to fetch one: a file is what there is. */
#pragma once

#include <openssl/types.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <time.h>

#include "certs/store.h"

/* Zeros: none. */
struct cert_ocsp {
    unsigned char *der;
    size_t size;
    time_t begins, ends; /* stapled between them */
    char warning[128];   /* "" or what an operator should know though it was loaded */
};

/* Reads it and holds it to the certificate, and to its issuer where that is in the chain: the response must
 * be about this very certificate, and signed. One that is over is loaded all the same, with a warning; it
 * just isn't stapled. 0; or -1 and *error (CERT_FAULT_OCSP), then *ocsp is empty. */
int cert_ocsp_load(struct cert_ocsp *ocsp, const char *path, X509 *leaf, STACK_OF(X509) * chain,
                   struct cert_error *error) __attribute__((warn_unused_result));
void cert_ocsp_clear(struct cert_ocsp *ocsp);

/* Within the status callback of a server: SSL_TLSEXT_ERR_OK, and the response is with ssl; or
 * SSL_TLSEXT_ERR_NOACK: there is none that is valid now. */
int cert_ocsp_staple(const struct cert_ocsp *ocsp, SSL *ssl);
