/* Session-ticket keys, current and the two before, behind one lock that handshakes only read-hold.
 * A ticket: AES-256-CBC, HMAC-SHA256 (RFC 5077 4). Refuses to know contexts' other business, and timers. */
#include "certs/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define KEYS_KEPT 3 /* the one in use and the two before it */
#define NAME_SIZE 16
#define IV_SIZE 16

/* What OpenSSL wants from the ticket callback; it has no names of its own for them. */
enum ticket_answer { TICKET_ERROR = -1, TICKET_UNKNOWN = 0, TICKET_GOOD = 1, TICKET_RENEW = 2 };

struct ticket_key {
    unsigned char name[NAME_SIZE]; /* public: tells which key sealed a ticket */
    unsigned char aes[32];
    unsigned char hmac[32];
};

struct ticket_keys {
    pthread_rwlock_t lock;
    struct ticket_key keys[KEYS_KEPT]; /* keys[0] seals */
    size_t count;
    uint64_t rotated; /* seconds; meaningful once clock_known */
    bool clock_known;
    EVP_CIPHER *cipher; /* fetched once: an implicit fetch in every handshake takes the library's locks */
};

static int context_index = -1;
static pthread_once_t context_index_once = PTHREAD_ONCE_INIT;

static void make_context_index(void)
{
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int key_generate(struct ticket_key *key)
{
    return RAND_bytes(key->name, sizeof(key->name)) == 1 &&
                   RAND_priv_bytes(key->aes, sizeof(key->aes)) == 1 &&
                   RAND_priv_bytes(key->hmac, sizeof(key->hmac)) == 1
               ? 0
               : -1;
}

struct ticket_keys *ticket_keys_new(void)
{
    struct ticket_keys *keys = OPENSSL_zalloc(sizeof(*keys));
    if (keys == NULL) {
        return NULL;
    }
    if (key_generate(&keys->keys[0]) == -1 || pthread_rwlock_init(&keys->lock, NULL) != 0) {
        goto free_keys;
    }
    keys->count = 1;
    keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (keys->cipher == NULL) {
        goto destroy_lock;
    }
    return keys;

destroy_lock:
    pthread_rwlock_destroy(&keys->lock);
free_keys:
    OPENSSL_clear_free(keys, sizeof(*keys));
    return NULL;
}

void ticket_keys_free(struct ticket_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    EVP_CIPHER_free(keys->cipher);
    pthread_rwlock_destroy(&keys->lock);
    OPENSSL_clear_free(keys, sizeof(*keys));
}

/* A copy, so that the lock isn't held through any of OpenSSL. Returns its age (0: in use), or -1: unknown. */
static int key_find(struct ticket_keys *keys, const unsigned char *name, struct ticket_key *found)
{
    int age = -1;
    pthread_rwlock_rdlock(&keys->lock);
    for (size_t i = 0; i < keys->count && age == -1; i++) {
        if (name == NULL || memcmp(keys->keys[i].name, name, NAME_SIZE) == 0) {
            *found = keys->keys[i];
            age = (int)i;
        }
    }
    pthread_rwlock_unlock(&keys->lock);
    return age;
}

static bool set_hmac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac, sizeof(key->hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int ticket_seal(struct ticket_keys *keys, unsigned char *name, unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    key_find(keys, NULL, &key);
    int answer = TICKET_ERROR;
    if (RAND_bytes(iv, IV_SIZE) == 1 && EVP_EncryptInit_ex2(cipher, keys->cipher, key.aes, iv, NULL) == 1 &&
        set_hmac(mac, &key)) {
        memcpy(name, key.name, NAME_SIZE);
        answer = TICKET_GOOD;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return answer;
}

/* TLS 1.3 always renews: a ticket is meant to be used once (RFC 8446 C.4). */
static int ticket_open(struct ticket_keys *keys, bool single_use, const unsigned char *name,
                       const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    int age = key_find(keys, name, &key);
    if (age == -1) {
        return TICKET_UNKNOWN;
    }
    int answer = TICKET_ERROR;
    if (EVP_DecryptInit_ex2(cipher, keys->cipher, key.aes, iv, NULL) == 1 && set_hmac(mac, &key)) {
        answer = single_use || age > 0 ? TICKET_RENEW : TICKET_GOOD;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return answer;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    struct ticket_keys *keys = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);
    if (sealing) {
        return ticket_seal(keys, name, iv, cipher, mac);
    }
    return ticket_open(keys, SSL_version(ssl) == TLS1_3_VERSION, name, iv, cipher, mac);
}

int ticket_keys_install(struct ticket_keys *keys, SSL_CTX *ctx)
{
    pthread_once(&context_index_once, make_context_index);
    if (context_index == -1 || SSL_CTX_set_ex_data(ctx, context_index, keys) != 1) {
        return -1;
    }
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1 ? 0 : -1;
}

static bool rotate_once(struct ticket_keys *keys)
{
    struct ticket_key fresh;
    bool rotated = key_generate(&fresh) == 0;
    if (rotated) {
        memmove(&keys->keys[1], &keys->keys[0], sizeof(keys->keys[0]) * (KEYS_KEPT - 1));
        keys->keys[0] = fresh;
        keys->count += keys->count < KEYS_KEPT ? 1 : 0;
    }
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return rotated;
}

/* A process that slept through several periods must not go on with keys that should be gone. Without
 * randomness the keys in use stay, and the next call tries again. The random bytes are made under the lock:
 * microseconds, once an hour. */
void ticket_keys_rotate(struct ticket_keys *keys, uint64_t now)
{
    pthread_rwlock_wrlock(&keys->lock);
    if (!keys->clock_known) {
        keys->clock_known = true;
        keys->rotated = now;
    }
    uint64_t periods = now > keys->rotated ? (now - keys->rotated) / TICKET_ROTATE_SECONDS : 0;
    bool rotated = true;
    for (uint64_t i = 0; i < periods && i < KEYS_KEPT && rotated; i++) {
        rotated = rotate_once(keys);
    }
    if (rotated) {
        keys->rotated += periods * TICKET_ROTATE_SECONDS;
    }
    pthread_rwlock_unlock(&keys->lock);
}
