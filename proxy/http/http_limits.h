/* How much one HTTP connection may ask for, and the names by which answers, logs and metrics tell which limit
 * was passed. Refuses to know who counts and what follows. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "relay/min_rate.h"

/* Those that a request or its client can pass. */
enum http_limit {
    HTTP_LIMIT_NONE,
    HTTP_LIMIT_MAX_HEAD,
    HTTP_LIMIT_MAX_URI,
    HTTP_LIMIT_MAX_FIELDS,
    HTTP_LIMIT_MAX_BODY,
    HTTP_LIMIT_MIN_RECEIVE_RATE,
    HTTP_LIMIT_MIN_SEND_RATE,
    HTTP_LIMIT_COUNT,
};
/* As the key under `http`. */
const char *http_limit_name(enum http_limit limit);

struct http_limits {
    size_t max_head;             /* bytes of a request's head: past it 431 */
    size_t max_uri;              /* bytes of the request target: past it 414 */
    unsigned max_fields;         /* header lines: past it 431 */
    uint64_t max_body;           /* bytes of a request's body, as sent: past it 413 */
    unsigned keepalive_requests; /* on one connection; 0: any number */
    uint64_t keepalive_ms;       /* of a connection's age: no further request after it */
    struct min_rate min_receive; /* of a request: past it 408 */
    struct min_rate min_send;    /* of what is sent: past it a reset */
};
