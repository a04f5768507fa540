/* One check of one server, without blocking: connect, TLS handshake, HTTP request and status, as far as asked
 * for. Refuses to know what follows from the result. Belongs to one thread. */
#pragma once

#include <event2/event_struct.h>
#include <openssl/types.h>
#include <stdbool.h>

#include "conf/conf.h"
#include "proxy/health/result.h"
#include "proxy/health/status_line.h"

struct health_probe;

struct health_probe_options {
    struct event_base *base;
    const struct conf_address *address;
    uint32_t timeout_ms;
    SSL_CTX *tls; /* NULL: none */
    /* With tls, before the handshake: the name, and what else it takes. false: it can't be done here. NULL:
     * nothing is. */
    bool (*prepare)(void *arg, SSL *ssl);
    const char *greeting; /* sent first of all, in the clear: a PROXY header; a socket's buffer holds it */
    size_t greeting_length;
    const char *request; /* NULL: nothing is asked */
    size_t request_length;
    /* A good status. */
    bool (*is_good)(void *arg, unsigned status);
    /* Once, from the event loop, never before health_probe_start() has returned. */
    void (*on_end)(void *arg, struct health_result result);
    void *arg;
};

enum health_probe_state {
    PROBE_IDLE,
    PROBE_CONNECTING,
    PROBE_HANDSHAKING,
    PROBE_ASKING,
    PROBE_READING,
    PROBE_OVER
};

/* Embed it; zero-initialise. */
struct health_probe {
    struct health_probe_options options; /* what they point to is borrowed until the end */
    enum health_probe_state state;
    int fd;
    SSL *ssl;
    struct event io, timer;
    size_t sent, received;
    char answer[STATUS_LINE_MAX];
    struct health_result result; /* OVER: to be told */
};

/* The probe is idle: never used, at its end, or stopped. */
void health_probe_start(struct health_probe *probe, const struct health_probe_options *options);
/* At any time: on_end won't run any more. */
void health_probe_stop(struct health_probe *probe);
