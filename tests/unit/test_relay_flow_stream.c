/* One direction from a stream that is made on the way: its bytes in order at any pace of either end, once a
 * step, its stops and its failures. Refuses to know what it is made of. */
#include "relay_flow_support.h"

/* Makes the pattern from the head's end on. */
struct maker {
    struct flow_rig *fr;
    uint64_t at, end;
    size_t most;          /* bytes a call */
    unsigned stops_every; /* each so many calls there is nothing yet; 0: never */
    uint64_t breaks_at;   /* there, with this errno; UINT64_MAX: nowhere */
    int error;
    unsigned calls, last_step;
};

static uint8_t head[700];

static enum io_status make(void *arg, void *buffer, size_t size, size_t *n)
{
    struct maker *maker = arg;
    assert_true(size > 0);
    assert_int_not_equal(maker->fr->steps + 1, maker->last_step); /* once a step */
    maker->last_step = maker->fr->steps + 1;
    maker->calls++;
    if (maker->stops_every != 0 && maker->calls % maker->stops_every == 0) {
        loop_queue(maker->fr->rig.loop, &maker->fr->task);
        return IO_AGAIN;
    }
    if (maker->at == maker->breaks_at) {
        errno = maker->error;
        return IO_BROKEN;
    }
    uint64_t left = (maker->breaks_at < maker->end ? maker->breaks_at : maker->end) - maker->at;
    if (left == 0)
        return IO_EOF;
    *n = left < size ? (size_t)left : size;
    if (*n > maker->most)
        *n = maker->most;
    pattern_fill(buffer, maker->at, *n);
    maker->at += *n;
    return IO_OK;
}

static void open_stream(struct flow_rig *fr, struct maker *maker, enum relay_force force, int buffers)
{
    pattern_fill(head, 0, sizeof(head));
    flow_rig_open(fr, ENDS_TCP, buffers, false);
    maker->fr = fr;
    endpoint_open_stream(&fr->source, fr->rig.loop, -1, make, maker);
    flow_rig_new(fr, force, head, sizeof(head));
}

static struct maker maker_of(uint64_t size)
{
    return (struct maker){
        .at = sizeof(head), .end = sizeof(head) + size, .most = SIZE_MAX, .breaks_at = UINT64_MAX};
}

static void every_size_at_every_pace(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 1000, 65535, 65536, 65537, 3000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (unsigned variant = 0; variant < 8; variant++) {
            const bool slow = (variant & 1) != 0;
            struct maker maker = maker_of(sizes[i]);
            struct flow_rig fr;
            struct flow_report report;
            if ((variant & 2) != 0)
                maker.stops_every = 2;
            if ((variant & 4) != 0)
                maker.most = sizes[i] / 100 + 1;
            open_stream(&fr, &maker, RELAY_AUTO, slow ? 4096 : 0);
            flow_rig_start(&fr);
            flow_rig_carry(&fr, maker.end, 0, slow ? sizes[i] / 20 + 1000 : ALL);
            flow_rig_finish(&fr);
            assert_int_equal(fr.reader.received, maker.end);
            flow_rig_check_sums(&fr, &report);
            assert_int_equal(report.head_bytes, sizeof(head));
            assert_int_equal(report.segment_count, sizes[i] != 0);
            assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_COMPRESSED), sizes[i]);
            assert_int_equal(report.user_bytes, sizes[i]);
            assert_int_equal(fr.rig.loop->held, 0);
            flow_rig_close(&fr);
        }
}

static void a_loss_is_no_end(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum flow_end end;
    } losses[] = {{ENODATA, FLOW_END_TRUNCATED}, {EIO, FLOW_END_SOURCE}};
    for (size_t i = 0; i < 2; i++)
        for (uint64_t at = 0; at <= 200000; at += 100000) {
            struct maker maker = maker_of(300000);
            struct flow_rig fr;
            maker.breaks_at = sizeof(head) + at;
            maker.error = losses[i].error;
            open_stream(&fr, &maker, RELAY_AUTO, 0);
            flow_rig_start(&fr);
            rig_run_until(&fr.rig, (reader_drain(&fr.reader, ALL), fr.status == FLOW_ENDED));
            assert_int_equal(flow_end(fr.flow), losses[i].end);
            assert_int_equal(flow_error(fr.flow), losses[i].error);
            rig_settle(&fr.rig);
            reader_drain(&fr.reader, ALL);
            assert_false(fr.reader.eof); /* the owner resets it */
            assert_int_equal(flow_moved(fr.flow), at);
            flow_rig_close(&fr);
        }
}

/* What a slow reader leaves over is held, and goes with the flow. */
static void freed_half_way(void **state)
{
    (void)state;
    struct maker maker = maker_of(50 << 20);
    struct flow_rig fr;
    open_stream(&fr, &maker, RELAY_AUTO, 4096);
    flow_rig_start(&fr);
    rig_run_until(&fr.rig, fr.status == FLOW_WAITING && flow_waits_for_sink(fr.flow));
    assert_in_range(fr.rig.loop->held, 1, fr.rig.loop->copy_size + 4096);
    flow_free(fr.flow);
    fr.flow = NULL;
    assert_int_equal(fr.rig.loop->held, 0);
    flow_rig_close(&fr);
}

static void policies(void **state)
{
    (void)state;
    for (int force = 0; force < RELAY_FORCE_COUNT; force++) {
        struct maker maker = maker_of(1000);
        struct flow_rig fr;
        open_stream(&fr, &maker, (enum relay_force)force, 0);
        flow_rig_start(&fr);
        rig_run_until(&fr.rig, fr.status == FLOW_ENDED);
        if (force == RELAY_AUTO || force == RELAY_FORCE_COPY) {
            assert_int_equal(flow_end(fr.flow), FLOW_END_COMPLETE);
        } else {
            assert_int_equal(flow_end(fr.flow), FLOW_END_REFUSED);
            assert_int_equal(flow_refusal(fr.flow), RELAY_REASON_COMPRESSED);
            assert_int_equal(maker.calls, 0);
        }
        flow_rig_close(&fr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_at_every_pace),
        cmocka_unit_test(a_loss_is_no_end),
        cmocka_unit_test(freed_half_way),
        cmocka_unit_test(policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
