/* An orderly close: keeps a socket until its peer has everything, then closes it.
 * close() with unread input in the socket makes the kernel send a reset that overtakes what was sent; and on
 * kTLS, close() and SHUT_WR cut off records that are only partly queued (kernel.md 3). So: close_notify where
 * there is TLS, wait for SIOCOUTQ == 0 or the peer's FIN, read and drop what still comes, then close; under a
 * deadline and a bound on what it sends meanwhile, after which the peer is reset if it hasn't taken
 * everything. Belongs to one worker. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "relay/endpoint.h"
#include "relay/min_rate.h"

/* A peer that has sent so much behind our back is reset: an upload that is refused has long been told so, and
 * a fast network brings gigabytes before any deadline. */
#define LINGER_DROP_MAX (64u << 20)

struct relay_linger; /* not `linger`: that is what <sys/socket.h> calls SO_LINGER's value */

/* Takes over ep's fd and TLS (ep is closed afterwards in the sense of endpoint_close). Everything the caller
 * had to say must have been written. on_end (may be NULL) runs once, from the event loop, never before this
 * returns; delivered: the peer has everything. NULL: out of memory, and ep was reset; or
 * ep was closed already. */
struct relay_linger *linger_start(struct endpoint *ep, uint64_t timeout_ms,
                                  void (*on_end)(void *arg, bool delivered), void *arg);

/* While the peer is still to take something, it may pause for stall_ms (as it might before the close) instead
 * of timeout_ms, which then counts from the moment it has everything. A send buffer holds megabytes: a slow
 * reader must not lose them to a deadline meant for its FIN. */
void linger_allow_stall(struct relay_linger *linger, uint64_t stall_ms);

/* While the peer is still to take something, it may not be slower than this (min_rate.h), and is reset if it
 * is.
 */
void linger_require_rate(struct relay_linger *linger, const struct min_rate *rate);
/* Within on_end: that is what happened. */
bool linger_was_slow(const struct relay_linger *linger);

/* Ends it now: resets what isn't delivered. on_end will not run. */
void linger_cancel(struct relay_linger *linger);
