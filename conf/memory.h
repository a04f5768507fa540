/* Allocation that can't fail, for conf alone: libconfig doesn't check its own allocations, so a loader that
 * did would still not survive. Running out here ends the process with a message.
 * Refuses to know what is allocated; everything is released with free(). */
#pragma once

#include <stddef.h>

void *memory_calloc(size_t count, size_t size) __attribute__((warn_unused_result, malloc));
void *memory_grow(void *block, size_t count, size_t size) __attribute__((warn_unused_result));
char *memory_strdup(const char *text) __attribute__((warn_unused_result, malloc));
char *memory_strndup(const char *text, size_t length) __attribute__((warn_unused_result, malloc));
char *memory_format(const char *format, ...)
    __attribute__((warn_unused_result, malloc, format(printf, 1, 2)));
