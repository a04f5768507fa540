/* Which representation of a file that was found is sent: one of those beside it that are encoded already, or
 * the file itself, compressed on the way or as it is. A part of a look-up (files_lookup.h).
 * Refuses to know what the file is, and HTTP's fields but Accept-Encoding. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "proxy/http/offer.h"

struct files_lookup;
struct open_file;

struct files_encoding {
    /* While a file beside the original is being opened: */
    bool looking;
    int fd; /* the original's, unless open holds it */
    struct open_file *open;
    struct stat stat;
    size_t path_size; /* of the original's part of lookup->path */
    bool beside;      /* files are looked for */
    bool on_the_fly;  /* it may be compressed on the way */

    uint8_t next, count;
    struct http_offer ranked[HTTP_OFFERS_MAX];
};

/* Takes the file, which is lookup->path, regular; open: NULL, or the reference that holds fd. Leads to
 * files_answer_file(), now or later. */
void files_encoding_choose(struct files_lookup *lookup, int fd, const struct stat *stat,
                           struct open_file *open);

/* While it is looking: what came of opening lookup->path. found takes the file. error: an errno. */
void files_encoding_found(struct files_lookup *lookup, int fd, const struct stat *stat,
                          struct open_file *open);
void files_encoding_missing(struct files_lookup *lookup, int error);

/* The look-up ends: lets go of the original, if there is one. */
void files_encoding_drop(struct files_lookup *lookup);
