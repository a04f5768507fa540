/* The part of /status.json that tells of a backend and its servers.
 * Refuses to know how the figures come about. */
#pragma once

#include <jansson.h>

#include "proxy/backend.h"

json_t *status_backend(struct backend *backend);

/* Counters are unsigned, JSON's integers signed: 2^63 bytes take a 100 Gbit/s line 23 years. */
static inline json_t *admin_count(uint64_t n)
{
    return json_integer((json_int_t)(n & INT64_MAX));
}
