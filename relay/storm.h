/* Tells a storm from weather: events that are no payload and cost a detour each (alerts, urgent marks) are
 * legal now and then, and an attack in great numbers. Refuses to know which events. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Honest peers send a handful in a connection's life. 256 a second, at some 20 us each natively (five system
 * calls and two plans), are half a percent of a CPU: what is under the limit needs no limit. */
#define STORM_EVENTS 256
#define STORM_WINDOW_MS 1000

struct storm {
    uint32_t began_ms; /* of the window; wraps, as the difference does */
    uint32_t events;
};

/* Counts one event at that time of a monotonic clock. true: too many in too short a time. */
static inline bool storm_count(struct storm *storm, uint64_t now_ms)
{
    if (storm->events == 0 || (uint32_t)now_ms - storm->began_ms >= STORM_WINDOW_MS) {
        storm->began_ms = (uint32_t)now_ms;
        storm->events = 0;
    }
    return ++storm->events > STORM_EVENTS;
}
