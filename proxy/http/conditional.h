/* Preconditions of a request against a file's validators, in the order of RFC 9110 13.2.2. Pure.
 * Refuses to know where the validators come from. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/http/request.h"

struct http_validators {
    const char *etag; /* strong, with its quotes */
    int64_t mtime;    /* Last-Modified, seconds */
    int64_t now;      /* of the response's Date */
};

enum http_condition {
    HTTP_CONDITION_PROCEED,
    HTTP_CONDITION_NOT_MODIFIED, /* 304 */
    HTTP_CONDITION_FAILED,       /* 412 */
};

/* For GET and HEAD. If-Match before If-Unmodified-Since, then If-None-Match before If-Modified-Since. */
enum http_condition http_condition_check(const struct http_request *request,
                                         const struct http_validators *validators);

/* Whether Range may be honoured: there is no If-Range, or it names this very version (a strong ETag, or a
 * date equal to mtime and past, so that the file can't have changed twice within it). */
bool http_condition_range(const struct http_request *request, const struct http_validators *validators);
