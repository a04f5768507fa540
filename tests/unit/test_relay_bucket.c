/* The token bucket, as tables: what is there, what is taken, when there will be more, and that a flow of
 * takings never beats the rate and keeps up with it. Refuses to know clocks. */
#include "relay/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S UINT64_C(1000000000)
#define START (1000 * S)

static void fills_and_empties(void **state)
{
    static const struct {
        const char *what;
        struct bucket_rate rate;
        uint64_t take, after_ns, level;
    } cases[] = {
        {"full at first", {10, 5}, 0, 0, 5},
        {"one taken", {10, 5}, 1, 0, 4},
        {"all taken", {10, 5}, 5, 0, 0},
        {"not yet a tenth of a second", {10, 5}, 5, S / 10 - 1, 0},
        {"a tenth of a second", {10, 5}, 5, S / 10, 1},
        {"full again", {10, 5}, 5, S / 2, 5},
        {"never fuller than full", {10, 5}, 5, 100 * S, 5},
        {"a debt", {10, 5}, 15, S, 0},
        {"a debt paid", {10, 5}, 15, S + S / 10, 1},
        {"one a second", {1, 1}, 1, S - 1, 0},
        {"one a second, later", {1, 1}, 1, S, 1},
        {"a third, rounded down", {3, 3}, 3, S / 3, 0},
        {"a third, a little later", {3, 3}, 3, S / 3 + 1, 1},
        {"10 GB/s", {UINT64_C(10000000000), UINT64_C(1) << 32}, UINT64_C(1) << 32, S / 10, 999999996},
        {"10 GB/s, deep in debt", {UINT64_C(10000000000), UINT64_C(1) << 32}, UINT64_C(1) << 40, S, 0},
        {"one byte a second, a day later", {1, 1}, UINT64_C(86400), 86399 * S, 0},
        {"one byte a second, the debt paid", {1, 1}, UINT64_C(86400), 86400 * S, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bucket bucket = {0};
        print_message("%s\n", cases[i].what);
        assert_int_equal(bucket_level(&bucket, &cases[i].rate, START), cases[i].rate.burst);
        bucket_take(&bucket, &cases[i].rate, cases[i].take, START);
        assert_int_equal(bucket_level(&bucket, &cases[i].rate, START + cases[i].after_ns), cases[i].level);
    }
}

static void tells_when(void **state)
{
    static const struct {
        struct bucket_rate rate;
        uint64_t take, want;
    } cases[] = {
        {{10, 5}, 5, 1},  {{10, 5}, 5, 5},
        {{10, 5}, 50, 3}, {{3, 7}, 7, 2},
        {{7, 3}, 4, 1},   {{1048576, 65536}, 65536, 52428},
        {{1, 1}, 1, 1},   {{999983, 4096}, 5000, 4000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bucket bucket = {0};
        bucket_take(&bucket, &cases[i].rate, cases[i].take, START);
        uint64_t when = bucket_when(&bucket, &cases[i].rate, cases[i].want);
        assert_true(when > START);
        /* A token's time is no whole number of nanoseconds. */
        assert_true(bucket_level(&bucket, &cases[i].rate, when + 2) >= cases[i].want);
        assert_true(bucket_level(&bucket, &cases[i].rate, when - 2) < cases[i].want);
    }
}

/* Whatever is there is taken at once, at odd moments: 10 seconds of it. */
static void keeps_the_rate(void **state)
{
    static const struct bucket_rate rates[] = {
        {1, 1}, {10, 3}, {1000, 50}, {1048576, 65536}, {999983, 100000}, {UINT64_C(10000000000), 1000000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct bucket bucket = {0};
        uint64_t taken = 0, now = START, seed = 12345;
        while (now < START + 10 * S) {
            uint64_t level = bucket_level(&bucket, &rates[i], now);
            bucket_take(&bucket, &rates[i], level, now);
            taken += level;
            seed = seed * UINT64_C(6364136223846793005) + 1;
            now += 1 + (seed >> 33) % 20000000;
        }
        uint64_t most = rates[i].burst + 10 * rates[i].rate;
        assert_true(taken <= most);
        assert_true(taken >= most - most / 100 - 1);
    }
}

static void tries(void **state)
{
    const struct bucket_rate rate = {2, 3};
    struct bucket bucket = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(bucket_try(&bucket, &rate, START));
    assert_false(bucket_try(&bucket, &rate, START));
    assert_false(bucket_try(&bucket, &rate, START + S / 2 - 1));
    assert_true(bucket_try(&bucket, &rate, START + S / 2));
    assert_false(bucket_try(&bucket, &rate, START + S / 2));
}

/* A reload changes the rate; what was taken stays taken. */
static void a_new_rate_keeps_the_state(void **state)
{
    const struct bucket_rate slow = {1, 10}, fast = {100, 10};
    struct bucket bucket = {0};

    (void)state;
    bucket_take(&bucket, &slow, 10, START);
    assert_int_equal(bucket_level(&bucket, &slow, START + S), 1);
    assert_int_equal(bucket_level(&bucket, &fast, START + S), 0);
    assert_int_equal(bucket_level(&bucket, &fast, START + 10 * S), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_empties),
        cmocka_unit_test(tells_when),
        cmocka_unit_test(keeps_the_rate),
        cmocka_unit_test(tries),
        cmocka_unit_test(a_new_rate_keeps_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
