/* copy: read into the worker's one large, cache-hot buffer, write at once, and keep memory of the flow's own
 * only for what a short write left over; so an idle connection owns no buffer (kernel.md 1).
 * Refuses to know why copying was chosen. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay/filter.h"
#include "relay/mover.h"
#include "relay/tls_conn.h"

/* Large reads are worth half the CPU (0.68 s/GB through the whole buffer, 1.2 by 64 KiB), but what a reader
 * that stalls leaves over of one is memory. So they are made while the flows of a worker hold little in all.
 */
#define COPY_HELD_MUCH (8u << 20)
/* A growing filter is fed this much at least, or a call a byte would be the price. */
#define COPY_FILTERED_MIN 512u

void move_copy_release(struct flow *flow)
{
    if (flow->held != NULL)
        flow->sink->loop->held -= flow->held->offset + flow->held->size;
    free(flow->held);
    flow->held = NULL;
}

/* What is read already is the last: a file's end is known before it is met. */
static bool ends_with_close(const struct flow *flow)
{
    const struct endpoint *source = flow->source;
    bool known = source->kind == ENDPOINT_FILE || source->kind == ENDPOINT_MEMORY;
    return flow->closes && !flow_has_more(flow) &&
           (flow->source_ended || (known && source->offset == source->end));
}

/* Writes as much as the sink takes. *done bytes went out; the head's come first and are counted apart. */
static enum io_status write_some(struct flow *flow, const uint8_t *data, size_t size, size_t *done)
{
    *done = 0;
    while (*done < size) {
        if (!endpoint_can_write(flow->sink))
            return IO_AGAIN;
        size_t n;
        enum io_status status =
            endpoint_write(flow->sink, data + *done, size - *done, ends_with_close(flow), &n);
        if (status != IO_OK)
            return status;
        *done += n;
        size_t head = flow->head != NULL ? flow->head->taken - flow->head->sent : 0;
        size_t head_part = n < head ? n : head;
        if (head_part != 0)
            flow_account_head(flow, head_part);
        flow_account(flow, n - head_part);
    }
    return IO_OK;
}

static enum io_status write_held(struct flow *flow)
{
    struct flow_held *held = flow->held;
    size_t done;
    enum io_status status = write_some(flow, held->data + held->offset, held->size, &done);
    held->offset += done;
    held->size -= done;
    if (held->size == 0)
        move_copy_release(flow);
    return status;
}

/* -1: out of memory. */
static int hold(struct flow *flow, const uint8_t *data, size_t size)
{
    flow->held = malloc(sizeof(*flow->held) + size);
    if (flow->held == NULL)
        return -1;
    memcpy(flow->held->data, data, size);
    flow->held->offset = 0;
    flow->held->size = size;
    flow->sink->loop->held += size;
    return 0;
}

/* What a short write left over of this read: `got` bytes of the source (or what filters made of them) behind
 * `head` bytes of the head, of which `done` went out. A file and memory can be read again; what a socket or a
 * stream gave must be held. */
static int keep_rest(struct flow *flow, const uint8_t *data, size_t head, size_t got, size_t done)
{
    struct endpoint *source = flow->source;
    if (source->kind != ENDPOINT_FILE && source->kind != ENDPOINT_MEMORY)
        return hold(flow, data + done, head + got - done);
    flow->source_ended = false;
    if (done < head) {
        flow->head->taken -= (uint32_t)(head - done);
        source->offset -= got;
    } else {
        source->offset -= head + got - done;
    }
    return 0;
}

/* A step aside that is over once something was read: splice is possible again (plan.c, momentary). */
static bool leave_detour(struct flow *flow)
{
    struct plan_facts *facts = &flow->facts;
    bool was = facts->tls_pending || facts->control_record || facts->urgent_data;
    facts->tls_pending = facts->control_record = facts->urgent_data = false;
    return was;
}

/* The kernel has just been given the source's key (tls_conn.h, late_rx): splice is possible now. */
static bool gained_ktls(const struct flow *flow)
{
    return flow->source->kind == ENDPOINT_TLS && flow->choice.source_crypto == RELAY_CRYPTO_USER &&
           tls_conn_ktls_rx(flow->source->tls);
}

/* Large reads in a row: bulk has begun, which splice does for less. */
static bool turned_bulk(struct flow *flow, size_t got, size_t room)
{
    if (!flow->facts.small || !flow_is_adaptive(flow))
        return false;
    size_t bulk = flow->source->kind == ENDPOINT_TLS ? FLOW_BULK_RECORD : FLOW_BULK_READ;
    if (flow->pace != NULL && room < bulk) {
        if (room < PACE_QUANTUM_MIN)
            return false; /* the rest of an allowance: it says nothing */
        bulk = room;      /* getting all that it may take is bulk */
    }
    flow->bulk_reads = got >= bulk ? (uint8_t)(flow->bulk_reads + 1) : 0;
    if (flow->bulk_reads < FLOW_BULK_READS)
        return false;
    flow->facts.small = false;
    flow->bulk_reads = flow->small_turns = 0;
    return true;
}

/* Puts the rest of the head in front of the first bytes, so that both leave in one segment or TLS record. */
static size_t take_head(struct flow *flow, uint8_t *buffer, size_t room)
{
    const size_t left = flow_head_left(flow), n = left < room ? left : room;
    if (n != 0)
        memcpy(buffer, flow->head->data + flow->head->taken, n);
    return n;
}

/* How much to read next: what the sink took of the last read, twice that when it took all. Bulk has the whole
 * buffer after three reads, and little of a file is read again for a slow reader. */
static void adapt_room(struct flow *flow, size_t size, size_t done)
{
    size_t room = done < size ? done : size == flow->copy_room ? 2 * size : flow->copy_room;
    if (room < FLOW_COPY_ROOM_MIN || flow->sink->loop->held > COPY_HELD_MUCH)
        room = FLOW_COPY_ROOM_MIN;
    flow->copy_room = (uint32_t)(room < flow->sink->loop->copy_size ? room : flow->sink->loop->copy_size);
}

/* Nothing to read now. */
static enum move_status wait_source(struct flow *flow)
{
    if (leave_detour(flow))
        return MOVE_SWITCH;
    if (filter_chain_wants(flow->filters))
        filter_chain_wait(flow->filters, flow->sink->loop->base, endpoint_wake, flow->source);
    return MOVE_WAIT_SOURCE;
}

/* A filter's held bytes have waited long enough for what might have followed. */
static enum move_status flush_filters(struct flow *flow)
{
    const uint8_t *data;
    size_t size, done;
    enum filter_status status = filter_chain_flush(flow->filters, &data, &size);
    if (status != FILTER_MORE)
        return status == FILTER_REJECT ? MOVE_DENIED : MOVE_SINK_BROKEN;
    if (flow_note_filters(flow))
        flow->replan = true;
    enum io_status wrote = write_some(flow, data, size, &done);
    if (wrote == IO_BROKEN || wrote == IO_EOF ||
        (wrote == IO_AGAIN && hold(flow, data + done, size - done) == -1))
        return MOVE_SINK_BROKEN;
    return MOVE_MORE;
}

/* How much to read: what a transforming filter may make of it must stay bounded. */
static size_t choose_room(const struct flow *flow)
{
    if (!flow->facts.transform)
        return flow->copy_room;
    size_t room = FLOW_COPY_ROOM_MIN / flow->filters->growth;
    return room > COPY_FILTERED_MIN ? room : COPY_FILTERED_MIN;
}

/* What goes on of `got` bytes just read. MOVE_MORE: *data and *size are it. */
static enum move_status filter(struct flow *flow, size_t got, const uint8_t **data, size_t *size)
{
    switch (filter_chain_feed(flow->filters, *data, got, flow->source_ended, data, size)) {
    case FILTER_REJECT:
        return MOVE_DENIED;
    case FILTER_BROKEN:
        errno = ENOMEM;
        return MOVE_SINK_BROKEN;
    case FILTER_MORE:
    case FILTER_DONE:
        break;
    }
    if (flow_note_filters(flow))
        flow->replan = true;
    return MOVE_MORE;
}

/* Writes what was read (of `room`) behind `head` bytes of the head, and keeps what the sink doesn't take. */
static enum move_status pass_on(struct flow *flow, size_t room, size_t head, size_t got, size_t *moved)
{
    const uint8_t *data = flow->sink->loop->copy_buffer;
    size_t size = head + got, done;
    bool filtered = head == 0 && filter_chain_wants(flow->filters);
    if (filtered) {
        enum move_status status = filter(flow, got, &data, &size);
        if (status != MOVE_MORE)
            return status;
    }
    enum io_status wrote = write_some(flow, data, size, &done);
    if (wrote == IO_AGAIN && keep_rest(flow, data, head, size - head, done) == -1)
        return MOVE_SINK_BROKEN;
    if (wrote == IO_BROKEN || wrote == IO_EOF)
        return MOVE_SINK_BROKEN;
    *moved += done;
    if (filtered)
        filter_chain_trim(flow->filters);
    else
        adapt_room(flow, size, done);
    bool detour_over = leave_detour(flow), bulk = turned_bulk(flow, got, room);
    flow->replan = flow->replan || detour_over || bulk || gained_ktls(flow);
    return MOVE_MORE;
}

enum move_status move_copy_step(struct flow *flow, size_t budget)
{
    uint8_t *buffer = flow->sink->loop->copy_buffer;
    size_t moved = 0;
    /* What a stream makes may have cost far more than its size tells: one read a step. */
    if (flow->source->kind == ENDPOINT_STREAM)
        budget = 1;
    for (;;) {
        if (flow->held != NULL) {
            enum io_status status = write_held(flow);
            if (status != IO_OK)
                return status == IO_AGAIN ? MOVE_WAIT_SINK : MOVE_SINK_BROKEN;
        }
        if (flow->source_ended)
            return MOVE_EOF;
        if (flow->replan) {
            flow->replan = false;
            return MOVE_SWITCH;
        }
        size_t room = flow_allowed(flow, choose_room(flow));
        if (moved >= budget || room == 0)
            return MOVE_MORE;
        if (flow->filters != NULL && flow->filters->overdue) {
            enum move_status status = flush_filters(flow);
            if (status != MOVE_MORE)
                return status;
            continue;
        }
        if (!endpoint_can_read(flow->source))
            return wait_source(flow);
        if (!endpoint_can_write(flow->sink)) /* what can't be written isn't read: back-pressure */
            return MOVE_WAIT_SINK;
        if (!flow_filled(flow, room))
            return MOVE_WAIT_SOURCE;

        size_t head = take_head(flow, buffer, room), got = 0;
        /* The head is none of the filters' business: it goes first and alone. */
        bool alone = head == room || (head != 0 && filter_chain_wants(flow->filters));
        enum io_status read = alone ? IO_OK : endpoint_read(flow->source, buffer + head, room - head, &got);
        if (read == IO_BROKEN)
            return MOVE_SOURCE_BROKEN;
        if (read == IO_AGAIN) /* the head, if any, is taken again with the bytes it belongs to */
            return wait_source(flow);
        if (read == IO_EOF)
            flow->source_ended = true;
        if (head != 0)
            flow->head->taken += (uint32_t)head;
        enum move_status status = pass_on(flow, room, head, got, &moved);
        if (status != MOVE_MORE)
            return status;
    }
}
