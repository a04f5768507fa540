/* The filter `log`: keeps the first bytes of a direction for the access log. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "relay/filter.h"

#define PREVIEW_MAX 256

struct preview {
    uint8_t bytes[PREVIEW_MAX];
    uint16_t size;
};

/* Fills *into (borrowed, outlives the filter) up to `limit` bytes, at most PREVIEW_MAX. NULL: out of memory.
 */
struct filter *preview_filter_new(struct preview *into, size_t limit);
