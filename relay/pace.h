/* The pace of one direction of a connection: a token bucket of bytes, and the timer that lets a flow go on
 * once there are some again. A flow spends (flow.h); whoever owns the connection owns the pace, since it
 * outlives the flows of an HTTP connection. Belongs to one worker. Refuses to know how bytes move. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/bucket.h"
#include "relay/loop.h"

struct pace {
    struct bucket_rate rate; /* bytes */
    struct bucket bucket;
    uint64_t
        quantum; /* how much a paused flow waits for: few wake-ups, no standstill that one could notice */
    struct loop *loop;
    struct loop_task *resume; /* queued when a pause is over */
    struct event timer;       /* armed while paused and at no other time */
    uint64_t allowance;       /* what may still be moved in this step */
    uint64_t resume_ns;       /* paused until then */
    bool paused;
    bool exhausted; /* everything was taken: a few bytes that have come since are not worth a step */
};

/* rate.rate 0 is not allowed here: an unlimited direction has no pace. */
void pace_init(struct pace *pace, struct loop *loop, const struct bucket_rate *rate);
/* Whose task is queued after a pause. NULL: nobody's, and a pause under way is given up (its debt stays). */
void pace_set_resume(struct pace *pace, struct loop_task *resume);
/* Before a step: looks how much may be moved and keeps it in `allowance`. false: nothing yet; the pause is
 * on, its end will queue `resume`. */
bool pace_begin(struct pace *pace);
/* n bytes were moved. More than the allowance is a debt. */
void pace_spend(struct pace *pace, uint64_t n);

/* A pause takes about this long (milliseconds), and longer where PACE_QUANTUM_MIN takes longer to come: 20
 * wake-ups a second and flow. */
#define PACE_QUANTUM_MS 50
#define PACE_QUANTUM_MIN 4096u
