/* A file as the answer to a GET or HEAD: for handlers. What sends it is the exchange's connection.
 * Refuses to know how the file was found. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/http/coding.h"

struct http_cache_rule; /* policy.h */
struct http_exchange;   /* http_conn.h */
struct http_compression;
struct open_file;

struct http_file {
    int fd;                 /* taken, unless open has it */
    struct open_file *open; /* NULL, or a reference, taken */
    uint64_t size;          /* of the whole file */
    int64_t mtime;          /* seconds */
    uint64_t inode, mtime_ns;
    bool is_regular;
    bool in_memory;                       /* its file system has no disk: never waited for */
    const char *content_type;             /* static, charset included; of what is encoded, where it is */
    const struct http_cache_rule *cache;  /* NULL: nothing is told of it */
    enum http_coding coding;              /* that its bytes have, */
    struct http_compression *compression; /* or that they are given on the way, by this; NULL: they have it */
    bool varies;                          /* by Accept-Encoding */
};

/* A file: conditionals (RFC 9110 13.2.2, in its order), ranges, validators and HEAD are worked out here. Its
 * ETag is strong; weak, and another, while the file may still change unnoticed (conditional.h). */
void http_respond_file(struct http_exchange *exchange, const struct http_file *file);
/* The file as the page of an error: whole, whatever was asked for, and without what would let it be taken for
 * the resource. extra_headers: whole lines, or NULL. */
void http_respond_page(struct http_exchange *exchange, int status, const struct http_file *file,
                       const char *extra_headers);
/* Instead of either: lets go of it. */
void http_file_drop(const struct http_file *file);
