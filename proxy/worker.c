/* See worker.h. Refuses to know configuration files, signals and who the listening descriptors belong to. */
#include "proxy/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/conn.h"
#include "proxy/conn_internal.h"
#include "proxy/disk.h"
#include "proxy/http/open_files.h"
#include "proxy/listener.h"
#include "proxy/mailbox.h"
#include "proxy/server.h"
#include "proxy/worker_state.h"

/* --- Making --- */

static void on_resume(evutil_socket_t fd, short what, void *arg);

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A small part of the descriptors that this process may have: connections need them more. */
static size_t open_files_max(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return 0;
    return limit.rlim_cur / 64 < WORKER_OPEN_FILES ? (size_t)(limit.rlim_cur / 64) : WORKER_OPEN_FILES;
}

struct worker *worker_new(const struct worker_options *options)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    struct event_config *config;

    if (worker == NULL)
        return NULL;
    worker->options = *options;
    TAILQ_INIT(&worker->listeners);
    TAILQ_INIT(&worker->conns);
    for (size_t i = 0; i < WORKER_RESERVE_COUNT; i++)
        worker->reserves[i] = open_reserve();
    config = event_config_new();
    if (config != NULL) {
        /* One thread a base: locks would only cost. */
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        worker->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (worker->base == NULL)
        goto free_worker;
    worker->loop = loop_new(&(struct loop_options){.base = worker->base, .pipe_size = options->pipe_size});
    worker->mailbox = mailbox_new(worker->base, worker);
    worker->open_files = open_files_new(worker->base, open_files_max());
    worker->resume = evtimer_new(worker->base, on_resume, worker);
    if (worker->mailbox != NULL)
        worker->disk = disk_port_new(options->disk, worker->mailbox);
    if (worker->loop != NULL && worker->mailbox != NULL && worker->resume != NULL &&
        worker->open_files != NULL && worker->disk != NULL)
        return worker;

free_worker:
    worker_free(worker);
    errno = ENOMEM;
    return NULL;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    disk_port_close(worker->disk);
    mailbox_free(worker->mailbox);
    open_files_free(worker->open_files);
    if (worker->resume != NULL)
        event_free(worker->resume);
    loop_free(worker->loop);
    if (worker->base != NULL)
        event_base_free(worker->base);
    for (size_t i = 0; i < WORKER_RESERVE_COUNT; i++)
        if (worker->reserves[i] != -1)
            close(worker->reserves[i]);
    generation_unref(worker->generation);
    free(worker);
}

/* --- The thread --- */

/* at_once: all of them, whatever waits; else admin's stays, and those who wait are let in. */
static void forget_listeners(struct worker *worker, bool at_once)
{
    struct listener *listener, *next;

    for (listener = TAILQ_FIRST(&worker->listeners); listener != NULL; listener = next) {
        next = TAILQ_NEXT(listener, link);
        if (listener->runtime->is_admin && !at_once)
            continue;
        TAILQ_REMOVE(&worker->listeners, listener, link);
        listener_stop(listener, !at_once);
        free(listener);
    }
}

static _Thread_local struct worker *self;

struct worker *worker_self(void)
{
    return self;
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct conn *conn, *next;
    char name[16];

    self = worker;
    snprintf(name, sizeof(name), "sluice-w%u", worker->options.index);
    pthread_setname_np(pthread_self(), name);
    event_base_dispatch(worker->base);
    worker->draining = worker->drained_told = true;
    forget_listeners(worker, true);
    for (conn = TAILQ_FIRST(&worker->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        conn_stop(conn);
    }
    disk_port_close(worker->disk);
    worker->disk = NULL;
    mailbox_close(worker->mailbox);
    return NULL;
}

int worker_start(struct worker *worker)
{
    const int error = pthread_create(&worker->thread, NULL, worker_main, worker);

    if (error != 0) {
        errno = error;
        return -1;
    }
    worker->has_thread = true;
    return 0;
}

static void on_stop(void *owner, void *arg)
{
    struct worker *worker = owner;

    (void)arg;
    event_base_loopbreak(worker->base);
}

void worker_stop(struct worker *worker)
{
    /* Refused only for want of memory: asked again, since nothing else ends the thread. */
    while (worker->has_thread && !mailbox_post(worker->mailbox, on_stop, NULL))
        usleep(1000);
}

void worker_join(struct worker *worker)
{
    if (worker->has_thread)
        pthread_join(worker->thread, NULL);
    worker->has_thread = false;
}

/* --- Messages --- */

struct call {
    worker_fn *fn;
    void *arg;
};

static void on_call(void *owner, void *arg)
{
    const struct call call = *(struct call *)arg;

    free(arg);
    call.fn(owner, call.arg);
}

bool worker_post(struct worker *worker, worker_fn *fn, void *arg)
{
    struct call *call = malloc(sizeof(*call));

    if (call == NULL)
        return false;
    *call = (struct call){.fn = fn, .arg = arg};
    if (mailbox_post(worker->mailbox, on_call, call))
        return true;
    free(call);
    return false;
}

unsigned worker_index(const struct worker *worker)
{
    return worker->options.index;
}

struct server *worker_server(const struct worker *worker)
{
    return worker->options.server;
}

struct loop *worker_loop(const struct worker *worker)
{
    return worker->loop;
}

const struct generation *worker_generation(const struct worker *worker)
{
    return worker->generation;
}

struct generation *worker_generation_pinned(struct worker *worker)
{
    return worker->generation;
}

struct log *worker_log(const struct worker *worker)
{
    return worker->options.log;
}

/* --- Connections --- */

void worker_each_conn(struct worker *worker, void (*each)(void *arg, const struct conn *conn), void *arg)
{
    const struct conn *conn;

    TAILQ_FOREACH(conn, &worker->conns, link)
    each(arg, conn);
}

static void check_drained(struct worker *worker)
{
    if (!worker->draining || worker->drained_told || worker->served != 0)
        return;
    worker->drained_told = true;
    server_on_drained(worker->options.server);
}

void worker_add_conn(struct worker *worker, struct conn *conn)
{
    TAILQ_INSERT_TAIL(&worker->conns, conn, link);
    worker->served += !conn_is_admin(conn);
}

void worker_remove_conn(struct worker *worker, struct conn *conn)
{
    TAILQ_REMOVE(&worker->conns, conn, link);
    worker->served -= !conn_is_admin(conn);
    for (size_t i = 0; i < WORKER_RESERVE_COUNT; i++)
        if (worker->reserves[i] == -1)
            worker->reserves[i] = open_reserve();
    if (worker->paused)
        on_resume(-1, 0, worker);
    check_drained(worker);
}

/* --- Descriptors running out --- */

bool worker_free_reserve(struct worker *worker, enum worker_reserve reserve)
{
    if (worker->reserves[reserve] == -1)
        return false;
    close(worker->reserves[reserve]);
    worker->reserves[reserve] = -1;
    return true;
}

struct open_files *worker_open_files(struct worker *worker)
{
    return worker->open_files;
}

struct disk_port *worker_disk(struct worker *worker)
{
    return worker->disk;
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct listener *listener;

    (void)fd;
    (void)what;
    worker->paused = false;
    event_del(worker->resume);
    for (size_t i = 0; i < WORKER_RESERVE_COUNT; i++)
        if (worker->reserves[i] == -1)
            worker->reserves[i] = open_reserve();
    TAILQ_FOREACH(listener, &worker->listeners, link)
    listener_resume(listener);
}

void worker_pause_accepting(struct worker *worker, const char *why)
{
    const struct timeval delay = {.tv_usec = WORKER_PAUSE_MS * 1000L};
    const uint64_t now = loop_now_ms();
    struct listener *listener;

    if (worker->paused)
        return;
    worker->paused = true;
    TAILQ_FOREACH(listener, &worker->listeners, link)
    if (!listener->runtime->is_admin)
        listener_pause(listener);
    evtimer_add(worker->resume, &delay);
    if (worker->pause_noted_ms != 0 && now < worker->pause_noted_ms + WORKER_PAUSE_NOTE_MS)
        return;
    worker->pause_noted_ms = now;
    server_note(worker->options.server, "accepting paused, and again whenever this happens: %s", why);
}

/* --- Draining --- */

void worker_drain(struct worker *worker)
{
    struct conn *conn, *next;

    worker->draining = true;
    forget_listeners(worker, false);
    for (conn = TAILQ_FIRST(&worker->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        conn_drain(conn);
    }
    check_drained(worker);
}

bool worker_draining(const struct worker *worker)
{
    return worker->draining;
}
