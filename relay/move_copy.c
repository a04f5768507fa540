/* copy: read into the worker's one large, cache-hot buffer, write at once, and keep memory of the flow's own
 * only for what a short write left over; so an idle connection owns no buffer (kernel.md 1).
 * Refuses to know why copying was chosen. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay/mover.h"

/* Large reads are worth half the CPU (0.68 s/GB through the whole buffer, 1.2 by 64 KiB), but what a reader
 * that stalls leaves over of one is memory. So they are made while the flows of a worker hold little in all.
 */
#define COPY_HELD_MUCH (8u << 20)

void move_copy_release(struct flow *flow)
{
    if (flow->held != NULL)
        flow->loop->held -= flow->held_offset + flow->held_size;
    free(flow->held);
    flow->held = NULL;
    flow->held_offset = flow->held_size = 0;
}

/* Writes as much as the sink takes. *done bytes went out; the head's come first and are counted apart. */
static enum io_status write_some(struct flow *flow, const uint8_t *data, size_t size, size_t *done)
{
    *done = 0;
    while (*done < size) {
        if (!endpoint_can_write(flow->sink))
            return IO_AGAIN;
        size_t n;
        enum io_status status = endpoint_write(flow->sink, data + *done, size - *done, false, &n);
        if (status != IO_OK)
            return status;
        *done += n;
        size_t head = flow->head_taken - flow->head_sent;
        size_t head_part = n < head ? n : head;
        if (head_part != 0)
            flow_account_head(flow, head_part);
        flow_account(flow, n - head_part);
    }
    return IO_OK;
}

static enum io_status write_held(struct flow *flow)
{
    size_t done;
    enum io_status status = write_some(flow, flow->held + flow->held_offset, flow->held_size, &done);
    flow->held_offset += done;
    flow->held_size -= done;
    if (flow->held_size == 0)
        move_copy_release(flow);
    return status;
}

/* -1: out of memory. */
static int hold(struct flow *flow, const uint8_t *data, size_t size)
{
    flow->held = malloc(size);
    if (flow->held == NULL)
        return -1;
    memcpy(flow->held, data, size);
    flow->held_offset = 0;
    flow->held_size = size;
    flow->loop->held += size;
    return 0;
}

/* What a short write left over of this read: `got` bytes of the source behind `head` bytes of the head, of
 * which `done` went out. A file and memory can be read again; what a socket gave must be held. */
static int keep_rest(struct flow *flow, const uint8_t *data, size_t head, size_t got, size_t done)
{
    struct endpoint *source = flow->source;
    if (source->kind == ENDPOINT_SOCKET || source->kind == ENDPOINT_TLS)
        return hold(flow, data + done, head + got - done);
    flow->source_ended = false;
    if (done < head) {
        flow->head_taken -= head - done;
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

/* Large reads in a row: bulk has begun, which splice does for less. */
static bool turned_bulk(struct flow *flow, size_t got)
{
    if (!flow->facts.small || !flow_is_adaptive(flow))
        return false;
    size_t bulk = flow->source->kind == ENDPOINT_TLS ? FLOW_BULK_RECORD : FLOW_BULK_READ;
    flow->bulk_reads = got >= bulk ? flow->bulk_reads + 1 : 0;
    if (flow->bulk_reads < FLOW_BULK_READS)
        return false;
    flow->facts.small = false;
    flow->bulk_reads = flow->small_turns = 0;
    return true;
}

/* Puts the rest of the head in front of the first bytes, so that both leave in one segment or TLS record. */
static size_t take_head(struct flow *flow, uint8_t *buffer, size_t room)
{
    size_t left = flow->head_size - flow->head_taken;
    size_t n = left < room ? left : room;
    if (n != 0)
        memcpy(buffer, flow->head + flow->head_taken, n);
    return n;
}

/* How much to read next: what the sink took of the last read, twice that when it took all. Bulk has the whole
 * buffer after three reads, and little of a file is read again for a slow reader. */
static void adapt_room(struct flow *flow, size_t size, size_t done)
{
    size_t room = done < size ? done : size == flow->copy_room ? 2 * size : flow->copy_room;
    if (room < FLOW_COPY_ROOM_MIN || flow->loop->held > COPY_HELD_MUCH)
        room = FLOW_COPY_ROOM_MIN;
    flow->copy_room = room < flow->loop->copy_size ? room : flow->loop->copy_size;
}

enum move_status move_copy_step(struct flow *flow, size_t budget)
{
    uint8_t *buffer = flow->loop->copy_buffer;
    size_t moved = 0;
    for (;;) {
        size_t room = flow->copy_room;
        if (flow->held_size != 0) {
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
        if (moved >= budget)
            return MOVE_MORE;
        if (!endpoint_can_read(flow->source))
            return leave_detour(flow) ? MOVE_SWITCH : MOVE_WAIT_SOURCE;
        if (!endpoint_can_write(flow->sink)) /* what can't be written isn't read: back-pressure */
            return MOVE_WAIT_SINK;
        if (!flow_filled(flow, room))
            return MOVE_WAIT_SOURCE;

        size_t head = take_head(flow, buffer, room), got = 0;
        enum io_status read =
            head < room ? endpoint_read(flow->source, buffer + head, room - head, &got) : IO_OK;
        if (read == IO_BROKEN)
            return MOVE_SOURCE_BROKEN;
        if (read == IO_AGAIN) /* the head, if any, is taken again with the bytes it belongs to */
            return leave_detour(flow) ? MOVE_SWITCH : MOVE_WAIT_SOURCE;
        if (read == IO_EOF)
            flow->source_ended = true;
        flow->head_taken += head;

        size_t size = head + got, done;
        enum io_status wrote = write_some(flow, buffer, size, &done);
        if (wrote == IO_AGAIN && keep_rest(flow, buffer, head, got, done) == -1)
            return MOVE_SINK_BROKEN;
        if (wrote == IO_BROKEN || wrote == IO_EOF)
            return MOVE_SINK_BROKEN;
        moved += done;
        adapt_room(flow, size, done);
        bool detour_over = leave_detour(flow), bulk = turned_bulk(flow, got);
        flow->replan = detour_over || bulk;
    }
}
