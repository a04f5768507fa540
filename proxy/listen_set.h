/* Every listening descriptor of the process, kept by address: so that a reload keeps those that stay, and the
 * queue behind them. A TCP address is a REUSEPORT group, one socket a worker; its first socket binds plainly,
 * so that another process gets EADDRINUSE instead of a share of the connections. A UNIX address is one shared
 * socket. Refuses to know what is served. Main thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

struct listen_set;

#define LISTEN_BACKLOG 4096 /* net.core.somaxconn caps it */

struct listen_want {
    const char *name;                       /* two listeners that ask for port 0 are told apart by it */
    const char *key;                        /* for problems, "listeners.web.address" */
    const struct conf_address *address;     /* borrowed for the call */
    const struct conf_listening *listening; /* borrowed until commit or abort; NULL: nothing is asked */
    bool single;                            /* one socket, for worker 0 */
};

/* NULL: out of memory. */
struct listen_set *listen_set_new(unsigned worker_count);
/* Closes everything; unlinks the UNIX sockets that are ours still. NULL: nothing. */
void listen_set_free(struct listen_set *set);

/* Opens what is wanted and not there yet; nothing is closed. false: problems says why, the set is unchanged.
 * After true: exactly one of commit (closes what isn't wanted any more) and abort (closes what was opened).
 */
bool listen_set_prepare(struct listen_set *set, const struct listen_want *wants, size_t count,
                        struct conf_problems *problems) __attribute__((warn_unused_result));
void listen_set_commit(struct listen_set *set);
void listen_set_abort(struct listen_set *set);

/* After prepare, for the i-th of its wants: the descriptor for a worker (-1: none for this one), the address
 * that it is really bound to (valid as long as it stays open), and whether it was opened just now. */
int listen_set_fd(const struct listen_set *set, size_t want, unsigned worker);
const char *listen_set_address(const struct listen_set *set, size_t want);
bool listen_set_is_fresh(const struct listen_set *set, size_t want);
