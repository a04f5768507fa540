/* Evenly spaced intended starts.
 * Refuses to know of clocks and connections. */
#include "sluice_load/schedule.h"

void schedule_init(struct schedule *schedule, double rate, uint64_t start_ns, uint64_t first, uint64_t step)
{
    schedule->interval_ns = rate > 0 ? 1e9 / rate : 0;
    schedule->start_ns = start_ns;
    schedule->next = first;
    schedule->step = step;
}

uint64_t schedule_next_ns(const struct schedule *schedule)
{
    return schedule->start_ns + (uint64_t)((double)schedule->next * schedule->interval_ns);
}

bool schedule_take(struct schedule *schedule, uint64_t now_ns, uint64_t *intended_ns)
{
    *intended_ns = now_ns;
    if (schedule->interval_ns > 0) {
        *intended_ns = schedule_next_ns(schedule);
        if (*intended_ns > now_ns)
            return false;
    }
    schedule->next += schedule->step;
    return true;
}
