/* How files beneath a root are opened: at once, or by a thread that may wait for the disk. Nothing on a
 * worker waits for a disk (DESIGN 5), so whoever asks must not expect the answer before `open` returns, nor
 * after it. Refuses to know what files are for. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "proxy/http/beneath.h"

struct disk_job;
struct disk_port;

enum http_root_kind {
    HTTP_ROOT_REMOTE, /* a server may have to be asked for anything: network file systems, FUSE */
    HTTP_ROOT_LOCAL,  /* what the kernel has in its caches is to be had at once */
    HTTP_ROOT_MEMORY, /* nothing is anywhere else */
};
enum http_root_kind http_root_kind(int root_fd);

/* One file being opened. Embedded by whoever asks; lives until it is answered or cancelled. */
struct http_opening {
    struct beneath what;
    bool is_local;          /* the root isn't remote */
    struct disk_port *disk; /* the worker's threads for disks; NULL: it opens at once */
    /* Takes fd. error 0: fd and stat are the file's, whatever its type. Else fd is -1 and error the errno. */
    void (*on_opened)(struct http_opening *opening, int error, int fd, const struct stat *stat);
    struct disk_job *job; /* the opener's own */
};

/* Runs on the worker that asks. */
struct http_opener {
    /* Calls on_opened once, before it returns or later from the event loop. */
    void (*open)(void *arg, struct http_opening *opening);
    /* on_opened will not run. Only while the answer is outstanding; an opener that never returns without
     * having answered may have NULL here. */
    void (*cancel)(void *arg, struct http_opening *opening);
    void *arg;
};

/* Opens at once, in the caller's thread: beneath_open(). */
extern const struct http_opener http_opener_direct;

/* The same, but for what has to be read from a disk, and for all of a file system that isn't local: those are
 * left to opening->disk. */
extern const struct http_opener http_opener_disk;
