/* relay/min_rate: windows judged on a made-up clock; and what a real socket's peer has taken. */
#include "relay/min_rate.h"

#include "relay_support.h"

static const struct min_rate rule = {.rate = 100, .window_ms = 10000};

static struct min_rate_watch begun(uint64_t moved, uint64_t owed)
{
    struct min_rate_watch watch = {0};
    min_rate_begin(&watch, &rule, 5000, moved, owed);
    assert_true(watch.due_ms == 15000);
    return watch;
}

static bool is_slow_at(struct min_rate_watch watch, uint64_t now_ms, uint64_t moved)
{
    return min_rate_is_slow(&watch, &rule, now_ms, moved, 0);
}

static void test_rate(void **state)
{
    (void)state;
    const struct min_rate_watch watch = begun(700, UINT64_MAX);
    assert_false(is_slow_at(watch, 15000, 1700));
    assert_true(is_slow_at(watch, 15000, 1699));
    /* Looked at late: more is asked. */
    assert_true(is_slow_at(watch, 25000, 1700));
    assert_false(is_slow_at(watch, 25000, 2700));
}

static void test_next_window(void **state)
{
    (void)state;
    struct min_rate_watch watch = begun(0, UINT64_MAX);
    assert_false(min_rate_is_slow(&watch, &rule, 16000, 5000, 300));
    assert_true(watch.due_ms == 26000);
    assert_false(is_slow_at(watch, 26000, 5300)); /* all that there was */
    assert_true(min_rate_is_slow(&watch, &rule, 26000, 5299, 300));
}

/* Nothing at all is another matter, until something comes. */
static void test_idle(void **state)
{
    (void)state;
    struct min_rate_watch watch = begun(700, UINT64_MAX);
    assert_false(min_rate_is_slow(&watch, &rule, 15000, 700, UINT64_MAX));
    assert_true(watch.due_ms == 25000);
    assert_false(min_rate_is_slow(&watch, &rule, 25000, 700, UINT64_MAX));
    assert_true(is_slow_at(watch, 35000, 1701)); /* in 30 s */
    assert_false(is_slow_at(watch, 35000, 3700));
}

/* Nobody takes more than there is. */
static void test_owed(void **state)
{
    (void)state;
    const struct min_rate_watch watch = begun(0, 10);
    assert_true(is_slow_at(watch, 15000, 9));
    assert_false(is_slow_at(watch, 15000, 10));
    struct min_rate_watch nothing = begun(0, 0);
    assert_false(min_rate_is_slow(&nothing, &rule, 15000, 0, 500));
    assert_true(is_slow_at(nothing, 25000, 1));
}

/* A count that goes backwards is no progress, and no reason to be shed. */
static void test_backwards(void **state)
{
    (void)state;
    assert_false(is_slow_at(begun(1000, UINT64_MAX), 15000, 500));
    assert_false(is_slow_at(begun(1000, 0), 15000, 500));
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
        cmocka_unit_test(test_rate), cmocka_unit_test(test_next_window), cmocka_unit_test(test_idle),
        cmocka_unit_test(test_owed), cmocka_unit_test(test_backwards),   cmocka_unit_test(test_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
