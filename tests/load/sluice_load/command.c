/* Reads the values of options.
 * Refuses to know which options there are. */
#include "sluice_load/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sluice_load/units.h"

void command_usage_error(const char *format, ...)
{
    va_list arguments;

    fputs("sluice-load: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\n(sluice-load --help)\n", stderr);
    exit(2);
}

uint64_t command_count(const char *option, const char *text, uint64_t minimum, uint64_t maximum)
{
    uint64_t value;

    if (units_parse_count(text, &value) == -1 || value < minimum || value > maximum)
        command_usage_error("%s: %s is not a number from %" PRIu64 " to %" PRIu64, option, text, minimum,
                            maximum);
    return value;
}

uint64_t command_size(const char *option, const char *text)
{
    uint64_t value;

    if (units_parse_size(text, &value) == -1)
        command_usage_error("%s: %s is not a size like 1000, 64KiB or 100MB", option, text);
    return value;
}

uint64_t command_duration(const char *option, const char *text)
{
    uint64_t value;

    if (units_parse_duration(text, &value) == -1 || value == 0)
        command_usage_error("%s: %s is not a duration like 10s, 500ms or 2m", option, text);
    return value;
}

double command_rate(const char *option, const char *text)
{
    double value;

    if (units_parse_rate(text, &value) == -1)
        command_usage_error("%s: %s is not a rate like 1000 or 20k, per second", option, text);
    return value;
}

void command_cpus(const char *option, const char *text, cpu_set_t *cpus)
{
    const char *at = text;

    CPU_ZERO(cpus);
    for (;;) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;

        if (end != at && *end == '-') {
            at = end + 1;
            last = strtoul(at, &end, 10);
        }
        if (end == at || last < first || last >= CPU_SETSIZE)
            command_usage_error("%s: %s is not a list of processors like 0,2-3", option, text);
        for (unsigned long cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, cpus);
        if (*end == '\0')
            return;
        if (*end != ',')
            command_usage_error("%s: %s is not a list of processors like 0,2-3", option, text);
        at = end + 1;
    }
}
