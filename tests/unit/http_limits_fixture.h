/* Limits of an HTTP connection as they are without a configuration, and a request parser that goes by them.
 */
#pragma once

#include "proxy/http/http_limits.h"
#include "proxy/http/request.h"

static const struct http_limits fixture_http_limits = {
    .max_head = 16384,
    .max_uri = 8192,
    .max_fields = 100,
    .max_body = 65536,
    .keepalive_requests = 1000,
    .keepalive_ms = 3600000,
    .min_receive = {.rate = 240, .window_ms = 30000},
    .min_send = {.rate = 240, .window_ms = 30000},
};

/* One request at a time: its fields are in memory shared by all. */
static inline void fixture_request_init(struct http_request *request)
{
    static struct http_field fields[100];
    http_request_init(request, &fixture_http_limits, fields);
}
