/* Byte strings in a configuration: text as it stands, or "hex:0d0a00". Refuses to know what they are for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *bytes is the caller's to free. false: *problem (static text) says what is wrong, or is NULL when there is
 * no memory. An empty string is none: "text is empty". */
bool conf_bytes_parse(const char *text, uint8_t **bytes, size_t *size, const char **problem)
    __attribute__((warn_unused_result));
