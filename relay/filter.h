/* Filters: code that must see (inspect) or rewrite (transform) the bytes of one direction, and the chain of
 * them that a flow asks as long as one of them wants bytes. From then on the flow may do without copying.
 * Refuses to know what a filter looks for (proxy/filters). Belongs to one worker; nothing here blocks. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

enum filter_status {
    FILTER_MORE,   /* wants the next bytes as well */
    FILTER_DONE,   /* has seen enough: it isn't called again */
    FILTER_REJECT, /* these bytes must not go on: the connection is to be reset */
    FILTER_BROKEN, /* out of memory */
};

/* What a transforming filter writes; grows as needed. Zero-initialise. */
struct filter_output {
    uint8_t *data;
    size_t size, capacity;
};
/* false: out of memory. */
bool filter_output_add(struct filter_output *output, const void *data, size_t size)
    __attribute__((warn_unused_result));

struct filter;

struct filter_class {
    bool transforms; /* writes what goes on to `output`; an inspecting filter leaves that alone */
    /* The next bytes in their order; size may be 0 at the end. end: no more will come. */
    enum filter_status (*feed)(struct filter *filter, const uint8_t *data, size_t size, bool end,
                               struct filter_output *output);
    /* Transforming filters: whether bytes are held back to see what follows, and giving them up. NULL: never
     * any. */
    bool (*holds)(const struct filter *filter);
    bool (*flush)(struct filter *filter, struct filter_output *output); /* false: out of memory */
    void (*free)(struct filter *filter);
};

/* The head of every filter; embed it first. */
struct filter {
    const struct filter_class *class;
    bool done; /* the chain's */
};

#define FILTER_CHAIN_MAX 8
/* Bytes held back for what might follow go on after this long: a peer that waits for an answer to exactly
 * these bytes gets it. Long enough for a match that was cut in two segments. */
#define FILTER_HOLD_MS 200

struct filter_chain {
    struct filter *filters[FILTER_CHAIN_MAX]; /* owned, in the order that bytes pass them */
    size_t count;
    bool inspects, transforms; /* one that isn't done */
    size_t growth;             /* at least 1: a byte in may become this many out */
    const struct filter *rejected_by;
    struct filter_output outputs[2]; /* taken in turns: what one filter wrote is the next one's input */
    unsigned turn;
    struct event timer; /* while bytes are held back and nothing comes */
    bool has_timer, overdue;
    void (*on_overdue)(void *arg);
    void *arg;
};

/* Takes the filters. growth: see above. The chain stays where it is until filter_chain_clear(). */
void filter_chain_init(struct filter_chain *chain, struct filter *const *filters, size_t count,
                       size_t growth);
void filter_chain_clear(struct filter_chain *chain); /* also of a zeroed one */

/* Whether any filter wants bytes still. NULL: none does. */
static inline bool filter_chain_wants(const struct filter_chain *chain)
{
    return chain != NULL && (chain->inspects || chain->transforms);
}

/* Passes bytes through the filters that want them. FILTER_MORE: *out (*out_size) is what goes on, the input
 * itself or memory of the chain's that is good until the next call. FILTER_REJECT: rejected_by tells whose
 * verdict it is. Never FILTER_DONE. */
enum filter_status filter_chain_feed(struct filter_chain *chain, const uint8_t *data, size_t size, bool end,
                                     const uint8_t **out, size_t *out_size)
    __attribute__((warn_unused_result));

/* Nothing comes just now: if bytes are held back, on_overdue is called from the event loop after
 * FILTER_HOLD_MS, and `overdue` tells the flow to let go of them by filter_chain_flush(). */
void filter_chain_wait(struct filter_chain *chain, struct event_base *base, void (*on_overdue)(void *arg),
                       void *arg);
enum filter_status filter_chain_flush(struct filter_chain *chain, const uint8_t **out, size_t *out_size)
    __attribute__((warn_unused_result));
/* Memory for output goes: an idle connection owns no buffer. Bytes held back stay. */
void filter_chain_trim(struct filter_chain *chain);
/* on_overdue won't be called any more, and memory for output goes. */
void filter_chain_stop(struct filter_chain *chain);
