/* conf/units: durations and sizes, by table, and back again. */
#include "conf/units.h"

#include "conf_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text;
    uint64_t value;
    const char *formatted;
} durations[] =
    {
        {"0ms", 0, "0ms"},
        {"0h", 0, "0ms"},
        {"1ms", 1, "1ms"},
        {"500ms", 500, "500ms"},
        {"1000ms", 1000, "1s"},
        {"5s", 5000, "5s"},
        {"60s", 60000, "1m"},
        {"90s", 90000, "90s"},
        {"2m", 120000, "2m"},
        {"1h", 3600000, "1h"},
        {"25h", 90000000, "25h"},
        {"168h", 604800000, "7d"},
        {"365d", UINT64_C(31536000000), "365d"},
        {"007s", 7000, "7s"},
        {"18446744073709551615ms", UINT64_MAX, "18446744073709551615ms"},
},
  sizes[] = {
      {"0", 0, "0"},
      {"1", 1, "1"},
      {"65536", 65536, "64KiB"},
      {"64KiB", 65536, "64KiB"},
      {"2MiB", 2097152, "2MiB"},
      {"1GiB", 1073741824, "1GiB"},
      {"1536KiB", 1572864, "1536KiB"},
      {"17179869183GiB", UINT64_C(17179869183) << 30, "17179869183GiB"},
      {"1024GiB", UINT64_C(1) << 40, "1TiB"},
      {"2TiB", UINT64_C(2) << 40, "2TiB"},
      {"18446744073709551615", UINT64_MAX, "18446744073709551615"},
};

static const struct {
    const char *text;
    const char *problem; /* a part of it */
} bad_durations[] =
    {
        {"", "whole number"},
        {"s", "whole number"},
        {"-5s", "whole number"},
        {"+5s", "whole number"},
        {" 5s", "whole number"},
        {".5s", "whole number"},
        {"5", "units ms, s, m, h, d"},
        {"5 s", "units ms, s, m, h, d"},
        {"5s ", "units ms, s, m, h, d"},
        {"1.5s", "units ms, s, m, h, d"},
        {"5S", "units ms, s, m, h, d"},
        {"5sec", "units ms, s, m, h, d"},
        {"1h30m", "units ms, s, m, h, d"},
        {"0x5s", "units ms, s, m, h, d"},
        {"18446744073709551616ms", "too large"},
        {"18446744073709551615s", "too large"},
        {"99999999999999999999999999h", "too large"},
},
  bad_sizes[] = {
      {"", "whole number"},
      {"KiB", "whole number"},
      {"-1", "whole number"},
      {"64K", "KiB, MiB, GiB, TiB"},
      {"64KB", "KiB, MiB, GiB, TiB"},
      {"64kib", "KiB, MiB, GiB, TiB"},
      {"1 MiB", "KiB, MiB, GiB, TiB"},
      {"1PiB", "KiB, MiB, GiB, TiB"},
      {"17179869184GiB", "too large"},
      {"18446744073709551616", "too large"},
};

static void test_durations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(durations); i++) {
        uint64_t value = 42;
        const char *problem = NULL;
        char text[UNITS_TEXT_MAX];
        assert_true(units_parse_duration(durations[i].text, &value, &problem));
        assert_true(value == durations[i].value);
        units_format_duration(value, text);
        assert_string_equal(text, durations[i].formatted);
    }
    for (size_t i = 0; i < COUNT(bad_durations); i++) {
        uint64_t value = 42;
        const char *problem = NULL;
        assert_false(units_parse_duration(bad_durations[i].text, &value, &problem));
        assert_int_equal(value, 42);
        assert_non_null(strstr(problem, bad_durations[i].problem));
    }
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint64_t value = 42;
        const char *problem = NULL;
        char text[UNITS_TEXT_MAX];
        assert_true(units_parse_size(sizes[i].text, &value, &problem));
        assert_true(value == sizes[i].value);
        units_format_size(value, text);
        assert_string_equal(text, sizes[i].formatted);
    }
    for (size_t i = 0; i < COUNT(bad_sizes); i++) {
        uint64_t value = 42;
        const char *problem = NULL;
        assert_false(units_parse_size(bad_sizes[i].text, &value, &problem));
        assert_int_equal(value, 42);
        assert_non_null(strstr(problem, bad_sizes[i].problem));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
