/* See beneath.h: openat2() and what its errors mean. */
#include "proxy/http/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/http/link_walk.h"

/* EAGAIN from openat2 means that something was renamed during the look-up of a ".." inside a link. */
#define OPEN_RETRIES 8

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12 */
#endif

/* O_NONBLOCK: opening a fifo must not wait for its writer. O_NOCTTY: a terminal must not become ours. */
#define READING (O_RDONLY | O_NONBLOCK | O_NOCTTY)

static int open_once(int directory_fd, const char *path, int flags, unsigned long long resolve)
{
    const struct open_how how = {.flags = (unsigned long long)(flags | O_CLOEXEC),
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve};
    /* From the caches alone, EAGAIN says that they don't have it. */
    const int tries = (resolve & RESOLVE_CACHED) != 0 ? 1 : OPEN_RETRIES;
    int fd = -1;
    for (int i = 0; i < tries; i++) {
        fd = (int)syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
        if (fd != -1 || (errno != EINTR && errno != EAGAIN))
            break;
    }
    return fd;
}

int beneath_openat(int directory_fd, const char *path, int flags, unsigned long long resolve)
{
    int fd = open_once(directory_fd, path, flags, resolve);
    if (fd == -1 && errno == EACCES && (flags & O_PATH) == 0) {
        fd = open_once(directory_fd, path, O_PATH | O_DIRECTORY, resolve);
        if (fd == -1 && errno == ENOTDIR)
            errno = EACCES;
    }
    return fd;
}

/* By the kernel alone. SAME_OWNER: without links there is nothing to compare; ELOOP: there are. */
static int open_plainly(const struct beneath *what, int flags, unsigned long long resolve, int *fd,
                        struct stat *stat)
{
    if (what->symlinks != HTTP_SYMLINKS_ON)
        resolve |= RESOLVE_NO_SYMLINKS;
    *fd = beneath_openat(what->root_fd, what->path, flags, resolve);
    if (*fd == -1)
        return errno;
    if (fstat(*fd, stat) == 0)
        return 0;
    const int error = errno;
    close(*fd);
    *fd = -1;
    return error;
}

static int open_any(const struct beneath *what, int flags, int *fd, struct stat *stat)
{
    int error = open_plainly(what, flags, 0, fd, stat);
    if (error == ELOOP && what->symlinks == HTTP_SYMLINKS_SAME_OWNER)
        error = link_walk(what->root_fd, what->path, flags, fd, stat);
    return error;
}

int beneath_open(const struct beneath *what, int *fd, struct stat *stat)
{
    return open_any(what, READING, fd, stat);
}

int beneath_stat(const struct beneath *what, struct stat *stat)
{
    int fd;
    const int error = open_any(what, O_PATH, &fd, stat);
    if (error == 0)
        close(fd);
    return error;
}

/* RESOLVE_NO_XDEV: what is mounted beneath the root may be of any kind (EXDEV, which may as well be a link
 * that leads out). Kernels before 5.12: EINVAL. */
int beneath_open_cached(const struct beneath *what, int *fd, struct stat *stat)
{
    const int error = open_plainly(what, READING, RESOLVE_CACHED | RESOLVE_NO_XDEV, fd, stat);
    switch (error) {
    case 0:
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case EMFILE:
    case ENFILE:
        return error;
    case ELOOP:
        return what->symlinks == HTTP_SYMLINKS_SAME_OWNER ? EAGAIN : ELOOP;
    default:
        return EAGAIN;
    }
}
