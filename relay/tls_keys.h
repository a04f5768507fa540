/* Gives the kernel the key of a TLS 1.3 direction, from the traffic secret that OpenSSL's key log tells:
 * OpenSSL before 3.2 leaves receiving to itself (kernel.md 4). Whoever holds a secret cleanses it.
 * Refuses to know connections, and when it is right to hand a key over (tls_conn.c). */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_SECRET_MAX 48 /* SHA-384, the longest hash of a TLS 1.3 suite */

struct tls_secret {
    uint8_t bytes[TLS_SECRET_MAX];
    size_t size; /* 0: none */
};

/* Takes the secret of a line of the key log ("LABEL CLIENT_RANDOM SECRET", the latter two in hex) if its
 * label is this one. false: another label, or not such a line; *secret is untouched. */
bool tls_secret_parse(struct tls_secret *secret, const char *label, const char *line);
void tls_secret_cleanse(struct tls_secret *secret);

/* HKDF-Expand-Label (RFC 8446 7.1) with an empty context. 0, or -1: OpenSSL can't. */
int tls_expand_label(const EVP_MD *md, const struct tls_secret *secret, const char *label, uint8_t *out,
                     size_t size) __attribute__((warn_unused_result));

/* Makes the kernel decrypt what comes on fd: a TLS 1.3 socket that has the ULP already. records: how many
 * were read under this secret. 0; or -1 and errno: the kernel refused, and nothing has changed; ENOTSUP: not
 * a cipher that kernels know. */
int tls_keys_receive(int fd, const SSL_CIPHER *cipher, const struct tls_secret *secret, uint64_t records)
    __attribute__((warn_unused_result));
