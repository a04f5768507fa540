/* The set of listening descriptors: who may share an address, what a reload keeps, and whose socket file is
 * removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/listen_set.h"

#define WORKERS 3

static struct conf_address parse(const char *text)
{
    struct conf_address address = {0};
    const char *problem = NULL;

    if (!conf_address_parse(text, &address, &problem))
        fail_msg("%s: %s", text, problem);
    return address;
}

static struct listen_want want(const char *name, const struct conf_address *address)
{
    return (struct listen_want){.name = name, .key = "listeners.x.address", .address = address};
}

static bool prepare(struct listen_set *set, const struct listen_want *wants, size_t count, char *problem)
{
    struct conf_problems problems = {0};
    const bool good = listen_set_prepare(set, wants, count, &problems);

    assert_int_equal(good, problems.count == 0);
    if (problem != NULL)
        snprintf(problem, 512, "%s", problems.count > 0 ? problems.items[0].text : "");
    conf_problems_clear(&problems);
    return good;
}

static int connect_to(const char *text)
{
    struct conf_address address = parse(text);
    const int fd = socket(address.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, (struct sockaddr *)&address.addr, address.length);

    if (result == -1) {
        result = -errno;
        close(fd);
    } else {
        result = fd;
    }
    conf_address_clear(&address);
    return result;
}

static void test_workers_share_and_others_do_not(void **state)
{
    struct listen_set *set = listen_set_new(WORKERS), *other = listen_set_new(WORKERS);
    struct conf_address any = parse("127.0.0.1:0"), same;
    struct listen_want wanted = want("a", &any);
    char problem[512];
    bool hit[WORKERS] = {false};
    unsigned hits = 0;

    (void)state;
    assert_true(prepare(set, &wanted, 1, NULL));
    listen_set_commit(set);
    /* 64 connections over three sockets: all three get some (the chance of a miss is (2/3)^64 * 3). */
    for (int i = 0; i < 64; i++) {
        const int client = connect_to(listen_set_address(set, 0));

        assert_true(client >= 0);
        for (unsigned w = 0; w < WORKERS; w++) {
            const int fd = accept(listen_set_fd(set, 0, w), NULL, NULL);

            if (fd == -1)
                continue;
            hits++;
            hit[w] = true;
            close(fd);
        }
        close(client);
    }
    assert_int_equal(hits, 64);
    for (unsigned w = 0; w < WORKERS; w++)
        assert_true(hit[w]);

    same = parse(listen_set_address(set, 0));
    wanted = want("a", &same);
    assert_false(prepare(other, &wanted, 1, problem));
    assert_non_null(strstr(problem, "Address already in use"));
    assert_non_null(strstr(problem, same.text));
    listen_set_free(set);
    assert_true(prepare(other, &wanted, 1, problem)); /* free again, TIME_WAIT or not */
    listen_set_free(other);
    conf_address_clear(&same);
    conf_address_clear(&any);
}

static void test_a_reload_keeps_what_stays(void **state)
{
    struct listen_set *set = listen_set_new(WORKERS);
    struct conf_address any = parse("127.0.0.1:0"), taken;
    struct listen_want wants[2] = {want("a", &any), want("b", &any)};
    struct listen_set *blocker = listen_set_new(1);
    char first[128], second[128];
    int fd, client;

    (void)state;
    assert_true(prepare(set, wants, 2, NULL));
    listen_set_commit(set);
    snprintf(first, sizeof(first), "%s", listen_set_address(set, 0));
    snprintf(second, sizeof(second), "%s", listen_set_address(set, 1));
    assert_string_not_equal(first, second);
    fd = listen_set_fd(set, 0, 1);

    /* A change that fails leaves both, and what it had opened is gone. */
    wants[0] = want("blocker", &any);
    assert_true(prepare(blocker, wants, 1, NULL));
    taken = parse(listen_set_address(blocker, 0));
    wants[0] = want("c", &any);
    wants[1] = want("d", &taken);
    assert_false(prepare(set, wants, 2, NULL));
    client = connect_to(first);
    assert_true(client >= 0);
    close(client);
    client = connect_to(second);
    assert_true(client >= 0);
    close(client);

    /* One stays with its descriptors, the other goes. */
    wants[0] = want("a", &any);
    assert_true(prepare(set, wants, 1, NULL));
    assert_false(listen_set_is_fresh(set, 0));
    listen_set_commit(set);
    assert_int_equal(listen_set_fd(set, 0, 1), fd);
    assert_string_equal(listen_set_address(set, 0), first);
    assert_int_equal(connect_to(second), -ECONNREFUSED);

    /* Given up: what was opened is closed, what was there stays. */
    wants[1] = want("e", &any);
    assert_true(prepare(set, wants, 2, NULL));
    assert_true(listen_set_is_fresh(set, 1));
    snprintf(second, sizeof(second), "%s", listen_set_address(set, 1));
    listen_set_abort(set);
    assert_int_equal(connect_to(second), -ECONNREFUSED);
    client = connect_to(first);
    assert_true(client >= 0);
    close(client);
    conf_address_clear(&taken);
    conf_address_clear(&any);
    listen_set_free(blocker);
    listen_set_free(set);
}

static void test_single_is_for_the_first_worker(void **state)
{
    struct listen_set *set = listen_set_new(WORKERS);
    struct conf_address any = parse("127.0.0.1:0");
    struct listen_want wanted = want("admin", &any);

    (void)state;
    wanted.single = true;
    assert_true(prepare(set, &wanted, 1, NULL));
    assert_true(listen_set_fd(set, 0, 0) >= 0);
    assert_int_equal(listen_set_fd(set, 0, 1), -1);
    listen_set_free(set);
    conf_address_clear(&any);
}

static void test_dual_stack(void **state)
{
    struct listen_set *set = listen_set_new(1);
    struct conf_address any = parse(":0");
    struct listen_want wanted = want("a", &any);
    char both[64];
    int client;

    (void)state;
    assert_true(prepare(set, &wanted, 1, NULL));
    snprintf(both, sizeof(both), "127.0.0.1%s", strrchr(listen_set_address(set, 0), ':'));
    client = connect_to(both);
    assert_true(client >= 0);
    close(client);
    if (strncmp(listen_set_address(set, 0), "[::]:", 5) == 0) { /* the host has IPv6 */
        snprintf(both, sizeof(both), "[::1]%s", strrchr(listen_set_address(set, 0), ':'));
        client = connect_to(both);
        assert_true(client >= 0 || client == -EADDRNOTAVAIL);
        if (client >= 0)
            close(client);
    }
    listen_set_free(set);
    conf_address_clear(&any);
}

static void test_unix_sockets(void **state)
{
    char directory[] = "/tmp/sluice-listen-XXXXXX", path[64], text[80], problem[512];
    struct listen_set *set = listen_set_new(WORKERS), *other = listen_set_new(WORKERS);
    struct conf_address address;
    struct listen_want wanted;
    struct stat status;
    FILE *file;
    int stale;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/s", directory);
    snprintf(text, sizeof(text), "unix:%s", path);
    address = parse(text);
    wanted = want("u", &address);

    /* Left behind by a process that is gone. */
    stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&address.addr, address.length), 0);
    close(stale);
    assert_true(prepare(set, &wanted, 1, NULL));
    listen_set_commit(set);
    assert_int_equal(listen_set_fd(set, 0, 0), listen_set_fd(set, 0, WORKERS - 1));
    assert_string_equal(listen_set_address(set, 0), text);

    /* In use: not stolen. */
    assert_false(prepare(other, &wanted, 1, problem));
    assert_non_null(strstr(problem, "Address already in use"));
    assert_int_equal(stat(path, &status), 0);

    /* Somebody else's by now: not unlinked. */
    assert_int_equal(unlink(path), 0);
    assert_true(prepare(other, &wanted, 1, NULL));
    listen_set_free(set);
    assert_int_equal(stat(path, &status), 0);
    listen_set_free(other);
    assert_int_equal(stat(path, &status), -1);

    /* Not a socket: not touched. */
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    set = listen_set_new(1);
    assert_false(prepare(set, &wanted, 1, problem));
    assert_int_equal(stat(path, &status), 0);
    listen_set_free(set);
    unlink(path);
    rmdir(directory);
    conf_address_clear(&address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_share_and_others_do_not),
        cmocka_unit_test(test_a_reload_keeps_what_stays),
        cmocka_unit_test(test_single_is_for_the_first_worker),
        cmocka_unit_test(test_dual_stack),
        cmocka_unit_test(test_unix_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
