/* A backend's server sets: replaced while running, what is known of a server goes with it and is forgotten
 * with the last that refers to it; publishing and choosing on several threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backend_fixture.h"
#include "proxy/backend.h"

#define WORKERS 3

struct fixture {
    struct backend_registry *registry;
    struct conf_server servers[2];
    struct conf_backend conf;
    struct backend backend;
};

static const unsigned even[] = {1, 1, 1, 1};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *problem;

    assert_non_null(f);
    f->registry = backend_registry_new();
    f->conf = (struct conf_backend){.name = (char *)"app", .servers = f->servers, .server_count = 2};
    f->servers[0] = (struct conf_server){.name = (char *)"10.0.0.1:80", .weight = 1};
    f->servers[1] = (struct conf_server){.name = (char *)"10.0.0.2:80", .weight = 1};
    for (size_t i = 0; i < 2; i++)
        assert_true(conf_address_parse(f->servers[i].name, &f->servers[i].address, &problem));
    assert_int_equal(backend_init(&f->backend, &f->conf, f->registry, NULL, WORKERS), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    backend_clear(&f->backend);
    backend_registry_free(f->registry);
    for (size_t i = 0; i < 2; i++)
        conf_address_clear(&f->servers[i].address);
    free(f);
    return 0;
}

static struct backend_server *choose(struct fixture *f, unsigned worker)
{
    const struct balancer_request request = {.now_ms = 1};
    struct backend_waiter waiter = {0};
    struct backend_choice choice;
    const enum backend_answer answer = backend_choose(&f->backend, worker, &request, &waiter, &choice);

    assert_true(answer == BACKEND_CHOSEN || answer == BACKEND_NOBODY);
    assert_int_equal(choice.server != NULL, answer == BACKEND_CHOSEN);
    return choice.server;
}

/* The name of the one chosen, whose place is given up again. */
static const char *choose_name(struct fixture *f, unsigned worker)
{
    struct backend_server *server = choose(f, worker);
    const char *name = server->name; /* the set keeps it */

    backend_server_vacate(server);
    return name;
}

static void test_servers_that_stay_keep_what_is_known(void **state)
{
    struct fixture *f = *state;
    struct backend_server *busy = choose(f, 0);

    assert_string_equal(busy->name, "10.0.0.1:80");
    backend_server_connected(busy);
    backend_publish(&f->backend, fixture_set(f->backend.shared, 1, even, 4)); /* .1 .2 .3 .4 */
    assert_ptr_equal(f->backend.newest->slots[0].server, busy);
    assert_int_equal(f->backend.newest->slots[0].server->stats.connections_total, 1);
    backend_publish(&f->backend, fixture_set(f->backend.shared, 3, even, 2)); /* .3 .4 */
    for (int i = 0; i < 4; i++) {
        const char *name = choose_name(f, 0);

        assert_string_not_equal(name, "10.0.0.1:80");
        assert_string_not_equal(name, "10.0.0.2:80");
    }
    assert_int_equal(busy->stats.connections, 1); /* it drains, with its connection */
    backend_publish(&f->backend, fixture_set(f->backend.shared, 1, even, 1));
    assert_ptr_equal(f->backend.newest->slots[0].server, busy); /* back before it was forgotten */
    backend_server_released(busy);
}

static void test_turns_go_on_over_a_change(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(choose_name(f, 1), "10.0.0.1:80");
    /* In another order, and one more: the credits are the servers', not the places'. */
    backend_publish(&f->backend, fixture_set(f->backend.shared, 0, even, 3)); /* .0 .1 .2 */
    assert_string_equal(choose_name(f, 1), "10.0.0.2:80");
    assert_string_equal(choose_name(f, 1), "10.0.0.0:80");
    assert_string_equal(choose_name(f, 1), "10.0.0.1:80");
    assert_string_equal(choose_name(f, 2), "10.0.0.0:80"); /* a worker that had not begun */
}

static void test_an_empty_set_has_nobody(void **state)
{
    struct fixture *f = *state;
    struct server_set *set;

    backend_publish(&f->backend, fixture_set(f->backend.shared, 0, even, 0));
    assert_null(choose(f, 0));
    set = backend_set(&f->backend);
    assert_int_equal(set->count, 0);
    server_set_unref(set);
}

/* As over a reload: the new generation's backend is there before the old one goes. */
static void test_generations_share_their_servers(void **state)
{
    struct fixture *f = *state;
    struct backend next;

    backend_server_vacate(choose(f, 0));
    atomic_store(&f->backend.newest->slots[0].server->stats.failures, 7);
    assert_int_equal(backend_init(&next, &f->conf, f->registry, NULL, 1), 0);
    backend_clear(&f->backend);
    assert_int_equal(next.newest->slots[0].server->stats.failures, 7);
    backend_clear(&next);
    assert_int_equal(backend_init(&f->backend, &f->conf, f->registry, NULL, WORKERS), 0);
    assert_int_equal(f->backend.newest->slots[0].server->stats.failures, 0); /* forgotten in between */
}

struct chooser {
    pthread_t thread;
    struct fixture *fixture;
    unsigned worker;
    unsigned chosen;
};

static void *chooser_main(void *arg)
{
    struct chooser *chooser = arg;

    for (int i = 0; i < 20000; i++) {
        struct backend_server *server = choose(chooser->fixture, chooser->worker);

        if (server == NULL)
            continue;
        backend_server_connected(server);
        backend_server_released(server);
        chooser->chosen++;
    }
    return NULL;
}

static void test_publishing_while_workers_choose(void **state)
{
    struct fixture *f = *state;
    struct chooser choosers[WORKERS];
    unsigned chosen = 0;

    for (unsigned i = 0; i < WORKERS; i++) {
        choosers[i] = (struct chooser){.fixture = f, .worker = i};
        assert_int_equal(pthread_create(&choosers[i].thread, NULL, chooser_main, &choosers[i]), 0);
    }
    for (unsigned i = 0; i < 2000; i++)
        backend_publish(&f->backend, fixture_set(f->backend.shared, i % 7, even, i % 5));
    backend_publish(&f->backend, fixture_set(f->backend.shared, 1, even, 4));
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(choosers[i].thread, NULL);
        chosen += choosers[i].chosen;
    }
    assert_true(chosen > 0);
    for (size_t i = 0; i < f->backend.newest->count; i++) {
        assert_int_equal(f->backend.newest->slots[i].server->stats.occupied, 0);
        assert_int_equal(f->backend.newest->slots[i].server->stats.connections, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_servers_that_stay_keep_what_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_turns_go_on_over_a_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_set_has_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_generations_share_their_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_publishing_while_workers_choose, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
