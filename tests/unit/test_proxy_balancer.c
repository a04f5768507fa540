/* The balancer: the shares that weights ask for, evenly mixed, and whom it passes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "backend_fixture.h"
#include "proxy/balancer.h"

#define SLOW 10000

struct fixture {
    struct backend_registry *registry;
    struct backend_shared *shared;
    struct server_set *set;
    struct balancer *balancer;
    struct backend_server *tried[FIXTURE_SERVERS_MAX];
    size_t tried_count, left;
    bool full;
    uint64_t client;
};

static void make_of(struct fixture *f, enum conf_balance balance, const struct fixture_server *servers,
                    size_t count)
{
    const struct balancer_options options = {
        .balance = balance, .slow_start_ms = SLOW, .panic = true, .seed = 1};

    memset(f, 0, sizeof(*f));
    f->registry = backend_registry_new();
    assert_non_null(f->registry);
    f->shared = backend_shared_get(f->registry, "app");
    assert_non_null(f->shared);
    f->set = fixture_set_of(f->shared, servers, count);
    f->balancer = balancer_new(&options, f->set);
    assert_non_null(f->balancer);
}

static void make(struct fixture *f, enum conf_balance balance, const unsigned *weights, size_t count)
{
    struct fixture_server servers[FIXTURE_SERVERS_MAX];

    for (unsigned i = 0; i < count; i++)
        servers[i] = (struct fixture_server){.number = i + 1, .weight = weights[i]};
    make_of(f, balance, servers, count);
}

static void clear(struct fixture *f)
{
    balancer_free(f->balancer);
    server_set_unref(f->set);
    backend_shared_unref(f->shared);
    backend_registry_free(f->registry);
}

static size_t pick(struct fixture *f, uint64_t now_ms)
{
    const struct balancer_request request = {
        .tried = f->tried, .tried_count = f->tried_count, .now_ms = now_ms, .client_hash = f->client};
    struct balancer_choice choice;

    balancer_pick(f->balancer, f->set, &request, &choice);
    f->left = choice.left;
    f->full = choice.full;
    return choice.slot;
}

static struct backend_server *server_of(const struct fixture *f, size_t slot)
{
    return f->set->slots[slot].server;
}

static void test_weights_are_mixed_smoothly(void **state)
{
    static const unsigned weights[] = {5, 1, 1};
    static const size_t expected[] = {0, 0, 1, 0, 2, 0, 0};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_ROUND_ROBIN, weights, 3);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < 7; i++)
            assert_int_equal(pick(&f, 0), expected[i]);
    clear(&f);
}

static void test_tried_servers_are_passed_over(void **state)
{
    static const unsigned weights[] = {1, 1, 1};
    struct fixture f;
    bool seen[3] = {false};

    (void)state;
    make(&f, CONF_BALANCE_ROUND_ROBIN, weights, 3);
    for (int i = 0; i < 3; i++) {
        const size_t slot = pick(&f, 0);

        assert_true(slot < 3);
        assert_int_equal(f.left, 3 - f.tried_count);
        assert_false(seen[slot]);
        seen[slot] = true;
        f.tried[f.tried_count++] = server_of(&f, slot);
    }
    assert_true(pick(&f, 0) == BALANCER_NONE);
    clear(&f);
}

static void test_a_failed_server_comes_last_for_a_moment(void **state)
{
    static const unsigned weights[] = {100, 1};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_ROUND_ROBIN, weights, 2);
    backend_server_failed(server_of(&f, 0), 1000);
    assert_int_equal(server_of(&f, 0)->stats.failures, 1);
    assert_int_equal(server_of(&f, 0)->stats.up, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pick(&f, 1000 + BACKEND_AVOID_MS - 1), 1);
    f.tried[f.tried_count++] = server_of(&f, 1); /* nobody else is left */
    assert_int_equal(pick(&f, 1000), 0);
    f.tried_count = 0;
    assert_int_equal(pick(&f, 1000 + BACKEND_AVOID_MS), 0);
    backend_server_occupy(server_of(&f, 0));
    backend_server_connected(server_of(&f, 0));
    assert_int_equal(server_of(&f, 0)->stats.up, 1);
    backend_server_released(server_of(&f, 0));
    clear(&f);
}

static void test_least_conn_goes_by_weight(void **state)
{
    static const unsigned weights[] = {1, 3};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_LEAST_CONN, weights, 2);
    for (int i = 0; i < 40; i++)
        backend_server_occupy(server_of(&f, pick(&f, 0)));
    assert_int_equal(server_of(&f, 0)->stats.occupied, 10);
    assert_int_equal(server_of(&f, 1)->stats.occupied, 30);
    for (int i = 0; i < 10; i++)
        backend_server_vacate(server_of(&f, 0));
    for (int i = 0; i < 10; i++) { /* the one that has become free takes all until it is even again */
        const size_t slot = pick(&f, 0);

        assert_int_equal(slot, 0);
        backend_server_occupy(server_of(&f, slot));
    }
    for (int i = 0; i < 10; i++)
        backend_server_vacate(server_of(&f, 0));
    for (int i = 0; i < 30; i++)
        backend_server_vacate(server_of(&f, 1));
    clear(&f);
}

static void test_least_conn_ties_take_turns(void **state)
{
    static const unsigned weights[] = {1, 1, 1};
    unsigned picked[3] = {0};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_LEAST_CONN, weights, 3);
    for (int i = 0; i < 30; i++) /* each connection ends before the next one comes */
        picked[pick(&f, 0)]++;
    assert_int_equal(picked[0], 10);
    assert_int_equal(picked[1], 10);
    assert_int_equal(picked[2], 10);
    clear(&f);
}

static void test_random_of_two(void **state)
{
    static const unsigned weights[] = {1, 2, 1};
    unsigned picked[3] = {0};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_RANDOM, weights, 3);
    for (int i = 0; i < 40000; i++) { /* nobody is busy: by weight, all of them */
        const size_t slot = pick(&f, 0);

        assert_true(slot < 3);
        picked[slot]++;
    }
    assert_in_range(picked[0], 9500, 10500);
    assert_in_range(picked[1], 19500, 20500);
    assert_in_range(picked[2], 9500, 10500);
    for (int i = 0; i < 100; i++)
        backend_server_occupy(server_of(&f, 1));
    for (int i = 0; i < 1000; i++) /* of two, never the busiest of all */
        assert_int_not_equal(pick(&f, 0), 1);
    for (int i = 0; i < 100; i++)
        backend_server_vacate(server_of(&f, 1));
    clear(&f);
}

/* 5,000 connections that stay: how far the busiest server is above the mean. One draw alone would come to
 * some 30 % with 100 a server; the better of two, to a few connections. */
static void test_two_choices_are_better_than_one(void **state)
{
    struct fixture_server servers[50];
    uint64_t most = 0;
    struct fixture f;

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        servers[i] = (struct fixture_server){.number = i + 1};
    make_of(&f, CONF_BALANCE_RANDOM, servers, 50);
    for (int i = 0; i < 5000; i++)
        backend_server_occupy(server_of(&f, pick(&f, 0)));
    for (size_t i = 0; i < 50; i++) {
        const uint64_t occupied = server_of(&f, i)->stats.occupied;

        most = occupied > most ? occupied : most;
        while (server_of(&f, i)->stats.occupied > 0)
            backend_server_vacate(server_of(&f, i));
    }
    print_message("random: the busiest of 50 servers has %d, the mean is 100\n", (int)most);
    assert_true(most < 108);
    clear(&f);
}

/* --- Ranks --- */

enum fate { UP, DOWN, EJECTED, AVOIDED };

static void set_condition(struct backend_server *server, enum fate fate)
{
    atomic_store(&server->down, fate == DOWN);
    atomic_store(&server->ejected_until_ms, fate == EJECTED ? 2000 : 0);
    atomic_store(&server->avoid_until_ms, fate == AVOIDED ? 2000 : 0);
}

/* Two servers and a backup: who is named first, second, third at 1000 ms. */
static void test_ranks(void **state)
{
    static const struct fixture_server servers[] = {
        {.number = 1}, {.number = 2}, {.number = 3, .backup = true}};
    static const struct {
        enum fate fates[3];
        size_t order[3];
    } cases[] = {
        {{UP, UP, UP}, {0, 1, 2}},
        {{DOWN, UP, UP}, {1, 2, BALANCER_NONE}},
        {{DOWN, DOWN, UP}, {2, BALANCER_NONE, BALANCER_NONE}},
        {{DOWN, EJECTED, UP}, {2, 1, BALANCER_NONE}},
        {{AVOIDED, UP, UP}, {1, 2, 0}},
        {{AVOIDED, DOWN, UP}, {2, 0, BALANCER_NONE}},
        {{EJECTED, UP, AVOIDED}, {1, 2, 0}},
        {{UP, UP, DOWN}, {0, 1, BALANCER_NONE}},
        /* Panic: nobody is up. Those ejected come first. */
        {{DOWN, DOWN, DOWN}, {0, 1, 2}},
        {{DOWN, EJECTED, DOWN}, {1, 0, 2}},
        {{EJECTED, EJECTED, EJECTED}, {0, 1, 2}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;

        print_message("case %zu\n", i);
        make_of(&f, CONF_BALANCE_ROUND_ROBIN, servers, 3);
        for (size_t j = 0; j < 3; j++)
            set_condition(server_of(&f, j), cases[i].fates[j]);
        for (size_t j = 0; j < 3; j++) {
            const size_t slot = pick(&f, 1000);

            assert_int_equal(slot, cases[i].order[j]);
            if (slot != BALANCER_NONE)
                f.tried[f.tried_count++] = server_of(&f, slot);
        }
        clear(&f);
    }
}

static void test_without_panic_nobody_is_named(void **state)
{
    static const struct fixture_server servers[] = {{.number = 1}};
    struct fixture f;

    (void)state;
    make_of(&f, CONF_BALANCE_LEAST_CONN, servers, 1);
    balancer_free(f.balancer);
    f.balancer = balancer_new(&(struct balancer_options){.panic = false}, f.set);
    atomic_store(&server_of(&f, 0)->down, true);
    assert_true(pick(&f, 0) == BALANCER_NONE);
    assert_int_equal(f.left, 0);
    assert_false(f.full);
    clear(&f);
}

static void test_full_servers(void **state)
{
    static const struct fixture_server servers[] = {{.number = 1, .max_connections = 2},
                                                    {.number = 2, .max_connections = 1},
                                                    {.number = 3, .backup = true}};
    static const enum conf_balance methods[] = {CONF_BALANCE_ROUND_ROBIN, CONF_BALANCE_LEAST_CONN,
                                                CONF_BALANCE_RANDOM, CONF_BALANCE_SOURCE_HASH,
                                                CONF_BALANCE_MAGLEV};

    (void)state;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct fixture f;

        make_of(&f, methods[i], servers, 3);
        server_set_add_maglev(f.set);
        for (int j = 0; j < 3; j++) {
            const size_t slot = pick(&f, 0);

            assert_true(slot < 2);
            backend_server_occupy(server_of(&f, slot));
        }
        assert_int_equal(server_of(&f, 0)->stats.occupied, 2);
        assert_true(pick(&f, 0) == BALANCER_NONE); /* a backup is for servers that are down, not full */
        assert_true(f.full);
        backend_server_vacate(server_of(&f, 1));
        assert_int_equal(pick(&f, 0), 1);
        assert_false(f.full);
        backend_server_vacate(server_of(&f, 0));
        backend_server_vacate(server_of(&f, 0));
        clear(&f);
    }
}

/* Of 2000 picks, those of a server that came up `after` before. */
static unsigned picks_after(struct fixture *f, uint64_t after)
{
    unsigned picked = 0;

    atomic_store(&server_of(f, 1)->up_since_ms, 100000);
    for (int i = 0; i < 2000; i++)
        picked += pick(f, 100000 + after) == 1;
    return picked;
}

static void test_slow_start(void **state)
{
    static const unsigned weights[] = {1, 1};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_ROUND_ROBIN, weights, 2);
    assert_in_range(picks_after(&f, 0), 181, 183);         /* 0.1 of 1.1 */
    assert_in_range(picks_after(&f, SLOW / 20), 181, 183); /* not less than a tenth */
    assert_in_range(picks_after(&f, SLOW / 2), 666, 668);  /* 0.5 of 1.5 */
    assert_in_range(picks_after(&f, SLOW - 1), 998, 1001);
    assert_in_range(picks_after(&f, SLOW), 999, 1001);
    atomic_store(&server_of(&f, 1)->ejected_until_ms, 100000 + SLOW); /* after an ejection, too */
    assert_in_range(picks_after(&f, SLOW), 181, 183);
    clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_mixed_smoothly),
        cmocka_unit_test(test_tried_servers_are_passed_over),
        cmocka_unit_test(test_a_failed_server_comes_last_for_a_moment),
        cmocka_unit_test(test_least_conn_goes_by_weight),
        cmocka_unit_test(test_least_conn_ties_take_turns),
        cmocka_unit_test(test_random_of_two),
        cmocka_unit_test(test_two_choices_are_better_than_one),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_without_panic_nobody_is_named),
        cmocka_unit_test(test_full_servers),
        cmocka_unit_test(test_slow_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
