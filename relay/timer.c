/* A pairing heap: no memory of its own, so setting a timer can't fail; constant time to set, and to clear one
 * that hasn't come to the top, which is nearly every one. Refuses to know what is timed. */
#include "relay/timer.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "relay/loop.h"

struct timers {
    struct loop_timer *root;
    struct event *event;
    uint64_t armed_ms; /* when event fires; 0: not armed */
};

/* Joins two heaps, each a node without siblings: the earlier one becomes the parent. */
static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    if (b->at_ms < a->at_ms) {
        struct loop_timer *earlier = b;
        b = a;
        a = earlier;
    }
    b->next = a->child;
    if (b->next != NULL)
        b->next->link = &b->next;
    b->link = &a->child;
    a->child = b;
    return a;
}

/* A list of siblings to one heap: in pairs from the left, then the pairs together. */
static struct loop_timer *meld_siblings(struct loop_timer *first)
{
    struct loop_timer *pairs = NULL, *heap = NULL;
    while (first != NULL) {
        struct loop_timer *a = first, *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = NULL;
        if (b != NULL)
            b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct loop_timer *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        heap = meld(heap, pair);
    }
    return heap;
}

static void set_root(struct timers *timers, struct loop_timer *heap)
{
    timers->root = heap;
    if (heap != NULL)
        heap->link = &timers->root;
}

static void take_out(struct timers *timers, struct loop_timer *timer)
{
    struct loop_timer *rest = meld_siblings(timer->child);
    if (timer == timers->root) {
        set_root(timers, rest);
    } else {
        *timer->link = timer->next;
        if (timer->next != NULL)
            timer->next->link = timer->link;
        set_root(timers, meld(timers->root, rest));
    }
    timer->child = timer->next = NULL;
    timer->link = NULL;
    timer->at_ms = 0;
}

/* Only ever brought forward: an event that fires too early for what is left is armed again then. */
static void arm(struct timers *timers)
{
    if (timers->root == NULL || (timers->armed_ms != 0 && timers->armed_ms <= timers->root->at_ms))
        return;
    const uint64_t now = loop_now_ms(), at = timers->root->at_ms, left = at > now ? at - now : 1;
    const struct timeval tv = {.tv_sec = (time_t)(left / 1000), .tv_usec = (suseconds_t)(left % 1000 * 1000)};
    timers->armed_ms = at;
    event_add(timers->event, &tv);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct timers *timers = arg;
    const uint64_t now = loop_now_ms();
    timers->armed_ms = 0;
    while (timers->root != NULL && timers->root->at_ms <= now) {
        struct loop_timer *timer = timers->root;
        take_out(timers, timer);
        timer->fire(timer);
    }
    arm(timers);
}

struct timers *timers_new(struct event_base *base)
{
    struct timers *timers = calloc(1, sizeof(*timers));
    if (timers == NULL)
        return NULL;
    timers->event = evtimer_new(base, on_time, timers);
    if (timers->event == NULL) {
        free(timers);
        errno = ENOMEM;
        return NULL;
    }
    return timers;
}

void timers_free(struct timers *timers)
{
    if (timers == NULL)
        return;
    event_free(timers->event);
    free(timers);
}

void timer_set(struct timers *timers, struct loop_timer *timer, uint64_t at_ms)
{
    timer_clear(timers, timer);
    timer->at_ms = at_ms;
    set_root(timers, meld(timers->root, timer));
    arm(timers);
}

void timer_clear(struct timers *timers, struct loop_timer *timer)
{
    if (timer_is_set(timer))
        take_out(timers, timer);
}
