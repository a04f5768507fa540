/* Versions, suites and groups of an SSL_CTX.
 * Refuses to know which side it is for. */
#include "certs/policy.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* AES-128 first: its margin is ample and it is the cheapest per byte where there is AES-NI, in OpenSSL and in
 * the kernel alike (10 rounds against 14). */
#define TLS13_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define TLS12_SUITES                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"

static bool is_tls13(const char *suite)
{
    return strncmp(suite, "TLS_", 4) == 0;
}

/* "a:b:c" of those names that `wanted` picks (NULL: all); "" of none. To be freed; NULL: out of memory. */
static char *join(char *const *names, size_t count, bool (*wanted)(const char *name))
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++) {
        size += strlen(names[i]) + 1;
    }
    char *joined = calloc(size, 1);
    for (size_t i = 0; i < count && joined != NULL; i++) {
        if (wanted == NULL || wanted(names[i])) {
            size_t length = strlen(joined);
            snprintf(joined + length, size - length, "%s%s", length > 0 ? ":" : "", names[i]);
        }
    }
    return joined;
}

static bool is_tls12(const char *suite)
{
    return !is_tls13(suite);
}

static bool apply_suites(SSL_CTX *ctx, const char *tls12, const char *tls13, int min_version, int max_version)
{
    int first = tls12[0] != '\0' ? TLS1_2_VERSION : TLS1_3_VERSION;
    int last = tls13[0] != '\0' ? TLS1_3_VERSION : TLS1_2_VERSION;
    return SSL_CTX_set_min_proto_version(ctx, min_version > first ? min_version : first) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, max_version < last ? max_version : last) == 1 &&
           (tls12[0] == '\0' || SSL_CTX_set_cipher_list(ctx, tls12) == 1) &&
           SSL_CTX_set_ciphersuites(ctx, tls13) == 1;
}

int cert_policy_apply(const struct cert_policy *policy, SSL_CTX *ctx)
{
    bool own_suites = policy->suite_count > 0, own_groups = policy->group_count > 0;
    char *tls12 = own_suites ? join(policy->suites, policy->suite_count, is_tls12) : strdup(TLS12_SUITES);
    char *tls13 = own_suites ? join(policy->suites, policy->suite_count, is_tls13) : strdup(TLS13_SUITES);
    char *groups = own_groups ? join(policy->groups, policy->group_count, NULL) : strdup(GROUPS);
    int min_version = policy->min_version != 0 ? policy->min_version : TLS1_2_VERSION;
    int max_version = policy->max_version != 0 ? policy->max_version : TLS1_3_VERSION;
    bool good = tls12 != NULL && tls13 != NULL && groups != NULL &&
                apply_suites(ctx, tls12, tls13, min_version, max_version) &&
                SSL_CTX_set1_groups_list(ctx, groups) == 1;
    free(tls12);
    free(tls13);
    free(groups);
    return good ? 0 : -1;
}

int cert_policy_alpn(char *const *names, size_t count, unsigned char **wire, size_t *size)
{
    *wire = NULL;
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        unsigned char *grown = length > 0 && length < 256 ? realloc(*wire, *size + 1 + length) : NULL;
        if (grown == NULL) {
            free(*wire);
            *wire = NULL;
            *size = 0;
            return -1;
        }
        *wire = grown;
        grown[*size] = (unsigned char)length;
        memcpy(grown + *size + 1, names[i], length);
        *size += 1 + length;
    }
    return 0;
}
