/* See state.h. */
#include "proxy/health/state.h"

bool health_note(struct health_state *state, bool good, unsigned rise, unsigned fall)
{
    const unsigned needed = !state->decided ? 1 : state->down ? rise : fall;

    state->decided = true;
    if (good != state->down) {
        state->run = 0;
        return false;
    }
    if (++state->run < needed)
        return false;
    state->run = 0;
    state->down = !good;
    return true;
}
