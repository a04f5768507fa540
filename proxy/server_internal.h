/* What server.c and server_change.c share: the server itself. Nobody else includes this. */
#pragma once

#include <event2/event_struct.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "proxy/listen_set.h"
#include "proxy/log.h"
#include "proxy/privileges.h"
#include "proxy/server.h"
#include "proxy/worker.h"

struct mailbox;
struct ticket_keys;

enum server_state { SERVER_BUILT, SERVER_RUNNING, SERVER_DRAINING, SERVER_STOPPED };

struct server {
    struct server_options options; /* conf: only until the first generation has taken it */
    enum server_state state;
    struct event_base *base;
    struct mailbox *mailbox;
    struct event *signals, *housekeeping;
    int signal_fd; /* -1: not handled here */
    sigset_t old_mask;

    struct stats_registry *registry;
    struct backend_registry *backends;
    struct resolver *resolver;
    struct checker *checker;
    struct ticket_keys *tickets;
    struct listen_set *listening;
    struct log *log;
    struct disk *disk;
    unsigned disk_threads;
    struct privileges privileges;
    struct generation *generation;
    struct worker **workers;
    unsigned worker_count;
    unsigned drained; /* workers that have told so */

    _Atomic bool draining; /* state, for any thread */
    uint64_t started_ms;
};

/* Runs fn(worker, args[i]) on every worker and waits until all have. args NULL: fn gets NULL. Before they are
 * started it runs here. */
void server_call_workers(struct server *server, worker_fn *fn, void **args);

/* Builds a generation from conf (taken on success), opens what it listens on and the log; nothing serves by
 * it yet. false: problems says why, nothing has changed. */
struct server_change {
    struct generation *generation;
    struct worker_change **workers;
    void **calls; /* the same, as server_call_workers wants them */
    int log_fd;
    bool log_changed;
};
bool server_change_prepare(struct server *server, struct conf *conf, struct server_change *change,
                           struct conf_problems *problems) __attribute__((warn_unused_result));
/* Serves by it from now on; closes what isn't listened on any more. */
void server_change_commit(struct server *server, struct server_change *change);
void server_change_abort(struct server *server, struct server_change *change);

/* Says `sluice: listening NAME ADDRESS` for all listeners, or those that the change under way has opened. */
void server_announce(const struct server *server, bool all);

/* The names of servers (server_names.c): a resolver that tells this server of changes; NULL and errno. */
struct resolver *server_names_new(struct server *server);
/* Waits for names that were never heard of, a bounded time, and gives the generation their servers. */
void server_names_await(struct server *server, struct generation *generation);

/* Closes all listening descriptors but admin's; no worker may be using them any more. */
void server_close_listeners(struct server *server);
