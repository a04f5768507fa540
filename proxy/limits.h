/* From the configuration's limits to what a gate and a pace go by.
 * Refuses to know who keeps them. */
#pragma once

#include "proxy/generation.h"

struct http_limits limits_http(const struct conf_http *conf);
/* Fills listener->limits and listener->bandwidth. */
void limits_build(const struct conf_limits *conf, struct generation_listener *listener);

#define LIMITS_BURST_MS 250          /* of the rate, where the configuration says nothing */
#define LIMITS_BURST_MIN (64u << 10) /* and at least so much: a small page isn't held up */
