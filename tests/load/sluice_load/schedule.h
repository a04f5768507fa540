/* When requests are due: evenly spaced from a beginning, whatever became of the earlier ones.
 * Refuses to know of clocks and connections. */
#ifndef SLUICE_LOAD_SCHEDULE_H
#define SLUICE_LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    double interval_ns; /* 0: closed loop, everything is due at once */
    uint64_t start_ns, next, step;
};

/* Request number first, first + step, first + 2 step … of a load of `rate` per second: so several threads
 * share one schedule. rate 0: closed loop. */
void schedule_init(struct schedule *schedule, double rate, uint64_t start_ns, uint64_t first, uint64_t step);

/* When the next request is meant to start. */
uint64_t schedule_next_ns(const struct schedule *schedule);

/* If the next request is due, takes it and tells when it was meant to start (of a closed loop: now). */
bool schedule_take(struct schedule *schedule, uint64_t now_ns, uint64_t *intended_ns);

#endif
