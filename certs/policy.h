/* What an SSL_CTX of either side negotiates: versions, cipher suites, groups. What a system-wide openssl.cnf
 * may have set is overridden: the same configuration means the same on every host.
 * Refuses to know certificates, trust and ALPN, in which the two sides differ. */
#pragma once

#include <openssl/types.h>
#include <stddef.h>

struct cert_policy {
    int min_version, max_version; /* TLS1_2_VERSION, TLS1_3_VERSION; 0: those */
    char *const *suites;          /* OpenSSL's names, of both versions; none: the defaults */
    char *const *groups;          /* likewise */
    char *const *alpn;            /* see the sides */
    size_t suite_count, group_count, alpn_count;
};

/* 0; or -1: OpenSSL knows one of the names not, or out of memory; its error queue says what. A version
 * without a suite is left out of the range. */
int cert_policy_apply(const struct cert_policy *policy, SSL_CTX *ctx) __attribute__((warn_unused_result));

/* The names as ALPN has them on the wire, each with its length before it: *wire is to be freed with free().
 * 0, or -1: out of memory, or a name is empty or longer than 255. Of no names: NULL and 0. */
int cert_policy_alpn(char *const *names, size_t count, unsigned char **wire, size_t *size)
    __attribute__((warn_unused_result));
