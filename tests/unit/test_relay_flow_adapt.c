/* A flow that changes its mode: by the size of transfers, for want of pipes, for a head; what its report then
 * says; and how much one step may move. Refuses to know files (test_relay_flow_file.c). */
#include "relay_flow_support.h"

#include <sys/resource.h>

/* Requests and answers: each is through before the next is sent. */
static void carry_small(struct flow_rig *fr, int count, size_t size)
{
    for (int i = 0; i < count; i++) {
        uint64_t total = fr->writer.sent + size;
        flow_rig_carry(fr, total, size, ALL);
    }
}

/* Bulk: the writer is always ahead, so that every read finds much. */
static void carry_bulk(struct flow_rig *fr, uint64_t size)
{
    flow_rig_carry(fr, fr->writer.sent + size, ALL, ALL);
}

static void expect_segment(const struct flow_report *report, unsigned at, enum relay_mode mode,
                           enum relay_reason reason)
{
    assert_true(at < report->segment_count);
    assert_string_equal(relay_mode_name(report->segments[at].mode), relay_mode_name(mode));
    assert_string_equal(relay_reason_name(report->segments[at].reason), relay_reason_name(reason));
    assert_int_equal(report->segments[at].source_crypto, RELAY_CRYPTO_NONE);
    assert_int_equal(report->segments[at].sink_crypto, RELAY_CRYPTO_NONE);
}

static void follows_the_traffic(void **state)
{
    (void)state;
    struct flow_rig fr;
    struct flow_report report;
    flow_rig_open(&fr, ENDS_TCP, 0, true);
    flow_rig_new(&fr, RELAY_AUTO, NULL, 0);
    flow_rig_start(&fr);

    carry_small(&fr, 30, 1000);
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.segment_count, 1);
    expect_segment(&report, 0, RELAY_COPY, RELAY_REASON_SMALL_TRANSFERS);
    assert_int_equal(report.user_bytes, 30000);
    assert_int_equal(pipe_pool_open(fr.rig.loop->pipes), 0); /* none was even made */

    carry_bulk(&fr, 10 << 20);
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.segment_count, 2);
    expect_segment(&report, 1, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH);
    assert_true(report.segments[1].bytes > 9 << 20);

    carry_small(&fr, 30, 1000);
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.segment_count, 3);
    expect_segment(&report, 2, RELAY_COPY, RELAY_REASON_SMALL_TRANSFERS);
    assert_true(report.segments[2].bytes >= (30 - FLOW_SMALL_TURNS - 2) * 1000);

    rig_settle(&fr.rig); /* idle: no pipe and no buffer */
    assert_int_equal(pipe_pool_lent(fr.rig.loop->pipes), 0);
    assert_null(fr.flow->held);
    flow_rig_finish(&fr);
    flow_rig_close(&fr);
}

/* One large message now and then is no bulk, and a pause in bulk isn't small: hysteresis. */
static void keeps_from_flapping(void **state)
{
    (void)state;
    struct flow_rig fr;
    struct flow_report report;
    flow_rig_open(&fr, ENDS_TCP, 0, true);
    flow_rig_new(&fr, RELAY_AUTO, NULL, 0);
    flow_rig_start(&fr);
    for (int i = 0; i < 20; i++) {
        carry_small(&fr, 2, 1000);
        carry_small(&fr, 1, FLOW_BULK_READ + 1000);
    }
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.segment_count, 1);
    expect_segment(&report, 0, RELAY_COPY, RELAY_REASON_SMALL_TRANSFERS);

    carry_bulk(&fr, 4 << 20);
    for (int i = 0; i < 20; i++) {
        carry_small(&fr, FLOW_SMALL_TURNS - 2, 1000);
        carry_small(&fr, 1, 4 * FLOW_SMALL_TURN);
    }
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.segment_count, 2);
    flow_rig_finish(&fr);
    flow_rig_close(&fr);
}

/* A flow that flaps for ever: the report stays within bounds and its sums stay right, also for a kind of
 * segment that comes when the table is almost full. */
static void endless_flapping_keeps_account(void **state)
{
    (void)state;
    struct flow_rig fr;
    struct flow_report report;
    flow_rig_open(&fr, ENDS_TCP, 0, true);
    flow_rig_new(&fr, RELAY_AUTO, NULL, 0);
    flow_rig_start(&fr);
    for (int i = 0; i < 3 * FLOW_SEGMENTS_MAX; i++) {
        carry_bulk(&fr, 1 << 20);
        carry_small(&fr, FLOW_SMALL_TURNS + 4, 500);
        flow_rig_check_sums(&fr, &report);
    }
    uint64_t begun = relay_counter_get(
        &fr.counters.segments[RELAY_SPLICE][RELAY_CRYPTO_NONE][RELAY_CRYPTO_NONE][RELAY_REASON_PASSTHROUGH]);
    assert_int_equal(begun, 3 * FLOW_SEGMENTS_MAX); /* the live counter sees every one */

    carry_bulk(&fr, 4 << 20);
    uint8_t byte = pattern_at(fr.writer.sent);
    assert_int_equal(send(fr.writer.fd, &byte, 1, MSG_OOB), 1);
    fr.writer.sent++;
    flow_rig_carry(&fr, fr.writer.sent, 0, ALL);
    flow_rig_finish(&fr);
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.bytes, fr.writer.sent);
    assert_true(segment_bytes(&report, RELAY_COPY, RELAY_REASON_URGENT_DATA) >= 1);
    flow_rig_close(&fr);
}

/* No pipe to be had: copy now, and splice again once there are pipes. Forced splice refuses instead. */
static void pipe_shortage_is_not_for_life(void **state)
{
    (void)state;
    struct flow_rig fr;
    struct flow_report report;
    struct rlimit limit, none;
    assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
    none = limit;
    none.rlim_cur = 3;
    flow_rig_open(&fr, ENDS_TCP, 0, true);
    flow_rig_new(&fr, RELAY_AUTO, NULL, 0);
    flow_rig_start(&fr);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
    carry_bulk(&fr, 4 << 20);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(report.segment_count, 2);
    expect_segment(&report, 0, RELAY_COPY, RELAY_REASON_SMALL_TRANSFERS);
    expect_segment(&report, 1, RELAY_COPY, RELAY_REASON_PIPE_LIMIT);

    uint64_t deadline = test_now_ms() + 20 * PIPE_RETRY_MS;
    while (report.segment_count < 3 && test_now_ms() < deadline) {
        carry_bulk(&fr, 1 << 20);
        flow_rig_check_sums(&fr, &report);
    }
    expect_segment(&report, 2, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH);
    flow_rig_finish(&fr);
    flow_rig_close(&fr);

    flow_rig_open(&fr, ENDS_TCP, 0, true);
    flow_rig_new(&fr, RELAY_FORCE_SPLICE, NULL, 0);
    writer_feed(&fr.writer, 1000, ALL);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &none), errno);
    flow_rig_step(&fr);
    assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
    assert_int_equal(flow_end(fr.flow), FLOW_END_REFUSED);
    assert_int_equal(flow_refusal(fr.flow), RELAY_REASON_PIPE_LIMIT);
    assert_int_equal(flow_moved(fr.flow), 0);
    flow_rig_close(&fr);
}

/* A head goes before the first byte in each mode, is counted apart, and is no payload. */
static void head_goes_first(void **state)
{
    (void)state;
    static const enum relay_force forces[] = {RELAY_AUTO, RELAY_FORCE_SPLICE, RELAY_FORCE_COPY};
    static const size_t heads[] = {1, 1000, 700000}; /* the last is larger than the copy buffer */
    for (size_t i = 0; i < 9; i++) {
        size_t size = heads[i % 3];
        uint8_t *head = malloc(size);
        assert_non_null(head);
        pattern_fill(head, 0, size);
        struct flow_rig fr;
        struct flow_report report;
        flow_rig_open(&fr, ENDS_TCP, 8192, true);
        flow_rig_new(&fr, forces[i / 3], head, size);
        assert_false(flow_head_done(fr.flow));
        fr.writer.sent = size; /* the pattern goes on where the head ends */
        flow_rig_start(&fr);
        flow_rig_carry(&fr, size + 300000, ALL, 100000);
        assert_true(flow_head_done(fr.flow));
        flow_rig_finish(&fr);
        flow_rig_check_sums(&fr, &report);
        assert_int_equal(report.head_bytes, size);
        assert_int_equal(report.bytes, 300000);
        flow_rig_close(&fr);
        free(head);
    }
}

/* Sockets that take several turns' bytes at once, so that only the budget can stop a step. As an ordinary
 * user the buffers stay small: then the bound is checked, but not that it is reached. */
static bool grow_buffers(int fd)
{
    const int size = 16 << 20;
    return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0;
}

static void one_step_keeps_to_its_budget(void **state)
{
    (void)state;
    static const struct {
        enum relay_force force;
        bool file;
    } table[] = {
        {RELAY_AUTO, false},          {RELAY_FORCE_SPLICE, false}, {RELAY_FORCE_COPY, false},
        {RELAY_FORCE_SENDFILE, true}, {RELAY_FORCE_MMAP, true},    {RELAY_FORCE_COPY, true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct flow_rig fr;
        flow_rig_open(&fr, ENDS_TCP, 0, !table[i].file);
        bool large = grow_buffers(fr.sink.fd) && grow_buffers(fr.reader.fd);
        if (table[i].file) {
            endpoint_open_file(&fr.source, fr.rig.loop, pattern_file(32 << 20), 0, 32 << 20, true);
        } else {
            large = large && grow_buffers(fr.source.fd) && grow_buffers(fr.writer.fd);
        }
        flow_rig_new(&fr, table[i].force, NULL, 0);
        /* Several megabytes are waiting before the first step. */
        for (int turn = 0; turn < 100 && !table[i].file; turn++)
            writer_feed(&fr.writer, 32 << 20, ALL);
        flow_rig_start(&fr);
        flow_rig_carry(&fr, 32 << 20, ALL, ALL);
        /* One call's worth more: 2 MiB is the largest call there is (sendfile's). */
        assert_in_range(fr.largest_step, 1, 2 * FLOW_TURN_BYTES);
        if (large)
            assert_true(fr.turns_used_up > 0);
        flow_rig_finish(&fr);
        flow_rig_close(&fr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_traffic),
        cmocka_unit_test(keeps_from_flapping),
        cmocka_unit_test(endless_flapping_keeps_account),
        cmocka_unit_test(pipe_shortage_is_not_for_life),
        cmocka_unit_test(head_goes_first),
        cmocka_unit_test(one_step_keeps_to_its_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
