/* The access log: records go through a bounded queue to a thread of their own, which renders and writes them,
 * one a line. What doesn't fit is dropped and counted: service never waits for a log.
 * Refuses to know connections and configuration. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;
struct report;

enum log_target { LOG_OFF, LOG_STDERR, LOG_STDOUT, LOG_FILE };
enum log_format { LOG_JSON, LOG_COMBINED };

/* Where lines go, and how they are written. */
struct log_sink {
    enum log_target target;
    enum log_format format;
    int fd;           /* from log_open_target() */
    const char *path; /* of LOG_FILE, for log_reopen() */
};

/* Records that may wait. Each is about 2 KiB and as many may be with the thread, so 32 MiB at worst. */
#define LOG_QUEUE_MAX 8192u

/* queue_max 0: LOG_QUEUE_MAX. Off, no thread yet. NULL and errno on failure. */
struct log *log_new(size_t queue_max);
/* Starts the thread. 0, or -1 and errno. */
int log_start(struct log *log) __attribute__((warn_unused_result));

/* Opens what a later log_switch() changes to: a descriptor for LOG_FILE (created 0640, given to uid and gid
 * if it is new and uid isn't -1), else -2. -1 and errno: can't be opened. */
int log_open_target(enum log_target target, const char *path, unsigned uid, unsigned gid)
    __attribute__((warn_unused_result));
/* Records posted from now on go there; those waiting still go to the old one, in its format. sink->fd is
 * taken, path copied. Owner's thread. -1: out of memory, nothing changed, fd closed. */
int log_switch(struct log *log, const struct log_sink *sink) __attribute__((warn_unused_result));
/* The thread opens the path again (SIGUSR1, after a rotation); if it can't, it goes on with the old file and
 * says so on stderr. */
void log_reopen(struct log *log);

/* Any thread; never blocks. The report is copied. */
void log_post(struct log *log, const struct report *report);

/* Any thread. dropped: the queue was full, or writing failed. */
uint64_t log_dropped(const struct log *log);
uint64_t log_written(const struct log *log);

/* Writes what waits, for at most LOG_FLUSH_MS, and ends the thread. NULL: nothing. */
void log_free(struct log *log);
#define LOG_FLUSH_MS 2000
