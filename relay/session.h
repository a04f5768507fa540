/* Two flows between a client and a server: half-close each way, resets passed on, one end.
 * Belongs to one worker. Refuses to know how the ends were come by, and time-outs (the owner's, see
 * session_last_activity). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "relay/endpoint.h"
#include "relay/flow.h"

struct session;

enum session_direction { SESSION_TO_SERVER, SESSION_TO_CLIENT };

enum session_side { SESSION_CLIENT, SESSION_SERVER, SESSION_NEITHER };

struct session_end {
    enum session_side
        closed_by : 8;             /* whose end or error came first; NEITHER: refused by policy or a filter */
    enum flow_end end : 8;         /* COMPLETE: both directions ended cleanly. Else what went wrong */
    enum relay_reason refusal : 8; /* end is REFUSED */
    int error;                     /* its errno, 0 where there is none */
    const char *detail; /* SOURCE and SINK: what happened in words, where errno says too little; else "". The
                           session's */
};

struct session_options {
    struct loop *loop;
    struct endpoint *client, *server; /* borrowed; on_ready is taken over */
    struct relay_policy policy;
    struct relay_counters *counters[2]; /* by direction */
    struct filter_chain *filters[2];    /* by direction; NULL: none. Borrowed, outlive the session */
    struct pace *paces[2];              /* by direction; NULL: as fast as it goes. Outlive the session */
    /* Once, when both directions are done, from the event loop, never before session_start returns. On a
     * clean end both streams are shut down, but for the last one if it is plain: closing does that. The
     * endpoints are open still (linger, then close). After a loss both endpoints have been reset and closed.
     * The session may be freed within. */
    void (*on_end)(void *arg, const struct session_end *end);
    void *arg;
};

/* Starts moving on the next turn of the loop. NULL: out of memory; nothing was taken. */
struct session *session_start(const struct session_options *options);

/* Frees it at any time; on_end will not run after this. The endpoints stay as they are (reset or close them).
 */
void session_free(struct session *session);

/* loop_now_ms() of the last turn that moved a byte, or of the last session_look() that saw one move. */
uint64_t session_last_activity(const struct session *session);

/* Looks whether a peer has taken bytes out of its send buffer since the last look. That moves nothing here,
 * but it is no idleness (nor is a pause for the pace's sake): a buffer of megabytes keeps a slow reader busy
 * for minutes, also after the last byte was written. The owner looks twice, at least, in the time that it
 * takes for idleness. */
void session_look(struct session *session);

struct flow *session_flow(struct session *session, enum session_direction direction);
