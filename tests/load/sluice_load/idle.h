/* What an idle connection costs a proxy in memory of its own.
 * Refuses to know which proxy it is. */
#ifndef SLUICE_LOAD_IDLE_H
#define SLUICE_LOAD_IDLE_H

#include "sluice_load/measure.h"

/* Opens so many connections to a proxy in front of an echo, has one byte echoed on each (so it is up, and
 * whatever it needed to move bytes it has had), and tells by how much the processes' own memory has grown, in
 * bytes per connection. -1 with *why. */
int idle_measure(const char *address, unsigned connections, const struct measure_pids *pids, double *bytes,
                 char why[200]) __attribute__((warn_unused_result));

#endif
