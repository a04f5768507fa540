/* The SSL_CTX of a server side, all but its certificates: its policy, tickets, ALPN, kTLS.
 * Refuses to know names and files: store.c adds those. */
#pragma once

#include <openssl/types.h>

#include "certs/store.h"
#include "certs/trust.h"

struct context_parts {
    const struct cert_store_options *options;
    /* What the context is the server of: tickets given out under one identity aren't resumed under another
     * (RFC 6066 3), though the keys are the process's. At most 32 bytes (SSL_MAX_SID_CTX_LENGTH). */
    const unsigned char *identity;
    size_t identity_size;
    const struct cert_trust *trust;  /* of clients; NULL or empty: none is asked for a certificate */
    const struct context_alpn *alpn; /* borrowed, outlives the context; NULL: none is selected */
};

struct context_alpn {
    unsigned char *wire; /* as RFC 7301 has it, in order of preference */
    size_t size;
};

/* NULL: out of memory, or OpenSSL lacks something; its error queue says what. */
SSL_CTX *cert_context_new(const struct context_parts *parts) __attribute__((warn_unused_result));
