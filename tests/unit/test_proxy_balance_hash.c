/* Balancing by the client's address, against figures: how even the shares are, how many clients move when one
 * of 10 servers goes, and that neither order nor history of the set matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "backend_fixture.h"
#include "proxy/balancer.h"
#include "proxy/hash.h"
#include "proxy/maglev.h"

#define CLIENTS 100000
#define SERVERS 10

static struct backend_registry *registry;
static struct backend_shared *shared;

/* By client: the number of the server, as in its address. */
static unsigned char assigned[CLIENTS], others[CLIENTS];

static int setup(void **state)
{
    (void)state;
    registry = backend_registry_new();
    shared = registry != NULL ? backend_shared_get(registry, "app") : NULL;
    return shared != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    backend_shared_unref(shared);
    backend_registry_free(registry);
    return 0;
}

/* down: the number of a server that its check calls down; 0: none. */
static void assign(enum conf_balance balance, const struct fixture_server *servers, size_t count,
                   unsigned down, unsigned char *to)
{
    struct server_set *set = fixture_set_of(shared, servers, count);
    const struct balancer_options options = {.balance = balance, .panic = true};
    struct balancer *balancer;

    if (balance == CONF_BALANCE_MAGLEV) {
        server_set_add_maglev(set);
        assert_non_null(set->maglev);
    }
    balancer = balancer_new(&options, set);
    assert_non_null(balancer);
    for (size_t i = 0; i < count; i++)
        atomic_store(&set->slots[i].server->down, servers[i].number == down);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct balancer_request request = {.now_ms = 1};
        struct balancer_choice choice;
        char client[64];

        snprintf(client, sizeof(client), "10.%u.%u.%u:%u", i >> 14 & 255, i >> 6 & 255, i & 63, 1024 + i);
        request.client_hash = balancer_hash_client(client);
        balancer_pick(balancer, set, &request, &choice);
        assert_true(choice.slot < count);
        to[i] = (unsigned char)servers[choice.slot].number;
    }
    for (size_t i = 0; i < count; i++)
        atomic_store(&set->slots[i].server->down, false);
    balancer_free(balancer);
    server_set_unref(set);
}

static void fill(struct fixture_server *servers, unsigned first, size_t count)
{
    memset(servers, 0, count * sizeof(*servers));
    for (unsigned i = 0; i < count; i++)
        servers[i].number = first + i;
}

/* The greatest deviation of a server's share from what its weight asks for, relative to that. */
static double measure_unevenness(const struct fixture_server *servers, size_t count)
{
    unsigned clients[256] = {0}, weights = 0;
    double worst = 0;

    for (unsigned i = 0; i < CLIENTS; i++)
        clients[assigned[i]]++;
    for (size_t i = 0; i < count; i++)
        weights += servers[i].weight != 0 ? servers[i].weight : 1;
    for (size_t i = 0; i < count; i++) {
        const double wanted = (double)CLIENTS * (servers[i].weight != 0 ? servers[i].weight : 1) / weights;
        const double off = fabs(clients[servers[i].number] - wanted) / wanted;

        worst = off > worst ? off : worst;
    }
    return worst;
}

/* Of all clients, those that have moved though their server is still there. */
static double measure_disruption(unsigned gone)
{
    unsigned moved = 0;

    for (unsigned i = 0; i < CLIENTS; i++)
        moved += assigned[i] != others[i] && assigned[i] != gone;
    return (double)moved / CLIENTS;
}

static const char *const names[] = {
    [CONF_BALANCE_SOURCE_HASH] = "source_hash", [CONF_BALANCE_MAGLEV] = "maglev"};
static const enum conf_balance methods[] = {CONF_BALANCE_SOURCE_HASH, CONF_BALANCE_MAGLEV};

/* 10,000 clients a server: chance alone comes to 1 % (one standard deviation). */
static void test_shares(void **state)
{
    struct fixture_server servers[SERVERS];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        double even, weighted;

        fill(servers, 1, SERVERS);
        assign(methods[i], servers, SERVERS, 0, assigned);
        even = measure_unevenness(servers, SERVERS);
        servers[0].weight = 4;
        servers[1].weight = 2;
        assign(methods[i], servers, SERVERS, 0, assigned);
        weighted = measure_unevenness(servers, SERVERS);
        print_message("%s: shares of 10 servers are off by at most %.1f %%, with weights %.1f %%\n",
                      names[methods[i]], 100 * even, 100 * weighted);
        assert_true(even < 0.04 && weighted < 0.04);
    }
}

static void test_disruption(void **state)
{
    static const double most[] = {[CONF_BALANCE_SOURCE_HASH] = 0, [CONF_BALANCE_MAGLEV] = 0.03};
    struct fixture_server servers[SERVERS], fewer[SERVERS - 1];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        double removed, down;

        fill(servers, 1, SERVERS);
        memcpy(fewer, servers, 4 * sizeof(servers[0])); /* all but the fifth */
        memcpy(fewer + 4, servers + 5, 5 * sizeof(servers[0]));
        assign(methods[i], servers, SERVERS, 0, assigned);
        assign(methods[i], fewer, SERVERS - 1, 0, others);
        removed = measure_disruption(5);
        assign(methods[i], servers, SERVERS, 5, others);
        down = measure_disruption(5);
        print_message("%s: one of 10 servers goes: %.2f %% of the clients of others move if it is removed, "
                      "%.2f %% if it is down\n",
                      names[methods[i]], 100 * removed, 100 * down);
        assert_true(removed <= most[methods[i]]);
        assert_true(down == 0);
    }
}

/* Those of a server that is down are spread over all others. */
static void test_clients_of_a_dead_server_are_spread(void **state)
{
    struct fixture_server servers[SERVERS];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        unsigned clients[SERVERS + 1] = {0};

        fill(servers, 1, SERVERS);
        assign(methods[i], servers, SERVERS, 0, assigned);
        assign(methods[i], servers, SERVERS, 5, others);
        for (unsigned j = 0; j < CLIENTS; j++)
            if (assigned[j] == 5)
                clients[others[j]]++;
        assert_int_equal(clients[5], 0);
        for (size_t j = 1; j <= SERVERS; j++)
            assert_true(j == 5 || clients[j] > 800); /* of some 1111 */
    }
}

static void test_order_does_not_matter(void **state)
{
    struct fixture_server servers[SERVERS], shuffled[SERVERS];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fill(servers, 1, SERVERS);
        servers[3].weight = 7;
        for (size_t j = 0; j < SERVERS; j++)
            shuffled[j] = servers[(j * 7 + 3) % SERVERS];
        assign(methods[i], servers, SERVERS, 0, assigned);
        assign(methods[i], shuffled, SERVERS, 0, others);
        assert_memory_equal(assigned, others, sizeof(assigned));
    }
}

static void test_backups_have_no_share_until_needed(void **state)
{
    struct fixture_server servers[3];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fill(servers, 1, 3);
        servers[0].backup = true; /* not the last: the table's indices are the set's */
        servers[2].backup = true;
        assign(methods[i], servers, 3, 0, assigned);
        for (unsigned j = 0; j < CLIENTS; j++)
            assert_int_equal(assigned[j], 2);
        assign(methods[i], servers, 3, 2, assigned);
        for (unsigned j = 0; j < CLIENTS; j++)
            assert_int_not_equal(assigned[j], 2);
    }
}

/* Hosts of other versions must agree with this one: the figures are no secret, but they may not change. */
static void test_hashes_are_for_ever(void **state)
{
    (void)state;
    assert_true(hash_text("", 0) == UINT64_C(0xefd01f60ba992926));
    assert_true(balancer_hash_client("192.0.2.7:1234") == hash_text("192.0.2.7", 9));
    assert_true(balancer_hash_client("[2001:db8::1]:1234") == hash_text("[2001:db8::1]", 13));
    assert_true(balancer_hash_client("unix:") == hash_text("unix:", 5));
}

static void test_maglev_table_alone(void **state)
{
    struct maglev_server servers[3] = {{.index = 7, .name = "a", .weight = 1, .hash = hash_text("a", 1)},
                                       {.index = 8, .name = "b", .weight = 256, .hash = hash_text("b", 1)},
                                       {.index = 9, .name = "c", .weight = 128, .hash = hash_text("c", 1)}};
    unsigned places[10] = {0};
    struct maglev *maglev;

    (void)state;
    assert_null(maglev_new(servers, 0));
    maglev = maglev_new(servers, 3);
    assert_non_null(maglev);
    for (uint64_t i = 0; i < MAGLEV_PLACES; i++)
        places[maglev_find(maglev, i)]++;
    maglev_free(maglev);
    assert_in_range(places[7], 168, 172); /* 1 of 385 */
    assert_in_range(places[8], 43500, 43650);
    assert_in_range(places[9], 21750, 21850);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_disruption),
        cmocka_unit_test(test_clients_of_a_dead_server_are_spread),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_backups_have_no_share_until_needed),
        cmocka_unit_test(test_hashes_are_for_ever),
        cmocka_unit_test(test_maglev_table_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
