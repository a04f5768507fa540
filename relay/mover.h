/* The one interface behind which a mode moves bytes, and the inside of a flow as the movers see it.
 * Private to relay/: owners of flows use flow.h. A mover holds bytes only in the flow's pipe or `held`; it
 * returns MOVE_SWITCH and MOVE_EOF only when it holds none, so that order is kept whatever comes next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/flow.h"
#include "relay/pace.h"
#include "relay/pipe_pool.h"
#include "relay/plan.h"
#include "relay/storm.h"

enum move_status {
    MOVE_WAIT_SOURCE,   /* nothing to read now, nothing held */
    MOVE_WAIT_SINK,     /* the sink is full */
    MOVE_MORE,          /* the budget is used up */
    MOVE_EOF,           /* the source ended and everything was delivered */
    MOVE_SWITCH,        /* can't or shouldn't go on in this mode: facts have changed, plan again */
    MOVE_DENIED,        /* a filter rejects what came */
    MOVE_SOURCE_BROKEN, /* errno; ENODATA: cut short */
    MOVE_SINK_BROKEN,   /* errno */
};

/* What a short write left over. */
struct flow_held {
    size_t offset, size; /* still to be written: data[offset], size bytes */
    uint8_t data[];
};

/* What goes before the source's first byte. */
struct flow_head {
    const uint8_t *data;
    struct flow_part *part; /* whose it is; NULL: the flow has none */
    uint32_t size;
    uint32_t generated; /* of its last bytes: payload */
    uint32_t taken;     /* sent, or copied into held: the caller's memory isn't needed for these */
    uint32_t sent;
    bool later; /* not the first part's */
};

/* mmap: the window in use. */
struct flow_window {
    uint8_t *map;
    size_t size;
    uint64_t offset; /* in the file */
};

/* Two of these are most of what an idle connection costs: keep it small. */
struct flow {
    struct endpoint *source, *sink; /* the sink is a socket, and knows the loop */
    struct relay_counters *counters;
    struct filter_chain *filters; /* NULL: none */
    struct pace *pace;            /* NULL: none */
    struct flow_head *head;       /* NULL: none; it lies behind the flow */

    /* NULL while there is no such thing */
    struct relay_pipe *pipe; /* splice: lent by the pool while bytes move */
    struct flow_held *held;  /* copy */
    struct flow_window *window;

    struct flow_segment first;  /* most flows have one; */
    struct flow_segment *later; /* the others, FLOW_SEGMENTS_MAX - 1 of them, NULL: there was no need yet */
    uint64_t user_bytes, kernel_bytes, head_bytes;

    struct relay_policy policy;
    struct plan_choice choice;
    int error;
    uint32_t copy_room;  /* copy: bytes to read next */
    struct storm urgent; /* marks met while splicing */

    enum flow_end end : 8;
    bool shutdown_sink : 1;
    bool closes : 1;
    bool planned : 1;
    bool replan : 1;       /* plan again once nothing is held */
    bool source_ended : 1; /* said its last byte; some may be held still */
    bool sink_waiting : 1; /* the last step stopped for the sink */
    bool urgent_storm : 1; /* what the error is about */
    struct plan_facts facts;
    int8_t segment; /* the one in use, -1: none begun */
    uint8_t segment_count;
    /* adaptive (auto, socket to socket) */
    uint8_t bulk_reads;  /* large reads in a row, while copying */
    uint8_t small_turns; /* small turns in a row, while splicing */
};

/* A flow without a head in memory of the caller's, and its end without freeing that. */
void flow_init(struct flow *flow, const struct flow_options *options);
void flow_release(struct flow *flow);

typedef enum move_status mover_step_fn(struct flow *flow, size_t budget);

mover_step_fn move_splice_step;
mover_step_fn move_sendfile_step;
mover_step_fn move_mmap_step;
mover_step_fn move_copy_step;

/* Drop what is held, give back what is lent. */
void move_splice_release(struct flow *flow);
void move_mmap_release(struct flow *flow);
void move_copy_release(struct flow *flow);

/* What the filters want now; true: that has changed, so plan again. */
bool flow_note_filters(struct flow *flow);

/* flow->choice was made anew. -1: no memory for the account of another kind. */
int flow_account_prepare(struct flow *flow);
/* n payload bytes were given to the sink in the mode of flow->choice. */
void flow_account(struct flow *flow, size_t n);
/* n bytes of the head were: of its payload, once the rest is out. */
void flow_account_head(struct flow *flow, size_t n);

/* For the modes that send from a descriptor: the head, with MSG_MORE if a body follows. IO_OK once it is out.
 */
enum io_status flow_send_head(struct flow *flow);

/* How much of the head is still to be taken. */
static inline size_t flow_head_left(const struct flow *flow)
{
    return flow->head != NULL ? flow->head->size - flow->head->taken : 0;
}

/* Whether another source follows the one in use. */
static inline bool flow_has_more(const struct flow *flow)
{
    return flow->head != NULL && flow->head->part != NULL && flow->head->part->next != NULL;
}

/* How much of `size` bytes the pace lets go in this step; 0: the step is over (MOVE_MORE). */
static inline size_t flow_allowed(const struct flow *flow, size_t size)
{
    return flow->pace != NULL && flow->pace->allowance < size ? (size_t)flow->pace->allowance : size;
}

/* Whether the file's next `length` bytes are at hand (endpoint.h, fill). */
bool flow_filled(const struct flow *flow, size_t length);

/* Adaptive relaying. Copying costs a call less a transfer, splicing saves the copies: measured with
 * request/response and bulk over loopback (tests/load), splice is ahead once a read brings more than
 * FLOW_BULK_READ. Two in a row make a flow bulk; FLOW_SMALL_TURNS turns in a row that each moved less than
 * FLOW_SMALL_TURN make it small again. The gap between the two keeps it from flapping. */
#define FLOW_BULK_READ (32u << 10)
#define FLOW_BULK_RECORD (15u << 10) /* the same from TLS, where no read brings more than 16 KiB */
#define FLOW_BULK_READS 2
#define FLOW_SMALL_TURN (16u << 10)
#define FLOW_SMALL_TURNS 8
#define FLOW_COPY_ROOM_MIN (64u << 10) /* the first read while copying; four TLS records */
bool flow_is_adaptive(const struct flow *flow);
