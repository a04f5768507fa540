/* What the tests of backends share: server sets of made-up servers.
 * Refuses to know what is tested. */
#pragma once

#include <stdio.h>

#include "proxy/server_set.h"

#define FIXTURE_SERVERS_MAX 64

/* What a made-up server is. */
struct fixture_server {
    unsigned number; /* its address is 10.0.0.NUMBER:80 */
    unsigned weight; /* 0: 1 */
    unsigned max_connections;
    bool backup;
};

static inline struct server_set *fixture_set_of(struct backend_shared *shared,
                                                const struct fixture_server *servers, size_t count)
{
    struct server_set_entry entries[FIXTURE_SERVERS_MAX];
    struct conf_address addresses[FIXTURE_SERVERS_MAX];
    char names[FIXTURE_SERVERS_MAX][32];
    struct server_set *set;

    assert_true(count <= FIXTURE_SERVERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *problem;

        snprintf(names[i], sizeof(names[i]), "10.0.0.%u:80", servers[i].number);
        assert_true(conf_address_parse(names[i], &addresses[i], &problem));
        entries[i] = (struct server_set_entry){.name = names[i],
                                               .address = &addresses[i],
                                               .weight = servers[i].weight != 0 ? servers[i].weight : 1,
                                               .max_connections = servers[i].max_connections,
                                               .backup = servers[i].backup};
    }
    set = server_set_new(shared, entries, count);
    for (size_t i = 0; i < count; i++)
        conf_address_clear(&addresses[i]);
    assert_non_null(set);
    return set;
}

/* Servers FIRST, FIRST + 1 ... with those weights. */
static inline struct server_set *fixture_set(struct backend_shared *shared, unsigned first,
                                             const unsigned *weights, size_t count)
{
    struct fixture_server servers[FIXTURE_SERVERS_MAX] = {0};

    assert_true(count <= FIXTURE_SERVERS_MAX);
    for (unsigned i = 0; i < count; i++)
        servers[i] = (struct fixture_server){.number = first + i, .weight = weights[i]};
    return fixture_set_of(shared, servers, count);
}
