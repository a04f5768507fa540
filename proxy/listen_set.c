/* See listen_set.h. Refuses to know what is served. */
#include "proxy/listen_set.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/address.h"
#include "proxy/errlog.h"
#include "proxy/listen_socket.h"
#include "proxy/tcp_options.h"

struct entry {
    TAILQ_ENTRY(entry) link;
    char *name;
    struct conf_address wanted; /* text isn't kept */
    bool single, fresh, kept;
    const struct conf_listening *listening; /* by the last prepare, until its commit */
    struct listen_socket socket;
    char text[128];
};
TAILQ_HEAD(entry_list, entry);

struct listen_set {
    unsigned worker_count;
    struct entry_list entries;
    struct entry **wants; /* by the last prepare */
    size_t want_count;
};

struct listen_set *listen_set_new(unsigned worker_count)
{
    struct listen_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    set->worker_count = worker_count;
    TAILQ_INIT(&set->entries);
    return set;
}

static void entry_free(struct entry *entry)
{
    listen_socket_close(&entry->socket);
    free(entry->name);
    free(entry);
}

static void close_where(struct listen_set *set, bool (*matches)(const struct entry *entry))
{
    struct entry *entry, *next;

    for (entry = TAILQ_FIRST(&set->entries); entry != NULL; entry = next) {
        next = TAILQ_NEXT(entry, link);
        if (!matches(entry))
            continue;
        TAILQ_REMOVE(&set->entries, entry, link);
        entry_free(entry);
    }
}

static bool is_any(const struct entry *entry)
{
    return entry != NULL;
}

static bool is_fresh(const struct entry *entry)
{
    return entry->fresh;
}

static bool is_unwanted(const struct entry *entry)
{
    return !entry->kept;
}

void listen_set_free(struct listen_set *set)
{
    if (set == NULL)
        return;
    close_where(set, is_any);
    free(set->wants);
    free(set);
}

static bool asks_for_any_port(const struct conf_address *address)
{
    struct sockaddr_in6 in6;

    /* sin_port and sin6_port stand at the same place. */
    memcpy(&in6, &address->addr, sizeof(in6));
    return address->addr.ss_family != AF_UNIX && in6.sin6_port == 0;
}

static struct entry *find(struct listen_set *set, const struct listen_want *want)
{
    struct entry *entry;

    TAILQ_FOREACH(entry, &set->entries, link)
    if (entry->single == want->single && conf_address_equal(&entry->wanted, want->address) &&
        (!asks_for_any_port(want->address) || strcmp(entry->name, want->name) == 0))
        return entry;
    return NULL;
}

static struct entry *open_entry(struct listen_set *set, const struct listen_want *want,
                                struct conf_problems *problems)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    char problem[512] = "out of memory";

    if (entry != NULL)
        entry->name = strdup(want->name);
    if (entry == NULL || entry->name == NULL ||
        listen_socket_open(&entry->socket, want->address, want->listening,
                           want->single ? 1 : set->worker_count, problem, sizeof(problem)) == -1) {
        conf_problem_add(problems, want->address->place, want->key, "%s", problem);
        if (entry != NULL)
            free(entry->name);
        free(entry);
        return NULL;
    }
    entry->wanted = *want->address;
    entry->wanted.text = NULL;
    entry->single = want->single;
    entry->fresh = true;
    address_format(&entry->socket.bound, entry->socket.bound_length, entry->text, sizeof(entry->text));
    TAILQ_INSERT_TAIL(&set->entries, entry, link);
    return entry;
}

bool listen_set_prepare(struct listen_set *set, const struct listen_want *wants, size_t count,
                        struct conf_problems *problems)
{
    struct entry **found = calloc(count + 1, sizeof(struct entry *));
    struct entry *entry;
    bool good = found != NULL;

    if (!good)
        conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
    TAILQ_FOREACH(entry, &set->entries, link)
    entry->fresh = entry->kept = false;
    /* All of them, to tell all problems at once. */
    for (size_t i = 0; found != NULL && i < count; i++) {
        found[i] = find(set, &wants[i]);
        if (found[i] == NULL)
            found[i] = open_entry(set, &wants[i], problems);
        if (found[i] != NULL) {
            found[i]->kept = true;
            found[i]->listening = wants[i].listening;
        }
        good = good && found[i] != NULL;
    }
    if (!good) {
        close_where(set, is_fresh);
        free(found);
        return false;
    }
    free(set->wants);
    set->wants = found;
    set->want_count = count;
    return true;
}

/* The settings of a descriptor that stays can't be tried before: what the kernel refuses is told. */
static void apply_settings(struct entry *entry)
{
    char problem[512];

    if (!entry->fresh &&
        listen_socket_apply(&entry->socket, entry->listening, problem, sizeof(problem)) == -1)
        errlog("listener %s: %s", entry->name, problem);
    if (entry->listening != NULL && entry->listening->tcp.fast_open_queue != 0 &&
        tcp_options_fast_open_problem(true) != NULL)
        errlog("listener %s: tcp.fast_open %s", entry->name, tcp_options_fast_open_problem(true));
}

void listen_set_commit(struct listen_set *set)
{
    struct entry *entry;

    close_where(set, is_unwanted);
    TAILQ_FOREACH(entry, &set->entries, link)
    {
        apply_settings(entry);
        entry->fresh = false;
        entry->listening = NULL;
    }
}

void listen_set_abort(struct listen_set *set)
{
    close_where(set, is_fresh);
    set->want_count = 0;
}

int listen_set_fd(const struct listen_set *set, size_t want, unsigned worker)
{
    const struct entry *entry = set->wants[want];

    if (entry->wanted.addr.ss_family == AF_UNIX && !entry->single)
        return entry->socket.fds[0];
    return worker < entry->socket.count ? entry->socket.fds[worker] : -1;
}

const char *listen_set_address(const struct listen_set *set, size_t want)
{
    return set->wants[want]->text;
}

bool listen_set_is_fresh(const struct listen_set *set, size_t want)
{
    return set->wants[want]->fresh;
}
