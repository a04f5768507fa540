/* Connects to a server of a backend without blocking: the balancer's choice first, the next one when it
 * fails, all within one deadline. While all are full it waits in the backend's queue. A server that doesn't
 * answer gets its share of the deadline only, so that a black hole leaves time for the others. Belongs to one
 * worker. Refuses to know clients. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/backend.h"
#include "relay/endpoint.h"

struct dial;

enum dial_status {
    DIAL_CONNECTED,
    DIAL_LOST,      /* was connected, and reset at once; there was no other server. The endpoint is closed */
    DIAL_NO_SERVER, /* each was tried, or the deadline is over; `detail` tells of the last */
    DIAL_WAITED,    /* too long, in the backend's queue */
    DIAL_NO_RESOURCE, /* no descriptor or memory here: no server's fault */
};

struct dial_end {
    enum dial_status status;
    struct backend_server *server; /* CONNECTED, LOST, else NULL: backend_server_released() is now owed */
    const char *detail;            /* otherwise; valid within the callback */
};

struct dial_options {
    struct loop *loop;
    struct backend *backend; /* borrowed, outlives the dial */
    unsigned worker_index;
    /* Calls fn(worker, arg) soon on this thread; any thread: worker_post(). For whoever waits in the queue.
     */
    bool (*post)(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg);
    struct worker *worker;
    uint64_t client_hash;    /* balancer_hash_client() */
    uint32_t timeout_ms;     /* for connecting; the time in the queue is apart */
    struct endpoint *server; /* borrowed: opened by the dial, the owner's once CONNECTED, else closed */
    /* Asked where the backend is `transparent`: the address to be. */
    void (*client_address)(void *arg, struct sockaddr_storage *address);
    /* Asked where the backend has fast_open: whether the client's first bytes are there and will be sent by
     * send(), as only that carries them in the SYN. */
    bool (*may_be_early)(void *arg);
    /* Asked when there is no descriptor left: true, one was made free. */
    bool (*free_descriptor)(void *arg);
    /* Once, from the event loop, never before dial_start() returns. */
    void (*on_end)(void *arg, const struct dial_end *end);
    void *arg;
};

/* NULL: out of memory. */
struct dial *dial_start(const struct dial_options *options);

/* At any time, also within on_end, which won't run any more. Resets the endpoint unless it was handed over.
 * NULL: nothing. */
void dial_free(struct dial *dial);
