/* Preconditions of a request against a file's validators, in the order of RFC 9110 13.2.2. Pure.
 * Refuses to know where the validators come from. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/http/request.h"

struct http_validators {
    const char *etag; /* as it is sent: with its quotes, and W/ before them if it is weak */
    int64_t mtime;    /* Last-Modified, seconds */
    int64_t now;      /* of the response's Date */
};

enum http_condition {
    HTTP_CONDITION_PROCEED,
    HTTP_CONDITION_NOT_MODIFIED, /* 304 */
    HTTP_CONDITION_FAILED,       /* 412 */
};

/* Whether a file that was changed at mtime shows any further change by its time of modification. Within a
 * tick of its file system's clock (2 s with FAT, 1 s with some, a few milliseconds with most) it may be
 * changed twice, of the same length and under the same time: what was sent in between must not pass for what
 * came after. A time further ahead was set by somebody; changes won't have it. */
bool http_condition_is_settled(int64_t mtime, int64_t now);

/* For GET and HEAD. If-Match before If-Unmodified-Since, then If-None-Match before If-Modified-Since. */
enum http_condition http_condition_check(const struct http_request *request,
                                         const struct http_validators *validators);

/* Whether Range may be honoured: there is no If-Range, or it names this very version: by a strong tag (a weak
 * one never does), or by a date equal to mtime that is settled and past. */
bool http_condition_range(const struct http_request *request, const struct http_validators *validators);
