/* Durations and sizes as an operator writes them: "500ms" "5s" "2m" "1h" "365d", "64KiB" "2MiB" "1GiB" "1TiB"
 * "65536". Whole numbers with exactly one unit, no spaces. Refuses to know which key is read and what range
 * it has. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* false: *problem (static text) says what is wrong, and the value is untouched. */
bool units_parse_duration(const char *text, uint64_t *milliseconds, const char **problem)
    __attribute__((warn_unused_result));
bool units_parse_size(const char *text, uint64_t *bytes, const char **problem)
    __attribute__((warn_unused_result));

/* The shortest text that parses back to the same value. */
#define UNITS_TEXT_MAX 32
void units_format_duration(uint64_t milliseconds, char text[UNITS_TEXT_MAX]);
void units_format_size(uint64_t bytes, char text[UNITS_TEXT_MAX]);
