/* Files kept open: found again while they are what their name stood for, and never for long.
 * Waits for the loop's timer, not for a time to pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/http/open_files.h"

#define ROOT 7

struct fixture {
    struct event_base *base;
    struct open_files *files;
    char directory[64];
};

static const char *path_of(const struct fixture *f, const char *name)
{
    static char paths[2][128];
    static unsigned next;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", f->directory, name);
    return path;
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    FILE *file = fopen(path_of(f, name), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct open_file *put(struct fixture *f, const char *name)
{
    struct stat stat;
    int fd = open(path_of(f, name), O_RDONLY | O_CLOEXEC);
    assert_true(fd != -1);
    assert_int_equal(fstat(fd, &stat), 0);
    struct open_file *file = open_files_put(f->files, ROOT, name, fd, &stat);
    assert_non_null(file);
    assert_int_equal(file->fd, fd);
    return file;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->base = event_base_new();
    f->files = open_files_new(f->base, 3);
    assert_non_null(f->files);
    strcpy(f->directory, "/tmp/sluice-open-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    write_file(f, "a", "hello");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    const char *names[] = {"a", "b", "c", "d", "e", "moved", "tick"};
    open_files_free(f->files);
    event_base_free(f->base);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(path_of(f, names[i]));
    assert_int_equal(rmdir(f->directory), 0);
    free(f);
    return 0;
}

static void test_found_again(void **state)
{
    struct fixture *f = *state;
    assert_null(open_files_get(f->files, ROOT, "a"));
    struct open_file *first = put(f, "a"), *again = open_files_get(f->files, ROOT, "a");
    assert_ptr_equal(first, again);
    assert_int_equal(again->stat.st_size, 5);
    assert_null(open_files_get(f->files, ROOT + 1, "a"));
    assert_null(open_files_get(f->files, ROOT, "A"));
    open_file_unref(first);
    open_file_unref(again);
    assert_true(is_open(again->fd));
}

static void overwrite(const struct fixture *f)
{
    write_file(f, "a", "other text");
}
static void grow(const struct fixture *f)
{
    assert_int_equal(truncate(path_of(f, "a"), 100), 0);
}
static void delete (const struct fixture *f)
{
    assert_int_equal(unlink(path_of(f, "a")), 0);
}
static void replace(const struct fixture *f)
{
    write_file(f, "b", "hello");
    assert_int_equal(rename(path_of(f, "b"), path_of(f, "a")), 0);
}
static void move_away(const struct fixture *f)
{
    assert_int_equal(rename(path_of(f, "a"), path_of(f, "moved")), 0);
}
static void forbid(const struct fixture *f)
{
    assert_int_equal(chmod(path_of(f, "a"), 0), 0);
}

/* The clock of a file system ticks every few milliseconds: until it has, a change leaves no trace in times.
 */
static void wait_for_tick(const struct fixture *f, const struct stat *since)
{
    struct stat now;
    do {
        write_file(f, "tick", "");
        assert_int_equal(stat(path_of(f, "tick"), &now), 0);
    } while (now.st_ctim.tv_sec == since->st_ctim.tv_sec && now.st_ctim.tv_nsec == since->st_ctim.tv_nsec);
}

static void test_every_change_of_the_file_is_seen(void **state)
{
    static void (*const changes[])(const struct fixture *f) = {overwrite, grow,      delete,
                                                               replace,   move_away, forbid};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        unlink(path_of(f, "a"));
        write_file(f, "a", "hello");
        struct open_file *file = put(f, "a");
        int fd = file->fd;
        wait_for_tick(f, &file->stat);
        assert_ptr_equal(open_files_get(f->files, ROOT, "a"), file);
        open_file_unref(file);
        changes[i](f);
        assert_null(open_files_get(f->files, ROOT, "a"));
        assert_true(is_open(fd)); /* our reference */
        open_file_unref(file);
        assert_false(is_open(fd));
    }
}

static void test_never_more_than_the_limit(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct fixture *f = *state;
    for (size_t i = 0; i < 5; i++) {
        write_file(f, names[i], "x");
        open_file_unref(put(f, names[i]));
    }
    for (size_t i = 0; i < 5; i++) {
        struct open_file *file = open_files_get(f->files, ROOT, names[i]);
        assert_int_equal(file != NULL, i >= 2);
        open_file_unref(file);
    }
    assert_true(open_files_clear(f->files));
    assert_false(open_files_clear(f->files));
    for (size_t i = 0; i < 5; i++)
        assert_null(open_files_get(f->files, ROOT, names[i]));
}

static void test_a_name_opened_twice(void **state)
{
    struct fixture *f = *state;
    struct open_file *first = put(f, "a"), *second = put(f, "a");
    struct open_file *found = open_files_get(f->files, ROOT, "a");
    assert_ptr_equal(found, second);
    int fd = first->fd;
    open_file_unref(first);
    assert_false(is_open(fd));
    open_file_unref(second);
    open_file_unref(found);
}

static void test_nothing_is_kept_for_long(void **state)
{
    struct fixture *f = *state;
    struct open_file *file = put(f, "a");
    int fd = file->fd;
    open_file_unref(file);
    assert_true(is_open(fd));
    event_base_dispatch(f->base); /* returns when the timer is not pending any more */
    assert_false(is_open(fd));
    assert_null(open_files_get(f->files, ROOT, "a"));
}

static void test_a_file_in_use_outlives_the_cache(void **state)
{
    struct fixture *f = *state;
    struct open_file *file = put(f, "a");
    int fd = file->fd;
    open_files_free(f->files);
    f->files = open_files_new(f->base, 0);
    assert_true(is_open(fd));
    open_file_unref(file);
    assert_false(is_open(fd));
    /* A cache of no files gives what it is given, and keeps nothing. */
    file = put(f, "a");
    assert_null(open_files_get(f->files, ROOT, "a"));
    open_file_unref(file);
    open_file_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_change_of_the_file_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_never_more_than_the_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_name_opened_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_is_kept_for_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_in_use_outlives_the_cache, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
