/* The health checks of all servers, on a thread of their own: whom the newest generation's backends name is
 * checked, once for the process. Tells the workers by the servers' atomics, the operator by the error log.
 * Refuses to know how one check is done (probe.h) and when a server counts as down (state.h). */
#pragma once

#include <stdbool.h>

struct checker;
struct generation;

/* note: one line for the error log; from the checker's thread. NULL and errno on failure. No thread yet. */
struct checker *checker_new(void (*note)(void *arg, const char *line), void *arg);
/* 0, or -1 and errno. */
int checker_start(struct checker *checker) __attribute__((warn_unused_result));
/* Ends the thread, if there is one. NULL: nothing. */
void checker_free(struct checker *checker);

/* Any thread, also before the start: from now on the servers of this generation's backends are checked. Those
 * that were go on as they are. Takes a reference. */
void checker_adopt(struct checker *checker, struct generation *generation);
/* Any thread: a backend has another server set. NULL: nothing. */
void checker_look(struct checker *checker);
