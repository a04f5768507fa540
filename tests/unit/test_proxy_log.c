/* The access log: order, bounded queue, reopening, changing over, and writers that can't write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "proxy/log.h"
#include "proxy/report.h"

static char directory[64];

static const char *path_of(const char *name)
{
    static char paths[4][96];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static int group_setup(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/sluice-log-XXXXXX");
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int group_teardown(void **state)
{
    static const char *const names[] = {"a", "b", "old", "pipe", "order", "full", "fifo"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(path_of(names[i]));
    return rmdir(directory);
}

static void use_file(struct log *log, const char *path)
{
    const int fd = log_open_target(LOG_FILE, path, (unsigned)-1, (unsigned)-1);

    assert_true(fd >= 0);
    assert_int_equal(log_switch(log, &(struct log_sink){LOG_FILE, LOG_JSON, fd, path}), 0);
}

static void post(struct log *log, uint64_t id)
{
    const struct report report = {.id = id, .listener = "l"};

    log_post(log, &report);
}

static void wait_written(struct log *log, uint64_t count)
{
    for (int i = 0; i < 5000 && log_written(log) < count; i++)
        poll(NULL, 0, 1);
    assert_int_equal(log_written(log), count);
}

/* The ids in a file, line by line; how many. */
static size_t read_ids(const char *path, uint64_t *ids, size_t capacity)
{
    FILE *file = fopen(path, "r");
    char line[1024];
    size_t count = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        json_t *root = json_loads(line, 0, NULL);

        assert_non_null(root);
        assert_int_equal(line[strlen(line) - 1], '\n');
        assert_true(count < capacity);
        ids[count++] = (uint64_t)json_integer_value(json_object_get(root, "id"));
        json_decref(root);
    }
    fclose(file);
    return count;
}

static void test_lines_in_order_and_flushed_at_the_end(void **state)
{
    static uint64_t ids[3000];
    struct log *log = log_new(0);
    const char *path = path_of("order");

    (void)state;
    post(log, 99); /* off: nobody wants it, and nothing is dropped */
    use_file(log, path);
    assert_int_equal(log_start(log), 0);
    for (uint64_t i = 0; i < 3000; i++)
        post(log, i);
    assert_int_equal(log_dropped(log), 0);
    log_free(log);
    assert_int_equal(read_ids(path, ids, 3000), 3000);
    for (uint64_t i = 0; i < 3000; i++)
        assert_int_equal(ids[i], i);
}

static void test_a_full_queue_drops_and_counts(void **state)
{
    uint64_t ids[16];
    struct log *log = log_new(10);
    const char *path = path_of("full");

    (void)state;
    use_file(log, path);
    for (uint64_t i = 0; i < 25; i++) /* no thread yet: nobody empties it */
        post(log, i);
    assert_int_equal(log_dropped(log), 15);
    assert_int_equal(log_start(log), 0);
    wait_written(log, 10);
    log_free(log);
    assert_int_equal(read_ids(path, ids, 16), 10);
    assert_int_equal(ids[9], 9);
}

static void test_reopen_and_switch(void **state)
{
    uint64_t ids[8];
    struct log *log = log_new(0);
    const char *a = path_of("a"), *b = path_of("b"), *old = path_of("old");

    (void)state;
    use_file(log, a);
    assert_int_equal(log_start(log), 0);
    post(log, 1);
    wait_written(log, 1);
    assert_int_equal(rename(a, old), 0);
    post(log, 2); /* still into the file that was renamed */
    wait_written(log, 2);
    log_reopen(log);
    post(log, 3);
    wait_written(log, 3);
    use_file(log, b);
    post(log, 4);
    wait_written(log, 4);
    assert_int_equal(log_switch(log, &(struct log_sink){.target = LOG_OFF, .fd = -2}), 0);
    post(log, 5);
    log_free(log);
    assert_int_equal(read_ids(old, ids, 8), 2);
    assert_int_equal(read_ids(a, ids, 8), 1);
    assert_int_equal(ids[0], 3);
    assert_int_equal(read_ids(b, ids, 8), 1);
    assert_int_equal(ids[0], 4);
}

static void test_a_file_that_cannot_be_reopened_is_used_on(void **state)
{
    uint64_t ids[8];
    struct log *log = log_new(0);
    const char *a = path_of("a"), *old = path_of("old");
    int complaints = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)state;
    unlink(old);
    use_file(log, a);
    assert_int_equal(log_start(log), 0);
    assert_int_equal(rename(a, old), 0);
    assert_int_equal(mkdir(a, 0700), 0);
    dup2(nowhere, STDERR_FILENO); /* it complains there */
    log_reopen(log);
    post(log, 6);
    wait_written(log, 1);
    dup2(complaints, STDERR_FILENO);
    log_free(log);
    assert_int_equal(rmdir(a), 0);
    assert_true(read_ids(old, ids, 8) >= 1);
    close(complaints);
    close(nowhere);
}

/* A pipe that nobody reads must hold up neither those who post nor the end. */
static void test_a_stuck_reader(void **state)
{
    const char *path = path_of("pipe");
    struct log *log = log_new(50);
    struct timespec began, ended;
    int reader, writer;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    writer = log_open_target(LOG_FILE, path, (unsigned)-1, (unsigned)-1);
    assert_true(reader >= 0 && writer >= 0);
    assert_int_equal(log_switch(log, &(struct log_sink){LOG_FILE, LOG_JSON, writer, path}), 0);
    assert_int_equal(log_start(log), 0);
    for (uint64_t i = 0; i < 20000; i++)
        post(log, i);
    assert_true(log_dropped(log) > 0);
    clock_gettime(CLOCK_MONOTONIC, &began);
    log_free(log);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(ended.tv_sec - began.tv_sec <= LOG_FLUSH_MS / 1000 + 3);
    close(reader);
}

/* One that nobody has opened for reading is an error, not a wait without end. */
static void test_a_pipe_without_reader_is_refused(void **state)
{
    const char *path = path_of("fifo");

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10); /* instead of hanging */
    assert_int_equal(log_open_target(LOG_FILE, path, (unsigned)-1, (unsigned)-1), -1);
    assert_int_equal(errno, ENXIO);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_in_order_and_flushed_at_the_end),
        cmocka_unit_test(test_a_full_queue_drops_and_counts),
        cmocka_unit_test(test_reopen_and_switch),
        cmocka_unit_test(test_a_file_that_cannot_be_reopened_is_used_on),
        cmocka_unit_test(test_a_stuck_reader),
        cmocka_unit_test(test_a_pipe_without_reader_is_refused),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
