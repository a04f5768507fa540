/* The account of a flow: every byte once, in the segment of its kind, in the sums and in the live counters.
 * Refuses to move anything. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "relay/mover.h"
#include "relay/tls_conn.h"

static struct flow_segment *segment_at(struct flow *flow, int index)
{
    return index == 0 ? &flow->first : &flow->later[index - 1];
}

static bool is_of(const struct flow_segment *segment, const struct plan_choice *choice)
{
    return segment->mode == choice->mode && segment->reason == choice->reason &&
           segment->source_crypto == choice->source_crypto && segment->sink_crypto == choice->sink_crypto;
}

int flow_account_prepare(struct flow *flow)
{
    flow->segment = -1; /* begun with its first byte */
    /* A part's bytes and what is generated before them are of two kinds. */
    const bool parts = flow->head != NULL && flow->head->part != NULL;
    const bool another = parts || (flow->segment_count != 0 && !is_of(&flow->first, &flow->choice));
    if (another && flow->later == NULL)
        flow->later = calloc(FLOW_SEGMENTS_MAX - 1, sizeof(*flow->later));
    return another && flow->later == NULL ? -1 : 0;
}

static int find_segment(struct flow *flow, const struct plan_choice *choice)
{
    int index = (int)flow->segment_count - 1;
    while (index >= 0 && !is_of(segment_at(flow, index), choice))
        index--;
    return index;
}

static int begin_segment(struct flow *flow, const struct plan_choice *choice)
{
    const int same = find_segment(flow, choice);
    /* A plan that came to the same result again goes on with the segment it had. */
    if (same != -1 && same == flow->segment_count - 1)
        return same;
    const bool merge = same != -1 && flow->segment_count >= FLOW_SEGMENTS_MAX - FLOW_SEGMENT_KINDS;
    if (flow->counters != NULL)
        relay_counter_add(&flow->counters->segments[choice->mode][choice->source_crypto][choice->sink_crypto]
                                                   [choice->reason],
                          1);
    if (merge)
        return same;
    assert(flow->segment_count < FLOW_SEGMENTS_MAX);
    *segment_at(flow, flow->segment_count) = (struct flow_segment){
        .mode = choice->mode,
        .source_crypto = choice->source_crypto,
        .sink_crypto = choice->sink_crypto,
        .reason = choice->reason,
    };
    return flow->segment_count++;
}

static void account(struct flow *flow, int segment, const struct plan_choice *choice, size_t n)
{
    segment_at(flow, segment)->bytes += n;
    const bool user = relay_is_user(choice->mode, choice->source_crypto, choice->sink_crypto);
    *(user ? &flow->user_bytes : &flow->kernel_bytes) += n;
    flow->sink->loop->moved += n;
    if (flow->sink->kind == ENDPOINT_TLS)
        tls_conn_count_sealed(flow->sink->tls, n);
    if (flow->pace != NULL)
        pace_spend(flow->pace, n);
    if (flow->counters == NULL)
        return;
    relay_counter_add(&flow->counters->bytes[choice->mode][choice->source_crypto][choice->sink_crypto], n);
    relay_counter_add(user ? &flow->counters->user_bytes : &flow->counters->kernel_bytes, n);
}

void flow_account(struct flow *flow, size_t n)
{
    if (n == 0)
        return;
    if (flow->segment == -1)
        flow->segment = (int8_t)begin_segment(flow, &flow->choice);
    account(flow, flow->segment, &flow->choice, n);
}

static void account_generated(struct flow *flow, size_t n)
{
    const struct plan_choice choice = {
        .mode = RELAY_COPY, .sink_crypto = flow->choice.sink_crypto, .reason = RELAY_REASON_GENERATED};
    account(flow, begin_segment(flow, &choice), &choice, n);
}

void flow_add_head_bytes(struct flow *flow, uint64_t n)
{
    flow->head_bytes += n;
    if (flow->counters != NULL)
        relay_counter_add(&flow->counters->head_bytes, n);
}

void flow_account_head(struct flow *flow, size_t n)
{
    const uint32_t bare = flow->head->size - flow->head->generated;
    const size_t left = flow->head->sent < bare ? bare - flow->head->sent : 0;
    const size_t outside = n < left ? n : left;
    flow->head->sent += (uint32_t)n;
    if (outside != 0 && flow->pace != NULL)
        pace_spend(flow->pace, outside);
    if (outside != 0)
        flow_add_head_bytes(flow, outside);
    if (n > outside)
        account_generated(flow, n - outside);
}

void flow_report(const struct flow *flow, struct flow_report *report)
{
    *report = (struct flow_report){
        .bytes = flow_moved(flow),
        .user_bytes = flow->user_bytes,
        .kernel_bytes = flow->kernel_bytes,
        .head_bytes = flow->head_bytes,
        .segment_count = flow->segment_count,
        .segments = {flow->first},
    };
    if (flow->segment_count > 1)
        memcpy(report->segments + 1, flow->later, (flow->segment_count - 1U) * sizeof(*flow->later));
}
