/* Durations and sizes: one table of units each, read by parser and formatter.
 * Refuses to know which key is read and what range it has. */
#include "conf/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the formatter takes the first that divides. */
#define UNIT_COUNT 5
static const struct unit durations[UNIT_COUNT] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[UNIT_COUNT] = {
    {"TiB", UINT64_C(1) << 40}, {"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"", 1}};

static bool parse(const char *text, const struct unit units[UNIT_COUNT], const char *unit_problem,
                  uint64_t *value, const char **problem)
{
    const char *at = text;
    uint64_t number = 0;
    bool overflow = false;
    for (; *at >= '0' && *at <= '9'; at++) {
        overflow |= __builtin_mul_overflow(number, 10u, &number);
        overflow |= __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number);
    }
    if (at == text) {
        *problem = "does not begin with a whole number";
        return false;
    }
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (strcmp(at, units[i].name) == 0) {
            if (overflow || __builtin_mul_overflow(number, units[i].factor, &number)) {
                *problem = "is too large a number";
                return false;
            }
            *value = number;
            return true;
        }
    }
    *problem = unit_problem;
    return false;
}

static void format(uint64_t value, const struct unit units[UNIT_COUNT], char text[UNITS_TEXT_MAX])
{
    size_t i = 0;
    while (i < UNIT_COUNT - 1 && (value == 0 || value % units[i].factor != 0)) {
        i++;
    }
    snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

bool units_parse_duration(const char *text, uint64_t *milliseconds, const char **problem)
{
    return parse(text, durations, "needs one of the units ms, s, m, h, d right after the number",
                 milliseconds, problem);
}

bool units_parse_size(const char *text, uint64_t *bytes, const char **problem)
{
    return parse(text, sizes,
                 "needs one of the units KiB, MiB, GiB, TiB right after the number, or none for bytes", bytes,
                 problem);
}

void units_format_duration(uint64_t milliseconds, char text[UNITS_TEXT_MAX])
{
    format(milliseconds, durations, text);
}

void units_format_size(uint64_t bytes, char text[UNITS_TEXT_MAX])
{
    format(bytes, sizes, text);
}
