/* The names of modes, cryptos, reasons and policies: tables beside the enums of mode.h, and nothing else.
 * Refuses to know when each applies. */
#include "relay/mode.h"

#include <string.h>

static const char *const mode_names[RELAY_MODE_COUNT] = {
    [RELAY_SPLICE] = "splice",
    [RELAY_SENDFILE] = "sendfile",
    [RELAY_MMAP] = "mmap",
    [RELAY_COPY] = "copy",
};

static const char *const crypto_names[RELAY_CRYPTO_COUNT] = {
    [RELAY_CRYPTO_NONE] = "none",
    [RELAY_CRYPTO_KTLS] = "ktls",
    [RELAY_CRYPTO_USER] = "user",
};

static const char *const reason_names[RELAY_REASON_COUNT] = {
    [RELAY_REASON_FORCED] = "forced",
    [RELAY_REASON_TRANSFORM] = "transform",
    [RELAY_REASON_INSPECT] = "inspect",
    [RELAY_REASON_COMPRESSED] = "compressed",
    [RELAY_REASON_GENERATED] = "generated",
    [RELAY_REASON_KTLS_OFF] = "ktls_off",
    [RELAY_REASON_KTLS_KERNEL] = "ktls_kernel",
    [RELAY_REASON_KTLS_CIPHER] = "ktls_cipher",
    [RELAY_REASON_KTLS_RX_TLS13] = "ktls_rx_tls13",
    [RELAY_REASON_TLS_PENDING] = "tls_pending",
    [RELAY_REASON_CONTROL_RECORD] = "control_record",
    [RELAY_REASON_URGENT_DATA] = "urgent_data",
    [RELAY_REASON_NOT_REGULAR_FILE] = "not_regular_file",
    [RELAY_REASON_PIPE_LIMIT] = "pipe_limit",
    [RELAY_REASON_KERNEL_REFUSED] = "kernel_refused",
    [RELAY_REASON_SMALL_TRANSFERS] = "small_transfers",
    [RELAY_REASON_PASSTHROUGH] = "passthrough",
};

static const char *const force_names[RELAY_FORCE_COUNT] = {
    [RELAY_AUTO] = "auto",       [RELAY_FORCE_SPLICE] = "splice", [RELAY_FORCE_SENDFILE] = "sendfile",
    [RELAY_FORCE_MMAP] = "mmap", [RELAY_FORCE_COPY] = "copy",
};

const char *relay_mode_name(enum relay_mode mode)
{
    return mode_names[mode];
}

const char *relay_crypto_name(enum relay_crypto crypto)
{
    return crypto_names[crypto];
}

const char *relay_reason_name(enum relay_reason reason)
{
    return reason_names[reason];
}

const char *relay_force_name(enum relay_force force)
{
    return force_names[force];
}

bool relay_force_parse(const char *name, enum relay_force *force)
{
    for (int i = 0; i < RELAY_FORCE_COUNT; i++)
        if (strcmp(name, force_names[i]) == 0) {
            *force = (enum relay_force)i;
            return true;
        }
    return false;
}

bool relay_is_user(enum relay_mode mode, enum relay_crypto source, enum relay_crypto sink)
{
    return mode == RELAY_COPY || mode == RELAY_MMAP || source == RELAY_CRYPTO_USER ||
           sink == RELAY_CRYPTO_USER;
}
