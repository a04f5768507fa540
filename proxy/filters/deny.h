/* The filter `deny`: resets a connection that shows one of several patterns within its first bytes. What it
 * passes on before a pattern is complete may be the pattern's beginning; its last byte never goes on. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/filters/patterns.h"
#include "relay/filter.h"

/* patterns is borrowed and outlives the filter. within: bytes looked at. NULL: out of memory. */
struct filter *deny_filter_new(const struct patterns *patterns, uint64_t within);
/* Which pattern was met; PATTERNS_NONE: none yet, or `filter` is of another kind. */
size_t deny_filter_matched(const struct filter *filter);
/* What deny_filter_new() was given; filter is of this kind. */
const struct patterns *deny_filter_patterns(const struct filter *filter);
