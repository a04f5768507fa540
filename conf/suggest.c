/* The word that was probably meant, by edit distance.
 * Refuses to know what the words name. */
#include "conf/suggest.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Longer words than any key or name get no suggestion, which bounds the work and the rows below. */
#define WORD_MAX 64
/* An abbreviation shorter than this says too little. */
#define PREFIX_MIN 3

static size_t minimum(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours cost one each, a change of case nothing
 * (optimal string alignment). */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = minimum(minimum(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2])) {
                row[j] = minimum(row[j], before[j - 2] + 1);
            }
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[b_length];
}

const char *suggest_nearest(const char *word, const char *const *words, size_t count)
{
    size_t length = strlen(word);
    if (length == 0 || length > WORD_MAX) {
        return NULL;
    }
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(words[i]);
        if (other == 0 || other > WORD_MAX) {
            continue;
        }
        size_t edits = distance(word, length, words[i], other);
        /* A third of the letters wrong is a misspelling, more is another word. */
        size_t allowed = ((length > other ? length : other) + 1) / 3;
        size_t shared = minimum(length, other);
        if (edits > allowed && shared >= PREFIX_MIN && strncasecmp(word, words[i], shared) == 0) {
            edits = allowed; /* an abbreviation, or the same word gone on with */
        }
        if (edits <= allowed && edits < nearest_distance) {
            nearest = words[i];
            nearest_distance = edits;
        }
    }
    return nearest;
}
