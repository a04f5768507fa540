/* The choice of a mode, as a pure function of what the two ends can do, the policy, and what has happened so
 * far in this direction. No system call, no state: the same function answers for live flows and for
 * `sluice plan`. Refuses to know sockets, files and names. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "relay/mode.h"

enum plan_kind {
    PLAN_SOCKET, /* TCP or UNIX stream, TLS or not (see crypto) */
    PLAN_FILE,
    PLAN_MEMORY, /* source only */
    PLAN_STREAM, /* source only: compressed on the way */
};

/* What one end is. */
struct plan_side {
    enum plan_kind kind;
    enum relay_crypto crypto;      /* who en- or decrypts in this direction */
    enum relay_reason user_reason; /* crypto is USER: why (a KTLS_* reason or KERNEL_REFUSED) */
};

/* What has happened in this direction. All false at the start of a connection, but for `small`. */
struct plan_facts {
    bool transform : 1;        /* a filter rewrites the bytes */
    bool inspect : 1;          /* a filter wants to see them still */
    bool tls_pending : 1;      /* OpenSSL holds decrypted bytes of the source */
    bool control_record : 1;   /* a non-data record is next on a kTLS source */
    bool urgent_data : 1;      /* the source stands at a TCP urgent mark */
    bool not_regular_file : 1; /* the file source isn't a regular file */
    bool pipe_limit : 1;       /* no pipe of at least 64 KiB is to be had now */
    bool splice_refused : 1;   /* the kernel refused it here */
    bool sendfile_refused : 1;
    bool mmap_refused : 1;
    bool small : 1; /* socket to socket: transfers are small (adaptive, flow.c) */
};

struct plan_input {
    struct plan_side source, sink;
    struct relay_policy policy;
    struct plan_facts facts;
};

struct plan_choice {
    bool refused : 1; /* policy forbids what is possible: reset the connection; `reason` says why */
    enum relay_mode mode : 7;
    enum relay_crypto source_crypto : 4, sink_crypto : 4;
    enum relay_reason reason : 8;
};

struct plan_choice plan_choose(const struct plan_input *input);

/* Whether a stream can be sent under this policy, whatever the sink is. */
bool plan_allows_stream(const struct relay_policy *policy);

/* What filters want of a direction. */
enum plan_filters {
    PLAN_FILTERS_NONE,
    PLAN_FILTERS_INSPECT,   /* to see its first bytes */
    PLAN_FILTERS_TRANSFORM, /* to rewrite all of it */
};

/* Every choice that plan_choose can make for these ends, filters and this policy, over all facts that can
 * arise for them, refusals included, without repeats, best case first. Writes at most `capacity` and returns
 * how many there are (never more than PLAN_CHOICES_MAX). */
#define PLAN_CHOICES_MAX 32
size_t plan_enumerate(const struct plan_side *source, const struct plan_side *sink, enum plan_filters filters,
                      const struct relay_policy *policy, struct plan_choice *choices, size_t capacity);

/* Whether a forced mode can ever be had between these kinds of end, crypto aside ("sendfile on a proxy":
 * no). AUTO always can. sink_crypto_possible: the best crypto the sink may get; USER rules out sendfile,
 * mmap and splice. */
bool plan_force_possible(enum relay_force force, enum plan_kind source, enum plan_kind sink,
                         enum relay_crypto best_sink_crypto);
