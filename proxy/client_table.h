/* What is known of the clients of one listener, by address: how many connections each has open, and how many
 * it has opened lately. Bounded: the clients that are idle longest are forgotten first, those with open
 * connections never. Shared by all workers: a handful of shards, each under a lock of its own, held for a
 * search in a hash chain. Refuses to know sockets, names and what follows from a refusal. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay/bucket.h"

struct client_table;
struct client_entry; /* one client; stays where it is while it has a connection */

struct client_rules {
    unsigned max_connections;      /* 0: any number */
    struct bucket_rate rate;       /* connections; rate.rate 0: any */
    unsigned prefix_v4, prefix_v6; /* bits of an address that make a client */
    size_t max_clients;            /* the table's bound */
};

enum client_verdict {
    CLIENT_ADMITTED,
    CLIENT_TOO_MANY, /* max_connections */
    CLIENT_TOO_FAST, /* rate */
    CLIENT_NO_ROOM,  /* max_clients have a connection open, and this one isn't among them; or no memory */
};

/* NULL: out of memory. */
struct client_table *client_table_new(void);
/* No client may have a connection any more. NULL: nothing. */
void client_table_free(struct client_table *table);

/* A connection of `address` (IPv4 or IPv6; an IPv4 one mapped into IPv6 is IPv4) comes at now_ns of any
 * monotonic clock. Admitted: it counts until client_table_leave(*entry). A refused one counts for nothing,
 * so a client that keeps trying is let in as often as its rate says. */
enum client_verdict client_table_enter(struct client_table *table, const struct client_rules *rules,
                                       const struct sockaddr_storage *address, uint64_t now_ns,
                                       struct client_entry **entry);
void client_table_leave(struct client_table *table, struct client_entry *entry);

/* Clients known now: with a connection, or not forgotten yet. */
size_t client_table_count(struct client_table *table);

/* An idle client is forgotten this long after its last connection, if nobody needs its place before: longer
 * than any bucket takes to fill again (conf/schema_limits.c: at most 60 s). */
#define CLIENT_TABLE_IDLE_NS UINT64_C(60000000000)
