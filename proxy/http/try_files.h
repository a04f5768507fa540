/* The elements of `try_files`, taken apart, and the path that each stands for in a request. Pure.
 * Refuses to know which of them exists (files_lookup.c) and whether they are well-formed
 * (conf/check_files.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/http/target.h"

enum try_kind {
    TRY_EITHER,    /* what the request asks for, whichever it is: of a `files` without try_files */
    TRY_FILE,      /* a file alone */
    TRY_DIRECTORY, /* it ended in a slash: a directory alone, that is, what answers for it */
};

struct try_file {
    enum try_kind kind;
    bool has_uri;
    bool repeats; /* a directory of the name that was tried as a file just before */
    char *before; /* $uri, or all there is; without slashes at its ends */
    char *after;  /* it; "" or a name's end, or begins with a slash; none at its end */
};

struct try_files {
    struct try_file *items;
    size_t count;
    int status;     /* when there is none of them */
    size_t longest; /* how much longer than the request's path one of theirs may be */
};

/* texts: "$uri", "$uri.html", "$uri/", "/index.html" …, the last one possibly "=404". None: one of
 * TRY_EITHER. false: out of memory, to be freed all the same. */
bool try_files_init(struct try_files *tries, char *const *texts, size_t count);
void try_files_free(struct try_files *tries);

/* The path of one, beneath the root; "" for the root itself. path: room for target's, `longest` more, and a
 * terminator. false: it stands for nothing, "$uri.html" where the request's path ends in a slash. */
bool try_file_path(const struct try_file *item, const struct http_target *target, char *path, size_t *length);
