/* The automaton of Aho and Corasick, made complete: one look-up a byte. Refuses to know where bytes come
 * from.
 */
#include "proxy/filters/patterns.h"

#include <stdlib.h>
#include <string.h>

#define NO_STATE UINT16_MAX

struct state {
    uint16_t next[256];
    uint16_t fail;
    uint16_t ends; /* index of the pattern that ends here plus one; 0: none */
};

struct patterns {
    size_t count;
    struct state states[];
};

static uint16_t new_state(struct patterns *patterns)
{
    struct state *state = &patterns->states[patterns->count];

    memset(state->next, 0xff, sizeof(state->next)); /* NO_STATE */
    state->fail = state->ends = 0;
    return (uint16_t)patterns->count++;
}

static void add(struct patterns *patterns, const struct pattern *pattern, size_t index)
{
    uint16_t at = 0;

    for (size_t i = 0; i < pattern->size; i++) {
        uint16_t *next = &patterns->states[at].next[pattern->data[i]];

        if (*next == NO_STATE)
            *next = new_state(patterns);
        at = *next;
    }
    if (patterns->states[at].ends == 0)
        patterns->states[at].ends = (uint16_t)(index + 1);
}

/* Breadth first: a state's failure is nearer to the root, so it is complete already. */
static void complete(struct patterns *patterns, uint16_t *queue)
{
    struct state *states = patterns->states;
    size_t head = 0, tail = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        uint16_t *next = &states[0].next[byte];

        if (*next == NO_STATE)
            *next = 0;
        else
            queue[tail++] = *next;
    }
    while (head < tail) {
        struct state *state = &states[queue[head++]];

        if (state->ends == 0)
            state->ends = states[state->fail].ends;
        for (unsigned byte = 0; byte < 256; byte++) {
            const uint16_t fallback = states[state->fail].next[byte];

            if (state->next[byte] == NO_STATE) {
                state->next[byte] = fallback;
            } else {
                states[state->next[byte]].fail = fallback;
                queue[tail++] = state->next[byte];
            }
        }
    }
}

struct patterns *patterns_new(const struct pattern *list, size_t count)
{
    struct patterns *patterns;
    uint16_t *queue;
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += list[i].size;
    if (bytes > PATTERNS_BYTES_MAX)
        return NULL;
    patterns = malloc(sizeof(*patterns) + (bytes + 1) * sizeof(struct state));
    queue = calloc(bytes + 1, sizeof(*queue));
    if (patterns == NULL || queue == NULL) {
        free(patterns);
        free(queue);
        return NULL;
    }
    patterns->count = 0;
    (void)new_state(patterns);
    for (size_t i = 0; i < count; i++)
        add(patterns, &list[i], i);
    complete(patterns, queue);
    free(queue);
    return patterns;
}

void patterns_free(struct patterns *patterns)
{
    free(patterns);
}

size_t patterns_search(const struct patterns *patterns, unsigned *state, const uint8_t *data, size_t size)
{
    const struct state *states = patterns->states;
    unsigned at = *state;

    for (size_t i = 0; i < size; i++) {
        at = states[at].next[data[i]];
        if (states[at].ends != 0) {
            *state = at;
            return states[at].ends - 1u;
        }
    }
    *state = at;
    return PATTERNS_NONE;
}
