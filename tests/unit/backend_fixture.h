/* What the tests of backends share: server sets of made-up servers.
 * Refuses to know what is tested. */
#pragma once

#include <netinet/in.h>
#include <stdio.h>

#include "proxy/server_set.h"

#define FIXTURE_SERVERS_MAX 64

/* Servers 10.0.0.FIRST, .FIRST+1 ..., port 80, with those weights. */
static inline struct server_set *fixture_set(struct backend_shared *shared, unsigned first,
                                             const unsigned *weights, size_t count)
{
    struct server_set_entry entries[FIXTURE_SERVERS_MAX];
    static struct conf_address addresses[FIXTURE_SERVERS_MAX];
    static char names[FIXTURE_SERVERS_MAX][32];
    struct server_set *set;

    assert_true(count <= FIXTURE_SERVERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *problem;

        snprintf(names[i], sizeof(names[i]), "10.0.0.%zu:80", first + i);
        assert_true(conf_address_parse(names[i], &addresses[i], &problem));
        entries[i] =
            (struct server_set_entry){.name = names[i], .address = &addresses[i], .weight = weights[i]};
    }
    set = server_set_new(shared, entries, count);
    for (size_t i = 0; i < count; i++)
        conf_address_clear(&addresses[i]);
    assert_non_null(set);
    return set;
}
