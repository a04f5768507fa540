/* The socket beneath an SSL object that en- and decrypts in user space, in place of OpenSSL's own: what one
 * call of OpenSSL writes (a flight of the handshake, a row of records) is gathered and sent by one system
 * call, and what the socket doesn't take is kept. Never for kTLS, which needs OpenSSL's socket. Refuses to
 * know what the bytes are. Belongs to one worker. */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded by tls_conn; zero-initialise, then tls_bio_open(). */
struct tls_bio {
    int fd;
    bool eof;
    bool once;       /* what was drained is not read again: the owner comes back at the next edge */
    bool drained;    /* the last read took all that the socket held */
    uint8_t *unsent; /* left over by the socket, or put by; NULL: nothing */
    size_t unsent_size, unsent_offset;
};

/* Room to write into before the next flush: OpenSSL gets a WANT_WRITE beyond it. */
#define TLS_BIO_ROOM (160u << 10)

/* What SSL_set_bio() takes, for reading and writing. bio must stay where it is. NULL: out of memory. */
BIO *tls_bio_open(struct tls_bio *bio, int fd);
void tls_bio_close(struct tls_bio *bio); /* what is unsent goes */

enum tls_bio_flush {
    TLS_BIO_SENT,   /* all of it is with the kernel */
    TLS_BIO_UNSENT, /* some is left: again when the socket is writable */
    TLS_BIO_BROKEN, /* errno */
};

/* After every call of OpenSSL that may have written, before anything else runs on this thread: one of these.
 * more: MSG_MORE, something or the end follows at once. */
enum tls_bio_flush tls_bio_flush(struct tls_bio *bio, bool more);
/* Keeps what was written for the next flush: what nobody waits for can go with what comes next. */
enum tls_bio_flush tls_bio_put_by(struct tls_bio *bio);

size_t tls_bio_unsent(const struct tls_bio *bio);
/* Whether OpenSSL has written on this thread what was neither flushed nor put by yet. */
bool tls_bio_has_new(void);
