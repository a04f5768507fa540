/* Answers requests with the files beneath one directory: index files, trailing-slash redirects, and nothing
 * outside the root, wherever a symbolic link points.
 * Refuses to know HTTP's fields (http_exchange.c works out ranges, conditions and validators) and how bytes
 * are sent. */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "proxy/http/http_conn.h"

/* One file being opened. Embedded by whoever asks; lives until it is answered or cancelled. */
struct http_opening {
    int root_fd;
    const char *path; /* relative, without ".."; "." for the root itself */
    /* Takes fd. error 0: fd and stat are the file's, whatever its type. Else fd is -1 and error the errno. */
    void (*on_opened)(struct http_opening *opening, int error, int fd, const struct stat *stat);
};

/* How files are opened: nothing on a worker may wait for a disk (DESIGN 5), so whoever asks must not expect
 * the answer before `open` returns, nor after it. Runs on the worker that asks. */
struct http_opener {
    /* Calls on_opened once, before it returns or later from the event loop. */
    void (*open)(void *arg, struct http_opening *opening);
    /* on_opened will not run. Only while the answer is outstanding; an opener that never returns without
     * having answered may have NULL here. */
    void (*cancel)(void *arg, struct http_opening *opening);
    void *arg;
};

/* Opens at once, in the caller's thread, beneath root_fd only: openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_MAGICLINKS). Never hangs on a fifo; retries interrupted look-ups a bounded number of times. */
extern const struct http_opener http_opener_direct;

struct http_files;

struct http_files_options {
    const char *root;   /* a directory */
    char *const *index; /* names tried in a directory, in order; copied */
    size_t index_count;
    const struct http_opener *opener; /* copied; NULL: http_opener_direct */
};

/* Opens the root: a directory replaced later is not noticed. NULL and errno on failure. Immutable: any number
 * of workers may use one. */
struct http_files *http_files_new(const struct http_files_options *options);
/* No exchange may be outstanding. NULL: nothing. */
void http_files_free(struct http_files *files);

/* Borrows files. */
struct http_handler http_files_handler(const struct http_files *files);
