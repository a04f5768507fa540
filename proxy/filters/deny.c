/* See deny.h. Refuses to know what becomes of the connection. */
#include "proxy/filters/deny.h"

#include <stdlib.h>

struct deny {
    struct filter filter; /* first */
    const struct patterns *patterns;
    uint64_t left;
    unsigned state;
    size_t matched;
};

static enum filter_status feed(struct filter *filter, const uint8_t *data, size_t size, bool end,
                               struct filter_output *output)
{
    struct deny *deny = (struct deny *)filter;
    const size_t looked = size < deny->left ? size : (size_t)deny->left;

    (void)output;
    deny->matched = patterns_search(deny->patterns, &deny->state, data, looked);
    if (deny->matched != PATTERNS_NONE)
        return FILTER_REJECT;
    deny->left -= looked;
    return deny->left == 0 || end ? FILTER_DONE : FILTER_MORE;
}

static void deny_free(struct filter *filter)
{
    free(filter);
}

static const struct filter_class deny_class = {.feed = feed, .free = deny_free};

struct filter *deny_filter_new(const struct patterns *patterns, uint64_t within)
{
    struct deny *deny = calloc(1, sizeof(*deny));

    if (deny == NULL)
        return NULL;
    deny->filter.class = &deny_class;
    deny->patterns = patterns;
    deny->left = within;
    deny->matched = PATTERNS_NONE;
    return &deny->filter;
}

size_t deny_filter_matched(const struct filter *filter)
{
    return filter != NULL && filter->class == &deny_class ? ((const struct deny *)filter)->matched
                                                          : PATTERNS_NONE;
}

const struct patterns *deny_filter_patterns(const struct filter *filter)
{
    return ((const struct deny *)filter)->patterns;
}
