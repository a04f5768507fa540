/* The filters of one listener, built from its conf, and what they come to on one connection: a chain for each
 * direction, the bytes that the log shows, and why a connection was denied. Refuses to know how bytes move.
 * A set is immutable and read by every worker; a filtering belongs to its connection's worker. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "conf/conf.h"
#include "proxy/filters/preview.h"
#include "relay/filter.h"
#include "relay/session.h"

struct filter_set;
struct filtering;

struct filter_set_options {
    const struct conf_listener *listener; /* borrowed, outlives the set; has at least one filter */
    bool write;                           /* open capture files; false: only look whether they could be */
    unsigned uid, gid;                    /* whom a new file is given to; -1: stay */
};

/* NULL: problems has an entry. */
struct filter_set *filter_set_new(const struct filter_set_options *options, struct conf_problems *problems);
/* The set's connections are gone. NULL: nothing. */
void filter_set_free(struct filter_set *set);

/* fd: the client's socket, for its addresses. id: of the connection. NULL: out of memory. */
struct filtering *filtering_new(const struct filter_set *set, int fd, uint64_t id);
/* The flows that use its chains are gone. NULL: nothing. */
void filtering_free(struct filtering *filtering);

/* NULL: no filter sees this direction. */
struct filter_chain *filtering_chain(struct filtering *filtering, enum session_direction direction);
/* NULL: the log doesn't ask for it. */
const struct preview *filtering_preview(const struct filtering *filtering, enum session_direction direction);
/* "filters[1] found "GET /admin"", cut where it doesn't fit; "" where nothing was denied. */
void filtering_denial(const struct filtering *filtering, char *text, size_t size);
