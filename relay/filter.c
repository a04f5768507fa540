/* Passes bytes through a chain of filters. Refuses to know what a filter looks for. */
#include "relay/filter.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

bool filter_output_add(struct filter_output *output, const void *data, size_t size)
{
    if (size > output->capacity - output->size) {
        size_t capacity = output->capacity != 0 ? output->capacity : 4096;
        while (capacity - output->size < size)
            capacity *= 2;
        uint8_t *grown = realloc(output->data, capacity);
        if (grown == NULL)
            return false;
        output->data = grown;
        output->capacity = capacity;
    }
    if (size != 0)
        memcpy(output->data + output->size, data, size);
    output->size += size;
    return true;
}

/* What the flow is told: whether and why it must copy. */
static void look(struct filter_chain *chain)
{
    chain->inspects = chain->transforms = false;
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->filters[i]->done)
            continue;
        if (chain->filters[i]->class->transforms)
            chain->transforms = true;
        else
            chain->inspects = true;
    }
}

void filter_chain_init(struct filter_chain *chain, struct filter *const *filters, size_t count, size_t growth)
{
    assert(count <= FILTER_CHAIN_MAX);
    *chain = (struct filter_chain){.count = count, .growth = growth != 0 ? growth : 1};
    for (size_t i = 0; i < count; i++)
        chain->filters[i] = filters[i];
    look(chain);
}

void filter_chain_clear(struct filter_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        chain->filters[i]->class->free(chain->filters[i]);
    filter_chain_stop(chain);
    *chain = (struct filter_chain){.growth = 1};
}

/* One filter's turn. *data and *size become what it lets through. */
static enum filter_status pass(struct filter_chain *chain, size_t i, bool end, const uint8_t **data,
                               size_t *size)
{
    struct filter *filter = chain->filters[i];
    struct filter_output *output = &chain->outputs[chain->turn]; /* the input may be the other one */
    output->size = 0;
    enum filter_status status = filter->class->feed(filter, *data, *size, end, output);
    if (status == FILTER_REJECT)
        chain->rejected_by = filter;
    filter->done = status == FILTER_DONE;
    if (filter->class->transforms) {
        *data = output->data;
        *size = output->size;
        chain->turn = !chain->turn;
    }
    return status == FILTER_DONE ? FILTER_MORE : status;
}

/* From filter `first` on. */
static enum filter_status pass_all(struct filter_chain *chain, size_t first, bool end, const uint8_t **data,
                                   size_t *size)
{
    enum filter_status status = FILTER_MORE;
    for (size_t i = first; i < chain->count && status == FILTER_MORE; i++)
        if (!chain->filters[i]->done)
            status = pass(chain, i, end, data, size);
    look(chain);
    return status;
}

enum filter_status filter_chain_feed(struct filter_chain *chain, const uint8_t *data, size_t size, bool end,
                                     const uint8_t **out, size_t *out_size)
{
    if (chain->has_timer)
        event_del(&chain->timer);
    chain->overdue = false;
    *out = data;
    *out_size = size;
    return pass_all(chain, 0, end, out, out_size);
}

static bool holds(const struct filter *filter)
{
    return !filter->done && filter->class->holds != NULL && filter->class->holds(filter);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct filter_chain *chain = arg;
    (void)fd;
    (void)what;
    chain->overdue = true;
    chain->on_overdue(chain->arg);
}

void filter_chain_wait(struct filter_chain *chain, struct event_base *base, void (*on_overdue)(void *arg),
                       void *arg)
{
    const struct timeval hold = {.tv_usec = FILTER_HOLD_MS * 1000};
    bool held = false;
    for (size_t i = 0; i < chain->count; i++)
        held = held || holds(chain->filters[i]);
    if (!held || on_overdue == NULL)
        return;
    if (!chain->has_timer)
        evtimer_assign(&chain->timer, base, on_timer, chain);
    chain->has_timer = true;
    chain->on_overdue = on_overdue;
    chain->arg = arg;
    if (!evtimer_pending(&chain->timer, NULL))
        evtimer_add(&chain->timer, &hold);
}

/* What one filter lets go of passes those behind it, which may hold it in their turn: they get a new hold. */
enum filter_status filter_chain_flush(struct filter_chain *chain, const uint8_t **out, size_t *out_size)
{
    chain->overdue = false;
    *out = NULL;
    *out_size = 0;
    for (size_t i = 0; i < chain->count; i++) {
        struct filter *filter = chain->filters[i];
        if (!holds(filter))
            continue;
        struct filter_output *output = &chain->outputs[chain->turn];
        output->size = 0;
        chain->turn = !chain->turn;
        if (!filter->class->flush(filter, output))
            return FILTER_BROKEN;
        *out = output->data;
        *out_size = output->size;
        return pass_all(chain, i + 1, false, out, out_size);
    }
    return FILTER_MORE;
}

void filter_chain_trim(struct filter_chain *chain)
{
    for (size_t i = 0; i < 2; i++) {
        free(chain->outputs[i].data);
        chain->outputs[i] = (struct filter_output){0};
    }
}

void filter_chain_stop(struct filter_chain *chain)
{
    if (chain->has_timer)
        event_del(&chain->timer);
    filter_chain_trim(chain);
}
