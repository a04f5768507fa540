/* A request target as a path beneath a root: decoded once, normalised, without a way out.
 * Pure. Refuses to know the file system: whether the path exists, or a link leads elsewhere (files.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/http/slice.h"

struct http_target {
    const char *path; /* decoded, terminated: "" the root, else "a/b" without slashes at its ends; bytes, not
                         necessarily UTF-8, none of them a control character */
    size_t size;
    /* How much of path says where a handler is mounted, its last slash included: that handler looks at what
     * is behind it. 0 from the parser, set by whoever chooses the handler; at most size. */
    size_t prefix;
    bool is_directory; /* it ended in "/", "/." or "/..": only a directory is meant */
    bool has_query;
    struct http_slice query;     /* as sent, without the question mark */
    struct http_slice authority; /* of absolute-form: what counts instead of Host; at NULL: origin-form */
};

/* Origin-form ("/a?b") and absolute-form ("http://host/a?b", RFC 9112 3.2). path: text.size + 1 bytes, the
 * caller's. 0, or the status to refuse with: 400 malformed, a control character, or ".." above the root;
 * 404 an encoded slash, which no file name can hold. */
int http_target_parse(struct http_slice text, char *path, struct http_target *target);

/* The path without its prefix: "" or "a/b". Terminated. */
struct http_slice http_target_rest(const struct http_target *target);

/* Whether a name in the rest begins with a dot, other than /.well-known at the top of a host: that one is
 * meant for everybody (RFC 8615). */
bool http_target_is_hidden(const struct http_target *target);

/* host [":" port] as in Host and in an authority: names, IPv4, "[IPv6]". Sub-delimiters and user info, which
 * the grammar knows and no host uses, are refused. */
bool http_host_valid(struct http_slice text);

/* Encodes a path for use in Location: everything but unreserved characters and "/". out: 3 * size + 1 bytes.
 * Returns its length. */
size_t http_target_encode(const char *path, size_t size, char *out);
