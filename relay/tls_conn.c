/* Drives one SSL object: handshake, read, write, close_notify, and what can go wrong in between.
 * Refuses to know certificates and policy. */
#include "relay/tls_conn.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/tls_facts.h"

/* KeyUpdates in a row with no payload between them. A peer that rekeys honestly does so every 2^24 records; a
 * storm spun HAProxy into its watchdog (#3450). */
#define KEY_UPDATES_MAX 16

struct tls_conn {
    SSL *ssl;
    bool ktls_wanted;
    bool handshake_done;
    bool ktls_tx, ktls_rx;
    bool notified;    /* close_notify is with the kernel */
    bool rekey_asked; /* the peer wants new sending keys, and ours are in the kernel */
    unsigned key_updates;
    unsigned received; /* record headers and messages seen, to tell a step from standing still */
    uint64_t handshake_rx, handshake_tx;
    char error[160];
};

/* OpenSSL 3.0 answers a KeyUpdate(update_requested) and rekeys user space only: what the kernel encrypts
 * after that no peer can read (kernel.md 4). Seen here, acted on after SSL_read returns. */
static void on_message(int write_p, int version, int content_type, const void *buffer, size_t size, SSL *ssl,
                       void *arg)
{
    (void)version;
    (void)ssl;
    struct tls_conn *tls = arg;
    const unsigned char *message = buffer;
    if (!write_p)
        tls->received++;
    if (write_p || content_type != SSL3_RT_HANDSHAKE || size < 5 || message[0] != SSL3_MT_KEY_UPDATE)
        return;
    tls->key_updates++;
    if (message[4] == SSL_KEY_UPDATE_REQUESTED && tls->ktls_tx)
        tls->rekey_asked = true;
}

struct tls_conn *tls_conn_new(const struct tls_conn_options *options)
{
    struct tls_conn *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return NULL;
    tls->ktls_wanted = options->ktls_wanted;
    tls->ssl = SSL_new(options->ctx);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, options->fd) != 1) {
        tls_conn_free(tls);
        return NULL;
    }
    if (options->role == TLS_CONNECT)
        SSL_set_connect_state(tls->ssl);
    else
        SSL_set_accept_state(tls->ssl);
    SSL_set_mode(tls->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
    /* Otherwise one SSL_read goes through as many KeyUpdates as the peer cares to send. */
    SSL_clear_mode(tls->ssl, SSL_MODE_AUTO_RETRY);
    SSL_set_msg_callback(tls->ssl, on_message);
    SSL_set_msg_callback_arg(tls->ssl, tls);
    return tls;
}

void tls_conn_free(struct tls_conn *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

SSL *tls_conn_ssl(struct tls_conn *tls)
{
    return tls->ssl;
}

static void note_error(struct tls_conn *tls, const char *text)
{
    snprintf(tls->error, sizeof(tls->error), "%s", text);
}

/* errno and the error queue as they must be before each SSL call: both are per thread, and what another
 * connection left there would be taken for this one's. */
static void clear_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

static enum tls_status broken(struct tls_conn *tls, int error, const char *text)
{
    note_error(tls, text);
    ERR_clear_error();
    errno = error;
    return TLS_BROKEN;
}

static enum tls_status failed(struct tls_conn *tls, int result)
{
    int system_error = errno;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    case SSL_ERROR_SYSCALL:
        if (system_error != 0)
            return broken(tls, system_error, strerror(system_error));
        break;
    default: {
        unsigned long code = ERR_peek_error();
        if (ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            const char *text = ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED
                                   ? X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl))
                                   : ERR_reason_error_string(code);
            return broken(tls, EPROTO, text != NULL ? text : "TLS protocol error");
        }
    }
    }
    note_error(tls, "the peer closed without close_notify");
    ERR_clear_error();
    errno = ENODATA;
    return TLS_TRUNCATED;
}

static void on_handshake_done(struct tls_conn *tls)
{
    tls->handshake_done = true;
    tls->ktls_tx = BIO_get_ktls_send(SSL_get_wbio(tls->ssl)) != 0;
    tls->ktls_rx = BIO_get_ktls_recv(SSL_get_rbio(tls->ssl)) != 0;
    tls->handshake_rx = BIO_number_read(SSL_get_rbio(tls->ssl));
    tls->handshake_tx = BIO_number_written(SSL_get_wbio(tls->ssl));
    /* Without kTLS a retried SSL_write sends the record it has already encrypted, so what a short write left
     * over may move to a buffer of its own. With kTLS SSL_write is never called. */
    if (!tls->ktls_tx)
        SSL_set_mode(tls->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

enum tls_status tls_conn_handshake(struct tls_conn *tls)
{
    clear_errors();
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        return failed(tls, result);
    on_handshake_done(tls);
    return TLS_DONE;
}

enum tls_status tls_conn_read(struct tls_conn *tls, void *buffer, size_t size, size_t *n)
{
    enum tls_status status;
    unsigned received;
    do { /* a record that isn't data ends SSL_read too: only one that found nothing means "not now" */
        received = tls->received;
        clear_errors();
        int result = SSL_read_ex(tls->ssl, buffer, size, n);
        status = result == 1 ? TLS_DONE : failed(tls, result);
    } while (status == TLS_WANT_READ && tls->received != received && !tls->rekey_asked &&
             tls->key_updates <= KEY_UPDATES_MAX);
    if (tls->rekey_asked)
        return broken(tls, EPROTO, "KeyUpdate asks for new sending keys, which kTLS can't change");
    if (tls->key_updates > KEY_UPDATES_MAX)
        return broken(tls, EPROTO, "too many KeyUpdates without payload");
    if (status == TLS_DONE)
        tls->key_updates = 0;
    return status;
}

enum tls_status tls_conn_write(struct tls_conn *tls, const void *data, size_t size, size_t *n)
{
    clear_errors();
    int result = SSL_write_ex(tls->ssl, data, size, n);
    return result == 1 ? TLS_DONE : failed(tls, result);
}

enum tls_status tls_conn_close_notify(struct tls_conn *tls)
{
    if (!tls->handshake_done || tls->notified) /* a second SSL_shutdown would wait for the peer's */
        return TLS_DONE;
    clear_errors();
    int result = SSL_shutdown(tls->ssl);
    tls->notified = result >= 0;
    return result >= 0 ? TLS_DONE : failed(tls, result);
}

size_t tls_conn_pending(const struct tls_conn *tls)
{
    return (size_t)SSL_pending(tls->ssl);
}

bool tls_conn_ktls_tx(const struct tls_conn *tls)
{
    return tls->ktls_tx;
}

bool tls_conn_ktls_rx(const struct tls_conn *tls)
{
    return tls->ktls_rx;
}

/* OpenSSL keeps to itself why it didn't offload: what is known of kernel, version and cipher tells. AES-GCM
 * is in every kernel that has the ULP, so there the kernel must have refused this very socket. */
static enum relay_reason cipher_reason(const struct tls_conn *tls)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->ssl);
    int nid = cipher != NULL ? SSL_CIPHER_get_cipher_nid(cipher) : NID_undef;
    bool gcm = nid == NID_aes_128_gcm || nid == NID_aes_256_gcm;
    return gcm ? RELAY_REASON_KERNEL_REFUSED : RELAY_REASON_KTLS_CIPHER;
}

enum relay_reason tls_conn_tx_reason(const struct tls_conn *tls)
{
    if (!tls->ktls_wanted)
        return RELAY_REASON_KTLS_OFF;
    if (!tls_kernel_has_ktls())
        return RELAY_REASON_KTLS_KERNEL;
    return cipher_reason(tls);
}

enum relay_reason tls_conn_rx_reason(const struct tls_conn *tls)
{
    if (!tls->ktls_wanted)
        return RELAY_REASON_KTLS_OFF;
    if (!tls_kernel_has_ktls())
        return RELAY_REASON_KTLS_KERNEL;
    if (SSL_version(tls->ssl) == TLS1_3_VERSION && OPENSSL_version_major() == 3 &&
        OPENSSL_version_minor() < 2)
        return RELAY_REASON_KTLS_RX_TLS13;
    return cipher_reason(tls);
}

void tls_conn_facts(const struct tls_conn *tls, struct tls_facts *facts)
{
    tls_facts_read(tls->ssl, facts);
}

const char *tls_conn_version(const struct tls_conn *tls)
{
    return tls->handshake_done ? SSL_get_version(tls->ssl) : "";
}

const char *tls_conn_cipher(const struct tls_conn *tls)
{
    const SSL_CIPHER *cipher = tls->handshake_done ? SSL_get_current_cipher(tls->ssl) : NULL;
    const char *name = cipher != NULL ? SSL_CIPHER_standard_name(cipher) : NULL;
    return name != NULL ? name : "";
}

const char *tls_conn_sni(const struct tls_conn *tls)
{
    const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
    return name != NULL ? name : "";
}

const char *tls_conn_error(const struct tls_conn *tls)
{
    return tls->error;
}

uint64_t tls_conn_handshake_rx(const struct tls_conn *tls)
{
    return tls->handshake_rx;
}

uint64_t tls_conn_handshake_tx(const struct tls_conn *tls)
{
    return tls->handshake_tx;
}
