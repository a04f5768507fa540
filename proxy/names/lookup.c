/* See lookup.h. Every lookup has channels of its own, so that it sees /etc/resolv.conf as it is now, asks
 * from a fresh port, and ends wholly when it is freed.
 * Refuses to know what the answer is for and when to ask again. */
#include "proxy/names/lookup.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/names/srv_reply.h"

/* A name server that doesn't answer gets a quarter of the time, twice as much when it is asked again. */
#define TRIES 3
#define LOOKUP_TICK_MS 50u

struct watch {
    struct watch *next;
    struct lookup *lookup;
    ares_socket_t fd;
    struct event *event;
};

/* One question for the addresses of a host. */
struct part {
    struct lookup *lookup;
    const struct srv_record *record; /* NULL: the question's own host */
    bool from_hosts;
};

struct lookup {
    struct lookup_options options;
    ares_channel hosts, dns; /* the first knows /etc/hosts only */
    struct watch *watches;
    struct event *tick, *deadline, *ending;
    bool is_freed; /* c-ares calls back when a channel is destroyed: not to be minded */

    struct srv_reply *srv;
    struct part *parts; /* two for each host */
    unsigned pending;   /* questions not yet answered */

    struct name_answer answer;
    struct name_target *targets;
    bool has_failed;
};

/* --- c-ares on libevent --- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;

    ares_process_fd(watch->lookup->dns, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

static struct watch **find_watch(struct lookup *lookup, ares_socket_t fd)
{
    struct watch **link = &lookup->watches;

    while (*link != NULL && (*link)->fd != fd)
        link = &(*link)->next;
    return link;
}

static void drop_watch(struct watch **link)
{
    struct watch *watch = *link;

    *link = watch->next;
    if (watch->event != NULL)
        event_free(watch->event);
    free(watch);
}

/* Level-triggered: c-ares reads until it would block, but nobody promises so. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct lookup *lookup = arg;
    struct watch **link = find_watch(lookup, fd), *watch;
    const short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0) | EV_PERSIST);

    if (*link != NULL)
        drop_watch(link);
    if (!readable && !writable)
        return;
    watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return; /* the question runs into its deadline */
    watch->lookup = lookup;
    watch->fd = fd;
    watch->event = event_new(lookup->options.base, fd, what, on_ready, watch);
    if (watch->event == NULL || event_add(watch->event, NULL) == -1) {
        drop_watch(&watch);
        return;
    }
    watch->next = lookup->watches;
    lookup->watches = watch;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct lookup *lookup = arg;

    (void)fd;
    (void)what;
    ares_process_fd(lookup->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* c-ares's own timers */
}

/* --- The end --- */

static void arm(struct event *event, uint32_t ms)
{
    const struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    event_add(event, &after);
}

/* One turn later, so that c-ares isn't under us when the lookup is freed. */
static void end_soon(struct lookup *lookup)
{
    event_del(lookup->deadline);
    event_del(lookup->tick);
    arm(lookup->ending, 0);
}

static void on_ending(evutil_socket_t fd, short what, void *arg)
{
    struct lookup *lookup = arg;
    struct name_answer *answer = &lookup->answer;

    (void)fd;
    (void)what;
    answer->targets = lookup->targets;
    answer->complete = !lookup->has_failed;
    if (answer->count > 0)
        answer->outcome = NAME_FOUND;
    else
        answer->outcome = lookup->has_failed ? NAME_FAILED : NAME_ABSENT;
    lookup->options.on_end(lookup->options.arg, answer);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct lookup *lookup = arg;

    (void)fd;
    (void)what;
    ares_cancel(lookup->dns); /* each question that is still open ends with ARES_ECANCELLED */
}

static bool is_absent(int status)
{
    return status == ARES_ENOTFOUND || status == ARES_ENODATA;
}

static void note_failure(struct lookup *lookup, int status)
{
    if (is_absent(status))
        return;
    lookup->has_failed = true;
    lookup->answer.detail =
        status == ARES_ECANCELLED || status == ARES_ETIMEOUT ? "no answer in time" : ares_strerror(status);
}

static void note_ttl(struct lookup *lookup, uint32_t ttl_s)
{
    if (ttl_s < lookup->answer.ttl_s)
        lookup->answer.ttl_s = ttl_s;
}

static void answered(struct lookup *lookup)
{
    if (--lookup->pending == 0)
        end_soon(lookup);
}

/* --- Addresses --- */

/* Without a final dot: so it stands in certificates. */
static void take_host(struct name_target *target, const char *host)
{
    size_t length;

    snprintf(target->host, sizeof(target->host), "%s", host);
    length = strlen(target->host);
    if (length > 1 && target->host[length - 1] == '.')
        target->host[length - 1] = '\0';
}

static void take_address(struct lookup *lookup, const struct part *part,
                         const struct ares_addrinfo_node *node)
{
    const struct name_question *question = lookup->options.question;
    const struct srv_record *record = part->record;
    const char *host = record != NULL ? record->host : question->host;
    const in_port_t port = htons(record != NULL ? record->port : question->port);
    struct name_target *target = &lookup->targets[lookup->answer.count];

    if ((question->family == NAME_IPV4 && node->ai_family != AF_INET) ||
        (question->family == NAME_IPV6 && node->ai_family != AF_INET6) ||
        node->ai_addrlen > sizeof(target->addr))
        return;
    if (lookup->answer.count == NAME_TARGETS_MAX) {
        lookup->answer.cut = true;
        return;
    }
    *target = (struct name_target){.weight = 1};
    memcpy(&target->addr, node->ai_addr, node->ai_addrlen);
    target->length = node->ai_addrlen;
    if (node->ai_family == AF_INET)
        ((struct sockaddr_in *)&target->addr)->sin_port = port;
    else if (node->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)&target->addr)->sin6_port = port;
    else
        return;
    if (record != NULL) {
        target->priority = record->priority;
        target->weight = record->weight;
    }
    take_host(target, host);
    lookup->answer.count++;
}

static void take_addresses(struct lookup *lookup, const struct part *part, const struct ares_addrinfo *result)
{
    for (const struct ares_addrinfo_node *node = result->nodes; node != NULL; node = node->ai_next) {
        take_address(lookup, part, node);
        note_ttl(lookup, node->ai_ttl > 0 ? (uint32_t)node->ai_ttl : 0);
    }
    for (const struct ares_addrinfo_cname *cname = result->cnames; cname != NULL; cname = cname->next)
        note_ttl(lookup, cname->ttl > 0 ? (uint32_t)cname->ttl : 0);
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct part *part = arg;
    struct lookup *lookup = part->lookup;

    (void)timeouts;
    if (!lookup->is_freed) {
        if (status == ARES_SUCCESS && result != NULL)
            take_addresses(lookup, part, result);
        else
            note_failure(lookup, status);
    }
    ares_freeaddrinfo(result);
    if (!lookup->is_freed)
        answered(lookup);
}

/* From the file, and so within the call. */
static void on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct part *part = arg;

    (void)timeouts;
    part->from_hosts = status == ARES_SUCCESS && result != NULL;
    if (part->from_hosts)
        take_addresses(part->lookup, part, result);
    ares_freeaddrinfo(result);
}

static void ask_family(struct lookup *lookup, struct part *part, const char *host, int family)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};

    lookup->pending++;
    ares_getaddrinfo(lookup->dns, host, NULL, &hints, on_addresses, part);
}

/* A name in /etc/hosts is not asked for in DNS, as everywhere. The two families are asked for apart: c-ares
 * would pass off one for both when the other one fails. */
static void ask_addresses(struct lookup *lookup, struct part *part)
{
    const struct name_question *question = lookup->options.question;
    const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT | ARES_AI_ENVHOSTS};
    const char *host = part->record != NULL ? part->record->host : question->host;

    ares_getaddrinfo(lookup->hosts, host, NULL, &hints, on_hosts, part);
    if (part->from_hosts)
        return;
    if (question->family != NAME_IPV6)
        ask_family(lookup, part, host, AF_INET);
    if (question->family != NAME_IPV4)
        ask_family(lookup, part, host, AF_INET6);
}

static bool ask_hosts(struct lookup *lookup, size_t count, const struct srv_record *records)
{
    lookup->parts = calloc(count + 1, sizeof(*lookup->parts));
    if (lookup->parts == NULL)
        return false;
    lookup->pending++; /* ours, lest the last answer come before the last question */
    for (size_t i = 0; i < count; i++) {
        lookup->parts[i] = (struct part){.lookup = lookup, .record = records != NULL ? &records[i] : NULL};
        ask_addresses(lookup, &lookup->parts[i]);
    }
    answered(lookup);
    return true;
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *bytes, int size)
{
    struct lookup *lookup = arg;

    (void)timeouts;
    if (lookup->is_freed)
        return;
    if (status == ARES_SUCCESS) {
        if (!srv_reply_parse(bytes, (size_t)size, lookup->srv))
            status = ARES_EBADRESP;
        else if (!ask_hosts(lookup, lookup->srv->count, lookup->srv->records))
            status = ARES_ENOMEM;
    }
    if (status == ARES_SUCCESS) {
        lookup->answer.cut = lookup->srv->cut;
        note_ttl(lookup, lookup->srv->ttl_s);
    } else {
        note_failure(lookup, status);
    }
    answered(lookup);
}

/* --- Life --- */

static int make_channels(struct lookup *lookup)
{
    const struct name_question *question = lookup->options.question;
    char in_file[] = "f", in_dns[] = "b";
    struct ares_options options = {
        .lookups = in_file,
        .timeout = (int)(question->timeout_ms / 4 > 0 ? question->timeout_ms / 4 : 1),
        .tries = TRIES,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = lookup,
        /* The search list belongs to the system's name servers. */
        .flags = question->servers != NULL ? ARES_FLAG_NOSEARCH : 0,
    };
    const int mask =
        ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_FLAGS;

    if (ares_init_options(&lookup->hosts, &options, ARES_OPT_LOOKUPS) != ARES_SUCCESS) {
        lookup->hosts = NULL;
        return -1;
    }
    options.lookups = in_dns;
    if (ares_init_options(&lookup->dns, &options, mask) != ARES_SUCCESS) {
        lookup->dns = NULL;
        return -1;
    }
    if (question->servers != NULL &&
        ares_set_servers_ports_csv(lookup->dns, question->servers) != ARES_SUCCESS)
        return -1;
    return 0;
}

static bool ask(struct lookup *lookup)
{
    const struct name_question *question = lookup->options.question;

    if (!question->srv)
        return ask_hosts(lookup, 1, NULL);
    lookup->pending++;
    if (question->servers != NULL)
        ares_query(lookup->dns, question->host, ns_c_in, ns_t_srv, on_srv, lookup);
    else
        ares_search(lookup->dns, question->host, ns_c_in, ns_t_srv, on_srv, lookup);
    return true;
}

struct lookup *lookup_start(const struct lookup_options *options)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (lookup == NULL)
        return NULL;
    lookup->options = *options;
    lookup->answer.ttl_s = UINT32_MAX;
    lookup->targets = calloc(NAME_TARGETS_MAX + 1, sizeof(*lookup->targets));
    lookup->tick = event_new(options->base, -1, EV_PERSIST, on_tick, lookup);
    lookup->deadline = event_new(options->base, -1, 0, on_deadline, lookup);
    lookup->ending = event_new(options->base, -1, 0, on_ending, lookup);
    if (options->question->srv)
        lookup->srv = malloc(sizeof(*lookup->srv));
    if (lookup->targets == NULL || lookup->tick == NULL || lookup->deadline == NULL ||
        lookup->ending == NULL || (options->question->srv && lookup->srv == NULL) ||
        make_channels(lookup) == -1)
        goto free_lookup;
    arm(lookup->tick, LOOKUP_TICK_MS);
    arm(lookup->deadline, options->question->timeout_ms);
    if (ask(lookup))
        return lookup;

free_lookup:
    lookup_free(lookup);
    return NULL;
}

void lookup_free(struct lookup *lookup)
{
    if (lookup == NULL)
        return;
    lookup->is_freed = true;
    if (lookup->dns != NULL)
        ares_destroy(lookup->dns);
    if (lookup->hosts != NULL)
        ares_destroy(lookup->hosts);
    while (lookup->watches != NULL)
        drop_watch(&lookup->watches);
    if (lookup->tick != NULL)
        event_free(lookup->tick);
    if (lookup->deadline != NULL)
        event_free(lookup->deadline);
    if (lookup->ending != NULL)
        event_free(lookup->ending);
    free(lookup->parts);
    free(lookup->srv);
    free(lookup->targets);
    free(lookup);
}
