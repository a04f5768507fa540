/* What one `files` adds to its answers, worked out beforehand: a head takes it over as it stands.
 * Refuses to know requests and files. Immutable: any number of workers may use one. */
#pragma once

#include <stdbool.h>

#include "proxy/http/slice.h"

struct conf_http_policy;
struct http_policy;

/* conf is borrowed and outlives it; NULL: the defaults. Returns NULL: out of memory. */
struct http_policy *http_policy_new(const struct conf_http_policy *conf);
/* NULL: nothing. */
void http_policy_free(struct http_policy *policy);

/* Whole lines for the head of every answer of that status: Server, Strict-Transport-Security over TLS
 * (secure; RFC 6797 7.2 forbids it without), and the operator's own. policy NULL: Server alone. */
struct http_slice http_policy_fields(const struct http_policy *policy, int status, bool secure);

/* What is told of how a file may be cached. */
struct http_cache_rule {
    struct http_slice line; /* Cache-Control, whole */
    bool no_transform;      /* it may not be sent otherwise than it is */
};
/* path: of the file beneath the root, without a slash first. NULL: nothing is told. */
const struct http_cache_rule *http_policy_cache_rule(const struct http_policy *policy, const char *path);

/* The content type of a file of that name, charset included; lives as long as policy. */
const char *http_policy_type(const struct http_policy *policy, const char *name);

/* The file that stands in for the page of a status, beneath the root, without a slash first; NULL: the
 * built-in one does. */
const char *http_policy_error_page(const struct http_policy *policy, int status);
