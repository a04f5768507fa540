/* How much has been encrypted under the sending key, and how much may be.
 * Refuses to encrypt, and to know what an owner does at the bound. */
#include "relay/tls_conn_internal.h"

void tls_conn_limit_key(struct tls_conn *tls, uint64_t bytes)
{
    tls->sealed_max = bytes;
}

void tls_conn_count_sealed(struct tls_conn *tls, uint64_t n)
{
    tls->sealed += n + (n / 16384 + 1) * TLS_SEAL_COST;
}

uint64_t tls_conn_sealed(const struct tls_conn *tls)
{
    return tls->sealed;
}

bool tls_conn_key_worn(const struct tls_conn *tls)
{
    return tls->sealed >= tls->sealed_max / 2;
}

bool tls_conn_key_spent(const struct tls_conn *tls)
{
    return tls->sealed >= tls->sealed_max;
}
