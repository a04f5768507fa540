/* A line of text as it is written, into memory of a fixed size: the log's. Refuses to know what it says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct line {
    char *text; /* not terminated */
    size_t size, capacity;
    bool failed; /* there was no room: the line is useless */
};

static inline void line_put_bytes(struct line *line, const char *bytes, size_t size)
{
    if (size > line->capacity - line->size) {
        line->failed = true;
        return;
    }
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static inline void line_put(struct line *line, const char *text)
{
    line_put_bytes(line, text, strlen(text));
}

static inline void line_put_char(struct line *line, char c)
{
    line_put_bytes(line, &c, 1);
}

static inline void line_put_number(struct line *line, uint64_t number)
{
    char digits[20]; /* of 2^64 */
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    line_put_bytes(line, digits + at, sizeof(digits) - at);
}
