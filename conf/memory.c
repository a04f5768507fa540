/* Allocation that can't fail, for conf alone.
 * Refuses to know what is allocated. */
#include "conf/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *block)
{
    if (block == NULL) {
        fputs("sluice: out of memory while reading the configuration\n", stderr);
        abort();
    }
    return block;
}

void *memory_calloc(size_t count, size_t size)
{
    /* At least one byte, so that NULL always means failure. */
    return checked(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *memory_grow(void *block, size_t count, size_t size)
{
    return checked(reallocarray(block, count > 0 ? count : 1, size));
}

char *memory_strdup(const char *text)
{
    return checked(strdup(text));
}

char *memory_strndup(const char *text, size_t length)
{
    return checked(strndup(text, length));
}

char *memory_format(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return checked(length == -1 ? NULL : text);
}
