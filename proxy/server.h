/* The server: owns the listening descriptors, the generations, the workers and the log; starts, reloads,
 * drains and stops them. Can be embedded (demo, tests): several servers in one process don't disturb each
 * other. Refuses to know command lines and where a configuration came from, but for the file that a reload
 * reads. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"
#include "proxy/generation.h"

struct server;
struct worker;

struct server_options {
    struct conf *conf; /* taken on success */
    const char
        *conf_path; /* what SIGHUP loads again; NULL: reload is refused. Borrowed for the server's life */
    FILE *announce; /* `sluice: listening NAME ADDRESS` and the like; NULL: nothing is said */
    bool handle_signals; /* blocks and handles HUP, USR1, TERM, INT, QUIT (see DESIGN 4) */
};

/* Raises the descriptor limit, reads certificates, binds, becomes the configured user; no thread yet (and
 * must be called before the process starts any, if `user` is set). NULL: problems says why; nothing is left
 * bound. */
struct server *server_new(const struct server_options *options, struct conf_problems *problems);

/* Starts the threads and announces the listeners: from here on it serves. 0, or -1 and errno. */
int server_start(struct server *server) __attribute__((warn_unused_result));

/* Runs signals, drain and timers on the calling thread until the server has stopped. 0. Optional for whoever
 * embeds it: the workers serve by themselves; server_free() stops them. */
int server_run(struct server *server);

enum server_stop { SERVER_DRAIN, SERVER_STOP_NOW };
/* Makes server_run() end: once connections are done or the drain deadline is over, or at once. Any thread. */
void server_stop(struct server *server, enum server_stop how);

/* Loads conf_path again and changes over. false: problems says why, the old configuration serves on wholly.
 * On the thread of server_run() or, while it doesn't run, of server_new(). */
bool server_reload(struct server *server, struct conf_problems *problems);

/* Stops at once what still runs, flushes the log, frees everything. NULL: nothing. */
void server_free(struct server *server);

/* The address a listener is really bound to ("127.0.0.1:40021", "unix:/run/x.sock"); `admin` too. NULL: no
 * such listener. Thread as server_reload(); valid until the next reload. */
const char *server_address(const struct server *server, const char *listener);

/* --- For the admin pages; any thread --- */
unsigned server_worker_count(const struct server *server);
struct worker *server_worker(const struct server *server, unsigned index);
uint64_t server_uptime_ms(const struct server *server);
bool server_draining(const struct server *server);
uint64_t server_log_dropped(const struct server *server);
uint64_t server_disk_jobs(const struct server *server); /* since the start */
uint64_t server_log_written(const struct server *server);

/* --- For workers; any thread --- */
/* The worker's last connection but admin's has ended while draining. */
void server_on_drained(struct server *server);
/* A diagnostic for stderr, written by the thread of server_run() (or server_free()): a worker must not block
 * on it. */
void server_note(struct server *server, const char *format, ...) __attribute__((format(printf, 2, 3)));
