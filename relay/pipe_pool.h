/* Pipes for splice, pooled per worker: made once, sized, lent while bytes move, kept empty.
 * Facts (kernel.md 1): an unprivileged user gets 16384 pages of pipe, past which pipe() gives 2 slots and
 * F_SETPIPE_SZ says EPERM; so every size is read back, and a shortage is remembered for a moment only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct relay_pipe {
    int read_fd, write_fd;
    size_t size;  /* as F_GETPIPE_SZ said */
    size_t bytes; /* in it now; kept by the mover */
    struct relay_pipe *next;
};

struct pipe_pool;

#define PIPE_SIZE_MIN (64u << 10) /* four TLS records; less and kTLS RX may lose bytes (kernel.md 3) */

struct pipe_pool *pipe_pool_new(size_t pipe_size);
void pipe_pool_free(struct pipe_pool *pool); /* every pipe must be back */

/* An empty pipe of at least PIPE_SIZE_MIN, or NULL: none to be had now (asks the kernel again only after
 * PIPE_RETRY_MS). */
struct relay_pipe *pipe_pool_get(struct pipe_pool *pool);
#define PIPE_RETRY_MS 250

/* Gives it back. One with bytes in it is closed, never reused. */
void pipe_pool_put(struct pipe_pool *pool, struct relay_pipe *pipe);

size_t pipe_pool_open(const struct pipe_pool *pool); /* pipes that exist: lent and idle */
size_t pipe_pool_lent(const struct pipe_pool *pool);
