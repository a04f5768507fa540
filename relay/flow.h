/* One direction of a relay: moves bytes from a source to a sink by the mode that plan chooses, changes mode
 * when the kernel refuses or the traffic changes, and keeps account of every byte.
 * A flow is stepped by its owner and calls nobody back. Belongs to one worker.
 * Refuses to know what the bytes mean, and what happens after the end (session.h, or proxy's http_conn). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/endpoint.h"
#include "relay/mode.h"

struct filter_chain;
struct flow;
struct pace;

/* One of several sources that a flow moves one after another (ranges of a file, text between them), and what
 * goes before it. Each is planned anew and has segments of its own kind; the end of one is the beginning of
 * the next, of all but the last nobody hears. */
struct flow_part {
    struct endpoint source; /* FILE or MEMORY */
    const void *head;       /* written before the source's first byte, in the same segment or TLS record */
    size_t head_size;
    size_t generated; /* The last so many bytes of head are payload: made in memory, they are counted as such,
                         copied for the reason `generated`. The others are counted in head_bytes. Both are
                         exempt from the policy, but wait for its verdict on the source */
    struct flow_part *next; /* NULL: the last */
};

struct flow_options {
    struct endpoint *source, *sink; /* borrowed; outlive the flow */
    struct flow_part *parts;        /* instead of source, head and filters; NULL: none. The list, and what it
                                       points at, is borrowed and outlives the flow, which changes it */
    struct relay_policy policy;
    struct relay_counters *counters; /* live sums; NULL: none kept. Outlive the flow */
    const void *head; /* written before the source's first byte, in the same segment; borrowed until
                         flow_head_done(). Counted in head_bytes, exempt from the policy */
    size_t head_size;
    struct filter_chain *filters; /* of a socket's bytes; NULL: none. Borrowed, outlives the flow */
    bool
        closes; /* the owner closes the sink right after the source's end: its last bytes may wait for that */
    bool shutdown_sink;       /* at the source's end, end the sink's stream too (half-close) */
    struct pace *pace;        /* how fast; NULL: as fast as it goes. Outlives the flow */
    struct loop_task *resume; /* with a pace: queued when a pause is over, to step the flow again */
};

enum flow_status {
    FLOW_WAITING, /* not now: an edge on one of the endpoints (or its fill, or the end of a pause) will make
                     it go on */
    FLOW_READY,   /* its share of this turn is used up: queue it (loop_queue) and step again */
    FLOW_ENDED,   /* see flow_end() */
};

enum flow_end {
    FLOW_END_NONE,      /* still going */
    FLOW_END_COMPLETE,  /* every byte of the source was given to the sink (and the sink shut down) */
    FLOW_END_SOURCE,    /* the source broke: reset, TLS error */
    FLOW_END_SINK,      /* the sink broke */
    FLOW_END_TRUNCATED, /* the source ended before its promised length, or TLS without close_notify */
    FLOW_END_DENIED,    /* a filter rejected the source's bytes; its chain says which */
    FLOW_END_REFUSED, /* the policy forbids what is possible; flow_refusal() says why. Before the first byte,
                         unless the connection lost its zero-copy path on the way */
};

/* One stretch of bytes moved alike. */
struct flow_segment {
    enum relay_mode mode : 8;
    enum relay_crypto source_crypto : 4, sink_crypto : 4;
    enum relay_reason reason : 8;
    uint64_t bytes;
};
/* An adaptive flow may change for ever: a kind that comes back gets a segment of its own only while there is
 * still one for every kind that has not come yet; then its bytes are added to the last segment of that kind.
 * Kinds: splice, and copy for each of tls_pending, control_record, urgent_data, pipe_limit, kernel_refused,
 * small_transfers. Parts have fewer. */
#define FLOW_SEGMENTS_MAX 12
#define FLOW_SEGMENT_KINDS 7

struct flow_report {
    uint64_t bytes; /* payload given to the sink: user_bytes + kernel_bytes */
    uint64_t user_bytes, kernel_bytes, head_bytes;
    unsigned segment_count;
    struct flow_segment segments[FLOW_SEGMENTS_MAX];
};

/* NULL: out of memory. Moves nothing yet. */
struct flow *flow_new(struct loop *loop, const struct flow_options *options);
/* At any time, also half-way: what it still holds is dropped, a pipe with bytes in it is closed. */
void flow_free(struct flow *flow);

/* Moves what can be moved now, at most FLOW_TURN_BYTES, so that no connection starves the rest. */
enum flow_status flow_step(struct flow *flow);

enum flow_end flow_end(const struct flow *flow);
int flow_error(const struct flow *flow); /* the errno behind SOURCE and SINK ends */
/* The same in words, where there are more: of TLS, and of storms. "": none. Valid as long as the endpoint
 * that broke is open. */
const char *flow_detail(const struct flow *flow);
enum relay_reason flow_refusal(const struct flow *flow); /* behind FLOW_END_REFUSED */
bool flow_head_done(const struct flow *flow);            /* head is no longer needed (parts': it was sent) */
bool flow_source_ended(const struct flow *flow);         /* the source has said its last byte */
bool flow_waits_for_sink(const struct flow *flow);       /* bytes are held back by the sink, or by the pace */
bool flow_is_paused(const struct flow *flow);            /* by its pace: not idle, whatever its peers do */
uint64_t flow_moved(const struct flow *flow);            /* bytes so far; cheap */
void flow_report(const struct flow *flow, struct flow_report *report);

/* Adds head_bytes that were moved outside the flow (a TLS handshake, a request's head). */
void flow_add_head_bytes(struct flow *flow, uint64_t n);

/* Bytes one step may move: large enough to amortise a wake-up, small enough that 100 busy connections on a
 * worker still turn over in about 50 ms. */
#define FLOW_TURN_BYTES (2u << 20)
