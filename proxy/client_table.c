/* See client_table.h. A shard is a hash table of chains, and a list of its idle clients, longest first.
 * Refuses to know sockets, names and what follows from a refusal. */
#include "proxy/client_table.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

/* More than the workers of a large machine meet in at once; each is a lock, a list and its chains. */
#define SHARDS 16u
/* Chains of a shard at first; doubled when there are as many clients. */
#define CHAINS_MIN 16u
/* Idle clients forgotten in passing: two for each that comes, so the table shrinks while traffic goes on. */
#define FORGET_PER_CALL 2

struct client_key {
    uint64_t high, low; /* IPv4: as ::ffff:a.b.c.d */
};

struct client_entry {
    struct client_entry *next; /* in its chain */
    TAILQ_ENTRY(client_entry) idle;
    struct client_key key;
    struct bucket bucket;
    uint64_t left_ns; /* when its last connection ended */
    unsigned connections;
    unsigned shard;
};
TAILQ_HEAD(idle_list, client_entry);

struct shard {
    pthread_mutex_t mutex;
    struct client_entry **chains;
    size_t chain_count, count; /* chain_count: a power of two */
    struct idle_list idle;     /* no connection; the longest idle first */
    uint64_t last_ns;          /* of the latest arrival: client_table_leave() has no clock */
};

struct client_table {
    uint64_t secret[2]; /* nobody can aim at one chain */
    struct shard shards[SHARDS];
};

/* --- Keys --- */

static uint64_t read_be64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* The upper `bits` of 64 bits; 0: none. */
static uint64_t mask64(unsigned bits)
{
    return bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits);
}

static struct client_key make_key(const struct sockaddr_storage *address, const struct client_rules *rules)
{
    static const uint64_t mapped = UINT64_C(0xffff) << 32;
    struct client_key key = {0, 0};
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    if (address->ss_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        key.low = mapped | ntohl(in.sin_addr.s_addr);
    } else {
        memcpy(&in6, address, sizeof(in6));
        key.high = read_be64(in6.sin6_addr.s6_addr);
        key.low = read_be64(in6.sin6_addr.s6_addr + 8);
    }
    if (key.high == 0 && key.low >> 32 == 0xffff) {
        key.low &= mapped | (mask64(32 + rules->prefix_v4) & UINT32_MAX);
    } else {
        key.high &= mask64(rules->prefix_v6);
        key.low &= rules->prefix_v6 > 64 ? mask64(rules->prefix_v6 - 64) : 0;
    }
    return key;
}

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

/* SipHash's round (Aumasson and Bernstein 2012). */
static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 of the two words: clients choose their addresses (a /48 is 65,536 clients), and must not be
 * able to choose the chain. */
static uint64_t hash(const struct client_table *table, const struct client_key *key)
{
    const uint64_t words[3] = {key->high, key->low, UINT64_C(16) << 56};
    uint64_t v[4] = {
        table->secret[0] ^ UINT64_C(0x736f6d6570736575), table->secret[1] ^ UINT64_C(0x646f72616e646f6d),
        table->secret[0] ^ UINT64_C(0x6c7967656e657261), table->secret[1] ^ UINT64_C(0x7465646279746573)};

    for (int i = 0; i < 3; i++) {
        v[3] ^= words[i];
        sip_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- A shard, its lock held --- */

static struct client_entry **chain_of(const struct client_table *table, struct shard *shard,
                                      const struct client_key *key)
{
    return &shard->chains[hash(table, key) / SHARDS & (shard->chain_count - 1)];
}

static struct client_entry *find(const struct client_table *table, struct shard *shard,
                                 const struct client_key *key)
{
    struct client_entry *entry = *chain_of(table, shard, key);

    while (entry != NULL && (entry->key.high != key->high || entry->key.low != key->low))
        entry = entry->next;
    return entry;
}

/* Twice the chains; goes on with those it has if there is no memory. */
static void grow(const struct client_table *table, struct shard *shard)
{
    struct client_entry **old = shard->chains, *entry, *next, **chain;
    const size_t old_count = shard->chain_count;
    struct client_entry **fresh = calloc(2 * old_count, sizeof(struct client_entry *));

    if (fresh == NULL)
        return;
    shard->chains = fresh;
    shard->chain_count = 2 * old_count;
    for (size_t i = 0; i < old_count; i++)
        for (entry = old[i]; entry != NULL; entry = next) {
            next = entry->next;
            chain = chain_of(table, shard, &entry->key);
            entry->next = *chain;
            *chain = entry;
        }
    free(old);
}

/* An idle one. */
static void forget(const struct client_table *table, struct shard *shard, struct client_entry *entry)
{
    struct client_entry **link = chain_of(table, shard, &entry->key);

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    TAILQ_REMOVE(&shard->idle, entry, idle);
    shard->count--;
    free(entry);
}

static void forget_old(const struct client_table *table, struct shard *shard, uint64_t now_ns)
{
    struct client_entry *oldest;

    for (int i = 0; i < FORGET_PER_CALL; i++) {
        oldest = TAILQ_FIRST(&shard->idle);
        if (oldest == NULL || oldest->left_ns + CLIENT_TABLE_IDLE_NS > now_ns)
            return;
        forget(table, shard, oldest);
    }
}

/* A new one, idle; in the place of the longest idle if the shard is full, of several after a reload that has
 * lowered `most`. NULL: no room. */
static struct client_entry *add(const struct client_table *table, struct shard *shard,
                                const struct client_key *key, size_t most)
{
    struct client_entry *entry, **chain;

    while (shard->count >= most && !TAILQ_EMPTY(&shard->idle))
        forget(table, shard, TAILQ_FIRST(&shard->idle));
    if (shard->count >= most)
        return NULL;
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    if (shard->count >= shard->chain_count)
        grow(table, shard);
    chain = chain_of(table, shard, key);
    entry->key = *key;
    entry->shard = (unsigned)(shard - table->shards);
    entry->next = *chain;
    *chain = entry;
    TAILQ_INSERT_TAIL(&shard->idle, entry, idle);
    shard->count++;
    return entry;
}

static enum client_verdict judge(struct client_entry *entry, const struct client_rules *rules,
                                 uint64_t now_ns)
{
    if (rules->max_connections != 0 && entry->connections >= rules->max_connections)
        return CLIENT_TOO_MANY;
    if (rules->rate.rate != 0 && !bucket_try(&entry->bucket, &rules->rate, now_ns))
        return CLIENT_TOO_FAST;
    return CLIENT_ADMITTED;
}

/* --- The table --- */

struct client_table *client_table_new(void)
{
    struct client_table *table = calloc(1, sizeof(*table));

    if (table == NULL)
        return NULL;
    if (getrandom(table->secret, sizeof(table->secret), 0) != (ssize_t)sizeof(table->secret))
        abort(); /* can't fail once the kernel's pool is up */
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];

        pthread_mutex_init(&shard->mutex, NULL);
        TAILQ_INIT(&shard->idle);
        shard->chain_count = CHAINS_MIN;
        shard->chains = calloc(CHAINS_MIN, sizeof(struct client_entry *));
        if (shard->chains == NULL) {
            client_table_free(table);
            return NULL;
        }
    }
    return table;
}

void client_table_free(struct client_table *table)
{
    struct client_entry *entry;

    if (table == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &table->shards[i];

        if (shard->chains == NULL)
            continue;
        while ((entry = TAILQ_FIRST(&shard->idle)) != NULL)
            forget(table, shard, entry);
        free(shard->chains);
        pthread_mutex_destroy(&shard->mutex);
    }
    free(table);
}

enum client_verdict client_table_enter(struct client_table *table, const struct client_rules *rules,
                                       const struct sockaddr_storage *address, uint64_t now_ns,
                                       struct client_entry **entry)
{
    const struct client_key key = make_key(address, rules);
    struct shard *shard = &table->shards[hash(table, &key) % SHARDS];
    enum client_verdict verdict = CLIENT_NO_ROOM;
    struct client_entry *found;

    pthread_mutex_lock(&shard->mutex);
    shard->last_ns = now_ns;
    forget_old(table, shard, now_ns);
    found = find(table, shard, &key);
    if (found == NULL)
        found = add(table, shard, &key, (rules->max_clients + SHARDS - 1) / SHARDS);
    if (found != NULL)
        verdict = judge(found, rules, now_ns);
    if (verdict == CLIENT_ADMITTED && found->connections++ == 0)
        TAILQ_REMOVE(&shard->idle, found, idle);
    pthread_mutex_unlock(&shard->mutex);
    *entry = verdict == CLIENT_ADMITTED ? found : NULL;
    return verdict;
}

void client_table_leave(struct client_table *table, struct client_entry *entry)
{
    struct shard *shard = &table->shards[entry->shard];

    pthread_mutex_lock(&shard->mutex);
    if (--entry->connections == 0) {
        entry->left_ns = shard->last_ns;
        TAILQ_INSERT_TAIL(&shard->idle, entry, idle);
    }
    pthread_mutex_unlock(&shard->mutex);
}

size_t client_table_count(struct client_table *table)
{
    size_t count = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&table->shards[i].mutex);
        count += table->shards[i].count;
        pthread_mutex_unlock(&table->shards[i].mutex);
    }
    return count;
}
