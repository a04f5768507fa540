/* Old against new: the keys that a reload can't change.
 * Refuses to know which those are: the schema marks them. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/schema.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_strings(const struct schema_key *key, const char *a, const char *b)
{
    size_t count = *(const size_t *)(const void *)(a + key->count_offset);
    if (count != *(const size_t *)(const void *)(b + key->count_offset)) {
        return false;
    }
    char *const *x = *(char *const *const *)(const void *)(a + key->offset);
    char *const *y = *(char *const *const *)(const void *)(b + key->offset);
    for (size_t i = 0; i < count; i++) {
        if (!same_text(x[i], y[i])) {
            return false;
        }
    }
    return true;
}

static bool same_value(const struct schema_key *key, const char *a, const char *b)
{
    const void *x = a + key->offset, *y = b + key->offset;
    switch (key->type) {
    case SCHEMA_INTEGER:
        return *(const unsigned *)x == *(const unsigned *)y;
    case SCHEMA_SIZE:
        return *(const uint64_t *)x == *(const uint64_t *)y;
    case SCHEMA_STRING:
        return same_text(*(char *const *)x, *(char *const *)y);
    case SCHEMA_STRINGS:
        return same_strings(key, a, b);
    default:
        /* No other type is fixed; a test holds the schema to that. */
        abort();
    }
}

bool conf_reloadable(const struct conf *old, const struct conf *fresh, struct conf_problems *problems)
{
    size_t before = problems->count;
    for (size_t i = 0; i < schema_root.count; i++) {
        const struct schema_key *key = &schema_root.keys[i];
        if (key->fixed && !same_value(key, (const char *)old, (const char *)fresh)) {
            const struct conf_place *place =
                (const struct conf_place *)(const void *)((const char *)fresh + key->place_offset);
            struct conf_place told = {place->file != NULL ? place->file : fresh->file, place->line};
            conf_problem_add(problems, told, key->name,
                             "a reload can't change this: restart, or set it back to what it was");
        }
    }
    return problems->count == before;
}
