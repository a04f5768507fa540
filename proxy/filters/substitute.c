/* Knuth, Morris and Pratt (1977): how much of the string stands at the end of what came is all there is to
 * remember, so nothing is buffered. Refuses to know where the bytes go. */
#include "proxy/filters/substitute.h"

#include <stdlib.h>
#include <string.h>

struct substitute_rule {
    uint8_t *find, *replace;
    size_t find_size, replace_size;
    size_t fails[]; /* [n]: the longest proper prefix of find that ends the first n bytes of it */
};

struct substitute {
    struct filter filter; /* first */
    const struct substitute_rule *rule;
    size_t matched; /* this much of find is held back */
};

struct substitute_rule *substitute_rule_new(uint8_t *find, size_t find_size, uint8_t *replace,
                                            size_t replace_size)
{
    struct substitute_rule *rule = malloc(sizeof(*rule) + (find_size + 1) * sizeof(rule->fails[0]));

    if (rule == NULL)
        return NULL;
    *rule = (struct substitute_rule){
        .find = find, .find_size = find_size, .replace = replace, .replace_size = replace_size};
    rule->fails[0] = rule->fails[1] = 0;
    for (size_t n = 2, k = 0; n <= find_size; n++) {
        while (k > 0 && find[k] != find[n - 1])
            k = rule->fails[k];
        if (find[k] == find[n - 1])
            k++;
        rule->fails[n] = k;
    }
    return rule;
}

void substitute_rule_free(struct substitute_rule *rule)
{
    if (rule == NULL)
        return;
    free(rule->find);
    free(rule->replace);
    free(rule);
}

size_t substitute_rule_growth(const struct substitute_rule *rule)
{
    return rule->replace_size / rule->find_size + 1;
}

/* One byte, which is not the beginning of a run of bytes that can't match. false: out of memory. */
static bool take(struct substitute *substitute, uint8_t byte, struct filter_output *output)
{
    const struct substitute_rule *rule = substitute->rule;

    while (substitute->matched > 0 && rule->find[substitute->matched] != byte) {
        const size_t shorter = rule->fails[substitute->matched];

        if (!filter_output_add(output, rule->find, substitute->matched - shorter))
            return false;
        substitute->matched = shorter;
    }
    if (rule->find[substitute->matched] != byte)
        return filter_output_add(output, &byte, 1);
    if (++substitute->matched < rule->find_size)
        return true;
    substitute->matched = 0;
    return filter_output_add(output, rule->replace, rule->replace_size);
}

static bool flush(struct filter *filter, struct filter_output *output)
{
    struct substitute *substitute = (struct substitute *)filter;
    const size_t held = substitute->matched;

    substitute->matched = 0;
    return filter_output_add(output, substitute->rule->find, held);
}

static enum filter_status feed(struct filter *filter, const uint8_t *data, size_t size, bool end,
                               struct filter_output *output)
{
    struct substitute *substitute = (struct substitute *)filter;
    const uint8_t first = substitute->rule->find[0];

    for (size_t i = 0; i < size;) {
        if (substitute->matched == 0) {
            const uint8_t *next = memchr(data + i, first, size - i);
            const size_t run = next != NULL ? (size_t)(next - data) - i : size - i;

            if (!filter_output_add(output, data + i, run))
                return FILTER_BROKEN;
            i += run;
            if (i == size)
                break;
        }
        if (!take(substitute, data[i++], output))
            return FILTER_BROKEN;
    }
    return !end || flush(filter, output) ? FILTER_MORE : FILTER_BROKEN;
}

static bool holds(const struct filter *filter)
{
    return ((const struct substitute *)filter)->matched != 0;
}

static void substitute_free(struct filter *filter)
{
    free(filter);
}

static const struct filter_class substitute_class = {
    .transforms = true, .feed = feed, .holds = holds, .flush = flush, .free = substitute_free};

struct filter *substitute_filter_new(const struct substitute_rule *rule)
{
    struct substitute *substitute = calloc(1, sizeof(*substitute));

    if (substitute == NULL)
        return NULL;
    substitute->filter.class = &substitute_class;
    substitute->rule = rule;
    return &substitute->filter;
}
