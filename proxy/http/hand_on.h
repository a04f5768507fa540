/* What a handler needs that leaves the answer to another: to hand the request on, to say so in the report,
 * and to know how the client reached us. Refuses to know by what it chooses. */
#pragma once

#include <stddef.h>

#include "proxy/http/http_conn.h"

struct tls_facts;

/* Instead of answering: another handler (borrowed until the answer) gets the request; the first `strip`
 * bytes of the path, which are whole segments, are where it is mounted. */
void http_exchange_hand_on(struct http_exchange *exchange, const struct http_handler *handler, size_t strip);

/* For the report: the site that the request is for, and what answers it. Cut if they are too long. */
void http_exchange_set_site(struct http_exchange *exchange, const char *name);
void http_exchange_set_target(struct http_exchange *exchange, const char *name);

/* Of the connection; NULL: it is plain. */
const struct tls_facts *http_exchange_tls(const struct http_exchange *exchange);
/* That the client connected to; 0: it has none (a UNIX socket). */
unsigned http_exchange_port(const struct http_exchange *exchange);
