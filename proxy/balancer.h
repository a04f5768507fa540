/* Which server is next: smooth weighted round robin, or least connections by weight. One balancer belongs to
 * one worker. Refuses to know sockets and failures: it is told which servers not to name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct backend;
struct balancer;

#define BALANCER_NONE ((size_t)-1)

/* NULL: out of memory. */
struct balancer *balancer_new(size_t server_count);
void balancer_free(struct balancer *balancer);

/* The server to try now, of those not yet tried (tried[i] false); one that failed a moment ago
 * (avoid_until_ms > now_ms) only if no other is left. BALANCER_NONE: all have been tried. */
size_t balancer_pick(struct balancer *balancer, const struct backend *backend, const bool *tried,
                     uint64_t now_ms);
