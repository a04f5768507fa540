/* Which server is next: smooth weighted round robin, or least connections by weight. One balancer belongs to
 * one worker and to one server set. Refuses to know sockets and how failures come about: it is told which
 * servers not to name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/server_set.h"

struct balancer;

#define BALANCER_NONE ((size_t)-1)

struct balancer_request {
    struct backend_server *const *tried; /* not to be named again; borrowed */
    size_t tried_count;
    uint64_t now_ms; /* loop_now_ms() */
};

/* For that set, which it doesn't keep. NULL: out of memory. */
struct balancer *balancer_new(enum conf_balance balance, const struct server_set *set);
/* Takes over what old knew of the servers that are in both sets. */
void balancer_carry_over(struct balancer *balancer, const struct server_set *set, const struct balancer *old,
                         const struct server_set *old_set);
void balancer_free(struct balancer *balancer);

/* The slot of the server to try now, of those not yet tried; one that failed a moment ago only if no other is
 * left. BALANCER_NONE: all have been tried. *left: how many had not been. */
size_t balancer_pick(struct balancer *balancer, const struct server_set *set,
                     const struct balancer_request *request, size_t *left);
