/* Makes pipes, sizes them, lends them and takes them back, most recently used first (its pages are warm).
 * Refuses to know what flows through them. */
#include "relay/pipe_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay/loop.h"

/* Idle pipes kept for reuse. An empty pipe costs two descriptors, 40 bytes a slot and no pages; but its size
 * counts against what all workers together may have as an unprivileged user (64 of 1 MiB), so a worker that
 * was busy once must not keep them all. */
#define PIPE_IDLE_MAX 8

struct pipe_pool {
    struct relay_pipe *idle;
    size_t idle_count, open_count, size;
    uint64_t shortage_until; /* loop_now_ms(): no new pipe is asked for before this */
};

struct pipe_pool *pipe_pool_new(size_t pipe_size)
{
    struct pipe_pool *pool = calloc(1, sizeof(*pool));
    if (pool != NULL)
        pool->size = pipe_size < PIPE_SIZE_MIN ? PIPE_SIZE_MIN : pipe_size;
    return pool;
}

static void destroy(struct pipe_pool *pool, struct relay_pipe *pipe)
{
    close(pipe->read_fd);
    close(pipe->write_fd);
    free(pipe);
    pool->open_count--;
}

void pipe_pool_free(struct pipe_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->idle != NULL) {
        struct relay_pipe *pipe = pool->idle;
        pool->idle = pipe->next;
        destroy(pool, pipe);
    }
    free(pool);
}

/* The largest size up to the one asked for that the kernel grants: past the user's limit it refuses to grow
 * with EPERM, so halve. Returns what F_GETPIPE_SZ says then, which alone is true. */
static size_t grow(int fd, size_t wanted)
{
    for (size_t size = wanted; size >= PIPE_SIZE_MIN; size /= 2)
        if (fcntl(fd, F_SETPIPE_SZ, (int)size) != -1)
            break;
    int got = fcntl(fd, F_GETPIPE_SZ);
    return got == -1 ? 0 : (size_t)got;
}

static struct relay_pipe *create(struct pipe_pool *pool)
{
    struct relay_pipe *pipe = calloc(1, sizeof(*pipe));
    if (pipe == NULL)
        return NULL;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
        free(pipe);
        return NULL;
    }
    pool->open_count++;
    pipe->read_fd = fds[0];
    pipe->write_fd = fds[1];
    pipe->size = grow(pipe->write_fd, pool->size);
    if (pipe->size < PIPE_SIZE_MIN) {
        destroy(pool, pipe);
        return NULL;
    }
    return pipe;
}

struct relay_pipe *pipe_pool_get(struct pipe_pool *pool)
{
    struct relay_pipe *pipe = pool->idle;
    if (pipe != NULL) {
        pool->idle = pipe->next;
        pool->idle_count--;
        pipe->next = NULL;
        return pipe;
    }
    uint64_t now = loop_now_ms();
    if (now < pool->shortage_until)
        return NULL;
    pipe = create(pool);
    if (pipe == NULL)
        pool->shortage_until = now + PIPE_RETRY_MS;
    return pipe;
}

void pipe_pool_put(struct pipe_pool *pool, struct relay_pipe *pipe)
{
    if (pipe == NULL)
        return;
    if (pipe->bytes != 0 || pool->idle_count >= PIPE_IDLE_MAX) {
        destroy(pool, pipe);
        return;
    }
    pipe->next = pool->idle;
    pool->idle = pipe;
    pool->idle_count++;
}

size_t pipe_pool_open(const struct pipe_pool *pool)
{
    return pool->open_count;
}

size_t pipe_pool_lent(const struct pipe_pool *pool)
{
    return pool->open_count - pool->idle_count;
}
