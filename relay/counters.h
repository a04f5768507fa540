/* Live counters of one listener and direction on one worker. Written by that worker alone, readable by any
 * thread at any time: every field is a relaxed atomic, so a reader sees recent values and never a torn one.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "relay/mode.h"

struct relay_counters {
    _Atomic uint64_t
        bytes[RELAY_MODE_COUNT][RELAY_CRYPTO_COUNT][RELAY_CRYPTO_COUNT]; /* [mode][source][sink] */
    _Atomic uint64_t segments[RELAY_MODE_COUNT][RELAY_CRYPTO_COUNT][RELAY_CRYPTO_COUNT][RELAY_REASON_COUNT];
    _Atomic uint64_t user_bytes, kernel_bytes; /* their sum is the sum over `bytes` */
    _Atomic uint64_t head_bytes;               /* HTTP heads and TLS handshakes */
};

/* Our own data-path calls, for sluice_syscalls_total{call}. Names: relay_syscall_name(). */
enum relay_syscall {
    RELAY_SYS_SPLICE,
    RELAY_SYS_SENDFILE,
    RELAY_SYS_RECV,
    RELAY_SYS_SEND,
    RELAY_SYS_PREAD,
    RELAY_SYS_MMAP,
    RELAY_SYS_SSL_READ,
    RELAY_SYS_SSL_WRITE,
    RELAY_SYS_IOCTL,
};
#define RELAY_SYSCALL_COUNT 9

struct relay_syscalls {
    _Atomic uint64_t count[RELAY_SYSCALL_COUNT];
};

const char *relay_syscall_name(enum relay_syscall call);

/* Single-writer increment: a load and a store, not a locked instruction. */
static inline void relay_counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t relay_counter_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}
