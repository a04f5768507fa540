/* The word that was probably meant: the nearest known one by edit distance, or one it abbreviates.
 * Refuses to know what the words name. */
#pragma once

#include <stddef.h>

/* NULL: none is near enough. The answer points into `words`. */
const char *suggest_nearest(const char *word, const char *const *words, size_t count)
    __attribute__((warn_unused_result));
