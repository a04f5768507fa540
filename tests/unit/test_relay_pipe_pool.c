/* The pool of pipes: sizes as the kernel grants them, reuse, and what happens when there are none: no
 * descriptors, or the user's pages spent, where the kernel makes pipes of two slots.
 * Refuses to know what is spliced through them. */
#include "relay_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

static size_t real_size(const struct relay_pipe *pipe)
{
    int size = fcntl(pipe->write_fd, F_GETPIPE_SZ);
    assert_return_code(size, errno);
    return (size_t)size;
}

static void sizes_are_the_kernels(void **state)
{
    (void)state;
    static const size_t asked[] = {0, 1, 65536, 65537, 100000, 1 << 20};
    for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
        struct pipe_pool *pool = pipe_pool_new(asked[i]);
        assert_non_null(pool);
        struct relay_pipe *pipe = pipe_pool_get(pool);
        assert_non_null(pipe);
        assert_int_equal(pipe->size, real_size(pipe));
        assert_true(pipe->size >= PIPE_SIZE_MIN);
        assert_true(pipe->size >= asked[i]);
        assert_int_equal(pipe->bytes, 0);
        assert_true(fcntl(pipe->read_fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(pipe->write_fd, F_GETFD) & FD_CLOEXEC);
        pipe_pool_put(pool, pipe);
        pipe_pool_free(pool);
    }
}

static void a_returned_pipe_is_lent_again(void **state)
{
    (void)state;
    struct pipe_pool *pool = pipe_pool_new(PIPE_SIZE_MIN);
    struct relay_pipe *a = pipe_pool_get(pool), *b = pipe_pool_get(pool);
    assert_int_equal(pipe_pool_open(pool), 2);
    assert_int_equal(pipe_pool_lent(pool), 2);
    pipe_pool_put(pool, a);
    pipe_pool_put(pool, b);
    assert_int_equal(pipe_pool_open(pool), 2);
    assert_int_equal(pipe_pool_lent(pool), 0);
    assert_ptr_equal(pipe_pool_get(pool), b); /* the warm one first */
    assert_ptr_equal(pipe_pool_get(pool), a);
    assert_int_equal(pipe_pool_open(pool), 2);
    pipe_pool_put(pool, a);
    pipe_pool_put(pool, b);
    pipe_pool_put(pool, NULL);
    pipe_pool_free(pool);
    pipe_pool_free(NULL);
}

/* Bytes of a connection that died must never reach another. */
static void a_pipe_with_bytes_is_closed(void **state)
{
    (void)state;
    struct pipe_pool *pool = pipe_pool_new(PIPE_SIZE_MIN);
    struct relay_pipe *pipe = pipe_pool_get(pool);
    int read_fd = pipe->read_fd;
    assert_int_equal(write(pipe->write_fd, "secret", 6), 6);
    pipe->bytes = 6;
    pipe_pool_put(pool, pipe);
    assert_int_equal(pipe_pool_open(pool), 0);
    assert_int_equal(fcntl(read_fd, F_GETFD), -1);

    pipe = pipe_pool_get(pool);
    char byte;
    assert_int_equal(read(pipe->read_fd, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    pipe_pool_put(pool, pipe);
    pipe_pool_free(pool);
}

/* However many were lent at once, only some are kept: an unprivileged user has 64 of 1 MiB for all workers.
 */
static void idle_pipes_are_bounded(void **state)
{
    (void)state;
    enum { MANY = 100 };
    struct pipe_pool *pool = pipe_pool_new(PIPE_SIZE_MIN);
    struct relay_pipe *pipes[MANY];
    for (int i = 0; i < MANY; i++) {
        pipes[i] = pipe_pool_get(pool);
        assert_non_null(pipes[i]);
    }
    for (int i = 0; i < MANY; i++)
        pipe_pool_put(pool, pipes[i]);
    assert_int_equal(pipe_pool_lent(pool), 0);
    assert_in_range(pipe_pool_open(pool), 1, 16);
    pipe_pool_free(pool);
}

/* No descriptors: NULL, and not asked again at once; but a shortage is not for life. */
static void a_shortage_passes(void **state)
{
    (void)state;
    struct pipe_pool *pool = pipe_pool_new(PIPE_SIZE_MIN);
    struct relay_pipe *before = pipe_pool_get(pool);
    assert_non_null(before);
    struct rlimit limit, none;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    none = limit;
    none.rlim_cur = 3; /* below what is open already */
    assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
    struct relay_pipe *during = pipe_pool_get(pool);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
    uint64_t lifted = test_now_ms();
    assert_null(during);
    assert_int_equal(pipe_pool_lent(pool), 1);
    assert_null(pipe_pool_get(pool)); /* the kernel isn't asked for every byte that comes */

    struct relay_pipe *after = NULL;
    while (after == NULL && test_now_ms() < lifted + 20 * PIPE_RETRY_MS)
        after = pipe_pool_get(pool);
    assert_non_null(after);
    assert_true(test_now_ms() + 20 >= lifted + PIPE_RETRY_MS);
    pipe_pool_put(pool, after);

    pipe_pool_put(pool, before); /* one that comes back ends the shortage for whoever asks next */
    assert_ptr_equal(pipe_pool_get(pool), before);
    pipe_pool_put(pool, before);
    pipe_pool_free(pool);
}

static long soft_limit(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/sys/fs/pipe-user-pages-soft", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &pages), 1);
    fclose(file);
    return pages;
}

enum { CHILD_GOOD, CHILD_NEVER_NULL, CHILD_SMALL_PIPE, CHILD_NOT_SPENT, CHILD_NOT_AGAIN, CHILD_SETUP };

/* As a user without privileges: takes pipes until the pool has none, then looks whether the kernel would have
 * given one of two slots, which the pool must not have lent. */
static int spend_all_pages(long pages)
{
    struct pipe_pool *pool = pipe_pool_new(LOOP_PIPE_SIZE);
    struct relay_pipe *last = NULL, *pipe;
    for (long i = 0; (pipe = pipe_pool_get(pool)) != NULL; i++) {
        if (pipe->size < PIPE_SIZE_MIN || (size_t)fcntl(pipe->read_fd, F_GETPIPE_SZ) != pipe->size)
            return CHILD_SMALL_PIPE;
        if (i > pages)
            return CHILD_NEVER_NULL;
        last = pipe;
    }
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) == -1)
        return CHILD_SETUP;
    if (fcntl(fds[0], F_GETPIPE_SZ) >= (int)PIPE_SIZE_MIN)
        return CHILD_NOT_SPENT;
    close(fds[0]);
    close(fds[1]);
    if (last == NULL)
        return CHILD_SETUP;
    pipe_pool_put(pool, last);
    return pipe_pool_get(pool) == last ? CHILD_GOOD : CHILD_NOT_AGAIN;
}

static void two_slot_pipes_are_not_lent(void **state)
{
    (void)state;
    long pages = soft_limit();
    assert_true(pages > 0); /* the default is 16384; 0 (no limit) would leave nothing to test */
    struct rlimit limit;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    pid_t child = fork();
    assert_return_code(child, errno);
    if (child == 0) {
        limit.rlim_cur = limit.rlim_max;
        /* A user of whom there is nobody else, whose pages are all ours to spend. */
        uid_t user = 100000 + (uid_t)getpid();
        if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
            _exit(CHILD_SETUP);
        if (geteuid() == 0 && (setgid(user) == -1 || setuid(user) == -1))
            _exit(CHILD_SETUP);
        _exit(spend_all_pages(pages));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CHILD_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_the_kernels),       cmocka_unit_test(a_returned_pipe_is_lent_again),
        cmocka_unit_test(a_pipe_with_bytes_is_closed), cmocka_unit_test(idle_pipes_are_bounded),
        cmocka_unit_test(a_shortage_passes),           cmocka_unit_test(two_slot_pipes_are_not_lent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
