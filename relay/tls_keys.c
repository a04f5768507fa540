/* Key log lines, HKDF-Expand-Label, and the kernel's key structures (linux/tls.h).
 * Refuses to know connections. */
#include "relay/tls_keys.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case, as OpenSSL writes it. */
static bool parse_hex(struct tls_secret *secret, const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length % 2 != 0 || length / 2 > TLS_SECRET_MAX)
        return false;
    for (size_t i = 0; i < length / 2; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high == -1 || low == -1) {
            OPENSSL_cleanse(secret, sizeof(*secret));
            return false;
        }
        secret->bytes[i] = (uint8_t)(high << 4 | low);
    }
    secret->size = length / 2;
    return true;
}

bool tls_secret_parse(struct tls_secret *secret, const char *label, const char *line)
{
    size_t length = strlen(label);
    if (strncmp(line, label, length) != 0 || line[length] != ' ')
        return false;
    const char *hex = strchr(line + length + 1, ' ');
    struct tls_secret parsed;
    if (hex == NULL || !parse_hex(&parsed, hex + 1))
        return false;
    *secret = parsed;
    tls_secret_cleanse(&parsed);
    return true;
}

void tls_secret_cleanse(struct tls_secret *secret)
{
    OPENSSL_cleanse(secret, sizeof(*secret));
}

/* Fetched once: a fetch takes locks that all threads share (kernel.md 4). */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_KDF *kdf;

static void fetch(void)
{
    kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
}

/* OSSL_PARAM takes no const, though it only reads. */
static OSSL_PARAM octets(const char *key, const void *data, size_t size)
{
    return OSSL_PARAM_construct_octet_string(key, (void *)(uintptr_t)data, size);
}

int tls_expand_label(const EVP_MD *md, const struct tls_secret *secret, const char *label, uint8_t *out,
                     size_t size)
{
    static const char prefix[] = "tls13 ";
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)EVP_MD_get0_name(md), 0),
        octets(OSSL_KDF_PARAM_KEY, secret->bytes, secret->size),
        octets(OSSL_KDF_PARAM_PREFIX, prefix, sizeof(prefix) - 1),
        octets(OSSL_KDF_PARAM_LABEL, label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };
    pthread_once(&fetched, fetch);
    EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
    int result = ctx != NULL && EVP_KDF_derive(ctx, out, size, params) == 1 ? 0 : -1;
    EVP_KDF_CTX_free(ctx);
    return result;
}

/* What setsockopt takes. All begin with tls_crypto_info. */
union crypto_info {
    struct tls_crypto_info info;
    struct tls12_crypto_info_aes_gcm_128 gcm128;
    struct tls12_crypto_info_aes_gcm_256 gcm256;
    struct tls12_crypto_info_chacha20_poly1305 chacha;
};

/* Where the parts of a key go; the nonce of 12 bytes is the salt with the iv behind it. */
struct layout {
    uint16_t type;
    size_t size, key_size, salt_size;
    uint8_t *key, *salt, *iv, *sequence;
};

static bool find_layout(struct layout *layout, union crypto_info *crypto, const SSL_CIPHER *cipher)
{
    switch (SSL_CIPHER_get_cipher_nid(cipher)) {
    case NID_aes_128_gcm:
        *layout = (struct layout){TLS_CIPHER_AES_GCM_128,
                                  sizeof(crypto->gcm128),
                                  16,
                                  TLS_CIPHER_AES_GCM_128_SALT_SIZE,
                                  crypto->gcm128.key,
                                  crypto->gcm128.salt,
                                  crypto->gcm128.iv,
                                  crypto->gcm128.rec_seq};
        return true;
    case NID_aes_256_gcm:
        *layout = (struct layout){TLS_CIPHER_AES_GCM_256,
                                  sizeof(crypto->gcm256),
                                  32,
                                  TLS_CIPHER_AES_GCM_256_SALT_SIZE,
                                  crypto->gcm256.key,
                                  crypto->gcm256.salt,
                                  crypto->gcm256.iv,
                                  crypto->gcm256.rec_seq};
        return true;
    case NID_chacha20_poly1305:
        *layout = (struct layout){TLS_CIPHER_CHACHA20_POLY1305,
                                  sizeof(crypto->chacha),
                                  32,
                                  0,
                                  crypto->chacha.key,
                                  NULL,
                                  crypto->chacha.iv,
                                  crypto->chacha.rec_seq};
        return true;
    default:
        return false;
    }
}

int tls_keys_receive(int fd, const SSL_CIPHER *cipher, const struct tls_secret *secret, uint64_t records)
{
    union crypto_info crypto = {.info.version = TLS_1_3_VERSION};
    struct layout layout;
    uint8_t nonce[12];
    int result = -1, error = ENOTSUP;
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(cipher);
    if (secret->size == 0 || md == NULL || !find_layout(&layout, &crypto, cipher) ||
        tls_expand_label(md, secret, "key", layout.key, layout.key_size) == -1 ||
        tls_expand_label(md, secret, "iv", nonce, sizeof(nonce)) == -1)
        goto cleanse;
    crypto.info.cipher_type = layout.type;
    if (layout.salt_size != 0)
        memcpy(layout.salt, nonce, layout.salt_size);
    memcpy(layout.iv, nonce + layout.salt_size, sizeof(nonce) - layout.salt_size);
    for (int i = 0; i < 8; i++)
        layout.sequence[i] = (uint8_t)(records >> (56 - 8 * i));
    result = setsockopt(fd, SOL_TLS, TLS_RX, &crypto, (socklen_t)layout.size);
    error = errno;
cleanse:
    OPENSSL_cleanse(&crypto, sizeof(crypto));
    OPENSSL_cleanse(nonce, sizeof(nonce));
    errno = error;
    return result;
}
