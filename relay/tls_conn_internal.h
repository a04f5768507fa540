/* The inside of a tls_conn, for the files that make it up: tls_conn.c (OpenSSL), tls_conn_kernel.c (the
 * kernel's TLS) and tls_wear.c. Nobody else includes this. */
#pragma once

#include "relay/storm.h"
#include "relay/tls_bio.h"
#include "relay/tls_conn.h"
#include "relay/tls_control.h"
#include "relay/tls_keys.h"

struct tls_conn {
    SSL *ssl; /* NULL once the kernel does it all and the owner has let it go */
    int fd;
    enum tls_role role;
    bool ktls_wanted, late_rx, untested;
    const struct probe_ktls *verdict; /* on version and cipher, once those are known; NULL: none */
    bool handshake_done;
    bool ktls_tx, ktls_rx;
    bool said_close;  /* close_notify was written */
    bool notified;    /* close_notify is with the kernel */
    bool closed;      /* the peer's close_notify was read from the kernel */
    bool rekey_asked; /* the peer wants new sending keys, and ours are in the kernel */
    bool rekeyed;     /* the peer has changed its keys: peer_secret is of the past */
    unsigned key_updates;
    unsigned received; /* record headers and messages seen, to tell a step from standing still */
    uint64_t records;  /* headers of records seen since the handshake */
    struct tls_secret
        peer_secret; /* TLS 1.3: what the peer's first application key comes from; soon cleansed */
    enum relay_reason tx_reason, rx_reason; /* where the kernel didn't take over: why */

    /* Receiving from the kernel */
    struct tls_control_reader control;
    struct storm storm; /* of records that aren't data */
    bool storming;
    unsigned barren;      /* reads in a row that found no payload, nor was any spliced in between */
    uint64_t barren_mark; /* bytes that TCP had received at one of them */

    /* Where the kernel can't take over: OpenSSL writes into memory, and one call sends it. */
    bool gathers;
    struct tls_bio bio;
    /* Payload of the last tls_conn_write() whose records are not with the kernel yet, in a row of full
     * records and a last one; and payload that is, but was not told to the caller so far. */
    size_t unsent, unsent_last, untold;

    const char *version, *cipher; /* OpenSSL's own, static */
    uint64_t handshake_rx, handshake_tx;
    uint64_t sealed, sealed_max; /* bytes encrypted under the sending key, and allowed */
    char error[160];
};

/* Notes what went wrong and returns TLS_BROKEN with that errno. */
enum tls_status tls_conn_broken(struct tls_conn *tls, int error, const char *text);
/* What tls_conn_keylog() returns. */
void tls_conn_on_keylog(const SSL *ssl, const char *line);
/* FIN without close_notify. */
enum tls_status tls_conn_truncated(struct tls_conn *tls);

/* Counts a record that is no payload; true: it is a storm. */
bool tls_conn_storm(struct tls_conn *tls);

/* tls_conn_kernel.c: the same as their namesakes, where the kernel decrypts or encrypts. */
enum tls_status tls_kernel_read(struct tls_conn *tls, void *buffer, size_t size, size_t *n);
enum tls_status tls_kernel_close_notify(struct tls_conn *tls);
