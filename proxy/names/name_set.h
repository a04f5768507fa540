/* What a name stands for now, and when to ask again: holds the last good answer against each new one. A
 * failing name server takes no target away, an absent name does after a while, an incomplete answer only
 * adds. Refuses to know DNS, clocks and threads. */
#pragma once

#include "proxy/names/answer.h"

struct name_limits {
    uint32_t interval_min_ms,
        interval_max_ms; /* bounds of the time to live, and of the wait after a failure */
    uint32_t hold_ms;    /* how long an absent name keeps its targets */
};

struct name_set {
    struct name_limits limits;
    struct name_targets *targets; /* NULL: none yet, or none any more */
    bool is_absent;
    uint64_t absent_since_ms;
    uint32_t backoff_ms; /* 0: the last answer was good */
};

enum name_change {
    NAME_SAME,     /* the targets are what they were */
    NAME_CHANGED,  /* `targets` is another list now */
    NAME_NO_MEMORY /* as SAME, for want of memory */
};

void name_set_init(struct name_set *set, const struct name_limits *limits);
void name_set_clear(struct name_set *set);

/* Takes an answer that came at now_ms; *next_ms is how long to wait before the next question. */
enum name_change name_set_update(struct name_set *set, const struct name_answer *answer, uint64_t now_ms,
                                 uint32_t *next_ms) __attribute__((warn_unused_result));

/* How two lists differ: targets of `fresh` that `old` hasn't, and the other way round. Either may be NULL. */
struct name_difference {
    size_t added, removed, altered; /* altered: another priority or weight */
};
struct name_difference name_targets_compare(const struct name_targets *old, const struct name_targets *fresh);

/* SRV's priority as a tier: 0 for the lowest number, 1 for the next one, ... */
unsigned name_targets_tier(const struct name_targets *targets, size_t index);
/* SRV's weight, 0 .. 65535, as a server's, 1 .. 256: as it is where all fit, else in proportion to the
 * largest. 0 becomes 1: RFC 2782 wants such a target chosen seldom, not never. */
unsigned name_targets_weight(const struct name_targets *targets, size_t index);
