/* A backend at run time: the server set it serves by now, and one balancer a worker.
 * Refuses to know connections, how servers are reached (dial.h) and where a set comes from.
 *
 * The set can be replaced while running: whoever learns of other servers builds a new one and publishes it.
 *  - backend_publish() may be called on any thread, as often as it likes; the last one counts. The servers
 * are matched by name and address: those that stay keep statistics, health and their connections.
 *  - A worker takes the newest set when it next chooses a server; nothing waits for it. What its balancer
 * knows of servers that stay is carried over.
 *  - A server that is in no set any more gets no new connection and keeps those it has (each holds a
 *    reference): it drains by itself.
 *  - An empty set is allowed: connections are refused with no_server until a better one comes.
 * A backend belongs to a generation: a reload begins with the set of the configuration. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/balancer.h"
#include "proxy/server_set.h"

struct checker;
struct backend_names;
struct resolver;

struct backend {
    const char *name; /* borrowed from the conf */
    struct balancer_options balancing;
    struct conf_queue queue;
    bool ejects;
    struct conf_eject eject;
    const struct conf_outgoing *outgoing; /* borrowed from the conf; NULL: nothing is asked of its sockets */
    struct backend_shared *shared;        /* a reference: what all generations know of it */
    struct backend_names *names;          /* where its sets come from */
    struct checker *checker;              /* its servers are checked, it is told of other sets; NULL: none */
    pthread_mutex_t lock;
    struct server_set *newest;  /* a reference; under the lock */
    _Atomic uint64_t published; /* counts the sets; changed under the lock */
    struct backend_view *views; /* by worker index, each touched by its worker alone */
    unsigned worker_count;
};

/* Fills *backend from conf (borrowed, outlives it); resolver NULL (only checking): names stand for nothing.
 * 0, or -1: out of memory, and *backend is empty. */
int backend_init(struct backend *backend, const struct conf_backend *conf, struct backend_registry *registry,
                 struct resolver *resolver, unsigned worker_count) __attribute__((warn_unused_result));
/* After backend_retire(). */
void backend_clear(struct backend *backend);

/* Publishes a new set if a name of its servers stands for something else than in the last one. Without memory
 * for it the last one serves on. Main thread. */
void backend_refresh(struct backend *backend);
/* Its generation has been replaced: names are of no interest to it any more. Main thread; a second time does
 * nothing. */
void backend_retire(struct backend *backend);

/* Takes the caller's reference to the set. Any thread. */
void backend_publish(struct backend *backend, struct server_set *set);
/* The newest set, with a reference for the caller. Any thread. */
struct server_set *backend_set(struct backend *backend);

enum backend_answer {
    BACKEND_CHOSEN, /* server: to connect to now, with backend_server_occupy() done */
    BACKEND_NOBODY, /* no server is left to try */
    BACKEND_WAIT,   /* all are full: the waiter is in the queue, and on_turn will tell when to choose again */
    BACKEND_OVERFLOW, /* all are full, and so is the queue */
};

struct backend_choice {
    struct backend_server *server; /* NULL unless CHOSEN */
    size_t left;                   /* how many could have been chosen, this one included */
};

/* Chooses a server of those that were not tried. waiter->queued false: newly come, else those in the queue
 * come first; a waiter that was queued leaves the queue unless the answer is WAIT. On the worker's thread. */
enum backend_answer backend_choose(struct backend *backend, unsigned worker_index,
                                   const struct balancer_request *request, struct backend_waiter *waiter,
                                   struct backend_choice *choice);
