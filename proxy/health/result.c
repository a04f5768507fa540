/* See result.h. */
#include "proxy/health/result.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

uint64_t health_result_pack(struct health_result result)
{
    return (uint64_t)result.cause << 32 | (uint32_t)result.detail;
}

struct health_result health_result_unpack(uint64_t packed)
{
    return (struct health_result){.cause = (enum health_cause)(packed >> 32),
                                  .detail = (int)(uint32_t)packed};
}

void health_result_text(struct health_result result, char *text, size_t size)
{
    switch (result.cause) {
    case HEALTH_NONE:
        snprintf(text, size, "not checked");
        break;
    case HEALTH_GOOD:
        snprintf(text, size, "good");
        break;
    case HEALTH_CONNECT:
        snprintf(text, size, "connect: %s", strerror(result.detail));
        break;
    case HEALTH_TIMEOUT:
        snprintf(text, size, "no answer in time");
        break;
    case HEALTH_TLS:
        if (result.detail != 0)
            snprintf(text, size, "TLS: %s", X509_verify_cert_error_string(result.detail));
        else
            snprintf(text, size, "the TLS handshake failed");
        break;
    case HEALTH_LOST:
        snprintf(text, size, "%s",
                 result.detail != 0 ? strerror(result.detail) : "closed before it answered");
        break;
    case HEALTH_NOT_HTTP:
        snprintf(text, size, "the answer is no HTTP");
        break;
    case HEALTH_STATUS:
        snprintf(text, size, "status %d", result.detail);
        break;
    case HEALTH_SHORT:
        snprintf(text, size, "not checked: %s", strerror(result.detail));
        break;
    }
}
