/* The files that both sides of a contest serve, beneath www in the workspace: one of each size, a directory
 * of many small ones, and a directory of those that are read from the disk. Refuses to know who serves them.
 */
#ifndef SLUICE_LOAD_SITE_H
#define SLUICE_LOAD_SITE_H

#include <stddef.h>
#include <stdint.h>

#include "sluice_load/workspace.h"

#define SITE_SMALL 1024
#define SITE_MEDIUM 102400

enum site_directory {
    SITE_NONE, /* www itself: what it has is called by its size */
    SITE_MANY, /* of SITE_SMALL bytes */
    SITE_COLD, /* of SITE_MEDIUM bytes */
    SITE_DIRECTORIES
};

/* Paths as a URL has them. */
struct site_paths {
    const char **paths;
    size_t count;
    char *names; /* behind them */
};

struct site {
    const struct workspace *workspace;
    struct site_paths directories[SITE_DIRECTORIES];
};

/* www, and in it a file of each of the sizes. -1 with a message. */
int site_create(struct site *site, const struct workspace *workspace, const uint64_t *sizes, size_t count)
    __attribute__((warn_unused_result));

/* A directory of so many files of random names. Its paths are in another order than that in which they were
 * written. -1 with a message. */
int site_add(struct site *site, enum site_directory directory, size_t count)
    __attribute__((warn_unused_result));

/* Puts a directory's files out of the page cache, so that who reads them next waits for the disk. */
void site_evict(const struct site *site, enum site_directory directory);

/* The files stay: they are the workspace's. */
void site_free(struct site *site);

#endif
