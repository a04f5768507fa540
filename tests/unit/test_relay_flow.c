/* One direction between two sockets: every size by every mode, whatever the pace, and what the kernel does to
 * those who don't check: pipes full by slots, urgent bytes, ends that overtake bytes.
 * Refuses to know files (test_relay_flow_file.c) and changes of mode (test_relay_flow_adapt.c). */
#include "relay_flow_support.h"

static const uint64_t sizes[] = {
    0, 1, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 20 << 20};
#define SIZES (sizeof(sizes) / sizeof(*sizes))
#define TINY 4096 /* doubled by the kernel */

static const enum relay_force forces[] = {RELAY_AUTO, RELAY_FORCE_SPLICE, RELAY_FORCE_COPY};

/* What a flow by this policy must say of `total` bytes. */
static void check_report(const struct flow_rig *fr, enum relay_force force, uint64_t total)
{
    struct flow_report report;
    flow_rig_check_sums(fr, &report);
    assert_int_equal(report.bytes, total);
    assert_int_equal(report.head_bytes, 0);
    if (total == 0) {
        assert_int_equal(report.segment_count, 0);
    } else if (force == RELAY_FORCE_SPLICE) {
        assert_int_equal(report.segment_count, 1);
        assert_int_equal(segment_bytes(&report, RELAY_SPLICE, RELAY_REASON_FORCED), total);
    } else if (force == RELAY_FORCE_COPY) {
        assert_int_equal(report.segment_count, 1);
        assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_FORCED), total);
    } else {
        assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_SMALL_TRANSFERS) +
                             segment_bytes(&report, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH),
                         total);
    }
}

static void carry_one(enum ends ends, enum relay_force force, uint64_t total, int buffers, size_t drain)
{
    struct flow_rig fr;
    flow_rig_open(&fr, ends, buffers, true);
    flow_rig_new(&fr, force, NULL, 0);
    flow_rig_start(&fr);
    flow_rig_carry(&fr, total, ALL, drain);
    flow_rig_finish(&fr);
    assert_int_equal(fr.reader.received, total);
    check_report(&fr, force, total);
    assert_true(flow_source_ended(fr.flow));
    flow_rig_close(&fr);
}

static void carry_all(enum ends ends)
{
    for (size_t force = 0; force < sizeof(forces) / sizeof(*forces); force++)
        for (size_t i = 0; i < SIZES; i++) {
            carry_one(ends, forces[force], sizes[i], 0, ALL);
            /* A slow reader behind small buffers, so that the sink is full most of the time. */
            bool large = sizes[i] > 1 << 20;
            carry_one(ends, forces[force], sizes[i], large ? 32 * TINY : TINY, large ? 200000 : 1000);
        }
}

static void every_size_by_every_mode_over_tcp(void **state)
{
    (void)state;
    carry_all(ENDS_TCP);
}

static void every_size_by_every_mode_over_unix(void **state)
{
    (void)state;
    carry_all(ENDS_UNIX);
}

/* A writer that sends one byte at a time. */
static void byte_by_byte(void **state)
{
    (void)state;
    for (size_t force = 0; force < sizeof(forces) / sizeof(*forces); force++) {
        struct flow_rig fr;
        flow_rig_open(&fr, ENDS_TCP, 0, true);
        flow_rig_new(&fr, forces[force], NULL, 0);
        flow_rig_start(&fr);
        flow_rig_carry(&fr, 3000, 1, ALL);
        flow_rig_finish(&fr);
        check_report(&fr, forces[force], 3000);
        flow_rig_close(&fr);
    }
}

/* The source's end comes while the sink is full: the bytes first, then the end. */
static void end_waits_for_bytes(void **state)
{
    (void)state;
    for (size_t force = 0; force < sizeof(forces) / sizeof(*forces); force++) {
        struct flow_rig fr;
        flow_rig_open(&fr, ENDS_TCP, TINY, true);
        flow_rig_new(&fr, forces[force], NULL, 0);
        flow_rig_start(&fr);
        writer_feed(&fr.writer, 300000, ALL);
        assert_return_code(shutdown(fr.writer.fd, SHUT_WR), errno);
        rig_settle(&fr.rig);
        assert_true(flow_waits_for_sink(fr.flow));
        assert_int_equal(flow_end(fr.flow), FLOW_END_NONE);
        flow_rig_carry(&fr, fr.writer.sent, 0, 5000);
        flow_rig_finish(&fr);
        assert_int_equal(fr.reader.received, fr.writer.sent);
        flow_rig_close(&fr);
    }
}

/* Without shutdown_sink (keep-alive) the sink's stream stays open. */
static void sink_left_open(void **state)
{
    (void)state;
    struct flow_rig fr;
    flow_rig_open(&fr, ENDS_TCP, 0, true);
    const struct flow_options options = {.source = &fr.source, .sink = &fr.sink};
    fr.flow = flow_new(fr.rig.loop, &options);
    flow_rig_start(&fr);
    writer_feed(&fr.writer, 1000, ALL);
    assert_return_code(shutdown(fr.writer.fd, SHUT_WR), errno);
    rig_run_until(&fr.rig, fr.status == FLOW_ENDED);
    assert_int_equal(flow_end(fr.flow), FLOW_END_COMPLETE);
    rig_settle(&fr.rig);
    reader_drain(&fr.reader, ALL);
    assert_int_equal(fr.reader.received, 1000);
    assert_false(fr.reader.eof);
    flow_rig_close(&fr);
}

/* Fills the sink's socket past the flow, with the first bytes of the pattern. */
static void stall_sink(struct flow_rig *fr)
{
    struct writer direct = {.fd = fr->sink.fd};
    while (writer_feed(&direct, UINT64_MAX, ALL) != 0)
        ;
    fr->writer.sent = direct.sent;
}

/* A pipe is full by slots, not bytes: many small segments, the sink stalled, then drained. A kernel may merge
 * TCP segments as they arrive; what was written to a UNIX socket it never does. */
static void fill_by_slots(enum ends ends)
{
    enum { SEGMENTS = 200 };
    struct flow_rig fr;
    int fds[2];
    flow_rig_open(&fr, ENDS_TCP, TINY, false);
    flow_rig_pair(fds, ends, 0);
    fr.writer.fd = fds[0];
    assert_return_code(endpoint_open_socket(&fr.source, fr.rig.loop, fds[1]), errno);
    pipe_pool_free(fr.rig.loop->pipes);
    fr.rig.loop->pipes = pipe_pool_new(PIPE_SIZE_MIN); /* 16 slots */
    assert_non_null(fr.rig.loop->pipes);

    stall_sink(&fr);
    uint64_t total = fr.writer.sent + SEGMENTS * 100;
    for (int i = 0; i < SEGMENTS; i++)
        assert_int_equal(writer_feed(&fr.writer, total, 100), 100);
    flow_rig_new(&fr, RELAY_FORCE_SPLICE, NULL, 0);
    flow_rig_step(&fr);
    assert_true(flow_waits_for_sink(fr.flow));
    if (ends == ENDS_UNIX) {
        int waiting = 0;
        assert_return_code(ioctl(fr.source.fd, FIONREAD, &waiting), errno);
        assert_true(waiting > 0); /* or the pipe wasn't full after all */
        assert_int_equal(fr.flow->pipe->bytes, 16 * 100);
    }
    flow_rig_start(&fr);
    flow_rig_carry(&fr, total, 0, 2000);
    flow_rig_finish(&fr);
    check_report(&fr, RELAY_FORCE_SPLICE, SEGMENTS * 100);
    flow_rig_close(&fr);
}

static void pipe_full_by_slots(void **state)
{
    (void)state;
    fill_by_slots(ENDS_TCP);
    fill_by_slots(ENDS_UNIX);
}

static void send_urgent(struct flow_rig *fr)
{
    uint8_t byte = pattern_at(fr->writer.sent);
    assert_int_equal(send(fr->writer.fd, &byte, 1, MSG_OOB), 1);
    fr->writer.sent++;
}

/* A TCP urgent byte, at which splice says EAGAIN for ever: it stays in its place in the stream, and what is
 * behind it comes through. `before` bytes, the byte, `after` bytes; all there before the first step, or not.
 */
static void carry_urgent(enum relay_force force, uint64_t before, uint64_t after, bool queued, bool fin)
{
    struct flow_rig fr;
    flow_rig_open(&fr, ENDS_TCP, 0, true);
    flow_rig_new(&fr, force, NULL, 0);
    if (!queued)
        flow_rig_start(&fr);
    writer_feed(&fr.writer, before, ALL);
    if (!queued)
        flow_rig_carry(&fr, before, 0, ALL);
    send_urgent(&fr);
    if (!queued)
        flow_rig_carry(&fr, before + 1, 0, ALL);
    writer_feed(&fr.writer, before + 1 + after, ALL);
    if (fin) /* with a FIN behind it splice calls the mark an end */
        assert_return_code(shutdown(fr.writer.fd, SHUT_WR), errno);
    if (queued)
        flow_rig_start(&fr);
    flow_rig_carry(&fr, before + 1 + after, ALL, ALL);
    flow_rig_finish(&fr);
    struct flow_report report;
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.bytes, before + 1 + after);
    if (force == RELAY_FORCE_SPLICE) { /* a step aside, told as what it was, and back */
        assert_true(segment_bytes(&report, RELAY_COPY, RELAY_REASON_URGENT_DATA) >= 1);
        assert_true(segment_bytes(&report, RELAY_SPLICE, RELAY_REASON_FORCED) >= before);
    }
    flow_rig_close(&fr);
}

static void urgent_byte_keeps_its_place(void **state)
{
    (void)state;
    static const uint64_t lengths[][2] = {{0, 0}, {0, 5000}, {5000, 0}, {5000, 5000}, {100000, 100000}};
    for (size_t force = 0; force < sizeof(forces) / sizeof(*forces); force++)
        for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
            carry_urgent(forces[force], lengths[i][0], lengths[i][1], true, false);
            carry_urgent(forces[force], lengths[i][0], lengths[i][1], false, false);
            carry_urgent(forces[force], lengths[i][0], lengths[i][1], true, true);
        }
}

/* Many of them, each behind a few bytes: no spinning, no loss. */
static void urgent_bytes_without_end(void **state)
{
    (void)state;
    for (size_t force = 0; force < sizeof(forces) / sizeof(*forces); force++) {
        struct flow_rig fr;
        flow_rig_open(&fr, ENDS_TCP, 0, true);
        flow_rig_new(&fr, forces[force], NULL, 0);
        flow_rig_start(&fr);
        for (int i = 0; i < 200; i++) {
            writer_feed(&fr.writer, fr.writer.sent + 50, ALL);
            send_urgent(&fr);
            rig_turn(&fr.rig, false);
        }
        flow_rig_carry(&fr, fr.writer.sent, 0, ALL);
        flow_rig_finish(&fr);
        assert_int_equal(fr.reader.received, 200 * 51);
        flow_rig_close(&fr);
    }
}

/* Given up half-way: the pipe that holds bytes is closed, memory is freed (LeakSanitizer tells). */
static void freed_half_way(void **state)
{
    (void)state;
    for (size_t force = 0; force < sizeof(forces) / sizeof(*forces); force++) {
        struct flow_rig fr;
        flow_rig_open(&fr, ENDS_TCP, TINY, true);
        stall_sink(&fr);
        flow_rig_new(&fr, forces[force], NULL, 0);
        writer_feed(&fr.writer, UINT64_MAX, 100000);
        flow_rig_step(&fr);
        assert_int_equal(fr.status, FLOW_WAITING);
        assert_true(flow_waits_for_sink(fr.flow));
        if (forces[force] == RELAY_FORCE_SPLICE)
            assert_true(fr.flow->pipe->bytes > 0);
        flow_free(fr.flow);
        fr.flow = NULL;
        assert_int_equal(pipe_pool_lent(fr.rig.loop->pipes), 0);
        assert_int_equal(pipe_pool_open(fr.rig.loop->pipes), 0);
        flow_rig_close(&fr);
    }
}

static void broken_ends_are_told(void **state)
{
    (void)state;
    for (size_t force = 0; force < sizeof(forces) / sizeof(*forces); force++)
        for (int source = 0; source < 2; source++) {
            struct flow_rig fr;
            flow_rig_open(&fr, ENDS_TCP, 0, true);
            flow_rig_new(&fr, forces[force], NULL, 0);
            flow_rig_start(&fr);
            flow_rig_carry(&fr, 100000, ALL, ALL);
            int *fd = source ? &fr.writer.fd : &fr.reader.fd;
            int other = source ? -1 : fr.writer.fd;
            reset_fd(*fd);
            *fd = dup(0);
            if (other != -1)
                assert_int_equal(send(other, "x", 1, MSG_NOSIGNAL), 1);
            rig_run_until(&fr.rig, fr.status == FLOW_ENDED);
            assert_int_equal(flow_end(fr.flow), source ? FLOW_END_SOURCE : FLOW_END_SINK);
            assert_int_equal(flow_error(fr.flow), ECONNRESET);
            flow_rig_close(&fr);
        }
}

/* sendfile between sockets can't be: not a byte moves. */
static void refused_before_the_first_byte(void **state)
{
    (void)state;
    struct flow_rig fr;
    flow_rig_open(&fr, ENDS_TCP, 0, true);
    flow_rig_new(&fr, RELAY_FORCE_SENDFILE, NULL, 0);
    writer_feed(&fr.writer, 1000, ALL);
    flow_rig_step(&fr);
    assert_int_equal(fr.status, FLOW_ENDED);
    assert_int_equal(flow_end(fr.flow), FLOW_END_REFUSED);
    assert_int_equal(flow_refusal(fr.flow), RELAY_REASON_NOT_REGULAR_FILE);
    assert_int_equal(flow_moved(fr.flow), 0);
    assert_int_equal(flow_step(fr.flow), FLOW_ENDED);
    flow_rig_close(&fr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_by_every_mode_over_tcp),
        cmocka_unit_test(every_size_by_every_mode_over_unix),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(end_waits_for_bytes),
        cmocka_unit_test(sink_left_open),
        cmocka_unit_test(pipe_full_by_slots),
        cmocka_unit_test(urgent_byte_keeps_its_place),
        cmocka_unit_test(urgent_bytes_without_end),
        cmocka_unit_test(freed_half_way),
        cmocka_unit_test(broken_ends_are_told),
        cmocka_unit_test(refused_before_the_first_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
