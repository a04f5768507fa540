/* What copying holds back for a reader that is slower than its source: nothing of a file or memory, little of
 * a socket once a worker's flows hold much in all, and in the end nothing. Refuses to know the other modes.
 */
#include "relay_flow_support.h"

#define SIZE ((uint64_t)8 << 20)
#define TINY 4096

static uint8_t content[SIZE];

/* Runs until the sink has been full at least once. */
static void run_until_stuck(struct flow_rig *fr)
{
    flow_rig_start(fr);
    rig_run_until(&fr->rig, ((void)(fr->writer.fd == -1 || writer_feed(&fr->writer, SIZE, ALL)),
                             flow_waits_for_sink(fr->flow) && !fr->sink.writable));
}

static void check_end(struct flow_rig *fr, uint64_t head)
{
    struct flow_report report;
    flow_rig_carry(fr, SIZE + head, ALL, 64 << 10);
    flow_rig_finish(fr);
    assert_int_equal(fr->rig.loop->held, 0);
    flow_rig_check_sums(fr, &report);
    assert_int_equal(report.bytes, SIZE);
    assert_int_equal(report.head_bytes, head);
}

/* Behind a head that is itself too long for the sink, or none. */
static void nothing_of_what_can_be_read_again(void **state)
{
    static const size_t heads[] = {0, 1000, 300 << 10};
    static uint8_t head[300 << 10];
    (void)state;
    for (size_t i = 0; i < 2 * sizeof(heads) / sizeof(*heads); i++) {
        size_t size = heads[i / 2];
        struct flow_rig fr;
        flow_rig_open(&fr, ENDS_TCP, TINY, false);
        pattern_fill(head, 0, size);
        pattern_fill(content, size, SIZE);
        if (i % 2 == 0)
            endpoint_open_memory(&fr.source, fr.rig.loop, content, SIZE);
        else
            endpoint_open_file(&fr.source, fr.rig.loop, pattern_file(size + SIZE), size, size + SIZE, true);
        flow_rig_new(&fr, RELAY_FORCE_COPY, head, size);
        run_until_stuck(&fr);
        assert_null(fr.flow->held);
        assert_int_equal(fr.rig.loop->held, 0);
        check_end(&fr, size);
        flow_rig_close(&fr);
    }
}

static void little_of_a_socket_when_much_is_held(void **state)
{
    static const size_t elsewhere = 64 << 20; /* what other flows of the worker hold */
    (void)state;
    struct flow_rig fr;
    flow_rig_open(&fr, ENDS_TCP, TINY, true);
    flow_rig_new(&fr, RELAY_FORCE_COPY, NULL, 0);
    fr.rig.loop->held = elsewhere;
    run_until_stuck(&fr);
    assert_non_null(fr.flow->held);
    assert_int_equal(fr.rig.loop->held, elsewhere + fr.flow->held->offset + fr.flow->held->size);
    assert_in_range(fr.rig.loop->held - elsewhere, 1, FLOW_COPY_ROOM_MIN);
    flow_rig_carry(&fr, SIZE / 2, ALL, 64 << 10);
    assert_in_range(fr.rig.loop->held - elsewhere, 0, FLOW_COPY_ROOM_MIN);
    fr.rig.loop->held -= elsewhere;
    check_end(&fr, 0);
    flow_rig_close(&fr);
}

/* A flow that goes half-way takes its share of the account with it. */
static void freed_while_holding(void **state)
{
    (void)state;
    struct flow_rig fr;
    flow_rig_open(&fr, ENDS_TCP, TINY, true);
    flow_rig_new(&fr, RELAY_FORCE_COPY, NULL, 0);
    run_until_stuck(&fr);
    assert_true(fr.rig.loop->held > 0);
    flow_free(fr.flow);
    fr.flow = NULL;
    assert_int_equal(fr.rig.loop->held, 0);
    flow_rig_close(&fr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_what_can_be_read_again),
        cmocka_unit_test(little_of_a_socket_when_much_is_held),
        cmocka_unit_test(freed_while_holding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
