/* See opener.h. Refuses to know what files are for. */
#include "proxy/http/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proxy/disk.h"

static void open_direct(void *arg, struct http_opening *opening)
{
    (void)arg;
    struct stat stat;
    int fd;
    const int error = beneath_open(&opening->what, &fd, &stat);
    opening->on_opened(opening, error, fd, &stat);
}

const struct http_opener http_opener_direct = {.open = open_direct};

/* --- By a thread that may wait --- */

struct open_job {
    struct disk_job job;          /* first */
    struct http_opening *opening; /* the worker's; not to be touched once cancelled */
    struct beneath what;          /* root_fd is its own: a reload may close the root while the job waits */
    int fd, error;
    struct stat stat;
    char path[];
};

static void job_free(struct open_job *open)
{
    close(open->what.root_fd);
    free(open);
}

static void work(struct disk_job *job)
{
    struct open_job *open = (struct open_job *)job;
    open->error = beneath_open(&open->what, &open->fd, &open->stat);
}

static void done(struct disk_job *job)
{
    struct open_job *open = (struct open_job *)job;
    struct http_opening *opening = open->opening;
    const int error = open->error, fd = open->fd;
    const struct stat stat = open->stat;
    job_free(open);
    opening->job = NULL;
    opening->on_opened(opening, error, fd, &stat);
}

static void drop(struct disk_job *job)
{
    struct open_job *open = (struct open_job *)job;
    if (open->fd != -1)
        close(open->fd);
    job_free(open);
}

static void submit(struct http_opening *opening)
{
    const size_t size = strlen(opening->what.path) + 1;
    struct open_job *open = malloc(sizeof(*open) + size);
    if (!open) {
        opening->on_opened(opening, ENOMEM, -1, NULL);
        return;
    }
    *open = (struct open_job){.job = {.work = work, .done = done, .drop = drop},
                              .opening = opening,
                              .what = opening->what,
                              .fd = -1};
    memcpy(open->path, opening->what.path, size);
    open->what.path = open->path;
    open->what.root_fd = fcntl(opening->what.root_fd, F_DUPFD_CLOEXEC, 0);
    if (open->what.root_fd == -1) {
        const int error = errno;
        free(open);
        opening->on_opened(opening, error, -1, NULL);
        return;
    }
    opening->job = &open->job;
    disk_submit(opening->disk, &open->job);
}

static void open_disk(void *arg, struct http_opening *opening)
{
    struct stat stat;
    int fd;
    if (!opening->disk) {
        open_direct(arg, opening);
        return;
    }
    const int error = opening->is_local ? beneath_open_cached(&opening->what, &fd, &stat) : EAGAIN;
    if (error == EAGAIN)
        submit(opening);
    else
        opening->on_opened(opening, error, fd, &stat);
}

static void cancel_disk(void *arg, struct http_opening *opening)
{
    (void)arg;
    if (opening->job)
        disk_cancel(opening->job);
    opening->job = NULL;
}

const struct http_opener http_opener_disk = {.open = open_disk, .cancel = cancel_disk};

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#ifndef ZFS_SUPER_MAGIC
#define ZFS_SUPER_MAGIC 0x2fc12fc1
#endif

enum http_root_kind http_root_kind(int root_fd)
{
    static const long magics[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,     BTRFS_SUPER_MAGIC,
                                  F2FS_SUPER_MAGIC, ZFS_SUPER_MAGIC,     OVERLAYFS_SUPER_MAGIC,
                                  SQUASHFS_MAGIC,   EROFS_SUPER_MAGIC_V1};
    struct statfs info;
    if (fstatfs(root_fd, &info) == -1)
        return HTTP_ROOT_REMOTE;
    if ((long)info.f_type == TMPFS_MAGIC || (long)info.f_type == RAMFS_MAGIC)
        return HTTP_ROOT_MEMORY;
    for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++)
        if ((long)info.f_type == magics[i])
            return HTTP_ROOT_LOCAL;
    return HTTP_ROOT_REMOTE;
}
