/* One TLS connection over a non-blocking socket: handshake, reading and writing, whether the kernel took over
 * (kTLS), and an orderly close. Drives the SSL object itself: bufferevents keep a moving write buffer, which
 * with kTLS TX sends stale memory (kernel.md 4).
 * Refuses to know certificates, names and policy: it gets a ready SSL_CTX. Belongs to one worker. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/mode.h"

struct tls_conn;

enum tls_status {
    TLS_DONE,       /* the call did something (*n bytes where it has n) */
    TLS_WANT_READ,  /* not now: until the socket is readable */
    TLS_WANT_WRITE, /* not now: until the socket is writable */
    TLS_CLOSED,     /* the peer's close_notify: a complete end */
    TLS_TRUNCATED,  /* FIN without close_notify: bytes may be missing */
    TLS_BROKEN,     /* protocol error or reset; tls_conn_error() says which */
};

enum tls_role {
    TLS_ACCEPT,  /* we are the TLS server */
    TLS_CONNECT, /* we are the TLS client */
};

struct tls_conn_options {
    SSL_CTX *ctx; /* a reference is taken; of the role's kind */
    int fd;       /* borrowed, connected, non-blocking */
    enum tls_role role;
    /* Whether the configuration wants kTLS. It only decides the reason told (ktls_off against ktls_kernel):
     * the context carries SSL_OP_ENABLE_KTLS or not. */
    bool ktls_wanted;
    /* TLS 1.3: leaves receiving with OpenSSL until the first payload was read, so that a client sees the
     * session tickets that come before it; until then rx_reason is ktls_rx_tls13. */
    bool late_rx;
    /* For the probe: goes by what the kernel takes, not by what it was found to do right. */
    bool untested;
};

/* What goes into SSL_CTX_set_keylog_callback of every context of connections that may be given to the kernel:
 * without it TLS 1.3 receive stays with OpenSSL. The secrets are kept for as long as a handshake takes, told
 * to nobody, and cleansed. NULL: this kernel has no TLS, and there is nothing to install. Thread-safe. */
typedef void tls_keylog_fn(const SSL *ssl, const char *line);
tls_keylog_fn *tls_conn_keylog(void);

/* NULL: out of memory. */
struct tls_conn *tls_conn_new(const struct tls_conn_options *options);
void tls_conn_free(struct tls_conn *tls); /* does not close fd, sends nothing */

/* For the owner, who knows names and sessions: to set before the handshake what it is to say and check, and
 * to ask afterwards what it came to. Nobody else reads or writes through it. Borrowed; NULL once dropped. */
SSL *tls_conn_ssl(struct tls_conn *tls);

/* Frees the SSL object, some 20 KiB, if the kernel does both directions; otherwise it does nothing. To be
 * called when the owner has asked everything that it wants to know of a finished handshake. */
void tls_conn_drop_ssl(struct tls_conn *tls);

enum tls_status tls_conn_handshake(struct tls_conn *tls);

/* Reads decrypted bytes, and deals with what isn't data: alerts, empty records, KeyUpdates, the end. So with
 * kTLS RX it is what to call when splice said EINVAL or 0 (kernel.md 3). Too many records without data in too
 * short a time are TLS_BROKEN, and so is a KeyUpdate where the kernel has the keys. */
enum tls_status tls_conn_read(struct tls_conn *tls, void *buffer, size_t size, size_t *n);

/* Payload was spliced: the records without data that are read next don't follow those read before. */
void tls_conn_note_spliced(struct tls_conn *tls);

/* Where the kernel decrypts and splice said EINVAL: reads the one record that is next, which is no payload.
 * TLS_DONE: it changes nothing, splice again. */
enum tls_status tls_conn_skip_control(struct tls_conn *tls);

/* Encrypts in user space and writes. Precondition: !tls_conn_ktls_tx(): there, plain send(), sendfile() and
 * splice() on the descriptor are right (kernel.md 4), and SSL_write is never called, so no stale buffer.
 * After less than size, and after TLS_WANT_WRITE, the next call must begin with the bytes that follow those
 * told (from any address): they may be encrypted already. more: something follows at once, the end perhaps.
 */
enum tls_status tls_conn_write(struct tls_conn *tls, const void *data, size_t size, bool more, size_t *n);

/* Bytes under one AES-GCM key before its confidentiality bound is near (RFC 8446 5.5: 2^24.5 full records,
 * about 390 GB). Neither OpenSSL nor the kernel changes the key by itself, so they are counted. */
#define TLS_KEY_BYTES (UINT64_C(1) << 38)
#define TLS_SEAL_COST 64 /* what a record costs besides its payload: its own blocks, generously */

/* Another bound than TLS_KEY_BYTES. */
void tls_conn_limit_key(struct tls_conn *tls, uint64_t bytes);
/* Counts n bytes of payload just sent in one call, whoever encrypts. */
void tls_conn_count_sealed(struct tls_conn *tls, uint64_t n);
uint64_t tls_conn_sealed(const struct tls_conn *tls);
/* Half used up: end the connection at the next occasion. */
bool tls_conn_key_worn(const struct tls_conn *tls);
/* Used up: a flow into it ends with EKEYEXPIRED, a loss. */
bool tls_conn_key_spent(const struct tls_conn *tls);

/* Queues close_notify, once. TLS_DONE when it is with the kernel; TLS_WANT_WRITE: call again when writable.
 * The caller then waits until the kernel has sent everything (linger.h) before it closes. fin_follows: it
 * calls shutdown() at once, so that both can leave in one segment. */
enum tls_status tls_conn_close_notify(struct tls_conn *tls, bool fin_follows);

/* Bytes on the wire of the close_notify that was given to the kernel to encrypt, the last of what is sent.
 * 0: none was, or its size isn't known. */
size_t tls_conn_close_notify_size(const struct tls_conn *tls);

/* OpenSSL holds what was read from the socket, decrypted or not: no edge will tell of it. */
bool tls_conn_holds(const struct tls_conn *tls);

/* Bytes decrypted and waiting inside OpenSSL. */
size_t tls_conn_pending(const struct tls_conn *tls);

/* The socket was empty after the last read, and OpenSSL holds nothing of what it gave. false: maybe not. */
bool tls_conn_drained(const struct tls_conn *tls);

/* After the handshake: who en- and decrypts, and when it is USER, why. Receiving may go over to the kernel
 * later, in tls_conn_read (late_rx). */
bool tls_conn_ktls_tx(const struct tls_conn *tls);
bool tls_conn_ktls_rx(const struct tls_conn *tls);
enum relay_reason tls_conn_tx_reason(const struct tls_conn *tls);
enum relay_reason tls_conn_rx_reason(const struct tls_conn *tls);

/* After the handshake, while there is the SSL object: all of it at once. */
struct tls_facts;
void tls_conn_facts(const struct tls_conn *tls, struct tls_facts *facts);

/* For logs; "" before the handshake. Valid as long as the connection, the SNI as long as the SSL object. */
const char *tls_conn_version(const struct tls_conn *tls); /* "TLSv1.2", "TLSv1.3" */
const char *tls_conn_cipher(const struct tls_conn *tls);  /* the IANA name, TLS_AES_128_GCM_SHA256 */
const char *tls_conn_sni(const struct tls_conn *tls);
const char *tls_conn_error(const struct tls_conn *tls); /* why TLS_BROKEN or TLS_TRUNCATED, in words */
uint64_t
tls_conn_handshake_rx(const struct tls_conn *tls); /* bytes on the wire until the handshake was done */
uint64_t tls_conn_handshake_tx(const struct tls_conn *tls);

/* Whether this kernel has the TLS ULP (asked once, on a loopback socket pair; thread-safe). */
bool tls_kernel_has_ktls(void);
