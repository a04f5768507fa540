/* See capture.h. Refuses to know connections and directions. */
#include "proxy/filters/capture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/errlog.h"

/* What may wait for the disk: about 40 ms of a gigabyte a second. Twice this, since one half is being
 * written.
 */
#define CAPTURE_BUFFER_SIZE (4u << 20)

static _Atomic uint64_t dropped_by_all;

/* Captures let go of whose threads are not at their end yet. */
static pthread_mutex_t ending_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ending_less = PTHREAD_COND_INITIALIZER;
static unsigned ending;

struct capture {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wakeup;
    uint8_t *filling, *writing; /* filling: under mutex */
    size_t filled;
    uint64_t size, max_size; /* of the file, with what waits */
    uint64_t received, dropped;
    bool stopping, full;
    int fd;
    char *path;
};

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Whole blocks in as few calls as can be. 0, or the errno. */
static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(fd, data, size);

        if (n == -1 && errno != EINTR)
            return errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static void write_counts(struct capture *capture)
{
    uint8_t block[PCAPNG_START_MAX];

    (void)write_all(capture->fd, block, pcapng_drops(block, now_us(), capture->received, capture->dropped));
}

static void release(struct capture *capture)
{
    pthread_cond_destroy(&capture->wakeup);
    pthread_mutex_destroy(&capture->mutex);
    free(capture->writing);
    free(capture->filling);
    free(capture->path);
    free(capture);
}

static void finish(struct capture *capture)
{
    write_counts(capture);
    close(capture->fd);
    release(capture);
    pthread_mutex_lock(&ending_mutex);
    ending--;
    pthread_cond_broadcast(&ending_less);
    pthread_mutex_unlock(&ending_mutex);
}

static void *capture_main(void *arg)
{
    struct capture *capture = arg;
    bool stopping, complained = false;

    pthread_setname_np(pthread_self(), "sluice-capture");
    do {
        uint8_t *data;
        size_t size;
        int error;

        pthread_mutex_lock(&capture->mutex);
        while (capture->filled == 0 && !capture->stopping)
            pthread_cond_wait(&capture->wakeup, &capture->mutex);
        data = capture->filling;
        size = capture->filled;
        capture->filling = capture->writing;
        capture->writing = data;
        capture->filled = 0;
        stopping = capture->stopping;
        pthread_mutex_unlock(&capture->mutex);
        error = write_all(capture->fd, data, size);
        if (error != 0 && !complained)
            errlog("capture: can't write to %s: %s; packets are missing in it", capture->path,
                   strerror(error));
        complained = complained || error != 0;
    } while (!stopping);
    finish(capture);
    return NULL;
}

static bool start(struct capture *capture)
{
    struct stat status;

    if (fstat(capture->fd, &status) == 0 && S_ISREG(status.st_mode))
        capture->size = (uint64_t)status.st_size;
    capture->filled = pcapng_start(capture->filling);
    capture->size += capture->filled;
    errno = pthread_create(&capture->thread, NULL, capture_main, capture);
    return errno == 0;
}

struct capture *capture_new(int fd, const char *path, uint64_t max_size)
{
    struct capture *capture = calloc(1, sizeof(*capture));

    if (capture == NULL)
        return NULL;
    capture->fd = fd;
    capture->max_size = max_size;
    capture->path = strdup(path);
    capture->filling = malloc(CAPTURE_BUFFER_SIZE);
    capture->writing = malloc(CAPTURE_BUFFER_SIZE);
    pthread_mutex_init(&capture->mutex, NULL);
    pthread_cond_init(&capture->wakeup, NULL);
    if (capture->path != NULL && capture->filling != NULL && capture->writing != NULL && start(capture))
        return capture;
    release(capture);
    return NULL;
}

void capture_free(struct capture *capture)
{
    if (capture == NULL)
        return;
    pthread_mutex_lock(&ending_mutex);
    ending++;
    pthread_mutex_unlock(&ending_mutex);
    pthread_detach(capture->thread);
    pthread_mutex_lock(&capture->mutex);
    capture->stopping = true;
    pthread_cond_signal(&capture->wakeup);
    pthread_mutex_unlock(&capture->mutex);
}

void capture_flush_all(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CAPTURE_FLUSH_MS / 1000;
    pthread_mutex_lock(&ending_mutex);
    while (ending != 0 && pthread_cond_timedwait(&ending_less, &ending_mutex, &until) == 0)
        continue;
    pthread_mutex_unlock(&ending_mutex);
}

bool capture_add(struct capture *capture, const struct pcapng_packet *packet)
{
    bool fits, open;

    pthread_mutex_lock(&capture->mutex);
    capture->received++;
    capture->full =
        capture->full || capture->size + packet->payload_size + PCAPNG_START_MAX > capture->max_size;
    open = !capture->full;
    fits = open && CAPTURE_BUFFER_SIZE - capture->filled >= PCAPNG_PACKET_MAX;
    if (fits) {
        const size_t n = pcapng_packet(capture->filling + capture->filled, packet);

        if (capture->filled == 0)
            pthread_cond_signal(&capture->wakeup);
        capture->filled += n;
        capture->size += n;
    } else {
        capture->dropped++;
        atomic_fetch_add_explicit(&dropped_by_all, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&capture->mutex);
    return open;
}

uint64_t capture_dropped(void)
{
    return atomic_load_explicit(&dropped_by_all, memory_order_relaxed);
}
