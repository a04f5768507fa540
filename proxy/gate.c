/* See gate.h. Refuses to know sockets and what becomes of those who are refused. */
#include "proxy/gate.h"

const char *gate_limit_name(enum gate_limit limit)
{
    switch (limit) {
    case GATE_MAX_CONNECTIONS:
        return "max_connections";
    case GATE_MAX_CONNECTIONS_PER_CLIENT:
        return "max_connections_per_client";
    case GATE_CONNECTION_RATE:
        return "connection_rate";
    case GATE_MAX_CLIENTS:
        return "max_clients";
    case GATE_PASSED:
    case GATE_LIMIT_COUNT:
        break;
    }
    return "none";
}

int gate_init(struct gate *gate)
{
    *gate = (struct gate){.clients = client_table_new()};
    return gate->clients != NULL ? 0 : -1;
}

void gate_clear(struct gate *gate)
{
    client_table_free(gate->clients);
    gate->clients = NULL;
}

static enum gate_limit refuse(struct gate *gate, enum gate_limit limit)
{
    atomic_fetch_add_explicit(&gate->limited[limit], 1, memory_order_relaxed);
    return limit;
}

enum gate_limit gate_enter(struct gate *gate, const struct gate_rules *rules)
{
    /* Added first, so that two workers can't both take the last place. */
    const unsigned before = atomic_fetch_add_explicit(&gate->connections, 1, memory_order_relaxed);

    if (rules->max_connections == 0 || before < rules->max_connections)
        return GATE_PASSED;
    gate_leave(gate);
    return refuse(gate, GATE_MAX_CONNECTIONS);
}

void gate_leave(struct gate *gate)
{
    atomic_fetch_sub_explicit(&gate->connections, 1, memory_order_relaxed);
}

enum gate_limit gate_enter_client(struct gate *gate, const struct gate_rules *rules,
                                  const struct sockaddr_storage *client, uint64_t now_ms,
                                  struct client_entry **entry)
{
    *entry = NULL;
    if (!rules->per_client || (client->ss_family != AF_INET && client->ss_family != AF_INET6))
        return GATE_PASSED;
    switch (client_table_enter(gate->clients, &rules->clients, client, now_ms * 1000000, entry)) {
    case CLIENT_ADMITTED:
        break;
    case CLIENT_TOO_MANY:
        return refuse(gate, GATE_MAX_CONNECTIONS_PER_CLIENT);
    case CLIENT_TOO_FAST:
        return refuse(gate, GATE_CONNECTION_RATE);
    case CLIENT_NO_ROOM:
        return refuse(gate, GATE_MAX_CLIENTS);
    }
    return GATE_PASSED;
}

void gate_leave_client(struct gate *gate, struct client_entry *entry)
{
    if (entry != NULL)
        client_table_leave(gate->clients, entry);
}
