/* relay/timer.h: deadlines fire in order, once, and those that were cleared never. */
#include "relay_support.h"

#include "relay/timer.h"

#define TIMERS 400

struct clock {
    struct rig rig;
    struct timed {
        struct loop_timer timer;
        struct clock *clock;
        uint64_t due; /* 0: not set */
        int fired;
    } timed[TIMERS];
    uint64_t last_due;
    void (*during)(struct timed *timed);
};

static void on_timer(struct loop_timer *timer)
{
    struct timed *timed = (struct timed *)timer;
    struct clock *clock = timed->clock;
    assert_false(timer_is_set(timer));
    assert_int_not_equal(timed->due, 0);
    assert_true(loop_now_ms() >= timed->due);
    assert_true(timed->due >= clock->last_due);
    clock->last_due = timed->due;
    timed->due = 0;
    timed->fired++;
    if (clock->during != NULL)
        clock->during(timed);
}

static void open_clock(struct clock *clock)
{
    memset(clock, 0, sizeof(*clock));
    rig_open(&clock->rig);
    for (int i = 0; i < TIMERS; i++) {
        clock->timed[i].timer.fire = on_timer;
        clock->timed[i].clock = clock;
    }
}

static void set(struct clock *clock, int i, uint64_t due)
{
    clock->timed[i].due = due;
    timer_set(clock->rig.loop->timers, &clock->timed[i].timer, due);
}

static void clear(struct clock *clock, int i)
{
    clock->timed[i].due = 0;
    timer_clear(clock->rig.loop->timers, &clock->timed[i].timer);
}

static int fired(const struct clock *clock)
{
    int sum = 0;
    for (int i = 0; i < TIMERS; i++)
        sum += clock->timed[i].fired;
    return sum;
}

static bool any_due(const struct clock *clock)
{
    for (int i = 0; i < TIMERS; i++)
        if (clock->timed[i].due != 0)
            return true;
    return false;
}

/* Set, set anew and cleared at random, the earliest among them: what is left fires in order. */
static void in_order_whatever_was_done_before(void **state)
{
    (void)state;
    static struct clock clock;
    unsigned random = 1;
    for (int round = 0; round < 5; round++) {
        open_clock(&clock);
        const uint64_t now = loop_now_ms();
        for (int i = 0; i < 20 * TIMERS; i++) {
            random = random * 1103515245u + 12345u;
            const int which = (int)(random >> 16) % TIMERS;
            if ((random >> 8) % 3 == 0)
                clear(&clock, which);
            else
                set(&clock, which, now + 1 + (random >> 20) % 60);
        }
        int left = 0;
        for (int i = 0; i < TIMERS; i++) {
            left += clock.timed[i].due != 0;
            assert_true(timer_is_set(&clock.timed[i].timer) == (clock.timed[i].due != 0));
        }
        assert_in_range(left, TIMERS / 4, TIMERS);
        rig_run_until(&clock.rig, !any_due(&clock));
        assert_int_equal(fired(&clock), left);
        rig_close(&clock.rig);
    }
}

static void clear_the_others(struct timed *timed)
{
    for (int i = 0; i < TIMERS; i++)
        if (&timed->clock->timed[i] != timed)
            clear(timed->clock, i);
}

/* One that fires clears others that are due in the same moment. */
static void cleared_by_one_that_fires(void **state)
{
    (void)state;
    static struct clock clock;
    open_clock(&clock);
    clock.during = clear_the_others;
    const uint64_t due = loop_now_ms() + 5;
    for (int i = 0; i < 10; i++)
        set(&clock, i, due);
    rig_run_until(&clock.rig, fired(&clock) != 0);
    rig_settle(&clock.rig);
    assert_int_equal(fired(&clock), 1);
    assert_false(any_due(&clock));
    rig_close(&clock.rig);
}

static void set_again(struct timed *timed)
{
    if (timed->fired < 3)
        set(timed->clock, (int)(timed - timed->clock->timed), loop_now_ms() + 1);
}

/* One that sets itself again, and one brought forward from far away. */
static void set_by_itself_and_brought_forward(void **state)
{
    (void)state;
    static struct clock clock;
    open_clock(&clock);
    clock.during = set_again;
    set(&clock, 0, loop_now_ms() + 3600000);
    set(&clock, 0, loop_now_ms() + 1);
    rig_run_until(&clock.rig, clock.timed[0].fired == 3);
    rig_settle(&clock.rig);
    assert_int_equal(fired(&clock), 3);
    rig_close(&clock.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_whatever_was_done_before),
        cmocka_unit_test(cleared_by_one_that_fires),
        cmocka_unit_test(set_by_itself_and_brought_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
