/* The SSL_CTX of a server side, all but its certificates: versions, ciphers, tickets, ALPN, kTLS.
 * Refuses to know names and files: store.c adds those. */
#pragma once

#include <openssl/types.h>

#include "certs/store.h"

/* `identity` names what the context is the server of: tickets given out under one identity aren't resumed
 * under another (RFC 6066 3), though the keys are the process's. At most 32 bytes (SSL_MAX_SID_CTX_LENGTH).
 * NULL: out of memory, or OpenSSL lacks something; its error queue says what. */
SSL_CTX *cert_context_new(const struct cert_store_options *options, const unsigned char *identity,
                          size_t identity_size) __attribute__((warn_unused_result));
