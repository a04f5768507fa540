/* The deadlines of one loop: a heap whose nodes are embedded in what they time, behind one libevent timer
 * that is armed for the earliest only. libevent's own timers cost 128 bytes each, which most connections
 * spend on a deadline that never comes; one of these costs 40, and setting or clearing it rarely touches
 * libevent. Refuses to know what is timed. On the worker's thread only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct timers;

/* Zero-initialise; set `fire`, which may set the timer again and may free it. */
struct loop_timer {
    struct loop_timer *child, *next, **link; /* owned by timer.c */
    uint64_t at_ms;                          /* loop_now_ms() at which it fires; 0: not set */
    void (*fire)(struct loop_timer *timer);
};

/* NULL and errno on failure. */
struct timers *timers_new(struct event_base *base);
void timers_free(struct timers *timers);

/* Fires once, from the event loop, at at_ms (of loop_now_ms(), at least 1) or a few milliseconds after it.
 * Replaces what was set before. */
void timer_set(struct timers *timers, struct loop_timer *timer, uint64_t at_ms);
/* Harmless on one that isn't set. */
void timer_clear(struct timers *timers, struct loop_timer *timer);

static inline bool timer_is_set(const struct loop_timer *timer)
{
    return timer->at_ms != 0;
}
