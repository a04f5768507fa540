/* The first message of a TLS client, as it stands in a socket: whom it asks for (SNI) and what it speaks
 * (ALPN). Pure: bytes in, a value out, in any number of TLS records (RFC 8446 4.1.2, 5.1; RFC 6066 3; RFC
 * 7301 3.1). Of an encrypted hello (ECH) this is the outer one, whose name is that of the front.
 * Refuses to know sockets and routes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A hello with its record headers. Ordinary ones have 500 bytes, post-quantum ones 1800. */
#define CLIENT_HELLO_MAX ((size_t)64 << 10)

enum client_hello_status {
    CLIENT_HELLO_DONE,
    CLIENT_HELLO_MORE,    /* not all of it is there: at least `needed` bytes in all are */
    CLIENT_HELLO_NOT_TLS, /* something else: plain text, SSL 2, a TLS server */
    CLIENT_HELLO_BAD, /* TLS by its first bytes, but not a hello that one may trust to read like its server */
    CLIENT_HELLO_TOO_LONG, /* it will not end within CLIENT_HELLO_MAX */
};

struct client_hello {
    size_t needed;    /* MORE */
    char sni[256];    /* DONE: as sent, without a NUL inside; "" none */
    size_t alpn_size; /* DONE: the protocols offered, each with its length in front; none: 0 */
    uint8_t alpn[512];
};

/* Reads the first `size` bytes that a client sent. *hello is set for DONE and MORE. */
enum client_hello_status client_hello_parse(const uint8_t *data, size_t size, struct client_hello *hello);
