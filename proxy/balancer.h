/* Which server is next: in turn, the least busy, the better of two drawn by lot, or by the client's address;
 * all by weight. One balancer belongs to one worker and to one server set. Refuses to know sockets, and how
 * what is known of servers came about.
 *
 * A server's rank comes before the method: those that are up; then backups that are up; then those whose last
 * connect failed a moment ago; then those ejected. One that checks call down is named only when no server of
 * the set is up (panic), since then the checks may be what is wrong. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/server_set.h"

struct balancer;

struct balancer_options {
    enum conf_balance balance;
    uint32_t slow_start_ms; /* 0: none */
    bool panic;             /* false: nobody rather than one that is down */
    uint64_t seed;          /* of the lots: any number */
};

struct balancer_request {
    struct backend_server *const *tried; /* not to be named again; borrowed */
    size_t tried_count;
    uint64_t client_hash; /* balancer_hash_client() */
    uint64_t now_ms;      /* loop_now_ms() */
};

#define BALANCER_NONE ((size_t)-1)

struct balancer_choice {
    size_t slot; /* BALANCER_NONE: nobody */
    size_t
        left;  /* how many could be named but for their max_connections: 0, all have been tried or are down */
    bool full; /* nobody, since all of the best rank have their max_connections: worth waiting for */
};

/* For that set, which it doesn't keep. NULL: out of memory. */
struct balancer *balancer_new(const struct balancer_options *options, const struct server_set *set);
/* Takes over what old knew of the servers that are in both sets. */
void balancer_carry_over(struct balancer *balancer, const struct server_set *set, const struct balancer *old,
                         const struct server_set *old_set);
void balancer_free(struct balancer *balancer); /* NULL: nothing */

/* The server to try now, of those not yet tried. */
void balancer_pick(struct balancer *balancer, const struct server_set *set,
                   const struct balancer_request *request, struct balancer_choice *choice);

/* Of a client as address_format() writes it, without the port. Nameless UNIX clients are all one. */
uint64_t balancer_hash_client(const char *address);
