/* The orderly close: everything arrives however slow the reader, a peer that doesn't take it is reset at the
 * deadline, one that talks for ever doesn't hold it up. Plain, TLS, and TLS in the kernel.
 * Refuses to know what was sent. */
#include "relay_tls_support.h"

#include "relay/flow.h"
#include "relay/linger.h"

#define TINY 8192
#define NEVER_MS (10 * TEST_DEADLINE_MS)
/* More than a client with TINY buffers takes, less than our send buffer does. */
#define BACKLOG 100000

struct linger_rig {
    struct rig rig;
    struct endpoint ep;
    bool tls;
    struct tls_client client;
    struct reader reader; /* the client without TLS */
    struct relay_linger *linger;
    bool started;
    int ended;
    bool delivered, slow;
};

static void on_end(void *arg, bool delivered)
{
    struct linger_rig *lr = arg;
    assert_true(lr->started);
    lr->ended++;
    lr->delivered = delivered;
    lr->slow = linger_was_slow(lr->linger);
}

static void set_send_buffer(int fd)
{
    const int size = 200000;
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), errno);
}

/* options NULL: plain. */
static void open_linger(struct linger_rig *lr, const struct tls_options *options, int buffers)
{
    int fds[2];
    memset(lr, 0, sizeof(*lr));
    rig_open(&lr->rig);
    tcp_pair(fds, buffers);
    set_send_buffer(fds[1]);
    lr->tls = options != NULL;
    lr->reader.fd = lr->client.fd = fds[0];
    struct tls_conn *tls = lr->tls ? tls_pair_open(&lr->client, fds[0], fds[1], options) : NULL;
    assert_return_code(endpoint_open_socket(&lr->ep, lr->rig.loop, fds[1]), errno);
    if (lr->tls)
        endpoint_set_tls(&lr->ep, tls);
}

static void close_linger(struct linger_rig *lr)
{
    endpoint_close(&lr->ep);
    if (lr->tls)
        tls_client_free(&lr->client);
    if (lr->reader.fd != -1)
        close(lr->reader.fd);
    rig_settle(&lr->rig);
    rig_close(&lr->rig);
}

static size_t client_read(struct linger_rig *lr, size_t limit)
{
    return lr->tls ? tls_client_read(&lr->client, limit) : reader_drain(&lr->reader, limit);
}

static uint64_t received(const struct linger_rig *lr)
{
    return lr->tls ? lr->client.received : lr->reader.received;
}

static bool client_ended(const struct linger_rig *lr)
{
    return lr->tls ? lr->client.end != CLIENT_OPEN : lr->reader.eof || lr->reader.error != 0;
}

static bool ended_well(const struct linger_rig *lr)
{
    return lr->tls ? lr->client.end == CLIENT_CLOSE_NOTIFY : lr->reader.eof;
}

static bool was_reset(const struct linger_rig *lr)
{
    return lr->tls ? lr->client.end == CLIENT_RESET : lr->reader.error == ECONNRESET;
}

static void start(struct linger_rig *lr, uint64_t timeout_ms)
{
    lr->linger = linger_start(&lr->ep, timeout_ms, on_end, lr);
    assert_non_null(lr->linger);
    assert_int_equal(lr->ep.fd, -1); /* taken over */
    lr->started = true;
}

/* Gives the kernel `total` bytes of the pattern at once. */
static void fill(struct linger_rig *lr, uint64_t total)
{
    static uint8_t buffer[16384];
    for (uint64_t sent = 0; sent < total;) {
        size_t size = total - sent < sizeof(buffer) ? (size_t)(total - sent) : sizeof(buffer), n;
        pattern_fill(buffer, sent, size);
        assert_int_equal(endpoint_write(&lr->ep, buffer, size, false, &n), IO_OK);
        sent += n;
    }
}

/* By a flow: what is left over waits in the flow, and the last byte was given to the kernel when it ends. */
static void send_all(struct linger_rig *lr, uint64_t size, size_t pace)
{
    uint8_t *data = malloc((size_t)size);
    assert_non_null(data);
    pattern_fill(data, 0, (size_t)size);
    struct endpoint memory;
    endpoint_open_memory(&memory, lr->rig.loop, data, (size_t)size);
    const struct flow_options options = {.source = &memory, .sink = &lr->ep};
    struct flow *flow = flow_new(lr->rig.loop, &options);
    assert_non_null(flow);
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (flow_step(flow) != FLOW_ENDED) {
        assert_true(test_now_ms() < deadline);
        client_read(lr, pace);
        rig_turn(&lr->rig, false);
    }
    assert_int_equal(flow_end(flow), FLOW_END_COMPLETE);
    flow_free(flow);
    free(data);
}

static void everything_arrives_once(const struct tls_options *options, uint64_t size, size_t pace)
{
    struct linger_rig lr;
    open_linger(&lr, options, TINY);
    send_all(&lr, size, pace);
    start(&lr, NEVER_MS);
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (!client_ended(&lr)) {
        if (test_now_ms() > deadline)
            fail_msg("stalled after %llu of %llu", (unsigned long long)received(&lr),
                     (unsigned long long)size);
        rig_turn(&lr.rig, client_read(&lr, pace) == 0);
    }
    assert_int_equal(received(&lr), size);
    assert_true(ended_well(&lr));
    close(lr.reader.fd); /* the client is content, and goes */
    lr.reader.fd = -1;
    rig_run_until(&lr.rig, lr.ended != 0);
    assert_true(lr.delivered);
    assert_int_equal(lr.ended, 1);
    close_linger(&lr);
}

/* Sizes around what a record and a half-sent record may come to, against a reader behind a tiny window. */
static void everything_arrives(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 10; round++) {
        uint64_t size = 60000 + round * 16384 / 3 * 2 + round;
        everything_arrives_once(NULL, size, 1500);
        for (size_t i = 0; i < TLS_VARIANTS; i++)
            everything_arrives_once(&tls_variants[i], size, 1500 + round * 700);
    }
}

static const struct tls_options *variant(size_t i)
{
    return i == 0 ? NULL : &tls_variants[i - 1];
}

/* A peer that reads nothing is reset, and not before its time. */
static void deadline_resets(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TLS_VARIANTS; i++) {
        struct linger_rig lr;
        open_linger(&lr, variant(i), TINY);
        fill(&lr, BACKLOG);
        uint64_t begun = test_now_ms();
        start(&lr, 150);
        rig_run_until(&lr.rig, lr.ended != 0);
        assert_in_range(test_now_ms() - begun, 120, 5000);
        assert_false(lr.delivered);
        while (!client_ended(&lr))
            client_read(&lr, SIZE_MAX);
        assert_true(was_reset(&lr));
        assert_true(received(&lr) < BACKLOG);
        close_linger(&lr);
    }
}

/* What came and was never read must not turn our close into a reset that overtakes what we sent. */
static void unread_input_does_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TLS_VARIANTS; i++) {
        struct linger_rig lr;
        open_linger(&lr, variant(i), 0);
        struct writer writer = {.fd = lr.reader.fd};
        if (lr.tls)
            tls_client_write(&lr.client, 30000, SIZE_MAX);
        else
            writer_feed(&writer, 30000, SIZE_MAX);
        send_all(&lr, 300000, SIZE_MAX);
        start(&lr, NEVER_MS);
        rig_run_until(&lr.rig, (client_read(&lr, SIZE_MAX), client_ended(&lr)));
        assert_true(ended_well(&lr));
        assert_int_equal(received(&lr), 300000);
        assert_return_code(shutdown(lr.reader.fd, SHUT_WR), errno);
        rig_run_until(&lr.rig, lr.ended != 0);
        assert_true(lr.delivered);
        close_linger(&lr);
    }
}

/* As much as goes, until nobody listens any more. */
static void talk(struct linger_rig *lr)
{
    static const uint8_t words[100];
    size_t n;
    ERR_clear_error();
    for (int i = 0; i < 20; i++)
        if (lr->tls ? SSL_write_ex(lr->client.ssl, words, sizeof(words), &n) != 1
                    : send(lr->reader.fd, words, sizeof(words), MSG_NOSIGNAL) == -1)
            return;
}

/* A peer that takes everything and then talks for ever: delivered, at the deadline; and others get their turn
 * meanwhile (the test's own loop is one of them). */
static void a_peer_that_talks_for_ever(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TLS_VARIANTS; i++) {
        struct linger_rig lr;
        open_linger(&lr, variant(i), 0);
        send_all(&lr, 100000, SIZE_MAX);
        start(&lr, 300);
        uint64_t begun = test_now_ms();
        while (lr.ended == 0 && test_now_ms() < begun + TEST_DEADLINE_MS) {
            talk(&lr);
            rig_turn(&lr.rig, true);
            client_read(&lr, SIZE_MAX);
        }
        assert_in_range(test_now_ms() - begun, 270, 5000);
        assert_true(lr.delivered);
        assert_int_equal(received(&lr), 100000);
        close_linger(&lr);
    }
}

/* Long before a deadline, too. */
static void a_peer_that_talks_too_much(void **state)
{
    (void)state;
    struct linger_rig lr;
    static char bytes[65536];
    uint64_t sent = 0, deadline = test_now_ms() + TEST_DEADLINE_MS;
    open_linger(&lr, NULL, 0);
    start(&lr, NEVER_MS);
    while (lr.ended == 0 && test_now_ms() < deadline) {
        ssize_t n = send(lr.reader.fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        sent += n > 0 ? (uint64_t)n : 0;
        rig_turn(&lr.rig, false);
    }
    assert_int_equal(lr.ended, 1);
    assert_in_range(sent, LINGER_DROP_MAX, LINGER_DROP_MAX + (16u << 20)); /* what buffers hold */
    close_linger(&lr);
}

/* Always taking something, so no pause is ever too long. */
static void a_slow_reader(void **state)
{
    (void)state;
    const struct min_rate rate = {.rate = 1 << 30, .window_ms = 100};
    for (size_t i = 0; i <= TLS_VARIANTS; i++) {
        struct linger_rig lr;
        open_linger(&lr, variant(i), TINY);
        fill(&lr, BACKLOG);
        start(&lr, NEVER_MS);
        linger_require_rate(lr.linger, &rate);
        const uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
        while (lr.ended == 0 && test_now_ms() < deadline) {
            client_read(&lr, 100);
            rig_turn(&lr.rig, true);
            usleep(2000);
        }
        assert_int_equal(lr.ended, 1);
        assert_false(lr.delivered);
        assert_true(lr.slow);
        while (!client_ended(&lr))
            client_read(&lr, SIZE_MAX);
        assert_true(was_reset(&lr));
        close_linger(&lr);
    }
}

static void a_peer_that_resets(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TLS_VARIANTS; i++) {
        struct linger_rig lr;
        open_linger(&lr, variant(i), TINY);
        fill(&lr, BACKLOG);
        start(&lr, NEVER_MS);
        rig_settle(&lr.rig);
        assert_int_equal(lr.ended, 0);
        reset_fd(lr.reader.fd);
        lr.reader.fd = -1;
        rig_run_until(&lr.rig, lr.ended != 0);
        assert_false(lr.delivered);
        close_linger(&lr);
    }
}

/* Says that it ends, and closes its socket, before our close_notify is on its way. */
static void end_client(struct linger_rig *lr)
{
    rig_run_until(&lr->rig, (client_read(lr, SIZE_MAX), received(lr) == TINY));
    if (lr->tls)
        assert_int_equal(SSL_shutdown(lr->client.ssl), 0);
    close(lr->reader.fd);
    lr->reader.fd = -1;
}

/* A peer that has everything and is gone resets at our close_notify: that is no loss. */
static void a_peer_that_went_first(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TLS_VARIANTS; i++) {
        struct linger_rig lr;
        open_linger(&lr, variant(i), 0);
        fill(&lr, TINY);
        end_client(&lr);
        start(&lr, NEVER_MS);
        rig_run_until(&lr.rig, lr.ended != 0);
        assert_true(lr.delivered);
        close_linger(&lr);
    }
}

/* Payload that comes after the peer has gone is one, be it a single byte. */
static void a_peer_that_went_too_early(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TLS_VARIANTS; i++) {
        struct linger_rig lr;
        size_t n;
        open_linger(&lr, variant(i), 0);
        if (!lr.tls || !tls_conn_ktls_tx(lr.ep.tls)) { /* there the kernel delivers, and doesn't tell */
            close_linger(&lr);
            continue;
        }
        fill(&lr, TINY);
        end_client(&lr);
        assert_int_equal(endpoint_write(&lr.ep, "x", 1, false, &n), IO_OK);
        start(&lr, NEVER_MS);
        rig_run_until(&lr.rig, lr.ended != 0);
        assert_false(lr.delivered);
        close_linger(&lr);
    }
}

static void cancelled(void **state)
{
    (void)state;
    for (size_t i = 0; i <= TLS_VARIANTS; i++)
        for (int turns = 0; turns < 3; turns++) {
            struct linger_rig lr;
            open_linger(&lr, variant(i), TINY);
            fill(&lr, BACKLOG);
            start(&lr, NEVER_MS);
            for (int turn = 0; turn < turns; turn++)
                rig_turn(&lr.rig, true);
            linger_cancel(lr.linger);
            rig_settle(&lr.rig);
            assert_int_equal(lr.ended, 0);
            while (!client_ended(&lr))
                client_read(&lr, SIZE_MAX);
            assert_true(was_reset(&lr));
            close_linger(&lr);
        }
    linger_cancel(NULL);
}

static void nothing_to_close(void **state)
{
    (void)state;
    struct linger_rig lr;
    open_linger(&lr, NULL, 0);
    endpoint_close(&lr.ep);
    assert_null(linger_start(&lr.ep, 100, on_end, &lr));
    rig_settle(&lr.rig);
    assert_int_equal(lr.ended, 0);
    close_linger(&lr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives),
        cmocka_unit_test(deadline_resets),
        cmocka_unit_test(unread_input_does_no_harm),
        cmocka_unit_test(a_peer_that_talks_for_ever),
        cmocka_unit_test(a_peer_that_resets),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(nothing_to_close),
        cmocka_unit_test(a_peer_that_went_first),
        cmocka_unit_test(a_peer_that_went_too_early),
        cmocka_unit_test(a_peer_that_talks_too_much),
        cmocka_unit_test(a_slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
