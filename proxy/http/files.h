/* Answers requests with the files beneath one directory: index files, trailing-slash redirects, and nothing
 * outside the root, wherever a symbolic link points.
 * Refuses to know HTTP's fields (respond_file.c works out ranges, conditions and validators) and how bytes
 * are sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/http/autoindex.h"
#include "proxy/http/beneath.h"
#include "proxy/http/http_conn.h"
#include "proxy/http/opener.h"

struct http_compression_options;
struct http_files;
struct http_policy;

struct http_files_options {
    const char *root;   /* a directory */
    char *const *index; /* names tried in a directory, in order; copied */
    size_t index_count;
    char *const *try_files;        /* what may answer, in order: see try_files.h; copied */
    size_t try_count;              /* 0: the path itself, and 403 for a directory without an index */
    enum http_autoindex autoindex; /* for a directory without an index */
    enum http_symlinks symlinks;   /* which are followed, everywhere beneath the root */
    bool dotfiles;                 /* names that begin with a dot are served, not 404 */
    char *const *precompressed;    /* names of codings in which a file may lie beside another, in order */
    size_t precompressed_count;
    char *const *compress; /* names of codings that files are compressed by on the way, in order */
    size_t compress_count;
    const struct http_compression_options *compression; /* which files, and how; with compress */
    const struct http_opener *opener;                   /* copied; NULL: http_opener_disk */
    struct http_policy *policy;                         /* taken on success; NULL: http_policy_new(NULL) */
};

/* Opens the root: a directory replaced later is not noticed. NULL and errno on failure. Immutable: any number
 * of workers may use one. */
struct http_files *http_files_new(const struct http_files_options *options);
/* No exchange may be outstanding. NULL: nothing. */
void http_files_free(struct http_files *files);

/* Borrows files. Looks up what is behind the prefix of the request's target. */
struct http_handler http_files_handler(const struct http_files *files);

/* What is added to its answers. */
const struct http_policy *http_files_policy(const struct http_files *files);
