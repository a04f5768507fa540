/* The filter `substitute`: replaces every occurrence of a byte string in a stream, wherever the stream was
 * cut. Occurrences are found from the left and don't overlap; what was put in is not looked at again. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "relay/filter.h"

struct substitute_rule; /* immutable, shared by any number of streams */

/* Takes both strings (malloc'ed) on success; replace may be NULL with size 0. NULL: out of memory. */
struct substitute_rule *substitute_rule_new(uint8_t *find, size_t find_size, uint8_t *replace,
                                            size_t replace_size);
void substitute_rule_free(struct substitute_rule *rule);
/* How many bytes one byte may become, at least 1. */
size_t substitute_rule_growth(const struct substitute_rule *rule);

/* rule is borrowed and outlives the filter. NULL: out of memory. */
struct filter *substitute_filter_new(const struct substitute_rule *rule);
