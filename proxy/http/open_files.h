/* Files kept open for the next request: descriptor and stat by name, so that a file that is asked for again
 * costs an fstat() instead of a look-up, an open and a close. One cache a worker, used on its thread only.
 * A change of the file itself (its bytes, its length, its rights, being deleted, renamed or replaced) is seen
 * by the next request: fstat() tells all of it. A change of the way to it (a directory renamed, a symbolic
 * link turned elsewhere) is seen within OPEN_FILES_VALID_MS: after that the name is looked up anew. Nothing
 * is kept open for much longer than that, so deleted files are freed and file systems can be unmounted.
 * Refuses to open files, and to know what they are for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

struct event_base;
struct open_files;

#define OPEN_FILES_VALID_MS 1000

/* Shared by all that use it; read fd and stat only. */
struct open_file {
    int fd;
    struct stat stat; /* unchanged since, or open_files_get() would not have given it */
    unsigned absent;  /* its users': what was looked for beside it in vain since it was opened */

    /* The cache's own. */
    TAILQ_ENTRY(open_file) by_age;
    LIST_ENTRY(open_file) by_hash;
    unsigned references;
    uint64_t opened_ms, root, hash;
    bool cached; /* all of it was sent since it was opened */
    char path[];
};

/* At most max files at a time. NULL: out of memory. base is borrowed and outlives it. */
struct open_files *open_files_new(struct event_base *base, size_t max);
/* Files still in use are closed with their last reference. NULL: nothing. */
void open_files_free(struct open_files *files);

/* root: a number that stands for the directory (never used again for another), path: relative to it. A
 * reference to the file as it is now; NULL: it must be opened. */
struct open_file *open_files_get(struct open_files *files, uint64_t root, const char *path);
/* Takes fd, just opened, and keeps it under that name. A reference to it; NULL: out of memory, fd is still
 * the caller's. */
struct open_file *open_files_put(struct open_files *files, uint64_t root, const char *path, int fd,
                                 const struct stat *stat);
/* Lets go of everything: descriptors have run out. Whether there was anything. */
bool open_files_clear(struct open_files *files);

/* A small file that was sent a moment ago is still in memory, and its next sending needn't ask. Both on the
 * worker's thread. */
void open_file_note_cached(struct open_file *file);
bool open_file_is_cached(const struct open_file *file);

void open_file_unref(struct open_file *file); /* NULL: nothing */
