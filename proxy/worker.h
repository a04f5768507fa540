/* A worker: one thread, one event_base, one relay loop, its listeners and its connections.
 * What belongs to it is touched on its thread only; others send messages (worker_post).
 * Refuses to know configuration files, signals and who the listening descriptors belong to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proxy/generation.h"
#include "relay/loop.h"

struct conn;
struct disk;
struct log;
struct server;
struct worker;

typedef void worker_fn(struct worker *worker, void *arg);

struct worker_options {
    struct server *server; /* borrowed, as all pointers here; outlives the worker */
    struct log *log;
    struct disk *disk;
    unsigned index; /* 0 .. workers - 1 */
    size_t pipe_size;
};

/* NULL and errno on failure. No thread yet. */
struct worker *worker_new(const struct worker_options *options);
/* Starts the thread. 0, or -1 and errno. */
int worker_start(struct worker *worker) __attribute__((warn_unused_result));
/* Asks the thread to end: every connection is reset (outcome `stopped`), listeners forgotten, waiting
 * messages run. Any thread; join waits for it. */
void worker_stop(struct worker *worker);
void worker_join(struct worker *worker);
/* After worker_join(), or before worker_start(). NULL: nothing. */
void worker_free(struct worker *worker);

/* Runs fn(worker, arg) on the worker's thread. Any thread. false: the worker has stopped or memory is short;
 * fn will not run, arg is still the caller's. While a worker stops, messages already taken still run: with no
 * connection left, and worker_post() to others may be refused. */
bool worker_post(struct worker *worker, worker_fn *fn, void *arg) __attribute__((warn_unused_result));

/* Any thread: these never change. */
unsigned worker_index(const struct worker *worker);
struct server *worker_server(const struct worker *worker);
/* The loop itself belongs to the worker; its `syscalls` counters may be read from any thread. */
struct loop *worker_loop(const struct worker *worker);

/* The worker whose thread this is, NULL on any other: for handlers (http/) that aren't told. */
struct worker *worker_self(void);

/* --- On the worker's thread only --- */

/* The generation it serves new connections by; borrowed, valid until the callback returns. NULL before the
 * first. */
const struct generation *worker_generation(const struct worker *worker);
struct log *worker_log(const struct worker *worker);

/* Every open connection, admin's own included; `each` must not end any. */
void worker_each_conn(struct worker *worker, void (*each)(void *arg, const struct conn *conn), void *arg);

/* What a worker needs to change over to a generation, allocated beforehand so that it can't fail half-way. */
struct worker_change;
/* fds[i]: the listening descriptor for generation->listeners[i] on this worker, -1: not served here. Takes a
 * reference to the generation. NULL: out of memory. Any thread. */
struct worker_change *worker_change_new(struct generation *generation, const int *fds);
void worker_change_free(struct worker_change *change);
/* Takes the change: listeners whose descriptor stays go on with the new policy, new ones begin, those gone
 * take what is in their queue and end. */
void worker_adopt(struct worker *worker, struct worker_change *change);

/* Stops accepting (but for admin), ends idle HTTP connections; when the last connection but admin's has
 * ended, server_on_drained() is told once. */
void worker_drain(struct worker *worker);
bool worker_draining(const struct worker *worker);
