/* A non-blocking connection, plain or TLS, and how TLS clients are set up.
 * Refuses to know what is said on it. */
#ifndef SLUICE_LOAD_STREAM_H
#define SLUICE_LOAD_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;

struct stream_tls_options {
    int version;             /* TLS1_2_VERSION, TLS1_3_VERSION, 0: what both can */
    const char *ciphersuite; /* the one of TLS 1.3 that is offered; NULL: OpenSSL's own choice */
    bool resume;             /* offer the session of an earlier connection to the same target */
    const char *ca;          /* verify with these certificates and the target's name; NULL: do not verify */
};

/* NULL with the cause in OpenSSL's error queue. One for each thread: OpenSSL locks what threads share. */
SSL_CTX *stream_tls_new(const struct stream_tls_options *options) __attribute__((warn_unused_result));

enum stream_result {
    STREAM_GOOD,
    STREAM_AGAIN,  /* not now */
    STREAM_END,    /* the peer has finished: FIN, over TLS close_notify */
    STREAM_BROKEN, /* errno, or OpenSSL's error queue */
};

struct stream {
    int fd;
    SSL *ssl;
};

/* Begins to connect; -1 with errno. source: from 127.0.0.SOURCE, of a target there; 0: from any address. One
 * address has ports for 14,000 connections a second to the same target; then the kernel searches for those
 * that are free. session: where the latest session is kept; NULL: nowhere. It must outlive the stream. */
int stream_open(struct stream *stream, const struct target *target, unsigned source, SSL_CTX *ctx,
                SSL_SESSION **session) __attribute__((warn_unused_result));

/* After the socket became writable: whether it is connected. */
enum stream_result stream_finish_connect(struct stream *stream);
enum stream_result stream_handshake(struct stream *stream);

/* *n is set with STREAM_GOOD. */
enum stream_result stream_read(struct stream *stream, void *data, size_t size, size_t *n);
enum stream_result stream_write(struct stream *stream, const void *data, size_t size, size_t *n);

/* Throws up to size bytes away inside the kernel. Not over TLS. */
enum stream_result stream_discard(struct stream *stream, size_t size, size_t *n);

/* Words for STREAM_BROKEN, valid until the next call. */
const char *stream_error(const struct stream *stream);

/* Bytes that TLS has decrypted or read and that no event will tell of. */
bool stream_pending(const struct stream *stream);

void stream_close(struct stream *stream);

#endif
