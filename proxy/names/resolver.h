/* Names looked up again and again, on a thread of its own: each has the targets it stands for now.
 * Refuses to know backends and what targets are for. The owner's functions are for one thread (main's), but
 * those said to be for any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/names/lookup.h"
#include "proxy/names/name_set.h"

struct resolver;
struct resolver_name;

struct resolver_options {
    /* A name's targets have changed: resolver_name_targets() tells. On the resolver's thread. */
    void (*on_change)(void *arg);
    /* One line for people: what changed, or why nothing can be learnt. On the resolver's thread. */
    void (*on_note)(void *arg, const char *text);
    void *arg;
};

struct resolver_spec {
    const char *text;              /* as written, for notes */
    struct name_question question; /* its strings are copied */
    struct name_limits limits;
};

/* NULL and errno. */
struct resolver *resolver_new(const struct resolver_options *options);
/* 0, or -1 and errno. Before it, names are taken and nothing is asked. */
int resolver_start(struct resolver *resolver) __attribute__((warn_unused_result));
/* Ends the thread; no callback comes after it. */
void resolver_stop(struct resolver *resolver);
/* When every name has been retired. NULL: nothing. */
void resolver_free(struct resolver *resolver);

/* The name of this specification; asked for from now on, if it wasn't. A new one that differs from an older
 * only in how it is asked for begins with what that one knows. The caller owes it one resolver_retire() and
 * then one resolver_put(). NULL: out of memory. */
struct resolver_name *resolver_get(struct resolver *resolver, const struct resolver_spec *spec);
/* Once all have retired it, it isn't asked for any more and stays what it is. */
void resolver_retire(struct resolver_name *name);
/* Any thread, also when the resolver has been freed. NULL: nothing. */
void resolver_put(struct resolver_name *name);

/* A reference to its targets; NULL: it has none. Any thread that holds the name, while the resolver is there.
 */
struct name_targets *resolver_name_targets(struct resolver_name *name);

/* What was last heard, for the status page. Any thread that holds the name. */
struct resolver_status {
    enum name_outcome outcome;
    bool is_known;          /* false: no answer of any kind yet */
    uint64_t asked, failed; /* lookups that have ended, and those of them that failed */
};
struct resolver_status resolver_name_status(struct resolver_name *name);

/* Waits until every name has been answered, if only by a failure, or for wait_ms. true: every one has. */
bool resolver_wait(struct resolver *resolver, uint32_t wait_ms);
