/* Flows with a pace: every mode keeps the rate and its own name, pauses without spinning, wakes by itself,
 * and tells that it isn't idle. Refuses to measure how exactly (the system tests do). */
#include "relay_flow_support.h"

#define RATE (8u << 20)
#define BURST (256u << 10)
#define SIZE (BURST + (2u << 20)) /* a quarter of a second */

static const struct {
    enum relay_force force;
    enum relay_mode mode;
    enum relay_reason reason;
    bool file;
} cases[] = {
    {RELAY_FORCE_SPLICE, RELAY_SPLICE, RELAY_REASON_FORCED, false},
    {RELAY_FORCE_COPY, RELAY_COPY, RELAY_REASON_FORCED, false},
    {RELAY_AUTO, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH, false},
    {RELAY_FORCE_SENDFILE, RELAY_SENDFILE, RELAY_REASON_FORCED, true},
    {RELAY_FORCE_MMAP, RELAY_MMAP, RELAY_REASON_FORCED, true},
    {RELAY_FORCE_COPY, RELAY_COPY, RELAY_REASON_FORCED, true},
    {RELAY_AUTO, RELAY_SENDFILE, RELAY_REASON_PASSTHROUGH, true},
};

static void open_paced(struct flow_rig *fr, struct pace *pace, enum relay_force force, bool file,
                       uint64_t rate, uint64_t burst)
{
    flow_rig_open(fr, ENDS_TCP, 0, !file);
    if (file)
        endpoint_open_file(&fr->source, fr->rig.loop, pattern_file(SIZE), 0, SIZE, true);
    pace_init(pace, fr->rig.loop, &(struct bucket_rate){.rate = rate, .burst = burst});
    fr->pace = pace;
    flow_rig_new(fr, force, NULL, 0);
    flow_rig_start(fr);
}

static void keeps_the_rate_in_every_mode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct flow_rig fr;
        struct flow_report report;
        struct pace pace;
        open_paced(&fr, &pace, cases[i].force, cases[i].file, RATE, BURST);
        uint64_t start = test_now_ms();
        flow_rig_carry(&fr, SIZE, ALL, ALL);
        uint64_t took = test_now_ms() - start;
        flow_rig_finish(&fr);
        print_message("%s: %llu ms, %u steps\n", relay_mode_name(cases[i].mode), (unsigned long long)took,
                      fr.steps);
        assert_true(took >= 248); /* the last bytes may go as early as the clocks' difference */
        /* A source that is fed steps its flow often; a file steps by its pauses alone. */
        if (cases[i].file)
            assert_true(fr.steps <= 4 + took / 10);
        flow_rig_check_sums(&fr, &report);
        assert_true(segment_bytes(&report, cases[i].mode, cases[i].reason) > SIZE / 2);
        assert_true(report.segment_count == 1 || cases[i].force == RELAY_AUTO);
        flow_rig_close(&fr);
        assert_false(evtimer_pending(&pace.timer, NULL));
    }
}

/* A head is paid for as well: many small answers can't slip through. */
static void a_head_is_paid_for(void **state)
{
    static const char head[1000];
    struct flow_rig fr;
    struct pace pace;

    (void)state;
    flow_rig_open(&fr, ENDS_TCP, 0, false);
    endpoint_open_memory(&fr.source, fr.rig.loop, NULL, 0);
    pace_init(&pace, fr.rig.loop, &(struct bucket_rate){.rate = 1000, .burst = 1500});
    const struct flow_options options = {.source = &fr.source,
                                         .sink = &fr.sink,
                                         .head = head,
                                         .head_size = sizeof(head),
                                         .pace = &pace,
                                         .resume = &fr.task};
    fr.flow = flow_new(fr.rig.loop, &options);
    flow_rig_step(&fr);
    assert_int_equal(fr.status, FLOW_ENDED);
    flow_free(fr.flow);

    fr.flow = flow_new(fr.rig.loop, &options);
    flow_rig_step(&fr);
    assert_int_equal(fr.status, FLOW_WAITING);
    assert_true(flow_is_paused(fr.flow));
    int arrived = 0;
    assert_return_code(ioctl(fr.reader.fd, FIONREAD, &arrived), errno);
    assert_in_range(arrived, 1500, 1999);
    flow_rig_close(&fr);
}

static void a_pause_owns_nothing_and_is_no_idleness(void **state)
{
    struct flow_rig fr;
    struct pace pace;
    unsigned steps;

    (void)state;
    open_paced(&fr, &pace, RELAY_FORCE_SPLICE, false, 20000, 100000);
    flow_rig_carry(&fr, 100000, ALL, ALL);
    writer_feed(&fr.writer, 300000, ALL);
    rig_run_until(&fr.rig, flow_is_paused(fr.flow));
    assert_true(flow_waits_for_sink(fr.flow));
    assert_int_equal(pipe_pool_lent(fr.rig.loop->pipes), 0);
    rig_settle(&fr.rig);
    /* Stepped by another's event it stays paused, and its timer as it was. */
    steps = fr.steps;
    flow_rig_step(&fr);
    assert_int_equal(fr.status, FLOW_WAITING);
    assert_true(evtimer_pending(&pace.timer, NULL));
    rig_settle(&fr.rig);
    assert_true(fr.steps <= steps + 2);
    /* And goes on by itself. */
    flow_rig_carry(&fr, 104000, 0, ALL);
    flow_rig_close(&fr);
    assert_false(evtimer_pending(&pace.timer, NULL));
}

/* What may go goes at once, however little it is: no waiting for a quantum. */
static void small_messages_do_not_wait(void **state)
{
    struct flow_rig fr;
    struct pace pace;

    (void)state;
    open_paced(&fr, &pace, RELAY_AUTO, false, 100000, 100000);
    for (uint64_t total = 100; total <= 5000; total += 100) {
        flow_rig_carry(&fr, total, ALL, ALL);
        assert_false(flow_is_paused(fr.flow));
    }
    flow_rig_close(&fr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_rate_in_every_mode),
        cmocka_unit_test(a_head_is_paid_for),
        cmocka_unit_test(a_pause_owns_nothing_and_is_no_idleness),
        cmocka_unit_test(small_messages_do_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
