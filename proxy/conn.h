/* One accepted connection from first to last: TLS handshake, dialling and relaying, or HTTP, an orderly
 * close, and its line in the access log. Owns both ends. Belongs to one worker. Refuses to know how bytes
 * move (relay/), what a request means (http/), and which server is next (balancer). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proxy/generation.h"
#include "proxy/report.h"
#include "proxy/worker.h"

struct conn;

/* Takes fd, just accepted, non-blocking and prepared (endpoint.h); pins the generation. On failure (memory)
 * the peer is reset. */
void conn_accept(struct worker *worker, struct generation *generation,
                 const struct generation_listener *listener, int fd, const struct sockaddr_storage *peer,
                 socklen_t peer_length);

/* What is known of it now, outcome OUTCOME_OPEN: for /connections.json. An HTTP connection between two
 * requests has request "". false: nothing to tell (it has ended). On its worker's thread. */
bool conn_report(const struct conn *conn, struct report *report);
bool conn_is_admin(const struct conn *conn);

/* An HTTP connection ends after the response under way; others go on. May free it (on a later turn). */
void conn_drain(struct conn *conn);
/* Resets both sides, outcome `stopped`. The memory goes on the next turn of the loop. */
void conn_stop(struct conn *conn);
