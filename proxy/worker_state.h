/* What worker.c and worker_change.c share: the worker itself. Nobody else includes this. */
#pragma once

#include <pthread.h>

#include "proxy/worker_internal.h"

struct listener;
struct mailbox;

TAILQ_HEAD(listener_list, listener);
TAILQ_HEAD(conn_list, conn);

struct worker {
    struct worker_options options;
    pthread_t thread;
    bool has_thread;
    struct event_base *base;
    struct loop *loop;
    struct mailbox *mailbox;
    struct open_files *open_files;
    struct disk_port *disk;

    /* The thread's own from here on. */
    struct generation *generation;
    struct listener_list listeners;
    struct conn_list conns;
    size_t served; /* connections but admin's */
    int reserves[WORKER_RESERVE_COUNT];
    struct event *resume;
    bool paused, draining, drained_told;
    uint64_t pause_noted_ms; /* 0: never */
};
