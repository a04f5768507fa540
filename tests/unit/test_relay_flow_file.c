/* One direction from a file, or memory, to a socket: every size by every mode behind a head, ranges, files
 * that are truncated while they are sent, bytes that have to be fetched first, and files that the kernel
 * won't send by itself. Refuses to know HTTP. */
#include "relay_flow_support.h"

#include <fcntl.h>
#include <stdio.h>

static const uint64_t sizes[] = {
    0, 1, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 20 << 20};
#define SIZES (sizeof(sizes) / sizeof(*sizes))
#define TINY 4096

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

static uint8_t head[700]; /* the pattern's first bytes; the file's range goes on from there */

/* Opens bytes [sizeof(head), sizeof(head) + size) of a pattern file as the source of a flow with that head.
 */
static void open_file(struct flow_rig *fr, size_t mode, uint64_t size, int buffers)
{
    pattern_fill(head, 0, sizeof(head));
    flow_rig_open(fr, ENDS_TCP, buffers, false);
    endpoint_open_file(&fr->source, fr->rig.loop, pattern_file(sizeof(head) + size), sizeof(head),
                       sizeof(head) + size, true);
    flow_rig_new(fr, modes[mode].force, head, sizeof(head));
}

static void check_report(const struct flow_rig *fr, size_t mode, uint64_t size)
{
    struct flow_report report;
    flow_rig_check_sums(fr, &report);
    assert_int_equal(report.bytes, size);
    assert_int_equal(report.head_bytes, sizeof(head));
    assert_int_equal(report.segment_count, size != 0);
    assert_int_equal(segment_bytes(&report, modes[mode].mode, modes[mode].reason), size);
    bool user = modes[mode].mode == RELAY_MMAP || modes[mode].mode == RELAY_COPY;
    assert_int_equal(report.user_bytes, user ? size : 0);
}

static void every_size_by_every_mode(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++)
        for (size_t i = 0; i < 2 * SIZES; i++) {
            uint64_t size = sizes[i / 2];
            bool slow = i % 2 != 0, large = size > 1 << 20;
            struct flow_rig fr;
            open_file(&fr, mode, size, !slow ? 0 : large ? 32 * TINY : TINY);
            flow_rig_start(&fr);
            flow_rig_carry(&fr, sizeof(head) + size, 0, !slow ? ALL : large ? 200000 : 1000);
            assert_true(flow_head_done(fr.flow));
            flow_rig_finish(&fr);
            assert_int_equal(fr.reader.received, sizeof(head) + size);
            check_report(&fr, mode, size);
            flow_rig_close(&fr);
        }
}

/* Head and small body leave as one segment; and a head alone isn't held back for a body that never comes (200
 * ms of MSG_MORE). */
static void head_and_body_leave_together(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++)
        for (uint64_t size = 0; size <= 500; size += 500) {
            struct flow_rig fr;
            open_file(&fr, mode, size, 0);
            flow_rig_step(&fr);
            assert_int_equal(flow_end(fr.flow), FLOW_END_COMPLETE);
            reader_drain(&fr.reader, ALL); /* at once: loopback delivers within send() */
            assert_int_equal(fr.reader.received, sizeof(head) + size);
            struct tcp_info info;
            socklen_t length = sizeof(info);
            assert_return_code(getsockopt(fr.sink.fd, IPPROTO_TCP, TCP_INFO, &info, &length), errno);
            assert_int_equal(info.tcpi_data_segs_out, 1);
            flow_rig_close(&fr);
        }
}

static void ranges_at_any_offset(void **state)
{
    (void)state;
    static const uint64_t ranges[][2] = {
        {1, 2}, {4095, 4097}, {65535, 65537}, {1048575, 3145729}, {3000000, 3999999}, {4000000, 4000000}};
    for (size_t mode = 0; mode < MODES; mode++)
        for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
            struct flow_rig fr;
            flow_rig_open(&fr, ENDS_UNIX, 0, false);
            endpoint_open_file(&fr.source, fr.rig.loop, pattern_file(4000000), ranges[i][0], ranges[i][1],
                               true);
            flow_rig_new(&fr, modes[mode].force, NULL, 0);
            fr.reader.received = ranges[i][0];
            flow_rig_start(&fr);
            flow_rig_carry(&fr, ranges[i][1], 0, ALL);
            flow_rig_finish(&fr);
            assert_int_equal(fr.reader.received, ranges[i][1]);
            flow_rig_close(&fr);
        }
}

/* Truncated while it is sent, before what is sent next: no byte beyond the new end, nothing padded, and the
 * client sees no clean end. */
static void truncate_one(size_t mode, uint64_t beyond, bool at_the_end)
{
    enum { SIZE = 6 << 20 }; /* below what gets a large send buffer */
    struct flow_rig fr;
    open_file(&fr, mode, SIZE, 8 * TINY);
    flow_rig_start(&fr);
    rig_run_until(&fr.rig, fr.status == FLOW_WAITING && flow_waits_for_sink(fr.flow));
    rig_settle(&fr.rig);
    uint64_t total = sizeof(head) + SIZE, end = fr.source.offset / 4096 * 4096 + 4096 + beyond;
    if (at_the_end) /* in the same page: what is cut off reads as zeros, without a fault */
        end = total - beyond;
    assert_true(end < total);
    assert_return_code(ftruncate(fr.source.fd, (off_t)end), errno);
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (fr.status != FLOW_ENDED && test_now_ms() < deadline) {
        reader_drain(&fr.reader, 100000);
        rig_turn(&fr.rig, true);
    }
    assert_int_equal(flow_end(fr.flow), FLOW_END_TRUNCATED);
    endpoint_reset(&fr.sink); /* as its owner does */
    rig_run_until(&fr.rig, (reader_drain(&fr.reader, ALL), fr.reader.eof || fr.reader.error != 0));
    assert_int_equal(fr.reader.error, ECONNRESET);
    assert_in_range(fr.reader.received, sizeof(head), end);
    struct flow_report report;
    flow_rig_check_sums(&fr, &report);
    assert_true(sizeof(head) + report.bytes <= end);
    flow_rig_close(&fr);
}

static void truncated_while_sent(void **state)
{
    (void)state;
    static const uint64_t beyond[] = {0, 1, 4095, 4096, 300000, 1 << 20, (1 << 20) + 1};
    for (size_t mode = 0; mode < MODES; mode++) {
        for (size_t i = 0; i < sizeof(beyond) / sizeof(*beyond); i++)
            truncate_one(mode, beyond[i], false);
        truncate_one(mode, 1, true);
        truncate_one(mode, sizeof(head) - 1, true);
    }
}

/* Shorter than promised from the start: the same. */
static void truncated_before(void **state)
{
    (void)state;
    static const uint64_t left[] = {0, 1, sizeof(head), sizeof(head) + 1, 4096, 100000, 200600};
    for (size_t mode = 0; mode < MODES; mode++)
        for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
            struct flow_rig fr;
            open_file(&fr, mode, 200000, 0);
            assert_return_code(ftruncate(fr.source.fd, (off_t)left[i]), errno);
            flow_rig_start(&fr);
            rig_run_until(&fr.rig, fr.status == FLOW_ENDED);
            assert_int_equal(flow_end(fr.flow), FLOW_END_TRUNCATED);
            endpoint_reset(&fr.sink);
            rig_run_until(&fr.rig, (reader_drain(&fr.reader, ALL), fr.reader.eof || fr.reader.error != 0));
            assert_int_equal(fr.reader.error, ECONNRESET);
            assert_true(fr.reader.received <= (left[i] > sizeof(head) ? left[i] : sizeof(head)));
            flow_rig_close(&fr);
        }
}

/* Stands for a disk: says "later" until told, and notes what it was asked. */
struct disk {
    bool ready;
    unsigned asked;
    uint64_t lowest, highest;
};

static bool on_fill(void *arg, uint64_t offset, size_t length)
{
    struct disk *disk = arg;
    if (disk->asked++ == 0)
        disk->lowest = offset;
    if (offset + length > disk->highest)
        disk->highest = offset + length;
    return disk->ready;
}

static void later_means_later(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct disk disk = {0};
        open_file(&fr, mode, 3000000, 0);
        fr.source.fill = on_fill;
        fr.source.fill_arg = &disk;
        flow_rig_start(&fr);
        rig_run_until(&fr.rig, disk.asked != 0);
        rig_settle(&fr.rig);
        reader_drain(&fr.reader, ALL);
        assert_int_equal(fr.status, FLOW_WAITING);
        assert_false(flow_waits_for_sink(fr.flow));
        assert_int_equal(fr.reader.received, 0); /* the head waits for its body */
        assert_in_range(disk.asked, 1, 10);      /* and nobody spins */
        assert_int_equal(disk.lowest, sizeof(head));

        disk.ready = true;
        flow_rig_step(&fr);
        flow_rig_carry(&fr, sizeof(head) + 3000000, 0, ALL);
        flow_rig_finish(&fr);
        assert_int_equal(disk.highest, sizeof(head) + 3000000); /* never past the end */
        check_report(&fr, mode, 3000000);
        flow_rig_close(&fr);
    }
}

static void an_empty_body_needs_no_disk(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct disk disk = {0};
        open_file(&fr, mode, 0, 0);
        fr.source.fill = on_fill;
        fr.source.fill_arg = &disk;
        flow_rig_step(&fr);
        assert_int_equal(flow_end(fr.flow), FLOW_END_COMPLETE);
        assert_int_equal(disk.asked, 0);
        flow_rig_close(&fr);
    }
}

static void memory_is_generated(void **state)
{
    (void)state;
    for (int force = 0; force < RELAY_FORCE_COUNT; force++) {
        enum { SIZE = 1 << 20 };
        uint8_t *data = malloc(SIZE);
        assert_non_null(data);
        pattern_fill(data, 0, SIZE);
        struct flow_rig fr;
        struct flow_report report;
        flow_rig_open(&fr, ENDS_TCP, TINY, false);
        endpoint_open_memory(&fr.source, fr.rig.loop, data + 300, SIZE - 300);
        flow_rig_new(&fr, (enum relay_force)force, data, 300);
        flow_rig_start(&fr);
        flow_rig_carry(&fr, SIZE, 0, ALL);
        flow_rig_finish(&fr);
        flow_rig_check_sums(&fr, &report);
        assert_int_equal(report.segment_count, 1);
        assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_GENERATED), SIZE - 300);
        flow_rig_close(&fr);
        free(data);
    }
}

/* A file that can be read but not sent: this process's own memory, which sendfile (EINVAL) and mmap (ENODEV)
 * refuse. auto copies and says why; forced refuses. */
static void kernel_refuses_the_file(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    uint8_t *data = malloc(SIZE);
    assert_non_null(data);
    pattern_fill(data, 0, SIZE);
    for (size_t mode = 0; mode < MODES; mode++) {
        struct flow_rig fr;
        struct flow_report report;
        flow_rig_open(&fr, ENDS_TCP, 0, false);
        int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
        assert_return_code(fd, errno);
        endpoint_open_file(&fr.source, fr.rig.loop, fd, (uint64_t)(uintptr_t)data,
                           (uint64_t)(uintptr_t)data + SIZE, true);
        flow_rig_new(&fr, modes[mode].force, NULL, 0);
        flow_rig_start(&fr);
        if (modes[mode].force == RELAY_FORCE_SENDFILE || modes[mode].force == RELAY_FORCE_MMAP) {
            rig_run_until(&fr.rig, fr.status == FLOW_ENDED);
            assert_int_equal(flow_end(fr.flow), FLOW_END_REFUSED);
            assert_int_equal(flow_refusal(fr.flow), RELAY_REASON_KERNEL_REFUSED);
            assert_int_equal(flow_moved(fr.flow), 0);
        } else {
            enum relay_reason why =
                modes[mode].force == RELAY_AUTO ? RELAY_REASON_KERNEL_REFUSED : RELAY_REASON_FORCED;
            flow_rig_carry(&fr, SIZE, 0, ALL);
            flow_rig_finish(&fr);
            flow_rig_check_sums(&fr, &report);
            assert_int_equal(segment_bytes(&report, RELAY_COPY, why), SIZE);
        }
        flow_rig_close(&fr);
    }
    free(data);
}

static void not_a_regular_file(void **state)
{
    (void)state;
    struct flow_rig fr;
    struct flow_report report;
    flow_rig_open(&fr, ENDS_TCP, 0, false);
    endpoint_open_file(&fr.source, fr.rig.loop, pattern_file(5000), 0, 5000, false);
    flow_rig_new(&fr, RELAY_AUTO, NULL, 0);
    flow_rig_start(&fr);
    flow_rig_carry(&fr, 5000, 0, ALL);
    flow_rig_finish(&fr);
    flow_rig_check_sums(&fr, &report);
    assert_int_equal(segment_bytes(&report, RELAY_COPY, RELAY_REASON_NOT_REGULAR_FILE), 5000);
    flow_rig_close(&fr);
}

/* A large file over plain TCP gets a large send buffer, where the process may have one; a small one doesn't.
 */
static void bulk_widens_the_send_buffer(void **state)
{
    (void)state;
    static const uint64_t large_or_not[] = {1 << 20, 16 << 20};
    const int wanted = 8 << 20; /* as SO_SNDBUF tells it, bookkeeping included */
    for (size_t i = 0; i < 2; i++) {
        struct flow_rig fr;
        const int asked = wanted / 2;
        int got;
        socklen_t length = sizeof(got);
        open_file(&fr, 0, large_or_not[i], 0);
        bool allowed = setsockopt(fr.reader.fd, SOL_SOCKET, SO_SNDBUFFORCE, &asked, sizeof(asked)) == 0;
        (void)flow_step(fr.flow);
        assert_return_code(getsockopt(fr.sink.fd, SOL_SOCKET, SO_SNDBUF, &got, &length), errno);
        assert_string_equal(relay_mode_name(modes[0].mode), "sendfile");
        if (allowed && large_or_not[i] > 8 << 20)
            assert_int_equal(got, wanted);
        else /* left to the kernel, which tunes it as it goes */
            assert_true(got < wanted);
        flow_rig_close(&fr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_by_every_mode),
        cmocka_unit_test(head_and_body_leave_together),
        cmocka_unit_test(ranges_at_any_offset),
        cmocka_unit_test(truncated_while_sent),
        cmocka_unit_test(truncated_before),
        cmocka_unit_test(later_means_later),
        cmocka_unit_test(an_empty_body_needs_no_disk),
        cmocka_unit_test(memory_is_generated),
        cmocka_unit_test(kernel_refuses_the_file),
        cmocka_unit_test(not_a_regular_file),
        cmocka_unit_test(bulk_widens_the_send_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
