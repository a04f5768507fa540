/* See log.h. Refuses to know connections and configuration. */
#include "proxy/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/errlog.h"
#include "proxy/report.h"
#include "proxy/report_combined.h"
#include "proxy/report_json.h"

/* Lines are gathered while the queue lasts and written at once. */
#define LOG_BUFFER_SIZE (128u << 10)
#define LOG_NO_FD (-2)
/* After a batch the thread gathers for so long before it looks again. A wake-up for each record would cost as
 * much as the response that it tells of: 8.2 system calls a request instead of 4.2, at 1 KiB files. */
#define LOG_GATHER_MS 20

enum item_kind { ITEM_REPORT, ITEM_SWITCH, ITEM_REOPEN };

struct item {
    STAILQ_ENTRY(item) link;
    enum item_kind kind;
    struct log_sink sink; /* SWITCH */
    char *path;           /* its own copy of sink.path */
    struct report report; /* REPORT */
};
STAILQ_HEAD(item_list, item);

struct log {
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex;
    pthread_cond_t wakeup;
    struct item_list queue; /* under mutex, as the next two */
    size_t waiting, queue_max;
    bool stopping;
    bool asleep;         /* the thread waits for the first item; else it comes by itself */
    _Atomic bool wanted; /* target isn't OFF: cheap to ask before a record is copied */
    _Atomic uint64_t dropped, written;
    _Atomic uint64_t flush_until_ms; /* 0 while running */

    /* The thread's own. */
    enum log_target target;
    enum log_format format;
    int fd;
    bool owns_fd, in_chunks, complained;
    char *path;
    char *buffer;
    size_t used, lines;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct log *log_new(size_t queue_max)
{
    struct log *log = calloc(1, sizeof(*log));
    pthread_condattr_t clock;

    if (log == NULL)
        return NULL;
    log->buffer = malloc(LOG_BUFFER_SIZE);
    if (log->buffer == NULL) {
        free(log);
        return NULL;
    }
    pthread_mutex_init(&log->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&log->wakeup, &clock);
    pthread_condattr_destroy(&clock);
    STAILQ_INIT(&log->queue);
    log->queue_max = queue_max != 0 ? queue_max : LOG_QUEUE_MAX;
    log->fd = -1;
    return log;
}

/* --- The thread --- */

/* A pipe or terminal that nobody empties must not hold up the end of the process: so it is asked first, and
 * gets no more than it promises to take without blocking. */
static bool wait_writable(struct log *log)
{
    struct pollfd wanted = {.fd = log->fd, .events = POLLOUT};
    uint64_t until;

    for (;;) {
        const int ready = poll(&wanted, 1, 100);

        if (ready == 1 || (ready == -1 && errno != EINTR))
            return true;
        until = atomic_load_explicit(&log->flush_until_ms, memory_order_relaxed);
        if (until != 0 && now_ms() >= until)
            return false;
    }
}

static bool write_all(struct log *log, const char *data, size_t size)
{
    while (size > 0) {
        const size_t most = log->in_chunks && size > PIPE_BUF ? PIPE_BUF : size;
        ssize_t n;

        if (!wait_writable(log)) {
            errno = ETIMEDOUT;
            return false;
        }
        n = write(log->fd, data, most);
        if (n == -1 && errno != EINTR && errno != EAGAIN)
            return false;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return true;
}

static void flush_lines(struct log *log)
{
    if (log->lines == 0)
        return;
    if (log->fd != -1 && write_all(log, log->buffer, log->used)) {
        atomic_fetch_add_explicit(&log->written, log->lines, memory_order_relaxed);
        log->complained = false;
    } else {
        atomic_fetch_add_explicit(&log->dropped, log->lines, memory_order_relaxed);
        if (!log->complained && log->target == LOG_FILE)
            errlog("access log: can't write to %s: %s; lines are dropped and counted", log->path,
                   strerror(errno));
        log->complained = true;
    }
    log->used = log->lines = 0;
}

/* There is room for `size` more bytes in the buffer. */
static void reserve(struct log *log, size_t size)
{
    if (log->used + size > LOG_BUFFER_SIZE)
        flush_lines(log);
}

/* A record that couldn't be written has no line. */
static void end_line(struct log *log, size_t length)
{
    if (length == 0) {
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
        return;
    }
    log->used += length;
    log->buffer[log->used++] = '\n';
    log->lines++;
}

static void write_json(struct log *log, const struct report *report)
{
    reserve(log, REPORT_JSON_MAX + 1);
    end_line(log, report_write_json(report, log->buffer + log->used));
}

static void write_combined(struct log *log, const struct report *report)
{
    reserve(log, REPORT_COMBINED_MAX + 1);
    end_line(log, report_write_combined(report, log->buffer + log->used));
}

static void write_report(struct log *log, const struct report *report)
{
    switch (log->format) {
    case LOG_JSON:
        write_json(log, report);
        break;
    case LOG_COMBINED:
        write_combined(log, report);
        break;
    }
}

static void use_fd(struct log *log, int fd, bool owned)
{
    struct stat status;

    if (log->owns_fd)
        close(log->fd);
    log->fd = fd;
    log->owns_fd = owned;
    log->complained = false;
    log->in_chunks = fd == -1 || fstat(fd, &status) == -1 || !S_ISREG(status.st_mode);
}

static void run_switch(struct log *log, struct item *item)
{
    flush_lines(log);
    log->target = item->sink.target;
    log->format = item->sink.format;
    free(log->path);
    log->path = item->path;
    item->path = NULL;
    if (log->target == LOG_FILE)
        use_fd(log, item->sink.fd, true);
    else
        use_fd(log,
               log->target == LOG_STDERR   ? STDERR_FILENO
               : log->target == LOG_STDOUT ? STDOUT_FILENO
                                           : -1,
               false);
    item->sink.fd = LOG_NO_FD;
}

static void run_reopen(struct log *log)
{
    int fd;

    flush_lines(log);
    if (log->target != LOG_FILE)
        return;
    fd = log_open_target(LOG_FILE, log->path, (unsigned)-1, (unsigned)-1);
    if (fd == -1)
        errlog("access log: can't reopen %s: %s; the old file is used on", log->path, strerror(errno));
    else
        use_fd(log, fd, true);
}

static void item_free(struct item *item)
{
    if (item->kind == ITEM_SWITCH && item->sink.fd >= 0)
        close(item->sink.fd);
    free(item->path);
    free(item);
}

static void run_items(struct log *log, struct item_list *items)
{
    struct item *item;

    while ((item = STAILQ_FIRST(items)) != NULL) {
        STAILQ_REMOVE_HEAD(items, link);
        if (item->kind == ITEM_REPORT)
            write_report(log, &item->report);
        else if (item->kind == ITEM_SWITCH)
            run_switch(log, item);
        else
            run_reopen(log);
        item_free(item);
    }
}

/* With the mutex: until there is something, or the end. */
static void sleep_until_first(struct log *log)
{
    log->asleep = true;
    while (STAILQ_EMPTY(&log->queue) && !log->stopping)
        pthread_cond_wait(&log->wakeup, &log->mutex);
    log->asleep = false;
}

/* With the mutex: for LOG_GATHER_MS, unless the queue runs full. */
static void gather(struct log *log)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOG_GATHER_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (log->waiting < log->queue_max / 2 && !log->stopping &&
           pthread_cond_timedwait(&log->wakeup, &log->mutex, &until) != ETIMEDOUT) {
    }
}

static void *log_main(void *arg)
{
    struct log *log = arg;
    struct item_list batch = STAILQ_HEAD_INITIALIZER(batch);
    bool stopping;

    pthread_setname_np(pthread_self(), "sluice-log");
    do {
        pthread_mutex_lock(&log->mutex);
        sleep_until_first(log);
        STAILQ_CONCAT(&batch, &log->queue);
        log->waiting = 0;
        stopping = log->stopping;
        pthread_mutex_unlock(&log->mutex);
        run_items(log, &batch);
        flush_lines(log);
        pthread_mutex_lock(&log->mutex);
        gather(log);
        pthread_mutex_unlock(&log->mutex);
    } while (!stopping);
    return NULL;
}

/* --- Everyone else --- */

int log_start(struct log *log)
{
    const int error = pthread_create(&log->thread, NULL, log_main, log);

    if (error != 0) {
        errno = error;
        return -1;
    }
    log->has_thread = true;
    return 0;
}

/* false: full; only reports can be refused. */
static bool enqueue(struct log *log, struct item *item)
{
    bool taken, wake;

    pthread_mutex_lock(&log->mutex);
    taken = item->kind != ITEM_REPORT || log->waiting < log->queue_max;
    if (taken) {
        STAILQ_INSERT_TAIL(&log->queue, item, link);
        log->waiting += item->kind == ITEM_REPORT;
    }
    wake = log->asleep || log->waiting == log->queue_max / 2;
    log->asleep = false; /* once is enough */
    if (wake)
        pthread_cond_signal(&log->wakeup);
    pthread_mutex_unlock(&log->mutex);
    return taken;
}

int log_open_target(enum log_target target, const char *path, unsigned uid, unsigned gid)
{
    /* O_NONBLOCK: a FIFO that nobody reads must not hold up the start, nor the log's thread for ever. */
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd, saved;

    if (target != LOG_FILE)
        return LOG_NO_FD;
    fd = open(path, flags);
    if (fd != -1 || errno != ENOENT)
        return fd;
    fd = open(path, flags | O_CREAT, 0640);
    if (fd != -1 && uid != (unsigned)-1 && fchown(fd, uid, gid) == -1) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int log_switch(struct log *log, const struct log_sink *sink)
{
    struct item *item = calloc(1, sizeof(*item));

    if (item != NULL && sink->path != NULL) {
        item->path = strdup(sink->path);
        if (item->path == NULL) {
            free(item);
            item = NULL;
        }
    }
    if (item == NULL) {
        if (sink->fd >= 0)
            close(sink->fd);
        errno = ENOMEM;
        return -1;
    }
    item->kind = ITEM_SWITCH;
    item->sink = *sink;
    (void)enqueue(log, item);
    atomic_store_explicit(&log->wanted, sink->target != LOG_OFF, memory_order_relaxed);
    return 0;
}

void log_reopen(struct log *log)
{
    struct item *item = calloc(1, sizeof(*item));

    if (item == NULL) {
        errlog("access log: not reopened: %s", strerror(ENOMEM));
        return;
    }
    item->kind = ITEM_REOPEN;
    (void)enqueue(log, item);
}

void log_post(struct log *log, const struct report *report)
{
    struct item *item;

    if (!atomic_load_explicit(&log->wanted, memory_order_relaxed))
        return;
    item = malloc(sizeof(*item));
    if (item != NULL) {
        item->kind = ITEM_REPORT;
        item->path = NULL;
        item->report = *report;
        if (enqueue(log, item))
            return;
        free(item);
    }
    atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
}

uint64_t log_dropped(const struct log *log)
{
    return atomic_load_explicit(&log->dropped, memory_order_relaxed);
}

uint64_t log_written(const struct log *log)
{
    return atomic_load_explicit(&log->written, memory_order_relaxed);
}

void log_free(struct log *log)
{
    if (log == NULL)
        return;
    atomic_store_explicit(&log->flush_until_ms, now_ms() + LOG_FLUSH_MS, memory_order_relaxed);
    pthread_mutex_lock(&log->mutex);
    log->stopping = true;
    pthread_cond_signal(&log->wakeup);
    pthread_mutex_unlock(&log->mutex);
    if (log->has_thread)
        pthread_join(log->thread, NULL);
    while (!STAILQ_EMPTY(&log->queue)) {
        struct item *item = STAILQ_FIRST(&log->queue);

        STAILQ_REMOVE_HEAD(&log->queue, link);
        item_free(item);
    }
    if (log->owns_fd)
        close(log->fd);
    pthread_cond_destroy(&log->wakeup);
    pthread_mutex_destroy(&log->mutex);
    free(log->path);
    free(log->buffer);
    free(log);
}
