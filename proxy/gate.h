/* The gate of one listener: how many connections it has, over all workers and generations, and which clients
 * they are from; so whether one more may come in. Kept by the listener's name for the life of the process
 * (stats_registry.h): a reload changes the rules and nothing that has been counted.
 * Refuses to know sockets and what becomes of those who are refused. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/client_table.h"

/* Which limit refused it. */
enum gate_limit {
    GATE_PASSED,
    GATE_MAX_CONNECTIONS,
    GATE_MAX_CONNECTIONS_PER_CLIENT,
    GATE_CONNECTION_RATE,
    GATE_MAX_CLIENTS,
    GATE_LIMIT_COUNT,
};
/* As the key under `limits`. */
const char *gate_limit_name(enum gate_limit limit);

/* What the configuration says; all zero: no limit. */
struct gate_rules {
    unsigned max_connections;
    bool per_client; /* `clients` has something to say */
    struct client_rules clients;
};

struct gate {
    _Atomic unsigned connections;
    _Atomic uint64_t limited[GATE_LIMIT_COUNT]; /* refused, by limit */
    struct client_table *clients;
};

/* 0, or -1: out of memory. */
int gate_init(struct gate *gate) __attribute__((warn_unused_result));
void gate_clear(struct gate *gate);

/* A connection comes. Passed: it counts until gate_leave(). */
enum gate_limit gate_enter(struct gate *gate, const struct gate_rules *rules);
void gate_leave(struct gate *gate);

/* It has passed, and this is its client; *entry NULL: there is nothing to count (no rules of that kind, or a
 * UNIX socket, whose clients have no addresses). Else it counts until gate_leave_client(). */
enum gate_limit gate_enter_client(struct gate *gate, const struct gate_rules *rules,
                                  const struct sockaddr_storage *client, uint64_t now_ms,
                                  struct client_entry **entry);
void gate_leave_client(struct gate *gate, struct client_entry *entry); /* NULL: nothing */
