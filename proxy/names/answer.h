/* What a lookup brings back, and the list of targets that a name stands for: immutable once published,
 * counted by reference. Refuses to know how names are looked up. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* More than any service has behind one name; a longer answer is cut, and said to be. */
#define NAME_TARGETS_MAX 512u

struct name_target {
    struct sockaddr_storage addr; /* with its port; bytes beyond `length` are 0 */
    socklen_t length;
    unsigned priority; /* SRV's own number, the lowest is wanted first; 0 for a plain name */
    unsigned weight;   /* SRV's own; 1 for a plain name */
    char host[256];    /* whose address it is: the name itself, or the target of the SRV record */
};

enum name_outcome {
    NAME_FOUND,
    NAME_ABSENT, /* the name server says that there is no such name, or that it has no address */
    NAME_FAILED, /* no answer in time, or SERVFAIL, REFUSED and the like: nothing is known */
};

struct name_answer {
    enum name_outcome outcome;
    bool complete; /* FOUND: false, a part of it (one family, one target of SRV) could not be had */
    bool cut;      /* there were more than NAME_TARGETS_MAX */
    const struct name_target *targets;
    size_t count;
    uint32_t ttl_s;     /* the shortest of all records; 0 from /etc/hosts */
    const char *detail; /* a few words on what failed; static; NULL: nothing did */
};

/* Sorted by priority, then address and port; no address twice. */
struct name_targets {
    _Atomic unsigned references;
    size_t count;
    struct name_target items[];
};
void name_targets_unref(struct name_targets *targets); /* any thread; NULL: nothing */
struct name_targets *name_targets_ref(struct name_targets *targets);
