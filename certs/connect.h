/* The connecting side of TLS: what a client says, whom it believes, and the sessions it resumes. One for each
 * group of servers with the same settings. Immutable but for its sessions: any number of workers may use it.
 * Refuses to know configuration and logs, and who drives the SSL objects made from it. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>

#include "certs/policy.h"
#include "certs/store.h"
#include "certs/trust.h"

struct cert_connect;

struct cert_connect_options {
    struct cert_policy policy;                        /* its alpn is offered in this order */
    bool verify;                                      /* false: any certificate will do */
    struct cert_trust_files trust;                    /* ca NULL: the system's own */
    struct cert_files client;                         /* the certificate to show; cert NULL: none */
    bool ktls;                                        /* SSL_OP_ENABLE_KTLS */
    void (*keylog)(const SSL *ssl, const char *line); /* SSL_CTX_set_keylog_callback; NULL: none */
};

/* NULL: *error says why; its index means nothing. */
struct cert_connect *cert_connect_new(const struct cert_connect_options *options, struct cert_error *error);
void cert_connect_free(struct cert_connect *connect); /* after the last connection made from it */

/* Borrowed. */
SSL_CTX *cert_connect_context(const struct cert_connect *connect);

/* Before the handshake with a server: sets the name (SNI; a numeric address is none, and is only checked),
 * what its certificate must be for, and a session to resume, if there is one. key tells servers apart: a
 * session is resumed with the server and name it was made with. name NULL: none is sent, and none checked. 0,
 * or -1: out of memory, or the name can't be one. */
int cert_connect_prepare(struct cert_connect *connect, SSL *ssl, const char *key, const char *name)
    __attribute__((warn_unused_result));
/* The name alone, as above: a handshake in full, of which no session is kept. */
int cert_connect_set_name(SSL *ssl, const char *name) __attribute__((warn_unused_result));

/* "" or what an operator should know though it was loaded. */
void cert_connect_each_warning(const struct cert_connect *connect,
                               void (*on_warning)(void *arg, const struct cert_error *warning), void *arg);
