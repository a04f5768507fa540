/* See preview.h. Refuses to know how the log writes bytes. */
#include "proxy/filters/preview.h"

#include <stdlib.h>
#include <string.h>

struct preview_filter {
    struct filter filter; /* first */
    struct preview *into;
    size_t limit;
};

static enum filter_status feed(struct filter *filter, const uint8_t *data, size_t size, bool end,
                               struct filter_output *output)
{
    struct preview_filter *preview = (struct preview_filter *)filter;
    const size_t filled = preview->into->size, room = preview->limit > filled ? preview->limit - filled : 0;
    const size_t n = size < room ? size : room;

    (void)output;
    if (n != 0)
        memcpy(preview->into->bytes + preview->into->size, data, n);
    preview->into->size = (uint16_t)(preview->into->size + n);
    return preview->into->size >= preview->limit || end ? FILTER_DONE : FILTER_MORE;
}

static void preview_free(struct filter *filter)
{
    free(filter);
}

static const struct filter_class preview_class = {.feed = feed, .free = preview_free};

struct filter *preview_filter_new(struct preview *into, size_t limit)
{
    struct preview_filter *preview = calloc(1, sizeof(*preview));

    if (preview == NULL)
        return NULL;
    preview->filter.class = &preview_class;
    preview->into = into;
    preview->limit = limit < PREVIEW_MAX ? limit : PREVIEW_MAX;
    return &preview->filter;
}
