/* Reads from an SSL object what is told of a connection.
 * Refuses to drive it. */
#include "relay/tls_facts.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

/* The peer chose these bytes: no NUL, no control character may reach a log or a header. */
static void set_name(char *name, size_t size, const unsigned char *bytes, int length)
{
    size_t n = length < 0 ? 0 : (size_t)length;
    n = n < size ? n : size - 1;
    for (size_t i = 0; i < n; i++)
        name[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
    name[n] = '\0';
}

static bool common_name(const X509 *certificate, char *name, size_t size)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return false;
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    unsigned char *utf8 = NULL;
    int length = ASN1_STRING_to_UTF8(&utf8, value);
    if (length > 0)
        set_name(name, size, utf8, length);
    OPENSSL_free(utf8);
    return length > 0;
}

static bool general_name(const GENERAL_NAME *general, char *name, size_t size)
{
    if (general->type == GEN_DNS || general->type == GEN_EMAIL || general->type == GEN_URI) {
        const ASN1_STRING *value = general->d.ia5;
        set_name(name, size, ASN1_STRING_get0_data(value), ASN1_STRING_length(value));
        return name[0] != '\0';
    }
    if (general->type == GEN_IPADD) {
        const ASN1_STRING *value = general->d.iPAddress;
        int length = ASN1_STRING_length(value);
        return (length == 4 || length == 16) &&
               inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), name,
                         (socklen_t)size) != NULL;
    }
    return false;
}

void tls_facts_peer_name(const X509 *certificate, char *name, size_t size)
{
    name[0] = '\0';
    if (common_name(certificate, name, size))
        return;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (general_name(sk_GENERAL_NAME_value(names, i), name, size))
            break;
    GENERAL_NAMES_free(names);
}

void tls_facts_read(const SSL *ssl, struct tls_facts *facts)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *cipher_name = cipher != NULL ? SSL_CIPHER_standard_name(cipher) : NULL;
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *alpn = NULL;
    unsigned alpn_length = 0;
    const X509 *peer = SSL_get0_peer_certificate(ssl);

    *facts = (struct tls_facts){
        .version = SSL_get_version(ssl),
        .cipher = cipher_name != NULL ? cipher_name : "",
        .resumed = SSL_session_reused(ssl) == 1,
    };
    if (sni != NULL)
        memcpy(facts->sni, sni, strnlen(sni, sizeof(facts->sni) - 1));
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
    if (alpn != NULL)
        set_name(facts->alpn, sizeof(facts->alpn), alpn, (int)alpn_length);
    /* A name that nobody vouched for is none: without verification its result is X509_V_OK as well. */
    if (peer != NULL && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE &&
        SSL_get_verify_result(ssl) == X509_V_OK)
        tls_facts_peer_name(peer, facts->peer_name, sizeof(facts->peer_name));
}
