/* Which content codings a client takes, and how gladly (RFC 9110 12.5.3). Pure.
 * Refuses to know which of them a resource can be had in. */
#pragma once

#include <stdint.h>

#include "proxy/http/coding.h"

struct http_request;

struct http_accept_encoding {
    /* Thousandths, 1000 at best. 0: not to be sent; but of identity, which is always what is left: nothing is
     * rather to be avoided. A client that says nothing has 0 everywhere. */
    uint16_t quality[HTTP_CODING_COUNT];
};

/* Over all lines of that name. What can't be read says nothing; of a coding that is named more than once, the
 * lowest quality counts. */
void http_accept_encoding_parse(const struct http_request *request, struct http_accept_encoding *accept);

/* Whether it is to be sent where there is a choice: it is acceptable, and identity isn't liked better. */
bool http_accept_encoding_takes(const struct http_accept_encoding *accept, enum http_coding coding);
