/* The latency histogram: what it remembers of values, and how exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sluice_load/histogram.h"

static void every_value_lies_in_its_bucket(void **state)
{
    static const uint64_t values[] = {0,    1,     127,   128,        129,        255,        256,
                                      257,  1000,  12345, 1000000007, UINT32_MAX, UINT64_MAX, UINT64_MAX / 2,
                                      1023, 65535, 65536};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        size_t bucket = histogram_bucket(values[i]);

        assert_true(histogram_bucket_low(bucket) <= values[i]);
        assert_true(histogram_bucket_high(bucket) >= values[i]);
    }
}

static void buckets_follow_each_other_without_gap(void **state)
{
    (void)state;
    for (size_t bucket = 1; bucket <= histogram_bucket(UINT64_MAX); bucket++) {
        assert_int_equal(histogram_bucket_low(bucket), histogram_bucket_high(bucket - 1) + 1);
        assert_int_equal(histogram_bucket(histogram_bucket_low(bucket)), bucket);
    }
}

static void a_bucket_is_narrower_than_one_per_cent(void **state)
{
    (void)state;
    for (size_t bucket = histogram_bucket(128); bucket <= histogram_bucket(UINT64_MAX); bucket++) {
        uint64_t low = histogram_bucket_low(bucket), high = histogram_bucket_high(bucket);

        assert_true(high - low <= low / 100);
    }
}

static void an_empty_one_knows_nothing(void **state)
{
    struct histogram *histogram = histogram_new();

    (void)state;
    assert_non_null(histogram);
    assert_int_equal(histogram_count(histogram), 0);
    assert_int_equal(histogram_percentile(histogram, 99), 0);
    assert_int_equal(histogram_min(histogram), 0);
    assert_int_equal(histogram_max(histogram), 0);
    assert_true(histogram_mean(histogram) == 0);
    histogram_free(histogram);
}

static void percentiles_of_a_hundred_numbers(void **state)
{
    struct histogram *histogram = histogram_new();

    (void)state;
    for (uint64_t value = 100; value >= 1; value--)
        histogram_record(histogram, value);
    assert_int_equal(histogram_count(histogram), 100);
    assert_int_equal(histogram_percentile(histogram, 0), 1);
    assert_int_equal(histogram_percentile(histogram, 50), 50);
    assert_int_equal(histogram_percentile(histogram, 99), 99);
    assert_int_equal(histogram_percentile(histogram, 99.1), 100);
    assert_int_equal(histogram_percentile(histogram, 100), 100);
    assert_true(histogram_mean(histogram) == 50.5);
    histogram_free(histogram);
}

static void a_percentile_never_exceeds_the_maximum(void **state)
{
    struct histogram *histogram = histogram_new();

    (void)state;
    histogram_record(histogram, 1000001);
    assert_int_equal(histogram_percentile(histogram, 50), 1000001);
    assert_int_equal(histogram_min(histogram), 1000001);
    histogram_free(histogram);
}

static void merging_is_recording_both(void **state)
{
    struct histogram *a = histogram_new(), *b = histogram_new(), *both = histogram_new(),
                     *none = histogram_new();

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) {
        histogram_record(i % 3 == 0 ? a : b, i * i);
        histogram_record(both, i * i);
    }
    histogram_merge(a, b);
    histogram_merge(a, none);
    assert_int_equal(histogram_count(a), histogram_count(both));
    assert_int_equal(histogram_min(a), histogram_min(both));
    assert_int_equal(histogram_max(a), histogram_max(both));
    for (double percent = 0; percent <= 100; percent += 0.5)
        assert_int_equal(histogram_percentile(a, percent), histogram_percentile(both, percent));
    histogram_merge(none, a);
    assert_int_equal(histogram_min(none), 1);
    histogram_free(a);
    histogram_free(b);
    histogram_free(both);
    histogram_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_lies_in_its_bucket),
        cmocka_unit_test(buckets_follow_each_other_without_gap),
        cmocka_unit_test(a_bucket_is_narrower_than_one_per_cent),
        cmocka_unit_test(an_empty_one_knows_nothing),
        cmocka_unit_test(percentiles_of_a_hundred_numbers),
        cmocka_unit_test(a_percentile_never_exceeds_the_maximum),
        cmocka_unit_test(merging_is_recording_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
