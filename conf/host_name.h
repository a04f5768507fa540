/* Host names as they may be written: RFC 1123's letters, digits and hyphens, and the underscore, which SRV
 * records and container networks use. Refuses to know what they stand for: nothing is looked up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A final dot is allowed: it keeps the search list away. false: *problem (static text) says what is wrong. */
bool host_name_check(const char *text, size_t length, const char **problem)
    __attribute__((warn_unused_result));
