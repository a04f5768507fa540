/* Several byte strings looked for at once in a stream, across whatever cuts it (Aho and Corasick 1975).
 * Immutable once built: any number of streams and threads may use one. Refuses to know where bytes come from.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct patterns;

struct pattern {
    const uint8_t *data;
    size_t size; /* at least 1 */
};

/* A state is 512 bytes of table: 4 KiB of patterns come to 2 MiB. */
#define PATTERNS_BYTES_MAX 4096
#define PATTERNS_NONE ((size_t)-1)

/* The patterns are copied into the automaton. NULL: out of memory, or more than PATTERNS_BYTES_MAX. */
struct patterns *patterns_new(const struct pattern *patterns, size_t count);
void patterns_free(struct patterns *patterns);

/* Goes on from *state (0 at the start of a stream). The index of the pattern that ended first, the longest of
 * those that ended there; PATTERNS_NONE: none ended in these bytes. */
size_t patterns_search(const struct patterns *patterns, unsigned *state, const uint8_t *data, size_t size);
