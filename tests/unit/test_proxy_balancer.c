/* The balancer: the shares that weights ask for, evenly mixed, and whom it passes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "proxy/backend.h"
#include "proxy/balancer.h"

#define MAX 4

struct fixture {
    struct backend_server servers[MAX];
    struct server_stats stats[MAX];
    struct backend backend;
    struct balancer *balancer;
    bool tried[MAX];
};

static void make(struct fixture *f, enum conf_balance balance, const unsigned *weights, size_t count)
{
    memset(f, 0, sizeof(*f));
    for (size_t i = 0; i < count; i++) {
        f->servers[i].weight = weights[i];
        f->servers[i].stats = &f->stats[i];
    }
    f->backend = (struct backend){.balance = balance, .servers = f->servers, .server_count = count};
    f->balancer = balancer_new(count);
    assert_non_null(f->balancer);
}

static size_t pick(struct fixture *f, uint64_t now_ms)
{
    return balancer_pick(f->balancer, &f->backend, f->tried, now_ms);
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
    balancer_free(f.balancer);
}

static void test_tried_servers_are_passed_over(void **state)
{
    static const unsigned weights[] = {1, 1, 1};
    struct fixture f;
    bool seen[3] = {false};

    (void)state;
    make(&f, CONF_BALANCE_ROUND_ROBIN, weights, 3);
    for (int i = 0; i < 3; i++) {
        const size_t server = pick(&f, 0);

        assert_true(server < 3);
        assert_false(seen[server]);
        seen[server] = f.tried[server] = true;
    }
    assert_true(pick(&f, 0) == BALANCER_NONE);
    balancer_free(f.balancer);
}

static void test_a_failed_server_comes_last_for_a_moment(void **state)
{
    static const unsigned weights[] = {100, 1};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_ROUND_ROBIN, weights, 2);
    backend_server_failed(&f.servers[0], 1000);
    assert_int_equal(f.stats[0].failures, 1);
    assert_int_equal(f.stats[0].up, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pick(&f, 1000 + BACKEND_AVOID_MS - 1), 1);
    f.tried[1] = true; /* nobody else is left */
    assert_int_equal(pick(&f, 1000), 0);
    f.tried[1] = false;
    assert_int_equal(pick(&f, 1000 + BACKEND_AVOID_MS), 0);
    backend_server_connected(&f.servers[0]);
    assert_int_equal(f.stats[0].up, 1);
    balancer_free(f.balancer);
}

static void test_least_conn_goes_by_weight(void **state)
{
    static const unsigned weights[] = {1, 3};
    struct fixture f;

    (void)state;
    make(&f, CONF_BALANCE_LEAST_CONN, weights, 2);
    for (int i = 0; i < 40; i++)
        backend_server_connected(&f.servers[pick(&f, 0)]);
    assert_int_equal(f.stats[0].connections, 10);
    assert_int_equal(f.stats[1].connections, 30);
    for (int i = 0; i < 10; i++)
        backend_server_released(&f.servers[0]);
    for (int i = 0; i < 10; i++) { /* the one that has become free takes all until it is even again */
        const size_t server = pick(&f, 0);

        assert_int_equal(server, 0);
        backend_server_connected(&f.servers[server]);
    }
    balancer_free(f.balancer);
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
    balancer_free(f.balancer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_mixed_smoothly),
        cmocka_unit_test(test_tried_servers_are_passed_over),
        cmocka_unit_test(test_a_failed_server_comes_last_for_a_moment),
        cmocka_unit_test(test_least_conn_goes_by_weight),
        cmocka_unit_test(test_least_conn_ties_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
