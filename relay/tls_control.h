/* What the records that aren't data mean, once the kernel decrypts and OpenSSL no longer sees them: alerts
 * and the handshake messages that come after the handshake. A pure parser. Refuses to know sockets, and what
 * is done about it (tls_conn.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_record_type { TLS_RECORD_ALERT = 21, TLS_RECORD_HANDSHAKE = 22, TLS_RECORD_DATA = 23 };

enum tls_control {
    TLS_CONTROL_IGNORE,      /* changes nothing: a warning, a session ticket, part of a message */
    TLS_CONTROL_CLOSE,       /* close_notify */
    TLS_CONTROL_RENEGOTIATE, /* TLS 1.2: the peer wants a new handshake, and must be told that it gets none */
    TLS_CONTROL_KEY_UPDATE,  /* TLS 1.3: what follows is under another key */
    TLS_CONTROL_FATAL,       /* a fatal alert, or nothing that a peer may send: *why says which */
};

/* Zero-initialise but for the first two. A handshake message may be spread over records, and a record may be
 * read in pieces. */
struct tls_control_reader {
    bool tls13;
    bool from_server; /* the peer is the server */
    uint8_t header[4];
    unsigned have;
    uint32_t left; /* bytes of the message that are still to come */
};

/* Looks at what was read of a record: an alert whole, anything else in pieces of any size. Once it has said
 * other than IGNORE or RENEGOTIATE nothing more may be asked. why: static text. */
enum tls_control tls_control_read(struct tls_control_reader *reader, uint8_t type, const uint8_t *data,
                                  size_t size, const char **why);
