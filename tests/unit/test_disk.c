/* The threads that wait for disks: each job is worked on and told once, on the thread that asked; one that
 * was cancelled is dropped; a port that has closed gets nothing. Reading ahead of a file that is not in
 * memory. Refuses to know HTTP (system tests: test_disk.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/disk.h"
#include "proxy/http/fill.h"
#include "proxy/http/opener.h"
#include "proxy/mailbox.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct world {
    struct event_base *base;
    struct mailbox *mailbox;
    struct disk *disk;
    struct disk_port *port;
};

static void open_world(struct world *world, unsigned threads)
{
    world->base = event_base_new();
    world->mailbox = mailbox_new(world->base, NULL);
    world->disk = disk_new();
    assert_non_null(world->mailbox);
    assert_int_equal(disk_start(world->disk, threads), 0);
    world->port = disk_port_new(world->disk, world->mailbox);
    assert_non_null(world->port);
}

static void close_world(struct world *world)
{
    disk_port_close(world->port);
    mailbox_close(world->mailbox);
    disk_free(world->disk);
    mailbox_free(world->mailbox);
    event_base_free(world->base);
}

struct job {
    struct disk_job job; /* first */
    pthread_t asked_by;
    pthread_mutex_t *gate; /* held: work waits */
    _Atomic bool worked;
    _Atomic unsigned done, dropped;
};

static void work(struct disk_job *base)
{
    struct job *job = (struct job *)base;
    assert_false(pthread_equal(pthread_self(), job->asked_by));
    if (job->gate != NULL) {
        pthread_mutex_lock(job->gate);
        pthread_mutex_unlock(job->gate);
    }
    job->worked = true;
}

static void done(struct disk_job *base)
{
    struct job *job = (struct job *)base;
    assert_true(pthread_equal(pthread_self(), job->asked_by));
    assert_true(job->worked);
    job->done++;
}

static void drop(struct disk_job *base)
{
    ((struct job *)base)->dropped++;
}

static void submit(struct world *world, struct job *job)
{
    job->job = (struct disk_job){.work = work, .done = done, .drop = drop};
    job->asked_by = pthread_self();
    disk_submit(world->port, &job->job);
}

static void every_job_is_told_once(void **state)
{
    (void)state;
    enum { JOBS = 500 };
    static struct job jobs[JOBS];
    struct world world;
    open_world(&world, 4);
    for (int i = 0; i < JOBS; i++)
        submit(&world, &jobs[i]);
    for (int i = 0; i < JOBS; i++)
        while (jobs[i].done == 0)
            event_base_loop(world.base, EVLOOP_ONCE);
    for (int i = 0; i < JOBS; i++)
        assert_true(jobs[i].done == 1 && jobs[i].dropped == 0);
    assert_int_equal(disk_jobs_total(world.disk), JOBS);
    close_world(&world);
}

/* The first is being worked on, the second waits behind it: neither is told any more. */
static void a_cancelled_job_is_dropped(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct job first = {.gate = &gate}, second = {0}, third = {0};
    struct world world;
    open_world(&world, 1);
    pthread_mutex_lock(&gate);
    submit(&world, &first);
    submit(&world, &second);
    submit(&world, &third);
    disk_cancel(&first.job);
    disk_cancel(&second.job);
    pthread_mutex_unlock(&gate);
    while (third.done == 0)
        event_base_loop(world.base, EVLOOP_ONCE);
    assert_true(first.dropped == 1 && first.done == 0);
    assert_true(second.dropped == 1 && second.done == 0 && !second.worked);
    close_world(&world);
}

/* A worker ends while its jobs wait for a disk: they are dropped by whoever has them. */
static void a_closed_port_gets_nothing(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    static struct job jobs[3];
    struct world world;
    open_world(&world, 1);
    pthread_mutex_lock(&gate);
    jobs[0].gate = &gate;
    for (int i = 0; i < 3; i++)
        submit(&world, &jobs[i]);
    for (int i = 0; i < 3; i++)
        disk_cancel(&jobs[i].job);
    disk_port_close(world.port);
    world.port = NULL;
    mailbox_close(world.mailbox);
    pthread_mutex_unlock(&gate);
    close_world(&world);
    for (int i = 0; i < 3; i++)
        assert_true(jobs[i].dropped == 1 && jobs[i].done == 0);
}

/* --- fill --- */

static void on_filled(void *arg)
{
    ++*(unsigned *)arg;
}

enum { FILE_SIZE = 3 << 20 };

/* A file on a disk (the build directory, tmpfs is always in memory), thrown out of the page cache. */
static int make_cold_file(void)
{
    char name[] = "cold-XXXXXX";
    int fd = mkstemp(name);
    char *bytes = malloc(FILE_SIZE);
    assert_true(fd != -1 && bytes != NULL);
    unlink(name);
    memset(bytes, 'x', FILE_SIZE);
    assert_int_equal(write(fd, bytes, FILE_SIZE), FILE_SIZE);
    free(bytes);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return fd;
}

static void init_fill(struct http_fill *fill, const struct world *world, int fd, unsigned *filled)
{
    http_fill_init(
        fill, &(struct http_fill_options){
                  .disk = world->port, .fd = fd, .end = FILE_SIZE, .on_filled = on_filled, .arg = filled});
}

static void what_is_not_in_memory_is_read_first(void **state)
{
    (void)state;
    struct world world;
    struct http_fill fill;
    unsigned filled = 0;
    char *rest = malloc(1 << 20);
    assert_non_null(rest);
    int fd = make_cold_file();
    open_world(&world, 2);
    init_fill(&fill, &world, fd, &filled);
    assert_false(http_fill_ready(&fill, 0, 2 << 20));
    assert_false(http_fill_ready(&fill, 0, 2 << 20)); /* still being read */
    while (filled == 0)
        event_base_loop(world.base, EVLOOP_ONCE);
    assert_true(http_fill_ready(&fill, 0, 2 << 20));
    assert_true(http_fill_ready(&fill, 1 << 20, 1 << 20));
    assert_int_equal(disk_jobs_total(world.disk), 1);
    /* Another asks afresh, and finds it in memory. */
    http_fill_stop(&fill);
    init_fill(&fill, &world, fd, &filled);
    assert_true(http_fill_ready(&fill, 0, 2 << 20));
    assert_true(http_fill_ready(&fill, 4096, 1));
    assert_int_equal(disk_jobs_total(world.disk), 1);
    /* All that there is is looked at together, up to the file's end. */
    http_fill_stop(&fill);
    assert_int_equal(pread(fd, rest, 1 << 20, 2 << 20), 1 << 20);
    free(rest);
    init_fill(&fill, &world, fd, &filled);
    assert_true(http_fill_ready(&fill, 0, 2 << 20));
    assert_int_equal(fill.to, FILE_SIZE);
    http_fill_stop(&fill);
    close(fd);
    close_world(&world);
}

/* Only some of it in memory: what is asked for counts, and what is missing further on is not read for it. */
static void a_patchy_file_is_looked_at_as_far_as_asked(void **state)
{
    (void)state;
    struct world world;
    struct http_fill fill;
    unsigned filled = 0;
    char byte;
    int fd = make_cold_file();
    open_world(&world, 1);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    init_fill(&fill, &world, fd, &filled);
    assert_true(http_fill_ready(&fill, 0, 4096));
    assert_int_equal(fill.to, 4096);
    assert_false(http_fill_ready(&fill, 2 << 20, 4096));
    http_fill_stop(&fill);
    close(fd);
    close_world(&world);
}

/* Its first and last page are in memory, and nothing between them. Kernels before 6.5 can't be asked: there a
 * small gap is not seen. */
static void a_gap_is_noticed(void **state)
{
    (void)state;
    struct world world;
    struct http_fill fill;
    unsigned filled = 0;
    int fd = make_cold_file();
    char byte;
    const struct {
        uint64_t offset, length;
    } all = {0, 0};
    uint64_t found[5];
    if (syscall(SYS_cachestat, fd, &all, found, 0) == -1) {
        close(fd);
        skip();
    }
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* no read-ahead */
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    assert_int_equal(pread(fd, &byte, 1, 99999), 1);
    open_world(&world, 1);
    init_fill(&fill, &world, fd, &filled);
    assert_true(http_fill_ready(&fill, 0, 1000));
    assert_false(http_fill_ready(&fill, 0, 100000));
    while (filled == 0)
        event_base_loop(world.base, EVLOOP_ONCE);
    assert_true(http_fill_ready(&fill, 0, 100000));
    assert_int_equal(disk_jobs_total(world.disk), 1);
    http_fill_stop(&fill);
    close(fd);
    close_world(&world);
}

/* Truncated while it is read, and stopped half-way: the one is the sender's matter, the other nobody's. */
static void reading_ends_whatever_happens(void **state)
{
    (void)state;
    struct world world;
    struct http_fill fill;
    unsigned filled = 0;
    int fd = make_cold_file();
    open_world(&world, 1);
    init_fill(&fill, &world, fd, &filled);
    assert_false(http_fill_ready(&fill, 0, FILE_SIZE));
    assert_int_equal(ftruncate(fd, 100), 0);
    while (filled == 0)
        event_base_loop(world.base, EVLOOP_ONCE);
    assert_true(http_fill_ready(&fill, 0, FILE_SIZE));
    http_fill_stop(&fill);
    close(fd);

    fd = make_cold_file();
    init_fill(&fill, &world, fd, &filled);
    assert_false(http_fill_ready(&fill, 0, FILE_SIZE));
    http_fill_stop(&fill);
    close(fd);
    close_world(&world);
    assert_int_equal(filled, 1);
}

/* --- opener --- */

struct opened {
    struct http_opening opening; /* first */
    unsigned answers;
    int error, fd;
};

static void on_opened(struct http_opening *opening, int error, int fd, const struct stat *stat)
{
    struct opened *opened = (struct opened *)opening;
    opened->answers++;
    opened->error = error;
    opened->fd = fd;
    assert_true(error != 0 || S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode));
}

static void names_in_memory_are_opened_at_once(void **state)
{
    (void)state;
    struct world world;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    open_world(&world, 1);
    for (int local = 0; local < 2; local++) {
        static const struct {
            const char *path;
            int error;
        } cases[] = {{"etc/passwd", 0}, {"etc/there-is-none", ENOENT}, {"etc", 0}};
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
            struct opened opened = {
                .opening = {.what = {.root_fd = root, .path = cases[i].path},
                            .is_local = local == 1 && http_root_kind(root) != HTTP_ROOT_REMOTE,
                            .disk = world.port,
                            .on_opened = on_opened}};
            http_opener_disk.open(NULL, &opened.opening);
            if (local == 0)
                assert_int_equal(opened.answers, 0); /* whatever is in memory: its server must be asked */
            while (opened.answers == 0)
                event_base_loop(world.base, EVLOOP_ONCE);
            assert_int_equal(opened.answers, 1);
            assert_int_equal(opened.error, cases[i].error);
            if (opened.fd != -1)
                close(opened.fd);
        }
    }
    struct opened cancelled = {.opening = {.what = {.root_fd = root, .path = "etc/passwd"},
                                           .disk = world.port,
                                           .on_opened = on_opened}};
    http_opener_disk.open(NULL, &cancelled.opening);
    http_opener_disk.cancel(NULL, &cancelled.opening);
    close(root);
    close_world(&world);
    assert_int_equal(cancelled.answers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_is_told_once),
        cmocka_unit_test(a_cancelled_job_is_dropped),
        cmocka_unit_test(a_closed_port_gets_nothing),
        cmocka_unit_test(what_is_not_in_memory_is_read_first),
        cmocka_unit_test(a_patchy_file_is_looked_at_as_far_as_asked),
        cmocka_unit_test(a_gap_is_noticed),
        cmocka_unit_test(reading_ends_whatever_happens),
        cmocka_unit_test(names_in_memory_are_opened_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
