/* See link_walk.h. The rest of the way stands at the end of a buffer, so that what a link says can be put
 * before it; a link has led somewhere once no more is left than followed it. */
#include "proxy/http/link_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "proxy/http/beneath.h"

#define LINKS_MAX 40 /* as the kernel's MAXSYMLINKS */

struct walk {
    int root_fd, directory_fd; /* the same at the root */
    /* The way to directory_fd without links: ".." is worked out from it. */
    char done[PATH_MAX];
    size_t done_size;
    char rest[PATH_MAX]; /* its last rest_size bytes, and a terminator behind them */
    size_t rest_size;
    struct {
        uid_t owner;
        size_t rest_size; /* of the walk, once it has led somewhere */
    } links[LINKS_MAX];   /* on the way to where they lead, the last one first to get there */
    unsigned link_count, followed;
};

static int prepend(struct walk *walk, const char *text, size_t size)
{
    if (size >= sizeof(walk->rest) - walk->rest_size)
        return ENAMETOOLONG;
    walk->rest_size += size;
    memcpy(walk->rest + sizeof(walk->rest) - 1 - walk->rest_size, text, size);
    return 0;
}

/* Cuts the next segment off the rest: "." where only slashes are left. is_last: nothing follows, not even a
 * slash. */
static int next_segment(struct walk *walk, char segment[NAME_MAX + 1], bool *is_last)
{
    const char *at = walk->rest + sizeof(walk->rest) - 1 - walk->rest_size;
    const size_t slashes = strspn(at, "/"), size = strcspn(at + slashes, "/");
    if (size > NAME_MAX)
        return ENAMETOOLONG;
    memcpy(segment, size > 0 ? at + slashes : ".", size > 0 ? size : 1);
    segment[size > 0 ? size : 1] = '\0';
    walk->rest_size -= slashes + size;
    *is_last = walk->rest_size == 0;
    return 0;
}

/* The walk has come to something of this owner's. Do all links that led here belong to them? */
static int arrive(struct walk *walk, uid_t owner)
{
    while (walk->link_count > 0 && walk->links[walk->link_count - 1].rest_size >= walk->rest_size)
        if (walk->links[--walk->link_count].owner != owner)
            return ELOOP;
    return 0;
}

static void stand_in(struct walk *walk, int directory_fd)
{
    if (walk->directory_fd != walk->root_fd)
        close(walk->directory_fd);
    walk->directory_fd = directory_fd;
}

static int stay(struct walk *walk)
{
    struct stat stat;
    return fstat(walk->directory_fd, &stat) == 0 ? arrive(walk, stat.st_uid) : errno;
}

static int step_up(struct walk *walk)
{
    int fd = walk->root_fd;
    if (walk->done_size == 0)
        return EXDEV;
    while (walk->done_size > 0 && walk->done[--walk->done_size] != '/') {
    }
    walk->done[walk->done_size] = '\0';
    if (walk->done_size > 0)
        fd = beneath_openat(walk->root_fd, walk->done, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
    if (fd == -1)
        return errno;
    stand_in(walk, fd);
    return stay(walk);
}

/* Takes fd, which is the directory called segment. */
static int step_down(struct walk *walk, const char *segment, int fd, const struct stat *stat)
{
    const size_t size = strlen(segment);
    if (walk->done_size + 1 + size >= sizeof(walk->done)) {
        close(fd);
        return ENAMETOOLONG;
    }
    if (walk->done_size > 0)
        walk->done[walk->done_size++] = '/';
    memcpy(walk->done + walk->done_size, segment, size + 1);
    walk->done_size += size;
    stand_in(walk, fd);
    return arrive(walk, stat->st_uid);
}

/* fd is the link itself, not where it leads. */
static int follow(struct walk *walk, int fd, const struct stat *link)
{
    char text[PATH_MAX];
    const ssize_t size = readlinkat(fd, "", text, sizeof(text));
    if (size == -1)
        return errno;
    if ((size_t)size == sizeof(text))
        return ENAMETOOLONG;
    if (text[0] == '/')
        return EXDEV;
    if (walk->followed++ == LINKS_MAX)
        return ELOOP;
    walk->links[walk->link_count].owner = link->st_uid;
    walk->links[walk->link_count++].rest_size = walk->rest_size;
    /* "directory/" leads to the directory, not to what follows it. */
    if (size > 0 && text[size - 1] == '/' && prepend(walk, ".", 1) != 0)
        return ENAMETOOLONG;
    return prepend(walk, text, (size_t)size);
}

/* What segment is called here: the link itself, where it is one. A descriptor or -1. */
static int open_segment(const struct walk *walk, const char *segment, int flags, struct stat *stat)
{
    int fd = beneath_openat(walk->directory_fd, segment, flags | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
    if (fd == -1 && errno == ELOOP && (flags & O_PATH) == 0)
        fd = beneath_openat(walk->directory_fd, segment, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
    if (fd != -1 && fstat(fd, stat) == -1) {
        const int error = errno;
        close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

/* One segment. The errno, or 0; *fd isn't -1 where the way ended. */
static int step(struct walk *walk, int flags, int *fd, struct stat *stat)
{
    char segment[NAME_MAX + 1];
    bool is_last;
    int error = next_segment(walk, segment, &is_last);
    if (error != 0)
        return error;
    if (strcmp(segment, "..") == 0) {
        error = step_up(walk);
        /* What is to be opened is the directory that was reached. */
        return error == 0 && is_last ? prepend(walk, ".", 1) : error;
    }
    if (strcmp(segment, ".") == 0 && !is_last)
        return stay(walk);
    const int opened = open_segment(walk, segment, is_last ? flags : O_PATH, stat);
    if (opened == -1)
        return errno;
    if (S_ISLNK(stat->st_mode)) {
        error = follow(walk, opened, stat);
        close(opened);
        return error;
    }
    if (is_last) {
        error = arrive(walk, stat->st_uid);
        if (error == 0)
            *fd = opened;
        else
            close(opened);
        return error;
    }
    if (!S_ISDIR(stat->st_mode)) {
        close(opened);
        return ENOTDIR;
    }
    return step_down(walk, segment, opened, stat);
}

int link_walk(int root_fd, const char *path, int flags, int *fd, struct stat *stat)
{
    struct walk walk;
    /* Not the buffers: only what is written to them is read. */
    walk.root_fd = walk.directory_fd = root_fd;
    walk.done_size = walk.rest_size = 0;
    walk.done[0] = walk.rest[sizeof(walk.rest) - 1] = '\0';
    walk.link_count = walk.followed = 0;
    *fd = -1;
    int error = prepend(&walk, path, strlen(path));
    while (error == 0 && *fd == -1)
        error = step(&walk, flags, fd, stat);
    stand_in(&walk, root_fd);
    return error;
}
