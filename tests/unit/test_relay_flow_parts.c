/* Several sources in one flow: ranges of a file with text made in memory before, between and behind them, by
 * every mode, over plain TCP and TLS, for readers fast and slow, at a pace, and cut short.
 * Refuses to know what the text says. */
#include "relay_flow_support.h"
#include "relay_tls_support.h"

#define TINY 4096
#define BARE 500 /* of the first head: no payload */
#define PARTS_MAX 40

static const struct {
    enum relay_force force;
    enum relay_mode mode;
    enum relay_reason reason;
} modes[] = {
    {RELAY_AUTO, RELAY_SENDFILE, RELAY_REASON_PASSTHROUGH},
    {RELAY_FORCE_SENDFILE, RELAY_SENDFILE, RELAY_REASON_FORCED},
    {RELAY_FORCE_MMAP, RELAY_MMAP, RELAY_REASON_FORCED},
    {RELAY_FORCE_COPY, RELAY_COPY, RELAY_REASON_FORCED},
};
#define MODES (sizeof(modes) / sizeof(*modes))

/* What the parts make is the pattern from its beginning: of the file come the bytes at the places where they
 * belong, of memory the others. */
struct body {
    struct flow_part parts[PARTS_MAX + 1];
    uint8_t *text;
    uint64_t file, generated, total;
};

/* Part i: heads[i] bytes of memory, then sizes[i] of the file; and at the end `tail` bytes of memory. */
static void make_body(struct body *body, struct loop *loop, const uint64_t *heads, const uint64_t *sizes,
                      size_t count, uint64_t tail)
{
    assert_true(count <= PARTS_MAX);
    *body = (struct body){.total = BARE + tail};
    for (size_t i = 0; i < count; i++) {
        body->file += sizes[i];
        body->generated += heads[i];
        body->total += heads[i] + sizes[i];
    }
    body->generated += tail;
    body->text = malloc(body->total);
    assert_non_null(body->text);
    pattern_fill(body->text, 0, body->total);
    const int fd = pattern_file(body->total);
    uint64_t at = BARE;
    for (size_t i = 0; i < count; i++) {
        struct flow_part *part = &body->parts[i];
        part->head = i == 0 ? body->text : body->text + at;
        part->generated = heads[i];
        part->head_size = heads[i] + (i == 0 ? BARE : 0);
        at += heads[i];
        endpoint_open_file(&part->source, loop, fd, at, at + sizes[i], true);
        part->source.borrowed = i != 0;
        part->next = part + 1;
        at += sizes[i];
    }
    endpoint_open_memory(&body->parts[count].source, loop, body->text + at, tail);
}

static void free_body(struct body *body)
{
    endpoint_close(&body->parts[0].source);
    free(body->text);
}

static void new_flow(struct flow_rig *fr, struct body *body, enum relay_force force)
{
    const struct flow_options options = {
        .parts = body->parts,
        .sink = &fr->sink,
        .policy = {.force = force, .require_zero_copy = fr->zero_copy},
        .counters = &fr->counters,
        .shutdown_sink = true,
        .pace = fr->pace,
        .resume = &fr->task,
    };
    fr->flow = flow_new(fr->rig.loop, &options);
    assert_non_null(fr->flow);
    fr->status = FLOW_WAITING;
}

static void check_report(const struct flow_rig *fr, const struct body *body, enum relay_mode mode,
                         enum relay_reason reason)
{
    struct flow_report report;
    flow_rig_check_sums(fr, &report);
    assert_int_equal(report.head_bytes, BARE);
    assert_int_equal(report.bytes, body->total - BARE);
    assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_GENERATED), body->generated);
    assert_int_equal(segment_bytes(&report, mode, reason), body->file);
    assert_true(flow_head_done(fr->flow));
}

static const uint64_t heads[] = {200, 90, 91, 92}, sizes[] = {3000000, 1, 65537, 300000};
#define COUNT (sizeof(sizes) / sizeof(*sizes))

static void every_mode(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++)
        for (int slow = 0; slow < 2; slow++) {
            struct flow_rig fr;
            struct body body;
            flow_rig_open(&fr, ENDS_TCP, slow ? 8 * TINY : 0, false);
            make_body(&body, fr.rig.loop, heads, sizes, COUNT, 60);
            new_flow(&fr, &body, modes[mode].force);
            flow_rig_start(&fr);
            flow_rig_carry(&fr, body.total, 0, slow ? 20000 : ALL);
            flow_rig_finish(&fr);
            assert_int_equal(fr.reader.received, body.total);
            check_report(&fr, &body, modes[mode].mode, modes[mode].reason);
            assert_true(fr.largest_step <= 2 * FLOW_TURN_BYTES);
            flow_rig_close(&fr);
            free_body(&body);
        }
}

/* More of them than a flow has segments, and than it changes its source in one step. The report's segments
 * then stand for all of their kind. */
static void many_small_ones(void **state)
{
    (void)state;
    uint64_t many_heads[PARTS_MAX], many_sizes[PARTS_MAX];
    for (size_t i = 0; i < PARTS_MAX; i++) {
        many_heads[i] = 100 + i;
        many_sizes[i] = 1 + 100 * i;
    }
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct body body;
        flow_rig_open(&fr, ENDS_UNIX, 0, false);
        make_body(&body, fr.rig.loop, many_heads, many_sizes, PARTS_MAX, 60);
        new_flow(&fr, &body, modes[mode].force);
        flow_rig_start(&fr);
        flow_rig_carry(&fr, body.total, 0, ALL);
        flow_rig_finish(&fr);
        assert_int_equal(fr.reader.received, body.total);
        check_report(&fr, &body, modes[mode].mode, modes[mode].reason);
        assert_true(fr.turns_used_up > 0);
        flow_rig_close(&fr);
        free_body(&body);
    }
}

/* Text and the bytes behind it leave together: a segment for each part, and one for what ends the last. */
static void a_part_is_a_segment(void **state)
{
    (void)state;
    static const uint64_t small[] = {100, 200, 300, 400};
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct body body;
        struct tcp_info info;
        socklen_t length = sizeof(info);
        flow_rig_open(&fr, ENDS_TCP, 0, false);
        make_body(&body, fr.rig.loop, heads, small, COUNT, 60);
        new_flow(&fr, &body, modes[mode].force);
        flow_rig_step(&fr);
        assert_int_equal(flow_end(fr.flow), FLOW_END_COMPLETE);
        reader_drain(&fr.reader, ALL); /* at once: nothing is held back */
        assert_int_equal(fr.reader.received, body.total);
        assert_return_code(getsockopt(fr.sink.fd, IPPROTO_TCP, TCP_INFO, &info, &length), errno);
        assert_in_range(info.tcpi_data_segs_out, 1, COUNT + 1);
        flow_rig_close(&fr);
        free_body(&body);
    }
}

static void over_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * TLS_VARIANTS; i++) {
        const struct tls_options *options = &tls_variants[i / 2];
        const bool slow = i % 2 != 0, ktls = expect_ktls_tx(options);
        struct flow_rig fr;
        struct tls_client client;
        struct body body;
        flow_rig_open(&fr, ENDS_TCP, slow ? 8 * TINY : 0, false);
        endpoint_set_tls(&fr.sink, tls_pair_open(&client, fr.reader.fd, fr.sink.fd, options));
        make_body(&body, fr.rig.loop, heads, sizes, COUNT, 60);
        new_flow(&fr, &body, RELAY_AUTO);
        flow_rig_start(&fr);
        const uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
        while (client.end == CLIENT_OPEN) {
            if (test_now_ms() > deadline)
                fail_msg("stalled after %llu bytes", (unsigned long long)client.received);
            if (tls_client_read(&client, slow ? 20000 : ALL) == 0)
                rig_turn(&fr.rig, true);
            rig_turn(&fr.rig, false);
        }
        assert_int_equal(client.end, CLIENT_CLOSE_NOTIFY);
        assert_int_equal(client.received, body.total);
        assert_int_equal(flow_end(fr.flow), FLOW_END_COMPLETE);
        check_report(&fr, &body, ktls ? RELAY_SENDFILE : RELAY_COPY,
                     ktls ? RELAY_REASON_PASSTHROUGH : expect_tx_reason(options));
        flow_rig_close(&fr);
        tls_client_free(&client);
        free_body(&body);
    }
}

/* Text is exempt from the policy, but goes out behind its verdict only. */
static void zero_copy_or_nothing(void **state)
{
    (void)state;
    struct flow_rig fr;
    struct body body;
    flow_rig_open(&fr, ENDS_TCP, 0, false);
    make_body(&body, fr.rig.loop, heads, sizes, COUNT, 60);
    fr.zero_copy = true;
    new_flow(&fr, &body, RELAY_AUTO);
    flow_rig_start(&fr);
    flow_rig_carry(&fr, body.total, 0, ALL);
    flow_rig_finish(&fr);
    check_report(&fr, &body, RELAY_SENDFILE, RELAY_REASON_PASSTHROUGH);
    flow_free(fr.flow);

    body.parts[0].source.offset = BARE + heads[0];
    body.parts[0].source.not_regular = true;
    new_flow(&fr, &body, RELAY_AUTO);
    flow_rig_step(&fr);
    assert_int_equal(flow_end(fr.flow), FLOW_END_REFUSED);
    assert_int_equal(flow_refusal(fr.flow), RELAY_REASON_NOT_REGULAR_FILE);
    assert_false(flow_head_done(fr.flow));
    flow_rig_close(&fr);
    free_body(&body);
}

/* Each source is planned for itself: what one can't do is no fact about the next. */
static void planned_anew(void **state)
{
    (void)state;
    struct flow_rig fr;
    struct body body;
    struct flow_report report;
    flow_rig_open(&fr, ENDS_TCP, 0, false);
    make_body(&body, fr.rig.loop, heads, sizes, COUNT, 60);
    body.parts[1].source.not_regular = true;
    new_flow(&fr, &body, RELAY_AUTO);
    flow_rig_start(&fr);
    flow_rig_carry(&fr, body.total, 0, ALL);
    flow_rig_finish(&fr);
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_NOT_REGULAR_FILE), sizes[1]);
    assert_int_equal(segment_bytes(&report, RELAY_SENDFILE, RELAY_REASON_PASSTHROUGH), body.file - sizes[1]);
    assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_GENERATED), body.generated);
    flow_rig_close(&fr);
    free_body(&body);
}

static void cut_short(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct body body;
        flow_rig_open(&fr, ENDS_TCP, 0, false);
        make_body(&body, fr.rig.loop, heads, sizes, COUNT, 60);
        const uint64_t end = body.parts[2].source.offset + 10; /* within the third */
        assert_return_code(ftruncate(body.parts[0].source.fd, (off_t)end), errno);
        new_flow(&fr, &body, modes[mode].force);
        flow_rig_start(&fr);
        rig_run_until(&fr.rig, (reader_drain(&fr.reader, ALL), fr.status == FLOW_ENDED));
        assert_int_equal(flow_end(fr.flow), FLOW_END_TRUNCATED);
        assert_true(flow_head_done(fr.flow));
        endpoint_reset(&fr.sink);
        rig_run_until(&fr.rig, (reader_drain(&fr.reader, ALL), fr.reader.eof || fr.reader.error != 0));
        assert_int_equal(fr.reader.error, ECONNRESET);
        assert_true(fr.reader.received <= end);
        flow_rig_close(&fr);
        free_body(&body);
    }
}

static void paced(void **state)
{
    (void)state;
    static const uint64_t small[] = {100000, 1, 65537, 100000};
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct pace pace;
        struct body body;
        flow_rig_open(&fr, ENDS_TCP, 0, false);
        make_body(&body, fr.rig.loop, heads, small, COUNT, 60);
        pace_init(&pace, fr.rig.loop, &(struct bucket_rate){.rate = 2 << 20, .burst = 64 << 10});
        fr.pace = &pace;
        new_flow(&fr, &body, modes[mode].force);
        flow_rig_start(&fr);
        const uint64_t start = test_now_ms();
        flow_rig_carry(&fr, body.total, 0, ALL);
        assert_true(test_now_ms() - start >= (body.total - (64 << 10)) * 1000 / (2 << 20) - 2);
        flow_rig_finish(&fr);
        check_report(&fr, &body, modes[mode].mode, modes[mode].reason);
        flow_rig_close(&fr);
        free_body(&body);
    }
}

/* A source that must be fetched first: its text waits with it. */
static bool on_fill(void *arg, uint64_t offset, size_t length)
{
    (void)offset;
    (void)length;
    return *(bool *)arg;
}

static void text_waits_for_its_bytes(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct body body;
        bool ready = false;
        flow_rig_open(&fr, ENDS_TCP, 0, false);
        make_body(&body, fr.rig.loop, heads, sizes, COUNT, 60);
        body.parts[1].source.fill = on_fill;
        body.parts[1].source.fill_arg = &ready;
        new_flow(&fr, &body, modes[mode].force);
        flow_rig_start(&fr);
        const uint64_t first = BARE + heads[0] + sizes[0];
        flow_rig_carry(&fr, first, 0, ALL);
        rig_settle(&fr.rig);
        reader_drain(&fr.reader, ALL);
        assert_int_equal(fr.reader.received, first);
        assert_int_equal(fr.status, FLOW_WAITING);
        assert_false(flow_waits_for_sink(fr.flow));
        ready = true;
        flow_rig_step(&fr);
        flow_rig_carry(&fr, body.total, 0, ALL);
        flow_rig_finish(&fr);
        check_report(&fr, &body, modes[mode].mode, modes[mode].reason);
        flow_rig_close(&fr);
        free_body(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode),
        cmocka_unit_test(many_small_ones),
        cmocka_unit_test(a_part_is_a_segment),
        cmocka_unit_test(over_tls),
        cmocka_unit_test(zero_copy_or_nothing),
        cmocka_unit_test(planned_anew),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(paced),
        cmocka_unit_test(text_waits_for_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
