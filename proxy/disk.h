/* Threads that wait for disks in the workers' stead: a job is worked on by one of them, then its end is told
 * on the thread of the worker that asked. Refuses to know what a job does. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

struct disk;
struct disk_port;
struct mailbox;

/* Embed it; set the functions. From disk_submit() on it belongs to the pool until done or drop is called. */
struct disk_job {
    void (*work)(struct disk_job *job); /* on a thread of the pool: may wait */
    void (*done)(struct disk_job *job); /* on the worker's thread, after work */
    void (*drop)(struct disk_job *job); /* instead of done, after disk_cancel(); work may not have run */

    /* The pool's own. */
    STAILQ_ENTRY(disk_job) link;
    struct disk_port *port;
    _Atomic bool cancelled;
};

/* NULL and errno on failure. The threads start with disk_start(). */
struct disk *disk_new(void);
/* threads: at least 1. 0, or -1 and errno. */
int disk_start(struct disk *disk, unsigned threads) __attribute__((warn_unused_result));
/* Ends the threads. Every port is closed. A thread that still waits for a disk after DISK_STOP_MS is left to
 * the end of the process, and what it needs with it. NULL: nothing. */
void disk_free(struct disk *disk);
#define DISK_STOP_MS 1000

/* Jobs worked on or waiting, and all that were ever submitted. Any thread. */
unsigned long disk_jobs_total(const struct disk *disk);

/* A worker's access to the pool: its jobs' ends come by its mailbox (borrowed until disk_port_close()).
 * NULL: out of memory. */
struct disk_port *disk_port_new(struct disk *disk, struct mailbox *mailbox);
/* On the worker's thread, before its mailbox is closed: every job was cancelled. The port's memory goes with
 * its last job. NULL: nothing. */
void disk_port_close(struct disk_port *port);

/* On the worker's thread. */
void disk_submit(struct disk_port *port, struct disk_job *job);
/* done will not run; drop will, on any thread, now or later. */
void disk_cancel(struct disk_job *job);
/* For work that takes many steps: whether the rest is in vain. */
bool disk_is_cancelled(const struct disk_job *job);
