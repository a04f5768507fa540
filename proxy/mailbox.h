/* Messages to one thread from any other: a lock-free stack and an eventfd that wakes the reader's event_base.
 * Refuses to know what a message means. */
#pragma once

#include <stdbool.h>

struct event_base;
struct mailbox;

typedef void mailbox_fn(void *owner, void *arg);

/* A mailbox read on `base`'s thread; every message gets `owner`. NULL and errno on failure. */
struct mailbox *mailbox_new(struct event_base *base, void *owner);

/* Runs fn(owner, arg) on the reader's thread, in the order of posting (per sender). Any thread. false: the
 * mailbox is closed or memory is short; fn will not run and arg is still the caller's. */
bool mailbox_post(struct mailbox *mailbox, mailbox_fn *fn, void *arg) __attribute__((warn_unused_result));

/* On the reader's thread: refuses further messages and runs those that are still waiting. */
void mailbox_close(struct mailbox *mailbox);

/* After mailbox_close(), when no thread can post any more. NULL: nothing. */
void mailbox_free(struct mailbox *mailbox);
