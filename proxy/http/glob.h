/* Patterns for paths, as fnmatch(3) without flags has them in the C locale: `*` any bytes, slashes and
 * leading dots included, `?` one, `[a-z]` and `[!a-z]` (or `[^a-z]`) one of a set or none of it, `\\` takes
 * the meaning away. Unlike fnmatch() it takes time proportional to pattern times path at most: paths are a
 * stranger's. Refuses to know what matches are for. */
#pragma once

#include <stdbool.h>

#include "proxy/http/slice.h"

struct http_glob {
    enum {
        GLOB_ANY,    /* "*" */
        GLOB_SUFFIX, /* "*" and what follows as it stands, the most frequent by far */
        GLOB_PATTERN,
    } kind;
    struct http_slice text; /* SUFFIX, PATTERN */
};

/* pattern is borrowed; each of its sets is closed. */
void http_glob_init(struct http_glob *glob, const char *pattern);

/* path: absolute, but without its first slash, which is matched all the same. */
bool http_glob_matches(const struct http_glob *glob, struct http_slice path);
