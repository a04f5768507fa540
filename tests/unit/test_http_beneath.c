/* What is opened beneath a root by each policy for links. Walking by hand agrees with the kernel wherever
 * owners don't matter: in a table, and over random trees of links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/http/beneath.h"
#include "proxy/http/link_walk.h"

#define STRANGER 4711 /* owns what isn't ours */

static char top[64];
static int root_fd = -1;

static void make_directory(const char *path)
{
    assert_int_equal(mkdirat(root_fd, path, 0755), 0);
}

static void make_file(const char *path)
{
    int fd = openat(root_fd, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd != -1);
    close(fd);
}

static void make_link(const char *target, const char *path)
{
    assert_int_equal(symlinkat(target, root_fd, path), 0);
}

static void give_away(const char *path)
{
    if (geteuid() == 0)
        assert_int_equal(fchownat(root_fd, path, STRANGER, STRANGER, AT_SYMLINK_NOFOLLOW), 0);
}

static int set_up(void **state)
{
    (void)state;
    char path[128];
    strcpy(top, "/tmp/sluice-beneath-XXXXXX");
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof(path), "%s/root", top);
    assert_int_equal(mkdir(path, 0755), 0);
    root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(root_fd != -1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    close(root_fd);
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command) == 0 ? 0 : -1;
}

static int open_by(enum http_symlinks symlinks, const char *path, ino_t *inode)
{
    const struct beneath what = {root_fd, path, symlinks};
    struct stat stat, again;
    int fd = -1;
    const int error = beneath_open(&what, &fd, &stat);
    assert_int_equal(fd == -1, error != 0);
    *inode = 0;
    if (error == 0) {
        assert_int_equal(fstat(fd, &again), 0);
        assert_int_equal(stat.st_ino, again.st_ino);
        assert_false(S_ISLNK(stat.st_mode));
        *inode = stat.st_ino;
        close(fd);
    }
    assert_int_equal(beneath_stat(&what, &stat), error);
    return error;
}

/* --- The table --- */

static const struct {
    const char *path;
    int on, same_owner, off; /* the errno, 0: opened */
    bool foreign;            /* depends on what belongs to a stranger */
} cases[] = {
    {".", 0, 0, 0, false},
    {"a.txt", 0, 0, 0, false},
    {"dir", 0, 0, 0, false},
    {"dir/file", 0, 0, 0, false},
    {"missing", ENOENT, ENOENT, ENOENT, false},
    {"a.txt/x", ENOTDIR, ENOTDIR, ENOTDIR, false},
    {"link", 0, 0, ELOOP, false},
    {"dirlink", 0, 0, ELOOP, false},
    {"dirlink/file", 0, 0, ELOOP, false},
    {"dirlink/missing", ENOENT, ENOENT, ELOOP, false},
    {"slashes/sub/file", 0, 0, ELOOP, false},
    {"slashes", 0, 0, ELOOP, false},
    {"dots", 0, 0, ELOOP, false},
    {"up/sub/file", 0, 0, ELOOP, false},
    {"dir/up", 0, 0, ELOOP, false},
    {"here/here/a.txt", 0, 0, ELOOP, false},
    {"chain", 0, 0, ELOOP, false},
    {"through", 0, 0, ELOOP, false},
    {"dangling", ENOENT, ENOENT, ELOOP, false},
    {"file-slash", ENOTDIR, ENOTDIR, ELOOP, false},
    {"loop", ELOOP, ELOOP, ELOOP, false},
    {"loop1/x", ELOOP, ELOOP, ELOOP, false},
    {"out", EXDEV, EXDEV, ELOOP, false},
    {"dir/out", EXDEV, EXDEV, ELOOP, false},
    {"parent", EXDEV, EXDEV, ELOOP, false},
    {"out-and-in", EXDEV, EXDEV, ELOOP, false},
    {"absolute", EXDEV, EXDEV, ELOOP, false},
    {"theirs.txt", 0, 0, 0, false},
    {"their-dir/file", 0, 0, 0, false},
    {"mine-to-theirs", 0, ELOOP, ELOOP, true},
    {"theirs-to-mine", 0, ELOOP, ELOOP, true},
    {"theirs-to-theirs", 0, 0, ELOOP, false},
    {"theirs-by-mine", 0, ELOOP, ELOOP, true},
    {"mine-by-theirs", 0, ELOOP, ELOOP, true},
    {"theirs-to-dir/file", 0, ELOOP, ELOOP, true},
    {"mine-to-their-dir/file", 0, ELOOP, ELOOP, true},
    {"theirs-to-their-dir/file", 0, 0, ELOOP, false},
    {"mine-through-theirs", 0, ELOOP, ELOOP, true},
    {"mine-to-mine-in-their-dir", 0, 0, ELOOP, false},
    {"mine-by-dots", 0, ELOOP, ELOOP, true},
    {"mine-to-their-slash/file", 0, ELOOP, ELOOP, true},
};

static void make_table(void)
{
    make_file("a.txt");
    make_file("../secret");
    make_directory("dir");
    make_directory("dir/sub");
    make_file("dir/file");
    make_file("dir/sub/file");
    make_link("a.txt", "link");
    make_link("dir", "dirlink");
    make_link("dir//", "slashes");
    make_link("dir/../a.txt", "dots");
    make_link("dir/sub/..", "up");
    make_link("../a.txt", "dir/up");
    make_link(".", "here");
    make_link("./link", "chain");
    make_link("here/slashes/../dirlink/sub/../up", "through");
    make_link("missing", "dangling");
    make_link("a.txt/", "file-slash");
    make_link("loop", "loop");
    make_link("loop2", "loop1");
    make_link("dir/../loop1", "loop2");
    make_link("../secret", "out");
    make_link("../../secret", "dir/out");
    make_link("..", "parent");
    make_link("../root/a.txt", "out-and-in");
    make_link("/etc/passwd", "absolute");
    make_file("theirs.txt");
    make_directory("their-dir");
    make_file("their-dir/file");
    make_link("theirs.txt", "mine-to-theirs");
    make_link("a.txt", "theirs-to-mine");
    make_link("theirs.txt", "theirs-to-theirs");
    make_link("mine-to-theirs", "theirs-by-mine");
    make_link("theirs-to-mine", "mine-by-theirs");
    make_link("dir", "theirs-to-dir");
    make_link("their-dir", "mine-to-their-dir");
    make_link("their-dir", "theirs-to-their-dir");
    make_link("theirs-to-dir/sub/file", "mine-through-theirs");
    make_link("their-dir/file", "mine-to-mine-in-their-dir");
    make_link("dir/../their-dir/.", "mine-by-dots");
    make_link("their-dir/", "mine-to-their-slash");
    static const char *const foreign[] = {"theirs.txt",         "their-dir",      "theirs-to-mine",
                                          "theirs-to-theirs",   "theirs-by-mine", "theirs-to-dir",
                                          "theirs-to-their-dir"};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        give_away(foreign[i]);
}

static void test_table(void **state)
{
    (void)state;
    make_table();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = cases[i].path;
        ino_t on, same_owner, off;
        print_message("%s\n", path);
        assert_int_equal(open_by(HTTP_SYMLINKS_ON, path, &on), cases[i].on);
        assert_int_equal(open_by(HTTP_SYMLINKS_OFF, path, &off), cases[i].off);
        /* Only root can make what belongs to somebody else. */
        const bool all_mine = cases[i].foreign && geteuid() != 0;
        assert_int_equal(open_by(HTTP_SYMLINKS_SAME_OWNER, path, &same_owner),
                         all_mine ? 0 : cases[i].same_owner);
        assert_true(same_owner == 0 || same_owner == on);
        assert_true(off == 0 || off == on);
    }
}

static void test_cached_answers_are_the_same(void **state)
{
    (void)state;
    make_table();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int symlinks = HTTP_SYMLINKS_ON; symlinks <= HTTP_SYMLINKS_OFF; symlinks++) {
            const struct beneath what = {root_fd, cases[i].path, (enum http_symlinks)symlinks};
            struct stat stat, cached_stat;
            int fd = -1, cached_fd = -1;
            const int error = beneath_open(&what, &fd, &stat);
            const int cached = beneath_open_cached(&what, &cached_fd, &cached_stat);
            assert_true(cached == EAGAIN || cached == error);
            assert_int_equal(cached_fd == -1, cached != 0);
            if (cached == 0)
                assert_int_equal(stat.st_ino, cached_stat.st_ino);
            close(fd);
            close(cached_fd);
        }
}

static void test_chains(void **state)
{
    (void)state;
    make_file("link0");
    for (int i = 1; i <= 41; i++) {
        char target[16], name[16];
        snprintf(target, sizeof(target), "link%d", i - 1);
        snprintf(name, sizeof(name), "link%d", i);
        make_link(target, name);
    }
    for (int symlinks = HTTP_SYMLINKS_ON; symlinks <= HTTP_SYMLINKS_SAME_OWNER; symlinks++) {
        ino_t inode;
        assert_int_equal(open_by((enum http_symlinks)symlinks, "link40", &inode), 0);
        assert_int_equal(open_by((enum http_symlinks)symlinks, "link41", &inode), ELOOP);
    }
}

/* Names and links that are as long as they can be, and longer. */
static void test_lengths(void **state)
{
    (void)state;
    char path[8192], text[4096];
    ino_t inode;
    make_directory("d");
    make_link("d", "l");
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i + 1 < sizeof(text) - 1; i += 2)
        memcpy(text + i, "./", 2);
    text[4094] = 'd';
    text[4095] = '\0';
    make_link(text, "longest");
    assert_int_equal(open_by(HTTP_SYMLINKS_SAME_OWNER, "longest", &inode), 0);
    /* It would not fit before what follows it: refused, where the kernel keeps several. */
    assert_int_equal(open_by(HTTP_SYMLINKS_SAME_OWNER, "longest/x", &inode), ENAMETOOLONG);
    strcpy(path, "l/");
    memset(path + 2, 'a', 300);
    path[302] = '\0';
    assert_int_equal(open_by(HTTP_SYMLINKS_SAME_OWNER, path, &inode), ENAMETOOLONG);
    for (size_t i = 0; i < 2500; i++)
        memcpy(path + 2 * i, i % 2 ? "./" : "l/", 2);
    path[5000] = '\0';
    assert_int_equal(open_by(HTTP_SYMLINKS_SAME_OWNER, path, &inode), ENAMETOOLONG);
}

/* --- Random trees --- */

static uint64_t seed;

static unsigned draw(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % below;
}

/* Some segments; dots: also "..", "." and empty ones, as links have them. */
static void draw_path(char path[128], bool dots)
{
    static const char *const names[] = {"d0", "d1", "d2", "f0", "l0", "l1", "l2", "l3",
                                        "l4", "l5", "..", ".",  "..", "",   ".."};
    const unsigned count = 1 + draw(5), choice = dots ? 15 : 10;
    memset(path, 0, 128);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            strcat(path, "/");
        strcat(path, names[draw(choice)]);
    }
    if (path[0] == '\0' || path[0] == '/')
        path[0] = '.';
}

static void make_random_tree(void)
{
    static const char *const directories[] = {"d0",    "d1",    "d2",    "d0/d1",    "d0/d2",
                                              "d1/d0", "d1/d1", "d2/d0", "d0/d1/d2", "d1/d1/d0"};
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        make_directory(directories[i]);
        for (int link = 0; link < 6; link++) {
            char target[128], name[160];
            draw_path(target, true);
            snprintf(name, sizeof(name), "%s/l%d", directories[i], link);
            make_link(target, name);
            if (i > 0)
                continue;
            draw_path(target, true);
            make_link(target, name + 3);
        }
        char name[160];
        snprintf(name, sizeof(name), "%s/f0", directories[i]);
        make_file(name);
    }
}

static void test_random_trees_agree_with_the_kernel(void **state)
{
    (void)state;
    unsigned opened = 0, refused = 0;
    make_random_tree();
    for (int i = 0; i < 20000; i++) {
        const struct beneath what = {root_fd, (char[128]){0}, HTTP_SYMLINKS_ON};
        struct stat stat, walked_stat;
        int fd, walked_fd;
        draw_path((char *)what.path, false);
        const int error = beneath_open(&what, &fd, &stat);
        const int walked = link_walk(root_fd, what.path, O_RDONLY, &walked_fd, &walked_stat);
        if (walked != error)
            fail_msg("%s: the kernel says %d, the walk %d", what.path, error, walked);
        if (error == 0) {
            assert_int_equal(stat.st_ino, walked_stat.st_ino);
            opened++;
            close(fd);
            close(walked_fd);
        } else {
            assert_int_equal(walked_fd, -1);
            refused++;
        }
    }
    print_message("%u opened, %u refused\n", opened, refused);
    assert_true(opened > 1000 && refused > 1000);
}

static int set_up_random(void **state)
{
    seed = 20;
    return set_up(state);
}

/* --- Races --- */

struct swapper {
    const char *one, *other;
    atomic_bool stop;
};

static void *swap(void *arg)
{
    struct swapper *swapper = arg;
    while (!swapper->stop)
        renameat2(root_fd, swapper->one, root_fd, swapper->other, RENAME_EXCHANGE);
    return NULL;
}

/* A stranger puts a link to what is ours where a file of his is, and back, all the time. */
static void test_no_race_is_won(void **state)
{
    (void)state;
    struct swapper swapper = {.one = "swapped", .other = "spare"};
    struct stat ours, stat;
    pthread_t thread;
    unsigned theirs = 0, refused = 0;
    if (geteuid() != 0)
        skip();
    make_directory("swapped");
    make_file("swapped/file");
    make_directory("ours");
    make_file("ours/file");
    make_link("ours", "spare");
    give_away("swapped");
    give_away("swapped/file");
    give_away("spare");
    assert_int_equal(fstatat(root_fd, "ours/file", &ours, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
    const struct beneath what = {root_fd, "swapped/file", HTTP_SYMLINKS_SAME_OWNER};
    for (int i = 0; i < 20000 || (i < 2000000 && (theirs == 0 || refused == 0)); i++) {
        int fd;
        const int error = beneath_open(&what, &fd, &stat);
        if (error == 0) {
            assert_int_not_equal(stat.st_ino, ours.st_ino);
            theirs++;
            close(fd);
        } else {
            assert_int_equal(error, ELOOP);
            refused++;
        }
    }
    swapper.stop = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("%u times theirs, %u times refused\n", theirs, refused);
    assert_true(theirs > 0 && refused > 0);
}

/* A directory that may be entered but not read has files to serve. */
static void test_unreadable_directory(void **state)
{
    (void)state;
    struct stat stat;
    int fd;
    make_directory("closed");
    make_file("closed/file");
    make_file("secret");
    make_link("closed", "link");
    assert_int_equal(fchmodat(root_fd, "closed", 0711, 0), 0);
    assert_int_equal(fchmodat(root_fd, "secret", 0, 0), 0);
    if (geteuid() == 0) {
        give_away("link"); /* as "closed" belongs to somebody else than we become */
        give_away("closed");
        assert_int_equal(seteuid(STRANGER + 1), 0);
    }
    for (int symlinks = HTTP_SYMLINKS_ON; symlinks <= HTTP_SYMLINKS_SAME_OWNER; symlinks++) {
        const struct beneath closed = {root_fd, "link", (enum http_symlinks)symlinks};
        assert_int_equal(beneath_open(&closed, &fd, &stat), 0);
        assert_true(S_ISDIR(stat.st_mode));
        close(fd);
        const struct beneath secret = {root_fd, "secret", (enum http_symlinks)symlinks};
        assert_int_equal(beneath_open(&secret, &fd, &stat), EACCES);
        assert_int_equal(fd, -1);
    }
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cached_answers_are_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_trees_agree_with_the_kernel, set_up_random, tear_down),
        cmocka_unit_test_setup_teardown(test_no_race_is_won, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unreadable_directory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
