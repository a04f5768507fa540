/* Session-ticket keys: they belong to the process, are shared by every context and worker, rotate, and
 * survive a reload (kernel.md 4: a ticket of one context isn't resumed by another unless they share keys).
 * Thread-safe. Key material: never logged, cleansed when freed. */
#pragma once

#include <openssl/types.h>
#include <stdint.h>

struct ticket_keys;

#define TICKET_ROTATE_SECONDS 3600u /* the key in use; the two before it still open tickets */

/* NULL: no randomness or memory. */
struct ticket_keys *ticket_keys_new(void);
void ticket_keys_free(struct ticket_keys *keys);
/* Makes ctx use them. 0 or -1. keys outlive ctx. */
int ticket_keys_install(struct ticket_keys *keys, SSL_CTX *ctx);
/* A new current key once TICKET_ROTATE_SECONDS have passed since the last; `now` in seconds, monotonic. The
 * first call only starts the clock. */
void ticket_keys_rotate(struct ticket_keys *keys, uint64_t now);
