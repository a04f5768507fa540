/* relay/poller.h and the edges of endpoints: none reaches one that was removed, also none that was fetched
 * before; and a short read is only taken for the last where it is. */
#include "relay_support.h"

#include <sys/epoll.h>

#include "relay/poller.h"

#define WATCHED 300 /* more than a batch */

struct watch {
    struct poll_entry entry;
    struct watched *all;
    int fds[2];
    uint32_t events;
    int edges;
};

struct watched {
    struct rig rig;
    struct watch watch[WATCHED];
    bool remove_others;
    int removed;
};

static void on_edge(struct poll_entry *entry, uint32_t events)
{
    struct watch *watch = (struct watch *)entry;
    assert_int_not_equal(watch->fds[1], -1); /* not one that was closed */
    watch->events |= events;
    watch->edges++;
    if (!watch->all->remove_others)
        return;
    for (int i = 0; i < WATCHED; i++) {
        struct watch *other = &watch->all->watch[i];
        if (other == watch || other->fds[1] == -1)
            continue;
        poller_remove(watch->all->rig.loop->poller, &other->entry);
        close(other->fds[1]);
        other->fds[1] = -1;
        watch->all->removed++;
    }
}

static void open_watched(struct watched *all)
{
    memset(all, 0, sizeof(*all));
    rig_open(&all->rig);
    for (int i = 0; i < WATCHED; i++) {
        struct watch *watch = &all->watch[i];
        *watch = (struct watch){.entry.on_edge = on_edge, .all = all};
        tcp_pair(watch->fds, 0);
        assert_return_code(poller_add(all->rig.loop->poller, &watch->entry, watch->fds[1]), errno);
    }
}

static void close_watched(struct watched *all)
{
    for (int i = 0; i < WATCHED; i++) {
        struct watch *watch = &all->watch[i];
        close(watch->fds[0]);
        if (watch->fds[1] == -1)
            continue;
        poller_remove(all->rig.loop->poller, &watch->entry);
        close(watch->fds[1]);
    }
    rig_close(&all->rig);
}

static int edges(const struct watched *all)
{
    int sum = 0;
    for (int i = 0; i < WATCHED; i++)
        sum += all->watch[i].edges;
    return sum;
}

static void every_edge_once(void **state)
{
    (void)state;
    static struct watched all;
    open_watched(&all);
    rig_run_until(&all.rig, edges(&all) == WATCHED); /* what they are ready for already */
    rig_settle(&all.rig);
    assert_int_equal(edges(&all), WATCHED);
    for (int i = 0; i < WATCHED; i++) {
        assert_int_equal(all.watch[i].events, EPOLLOUT);
        assert_int_equal(send(all.watch[i].fds[0], "x", 1, 0), 1);
    }
    rig_run_until(&all.rig, edges(&all) == 2 * WATCHED);
    rig_settle(&all.rig);
    for (int i = 0; i < WATCHED; i++)
        assert_int_equal(all.watch[i].edges, 2);
    close_watched(&all);
}

/* The first of a batch closes all the others, whose edges were fetched with its own. */
static void none_after_removal(void **state)
{
    (void)state;
    static struct watched all;
    open_watched(&all);
    all.remove_others = true;
    rig_run_until(&all.rig, edges(&all) != 0);
    rig_settle(&all.rig);
    assert_int_equal(edges(&all), 1);
    assert_int_equal(all.removed, WATCHED - 1);
    close_watched(&all);
}

/* A forked child keeps the descriptor in the set: its edges find a slot that is someone else's by then. */
static void none_of_a_descriptor_that_lives_on(void **state)
{
    (void)state;
    static struct watched all;
    struct watch later = {.entry.on_edge = on_edge, .all = &all};
    open_watched(&all);
    rig_settle(&all.rig);
    struct watch *watch = &all.watch[0];
    int kept = dup(watch->fds[1]);
    poller_remove(all.rig.loop->poller, &watch->entry);
    close(watch->fds[1]);
    watch->fds[1] = -1;
    tcp_pair(later.fds, 0);
    assert_return_code(poller_add(all.rig.loop->poller, &later.entry, later.fds[1]), errno);
    assert_int_equal(later.entry.slot, watch->entry.slot);
    rig_settle(&all.rig);
    assert_int_equal(later.events, EPOLLOUT);
    assert_int_equal(send(watch->fds[0], "x", 1, 0), 1);
    rig_settle(&all.rig);
    assert_int_equal(later.events, EPOLLOUT);
    close(kept);
    poller_remove(all.rig.loop->poller, &later.entry);
    close(later.fds[0]);
    close(later.fds[1]);
    close_watched(&all);
}

static void moved_edges_go_to_the_new_one(void **state)
{
    (void)state;
    static struct watched all;
    struct watch later = {.entry.on_edge = on_edge, .all = &all};
    open_watched(&all);
    rig_settle(&all.rig);
    struct watch *watch = &all.watch[0];
    const int before = watch->edges;
    assert_return_code(poller_move(all.rig.loop->poller, &later.entry, &watch->entry, watch->fds[1]), errno);
    rig_settle(&all.rig);
    assert_int_equal(later.events, EPOLLOUT); /* told anew */
    assert_int_equal(send(watch->fds[0], "x", 1, 0), 1);
    rig_run_until(&all.rig, later.events & EPOLLIN);
    assert_int_equal(watch->edges, before);
    watch->entry.slot = later.entry.slot;
    close_watched(&all);
}

/* --- Reading an endpoint no further than it has --- */

struct reading {
    struct rig rig;
    struct endpoint ep;
    int peer;
};

static void open_reading(struct reading *r, bool accepted)
{
    int fds[2];
    rig_open(&r->rig);
    tcp_pair(fds, 0);
    r->peer = fds[0];
    assert_true(endpoint_prepare(fds[1]));
    assert_return_code(
        (accepted ? endpoint_open_accepted : endpoint_open_socket)(&r->ep, r->rig.loop, fds[1]), errno);
}

static void close_reading(struct reading *r)
{
    endpoint_close(&r->ep);
    close(r->peer);
    rig_close(&r->rig);
}

static void expect_read(struct reading *r, const char *text)
{
    char buffer[100];
    size_t n = 0;
    assert_true(endpoint_can_read(&r->ep));
    assert_int_equal(endpoint_read(&r->ep, buffer, sizeof(buffer), &n), IO_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buffer, text, n);
}

/* Nothing but data: one read, and the next edge. */
static void a_short_read_is_the_last(void **state)
{
    (void)state;
    struct reading r;
    open_reading(&r, true);
    assert_false(endpoint_can_read(&r.ep));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(send(r.peer, "hello", 5, 0), 5);
        rig_run_until(&r.rig, endpoint_can_read(&r.ep));
        expect_read(&r, "hello");
        assert_false(endpoint_can_read(&r.ep));
    }
    assert_int_equal(relay_counter_get(&r.rig.loop->syscalls.count[RELAY_SYS_RECV]), 3);
    close_reading(&r);
}

/* The peer's end came with the data, in one edge or before there was any. */
static void the_end_behind_a_short_read(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct reading r;
        char buffer[10];
        size_t n;
        open_reading(&r, early != 0);
        if (!early)
            rig_settle(&r.rig);
        assert_int_equal(send(r.peer, "bye", 3, 0), 3);
        assert_return_code(shutdown(r.peer, SHUT_WR), errno);
        rig_settle(&r.rig);
        expect_read(&r, "bye");
        assert_true(endpoint_can_read(&r.ep));
        assert_int_equal(endpoint_read(&r.ep, buffer, sizeof(buffer), &n), IO_EOF);
        close_reading(&r);
    }
    /* Read before its edge was fetched: the edge comes still. */
    struct reading r;
    char buffer[10];
    size_t n;
    open_reading(&r, false);
    rig_settle(&r.rig);
    assert_int_equal(send(r.peer, "bye", 3, 0), 3);
    assert_return_code(shutdown(r.peer, SHUT_WR), errno);
    expect_read(&r, "bye");
    rig_run_until(&r.rig, endpoint_can_read(&r.ep));
    assert_int_equal(endpoint_read(&r.ep, buffer, sizeof(buffer), &n), IO_EOF);
    close_reading(&r);
}

/* A read stops short at an urgent byte, with more behind it and no edge to come. */
static void an_urgent_byte_behind_a_short_read(void **state)
{
    (void)state;
    struct reading r;
    open_reading(&r, true);
    assert_int_equal(send(r.peer, "one", 3, 0), 3);
    assert_int_equal(send(r.peer, "!", 1, MSG_OOB), 1);
    assert_int_equal(send(r.peer, "two", 3, 0), 3);
    rig_settle(&r.rig);
    expect_read(&r, "one");
    expect_read(&r, "!two");
    close_reading(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_edge_once),
        cmocka_unit_test(none_after_removal),
        cmocka_unit_test(none_of_a_descriptor_that_lives_on),
        cmocka_unit_test(moved_edges_go_to_the_new_one),
        cmocka_unit_test(a_short_read_is_the_last),
        cmocka_unit_test(the_end_behind_a_short_read),
        cmocka_unit_test(an_urgent_byte_behind_a_short_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
