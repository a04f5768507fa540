/* The balancer: the shares that weights ask for, evenly mixed, and whom it passes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "backend_fixture.h"
#include "proxy/balancer.h"

struct fixture {
    struct backend_registry *registry;
    struct backend_shared *shared;
    struct server_set *set;
    struct balancer *balancer;
    struct backend_server *tried[FIXTURE_SERVERS_MAX];
    size_t tried_count;
};

static void make(struct fixture *f, enum conf_balance balance, const unsigned *weights, size_t count)
{
    memset(f, 0, sizeof(*f));
    f->registry = backend_registry_new();
    assert_non_null(f->registry);
    f->shared = backend_shared_get(f->registry, "app");
    assert_non_null(f->shared);
    f->set = fixture_set(f->shared, 1, weights, count);
    f->balancer = balancer_new(balance, f->set);
    assert_non_null(f->balancer);
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
        .tried = f->tried, .tried_count = f->tried_count, .now_ms = now_ms};
    size_t left, chosen = balancer_pick(f->balancer, f->set, &request, &left);

    assert_int_equal(left, f->set->count - f->tried_count);
    return chosen;
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
