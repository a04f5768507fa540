/* See http_limits.h. */
#include "proxy/http/http_limits.h"

const char *http_limit_name(enum http_limit limit)
{
    switch (limit) {
    case HTTP_LIMIT_MAX_HEAD:
        return "max_head";
    case HTTP_LIMIT_MAX_URI:
        return "max_uri";
    case HTTP_LIMIT_MAX_FIELDS:
        return "max_fields";
    case HTTP_LIMIT_MAX_BODY:
        return "max_body";
    case HTTP_LIMIT_MIN_RECEIVE_RATE:
        return "min_receive_rate";
    case HTTP_LIMIT_MIN_SEND_RATE:
        return "min_send_rate";
    case HTTP_LIMIT_NONE:
    case HTTP_LIMIT_COUNT:
        break;
    }
    return "none";
}
