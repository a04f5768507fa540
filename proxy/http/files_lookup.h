/* The inside of a `files`, as files.c (life and handler), files_lookup.c (which file is meant),
 * files_encoding.c (in which coding it is sent) and files_answer.c (the answer, once that is known) share it.
 * Private to them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/http/autoindex.h"
#include "proxy/http/files.h"
#include "proxy/http/files_encoding.h"
#include "proxy/http/http_conn.h"
#include "proxy/http/opener.h"
#include "proxy/http/target.h"
#include "proxy/http/try_files.h"

struct http_file;
struct open_file;

struct http_files {
    uint64_t id; /* for open_files; root_fd may stand for another directory after a reload */
    int root_fd;
    enum http_root_kind kind;
    dev_t device;
    struct http_opener opener;
    enum http_symlinks symlinks;
    bool dotfiles;
    char **index;
    size_t index_count, index_longest;
    struct http_policy *policy;
    struct try_files tries;
    enum http_autoindex autoindex;
    struct http_offer offers[HTTP_OFFERS_MAX]; /* codings, in order of preference */
    size_t offer_count;
    bool precompressed;                   /* some of the offers are files */
    struct http_compression *compression; /* the others'; NULL: there are none */
};

enum lookup_stage {
    LOOKUP_ITEM,      /* what is being opened is to be a file */
    LOOKUP_INDEX,     /* an index file of the item */
    LOOKUP_DIRECTORY, /* the item, which is to be a directory */
};

/* One exchange between handle and its answer; the exchange's data. */
struct files_lookup {
    struct http_opening opening; /* first; of `path` */
    const struct http_files *files;
    const struct http_target *target;
    struct http_exchange *exchange;
    size_t next_item; /* of the tries; the one before is being looked at */
    size_t item_size; /* its path's */
    size_t next_index;
    enum lookup_stage stage;
    struct autoindex listing; /* of the item, once nothing in it answers for it */
    bool was_directory;       /* the item before, which should have been a file */
    struct files_encoding encoding;
    char path[]; /* what is opened; room for the longest there can be */
};

/* files_lookup.c */

/* Leads to one of the answers below, now or later. */
void files_lookup_start(const struct http_files *files, const struct http_target *target,
                        struct http_exchange *exchange);
/* Opens lookup->path, at once if it is one of the worker's open files. */
void files_lookup_open(struct files_lookup *lookup);
/* Before its answer: there will be none. */
void files_lookup_cancel(struct files_lookup *lookup);

/* files_answer.c: each ends the look-up and answers its exchange. */

void files_answer_status(struct files_lookup *lookup, int status);
/* Whether an errno of opening says that there is no such thing. */
bool files_is_missing(int error);
/* error: an errno of opening. */
void files_answer_error(struct files_lookup *lookup, int error);
/* To the request's path with a slash. */
void files_answer_redirect(struct files_lookup *lookup);
/* Takes the page, of size bytes. */
void files_answer_listing(struct files_lookup *lookup, char *page, size_t size);
/* How the file that is sent stands to the one that was asked for. */
struct files_representation {
    enum http_coding coding; /* that it has, or is given on the way */
    bool on_the_fly;
    bool varies; /* another client might get another one */
};
/* The content type of lookup->path. */
const char *files_type(const struct files_lookup *lookup);
/* What is known of a file by its name and stat; fd, open and representation are left to the caller. */
void files_describe(const struct http_files *files, const char *path, const struct stat *stat,
                    struct http_file *file);
/* Takes the file, of which lookup->path is the name but for a coding's suffix; open: NULL, or the reference
 * that holds fd. */
void files_answer_file(struct files_lookup *lookup, int fd, const struct stat *stat, struct open_file *open,
                       const struct files_representation *representation);
