/* Drives one SSL object: handshake, read, write, close_notify, and what can go wrong in between; hands over
 * to the kernel (tls_conn_kernel.c) what that can do. Refuses to know certificates and policy. */

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/loop.h"
#include "relay/probe.h"
#include "relay/tls_conn_internal.h"
#include "relay/tls_facts.h"

/* KeyUpdates in a row with no payload between them. A peer that rekeys honestly does so every 2^24 records; a
 * storm spun HAProxy into its watchdog (#3450). */
#define KEY_UPDATES_MAX 16

/* Payload encrypted for one system call: eight records, 10,000 calls a GB instead of 66,000, and as many
 * fewer wake-ups of the peer. What stays in the second-level cache between encrypting and sending. */
#define BATCH_BYTES (128u << 10)
#define RECORD_BYTES 16384u
#define RECORD_OVERHEAD 21u /* at least: header and tag. Too little errs on the side of unsent */

/* What the start-up test found wanting isn't used: OpenSSL is told before it hands keys over, at the first
 * message of the handshake at which the cipher is known. */
static void obey_verdict(struct tls_conn *tls)
{
    const SSL_CIPHER *cipher = SSL_get_pending_cipher(tls->ssl);
    if (cipher == NULL || tls->untested || !tls->ktls_wanted || !tls_kernel_has_ktls())
        return;
    tls->verdict = probe_ktls_verdict(SSL_version(tls->ssl), SSL_CIPHER_get_cipher_nid(cipher));
    if (tls->verdict != NULL && !tls->verdict->tx)
        SSL_clear_options(tls->ssl, SSL_OP_ENABLE_KTLS);
}

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
    if (!tls->handshake_done && content_type == SSL3_RT_HANDSHAKE && tls->verdict == NULL)
        obey_verdict(tls);
    if (!write_p && content_type == SSL3_RT_HEADER)
        tls->records++;
    if (tls->handshake_done && !write_p &&
        (content_type == SSL3_RT_HANDSHAKE || content_type == SSL3_RT_ALERT))
        tls->storming = tls->storming || tls_conn_storm(tls);
    if (write_p || content_type != SSL3_RT_HANDSHAKE || size < 5 || message[0] != SSL3_MT_KEY_UPDATE)
        return;
    tls->key_updates++;
    tls->rekeyed = true;
    if (message[4] == SSL_KEY_UPDATE_REQUESTED && tls->ktls_tx)
        tls->rekey_asked = true;
}

/* The key log is per context, the secret per connection. */
static pthread_once_t indexed = PTHREAD_ONCE_INIT;
static int keylog_index;

static void find_index(void)
{
    keylog_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

void tls_conn_on_keylog(const SSL *ssl, const char *line)
{
    struct tls_conn *tls = SSL_get_ex_data(ssl, keylog_index);
    if (tls != NULL)
        (void)tls_secret_parse(
            &tls->peer_secret,
            tls->role == TLS_CONNECT ? "SERVER_TRAFFIC_SECRET_0" : "CLIENT_TRAFFIC_SECRET_0", line);
}

tls_keylog_fn *tls_conn_keylog(void)
{
    /* A context is about to be made: the time to try the kernel, and not at its first connection. */
    if (!tls_kernel_has_ktls())
        return NULL;
    pthread_once(&indexed, find_index); /* the context's SSL objects need not all be ours */
    (void)probe_ktls_verdict(TLS1_3_VERSION, NID_aes_128_gcm);
    return tls_conn_on_keylog;
}

/* Records are read ahead only where none may be left for the kernel to decrypt. */
static int set_socket(struct tls_conn *tls, int fd)
{
    tls->gathers = !tls->ktls_wanted || !tls_kernel_has_ktls();
    if (!tls->gathers)
        return SSL_set_fd(tls->ssl, fd) == 1 ? 0 : -1;
    BIO *bio = tls_bio_open(&tls->bio, fd);
    if (bio == NULL)
        return -1;
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_read_ahead(tls->ssl, 1);
    return 0;
}

struct tls_conn *tls_conn_new(const struct tls_conn_options *options)
{
    struct tls_conn *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return NULL;
    pthread_once(&indexed, find_index);
    tls->fd = options->fd;
    tls->role = options->role;
    tls->ktls_wanted = options->ktls_wanted;
    tls->late_rx = options->late_rx;
    tls->untested = options->untested;
    tls->version = tls->cipher = "";
    tls->sealed_max = TLS_KEY_BYTES;
    tls->ssl = SSL_new(options->ctx);
    if (tls->ssl == NULL || set_socket(tls, options->fd) == -1 ||
        SSL_set_ex_data(tls->ssl, keylog_index, tls) != 1) {
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
    tls_secret_cleanse(&tls->peer_secret);
    SSL_free(tls->ssl);
    tls_bio_close(&tls->bio);
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

enum tls_status tls_conn_broken(struct tls_conn *tls, int error, const char *text)
{
    note_error(tls, text);
    ERR_clear_error();
    errno = error;
    return TLS_BROKEN;
}

enum tls_status tls_conn_truncated(struct tls_conn *tls)
{
    note_error(tls, "the peer closed without close_notify");
    ERR_clear_error();
    errno = ENODATA;
    return TLS_TRUNCATED;
}

bool tls_conn_storm(struct tls_conn *tls)
{
    return storm_count(&tls->storm, loop_now_ms());
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
            return tls_conn_broken(tls, system_error, strerror(system_error));
        break;
    default: {
        unsigned long code = ERR_peek_error();
        if (ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            const char *text = ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED
                                   ? X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl))
                                   : ERR_reason_error_string(code);
            return tls_conn_broken(tls, EPROTO, text != NULL ? text : "TLS protocol error");
        }
    }
    }
    return tls_conn_truncated(tls);
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

/* Why OpenSSL and the kernel left a direction to user space. */
static enum relay_reason find_reason(const struct tls_conn *tls, bool receive)
{
    if (!tls->ktls_wanted)
        return RELAY_REASON_KTLS_OFF;
    if (!tls_kernel_has_ktls())
        return RELAY_REASON_KTLS_KERNEL;
    if (tls->verdict != NULL && !(receive ? tls->verdict->rx : tls->verdict->tx))
        return receive ? tls->verdict->rx_reason : tls->verdict->tx_reason;
    if (receive && tls->ktls_tx && SSL_version(tls->ssl) == TLS1_3_VERSION)
        return RELAY_REASON_KTLS_RX_TLS13;
    return cipher_reason(tls);
}

/* Whether the kernel could be given the peer's key just now (kernel.md 4): nothing decrypted or half read is
 * left inside OpenSSL, and the secret still is the one in use. */
static bool can_take_rx(const struct tls_conn *tls)
{
    return tls->ktls_tx && !tls->ktls_rx && tls->peer_secret.size != 0 && !tls->rekeyed &&
           (tls->verdict == NULL || tls->verdict->rx) && SSL_version(tls->ssl) == TLS1_3_VERSION &&
           SSL_has_pending(tls->ssl) == 0 && SSL_get_early_data_status(tls->ssl) != SSL_EARLY_DATA_ACCEPTED;
}

/* Only right after a call of OpenSSL that brought something: it then stands between two records. */
static void take_rx(struct tls_conn *tls)
{
    if (can_take_rx(tls)) {
        tls->ktls_rx =
            tls_keys_receive(tls->fd, SSL_get_current_cipher(tls->ssl), &tls->peer_secret, tls->records) == 0;
        if (!tls->ktls_rx)
            tls->rx_reason = cipher_reason(tls);
    }
    tls_secret_cleanse(&tls->peer_secret);
}

static void on_handshake_done(struct tls_conn *tls)
{
    tls->handshake_done = true;
    tls->ktls_tx = BIO_get_ktls_send(SSL_get_wbio(tls->ssl)) != 0;
    tls->ktls_rx = BIO_get_ktls_recv(SSL_get_rbio(tls->ssl)) != 0;
    tls->version = SSL_get_version(tls->ssl);
    tls->cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl));
    if (tls->cipher == NULL)
        tls->cipher = "";
    tls->tx_reason = find_reason(tls, false);
    tls->rx_reason = find_reason(tls, true);
    tls->control = (struct tls_control_reader){.tls13 = SSL_version(tls->ssl) == TLS1_3_VERSION,
                                               .from_server = tls->role == TLS_CONNECT};
    tls->records = 0;
    if (!tls->late_rx)
        take_rx(tls);
    tls->handshake_rx = BIO_number_read(SSL_get_rbio(tls->ssl));
    tls->handshake_tx = BIO_number_written(SSL_get_wbio(tls->ssl));
    /* Without kTLS a retried SSL_write sends the record it has already encrypted, so what a short write left
     * over may move to a buffer of its own. With kTLS SSL_write is never called. */
    if (!tls->ktls_tx)
        SSL_set_mode(tls->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/* Sends what OpenSSL wrote. status: what its call came to, which stands unless sending fails. */
static enum tls_status flush(struct tls_conn *tls, enum tls_status status, bool more)
{
    int error = errno; /* belongs to the status */
    if (tls->gathers && tls_bio_flush(&tls->bio, more) == TLS_BIO_BROKEN &&
        (status == TLS_DONE || status == TLS_WANT_READ))
        return tls_conn_broken(tls, errno, strerror(errno));
    errno = error;
    return status;
}

static bool has_unsent(const struct tls_conn *tls)
{
    return tls->gathers && tls_bio_unsent(&tls->bio) > 0;
}

enum tls_status tls_conn_handshake(struct tls_conn *tls)
{
    clear_errors();
    if (has_unsent(tls)) {
        enum tls_status status = flush(tls, TLS_DONE, false);
        if (status != TLS_DONE || has_unsent(tls))
            return status != TLS_DONE ? status : TLS_WANT_WRITE;
    }
    /* An edge brought us here, and the next one will: a flight that is here in part needs no second look. A
     * FIN that came with it shows when our answer is refused, or at the deadline. */
    tls->bio.once = true;
    tls->bio.drained = false;
    int result = SSL_do_handshake(tls->ssl);
    tls->bio.once = false;
    if (result != 1) {
        enum tls_status status = flush(tls, failed(tls, result), false);
        return status == TLS_WANT_READ && has_unsent(tls) ? TLS_WANT_WRITE : status;
    }
    on_handshake_done(tls);
    /* All that is left to send are tickets, which nobody waits for: they go with the first answer, or before
     * the first wait. */
    bool tickets_only = tls->role == TLS_ACCEPT && SSL_version(tls->ssl) == TLS1_3_VERSION;
    if (tls->gathers && tickets_only)
        return tls_bio_put_by(&tls->bio) == TLS_BIO_BROKEN ? tls_conn_broken(tls, errno, strerror(errno))
                                                           : TLS_DONE;
    return flush(tls, TLS_DONE, false);
}

void tls_conn_drop_ssl(struct tls_conn *tls)
{
    if (!tls->handshake_done || !tls->ktls_tx || !tls->ktls_rx || SSL_has_pending(tls->ssl) != 0)
        return;
    /* Otherwise OpenSSL takes the connection for broken, and its session for one not to be resumed. */
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    tls->ssl = NULL;
}

static enum tls_status read_ssl(struct tls_conn *tls, void *buffer, size_t size, size_t *n)
{
    enum tls_status status;
    unsigned received;
    do { /* a record that isn't data ends SSL_read too: only one that found nothing means "not now" */
        received = tls->received;
        clear_errors();
        tls->bio.drained = false; /* what was read ahead says nothing of the socket now */
        int result = SSL_read_ex(tls->ssl, buffer, size, n);
        status = result == 1 ? TLS_DONE : failed(tls, result);
        if (status != TLS_DONE || tls_bio_has_new()) /* it may have answered on its way to payload, too */
            status = flush(tls, status, false);
    } while (status == TLS_WANT_READ && tls->received != received && !tls->rekey_asked &&
             tls->key_updates <= KEY_UPDATES_MAX);
    if (tls->rekey_asked)
        return tls_conn_broken(tls, EPROTO, "KeyUpdate asks for new sending keys, which kTLS can't change");
    if (tls->key_updates > KEY_UPDATES_MAX)
        return tls_conn_broken(tls, EPROTO, "too many KeyUpdates without payload");
    if (tls->storming)
        return tls_conn_broken(tls, EPROTO, "too many TLS records that carry no data");
    if (status != TLS_DONE)
        return status;
    tls->key_updates = 0;
    if (tls->late_rx && tls->peer_secret.size != 0 && SSL_has_pending(tls->ssl) == 0)
        take_rx(tls);
    return status;
}

enum tls_status tls_conn_read(struct tls_conn *tls, void *buffer, size_t size, size_t *n)
{
    if (tls->ktls_rx && (tls->ssl == NULL || SSL_has_pending(tls->ssl) == 0))
        return tls_kernel_read(tls, buffer, size, n);
    return read_ssl(tls, buffer, size, n);
}

/* Payload of the records that `left` bytes on the wire at the end of the row belong to. */
static size_t payload_behind(const struct tls_conn *tls, size_t left)
{
    size_t payload = 0, wire = 0;
    for (size_t next = tls->unsent_last; wire < left && payload < tls->unsent; next = RECORD_BYTES) {
        wire += next + RECORD_OVERHEAD;
        payload += next;
    }
    return payload < tls->unsent ? payload : tls->unsent;
}

/* Sends, and tells of the payload that is with the kernel now, at most size bytes. */
static enum tls_status send_batch(struct tls_conn *tls, size_t size, bool more, size_t *n)
{
    enum tls_status status = flush(tls, TLS_DONE, more);
    if (status != TLS_DONE)
        return status;
    size_t left = payload_behind(tls, tls_bio_unsent(&tls->bio));
    tls->untold += tls->unsent - left;
    tls->unsent = left;
    *n = tls->untold < size ? tls->untold : size;
    tls->untold -= *n;
    return *n > 0 ? TLS_DONE : TLS_WANT_WRITE;
}

static enum tls_status write_batch(struct tls_conn *tls, const uint8_t *data, size_t size, bool more,
                                   size_t *n)
{
    if (tls->unsent + tls->untold > 0)
        return send_batch(tls, size, more, n);
    size_t batch = size < BATCH_BYTES ? size : BATCH_BYTES, done = 0;
    while (done < batch) {
        size_t written;
        int result = SSL_write_ex(tls->ssl, data + done, batch - done, &written);
        if (result != 1)
            return flush(tls, failed(tls, result), false);
        done += written;
        tls->unsent_last = written;
    }
    tls->unsent = done;
    return send_batch(tls, size, more, n);
}

enum tls_status tls_conn_write(struct tls_conn *tls, const void *data, size_t size, bool more, size_t *n)
{
    clear_errors();
    if (tls->gathers)
        return write_batch(tls, data, size, more, n);
    int result = SSL_write_ex(tls->ssl, data, size, n);
    return result == 1 ? TLS_DONE : failed(tls, result);
}

enum tls_status tls_conn_close_notify(struct tls_conn *tls, bool fin_follows)
{
    if (!tls->handshake_done || tls->notified) /* a second SSL_shutdown would wait for the peer's */
        return TLS_DONE;
    if (tls->ktls_tx)
        return tls_kernel_close_notify(tls);
    clear_errors();
    enum tls_status status = TLS_DONE;
    if (!tls->said_close) {
        int result = SSL_shutdown(tls->ssl);
        tls->said_close = result >= 0;
        status = result >= 0 ? TLS_DONE : failed(tls, result);
    }
    status = flush(tls, status, fin_follows);
    if (status == TLS_DONE && has_unsent(tls))
        status = TLS_WANT_WRITE;
    tls->notified = status == TLS_DONE;
    return status;
}

bool tls_conn_holds(const struct tls_conn *tls)
{
    return tls->ssl != NULL && SSL_has_pending(tls->ssl) != 0;
}

size_t tls_conn_pending(const struct tls_conn *tls)
{
    return tls->ssl != NULL ? (size_t)SSL_pending(tls->ssl) : 0;
}

bool tls_conn_drained(const struct tls_conn *tls)
{
    return tls->gathers && tls->bio.drained && SSL_has_pending(tls->ssl) == 0;
}

bool tls_conn_ktls_tx(const struct tls_conn *tls)
{
    return tls->ktls_tx;
}

bool tls_conn_ktls_rx(const struct tls_conn *tls)
{
    return tls->ktls_rx;
}

enum relay_reason tls_conn_tx_reason(const struct tls_conn *tls)
{
    return tls->tx_reason;
}

enum relay_reason tls_conn_rx_reason(const struct tls_conn *tls)
{
    return tls->rx_reason;
}

void tls_conn_facts(const struct tls_conn *tls, struct tls_facts *facts)
{
    tls_facts_read(tls->ssl, facts);
}

const char *tls_conn_version(const struct tls_conn *tls)
{
    return tls->version;
}

const char *tls_conn_cipher(const struct tls_conn *tls)
{
    return tls->cipher;
}

const char *tls_conn_sni(const struct tls_conn *tls)
{
    const char *name = tls->ssl != NULL ? SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name) : NULL;
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
