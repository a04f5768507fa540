/* A flow with both its far ends in the test's hands: what feeds the source and what drains the sink, each at
 * a pace of its own. Refuses to know what is expected of it. */
#pragma once

#include "relay_support.h"

#include "relay/flow.h"
#include "relay/mover.h"

enum ends { ENDS_TCP, ENDS_UNIX };

struct flow_rig {
    struct rig rig;
    struct endpoint source, sink;
    struct writer writer; /* fd -1: the source is a file or memory */
    struct reader reader;
    struct flow *flow;
    struct loop_task task;
    enum flow_status status;
    uint64_t largest_step;
    unsigned turns_used_up;
    struct relay_counters counters;
    struct pace *pace; /* set before flow_rig_new(): NULL, none */
    bool zero_copy;    /* likewise: require_zero_copy */
    unsigned steps;
};

/* Bytes per turn of the test's loop; ALL: as many as go. */
#define ALL SIZE_MAX

static inline void flow_rig_step(struct flow_rig *fr)
{
    uint64_t before = flow_moved(fr->flow);
    fr->status = flow_step(fr->flow);
    fr->steps++;
    uint64_t moved = flow_moved(fr->flow) - before;
    if (moved > fr->largest_step)
        fr->largest_step = moved;
    if (fr->status == FLOW_READY) {
        fr->turns_used_up++;
        loop_queue(fr->rig.loop, &fr->task);
    }
}

static inline void flow_rig_on_ready(void *arg)
{
    struct flow_rig *fr = arg;
    if (fr->flow != NULL && fr->status != FLOW_ENDED)
        flow_rig_step(fr);
}

static inline void flow_rig_on_task(struct loop_task *task)
{
    flow_rig_on_ready((struct flow_rig *)((char *)task - offsetof(struct flow_rig, task)));
}

static inline void flow_rig_pair(int fds[2], enum ends ends, int buffers)
{
    if (ends == ENDS_TCP) {
        tcp_pair(fds, buffers);
        return;
    }
    unix_pair(fds);
    set_buffers(fds[0], buffers);
    set_buffers(fds[1], buffers);
}

/* Opens the sink, and the source too unless it is going to be a file. buffers: of the sink's sockets. */
static inline void flow_rig_open(struct flow_rig *fr, enum ends ends, int buffers, bool socket_source)
{
    memset(fr, 0, sizeof(*fr));
    rig_open(&fr->rig);
    int fds[2];
    flow_rig_pair(fds, ends, buffers);
    assert_return_code(endpoint_open_socket(&fr->sink, fr->rig.loop, fds[0]), errno);
    fr->reader.fd = fds[1];
    fr->writer.fd = -1;
    fr->source = ENDPOINT_NONE;
    if (socket_source) {
        flow_rig_pair(fds, ends, 0);
        fr->writer.fd = fds[0];
        assert_return_code(endpoint_open_socket(&fr->source, fr->rig.loop, fds[1]), errno);
    }
    fr->task.run = flow_rig_on_task;
}

static inline void flow_rig_new(struct flow_rig *fr, enum relay_force force, const void *head,
                                size_t head_size)
{
    const struct flow_options options = {
        .source = &fr->source,
        .sink = &fr->sink,
        .policy = {.force = force, .require_zero_copy = fr->zero_copy},
        .counters = &fr->counters,
        .head = head,
        .head_size = head_size,
        .shutdown_sink = true,
        .pace = fr->pace,
        .resume = &fr->task,
    };
    fr->flow = flow_new(fr->rig.loop, &options);
    assert_non_null(fr->flow);
    fr->status = FLOW_WAITING;
}

/* From here on every edge steps the flow. */
static inline void flow_rig_start(struct flow_rig *fr)
{
    endpoint_on_ready(&fr->source, flow_rig_on_ready, fr);
    endpoint_on_ready(&fr->sink, flow_rig_on_ready, fr);
    loop_queue(fr->rig.loop, &fr->task);
}

/* Runs until the reader has `total` bytes, feeding up to that many; waits only when nothing moves. */
static inline void flow_rig_carry(struct flow_rig *fr, uint64_t total, size_t feed, size_t drain)
{
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (fr->reader.received < total) {
        size_t moved = fr->writer.fd != -1 ? writer_feed(&fr->writer, total, feed) : 0;
        rig_turn(&fr->rig, false);
        moved += reader_drain(&fr->reader, drain);
        if (fr->reader.received < total && (fr->reader.eof || fr->reader.error != 0))
            fail_msg("ended after %llu bytes: %s", (unsigned long long)fr->reader.received,
                     strerror(fr->reader.error));
        if (test_now_ms() > deadline)
            fail_msg("stalled after %llu bytes", (unsigned long long)fr->reader.received);
        if (moved == 0)
            rig_turn(&fr->rig, true);
    }
}

/* Ends the writer's stream and runs to the flow's end and the reader's. */
static inline void flow_rig_finish(struct flow_rig *fr)
{
    if (fr->writer.fd != -1)
        assert_return_code(shutdown(fr->writer.fd, SHUT_WR), errno);
    rig_run_until(&fr->rig, (reader_drain(&fr->reader, ALL),
                             fr->status == FLOW_ENDED && (fr->reader.eof || fr->reader.error != 0)));
    assert_int_equal(flow_end(fr->flow), FLOW_END_COMPLETE);
    assert_int_equal(fr->reader.error, 0);
}

/* What must hold of every report: each byte counted once, and the live counters say the same. */
static inline void flow_rig_check_sums(const struct flow_rig *fr, struct flow_report *report)
{
    flow_report(fr->flow, report);
    assert_in_range(report->segment_count, 0, FLOW_SEGMENTS_MAX);
    uint64_t user = 0, kernel = 0, counted = 0;
    for (unsigned i = 0; i < report->segment_count; i++) {
        const struct flow_segment *s = &report->segments[i];
        assert_true(s->bytes > 0);
        *(relay_is_user(s->mode, s->source_crypto, s->sink_crypto) ? &user : &kernel) += s->bytes;
        assert_true(relay_counter_get(
                        &fr->counters.segments[s->mode][s->source_crypto][s->sink_crypto][s->reason]) > 0);
    }
    for (int mode = 0; mode < RELAY_MODE_COUNT; mode++)
        for (int source = 0; source < RELAY_CRYPTO_COUNT; source++)
            for (int sink = 0; sink < RELAY_CRYPTO_COUNT; sink++)
                counted += relay_counter_get(&fr->counters.bytes[mode][source][sink]);
    assert_int_equal(report->user_bytes, user);
    assert_int_equal(report->kernel_bytes, kernel);
    assert_int_equal(report->bytes, user + kernel);
    assert_int_equal(counted, report->bytes);
    assert_int_equal(relay_counter_get(&fr->counters.user_bytes), user);
    assert_int_equal(relay_counter_get(&fr->counters.kernel_bytes), kernel);
    assert_int_equal(relay_counter_get(&fr->counters.head_bytes), report->head_bytes);
}

static inline uint64_t segment_bytes(const struct flow_report *report, enum relay_mode mode,
                                     enum relay_reason reason)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < report->segment_count; i++)
        if (report->segments[i].mode == mode && report->segments[i].reason == reason)
            bytes += report->segments[i].bytes;
    return bytes;
}

static inline void flow_rig_close(struct flow_rig *fr)
{
    flow_free(fr->flow);
    loop_unqueue(fr->rig.loop, &fr->task);
    endpoint_close(&fr->source);
    endpoint_close(&fr->sink);
    if (fr->writer.fd != -1)
        close(fr->writer.fd);
    close(fr->reader.fd);
    rig_close(&fr->rig);
}
