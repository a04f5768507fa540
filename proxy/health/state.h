/* When checks make a server be down or up: so many in a row, and the very first alone. Pure. */
#pragma once

#include <stdbool.h>

struct health_state { /* zero-initialise: taken for up, undecided */
    bool decided;
    bool down;
    unsigned run; /* checks in a row that say otherwise */
};

/* Notes one check. true: `down` has changed. */
bool health_note(struct health_state *state, bool good, unsigned rise, unsigned fall);
