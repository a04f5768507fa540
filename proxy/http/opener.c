/* See opener.h. Refuses to know what files are for. */
#include "proxy/http/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proxy/disk.h"

/* EAGAIN from openat2 means that something was renamed during the look-up of a ".." inside a link. */
#define OPEN_RETRIES 8

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif

static int open_once(int root_fd, const char *path, uint64_t resolve)
{
    /* O_NONBLOCK: opening a fifo must not wait for its writer. O_NOCTTY: a terminal must not become ours. */
    const struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve};
    return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

static int open_beneath(int root_fd, const char *path)
{
    int fd = -1;
    for (int i = 0; i < OPEN_RETRIES; i++) {
        fd = open_once(root_fd, path, 0);
        if (fd != -1 || (errno != EINTR && errno != EAGAIN))
            break;
    }
    return fd;
}

/* Opens and asks what it is. The errno, 0: *fd and *stat are set. */
static int open_and_stat(int root_fd, const char *path, int *fd, struct stat *stat)
{
    int error;
    *fd = open_beneath(root_fd, path);
    if (*fd == -1)
        return errno;
    if (fstat(*fd, stat) == 0)
        return 0;
    error = errno;
    close(*fd);
    *fd = -1;
    return error;
}

static void open_direct(void *arg, struct http_opening *opening)
{
    (void)arg;
    struct stat stat;
    int fd, error = open_and_stat(opening->root_fd, opening->path, &fd, &stat);
    opening->on_opened(opening, error, fd, &stat);
}

const struct http_opener http_opener_direct = {.open = open_direct};

/* --- By a thread that may wait --- */

struct open_job {
    struct disk_job job;          /* first */
    struct http_opening *opening; /* the worker's; not to be touched once cancelled */
    int root_fd;                  /* its own: a reload may close the root while the job waits */
    int fd, error;
    struct stat stat;
    char path[];
};

static void job_free(struct open_job *open)
{
    close(open->root_fd);
    free(open);
}

static void work(struct disk_job *job)
{
    struct open_job *open = (struct open_job *)job;
    open->error = open_and_stat(open->root_fd, open->path, &open->fd, &open->stat);
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
    const size_t size = strlen(opening->path) + 1;
    struct open_job *open = malloc(sizeof(*open) + size);
    if (!open) {
        opening->on_opened(opening, ENOMEM, -1, NULL);
        return;
    }
    *open =
        (struct open_job){.job = {.work = work, .done = done, .drop = drop}, .opening = opening, .fd = -1};
    memcpy(open->path, opening->path, size);
    open->root_fd = fcntl(opening->root_fd, F_DUPFD_CLOEXEC, 0);
    if (open->root_fd == -1) {
        const int error = errno;
        free(open);
        opening->on_opened(opening, error, -1, NULL);
        return;
    }
    opening->job = &open->job;
    disk_submit(opening->disk, &open->job);
}

/* RESOLVE_CACHED: EAGAIN where a name would have to be read from the disk. What is mounted beneath the root
 * may be of any kind: EXDEV. Kernels before 5.12: EINVAL. */
static void open_disk(void *arg, struct http_opening *opening)
{
    struct stat stat;
    if (!opening->disk) {
        open_direct(arg, opening);
        return;
    }
    const int fd =
        opening->is_local ? open_once(opening->root_fd, opening->path, RESOLVE_CACHED | RESOLVE_NO_XDEV) : -1;
    if (fd == -1 && (!opening->is_local || (errno != ENOENT && errno != ENOTDIR && errno != EACCES &&
                                            errno != EMFILE && errno != ENFILE))) {
        submit(opening);
        return;
    }
    if (fd == -1)
        opening->on_opened(opening, errno, -1, NULL);
    else if (fstat(fd, &stat) == 0) /* its inode is in memory now */
        opening->on_opened(opening, 0, fd, &stat);
    else
        opening->on_opened(opening, (close(fd), errno), -1, NULL);
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
