/* What a handshake came to, as a flat value for logs: it outlives the TLS object.
 * Refuses to know what is done with it. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_facts {
    const char *version, *cipher; /* OpenSSL's own constants; the cipher by its IANA name */
    char sni[256];
    char alpn[64];       /* the protocol selected; "" none; cut if it is longer */
    char peer_name[128]; /* of a peer certificate that was verified: see tls_facts_peer_name; "" none */
    bool resumed;        /* no certificate was shown: what is told of the peer is the first handshake's */
};

/* After the handshake. */
void tls_facts_read(const SSL *ssl, struct tls_facts *facts);

/* The common name of the subject, or without one the first name of the SAN (DNS, e-mail, URI or address);
 * "" if there is neither. Bytes that aren't printable ASCII are shown as `?`, a longer name is cut. */
void tls_facts_peer_name(const X509 *certificate, char *name, size_t size);
