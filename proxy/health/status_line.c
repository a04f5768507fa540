/* See status_line.h. */
#include "proxy/health/status_line.h"

#include <stdbool.h>

static bool is_fitting(size_t i, char c)
{
    static const char pattern[STATUS_LINE_MAX + 1] = "HTTP/1.# ###~";

    switch (pattern[i]) {
    case '#':
        return c >= '0' && c <= '9';
    case '~':
        return c == ' ' || c == '\r' || c == '\n';
    default:
        return c == pattern[i];
    }
}

enum status_line status_line_parse(const char *bytes, size_t length, unsigned *status)
{
    for (size_t i = 0; i < length && i < STATUS_LINE_MAX; i++)
        if (!is_fitting(i, bytes[i]))
            return STATUS_LINE_BAD;
    if (length < STATUS_LINE_MAX)
        return STATUS_LINE_PARTIAL;
    *status = (unsigned)((bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0'));
    return *status >= 100 ? STATUS_LINE_GOOD : STATUS_LINE_BAD;
}
