/* Accepts connections of one listener on one worker: a bounded number a turn, pausing when descriptors run
 * out. Refuses to know what becomes of a connection, and who the listening descriptor belongs to. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "proxy/generation.h"

struct worker;

/* Embedded by the worker's list. */
struct listener {
    TAILQ_ENTRY(listener) link;
    struct worker *worker;
    const struct generation_listener *runtime; /* of the worker's generation */
    int fd;                                    /* borrowed from the server's listen_set */
    struct event event;
    bool paused;
    bool inherited; /* what is in the queue now has its options from fd */
};

/* Begins to accept on fd. Can't fail but for memory inside libevent: -1. */
int listener_start(struct listener *listener, struct worker *worker,
                   const struct generation_listener *runtime, int fd) __attribute__((warn_unused_result));
/* From now on new connections follow `runtime`. */
void listener_update(struct listener *listener, const struct generation_listener *runtime);
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
/* Lets go of fd. take_queue: but first accepts what waits in it, for these clients have been told that they
 * are connected, and closing the descriptor would reset them. */
void listener_stop(struct listener *listener, bool take_queue);

/* Connections taken in one turn: a flood of them must not hold up those that are open. */
#define LISTENER_ACCEPTS_PER_TURN 64
