/* See pace.h. Refuses to know how bytes move and who owns the connection. */
#include "relay/pace.h"

#include <event2/event.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

/* Not the coarse clock: 4 ms would be 8 % of a quantum. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct pace *pace = arg;
    loop_queue(pace->loop, pace->resume);
}

void pace_init(struct pace *pace, struct loop *loop, const struct bucket_rate *rate)
{
    *pace = (struct pace){.rate = *rate, .loop = loop};
    pace->quantum = rate->rate * PACE_QUANTUM_MS / 1000;
    if (pace->quantum < PACE_QUANTUM_MIN)
        pace->quantum = PACE_QUANTUM_MIN;
    /* Half of the burst at most: a timer that fires late must not meet a bucket that was full already. */
    if (pace->quantum > rate->burst / 2)
        pace->quantum = rate->burst / 2 > 0 ? rate->burst / 2 : 1;
    evtimer_assign(&pace->timer, loop->base, on_timer, pace);
}

void pace_set_resume(struct pace *pace, struct loop_task *resume)
{
    pace->resume = resume;
    if (resume != NULL)
        return;
    event_del(&pace->timer);
    pace->paused = false;
}

static void pause_until(struct pace *pace, uint64_t now, uint64_t when)
{
    /* Rounded up: a timer that fires too early would only be armed again. */
    uint64_t wait_us = when > now ? (when - now + 999) / 1000 : 0;
    const struct timeval delay = {.tv_sec = (time_t)(wait_us / 1000000),
                                  .tv_usec = (suseconds_t)(wait_us % 1000000)};
    pace->paused = true;
    pace->resume_ns = when;
    pace->allowance = 0;
    evtimer_add(&pace->timer, &delay);
}

bool pace_begin(struct pace *pace)
{
    uint64_t now = now_ns();
    if (pace->paused) {
        /* Stepped for another reason: the timer is armed still. */
        if (now < pace->resume_ns && evtimer_pending(&pace->timer, NULL))
            return false;
        if (now < pace->resume_ns) {
            pause_until(pace, now, pace->resume_ns);
            return false;
        }
        event_del(&pace->timer);
        pace->paused = false;
    }
    pace->allowance = bucket_level(&pace->bucket, &pace->rate, now);
    if (pace->allowance >= (pace->exhausted ? pace->quantum : 1)) {
        pace->exhausted = false;
        return true;
    }
    pause_until(pace, now, bucket_when(&pace->bucket, &pace->rate, pace->quantum));
    return false;
}

void pace_spend(struct pace *pace, uint64_t n)
{
    pace->allowance -= n < pace->allowance ? n : pace->allowance;
    pace->exhausted = pace->allowance == 0;
    bucket_take(&pace->bucket, &pace->rate, n, now_ns());
}
