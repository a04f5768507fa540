/* See errlog.h. One write a line, so that lines of several threads don't mix.
 * Refuses to know the access log. */
#include "proxy/errlog.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void errlog(const char *format, ...)
{
    static const char prefix[] = "sluice: ";
    char line[1024] = "sluice: ";
    const size_t room = sizeof(line) - sizeof(prefix);
    va_list arguments;
    size_t length;
    ssize_t n;
    int wanted;

    va_start(arguments, format);
    wanted = vsnprintf(line + sizeof(prefix) - 1, room, format, arguments);
    va_end(arguments);
    if (wanted < 0)
        return;
    length = sizeof(prefix) - 1 + ((size_t)wanted < room ? (size_t)wanted : room - 1);
    line[length++] = '\n';
    /* stderr may be closed or full: nothing can be done about that here. */
    n = write(STDERR_FILENO, line, length);
    (void)n;
}
