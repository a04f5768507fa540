/* Flows from and to TLS: which mode, with which crypto and for which reason, in a kernel that has TLS and in
 * one that hasn't; and what a client may put between its data: empty records, warnings, a FIN in mid-record.
 * Refuses to know sessions (test_relay_tls_session.c). */
#include "relay_flow_support.h"
#include "relay_tls_support.h"

#include <stdio.h>

#define TINY 8192

/* A flow whose sink (or source) is TLS; its far end is `client` and not the rig's reader (or writer). */
struct tls_flow {
    struct flow_rig fr;
    struct tls_client client;
};

static void open_tls_sink(struct tls_flow *tf, const struct tls_options *options, int buffers,
                          bool socket_source)
{
    flow_rig_open(&tf->fr, ENDS_TCP, buffers, socket_source);
    endpoint_set_tls(&tf->fr.sink, tls_pair_open(&tf->client, tf->fr.reader.fd, tf->fr.sink.fd, options));
}

static void open_tls_source(struct tls_flow *tf, const struct tls_options *options, int buffers)
{
    flow_rig_open(&tf->fr, ENDS_TCP, buffers, true);
    endpoint_set_tls(&tf->fr.source, tls_pair_open(&tf->client, tf->fr.writer.fd, tf->fr.source.fd, options));
}

static void close_tls_flow(struct tls_flow *tf)
{
    flow_rig_close(&tf->fr);
    tls_client_free(&tf->client);
}

/* Runs to the flow's end with a client that reads at that pace; `total` bytes of pattern and a close_notify.
 */
static void read_to_the_end(struct tls_flow *tf, uint64_t total, size_t pace)
{
    struct flow_rig *fr = &tf->fr;
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (tf->client.end == CLIENT_OPEN) {
        if (test_now_ms() > deadline)
            fail_msg("stalled after %llu bytes", (unsigned long long)tf->client.received);
        size_t moved = fr->writer.fd != -1 ? writer_feed(&fr->writer, total, ALL) : 0;
        if (fr->writer.fd != -1 && fr->writer.sent == total)
            (void)shutdown(fr->writer.fd, SHUT_WR);
        rig_turn(&fr->rig, false);
        moved += tls_client_read(&tf->client, pace);
        if (moved == 0)
            rig_turn(&fr->rig, true);
    }
    assert_int_equal(tf->client.end, CLIENT_CLOSE_NOTIFY);
    assert_int_equal(tf->client.received, total);
    assert_int_equal(flow_end(fr->flow), FLOW_END_COMPLETE);
}

static void check_segment(const struct flow_segment *segment, enum relay_mode mode, enum relay_crypto source,
                          enum relay_crypto sink, enum relay_reason reason)
{
    assert_string_equal(relay_mode_name(segment->mode), relay_mode_name(mode));
    assert_string_equal(relay_crypto_name(segment->source_crypto), relay_crypto_name(source));
    assert_string_equal(relay_crypto_name(segment->sink_crypto), relay_crypto_name(sink));
    assert_string_equal(relay_reason_name(segment->reason), relay_reason_name(reason));
}

/* Connections that the kernel says it encrypts or decrypts for; -1: it doesn't count. */
static long tls_stat(const char *name)
{
    char key[64];
    long value, found = -1;
    FILE *file = fopen("/proc/net/tls_stat", "r");
    if (file == NULL)
        return -1;
    while (fscanf(file, "%63s %ld", key, &value) == 2)
        if (strcmp(key, name) == 0)
            found = value;
    fclose(file);
    return found;
}

static uint8_t head[300];

/* A file, behind a head: sendfile where the kernel encrypts; elsewhere pread and SSL_write, and told why. */
static void file_to_tls(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 16383, 16384, 16385, 65537, 3000000};
    pattern_fill(head, 0, sizeof(head));
    for (size_t i = 0; i < TLS_VARIANTS * 14; i++) {
        const struct tls_options *options = &tls_variants[i % TLS_VARIANTS];
        uint64_t size = sizes[i / TLS_VARIANTS % 7], total = sizeof(head) + size;
        bool slow = i / TLS_VARIANTS >= 7, ktls = expect_ktls_tx(options);
        struct tls_flow tf;
        struct flow_report report;
        long before = tls_stat("TlsTxSw");
        open_tls_sink(&tf, options, slow ? TINY : 0, false);
        if (ktls)
            assert_int_equal(tls_stat("TlsTxSw"), before + 1);
        endpoint_open_file(&tf.fr.source, tf.fr.rig.loop, pattern_file(total), sizeof(head), total, true);
        flow_rig_new(&tf.fr, RELAY_AUTO, head, sizeof(head));
        flow_rig_start(&tf.fr);
        read_to_the_end(&tf, total, slow ? 20000 : ALL);
        flow_rig_check_sums(&tf.fr, &report);
        assert_int_equal(report.head_bytes, sizeof(head));
        assert_int_equal(report.bytes, size);
        assert_int_equal(report.kernel_bytes, ktls ? size : 0);
        assert_int_equal(report.segment_count, size != 0);
        if (size != 0 && ktls)
            check_segment(&report.segments[0], RELAY_SENDFILE, RELAY_CRYPTO_NONE, RELAY_CRYPTO_KTLS,
                          RELAY_REASON_PASSTHROUGH);
        else if (size != 0)
            check_segment(&report.segments[0], RELAY_COPY, RELAY_CRYPTO_NONE, RELAY_CRYPTO_USER,
                          expect_tx_reason(options));
        close_tls_flow(&tf);
    }
}

/* mmap and copy, forced, are possible over the kernel's TLS too; what needs the kernel's TLS is refused
 * without it, before the first byte. */
static void forced_modes_to_tls(void **state)
{
    (void)state;
    static const struct {
        enum relay_force force;
        enum relay_mode mode;
    } table[] = {{RELAY_FORCE_SENDFILE, RELAY_SENDFILE},
                 {RELAY_FORCE_MMAP, RELAY_MMAP},
                 {RELAY_FORCE_COPY, RELAY_COPY}};
    for (size_t i = 0; i < 3 * TLS_VARIANTS; i++) {
        const struct tls_options *options = &tls_variants[i / 3];
        bool ktls = expect_ktls_tx(options);
        struct tls_flow tf;
        struct flow_report report;
        open_tls_sink(&tf, options, 0, false);
        endpoint_open_file(&tf.fr.source, tf.fr.rig.loop, pattern_file(500000), 0, 500000, true);
        flow_rig_new(&tf.fr, table[i % 3].force, NULL, 0);
        flow_rig_start(&tf.fr);
        if (table[i % 3].force != RELAY_FORCE_COPY && !ktls) {
            rig_run_until(&tf.fr.rig, tf.fr.status == FLOW_ENDED);
            assert_int_equal(flow_end(tf.fr.flow), FLOW_END_REFUSED);
            assert_int_equal(flow_refusal(tf.fr.flow), expect_tx_reason(options));
            assert_int_equal(flow_moved(tf.fr.flow), 0);
        } else {
            read_to_the_end(&tf, 500000, ALL);
            flow_rig_check_sums(&tf.fr, &report);
            assert_int_equal(report.segment_count, 1);
            check_segment(&report.segments[0], table[i % 3].mode, RELAY_CRYPTO_NONE,
                          ktls ? RELAY_CRYPTO_KTLS : RELAY_CRYPTO_USER, RELAY_REASON_FORCED);
        }
        close_tls_flow(&tf);
    }
}

static void socket_to_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * TLS_VARIANTS; i++) {
        const struct tls_options *options = &tls_variants[i / 2];
        bool slow = i % 2 != 0;
        uint64_t total = slow ? 300000 : 5 << 20;
        struct tls_flow tf;
        struct flow_report report;
        open_tls_sink(&tf, options, slow ? TINY : 0, true);
        flow_rig_new(&tf.fr, RELAY_AUTO, NULL, 0);
        flow_rig_start(&tf.fr);
        read_to_the_end(&tf, total, slow ? 20000 : ALL);
        flow_rig_check_sums(&tf.fr, &report);
        assert_int_equal(report.bytes, total);
        if (expect_ktls_tx(options)) {
            assert_true(segment_bytes(&report, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH) > total / 2);
            check_segment(&report.segments[report.segment_count - 1], RELAY_SPLICE, RELAY_CRYPTO_NONE,
                          RELAY_CRYPTO_KTLS, RELAY_REASON_PASSTHROUGH);
        } else {
            assert_int_equal(report.segment_count, 1);
            check_segment(&report.segments[0], RELAY_COPY, RELAY_CRYPTO_NONE, RELAY_CRYPTO_USER,
                          expect_tx_reason(options));
        }
        close_tls_flow(&tf);
    }
}

/* Until the reader has `total` bytes and the end, with a client that has sent everything it has to. */
static void drain_to_the_end(struct tls_flow *tf, uint64_t total, enum flow_end end)
{
    rig_run_until(&tf->fr.rig, (reader_drain(&tf->fr.reader, ALL), tf->fr.status == FLOW_ENDED));
    assert_int_equal(flow_end(tf->fr.flow), end);
    if (end == FLOW_END_COMPLETE)
        rig_run_until(&tf->fr.rig, (reader_drain(&tf->fr.reader, ALL), tf->fr.reader.eof));
    else
        reader_drain(&tf->fr.reader, ALL);
    assert_int_equal(tf->fr.reader.received, total);
    assert_int_equal(tf->fr.reader.eof, end == FLOW_END_COMPLETE);
}

static void tls_to_socket(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * TLS_VARIANTS; i++) {
        const struct tls_options *options = &tls_variants[i / 2];
        bool slow = i % 2 != 0;
        uint64_t total = slow ? 300000 : 5 << 20;
        struct tls_flow tf;
        struct flow_report report;
        open_tls_source(&tf, options, slow ? TINY : 0);
        flow_rig_new(&tf.fr, RELAY_AUTO, NULL, 0);
        flow_rig_start(&tf.fr);
        rig_run_until(&tf.fr.rig, (tls_client_write(&tf.client, total, ALL),
                                   reader_drain(&tf.fr.reader, slow ? 5000 : ALL), tf.client.sent == total));
        assert_int_equal(SSL_shutdown(tf.client.ssl), 0);
        drain_to_the_end(&tf, total, FLOW_END_COMPLETE);
        flow_rig_check_sums(&tf.fr, &report);
        assert_int_equal(report.bytes, total);
        if (expect_ktls_rx(options)) {
            assert_true(segment_bytes(&report, RELAY_SPLICE, RELAY_REASON_PASSTHROUGH) > total / 2);
        } else {
            assert_int_equal(report.segment_count, 1);
            check_segment(&report.segments[0], RELAY_COPY, RELAY_CRYPTO_USER, RELAY_CRYPTO_NONE,
                          expect_rx_reason(options));
        }
        close_tls_flow(&tf);
    }
}

struct crafting {
    struct tls_flow *tf;
    struct craft craft;
};

static void craft_open(struct crafting *crafting, struct tls_flow *tf, const struct tls_options *options)
{
    struct tls_client *client = &tf->client;
    crafting->tf = tf;
    int result = options->version == TLS1_2_VERSION
                     ? craft_open_tls12(&crafting->craft, client->ssl)
                     : craft_open_tls13(&crafting->craft, client->ssl, &client->secret);
    assert_int_equal(result, 0);
}

/* Sends a record, or only its first `part` bytes. */
static void craft_send(struct crafting *crafting, enum craft_type type, const void *data, size_t size,
                       size_t part)
{
    static uint8_t record[CRAFT_RECORD_MAX];
    size_t length = craft_record(&crafting->craft, type, data, size, record);
    assert_true(length != 0);
    length = part < length ? part : length;
    assert_int_equal(send(crafting->tf->client.fd, record, length, MSG_NOSIGNAL), length);
}

static void craft_pattern(struct crafting *crafting, size_t size)
{
    static uint8_t data[CRAFT_PAYLOAD_MAX];
    pattern_fill(data, crafting->tf->client.sent, size);
    crafting->tf->client.sent += size;
    craft_send(crafting, CRAFT_DATA, data, size, ALL);
}

/* Records without data, which to splice look like the end, and warnings, which it refuses: neither is an end,
 * and what follows comes through. Each alone, and all there before the first step. */
static void records_in_between(const struct tls_options *options, enum relay_force force, bool queued)
{
    static const uint8_t user_canceled[2] = {1, 90}, close_notify[2] = {1, 0};
    struct tls_flow tf;
    struct crafting crafting;
    struct flow_report report;
    open_tls_source(&tf, options, 0);
    craft_open(&crafting, &tf, options);
    flow_rig_new(&tf.fr, force, NULL, 0);
    if (!queued)
        flow_rig_start(&tf.fr);
    for (int round = 0; round < 4; round++) {
        craft_pattern(&crafting, 16384);
        if (!queued)
            flow_rig_carry(&tf.fr, tf.client.sent, 0, ALL);
        craft_send(&crafting, CRAFT_DATA, NULL, 0, ALL);
        if (!queued)
            rig_settle(&tf.fr.rig);
        craft_send(&crafting, CRAFT_DATA, NULL, 0, ALL);
        craft_pattern(&crafting, 100);
        if (!queued)
            rig_settle(&tf.fr.rig);
        if (round % 2 == 0)
            craft_send(&crafting, CRAFT_ALERT, user_canceled, sizeof(user_canceled), ALL);
        if (!queued)
            rig_settle(&tf.fr.rig);
    }
    craft_send(&crafting, CRAFT_ALERT, close_notify, sizeof(close_notify), ALL);
    if (queued)
        flow_rig_start(&tf.fr);
    drain_to_the_end(&tf, tf.client.sent, FLOW_END_COMPLETE);
    flow_rig_check_sums(&tf.fr, &report);
    if (force == RELAY_FORCE_SPLICE) {
        assert_true(segment_bytes(&report, RELAY_SPLICE, RELAY_REASON_FORCED) >= 16384);
        assert_true(segment_bytes(&report, RELAY_COPY, RELAY_REASON_CONTROL_RECORD) > 0);
    }
    close_tls_flow(&tf);
}

static void what_comes_between_data(void **state)
{
    (void)state;
    static const enum relay_force forces[] = {RELAY_AUTO, RELAY_FORCE_COPY, RELAY_FORCE_SPLICE};
    for (size_t i = 0; i < TLS_VARIANTS * 6; i++) {
        const struct tls_options *options = &tls_variants[i / 6];
        enum relay_force force = forces[i % 3];
        if (force != RELAY_FORCE_SPLICE || expect_ktls_rx(options))
            records_in_between(options, force, i % 6 >= 3);
    }
}

/* Where no payload may be copied, a record that isn't payload is read all the same: warnings, of which none
 * is a storm with payload in between, and the end. */
static void zero_copy_and_control_records(void **state)
{
    (void)state;
    static const uint8_t user_canceled[2] = {1, 90}, close_notify[2] = {1, 0};
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        const struct tls_options *options = &tls_variants[i];
        struct tls_flow tf;
        struct crafting crafting;
        struct flow_report report;
        if (!expect_ktls_rx(options))
            continue;
        open_tls_source(&tf, options, 0);
        craft_open(&crafting, &tf, options);
        tf.fr.zero_copy = true;
        flow_rig_new(&tf.fr, RELAY_AUTO, NULL, 0);
        flow_rig_start(&tf.fr);
        for (int round = 0; round < 8; round++) {
            craft_pattern(&crafting, 16384);
            craft_pattern(&crafting, 16384);
            flow_rig_carry(&tf.fr, tf.client.sent, 0, ALL);
            craft_send(&crafting, CRAFT_ALERT, user_canceled, sizeof(user_canceled), ALL);
            rig_settle(&tf.fr.rig);
        }
        craft_pattern(&crafting, 100);
        craft_send(&crafting, CRAFT_ALERT, close_notify, sizeof(close_notify), ALL);
        drain_to_the_end(&tf, tf.client.sent, FLOW_END_COMPLETE);
        flow_rig_check_sums(&tf.fr, &report);
        assert_int_equal(report.user_bytes, 0);
        assert_int_equal(report.kernel_bytes, tf.client.sent);
        close_tls_flow(&tf);
    }
}

/* Spliced payload ends a row of reads that found none. */
static void control_records_in_bulk(void **state)
{
    (void)state;
    static const uint8_t user_canceled[2] = {1, 90}, close_notify[2] = {1, 0};
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct tls_flow tf;
        struct crafting crafting;
        open_tls_source(&tf, &tls_variants[i], 0);
        craft_open(&crafting, &tf, &tls_variants[i]);
        flow_rig_new(&tf.fr, expect_ktls_rx(&tls_variants[i]) ? RELAY_FORCE_SPLICE : RELAY_AUTO, NULL, 0);
        flow_rig_start(&tf.fr);
        for (int round = 0; round < 4; round++) {
            for (int n = 0; n < 5; n++)
                craft_pattern(&crafting, 16384);
            flow_rig_carry(&tf.fr, tf.client.sent, 0, ALL);
            craft_send(&crafting, CRAFT_ALERT, user_canceled, sizeof(user_canceled), ALL);
            rig_settle(&tf.fr.rig);
        }
        craft_send(&crafting, CRAFT_ALERT, close_notify, sizeof(close_notify), ALL);
        drain_to_the_end(&tf, tf.client.sent, FLOW_END_COMPLETE);
        close_tls_flow(&tf);
    }
}

/* Warnings or empty records without end: the flow is, soon, and says why. What the kernel hasn't been asked
 * for by then stays where it is. */
static void storms(void **state)
{
    (void)state;
    static const uint8_t user_canceled[2] = {1, 90};
    static const enum relay_force forces[] = {RELAY_AUTO, RELAY_FORCE_COPY, RELAY_FORCE_SPLICE};
    enum { MOST = 40000 };
    for (size_t i = 0; i < TLS_VARIANTS * 6; i++) {
        const struct tls_options *options = &tls_variants[i / 6];
        bool alerts = i % 6 >= 3;
        struct tls_flow tf;
        struct crafting crafting;
        if (forces[i % 3] == RELAY_FORCE_SPLICE && !expect_ktls_rx(options))
            continue;
        open_tls_source(&tf, options, 0);
        craft_open(&crafting, &tf, options);
        flow_rig_new(&tf.fr, forces[i % 3], NULL, 0);
        flow_rig_start(&tf.fr);
        craft_pattern(&crafting, 1000);
        flow_rig_carry(&tf.fr, tf.client.sent, 0, ALL);
        int sent = 0;
        while (tf.fr.status != FLOW_ENDED) {
            for (int n = 0; n < 10; n++, sent++)
                craft_send(&crafting, alerts ? CRAFT_ALERT : CRAFT_DATA, alerts ? user_canceled : NULL,
                           alerts ? sizeof(user_canceled) : 0, ALL);
            rig_turn(&tf.fr.rig, false);
            assert_true(sent < MOST);
        }
        assert_int_equal(flow_end(tf.fr.flow), FLOW_END_SOURCE);
        assert_int_equal(flow_error(tf.fr.flow), EPROTO);
        if (expect_ktls_rx(options))
            assert_string_equal(flow_detail(tf.fr.flow), "too many TLS records that carry no data");
        else
            assert_string_not_equal(flow_detail(tf.fr.flow), "");
        close_tls_flow(&tf);
    }
}

/* A FIN is no end: not between records, and not in the middle of one. */
static void fin_is_no_end(void **state)
{
    (void)state;
    static const uint8_t zeros[1000];
    for (size_t i = 0; i < TLS_VARIANTS * 4; i++) {
        const struct tls_options *options = &tls_variants[i / 4];
        bool ktls = expect_ktls_rx(options), mid_record = i % 2 != 0;
        struct tls_flow tf;
        struct crafting crafting;
        open_tls_source(&tf, options, 0);
        craft_open(&crafting, &tf, options);
        flow_rig_new(&tf.fr, i % 4 >= 2 && ktls ? RELAY_FORCE_SPLICE : RELAY_AUTO, NULL, 0);
        flow_rig_start(&tf.fr);
        craft_pattern(&crafting, 16384);
        craft_pattern(&crafting, 5000);
        if (mid_record)
            craft_send(&crafting, CRAFT_DATA, zeros, sizeof(zeros), 500);
        assert_return_code(shutdown(tf.client.fd, SHUT_WR), errno);
        drain_to_the_end(&tf, 21384, FLOW_END_TRUNCATED);
        close_tls_flow(&tf);
    }
}

/* A key is good for so many bytes: past half of them an owner ends the connection when it may, and past all
 * of them the flow ends in a loss, within a turn. Small records cost what they weigh: a conversation isn't
 * cut. */
static void a_key_wears_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct tls_flow tf;
        open_tls_sink(&tf, &tls_variants[i], 0, false);
        struct tls_conn *tls = tf.fr.sink.tls;
        for (int n = 0; n < 1 << 20; n++)
            tls_conn_count_sealed(tls, 100);
        assert_true(tls_conn_sealed(tls) < TLS_KEY_BYTES / 1000);
        assert_false(tls_conn_key_worn(tls));
        tls_conn_limit_key(tls, tls_conn_sealed(tls) + 200 * 16384);
        assert_false(tls_conn_key_spent(tls));
        endpoint_open_file(&tf.fr.source, tf.fr.rig.loop, pattern_file(64 << 20), 0, 64 << 20, true);
        flow_rig_new(&tf.fr, RELAY_AUTO, NULL, 0);
        flow_rig_start(&tf.fr);
        uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
        while (tf.fr.status != FLOW_ENDED) {
            assert_true(test_now_ms() < deadline);
            rig_turn(&tf.fr.rig, false);
            (void)tls_client_read(&tf.client, ALL);
        }
        assert_int_equal(flow_end(tf.fr.flow), FLOW_END_SINK);
        assert_int_equal(flow_error(tf.fr.flow), EKEYEXPIRED);
        assert_true(tls_conn_key_worn(tls));
        assert_true(flow_moved(tf.fr.flow) >= 100 * 16384);
        assert_true(flow_moved(tf.fr.flow) <= 200 * 16384 + FLOW_TURN_BYTES);
        close_tls_flow(&tf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_to_tls),
        cmocka_unit_test(forced_modes_to_tls),
        cmocka_unit_test(socket_to_tls),
        cmocka_unit_test(tls_to_socket),
        cmocka_unit_test(what_comes_between_data),
        cmocka_unit_test(zero_copy_and_control_records),
        cmocka_unit_test(control_records_in_bulk),
        cmocka_unit_test(storms),
        cmocka_unit_test(fin_is_no_end),
        cmocka_unit_test(a_key_wears_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
