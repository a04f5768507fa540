/* Two flows between a client and a server: both directions at once, half-close from either side, resets
 * passed on as resets whatever the session is doing, one end, and freeing at any time. Refuses to know TLS
 * (test_relay_tls.c) and how a flow moves bytes (test_relay_flow.c). */
#include "relay_support.h"

#include "relay/flow.h"
#include "relay/session.h"

#define TINY 4096
#define ALL SIZE_MAX

static const enum relay_force forces[] = {RELAY_AUTO, RELAY_FORCE_SPLICE, RELAY_FORCE_COPY};
#define FORCES (sizeof(forces) / sizeof(*forces))

/* Index 0 is the client's side, 1 the server's, as in SESSION_CLIENT and SESSION_SERVER. */
struct session_rig {
    struct rig rig;
    struct endpoint ends[2];
    struct writer writers[2]; /* the far ends; -1 once reset */
    struct reader readers[2];
    struct session *session;
    bool started; /* session_start has returned */
    bool free_in_end;
    int ended;
    struct session_end end;
    bool both_open; /* at the end */
};

static void on_end(void *arg, const struct session_end *end)
{
    struct session_rig *sr = arg;
    assert_true(sr->started);
    sr->ended++;
    sr->end = *end;
    sr->both_open = sr->ends[0].fd != -1 && sr->ends[1].fd != -1;
    if (sr->free_in_end) {
        session_free(sr->session);
        sr->session = NULL;
    }
    /* As an owner does, and it is how the last side learns of the end. */
    endpoint_close(&sr->ends[0]);
    endpoint_close(&sr->ends[1]);
}

static void open_pairs(struct session_rig *sr, int buffers, bool unix_sockets)
{
    memset(sr, 0, sizeof(*sr));
    rig_open(&sr->rig);
    for (int side = 0; side < 2; side++) {
        int fds[2];
        if (unix_sockets) {
            unix_pair(fds);
            set_buffers(fds[0], buffers);
            set_buffers(fds[1], buffers);
        } else {
            tcp_pair(fds, buffers);
        }
        sr->writers[side].fd = sr->readers[side].fd = fds[0];
        assert_return_code(endpoint_open_socket(&sr->ends[side], sr->rig.loop, fds[1]), errno);
    }
}

static void start(struct session_rig *sr, enum relay_force force)
{
    const struct session_options options = {
        .loop = sr->rig.loop,
        .client = &sr->ends[0],
        .server = &sr->ends[1],
        .policy = {.force = force},
        .on_end = on_end,
        .arg = sr,
    };
    sr->session = session_start(&options);
    assert_non_null(sr->session);
    sr->started = true;
}

static void open_session(struct session_rig *sr, enum relay_force force, int buffers)
{
    open_pairs(sr, buffers, false);
    start(sr, force);
}

static void close_session(struct session_rig *sr)
{
    session_free(sr->session);
    for (int side = 0; side < 2; side++) {
        endpoint_close(&sr->ends[side]);
        if (sr->readers[side].fd != -1)
            close(sr->readers[side].fd);
    }
    rig_close(&sr->rig);
}

static void reset_side(struct session_rig *sr, int side)
{
    reset_fd(sr->readers[side].fd);
    sr->readers[side].fd = sr->writers[side].fd = -1;
}

static void half_close(struct session_rig *sr, int side)
{
    assert_return_code(shutdown(sr->writers[side].fd, SHUT_WR), errno);
}

/* From `side` through the session to the other, until it has `total` bytes. */
static void carry(struct session_rig *sr, int side, uint64_t total)
{
    rig_run_until(&sr->rig, (writer_feed(&sr->writers[side], total, ALL),
                             reader_drain(&sr->readers[!side], ALL), sr->readers[!side].received == total));
}

static void wait_for_eof(struct session_rig *sr, int side)
{
    rig_run_until(&sr->rig, (reader_drain(&sr->readers[side], ALL), sr->readers[side].eof));
}

static uint64_t moved(const struct session_rig *sr, enum session_direction direction)
{
    return flow_moved(session_flow(sr->session, direction));
}

static void both_directions_at_once(void **state)
{
    (void)state;
    enum { SIZE = 5 << 20 };
    for (size_t i = 0; i < 2 * FORCES; i++) {
        struct session_rig sr;
        open_pairs(&sr, 0, i % 2 != 0);
        start(&sr, forces[i / 2]);
        rig_run_until(&sr.rig,
                      (writer_feed(&sr.writers[0], SIZE, ALL), writer_feed(&sr.writers[1], SIZE, ALL),
                       reader_drain(&sr.readers[0], ALL), reader_drain(&sr.readers[1], 50000),
                       sr.readers[0].received == SIZE && sr.readers[1].received == SIZE));
        assert_int_equal(sr.ended, 0);
        half_close(&sr, 1);
        wait_for_eof(&sr, 0);
        half_close(&sr, 0);
        wait_for_eof(&sr, 1);
        rig_run_until(&sr.rig, sr.ended != 0);
        assert_int_equal(sr.end.end, FLOW_END_COMPLETE);
        assert_int_equal(sr.end.closed_by, SESSION_SERVER);
        assert_int_equal(moved(&sr, SESSION_TO_SERVER), SIZE);
        assert_int_equal(moved(&sr, SESSION_TO_CLIENT), SIZE);
        assert_true(sr.both_open); /* for a linger */
        close_session(&sr);
    }
}

/* One side says its last word; the other goes on as long as it likes. */
static void half_close_from_either_side(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * FORCES; i++) {
        int first = (int)(i % 2);
        struct session_rig sr;
        open_session(&sr, forces[i / 2], 0);
        carry(&sr, first, 1000);
        half_close(&sr, first);
        wait_for_eof(&sr, !first);
        carry(&sr, !first, 3 << 20);
        rig_settle(&sr.rig);
        assert_int_equal(sr.ended, 0);
        assert_false(sr.readers[first].eof);
        half_close(&sr, !first);
        wait_for_eof(&sr, first);
        rig_run_until(&sr.rig, sr.ended != 0);
        rig_settle(&sr.rig);
        assert_int_equal(sr.ended, 1);
        assert_int_equal(sr.end.end, FLOW_END_COMPLETE);
        assert_int_equal(sr.end.closed_by, first == 0 ? SESSION_CLIENT : SESSION_SERVER);
        assert_int_equal(sr.end.error, 0);
        close_session(&sr);
    }
}

/* The other side sees a reset, not an end, and the session tells whose it was. */
static void expect_reset(struct session_rig *sr, int by)
{
    rig_run_until(&sr->rig, sr->ended != 0 && (reader_drain(&sr->readers[!by], ALL),
                                               sr->readers[!by].eof || sr->readers[!by].error != 0));
    assert_false(sr->readers[!by].eof);
    assert_int_equal(sr->readers[!by].error, ECONNRESET);
    rig_settle(&sr->rig);
    assert_int_equal(sr->ended, 1);
    assert_true(sr->end.end == FLOW_END_SOURCE || sr->end.end == FLOW_END_SINK);
    assert_int_equal(sr->end.closed_by, by == 0 ? SESSION_CLIENT : SESSION_SERVER);
    assert_true(sr->end.error == ECONNRESET || sr->end.error == EPIPE);
    assert_true(sr->ends[0].fd == -1 && sr->ends[1].fd == -1);
}

#define for_each_force_and_side(force, by)          \
    for (size_t force = 0; force < FORCES; force++) \
        for (int by = 0; by < 2; by++)

static void reset_when_idle(void **state)
{
    (void)state;
    for_each_force_and_side(force, by)
    {
        struct session_rig sr;
        open_session(&sr, forces[force], 0);
        carry(&sr, 0, 100000);
        carry(&sr, 1, 100);
        rig_settle(&sr.rig);
        reset_side(&sr, by);
        expect_reset(&sr, by);
        close_session(&sr);
    }
}

static void flood_until_full(struct session_rig *sr, int side)
{
    enum session_direction direction = side == 0 ? SESSION_TO_SERVER : SESSION_TO_CLIENT;
    int quiet = 0; /* turns in a row in which nothing moved */
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (quiet < 20 && test_now_ms() < deadline) {
        size_t fed = writer_feed(&sr->writers[side], UINT64_MAX, ALL);
        rig_turn(&sr->rig, true);
        quiet = fed == 0 ? quiet + 1 : 0;
    }
    assert_int_equal(quiet, 20);
    assert_true(flow_waits_for_sink(session_flow(sr->session, direction)));
}

/* The source is blocked because its sink is full: nobody reads the socket that is reset. */
static void reset_of_a_blocked_source(void **state)
{
    (void)state;
    for_each_force_and_side(force, by)
    {
        struct session_rig sr;
        open_session(&sr, forces[force], TINY);
        flood_until_full(&sr, by);
        reset_side(&sr, by);
        rig_run_until(&sr.rig, sr.ended != 0); /* noticed although the sink is never drained */
        expect_reset(&sr, by);
        close_session(&sr);
    }
}

static void reset_of_a_full_sink(void **state)
{
    (void)state;
    for_each_force_and_side(force, by)
    {
        struct session_rig sr;
        open_session(&sr, forces[force], TINY);
        flood_until_full(&sr, !by);
        reset_side(&sr, by);
        expect_reset(&sr, by);
        close_session(&sr);
    }
}

/* A side that has said its last word is reset while the other still talks, or is silent. Its socket isn't
 * read any more, and its error is EPIPE by then. */
static void reset_after_half_close(void **state)
{
    (void)state;
    for_each_force_and_side(force, by)
    {
        for (int talks = 0; talks < 2; talks++) {
            struct session_rig sr;
            open_session(&sr, forces[force], TINY);
            carry(&sr, by, 100);
            half_close(&sr, by);
            rig_run_until(&sr.rig, (reader_drain(&sr.readers[!by], ALL), sr.readers[!by].eof));
            if (talks)
                flood_until_full(&sr, !by);
            reset_side(&sr, by);
            rig_run_until(&sr.rig, sr.ended != 0);
            assert_int_equal(sr.ended, 1);
            assert_true(sr.end.end == FLOW_END_SOURCE || sr.end.end == FLOW_END_SINK);
            assert_int_equal(sr.end.closed_by, by == 0 ? SESSION_CLIENT : SESSION_SERVER);
            /* It has had its end already: that it was reset shows when it writes. */
            ssize_t sent = send(sr.writers[!by].fd, "x", 1, MSG_NOSIGNAL);
            assert_int_equal(sent, -1);
            assert_true(errno == ECONNRESET || errno == EPIPE);
            close_session(&sr);
        }
    }
}

/* Both ends are over before the session begins: told all the same, and not too early (on_end asserts). */
static void over_before_it_begins(void **state)
{
    (void)state;
    for (size_t force = 0; force < FORCES; force++) {
        struct session_rig sr;
        open_pairs(&sr, 0, false);
        half_close(&sr, 0);
        half_close(&sr, 1);
        rig_settle(&sr.rig); /* the edges come while nobody listens */
        start(&sr, forces[force]);
        assert_int_equal(sr.ended, 0);
        rig_run_until(&sr.rig, sr.ended != 0);
        assert_int_equal(sr.end.end, FLOW_END_COMPLETE);
        wait_for_eof(&sr, 0);
        wait_for_eof(&sr, 1);
        close_session(&sr);

        open_pairs(&sr, 0, false);
        writer_feed(&sr.writers[0], 1000, ALL);
        reset_side(&sr, 0);
        rig_settle(&sr.rig);
        start(&sr, forces[force]);
        expect_reset(&sr, 0);
        close_session(&sr);
    }
}

static void refused_by_policy(void **state)
{
    (void)state;
    struct session_rig sr;
    open_session(&sr, RELAY_FORCE_SENDFILE, 0);
    writer_feed(&sr.writers[0], 1000, ALL);
    rig_run_until(&sr.rig, sr.ended != 0);
    assert_int_equal(sr.end.end, FLOW_END_REFUSED);
    assert_int_equal(sr.end.closed_by, SESSION_NEITHER);
    assert_int_equal(sr.end.refusal, RELAY_REASON_NOT_REGULAR_FILE);
    for (int side = 0; side < 2; side++) {
        rig_run_until(&sr.rig, (reader_drain(&sr.readers[side], ALL), sr.readers[side].error != 0));
        assert_int_equal(sr.readers[side].error, ECONNRESET);
        assert_int_equal(sr.readers[side].received, 0);
    }
    close_session(&sr);
}

/* on_end frees the session, and a second reset that is already under way finds nobody. */
static void freed_in_its_end(void **state)
{
    (void)state;
    for (size_t force = 0; force < FORCES; force++) {
        struct session_rig sr;
        open_session(&sr, forces[force], TINY);
        sr.free_in_end = true;
        flood_until_full(&sr, 0);
        flood_until_full(&sr, 1);
        reset_side(&sr, 0);
        reset_side(&sr, 1);
        rig_run_until(&sr.rig, sr.ended != 0);
        rig_settle(&sr.rig);
        assert_int_equal(sr.ended, 1);
        close_session(&sr);
    }
}

/* At each stage of its life; LeakSanitizer and AddressSanitizer tell the rest. */
static void freed_at_any_time(void **state)
{
    (void)state;
    for (size_t force = 0; force < FORCES; force++)
        for (int turns = 0; turns < 12; turns++) {
            struct session_rig sr;
            open_session(&sr, forces[force], TINY);
            for (int turn = 0; turn < turns; turn++) {
                writer_feed(&sr.writers[0], UINT64_MAX, ALL);
                writer_feed(&sr.writers[1], UINT64_MAX, ALL);
                if (turn % 4 == 0)
                    reader_drain(&sr.readers[1], 3000);
                rig_turn(&sr.rig, true);
            }
            session_free(sr.session);
            sr.session = NULL;
            rig_settle(&sr.rig); /* edges still come; the endpoints are the test's */
            assert_int_equal(sr.ended, 0);
            close_session(&sr);
        }
    session_free(NULL);
}

/* Always before the session's task in the queue. */
struct watcher {
    struct loop_task task;
    struct session_rig *sr;
};

static void free_once_lost(struct loop_task *task)
{
    struct session_rig *sr = ((struct watcher *)task)->sr;
    if (sr->ends[1].fd != -1) {
        loop_queue(sr->rig.loop, task);
        return;
    }
    session_free(sr->session);
    sr->session = NULL;
}

/* Freed after the loss but before on_end had its turn: it doesn't run any more. */
static void freed_before_its_end_is_told(void **state)
{
    (void)state;
    struct session_rig sr;
    open_session(&sr, RELAY_AUTO, 0);
    carry(&sr, 0, 10);
    struct watcher watcher = {.task.run = free_once_lost, .sr = &sr};
    loop_queue(sr.rig.loop, &watcher.task);
    rig_turn(&sr.rig, false);
    reset_side(&sr, 0);
    rig_run_until(&sr.rig, sr.session == NULL);
    rig_settle(&sr.rig);
    assert_int_equal(sr.ended, 0);
    close_session(&sr);
}

static void activity_is_noted(void **state)
{
    (void)state;
    struct session_rig sr;
    open_session(&sr, RELAY_AUTO, 0);
    uint64_t before = session_last_activity(sr.session);
    assert_true(before <= loop_now_ms());
    rig_run_until(&sr.rig, loop_now_ms() > before + 20);
    assert_int_equal(session_last_activity(sr.session), before); /* idle */
    carry(&sr, 1, 1);
    assert_true(session_last_activity(sr.session) > before + 10);
    close_session(&sr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_at_once),
        cmocka_unit_test(half_close_from_either_side),
        cmocka_unit_test(reset_when_idle),
        cmocka_unit_test(reset_of_a_blocked_source),
        cmocka_unit_test(reset_of_a_full_sink),
        cmocka_unit_test(reset_after_half_close),
        cmocka_unit_test(over_before_it_begins),
        cmocka_unit_test(refused_by_policy),
        cmocka_unit_test(freed_in_its_end),
        cmocka_unit_test(freed_at_any_time),
        cmocka_unit_test(freed_before_its_end_is_told),
        cmocka_unit_test(activity_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
