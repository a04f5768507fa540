/* The certificates of one `tls` block: loaded, matched to their keys, chosen by SNI; and the SSL_CTX that
 * serves them. Immutable once built: any number of workers may use it.
 * Refuses to know configuration and logs: it gets paths and returns what is wrong with which. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "certs/policy.h"

struct cert_store;
struct ticket_keys; /* tickets.h */

struct cert_files {
    const char *cert; /* PEM: leaf first, then the chain */
    const char *key;  /* PEM, unencrypted */
    const char *ocsp; /* DER, stapled while it is valid; NULL: none */
};

/* Whether clients show a certificate of their own. */
enum cert_verify {
    CERT_VERIFY_NONE,
    CERT_VERIFY_OPTIONAL, /* one that isn't good is refused all the same */
    CERT_VERIFY_REQUIRED,
};
struct cert_client {
    enum cert_verify verify;
    const char *ca, *crl; /* PEM; crl NULL: none */
    int depth;            /* intermediates allowed in a chain */
};

struct cert_store_options {
    const struct cert_files *files; /* the first is the default, for clients without (known) SNI */
    size_t count;
    bool ktls;                                        /* SSL_OP_ENABLE_KTLS */
    void (*keylog)(const SSL *ssl, const char *line); /* with ktls: who must see the secrets; NULL: nobody */
    struct cert_policy policy; /* its alpn: in order of preference; none: no protocol is selected */
    bool http_alpn;            /* "http/1.1" alone, whatever the policy says */
    struct cert_client client;
    struct ticket_keys *tickets; /* borrowed, shared by all stores of the process; NULL: no tickets */
};

enum cert_fault {
    CERT_OK,
    CERT_FAULT_CERT,
    CERT_FAULT_KEY,
    CERT_FAULT_MISMATCH,
    CERT_FAULT_OCSP,
    CERT_FAULT_CA,  /* of the clients, or of the server connected to: index says nothing */
    CERT_FAULT_CRL, /* likewise */
    CERT_FAULT_SYSTEM,
};

struct cert_error {
    enum cert_fault fault;
    size_t index;   /* which of files */
    char text[512]; /* "PATH: can't read: Permission denied" */
};

/* NULL: *error says what and which. */
struct cert_store *cert_store_new(const struct cert_store_options *options, struct cert_error *error);
struct cert_store *cert_store_ref(struct cert_store *store); /* thread-safe */
void cert_store_unref(struct cert_store *store);

/* What an operator should know of files[index] though it was loaded (expired, not valid yet, without a DNS
 * name, its key readable by everyone); "" if nothing. */
const char *cert_store_warning(const struct cert_store *store, size_t index);

/* All that an operator should know though it was loaded: fault tells of which file, as for an error. */
void cert_store_each_warning(const struct cert_store *store,
                             void (*on_warning)(void *arg, const struct cert_error *warning), void *arg);

/* Whether one of them is for the name; a pattern, "*.example.org", must stand in it as such. */
bool cert_store_has(const struct cert_store *store, const char *name);

/* The context for new server-side connections: what the policy says, no renegotiation, the certificate chosen
 * by SNI (exact name, then wildcard, then the default). Certificates for one name whose keys are of different
 * types stand side by side, and the client's signature algorithms choose; of two of one type the first
 * counts. Names are those of the SAN; the common name where there is none. A client's certificate is verified
 * as the options say; a session is resumed only where the same names, CAs, CRLs and demands hold, and while
 * that certificate is valid. Borrowed; the store outlives every connection made from it. */
SSL_CTX *cert_store_context(const struct cert_store *store);
