/* Content types by file name: a built-in table, and what the operator says over it.
 * Refuses to look into files. Immutable. */
#pragma once

struct conf_http_policy;
struct http_mime;

/* conf is borrowed and outlives it. NULL: out of memory. */
struct http_mime *http_mime_new(const struct conf_http_policy *conf);
void http_mime_free(struct http_mime *mime); /* NULL: nothing */

/* By the extension of name (or path), whatever its case, charset included. Never NULL; lives as long as mime.
 */
const char *http_mime_type(const struct http_mime *mime, const char *name);
