/* A process that was started to be measured: started, waited for, asked what it says of itself, stopped.
 * Refuses to know its configuration. */
#ifndef SLUICE_LOAD_SERVER_H
#define SLUICE_LOAD_SERVER_H

#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "sluice_load/measure.h"
#include "sluice_load/workspace.h"

struct server {
    char name[32];
    char log[WORKSPACE_PATH]; /* its stdout and stderr */
    pid_t pid;                /* 0: not running */
};

struct server_start {
    const char *name; /* for messages and the log */
    const char *const *argv;
    const char *libraries; /* LD_LIBRARY_PATH; NULL: as it is */
    const cpu_set_t *cpus; /* NULL: anywhere */
};

/* All: -1 with a message on stderr, which quotes the server's own where it has died. */
int server_start(struct server *server, const struct workspace *workspace, const struct server_start *start)
    __attribute__((warn_unused_result));

/* Waits for the line "…: listening NAME ADDRESS" of its output. */
int server_wait_address(struct server *server, const char *name, char address[128])
    __attribute__((warn_unused_result));

/* Waits until something accepts connections at 127.0.0.1:port. */
int server_wait_port(struct server *server, unsigned port) __attribute__((warn_unused_result));

/* Whether it is no longer there; how it ended is told on stderr, once. */
bool server_has_ended(struct server *server);

/* Asks it to end, and ends it if it does not. Safe if it never started. */
void server_stop(struct server *server);

/* A port of 127.0.0.1 that was free a moment ago; 0 with errno. */
unsigned server_free_port(void);

/* A small JSON document by HTTP; NULL with a message. New reference. */
json_t *server_fetch_json(const char *address, const char *path);

/* The output of a short command as JSON; NULL with a message. New reference. */
json_t *server_run_json(const struct workspace *workspace, const char *const *argv);

#endif
