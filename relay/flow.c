/* Steps one direction: plans, lets the mover of the mode move, plans again when it says so, goes on with the
 * next source, and ends the sink's stream after the last byte.
 * Refuses to know how a mode moves bytes (move_*.c), and to count them (flow_account.c). */
#include "relay/flow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "relay/filter.h"
#include "relay/mover.h"
#include "relay/tls_conn.h"

/* A flow that changes its mode more often than this in one step has met a kernel that contradicts itself: it
 * goes to the back of the queue instead of spinning. */
#define SWITCHES_PER_STEP 8

static mover_step_fn *const step_of[RELAY_MODE_COUNT] = {
    [RELAY_SPLICE] = move_splice_step,
    [RELAY_SENDFILE] = move_sendfile_step,
    [RELAY_MMAP] = move_mmap_step,
    [RELAY_COPY] = move_copy_step,
};

static struct flow_head head_of(struct flow_part *part)
{
    return (struct flow_head){.data = part->head,
                              .part = part,
                              .size = (uint32_t)part->head_size,
                              .generated = (uint32_t)part->generated};
}

void flow_init(struct flow *flow, const struct flow_options *options)
{
    struct loop *loop = options->sink->loop;
    struct endpoint *source = options->parts != NULL ? &options->parts->source : options->source;
    *flow = (struct flow){
        .source = source,
        .sink = options->sink,
        .policy = options->policy,
        .counters = options->counters,
        .shutdown_sink = options->shutdown_sink,
        .closes = options->closes,
        .filters = options->filters,
        .pace = options->pace,
        .facts = {.small = true, .not_regular_file = source->not_regular},
        .copy_room = (uint32_t)(FLOW_COPY_ROOM_MIN < loop->copy_size ? FLOW_COPY_ROOM_MIN : loop->copy_size),
        .segment = -1,
    };
    if (flow->pace != NULL)
        pace_set_resume(flow->pace, options->resume);
    (void)flow_note_filters(flow);
}

struct flow *flow_new(struct loop *loop, const struct flow_options *options)
{
    assert(options->sink->loop == loop);
    assert((options->parts == NULL) == (options->source != NULL));
    (void)loop;
    const bool has_head = options->head_size != 0 || options->parts != NULL;
    struct flow *flow = malloc(sizeof(*flow) + (has_head ? sizeof(*flow->head) : 0));
    if (flow == NULL)
        return NULL;
    flow_init(flow, options);
    if (has_head) {
        flow->head = (struct flow_head *)(flow + 1);
        *flow->head = options->parts != NULL
                          ? head_of(options->parts)
                          : (struct flow_head){.data = options->head, .size = (uint32_t)options->head_size};
    }
    return flow;
}

static void release(struct flow *flow)
{
    move_splice_release(flow);
    move_mmap_release(flow);
    move_copy_release(flow);
    if (flow->filters != NULL)
        filter_chain_stop(flow->filters);
}

void flow_release(struct flow *flow)
{
    if (flow->pace != NULL)
        pace_set_resume(flow->pace, NULL);
    release(flow);
    free(flow->later);
    flow->later = NULL;
}

void flow_free(struct flow *flow)
{
    if (flow == NULL)
        return;
    flow_release(flow);
    free(flow);
}

bool flow_note_filters(struct flow *flow)
{
    struct plan_facts *facts = &flow->facts;
    const bool inspect = flow->filters != NULL && flow->filters->inspects;
    const bool transform = flow->filters != NULL && flow->filters->transforms;
    const bool changed = inspect != facts->inspect || transform != facts->transform;
    facts->inspect = inspect;
    facts->transform = transform;
    return changed;
}

bool flow_is_adaptive(const struct flow *flow)
{
    return flow->policy.force == RELAY_AUTO && !flow->policy.require_zero_copy &&
           (flow->source->kind == ENDPOINT_SOCKET || flow->source->kind == ENDPOINT_TLS);
}

/* -1: no memory for the account. */
static int plan(struct flow *flow)
{
    assert(flow->held == NULL && (flow->pipe == NULL || flow->pipe->bytes == 0));
    const struct plan_input input = {
        .source = endpoint_plan_source(flow->source),
        .sink = endpoint_plan_sink(flow->sink),
        .policy = flow->policy,
        .facts = flow->facts,
    };
    flow->choice = plan_choose(&input);
    flow->planned = true;
    return flow_account_prepare(flow);
}

enum io_status flow_send_head(struct flow *flow)
{
    const struct endpoint *source = flow->source;
    struct flow_head *head = flow->head;
    bool body =
        (source->kind == ENDPOINT_FILE || source->kind == ENDPOINT_MEMORY) && source->offset < source->end;
    while (flow_head_left(flow) != 0) {
        size_t n;
        enum io_status status =
            endpoint_write(flow->sink, head->data + head->taken, flow_head_left(flow), body, &n);
        if (status != IO_OK)
            return status;
        head->taken += (uint32_t)n;
        flow_account_head(flow, n);
    }
    return IO_OK;
}

bool flow_filled(const struct flow *flow, size_t length)
{
    const struct endpoint *source = flow->source;
    if (source->kind != ENDPOINT_FILE || source->fill == NULL)
        return true;
    uint64_t left = source->end - source->offset;
    if (left < length)
        length = (size_t)left;
    return length == 0 || source->fill(source->fill_arg, source->offset, length);
}

static enum flow_status finish(struct flow *flow, enum flow_end end, int error)
{
    flow->end = end;
    flow->error = error;
    flow->sink_waiting = false;
    release(flow);
    return FLOW_ENDED;
}

/* The source's end, delivered: end the sink's stream too where that was asked. */
static enum flow_status finish_sink(struct flow *flow)
{
    if (!flow->shutdown_sink)
        return finish(flow, FLOW_END_COMPLETE, 0);
    switch (endpoint_shutdown_write(flow->sink, false)) {
    case IO_AGAIN:
        flow->sink_waiting = true;
        return FLOW_WAITING;
    case IO_BROKEN:
    case IO_EOF:
        return finish(flow, FLOW_END_SINK, errno);
    case IO_OK:
        break;
    }
    return finish(flow, FLOW_END_COMPLETE, 0);
}

/* A shortage of pipes is not for life: look again, at the pool's pace. Never while bytes are held. */
static void retry_pipe(struct flow *flow)
{
    if (!flow->facts.pipe_limit || flow->held != NULL)
        return;
    struct relay_pipe *pipe = pipe_pool_get(flow->sink->loop->pipes);
    if (pipe == NULL)
        return;
    pipe_pool_put(flow->sink->loop->pipes, pipe); /* lent again if splice is what plan says */
    flow->facts.pipe_limit = false;
    flow->planned = false;
}

/* Whether the pace lets anything go; a pause needs no pipe. */
static bool pace_allows(struct flow *flow)
{
    if (flow->pace == NULL || pace_begin(flow->pace))
        return true;
    if (flow->pipe != NULL && flow->pipe->bytes == 0)
        move_splice_release(flow);
    flow->sink_waiting = true;
    return false;
}

static void next_part(struct flow *flow)
{
    struct flow_part *part = flow->head->part->next;
    flow->source = &part->source;
    *flow->head = head_of(part);
    flow->head->later = true;
    flow->facts = (struct plan_facts){.not_regular_file = part->source.not_regular};
    flow->source_ended = flow->planned = flow->replan = false;
}

enum flow_status flow_step(struct flow *flow)
{
    if (flow->end != FLOW_END_NONE)
        return FLOW_ENDED;
    flow->sink_waiting = false;
    if (!pace_allows(flow))
        return FLOW_WAITING;
    retry_pipe(flow);
    const uint64_t start = flow_moved(flow);
    for (int switches = 0; switches < SWITCHES_PER_STEP; switches++) {
        const uint64_t moved = flow_moved(flow) - start; /* all modes of a step share its budget */
        if (moved >= FLOW_TURN_BYTES)
            break;
        if (flow->sink->kind == ENDPOINT_TLS && tls_conn_key_spent(flow->sink->tls))
            return finish(flow, FLOW_END_SINK, EKEYEXPIRED);
        if (!flow->planned && plan(flow) == -1)
            return finish(flow, FLOW_END_SINK, ENOMEM);
        if (flow->choice.refused)
            return finish(flow, FLOW_END_REFUSED, 0);
        if (flow_allowed(flow, 1) == 0)
            break;
        switch (step_of[flow->choice.mode](flow, flow_allowed(flow, FLOW_TURN_BYTES - (size_t)moved))) {
        case MOVE_WAIT_SINK:
            flow->sink_waiting = true;
            return FLOW_WAITING;
        case MOVE_WAIT_SOURCE:
            return FLOW_WAITING;
        case MOVE_MORE:
            return pace_allows(flow) ? FLOW_READY : FLOW_WAITING;
        case MOVE_EOF:
            if (!flow_has_more(flow))
                return finish_sink(flow);
            next_part(flow);
            break;
        case MOVE_DENIED:
            return finish(flow, FLOW_END_DENIED, 0);
        case MOVE_SOURCE_BROKEN:
            return finish(flow, errno == ENODATA ? FLOW_END_TRUNCATED : FLOW_END_SOURCE, errno);
        case MOVE_SINK_BROKEN:
            return finish(flow, FLOW_END_SINK, errno);
        case MOVE_SWITCH:
            flow->planned = false;
        }
    }
    return pace_allows(flow) ? FLOW_READY : FLOW_WAITING;
}

enum flow_end flow_end(const struct flow *flow)
{
    return flow->end;
}

int flow_error(const struct flow *flow)
{
    return flow->error;
}

const char *flow_detail(const struct flow *flow)
{
    const struct endpoint *broken = flow->end == FLOW_END_SOURCE ? flow->source
                                    : flow->end == FLOW_END_SINK ? flow->sink
                                                                 : NULL;
    if (flow->urgent_storm)
        return "too many TCP urgent bytes in too short a time";
    return broken != NULL && broken->tls != NULL ? tls_conn_error(broken->tls) : "";
}

enum relay_reason flow_refusal(const struct flow *flow)
{
    return flow->choice.reason;
}

bool flow_head_done(const struct flow *flow)
{
    const struct flow_head *head = flow->head;
    return head == NULL || head->later || head->taken >= head->size - head->generated;
}

bool flow_source_ended(const struct flow *flow)
{
    return flow->source_ended;
}

bool flow_waits_for_sink(const struct flow *flow)
{
    return flow->sink_waiting;
}

bool flow_is_paused(const struct flow *flow)
{
    return flow->pace != NULL && flow->pace->paused;
}

uint64_t flow_moved(const struct flow *flow)
{
    return flow->user_bytes + flow->kernel_bytes;
}
