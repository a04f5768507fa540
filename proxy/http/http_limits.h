/* How much one HTTP connection may ask for, and the names by which answers, logs and metrics tell which limit
 * was passed. Refuses to know who counts and what follows. */
#pragma once

#include <stddef.h>

/* Those that a request can pass. */
enum http_limit {
    HTTP_LIMIT_NONE,
    HTTP_LIMIT_MAX_HEAD,
    HTTP_LIMIT_MAX_URI,
    HTTP_LIMIT_MAX_FIELDS,
    HTTP_LIMIT_COUNT,
};
/* As the key under `http`. */
const char *http_limit_name(enum http_limit limit);

struct http_limits {
    size_t max_head;     /* bytes of a request's head: past it 431 */
    size_t max_uri;      /* bytes of the request target: past it 414 */
    unsigned max_fields; /* header lines: past it 431 */
};
