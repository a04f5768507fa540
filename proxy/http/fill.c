/* Asks the page cache, and lets a disk thread read what isn't there. What was read for a flow counts as there
 * even if memory is so short that it is gone again: otherwise a flow might never go on.
 * Refuses to know what sends the bytes. */
#include "proxy/http/fill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy/disk.h"
#include "relay/loop.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* Linux 6.5; the same number on every architecture */
#endif

/* Without cachestat() one byte in each of these is asked for (kernel.md 2). */
#define PROBE_STEP (128u << 10)
/* Looked at together, for so long: a client that drains its buffer bit by bit moves the range asked for on at
 * each call, and asking each time was half of a file's system calls. */
#define LOOK_AHEAD (8u << 20)
#define LOOK_VALID_MS 1000
/* Read ahead behind what is waited for, so that a client that reads on need not wait again. */
#define READ_AHEAD (4u << 20)

struct fill_job {
    struct disk_job job;    /* first */
    struct http_fill *fill; /* the worker's; not to be touched once cancelled */
    int fd;                 /* its own */
    uint64_t offset;
    size_t length;
};

/* Whether this byte can be read without waiting. Past the end of the file there is nothing to wait for. An
 * EAGAIN starts the kernel's read-ahead. Some file systems never tell (EOPNOTSUPP): a miss. */
static bool has_byte(int fd, uint64_t offset)
{
    char byte;
    return preadv2(fd, &(struct iovec){&byte, 1}, 1, (off_t)offset, RWF_NOWAIT) != -1;
}

/* 1: all pages are there (some may still be under way), 0: not all, -1: can't tell (kernels before 6.5, files
 * of other users). */
static int has_pages(int fd, uint64_t offset, size_t length)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const struct {
        uint64_t offset, length;
    } range = {offset, length};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } found;
    if (syscall(SYS_cachestat, fd, &range, &found, 0) == -1)
        return -1;
    return found.cached >= (offset + length - 1) / page - offset / page + 1;
}

/* A page is asked for by its byte. Of more the kernel is asked without its starting to read: what is missing
 * is read by a thread then, all at once. */
static bool is_cached(int fd, uint64_t offset, size_t length)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), last = offset + length - 1;
    int pages;
    if (offset / page == last / page)
        return has_byte(fd, offset);
    pages = has_pages(fd, offset, length);
    if (pages != -1)
        return pages == 1 && has_byte(fd, offset) && has_byte(fd, last);
    for (uint64_t at = offset; at < last; at += PROBE_STEP)
        if (!has_byte(fd, at))
            return false;
    return has_byte(fd, last);
}

static void work(struct disk_job *job)
{
    struct fill_job *read = (struct fill_job *)job;
    off_t at = (off_t)read->offset;
    size_t left = read->length;
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)posix_fadvise(read->fd, at, (off_t)(left + READ_AHEAD), POSIX_FADV_WILLNEED);
    while (nowhere != -1 && left > 0) {
        const ssize_t n = sendfile(nowhere, read->fd, &at, left);
        if (n > 0)
            left -= (size_t)n;
        else if (n == 0 || errno != EINTR)
            break; /* an error, or a file cut short: whoever sends it is told the same */
    }
    if (nowhere != -1)
        close(nowhere);
}

static void job_free(struct disk_job *job)
{
    struct fill_job *read = (struct fill_job *)job;
    close(read->fd);
    free(read);
}

static void done(struct disk_job *job)
{
    struct http_fill *fill = ((struct fill_job *)job)->fill;
    fill->job = NULL;
    fill->from = ((struct fill_job *)job)->offset;
    fill->to = fill->wanted_to;
    fill->looked_ms = 0;
    job_free(job);
    fill->on_filled(fill->arg);
}

/* false: it can't be left to a thread; the worker must read itself. */
static bool submit(struct http_fill *fill, uint64_t offset, size_t length)
{
    struct fill_job *read = malloc(sizeof(*read));
    if (!read)
        return false;
    *read = (struct fill_job){.job = {.work = work, .done = done, .drop = job_free},
                              .fill = fill,
                              .fd = fcntl(fill->fd, F_DUPFD_CLOEXEC, 0),
                              .offset = offset,
                              .length = length};
    if (read->fd == -1) {
        free(read);
        return false;
    }
    fill->wanted_to = offset + length;
    fill->job = &read->job;
    disk_submit(fill->disk, &read->job);
    return true;
}

/* Further than asked for, if all of that is there: it is not looked at again for a while. */
static bool look(struct http_fill *fill, uint64_t offset, size_t length)
{
    const uint64_t left = fill->end > offset ? fill->end - offset : 0;
    const size_t far = left < LOOK_AHEAD ? (size_t)left : LOOK_AHEAD;
    size_t there = 0;
    if (far > length && !fill->patchy && is_cached(fill->fd, offset, far))
        there = far;
    else if (is_cached(fill->fd, offset, length))
        there = length;
    fill->patchy = far > length && there != far;
    if (there == 0)
        return false;
    fill->from = offset;
    fill->to = offset + there;
    fill->looked_ms = loop_now_ms();
    return true;
}

static bool is_known(const struct http_fill *fill, uint64_t offset, size_t length)
{
    return offset >= fill->from && offset + length <= fill->to &&
           (fill->looked_ms == 0 || loop_now_ms() - fill->looked_ms < LOOK_VALID_MS);
}

void http_fill_init(struct http_fill *fill, const struct http_fill_options *options)
{
    *fill = (struct http_fill){.disk = options->disk,
                               .fd = options->fd,
                               .end = options->end,
                               .on_filled = options->on_filled,
                               .arg = options->arg};
}

bool http_fill_ready(void *arg, uint64_t offset, size_t length)
{
    struct http_fill *fill = arg;
    if (fill->job)
        return false;
    return is_known(fill, offset, length) || look(fill, offset, length) || !submit(fill, offset, length);
}

void http_fill_stop(struct http_fill *fill)
{
    if (fill->job)
        disk_cancel(fill->job);
    fill->job = NULL;
}
