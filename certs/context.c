/* Builds the SSL_CTX that every server-side connection starts from. What a system-wide openssl.cnf may have
 * set is overridden: the same configuration means the same on every host.
 * Refuses to know certificates, and who drives the SSL objects made from it. */
#include "certs/context.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "certs/policy.h"
#include "certs/tickets.h"

/* One per handshake: a client with several connections gets one on each, and a resumption brings the next.
 * More would only add records to every handshake. */
#define TICKETS_PER_HANDSHAKE 1

/* A key opens tickets for two more periods after it last sealed one. */
#define SESSION_SECONDS (2 * TICKET_ROTATE_SECONDS)

/* The server's preference counts. A client that offers protocols but none of these means another service: RFC
 * 7301 3.2 wants it told so. */
static int on_alpn(SSL *ssl, const unsigned char **selected, unsigned char *selected_length,
                   const unsigned char *offered, unsigned int offered_length, void *arg)
{
    const struct context_alpn *alpn = arg;
    unsigned char *found = NULL;
    (void)ssl;
    int result = SSL_select_next_proto(&found, selected_length, alpn->wire, (unsigned)alpn->size, offered,
                                       offered_length);
    *selected = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int set_tickets(SSL_CTX *ctx, struct ticket_keys *tickets)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    if (tickets == NULL) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(ctx, 0) == 1 ? 0 : -1; /* else TLS 1.3 hands out stateful ones */
    }
    SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    return SSL_CTX_set_num_tickets(ctx, TICKETS_PER_HANDSHAKE) == 1 ? ticket_keys_install(tickets, ctx) : -1;
}

static void set_options(SSL_CTX *ctx, const struct cert_store_options *options)
{
    SSL_CTX_set_options(ctx,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Yields to a client whose own first choice is ChaCha20: it has no AES in hardware. An order of the
     * operator's is kept to. */
    if (options->policy.suite_count == 0) {
        SSL_CTX_set_options(ctx, SSL_OP_PRIORITIZE_CHACHA);
    }
    /* A FIN without close_notify must not pass for an end. */
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (options->ktls) {
        SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
        SSL_CTX_set_keylog_callback(ctx, options->keylog);
    } else {
        SSL_CTX_clear_options(ctx, SSL_OP_ENABLE_KTLS);
    }
    /* RELEASE_BUFFERS: an idle connection holds no 17 KiB record buffers. It leaves alone what SSL_write has
     * not finished, and with kTLS there is no buffer of OpenSSL's to release.
     * NO_AUTO_CHAIN: the chain is what the file says; building one on every handshake finds nothing. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    /* Read-ahead would take records out of the socket that kTLS RX then misses. */
    SSL_CTX_set_read_ahead(ctx, 0);
}

/* A ticket opens for hours. The certificate that was shown for it may be over by then. */
static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                          size_t name_size, SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl, (void)name, (void)name_size, (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    const X509 *peer = SSL_SESSION_get0_peer(session);
    if (peer != NULL && X509_cmp_current_time(X509_get0_notAfter(peer)) < 0) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static int set_client(SSL_CTX *ctx, const struct cert_client *client, const struct cert_trust *trust)
{
    if (trust == NULL || trust->store == NULL || client->verify == CERT_VERIFY_NONE) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
        return 0;
    }
    bool required = client->verify == CERT_VERIFY_REQUIRED;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(ctx, client->depth);
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(trust->names);
    if (names == NULL || SSL_CTX_set1_verify_cert_store(ctx, trust->store) != 1 ||
        SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket_opened, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return -1;
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    return 0;
}

SSL_CTX *cert_context_new(const struct context_parts *parts)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        return NULL;
    }
    set_options(ctx, parts->options);
    if (cert_policy_apply(&parts->options->policy, ctx) == -1 || SSL_CTX_set_max_early_data(ctx, 0) != 1 ||
        SSL_CTX_set_session_id_context(ctx, parts->identity, (unsigned int)parts->identity_size) != 1 ||
        set_tickets(ctx, parts->options->tickets) == -1 ||
        set_client(ctx, &parts->options->client, parts->trust) == -1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    if (parts->alpn != NULL && parts->alpn->size > 0) {
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, (void *)(uintptr_t)parts->alpn);
    }
    return ctx;
}
