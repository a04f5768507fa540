/* Client records made by hand: encrypted with a connection's own AES-GCM keys, of any type and length, so
 * that a test can send what OpenSSL never would (empty records, warning alerts, halves of records). Once a
 * record was crafted, every further one of that connection must be: OpenSSL's count is behind. Refuses to
 * know what the records are good for. */
#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CRAFT_PAYLOAD_MAX 16384
#define CRAFT_RECORD_MAX (5 + 8 + CRAFT_PAYLOAD_MAX + 1 + 16)

enum craft_type { CRAFT_ALERT = 21, CRAFT_HANDSHAKE = 22, CRAFT_DATA = 23 };

/* CLIENT_TRAFFIC_SECRET_0 of a TLS 1.3 connection, as the key log tells it. */
struct craft_secret {
    uint8_t bytes[EVP_MAX_MD_SIZE];
    size_t size;
};

struct craft {
    bool tls13;
    size_t key_size;
    uint8_t key[32], iv[12];
    uint64_t sequence;
};

static inline int craft_derive(const char *kdf_name, OSSL_PARAM *params, uint8_t *out, size_t size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    int result = ctx != NULL && EVP_KDF_derive(ctx, out, size, params) == 1 ? 0 : -1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return result;
}

static inline char *craft_digest(const SSL *ssl)
{
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    return (char *)(uintptr_t)EVP_MD_get0_name(md); /* OSSL_PARAM takes no const */
}

static inline size_t craft_key_size(const SSL *ssl)
{
    int nid = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl));
    return nid == NID_aes_128_gcm ? 16 : nid == NID_aes_256_gcm ? 32 : 0;
}

/* RFC 5246 6.3: the key block of an AEAD suite is two keys and two salts. */
static inline int craft_open_tls12(struct craft *craft, SSL *ssl)
{
    uint8_t master[SSL_MAX_MASTER_KEY_LENGTH], seed[2 * SSL3_RANDOM_SIZE], block[2 * 32 + 2 * 4];
    size_t key_size = craft_key_size(ssl);
    size_t master_size = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
    SSL_get_server_random(ssl, seed, SSL3_RANDOM_SIZE);
    SSL_get_client_random(ssl, seed + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);
    char label[] = "key expansion";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, craft_digest(ssl), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, master_size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, label, sizeof(label) - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
        OSSL_PARAM_construct_end(),
    };
    if (key_size == 0 || craft_derive("TLS1-PRF", params, block, 2 * key_size + 2 * 4) == -1)
        return -1;
    *craft = (struct craft){.key_size = key_size, .sequence = 1}; /* Finished was 0 */
    memcpy(craft->key, block, key_size);
    memcpy(craft->iv, block + 2 * key_size, 4);
    return 0;
}

/* RFC 8446 7.1, with an empty context. */
static inline int craft_expand(SSL *ssl, struct craft_secret *secret, const char *label, uint8_t *out,
                               size_t size)
{
    uint8_t info[64];
    size_t length = strlen(label), at = 0;
    info[at++] = 0;
    info[at++] = (uint8_t)size;
    info[at++] = (uint8_t)(6 + length);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, length);
    at += 6 + length;
    info[at++] = 0;
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, craft_digest(ssl), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret->bytes, secret->size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, at),
        OSSL_PARAM_construct_end(),
    };
    return craft_derive("HKDF", params, out, size);
}

static inline int craft_open_tls13(struct craft *craft, SSL *ssl, struct craft_secret *secret)
{
    *craft = (struct craft){.tls13 = true, .key_size = craft_key_size(ssl)};
    if (craft->key_size == 0 || secret->size == 0)
        return -1;
    if (craft_expand(ssl, secret, "key", craft->key, craft->key_size) == -1)
        return -1;
    return craft_expand(ssl, secret, "iv", craft->iv, sizeof(craft->iv));
}

/* For SSL_CTX_set_keylog_callback, by way of a function that knows where the secret goes. */
static inline void craft_read_keylog(struct craft_secret *secret, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    if (strncmp(line, label, sizeof(label) - 1) != 0)
        return;
    const char *hex = strchr(line + sizeof(label) - 1, ' ');
    if (hex == NULL ||
        OPENSSL_hexstr2buf_ex(secret->bytes, sizeof(secret->bytes), &secret->size, hex + 1, '\0') != 1)
        secret->size = 0;
}

static inline int craft_seal(const struct craft *craft, const uint8_t nonce[12], const uint8_t *aad,
                             size_t aad_size, uint8_t *text, size_t size)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *cipher = craft->key_size == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    int n;
    bool good = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, craft->key, nonce) == 1 &&
                EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_size) == 1 &&
                (size == 0 || EVP_EncryptUpdate(ctx, text, &n, text, (int)size) == 1) &&
                EVP_EncryptFinal_ex(ctx, text + size, &n) == 1 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, text + size) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return good ? 0 : -1;
}

/* The next record: `size` (up to CRAFT_PAYLOAD_MAX) bytes of that type into `out` (CRAFT_RECORD_MAX). Its
 * size, or 0 on failure. */
static inline size_t craft_record(struct craft *craft, enum craft_type type, const void *data, size_t size,
                                  uint8_t *out)
{
    uint8_t sequence[8], nonce[12], aad[13];
    for (int i = 0; i < 8; i++)
        sequence[i] = (uint8_t)(craft->sequence >> (56 - 8 * i));
    craft->sequence++;
    size_t explicit_size = craft->tls13 ? 0 : 8, inner = craft->tls13 ? size + 1 : size;
    size_t length = explicit_size + inner + 16;
    const uint8_t header[5] = {craft->tls13 ? CRAFT_DATA : (uint8_t)type, 3, 3, (uint8_t)(length >> 8),
                               (uint8_t)length};
    uint8_t *text = out + 5 + explicit_size;
    memcpy(out, header, 5);
    if (size != 0)
        memcpy(text, data, size);
    memcpy(nonce, craft->iv, sizeof(nonce));
    int result;
    if (craft->tls13) {
        text[size] = (uint8_t)type;
        for (int i = 0; i < 8; i++)
            nonce[4 + i] ^= sequence[i];
        result = craft_seal(craft, nonce, header, 5, text, inner);
    } else {
        const uint8_t plain[5] = {(uint8_t)type, 3, 3, (uint8_t)(size >> 8), (uint8_t)size};
        memcpy(out + 5, sequence, 8);
        memcpy(nonce + 4, sequence, 8);
        memcpy(aad, sequence, 8);
        memcpy(aad + 8, plain, 5);
        result = craft_seal(craft, nonce, aad, sizeof(aad), text, inner);
    }
    return result == 0 ? 5 + length : 0;
}
