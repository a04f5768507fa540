/* A thread of a load: its connections, its share of the schedule, its counts. Private to load, worker and
 * client. Refuses to know of other threads, but for the counts that they may read. */
#ifndef SLUICE_LOAD_WORKER_H
#define SLUICE_LOAD_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "sluice_load/load.h"
#include "sluice_load/schedule.h"

struct client;

/* Written by one thread, read by the one that prints. */
struct worker_counts {
    _Atomic uint64_t requests, bytes, bytes_sent, failures[LOAD_FAILURES], connections, resumed, statuses[6],
        late;
};

static inline void worker_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t worker_counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* What a client sends: to one target, or for one path. */
struct worker_request {
    char *data; /* NULL: the payload, or nothing */
    uint64_t size;
};

#define WORKER_BUFFER (1u << 20)

struct worker {
    const struct load_options *options;
    const struct worker_request *requests;
    size_t request_count;
    unsigned client_count;
    uint64_t quota; /* requests that may still be started */
    uint64_t taken; /* and those that have been */
    struct schedule schedule;
    uint64_t start_ns, deadline_ns;

    pthread_t thread;
    int epoll;
    SSL_CTX *tls;
    SSL_SESSION **sessions; /* the latest of each target */
    uint8_t *buffer;        /* shared by all clients, so it stays in the cache */
    struct client *clients, *idle, *ready;
    unsigned in_flight, resting;
    uint64_t next_request, random, tick_ns;
    unsigned next_source;

    struct worker_counts counts;
    struct histogram *latency, *corrected, *connect;
    uint64_t unfinished, not_started, end_ns;
    double cpu;
    char first_failure[200];
    _Atomic bool done;
};

/* 0, or -1 with errno; free in either case. The caller has set what stands above `thread`. */
int worker_init(struct worker *worker) __attribute__((warn_unused_result));
void worker_free(struct worker *worker);

/* The thread: a struct worker *. */
void *worker_main(void *worker);

/* For clients. Whether another request may begin now, and when it was meant to. */
bool worker_take(struct worker *worker, uint64_t *intended_ns);
void worker_put_idle(struct worker *worker, struct client *client);
void worker_put_ready(struct worker *worker, struct client *client);

#endif
