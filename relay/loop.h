/* What the flows of one worker share: the event_base, a run queue, the sockets' edges, the deadlines, the
 * copy buffer, the pipe pool and the count of system calls. One loop a worker; every function here is called
 * on that worker's thread only. Refuses to know listeners, connections and configuration. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/counters.h"

struct event_base;
struct event;
struct pipe_pool;
struct poller;
struct timers;

/* Work to be resumed on the next turn of the loop. libevent runs a re-activated callback before it looks at
 * other descriptors (measured: event_active() on oneself starves the loop), hence a queue of our own behind a
 * zero timer: everyone else gets a turn in between. Embed it; zero-initialise; set `run`. */
struct loop_task {
    TAILQ_ENTRY(loop_task) link; /* owned by loop.c; tqe_prev is NULL while it is not queued */
    void (*run)(struct loop_task *task);
};
TAILQ_HEAD(loop_task_list, loop_task);

struct loop_options {
    struct event_base *base; /* borrowed; outlives the loop */
    size_t pipe_size;        /* bytes asked of each pipe; 0: LOOP_PIPE_SIZE */
    size_t copy_size;        /* bytes of the shared copy buffer; 0: LOOP_COPY_SIZE */
};
#define LOOP_PIPE_SIZE (1u << 20)
#define LOOP_COPY_SIZE (512u << 10)

struct loop {
    struct event_base *base;
    struct event *turn; /* the zero timer */
    struct loop_task_list tasks;
    struct loop_task_list graveyard;
    struct poller *poller;
    struct timers *timers;
    size_t moved;         /* bytes moved since the sockets were looked at: see LOOP_MOVE_BYTES */
    uint8_t *copy_buffer; /* cache-hot scratch; contents are nobody's between two calls into relay */
    size_t copy_size;
    size_t held; /* bytes that short writes left with its flows (move_copy.c) */
    struct pipe_pool *pipes;
    struct relay_syscalls syscalls;
};

/* NULL and errno on failure. */
struct loop *loop_new(const struct loop_options *options);
/* Runs what is left of the deferred frees. No flow, endpoint or queued task may be left. NULL: nothing. */
void loop_free(struct loop *loop);

/* Runs task->run on the next turn, once. Queueing a queued task does nothing. */
void loop_queue(struct loop *loop, struct loop_task *task);
void loop_unqueue(struct loop *loop, struct loop_task *task);

/* As loop_queue, for tasks that free the object they are embedded in: they run on the next turn after all
 * ordinary tasks, when no callback of that object can be on the stack. */
void loop_bury(struct loop *loop, struct loop_task *task);

/* Runs the tasks that are queued, once each, then those that free; not all, once they have moved
 * LOOP_MOVE_BYTES. For poller.c, and the loop's own zero timer. true: some are left or came anew. */
bool loop_run(struct loop *loop);

/* After so many bytes the sockets are looked at before the next task: a small request waits for one turn of
 * one bulk transfer, not for one of each. */
#define LOOP_MOVE_BYTES (1u << 20)

/* Milliseconds of CLOCK_MONOTONIC_COARSE (4 ms resolution at worst; no system call). */
uint64_t loop_now_ms(void);

static inline void loop_count(struct loop *loop, enum relay_syscall call)
{
    relay_counter_add(&loop->syscalls.count[call], 1);
}
