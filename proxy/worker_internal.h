/* What worker.c shares with the connections and listeners that it owns. On the worker's thread only. */
#pragma once

#include <stdbool.h>

#include "proxy/worker.h"

struct conn;
struct disk_port;
struct open_files;

void worker_add_conn(struct worker *worker, struct conn *conn);
/* Also resumes accepting and, when it was the last one, ends a drain. */
void worker_remove_conn(struct worker *worker, struct conn *conn);

/* Descriptors kept back for what must not fail when the process has used up its own: to reach the server for
 * a client that was accepted already, and to look at the admin pages. */
enum worker_reserve { WORKER_RESERVE_DIAL, WORKER_RESERVE_ADMIN };
#define WORKER_RESERVE_COUNT 2
/* Closes that reserve so that its number can be used. false: it has been used already. */
bool worker_free_reserve(struct worker *worker, enum worker_reserve reserve);

/* For the handlers of HTTP. On EMFILE it is the first to give way. */
struct open_files *worker_open_files(struct worker *worker);
#define WORKER_OPEN_FILES 512 /* at most: a second's worth of what is asked for again and again */

struct disk_port *worker_disk(struct worker *worker);

/* Stops accepting on every listener but admin's, until a connection ends or WORKER_PAUSE_MS have passed. */
void worker_pause_accepting(struct worker *worker, const char *why);
#define WORKER_PAUSE_MS 200
#define WORKER_PAUSE_NOTE_MS 10000 /* said on stderr at most this often */

struct generation *worker_generation_pinned(struct worker *worker);
