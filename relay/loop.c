/* The run queue of a worker behind a zero timer, and the buffers its flows share.
 * Refuses to know what the tasks do. */
#include "relay/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#include "relay/pipe_pool.h"
#include "relay/poller.h"
#include "relay/timer.h"

/* Once is enough, and more would harm: event_add() on a timer that is due takes it off the list of callbacks
 * about to run, so whoever queues something in every turn of the loop would put this one off for ever. */
static void arm(struct loop *loop)
{
    const struct timeval now = {0, 0};
    if (!evtimer_pending(loop->turn, NULL))
        event_add(loop->turn, &now);
}

static bool is_queued(const struct loop_task *task)
{
    return task->link.tqe_prev != NULL;
}

/* Runs what is queued now: a task that queues itself again waits for the next turn, behind the marker. */
static void run_list(struct loop_task_list *list, const size_t *moved)
{
    struct loop_task marker;
    struct loop_task *task;
    TAILQ_INSERT_TAIL(list, &marker, link);
    while ((task = TAILQ_FIRST(list)) != &marker && *moved < LOOP_MOVE_BYTES) {
        TAILQ_REMOVE(list, task, link);
        task->link.tqe_prev = NULL;
        task->run(task);
    }
    TAILQ_REMOVE(list, &marker, link);
}

bool loop_run(struct loop *loop)
{
    run_list(&loop->tasks, &loop->moved);
    loop->moved = 0;
    run_list(&loop->graveyard, &loop->moved);
    return !TAILQ_EMPTY(&loop->tasks) || !TAILQ_EMPTY(&loop->graveyard);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *loop = arg;
    if (loop_run(loop))
        arm(loop);
}

struct loop *loop_new(const struct loop_options *options)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return NULL;
    loop->base = options->base;
    loop->copy_size = options->copy_size != 0 ? options->copy_size : LOOP_COPY_SIZE;
    TAILQ_INIT(&loop->tasks);
    TAILQ_INIT(&loop->graveyard);

    loop->copy_buffer = aligned_alloc(4096, loop->copy_size);
    if (loop->copy_buffer == NULL)
        goto free_loop;
    loop->pipes = pipe_pool_new(options->pipe_size != 0 ? options->pipe_size : LOOP_PIPE_SIZE);
    if (loop->pipes == NULL)
        goto free_buffer;
    loop->turn = evtimer_new(loop->base, on_turn, loop);
    if (loop->turn == NULL)
        goto free_pipes;
    loop->timers = timers_new(loop->base);
    if (loop->timers == NULL)
        goto free_turn;
    loop->poller = poller_new(loop);
    if (loop->poller == NULL)
        goto free_timers;
    return loop;

free_timers:
    timers_free(loop->timers);
free_turn:
    event_free(loop->turn);
free_pipes:
    pipe_pool_free(loop->pipes);
free_buffer:
    free(loop->copy_buffer);
free_loop:
    free(loop);
    errno = ENOMEM;
    return NULL;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop->moved = 0;
    while (!TAILQ_EMPTY(&loop->graveyard))
        run_list(&loop->graveyard, &loop->moved);
    poller_free(loop->poller);
    timers_free(loop->timers);
    event_free(loop->turn);
    pipe_pool_free(loop->pipes);
    free(loop->copy_buffer);
    free(loop);
}

static void enqueue(struct loop *loop, struct loop_task_list *list, struct loop_task *task)
{
    if (is_queued(task))
        return;
    TAILQ_INSERT_TAIL(list, task, link);
    arm(loop);
}

void loop_queue(struct loop *loop, struct loop_task *task)
{
    enqueue(loop, &loop->tasks, task);
}

void loop_bury(struct loop *loop, struct loop_task *task)
{
    enqueue(loop, &loop->graveyard, task);
}

void loop_unqueue(struct loop *loop, struct loop_task *task)
{
    if (!is_queued(task))
        return;
    TAILQ_REMOVE(&loop->tasks, task, link);
    task->link.tqe_prev = NULL;
}

uint64_t loop_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
