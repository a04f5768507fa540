/* How the admin pages answer: headers that every one of them has.
 * Refuses to know what is in the body. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proxy/http/http_conn.h"

/* extra_headers: whole lines ending in CRLF, or NULL. */
void answer_text(struct http_exchange *exchange, int status, const char *content_type,
                 const char *extra_headers, const char *text, size_t size);

/* Takes body; NULL (out of memory) is answered with 500. */
void answer_json(struct http_exchange *exchange, json_t *body, const char *extra_headers);
