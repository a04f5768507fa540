/* relay/min_rate: windows judged on a made-up clock; and what a real socket's peer has taken. */
#include "relay/min_rate.h"

#include "relay_support.h"

static const struct min_rate rule = {.rate = 100, .window_ms = 10000};

static void test_rate(void **state)
{
    (void)state;
    struct min_rate_watch watch = {0};
    assert_true(min_rate_due(&watch, &rule) == UINT64_MAX);
    min_rate_begin(&watch, 5000, 700, UINT64_MAX);
    assert_true(min_rate_due(&watch, &rule) == 15000);
    assert_true(min_rate_kept(&watch, &rule, 15000, 1700));
    assert_false(min_rate_kept(&watch, &rule, 15000, 1699));
    /* Looked at late: more is asked. */
    assert_false(min_rate_kept(&watch, &rule, 25000, 1700));
    assert_true(min_rate_kept(&watch, &rule, 25000, 2700));
    /* Nothing at all is another matter. */
    assert_true(min_rate_kept(&watch, &rule, 15000, 700));
    assert_false(min_rate_kept(&watch, &rule, 15000, 701));
}

/* Nobody takes more than there is. */
static void test_owed(void **state)
{
    (void)state;
    struct min_rate_watch watch = {0};
    min_rate_begin(&watch, 5000, 0, 10);
    assert_false(min_rate_kept(&watch, &rule, 15000, 9));
    assert_true(min_rate_kept(&watch, &rule, 15000, 10));
    min_rate_begin(&watch, 5000, 0, 0);
    assert_true(min_rate_kept(&watch, &rule, 15000, 1));
}

/* A count that goes backwards (another connection's) is no progress, and no reason to be shed. */
static void test_backwards(void **state)
{
    (void)state;
    struct min_rate_watch watch = {0};
    min_rate_begin(&watch, 5000, 1000, UINT64_MAX);
    assert_true(min_rate_kept(&watch, &rule, 15000, 500));
}

static void test_look(void **state)
{
    (void)state;
    int pair[2];
    uint64_t before, taken = 0, waiting = 0;
    char bytes[5000] = {0};
    tcp_pair(pair, 0);
    assert_true(min_rate_look(pair[0], &before, &waiting));
    assert_int_equal(waiting, 0);
    assert_int_equal(send(pair[0], bytes, sizeof(bytes), 0), sizeof(bytes));
    taken = before;
    for (int i = 0; i < 5000 && (taken - before < sizeof(bytes) || waiting > 0); i++) {
        assert_true(min_rate_look(pair[0], &taken, &waiting));
        assert_int_equal(taken - before + waiting, sizeof(bytes));
        usleep(1000);
    }
    assert_int_equal(taken - before, sizeof(bytes));
    close(pair[0]);
    close(pair[1]);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(min_rate_look(pair[0], &taken, &waiting));
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_owed),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
