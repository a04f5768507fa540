/* Numbers as people write and read them.
 * Refuses to know what is counted. */
#include "sluice_load/units.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

static int parse_with(const char *text, const struct unit *units, size_t count, double *value)
{
    char *end;

    if (text[0] < '0' || text[0] > '9' || strncmp(text, "0x", 2) == 0)
        return -1;
    errno = 0;
    *value = strtod(text, &end);
    if (errno != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) == 0) {
            *value *= units[i].factor;
            return *value < 9.2e18 ? 0 : -1;
        }
    }
    return -1;
}

#define PARSE(text, units, value) parse_with(text, units, sizeof(units) / sizeof((units)[0]), value)

int units_parse_count(const char *text, uint64_t *value)
{
    char *end;
    unsigned long long number;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > INT64_MAX)
        return -1;
    *value = number;
    return 0;
}

int units_parse_size(const char *text, uint64_t *bytes)
{
    static const struct unit units[] = {{"", 1},     {"B", 1},      {"kB", 1e3},     {"MB", 1e6},
                                        {"GB", 1e9}, {"KiB", 1024}, {"MiB", 0x1p20}, {"GiB", 0x1p30}};
    double value;

    if (PARSE(text, units, &value) == -1 || value != floor(value))
        return -1;
    *bytes = (uint64_t)value;
    return 0;
}

int units_parse_duration(const char *text, uint64_t *ns)
{
    static const struct unit units[] = {{"", 1e9},   {"s", 1e9},  {"ms", 1e6},
                                        {"us", 1e3}, {"m", 60e9}, {"h", 3600e9}};
    double value;

    if (PARSE(text, units, &value) == -1)
        return -1;
    *ns = (uint64_t)value;
    return 0;
}

int units_parse_rate(const char *text, double *per_second)
{
    static const struct unit units[] = {{"", 1}, {"k", 1e3}, {"/s", 1}, {"k/s", 1e3}};

    return PARSE(text, units, per_second) == 0 && *per_second > 0 ? 0 : -1;
}

/* Three digits that matter. */
static char *with_unit(char *text, double value, const char *unit)
{
    int places = value >= 99.95 || value == floor(value) ? 0 : value >= 9.995 ? 1 : 2;

    snprintf(text, UNITS_TEXT, "%.*f %s", places, value, unit);
    return text;
}

char *units_size(char *text, double bytes)
{
    static const struct unit units[] = {{"GiB", 0x1p30}, {"GB", 1e9},   {"MiB", 0x1p20},
                                        {"MB", 1e6},     {"KiB", 1024}, {"kB", 1e3}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        bool binary = i % 2 == 0;

        if (bytes >= units[i].factor && (!binary || fmod(bytes, units[i].factor) == 0))
            return with_unit(text, bytes / units[i].factor, units[i].name);
    }
    return with_unit(text, bytes, "B");
}

char *units_rate(char *text, double bytes)
{
    if (bytes >= 1e9)
        return with_unit(text, bytes / 1e9, "GB/s");
    if (bytes >= 1e6)
        return with_unit(text, bytes / 1e6, "MB/s");
    return bytes >= 1e3 ? with_unit(text, bytes / 1e3, "kB/s") : with_unit(text, bytes, "B/s");
}

char *units_duration(char *text, double ns)
{
    if (ns >= 1e9)
        return with_unit(text, ns / 1e9, "s");
    if (ns >= 1e6)
        return with_unit(text, ns / 1e6, "ms");
    return ns >= 1e3 ? with_unit(text, ns / 1e3, "us") : with_unit(text, ns, "ns");
}

char *units_count(char *text, double number)
{
    char digits[UNITS_TEXT];
    size_t length, at = 0;

    snprintf(digits, sizeof(digits), "%.0f", number < 1e18 ? number : 1e18);
    length = strlen(digits);
    for (size_t i = 0; i < length && at < UNITS_TEXT - 2; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}
