/* What came of one check, small enough to be told to other threads by an atomic. Refuses to know servers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum health_cause {
    HEALTH_NONE, /* not checked yet, or not at all */
    HEALTH_GOOD,
    HEALTH_CONNECT, /* detail: errno */
    HEALTH_TIMEOUT,
    HEALTH_TLS,  /* detail: why the certificate was refused (X509_V_ERR_...); 0: something else was wrong */
    HEALTH_LOST, /* detail: errno; 0: the server closed */
    HEALTH_NOT_HTTP,
    HEALTH_STATUS, /* detail: the status */
    HEALTH_SHORT,  /* detail: errno: no descriptor or memory here; no word against the server */
};

struct health_result {
    enum health_cause cause;
    int detail;
};

uint64_t health_result_pack(struct health_result result);
struct health_result health_result_unpack(uint64_t packed);
/* "good", "no answer in time", "status 503", ... */
void health_result_text(struct health_result result, char *text, size_t size);
