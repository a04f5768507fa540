/* Ejection: after how many failures, for how long, how many servers at once, and what ends a run of failures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "backend_fixture.h"
#include "proxy/backend.h"
#include "proxy/ejection.h"

#define SERVERS 4

struct fixture {
    struct backend_registry *registry;
    struct conf_server servers[SERVERS];
    struct backend backend;
    char lines[8][200];
    size_t line_count;
};

static void on_note(void *arg, const char *line)
{
    struct fixture *f = arg;

    assert_true(f->line_count < 8);
    snprintf(f->lines[f->line_count++], sizeof(f->lines[0]), "%s", line);
}

/* Three failures; 1 s, at most 4 s; two of the four servers. */
static int setup(void **state)
{
    static char names[SERVERS][20];
    struct fixture *f = calloc(1, sizeof(*f));
    const struct conf_backend conf = {.name = (char *)"app",
                                      .servers = f->servers,
                                      .server_count = SERVERS,
                                      .has_eject = true,
                                      .panic = true,
                                      .eject = {.failures = 3, .base_ms = 1000, .max_ms = 4000, .share = 50}};
    const char *problem;

    f->registry = backend_registry_new();
    backend_registry_on_note(f->registry, on_note, f);
    for (size_t i = 0; i < SERVERS; i++) {
        snprintf(names[i], sizeof(names[i]), "10.0.0.%zu:80", i + 1);
        f->servers[i] = (struct conf_server){.name = names[i], .weight = 1};
        assert_true(conf_address_parse(names[i], &f->servers[i].address, &problem));
    }
    assert_int_equal(backend_init(&f->backend, &conf, f->registry, NULL, 1), 0);
    f->backend.name = "app";
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    backend_clear(&f->backend);
    backend_registry_free(f->registry);
    for (size_t i = 0; i < SERVERS; i++)
        conf_address_clear(&f->servers[i].address);
    free(f);
    return 0;
}

static struct backend_server *server_of(struct fixture *f, size_t i)
{
    return f->backend.newest->slots[i].server;
}

/* Notes events ('f' connect failed, 'r' early reset, 'g' good); whether the server is ejected afterwards. */
static bool note(struct fixture *f, size_t i, const char *events, uint64_t now_ms)
{
    for (; *events != '\0'; events++)
        ejection_note(&f->backend, server_of(f, i),
                      *events == 'f'   ? EJECTION_CONNECT_FAILED
                      : *events == 'r' ? EJECTION_EARLY_RESET
                                       : EJECTION_GOOD,
                      now_ms);
    return backend_server_condition(server_of(f, i), now_ms) == BACKEND_EJECTED;
}

static void test_failures_in_a_row(void **state)
{
    struct fixture *f = *state;

    assert_false(note(f, 0, "ff", 1000));
    assert_true(note(f, 0, "f", 1000));
    assert_string_equal(f->lines[0],
                        "backend app: server 10.0.0.1:80 is ejected for 1.000 s: 3 connects failed in a row");
    assert_false(note(f, 1, "ffgffgffgrrgrfrf", 1000)); /* two kinds, each counted by itself */
    assert_true(note(f, 2, "rrr", 1000));
    assert_string_equal(f->lines[f->line_count - 1],
                        "backend app: server 10.0.0.3:80 is ejected for 1.000 s: 3 early losses in a row");
}

/* A connect that succeeds ends a run of failed ones, but not one of resets: each of those began with a
 * connect. */
static void test_a_connect_is_not_all(void **state)
{
    struct fixture *f = *state;
    struct backend_server *server = server_of(f, 0);

    for (int i = 0; i < 3; i++) {
        assert_false(note(f, 0, "ff", 1000));
        backend_server_occupy(server);
        backend_server_connected(server);
        backend_server_released(server);
    }
    for (int i = 0; i < 3; i++) {
        backend_server_occupy(server);
        backend_server_connected(server);
        assert_int_equal(note(f, 0, "r", 1000), i == 2);
        backend_server_released(server);
    }
}

static void test_longer_each_time(void **state)
{
    static const uint64_t lengths[] = {1000, 2000, 4000, 4000};
    struct fixture *f = *state;
    struct backend_server *server = server_of(f, 0);
    uint64_t now = 10000;

    note(f, 0, "ff", now);
    for (size_t i = 0; i < 4; i++) { /* afterwards on probation: one failure is enough */
        assert_true(note(f, 0, "f", now));
        assert_int_equal(atomic_load(&server->ejected_until_ms), now + lengths[i]);
        assert_true(note(f, 0, "f", now + lengths[i] - 1)); /* while it is out: nothing new */
        assert_int_equal(atomic_load(&server->ejected_until_ms), now + lengths[i]);
        now += lengths[i];
        atomic_store(&server->connect_failures, 2);
        assert_int_equal(backend_server_condition(server, now), BACKEND_UP);
    }
    assert_int_equal(atomic_load(&server->ejections), 4);
    assert_false(note(f, 0, "gff", now + 3999)); /* something good: three in a row again */
    assert_true(note(f, 0, "f", now + 4000));    /* in for as long as it was out: forgiven */
    assert_int_equal(atomic_load(&server->ejected_until_ms), now + 4000 + 1000);
}

static void test_no_more_than_a_share(void **state)
{
    struct fixture *f = *state;

    assert_true(note(f, 0, "fff", 1000));
    assert_true(note(f, 1, "fff", 1500));
    assert_false(note(f, 2, "fffffff", 1600)); /* two of four are out */
    assert_true(note(f, 2, "f", 2100));        /* the first is back */
    assert_int_equal(f->line_count, 3);
}

static void test_without_eject(void **state)
{
    struct fixture *f = *state;

    f->backend.ejects = false;
    assert_false(note(f, 0, "ffffffffrrrrrrrr", 1000));
    assert_int_equal(f->line_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_failures_in_a_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_connect_is_not_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_longer_each_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_more_than_a_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_eject, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
