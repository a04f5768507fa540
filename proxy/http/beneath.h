/* Opening what is beneath a root and nothing else, with what may be followed there. The kernel keeps the
 * look-up beneath the root (openat2, RESOLVE_BENEATH): a link that leads out, or that is absolute, gives
 * EXDEV, and renaming things meanwhile opens no way out.
 * Refuses to know who waits (opener.h) and what the path is for. */
#pragma once

#include <sys/stat.h>

enum http_symlinks {
    HTTP_SYMLINKS_ON,         /* as far as they stay beneath the root */
    HTTP_SYMLINKS_SAME_OWNER, /* besides, whoever owns a link owns what it leads to */
    HTTP_SYMLINKS_OFF,
};

struct beneath {
    int root_fd;
    const char *path; /* relative, without ".."; "." for the root itself */
    enum http_symlinks symlinks;
};

/* Opens to read; what is no regular file without waiting for anybody behind it. A directory that may only be
 * searched is opened as well (O_PATH). May wait for a disk. The errno, or 0: *fd and *stat are set. ELOOP: a
 * link that may not be followed, or a circle of them. */
int beneath_open(const struct beneath *what, int *fd, struct stat *stat);

/* The same without waiting, where names and inodes are in the kernel's caches. EAGAIN: beneath_open() has to
 * find out. */
int beneath_open_cached(const struct beneath *what, int *fd, struct stat *stat);

/* What it is, without opening it. */
int beneath_stat(const struct beneath *what, struct stat *stat);

/* --- For link_walk.c --- */

/* openat2() beneath directory_fd, `resolve` besides RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS; with O_PATH
 * where a directory can't be read. A descriptor, or -1 and errno. Interrupted look-ups are repeated a bounded
 * number of times. */
int beneath_openat(int directory_fd, const char *path, int flags, unsigned long long resolve);
