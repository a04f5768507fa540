/* A queue, some threads, and a way back to each worker. Refuses to know what a job does. */
#include "proxy/disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proxy/mailbox.h"

STAILQ_HEAD(job_list, disk_job);

struct disk {
    pthread_mutex_t mutex;
    pthread_cond_t wakeup;
    struct job_list waiting; /* under mutex, as `stopping` */
    bool stopping;
    pthread_t *threads;
    unsigned thread_count;
    _Atomic unsigned long total;
};

struct disk_port {
    struct disk *disk;
    pthread_mutex_t mutex;
    struct mailbox *mailbox; /* under mutex; NULL: closed */
    _Atomic unsigned references;
};

/* --- Ports --- */

static void port_unref(struct disk_port *port)
{
    if (atomic_fetch_sub_explicit(&port->references, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&port->mutex);
    free(port);
}

struct disk_port *disk_port_new(struct disk *disk, struct mailbox *mailbox)
{
    struct disk_port *port = calloc(1, sizeof(*port));

    if (port == NULL)
        return NULL;
    port->disk = disk;
    port->mailbox = mailbox;
    pthread_mutex_init(&port->mutex, NULL);
    atomic_init(&port->references, 1);
    return port;
}

void disk_port_close(struct disk_port *port)
{
    if (port == NULL)
        return;
    pthread_mutex_lock(&port->mutex);
    port->mailbox = NULL;
    pthread_mutex_unlock(&port->mutex);
    port_unref(port);
}

static void on_end(void *owner, void *arg)
{
    struct disk_job *job = arg;
    struct disk_port *port = job->port;

    (void)owner;
    if (disk_is_cancelled(job))
        job->drop(job);
    else
        job->done(job);
    port_unref(port);
}

/* To the worker, or, if it has ended (and has cancelled the job before), to its grave. */
static void tell(struct disk_job *job)
{
    struct disk_port *port = job->port;
    bool told = false;

    while (!told) {
        pthread_mutex_lock(&port->mutex);
        if (port->mailbox == NULL) {
            pthread_mutex_unlock(&port->mutex);
            on_end(NULL, job);
            return;
        }
        told = mailbox_post(port->mailbox, on_end, job);
        pthread_mutex_unlock(&port->mutex);
        if (!told)
            usleep(1000); /* no memory: the connection waits for this */
    }
}

/* --- The pool --- */

static void *disk_main(void *arg)
{
    struct disk *disk = arg;

    pthread_setname_np(pthread_self(), "sluice-disk");
    for (;;) {
        struct disk_job *job;

        pthread_mutex_lock(&disk->mutex);
        while (STAILQ_EMPTY(&disk->waiting) && !disk->stopping)
            pthread_cond_wait(&disk->wakeup, &disk->mutex);
        job = STAILQ_FIRST(&disk->waiting);
        if (job != NULL)
            STAILQ_REMOVE_HEAD(&disk->waiting, link);
        pthread_mutex_unlock(&disk->mutex);
        if (job == NULL)
            return NULL;
        if (!disk_is_cancelled(job))
            job->work(job);
        tell(job);
    }
}

struct disk *disk_new(void)
{
    struct disk *disk = calloc(1, sizeof(*disk));

    if (disk == NULL)
        return NULL;
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_cond_init(&disk->wakeup, NULL);
    STAILQ_INIT(&disk->waiting);
    return disk;
}

int disk_start(struct disk *disk, unsigned threads)
{
    disk->threads = calloc(threads, sizeof(*disk->threads));
    if (disk->threads == NULL)
        return -1;
    for (; disk->thread_count < threads; disk->thread_count++) {
        const int error = pthread_create(&disk->threads[disk->thread_count], NULL, disk_main, disk);

        if (error != 0) {
            errno = error;
            return -1;
        }
    }
    return 0;
}

static bool join_all(struct disk *disk)
{
    struct timespec until;
    unsigned joined = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DISK_STOP_MS / 1000;
    for (unsigned i = 0; i < disk->thread_count; i++)
        joined += pthread_timedjoin_np(disk->threads[i], NULL, &until) == 0;
    return joined == disk->thread_count;
}

void disk_free(struct disk *disk)
{
    if (disk == NULL)
        return;
    pthread_mutex_lock(&disk->mutex);
    disk->stopping = true;
    pthread_cond_broadcast(&disk->wakeup);
    pthread_mutex_unlock(&disk->mutex);
    if (!join_all(disk))
        return;
    pthread_cond_destroy(&disk->wakeup);
    pthread_mutex_destroy(&disk->mutex);
    free(disk->threads);
    free(disk);
}

unsigned long disk_jobs_total(const struct disk *disk)
{
    return atomic_load_explicit(&disk->total, memory_order_relaxed);
}

void disk_submit(struct disk_port *port, struct disk_job *job)
{
    struct disk *disk = port->disk;

    job->port = port;
    atomic_init(&job->cancelled, false);
    atomic_fetch_add_explicit(&port->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&disk->total, 1, memory_order_relaxed);
    pthread_mutex_lock(&disk->mutex);
    STAILQ_INSERT_TAIL(&disk->waiting, job, link);
    pthread_cond_signal(&disk->wakeup);
    pthread_mutex_unlock(&disk->mutex);
}

void disk_cancel(struct disk_job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
}

bool disk_is_cancelled(const struct disk_job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}
