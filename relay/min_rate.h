/* Whether a peer keeps up a least rate, looked at window by window and only when somebody asks: nothing is to
 * be done as bytes move. A peer that moves nothing at all is not slow but idle, which is its owner's to
 * judge, and is measured on until it moves; and none is asked for more than there was for it to move. So it
 * needs no knowledge of what else may hold a transfer up: a pace, a disk, the end of an answer. The caller
 * brings the time. Refuses to know what is moved and what follows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct min_rate {
    uint64_t rate;      /* bytes a second; 0: any will do */
    uint32_t window_ms; /* over which it is averaged */
};

struct min_rate_watch {
    uint64_t since_ms, moved, owed; /* the window's beginning */
    uint64_t due_ms;                /* when there is something to judge; 0: not watched */
};

/* A window begins now. moved: bytes so far, any origin will do. owed: how many the peer could move if it only
 * would: what waits for it, UINT64_MAX for a sender. */
void min_rate_begin(struct min_rate_watch *watch, const struct min_rate *rule, uint64_t now_ms,
                    uint64_t moved, uint64_t owed);
/* At due_ms or later: whether it was too slow. Begins the next window, as above. */
bool min_rate_is_slow(struct min_rate_watch *watch, const struct min_rate *rule, uint64_t now_ms,
                      uint64_t moved, uint64_t owed);

/* What a TCP socket's peer has taken so far (acknowledged, whatever it was: heads, TLS records), and what
 * waits for it. false: there is no telling, as with UNIX sockets. */
bool min_rate_look(int fd, uint64_t *taken, uint64_t *waiting);
