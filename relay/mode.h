/* Modes, cryptos and reasons: the vocabulary in which Sluice says which path a byte took.
 * The names are an interface: logs, metrics, JSON and plan use them unchanged, others script against them.
 * Refuses to know how a mode is carried out (mover.h) or chosen (plan.h). */
#pragma once

#include <stdbool.h>

/* How bytes cross from source to sink. */
enum relay_mode {
    RELAY_SPLICE,   /* socket -> pipe -> socket */
    RELAY_SENDFILE, /* page cache -> socket */
    RELAY_MMAP,     /* write() from a mapping of the file */
    RELAY_COPY,     /* read into and written from this process's memory */
};
#define RELAY_MODE_COUNT 4

/* Who encrypts or decrypts on one side. */
enum relay_crypto {
    RELAY_CRYPTO_NONE,
    RELAY_CRYPTO_KTLS, /* the kernel's TLS, kernel.md: software or NIC */
    RELAY_CRYPTO_USER, /* OpenSSL, in this process */
};
#define RELAY_CRYPTO_COUNT 3

/* Why this mode. Where several hold, the first in this order is told. */
enum relay_reason {
    RELAY_REASON_FORCED,           /* the listener's `relay` names this mode */
    RELAY_REASON_TRANSFORM,        /* a filter rewrites the bytes */
    RELAY_REASON_INSPECT,          /* a filter reads the bytes */
    RELAY_REASON_COMPRESSED,       /* compressed on the fly */
    RELAY_REASON_GENERATED,        /* made in memory: error pages, admin */
    RELAY_REASON_KTLS_OFF,         /* configuration: ktls = "off" */
    RELAY_REASON_KTLS_KERNEL,      /* the kernel has no TLS ULP */
    RELAY_REASON_KTLS_CIPHER,      /* kernel or OpenSSL can't offload this version and cipher */
    RELAY_REASON_KTLS_RX_TLS13,    /* OpenSSL before 3.2 doesn't offload TLS 1.3 receive */
    RELAY_REASON_TLS_PENDING,      /* decrypted bytes were left inside OpenSSL */
    RELAY_REASON_CONTROL_RECORD,   /* a TLS record that isn't data stood in the way */
    RELAY_REASON_URGENT_DATA,      /* a TCP urgent byte: splice can't pass it */
    RELAY_REASON_NOT_REGULAR_FILE, /* the source is a file that sendfile or mmap can't read */
    RELAY_REASON_PIPE_LIMIT,       /* no decent pipe was to be had */
    RELAY_REASON_KERNEL_REFUSED,   /* the system call said no (EINVAL, ENOSYS ...) */
    RELAY_REASON_SMALL_TRANSFERS,  /* auto: copying is cheaper for transfers this small */
    RELAY_REASON_PASSTHROUGH,      /* nothing needs the bytes in user space */
};
#define RELAY_REASON_COUNT 17

/* The listener's `relay` key: a mode forced, or chosen by plan. */
enum relay_force {
    RELAY_AUTO,
    RELAY_FORCE_SPLICE,
    RELAY_FORCE_SENDFILE,
    RELAY_FORCE_MMAP,
    RELAY_FORCE_COPY,
};
#define RELAY_FORCE_COUNT 5

struct relay_policy {
    enum relay_force force : 8;
    bool require_zero_copy : 1; /* refuse rather than move a payload byte through user memory */
};

/* Stable lower-case names ("splice", "ktls", "small_transfers", "auto"). Never NULL for a value of the enum.
 */
const char *relay_mode_name(enum relay_mode mode);
const char *relay_crypto_name(enum relay_crypto crypto);
const char *relay_reason_name(enum relay_reason reason);
const char *relay_force_name(enum relay_force force);

/* Inverse of relay_force_name. false: no such name, *force untouched. */
bool relay_force_parse(const char *name, enum relay_force *force) __attribute__((warn_unused_result));

/* Whether a payload byte moved this way entered this process's memory (DESIGN 3: copy, mmap and user-space
 * TLS are user; splice and sendfile, with or without kTLS, are kernel). */
bool relay_is_user(enum relay_mode mode, enum relay_crypto source, enum relay_crypto sink);
