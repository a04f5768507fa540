/* proxy/client_table and gate: what makes a client, what it may do, who is forgotten when, and that threads
 * that come and go at once leave every count right. Refuses to know connections. */
#include "proxy/client_table.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>

#include "proxy/gate.h"

#define S UINT64_C(1000000000)
#define START (1000 * S)

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1234)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(1234)};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&storage, &in, sizeof(in));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&storage, &in6, sizeof(in6));
    }
    return storage;
}

static struct sockaddr_storage numbered(uint32_t n)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(n)};

    memcpy(&storage, &in, sizeof(in));
    return storage;
}

static const struct client_rules one_each = {
    .max_connections = 1, .prefix_v4 = 32, .prefix_v6 = 64, .max_clients = 100000};

static void tells_clients_apart(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned v4, v6;
        bool same;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1", 32, 64, true},
        {"10.0.0.1", "10.0.0.2", 32, 64, false},
        {"10.0.0.1", "10.0.0.2", 24, 64, true},
        {"10.0.0.1", "10.0.1.1", 24, 64, false},
        {"10.0.0.1", "127.0.0.1", 1, 64, true},
        {"10.0.0.1", "192.0.0.1", 1, 64, false},
        {"10.0.0.1", "::ffff:10.0.0.1", 32, 64, true}, /* by a dual-stack socket */
        {"10.0.0.1", "::ffff:10.0.0.2", 32, 1, false},
        {"2001:db8::1", "2001:db8::2", 32, 64, true},
        {"2001:db8::1", "2001:db8:0:1::1", 32, 64, false},
        {"2001:db8::1", "2001:db8::2", 32, 128, false},
        {"2001:db8::1", "2001:db8::3", 32, 127, false},
        {"2001:db8::2", "2001:db8::3", 32, 127, true},
        {"2001:db8::1", "2001:db8:ffff::1", 32, 32, true},
        {"::1", "0.0.0.1", 32, 64, false},
        {"::1", "::2", 32, 64, true},
        {"64:ff9b::1", "2001:db8::1", 32, 1, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_table *table = client_table_new();
        const struct sockaddr_storage a = address(cases[i].a), b = address(cases[i].b);
        struct client_rules rules = one_each;
        struct client_entry *first, *second;

        print_message("%s %s /%u /%u\n", cases[i].a, cases[i].b, cases[i].v4, cases[i].v6);
        rules.prefix_v4 = cases[i].v4;
        rules.prefix_v6 = cases[i].v6;
        assert_int_equal(client_table_enter(table, &rules, &a, START, &first), CLIENT_ADMITTED);
        assert_int_equal(client_table_enter(table, &rules, &b, START, &second),
                         cases[i].same ? CLIENT_TOO_MANY : CLIENT_ADMITTED);
        assert_int_equal(client_table_count(table), cases[i].same ? 1 : 2);
        client_table_leave(table, first);
        if (second != NULL)
            client_table_leave(table, second);
        client_table_free(table);
    }
}

static void counts_connections(void **state)
{
    struct client_table *table = client_table_new();
    const struct sockaddr_storage a = address("10.0.0.1"), b = address("10.0.0.2");
    struct client_rules rules = one_each;
    struct client_entry *entries[3], *other, *none;

    (void)state;
    rules.max_connections = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(client_table_enter(table, &rules, &a, START, &entries[i]), CLIENT_ADMITTED);
    assert_int_equal(client_table_enter(table, &rules, &a, START, &none), CLIENT_TOO_MANY);
    assert_null(none);
    assert_int_equal(client_table_enter(table, &rules, &b, START, &other), CLIENT_ADMITTED);
    client_table_leave(table, entries[0]);
    assert_int_equal(client_table_enter(table, &rules, &a, START, &entries[0]), CLIENT_ADMITTED);
    /* A reload lowers the limit: nobody is thrown out, nobody comes in until there is room. */
    rules.max_connections = 1;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(client_table_enter(table, &rules, &a, START, &none), CLIENT_TOO_MANY);
        client_table_leave(table, entries[i]);
    }
    assert_int_equal(client_table_enter(table, &rules, &a, START, &entries[0]), CLIENT_ADMITTED);
    client_table_leave(table, entries[0]);
    client_table_leave(table, other);
    client_table_free(table);
}

static void limits_the_rate(void **state)
{
    struct client_table *table = client_table_new();
    const struct sockaddr_storage a = address("10.0.0.1"), b = address("10.0.0.2");
    const struct client_rules rules = {
        .rate = {.rate = 2, .burst = 5}, .prefix_v4 = 32, .prefix_v6 = 64, .max_clients = 100000};
    struct client_entry *entry;
    unsigned admitted = 0;

    (void)state;
    /* One try each 10 ms for 20 seconds, each connection closed at once: 5 and 2 a second. */
    for (uint64_t now = START; now < START + 20 * S; now += S / 100)
        if (client_table_enter(table, &rules, &a, now, &entry) == CLIENT_ADMITTED) {
            admitted++;
            client_table_leave(table, entry);
        }
    assert_in_range(admitted, 5 + 39, 5 + 40);
    assert_int_equal(client_table_enter(table, &rules, &a, START + 20 * S, &entry), CLIENT_ADMITTED);
    client_table_leave(table, entry);
    assert_int_equal(client_table_enter(table, &rules, &a, START + 20 * S, &entry), CLIENT_TOO_FAST);
    assert_int_equal(client_table_enter(table, &rules, &b, START + 20 * S, &entry), CLIENT_ADMITTED);
    client_table_leave(table, entry);
    client_table_free(table);
}

/* A hundred thousand addresses walk by; the table stays within its bound, and those connected stay. */
static void is_bounded(void **state)
{
    struct client_table *table = client_table_new();
    struct client_rules rules = one_each;
    const struct sockaddr_storage held = numbered(1);
    struct client_entry *kept, *entry;

    (void)state;
    rules.max_clients = 1600;
    assert_int_equal(client_table_enter(table, &rules, &held, START, &kept), CLIENT_ADMITTED);
    for (uint32_t n = 2; n < 100000; n++) {
        const struct sockaddr_storage client = numbered(n);
        assert_int_equal(client_table_enter(table, &rules, &client, START, &entry), CLIENT_ADMITTED);
        client_table_leave(table, entry);
        assert_true(client_table_count(table) <= 1600);
    }
    assert_int_equal(client_table_count(table), 1600);
    assert_int_equal(client_table_enter(table, &rules, &held, START, &entry), CLIENT_TOO_MANY);
    /* A reload lowers the bound: the idle beyond it make room at once. */
    rules.max_clients = 1024;
    for (uint32_t n = 100000; n < 101000; n++) {
        const struct sockaddr_storage client = numbered(n);
        assert_int_equal(client_table_enter(table, &rules, &client, START, &entry), CLIENT_ADMITTED);
        client_table_leave(table, entry);
    }
    assert_int_equal(client_table_count(table), 1024);
    client_table_leave(table, kept);
    client_table_free(table);
}

static void is_full_of_the_connected(void **state)
{
    static struct client_entry *entries[5000];
    struct client_table *table = client_table_new();
    struct client_rules rules = one_each;
    unsigned admitted = 0;

    (void)state;
    rules.max_clients = 1600;
    for (uint32_t n = 0; n < 5000; n++) {
        const struct sockaddr_storage client = numbered(n);
        enum client_verdict verdict = client_table_enter(table, &rules, &client, START, &entries[n]);
        assert_true(verdict == CLIENT_ADMITTED || verdict == CLIENT_NO_ROOM);
        admitted += verdict == CLIENT_ADMITTED;
    }
    assert_int_equal(admitted, 1600);
    for (uint32_t n = 0; n < 5000; n++)
        if (entries[n] != NULL)
            client_table_leave(table, entries[n]);
    client_table_free(table);
}

static void forgets_the_idle(void **state)
{
    struct client_table *table = client_table_new();
    struct client_entry *entry;

    (void)state;
    for (uint32_t n = 0; n < 3000; n++) {
        const struct sockaddr_storage client = numbered(n);
        assert_int_equal(client_table_enter(table, &one_each, &client, START, &entry), CLIENT_ADMITTED);
        client_table_leave(table, entry);
    }
    assert_int_equal(client_table_count(table), 3000);
    for (uint32_t n = 10000; n < 13500; n++) {
        const struct sockaddr_storage client = numbered(n);
        assert_int_equal(client_table_enter(table, &one_each, &client, START + CLIENT_TABLE_IDLE_NS, &entry),
                         CLIENT_ADMITTED);
        client_table_leave(table, entry);
    }
    assert_int_equal(client_table_count(table), 3500);
    client_table_free(table);
}

/* --- Threads --- */

#define THREADS 4
#define ROUNDS 20000

struct crowd {
    struct client_table *table;
    unsigned seed;
    unsigned refused;
};

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    struct client_rules rules = one_each;
    struct client_entry *held[8] = {0};

    rules.max_connections = 6;
    rules.max_clients = 1024;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct client_entry **slot = &held[i % 8];
        const struct sockaddr_storage client =
            numbered((crowd->seed = crowd->seed * 1103515245 + 12345) >> 16 & 3);

        if (*slot != NULL)
            client_table_leave(crowd->table, *slot);
        crowd->refused +=
            client_table_enter(crowd->table, &rules, &client, START + i, slot) != CLIENT_ADMITTED;
    }
    for (int i = 0; i < 8; i++)
        if (held[i] != NULL)
            client_table_leave(crowd->table, held[i]);
    return NULL;
}

static void threads_agree(void **state)
{
    struct client_table *table = client_table_new();
    struct crowd crowds[THREADS];
    pthread_t threads[THREADS];
    unsigned refused = 0;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.table = table, .seed = i};
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowds[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        refused += crowds[i].refused;
    }
    assert_true(refused > 0); /* 32 places wanted, 24 to be had */
    /* All are gone: each of the four clients has all its six places. */
    for (uint32_t n = 0; n < 4; n++) {
        const struct sockaddr_storage client = numbered(n);
        struct client_rules rules = one_each;
        struct client_entry *entries[6], *none;

        rules.max_connections = 6;
        for (int i = 0; i < 6; i++)
            assert_int_equal(client_table_enter(table, &rules, &client, START, &entries[i]), CLIENT_ADMITTED);
        assert_int_equal(client_table_enter(table, &rules, &client, START, &none), CLIENT_TOO_MANY);
        for (int i = 0; i < 6; i++)
            client_table_leave(table, entries[i]);
    }
    client_table_free(table);
}

/* --- The gate --- */

static void gate_counts_and_names(void **state)
{
    const struct sockaddr_storage client = address("10.0.0.1"), local = {.ss_family = AF_UNIX};
    const struct gate_rules open = {0};
    const struct gate_rules rules = {
        .max_connections = 2,
        .per_client = true,
        .clients = {.max_connections = 1, .prefix_v4 = 32, .prefix_v6 = 64, .max_clients = 1024},
    };
    struct client_entry *entry, *other;
    struct gate gate;

    (void)state;
    assert_int_equal(gate_init(&gate), 0);
    assert_int_equal(gate_enter(&gate, &open), GATE_PASSED);
    assert_int_equal(gate_enter_client(&gate, &open, &client, 1000, &other), GATE_PASSED);
    assert_null(other);
    /* The one from before the reload counts. */
    assert_int_equal(gate_enter(&gate, &rules), GATE_PASSED);
    assert_int_equal(gate_enter(&gate, &rules), GATE_MAX_CONNECTIONS);
    assert_int_equal(gate_enter_client(&gate, &rules, &client, 1000, &entry), GATE_PASSED);
    assert_non_null(entry);
    assert_int_equal(gate_enter_client(&gate, &rules, &client, 1000, &other),
                     GATE_MAX_CONNECTIONS_PER_CLIENT);
    assert_int_equal(gate_enter_client(&gate, &rules, &local, 1000, &other), GATE_PASSED);
    assert_null(other);
    gate_leave_client(&gate, other);
    gate_leave(&gate);
    assert_int_equal(gate_enter(&gate, &rules), GATE_PASSED);
    gate_leave(&gate);
    gate_leave(&gate);
    gate_leave_client(&gate, entry);
    assert_int_equal(gate.connections, 0);
    assert_int_equal(gate.limited[GATE_MAX_CONNECTIONS], 1);
    assert_int_equal(gate.limited[GATE_MAX_CONNECTIONS_PER_CLIENT], 1);
    assert_int_equal(gate.limited[GATE_CONNECTION_RATE], 0);
    assert_string_equal(gate_limit_name(GATE_CONNECTION_RATE), "connection_rate");
    assert_string_equal(gate_limit_name(GATE_MAX_CLIENTS), "max_clients");
    gate_clear(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_clients_apart),
        cmocka_unit_test(counts_connections),
        cmocka_unit_test(limits_the_rate),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(is_full_of_the_connected),
        cmocka_unit_test(forgets_the_idle),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(gate_counts_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
