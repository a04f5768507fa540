/* A TLS client and a plain server in one session: both directions, half-close as close_notify, ends that are
 * none, resets, and the orderly close of both afterwards. With the kernel's TLS and without.
 * Refuses to know which mode carries the bytes (test_relay_tls_flow.c). */
#include "relay_tls_support.h"

#include "relay/flow.h"
#include "relay/linger.h"
#include "relay/session.h"

#define ALL SIZE_MAX

struct tls_session {
    struct rig rig;
    struct endpoint ends[2]; /* client, server */
    struct tls_client client;
    struct writer server_writer;
    struct reader server_reader;
    struct session *session;
    int ended;
    struct session_end end;
    int lingers, delivered;
};

static void on_end(void *arg, const struct session_end *end)
{
    struct tls_session *ts = arg;
    ts->ended++;
    ts->end = *end;
    endpoint_close(&ts->ends[1]); /* as proxy does; the TLS side lingers */
}

static void open_tls_session(struct tls_session *ts, const struct tls_options *options, int buffers)
{
    int fds[2];
    memset(ts, 0, sizeof(*ts));
    rig_open(&ts->rig);
    tcp_pair(fds, buffers);
    struct tls_conn *tls = tls_pair_open(&ts->client, fds[0], fds[1], options);
    assert_return_code(endpoint_open_socket(&ts->ends[0], ts->rig.loop, fds[1]), errno);
    endpoint_set_tls(&ts->ends[0], tls);
    tcp_pair(fds, buffers);
    ts->server_writer.fd = ts->server_reader.fd = fds[0];
    assert_return_code(endpoint_open_socket(&ts->ends[1], ts->rig.loop, fds[1]), errno);
    const struct session_options session = {
        .loop = ts->rig.loop, .client = &ts->ends[0], .server = &ts->ends[1], .on_end = on_end, .arg = ts};
    ts->session = session_start(&session);
    assert_non_null(ts->session);
}

static void close_tls_session(struct tls_session *ts)
{
    session_free(ts->session);
    endpoint_close(&ts->ends[0]);
    endpoint_close(&ts->ends[1]);
    tls_client_free(&ts->client);
    if (ts->client.fd != -1)
        close(ts->client.fd);
    if (ts->server_reader.fd != -1)
        close(ts->server_reader.fd);
    rig_settle(&ts->rig);
    rig_close(&ts->rig);
}

static void to_server(struct tls_session *ts, uint64_t total)
{
    rig_run_until(&ts->rig, (tls_client_write(&ts->client, total, ALL), reader_drain(&ts->server_reader, ALL),
                             ts->server_reader.received == total));
}

static void to_client(struct tls_session *ts, uint64_t total)
{
    rig_run_until(&ts->rig, (writer_feed(&ts->server_writer, total, ALL), tls_client_read(&ts->client, ALL),
                             ts->client.received == total));
}

static void client_notify(struct tls_session *ts)
{
    assert_return_code(SSL_shutdown(ts->client.ssl), errno);
}

static void server_fin(struct tls_session *ts)
{
    assert_return_code(shutdown(ts->server_writer.fd, SHUT_WR), errno);
}

static void on_linger_end(void *arg, bool delivered)
{
    struct tls_session *ts = arg;
    ts->lingers--;
    ts->delivered += delivered;
}

/* What proxy does next. */
static void linger_client(struct tls_session *ts)
{
    if (linger_start(&ts->ends[0], TEST_DEADLINE_MS, on_linger_end, ts) != NULL)
        ts->lingers++;
}

static void both_directions_and_an_orderly_end(void **state)
{
    (void)state;
    enum { SIZE = 2 << 20 };
    for (size_t i = 0; i < 2 * TLS_VARIANTS; i++) {
        bool client_first = i % 2 != 0;
        struct tls_session ts;
        open_tls_session(&ts, &tls_variants[i / 2], 0);
        rig_run_until(&ts.rig,
                      (tls_client_write(&ts.client, SIZE, ALL), writer_feed(&ts.server_writer, SIZE, ALL),
                       tls_client_read(&ts.client, ALL), reader_drain(&ts.server_reader, ALL),
                       ts.client.received == SIZE && ts.server_reader.received == SIZE));
        if (client_first) {
            client_notify(&ts);
            rig_run_until(&ts.rig, (reader_drain(&ts.server_reader, ALL), ts.server_reader.eof));
            to_client(&ts, SIZE + 100000); /* the other direction goes on */
            server_fin(&ts);
            rig_run_until(&ts.rig, (tls_client_read(&ts.client, ALL), ts.client.end != CLIENT_OPEN));
        } else {
            server_fin(&ts);
            rig_run_until(&ts.rig, (tls_client_read(&ts.client, ALL), ts.client.end != CLIENT_OPEN));
            to_server(&ts, SIZE + 100000);
            client_notify(&ts);
            rig_run_until(&ts.rig, (reader_drain(&ts.server_reader, ALL), ts.server_reader.eof));
        }
        assert_int_equal(ts.client.end, CLIENT_CLOSE_NOTIFY);
        rig_run_until(&ts.rig, ts.ended != 0);
        assert_int_equal(ts.end.end, FLOW_END_COMPLETE);
        assert_int_equal(ts.end.closed_by, client_first ? SESSION_CLIENT : SESSION_SERVER);
        linger_client(&ts);
        assert_int_equal(ts.lingers, 1);
        assert_return_code(shutdown(ts.client.fd, SHUT_WR), errno);
        rig_run_until(&ts.rig, ts.lingers == 0);
        assert_int_equal(ts.delivered, 1);
        close_tls_session(&ts);
    }
}

/* The client has had the server's end and just goes, as many do: the connection counts as complete. The
 * server can't know whether the client had said all, and sees a reset. */
static void a_client_that_just_goes(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct tls_session ts;
        open_tls_session(&ts, &tls_variants[i], 0);
        to_server(&ts, 1000);
        to_client(&ts, 300000);
        server_fin(&ts);
        rig_run_until(&ts.rig, (tls_client_read(&ts.client, ALL), ts.client.end != CLIENT_OPEN));
        assert_int_equal(ts.client.end, CLIENT_CLOSE_NOTIFY);
        assert_return_code(shutdown(ts.client.fd, SHUT_WR), errno);
        rig_run_until(&ts.rig, ts.ended != 0);
        assert_int_equal(ts.end.end, FLOW_END_COMPLETE);
        assert_int_equal(ts.end.closed_by, SESSION_SERVER);
        rig_run_until(&ts.rig, (reader_drain(&ts.server_reader, ALL),
                                ts.server_reader.eof || ts.server_reader.error != 0));
        assert_int_equal(ts.server_reader.error, ECONNRESET);
        linger_client(&ts);
        assert_int_equal(ts.lingers, 1); /* the server's is closed */
        rig_run_until(&ts.rig, ts.lingers == 0);
        assert_int_equal(ts.delivered, 1);
        close_tls_session(&ts);
    }
}

static void expect_lost(struct tls_session *ts, enum flow_end end, enum session_side closed_by)
{
    rig_run_until(&ts->rig, ts->ended != 0);
    assert_int_equal(ts->end.end, end);
    assert_int_equal(ts->end.closed_by, closed_by);
    assert_true(ts->ends[0].fd == -1 && ts->ends[1].fd == -1);
    if (ts->server_reader.fd != -1) {
        rig_run_until(&ts->rig, (reader_drain(&ts->server_reader, ALL),
                                 ts->server_reader.eof || ts->server_reader.error != 0));
        assert_int_equal(ts->server_reader.error, ECONNRESET);
    }
    if (ts->client.fd != -1) {
        rig_run_until(&ts->rig, (tls_client_read(&ts->client, ALL), ts->client.end != CLIENT_OPEN));
        assert_true(ts->client.end == CLIENT_RESET || ts->client.end == CLIENT_BROKEN);
    }
}

/* A FIN without close_notify in the middle of it all is a loss, and no end. */
static void a_fin_is_a_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct tls_session ts;
        open_tls_session(&ts, &tls_variants[i], 0);
        to_server(&ts, 100000);
        assert_return_code(shutdown(ts.client.fd, SHUT_WR), errno);
        expect_lost(&ts, FLOW_END_TRUNCATED, SESSION_CLIENT);
        close_tls_session(&ts);
    }
}

static void resets(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4 * TLS_VARIANTS; i++) {
        bool by_client = i % 2 != 0, blocked = i % 4 >= 2;
        struct tls_session ts;
        open_tls_session(&ts, &tls_variants[i / 4], blocked ? 8192 : 0);
        to_server(&ts, 1000);
        if (blocked) { /* towards the side that isn't going to be reset, which doesn't read */
            struct flow *flow = session_flow(ts.session, by_client ? SESSION_TO_SERVER : SESSION_TO_CLIENT);
            rig_run_until(&ts.rig, (by_client ? tls_client_write(&ts.client, 1 << 20, ALL)
                                              : writer_feed(&ts.server_writer, 1 << 20, ALL),
                                    flow_waits_for_sink(flow)));
        }
        int *fd = by_client ? &ts.client.fd : &ts.server_reader.fd;
        reset_fd(*fd);
        *fd = -1;
        rig_run_until(&ts.rig, ts.ended != 0);
        expect_lost(&ts, ts.end.end == FLOW_END_SINK ? FLOW_END_SINK : FLOW_END_SOURCE,
                    by_client ? SESSION_CLIENT : SESSION_SERVER);
        close_tls_session(&ts);
    }
}

/* TLS 1.3: the client wishes for new keys in the middle of it. Where OpenSSL encrypts it gets them; where the
 * kernel does, the connection is lost, and both sides see that. */
static void key_update_in_a_session(void **state)
{
    (void)state;
    for (size_t i = 2; i < TLS_VARIANTS; i++) {
        struct tls_session ts;
        open_tls_session(&ts, &tls_variants[i], 0);
        to_server(&ts, 1000);
        to_client(&ts, 1000);
        tls_client_key_update(&ts.client, true);
        if (expect_ktls_tx(&tls_variants[i])) {
            expect_lost(&ts, FLOW_END_SOURCE, SESSION_CLIENT);
            assert_int_equal(ts.end.error, EPROTO);
            assert_non_null(strstr(ts.end.detail, "KeyUpdate"));
        } else {
            to_server(&ts, 200000);
            to_client(&ts, 200000);
            assert_int_equal(ts.ended, 0);
        }
        close_tls_session(&ts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_and_an_orderly_end),
        cmocka_unit_test(a_client_that_just_goes),
        cmocka_unit_test(a_fin_is_a_loss),
        cmocka_unit_test(resets),
        cmocka_unit_test(key_update_in_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
