/* What this kernel and this OpenSSL can do, found out by doing it: real bytes over loopback sockets, a file
 * in memory, real handshakes. Version numbers decide nothing (but for one warning about known holes). Refuses
 * to know how the findings are shown (proxy/probe.h) or used (plan.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/mode.h"

enum probe_version { PROBE_TLS12, PROBE_TLS13 };
#define PROBE_VERSION_COUNT 2
enum probe_cipher { PROBE_AES128_GCM, PROBE_AES256_GCM, PROBE_CHACHA20_POLY1305 };
#define PROBE_CIPHER_COUNT 3

/* "TLSv1.2"; "AES-128-GCM". */
const char *probe_version_name(enum probe_version version);
const char *probe_cipher_name(enum probe_cipher cipher);

struct probe_call {
    bool works; /* bytes arrived as they were sent */
    int error;  /* errno of what failed; EBADMSG: other bytes arrived */
};

/* One TLS version with one cipher, server side, kTLS asked for. */
struct probe_ktls {
    bool handshake; /* false: OpenSSL doesn't offer this combination; tx and rx are false too */
    bool tx, rx;    /* the kernel took over, and bytes arrived as they were sent */
    enum relay_reason tx_reason, rx_reason; /* where it did not */
};

/* What Sluice doesn't rely on, and others may. */
struct probe_ktls_limits {
    bool known;     /* false: there was nothing to try it on */
    bool full_pipe; /* a record spliced into a nearly full pipe arrives whole: fixed in 6.1.190, 6.12.113 */
    bool rekey;     /* a direction can be given a new key: 6.14 */
};

struct probe_pipe {
    uint64_t max_size;        /* fs.pipe-max-size, bytes; 0: can't be read */
    uint64_t user_pages_soft; /* fs.pipe-user-pages-soft; 0: no limit */
    uint64_t page_size;
    uint64_t default_size; /* of a new pipe; 0: none is to be had */
    uint64_t asked_size, got_size;
};

struct probe {
    char kernel_release[80], kernel_version[80]; /* uname -r, uname -v */
    struct probe_call splice, sendfile, mmap;
    bool ktls_kernel; /* the kernel has the TLS ULP */
    struct probe_ktls ktls[PROBE_VERSION_COUNT][PROBE_CIPHER_COUNT];
    struct probe_ktls_limits ktls_limits;
    struct probe_pipe pipe;
};

/* Tries everything; some milliseconds, all of it on this thread. pipe_size: what to ask of a pipe, 0 for
 * LOOP_PIPE_SIZE. What can't even be tried counts as not working. */
void probe_run(struct probe *probe, size_t pipe_size);

/* The kTLS half alone: probe->ktls, ktls_kernel and ktls_limits. Called by probe_run. Tried once a process
 * (some 10 ms), and remembered: live connections go by it, too (probe_ktls_verdict). Thread-safe. */
void probe_run_ktls(struct probe *probe);

/* What was found for a TLS version (TLS1_3_VERSION) and a cipher (NID_aes_128_gcm); NULL: nothing is known of
 * that pair. Tries at the first call. Thread-safe. */
const struct probe_ktls *probe_ktls_verdict(int version, int cipher_nid);

/* Pipes that one unprivileged user gets before the kernel gives 2-slot ones: of the default size, and of
 * `size`. UINT64_MAX: no limit. */
uint64_t probe_pipes_of_size(const struct probe_pipe *pipe, uint64_t size);

/* A sentence for the operator of a kernel that may lack the fixes of CVE-2025-39682 and CVE-2025-39946 (both
 * in kTLS receive), or NULL. release, version: uname -r, uname -v. */
const char *probe_kernel_warning(const char *release, const char *version);

/* A connected pair of TCP sockets on 127.0.0.1, non-blocking, TCP_NODELAY. 0, or -1 and errno. */
int probe_tcp_pair(int fds[2]) __attribute__((warn_unused_result));
