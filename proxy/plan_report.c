/* Runs relay's plan over every pair of ends that a listener can come to have.
 * Refuses to know sockets and certificates. */
#include "proxy/plan_report.h"

#include <string.h>

#include "proxy/route_text.h"
#include "relay/plan.h"

/* Per cipher one, and one for the connection that the kernel refuses although it could. */
#define SIDES_MAX (2 * PROBE_CIPHER_COUNT)

struct sides {
    struct plan_side items[SIDES_MAX];
    size_t count;
};

/* One line of the report in the making: first come, best case. */
struct entry {
    enum relay_crypto source_crypto, sink_crypto;
    enum relay_mode modes[RELAY_MODE_COUNT];
    enum relay_reason reasons[RELAY_REASON_COUNT], refusals[RELAY_REASON_COUNT];
    size_t mode_count, reason_count, refusal_count;
};

struct entries {
    struct entry items[RELAY_CRYPTO_COUNT * RELAY_CRYPTO_COUNT];
    size_t count;
};

static void add_side(struct sides *sides, const struct plan_side *side)
{
    for (size_t i = 0; i < sides->count; i++) {
        const struct plan_side *have = &sides->items[i];

        if (have->crypto == side->crypto && have->user_reason == side->user_reason)
            return;
    }
    sides->items[sides->count++] = *side;
}

/* Whether a suite with this cipher is among those configured for the version. */
static bool speaks_cipher(const struct conf_tls_policy *policy, enum probe_version version,
                          enum probe_cipher cipher)
{
    static const char *const marks[PROBE_CIPHER_COUNT][PROBE_VERSION_COUNT] = {
        [PROBE_AES128_GCM] = {"AES128-GCM", "AES_128_GCM"},
        [PROBE_AES256_GCM] = {"AES256-GCM", "AES_256_GCM"},
        [PROBE_CHACHA20_POLY1305] = {"CHACHA20", "CHACHA20"},
    };
    const enum conf_tls_version wanted = version == PROBE_TLS13 ? CONF_TLS_1_3 : CONF_TLS_1_2;

    for (size_t i = 0; i < policy->suite_count; i++) {
        if (conf_tls_suite_version(policy->suites[i]) == wanted &&
            strstr(policy->suites[i], marks[cipher][version]) != NULL)
            return true;
    }
    return policy->suite_count == 0;
}

/* One end that speaks TLS, as configured. */
struct tls_end {
    const struct probe *probe;
    const struct conf_tls_policy *policy;
    enum conf_ktls ktls;
    bool connects; /* to a server: see below */
};

/* What that end can be under this TLS version, over all its ciphers. */
static struct sides tls_sides(const struct tls_end *end, enum probe_version version, bool transmit)
{
    const struct probe_ktls *ciphers = end->probe->ktls[version];
    struct sides sides = {.count = 0};

    if (end->ktls == CONF_KTLS_OFF) {
        add_side(&sides, &(struct plan_side){PLAN_SOCKET, RELAY_CRYPTO_USER, RELAY_REASON_KTLS_OFF});
        return sides;
    }
    for (int cipher = 0; cipher < PROBE_CIPHER_COUNT; cipher++) {
        const struct probe_ktls *ktls = &ciphers[cipher];
        struct plan_side side = {.kind = PLAN_SOCKET, .crypto = RELAY_CRYPTO_KTLS};

        if (!ktls->handshake || !speaks_cipher(end->policy, version, (enum probe_cipher)cipher))
            continue;
        if (transmit ? !ktls->tx : !ktls->rx) {
            side.crypto = RELAY_CRYPTO_USER;
            side.user_reason = transmit ? ktls->tx_reason : ktls->rx_reason;
        }
        add_side(&sides, &side);
        /* Kernel fact: a client that half-closed during the handshake leaves a socket that the kernel won't
         * take over, so a connection may lack what its cipher could have. The reason is then tls_conn's. */
        if (side.crypto == RELAY_CRYPTO_KTLS) {
            side.crypto = RELAY_CRYPTO_USER;
            side.user_reason =
                cipher == PROBE_CHACHA20_POLY1305 ? RELAY_REASON_KTLS_CIPHER : RELAY_REASON_KERNEL_REFUSED;
            add_side(&sides, &side);
            /* What comes first from a server, tickets among it, is OpenSSL's to read. */
            if (end->connects && !transmit && version == PROBE_TLS13) {
                side.user_reason = RELAY_REASON_KTLS_RX_TLS13;
                add_side(&sides, &side);
            }
        }
    }
    if (sides.count == 0)
        add_side(&sides, &(struct plan_side){PLAN_SOCKET, RELAY_CRYPTO_USER, RELAY_REASON_KTLS_CIPHER});
    return sides;
}

static struct entry *find_entry(struct entries *entries, enum relay_crypto source, enum relay_crypto sink)
{
    struct entry *entry;

    for (size_t i = 0; i < entries->count; i++) {
        entry = &entries->items[i];
        if (entry->source_crypto == source && entry->sink_crypto == sink)
            return entry;
    }
    entry = &entries->items[entries->count++];
    *entry = (struct entry){.source_crypto = source, .sink_crypto = sink};
    return entry;
}

static void add_reason(enum relay_reason *reasons, size_t *count, enum relay_reason reason)
{
    for (size_t i = 0; i < *count; i++) {
        if (reasons[i] == reason)
            return;
    }
    reasons[(*count)++] = reason;
}

static void add_choice(struct entries *entries, const struct plan_choice *choice)
{
    struct entry *entry = find_entry(entries, choice->source_crypto, choice->sink_crypto);

    if (choice->refused) {
        add_reason(entry->refusals, &entry->refusal_count, choice->reason);
        return;
    }
    add_reason(entry->reasons, &entry->reason_count, choice->reason);
    for (size_t i = 0; i < entry->mode_count; i++) {
        if (entry->modes[i] == choice->mode)
            return;
    }
    entry->modes[entry->mode_count++] = choice->mode;
}

/* What holds for a direction whatever its ends are. */
struct terms {
    struct relay_policy policy;
    enum plan_filters filters;
    bool must_ktls; /* `ktls = "require"`, so that a client's end without it is never used */
};

static void add_pair(struct entries *entries, const struct plan_side *source, const struct plan_side *sink,
                     const struct terms *terms)
{
    struct plan_choice choices[PLAN_CHOICES_MAX];
    size_t count = plan_enumerate(source, sink, terms->filters, &terms->policy, choices, PLAN_CHOICES_MAX);

    for (size_t i = 0; i < count; i++) {
        if (terms->must_ktls && sink->crypto == RELAY_CRYPTO_USER) {
            choices[i].refused = true;
            choices[i].reason = sink->user_reason;
        }
        add_choice(entries, &choices[i]);
    }
}

static json_t *reasons_to_json(const enum relay_reason *reasons, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(relay_reason_name(reasons[i])));
    return array;
}

static json_t *modes_to_json(const enum relay_mode *modes, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(relay_mode_name(modes[i])));
    return array;
}

/* Where in the report an entry belongs. */
struct heading {
    const char *listener, *route, *tls_version, *server_tls_version, *direction;
};

static void append_entries(json_t *report, const struct heading *heading, const struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->items[i];

        json_array_append_new(
            report, json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:o, s:s, s:s, s:o, s:o}", "listener",
                              heading->listener, "route", heading->route, "tls_version", heading->tls_version,
                              "server_tls_version", heading->server_tls_version, "direction",
                              heading->direction, "modes", modes_to_json(entry->modes, entry->mode_count),
                              "source_crypto", relay_crypto_name(entry->source_crypto), "sink_crypto",
                              relay_crypto_name(entry->sink_crypto), "reasons",
                              reasons_to_json(entry->reasons, entry->reason_count), "refusals",
                              reasons_to_json(entry->refusals, entry->refusal_count)));
    }
}

static const struct plan_side plain_socket = {PLAN_SOCKET, RELAY_CRYPTO_NONE, RELAY_REASON_PASSTHROUGH};
static const struct plan_side plain_file = {PLAN_FILE, RELAY_CRYPTO_NONE, RELAY_REASON_PASSTHROUGH};
static const struct plan_side memory = {PLAN_MEMORY, RELAY_CRYPTO_NONE, RELAY_REASON_PASSTHROUGH};
static const struct plan_side stream = {PLAN_STREAM, RELAY_CRYPTO_NONE, RELAY_REASON_PASSTHROUGH};

static struct relay_policy listener_policy(const struct conf_listener *listener)
{
    static const enum relay_force forces[] = {
        [CONF_RELAY_AUTO] = RELAY_AUTO,
        [CONF_RELAY_SPLICE] = RELAY_FORCE_SPLICE,
        [CONF_RELAY_SENDFILE] = RELAY_FORCE_SENDFILE,
        [CONF_RELAY_MMAP] = RELAY_FORCE_MMAP,
        [CONF_RELAY_COPY] = RELAY_FORCE_COPY,
    };

    return (struct relay_policy){.force = forces[listener->relay],
                                 .require_zero_copy = listener->require_zero_copy};
}

/* What the filters of a listener want of one direction. */
static enum plan_filters plan_filters_of(const struct conf_listener *listener,
                                         enum conf_filter_direction direction)
{
    enum plan_filters filters = PLAN_FILTERS_NONE;

    for (size_t i = 0; i < listener->filter_count; i++) {
        if (!conf_filter_reads(&listener->filters[i], direction))
            continue;
        if (listener->filters[i].type == CONF_FILTER_SUBSTITUTE)
            return PLAN_FILTERS_TRANSFORM;
        filters = PLAN_FILTERS_INSPECT;
    }
    return filters;
}

/* What one of a connection's two ends can be, under one version of TLS or none (version NULL). */
struct end_sides {
    const char *version;
    struct sides tx, rx; /* as a sink and as a source */
    bool must_ktls;
};

/* All that an end can be: in the clear (policy NULL), or each version of TLS that it speaks. */
struct end_list {
    struct end_sides items[PROBE_VERSION_COUNT];
    size_t count;
};

static struct end_list list_end(const struct tls_end *end)
{
    const struct sides plain = {.items = {plain_socket}, .count = 1};
    struct end_list list = {.count = 0};

    if (end->policy == NULL)
        list.items[list.count++] = (struct end_sides){.tx = plain, .rx = plain};
    for (int version = 0; end->policy != NULL && version < PROBE_VERSION_COUNT; version++) {
        const enum probe_version probed = (enum probe_version)version;

        if (!conf_tls_speaks(end->policy, version == PROBE_TLS13 ? CONF_TLS_1_3 : CONF_TLS_1_2))
            continue;
        list.items[list.count++] = (struct end_sides){.version = probe_version_name(probed),
                                                      .tx = tls_sides(end, probed, true),
                                                      .rx = tls_sides(end, probed, false),
                                                      .must_ktls = end->ktls == CONF_KTLS_REQUIRE};
    }
    return list;
}

/* One listener under one version of its clients' TLS, or none. */
struct subject {
    json_t *report;
    const struct probe *probe;
    const struct conf_listener *listener;
    const struct end_sides *client;
};

/* What is read from: files, those that are compressed on the way, and what is made in memory where there is
 * none; files NULL: the latter alone. */
static void report_http(const struct subject *subject, const char *route, const struct conf_files *files)
{
    const struct end_sides *client = subject->client;
    const struct terms terms = {.policy = listener_policy(subject->listener),
                                .filters = plan_filters_of(subject->listener, CONF_FILTER_TO_CLIENT),
                                .must_ktls = client->must_ktls};
    const struct heading heading = {.listener = subject->listener->name,
                                    .route = route,
                                    .tls_version = client->version,
                                    .direction = "to_client"};
    const bool streams = files != NULL && files->has_compress && plan_allows_stream(&terms.policy);
    struct entries to_client = {.count = 0};

    for (size_t i = 0; i < client->tx.count; i++) {
        if (files != NULL)
            add_pair(&to_client, &plain_file, &client->tx.items[i], &terms);
        if (streams)
            add_pair(&to_client, &stream, &client->tx.items[i], &terms);
        add_pair(&to_client, &memory, &client->tx.items[i], &terms);
    }
    append_entries(subject->report, &heading, &to_client);
}

/* route: what leads to them, or "". */
static void report_sites(const struct subject *subject, const char *route, const struct conf_sites *sites)
{
    char text[512];
    const size_t start = (size_t)snprintf(text, sizeof(text), "%s%s", route, route[0] != '\0' ? " " : "");

    for (size_t i = 0; i < sites->count; i++) {
        const struct conf_site *site = sites->items[i];

        if (site->redirect_https && subject->client->version == NULL) {
            site_describe(site, NULL, text + start, sizeof(text) - start);
            report_http(subject, text, NULL);
            continue;
        }
        for (size_t j = 0; j < site->path_count; j++) {
            site_describe(site, &site->paths[j], text + start, sizeof(text) - start);
            report_http(subject, text, site->paths[j].files);
        }
    }
}

static void add_pairs(struct entries *entries, const struct sides *sources, const struct sides *sinks,
                      const struct terms *terms)
{
    for (size_t i = 0; i < sources->count; i++)
        for (size_t j = 0; j < sinks->count; j++)
            add_pair(entries, &sources->items[i], &sinks->items[j], terms);
}

static void report_proxy_over(const struct subject *subject, const char *route,
                              const struct end_sides *server)
{
    const struct end_sides *client = subject->client;
    struct terms terms = {.policy = listener_policy(subject->listener),
                          .filters = plan_filters_of(subject->listener, CONF_FILTER_TO_CLIENT),
                          .must_ktls = client->must_ktls};
    struct heading heading = {.listener = subject->listener->name,
                              .route = route,
                              .tls_version = client->version,
                              .server_tls_version = server->version,
                              .direction = "to_client"};
    struct entries to_client = {.count = 0}, to_server = {.count = 0};

    add_pairs(&to_client, &server->rx, &client->tx, &terms);
    append_entries(subject->report, &heading, &to_client);
    terms.filters = plan_filters_of(subject->listener, CONF_FILTER_TO_SERVER);
    terms.must_ktls = server->must_ktls;
    add_pairs(&to_server, &client->rx, &server->tx, &terms);
    heading.direction = "to_server";
    append_entries(subject->report, &heading, &to_server);
}

static void report_proxy(const struct subject *subject, const char *route, const struct conf_backend *backend)
{
    const struct tls_end end = {.probe = subject->probe,
                                .policy = backend->has_tls ? &backend->tls.policy : NULL,
                                .ktls = backend->tls.ktls,
                                .connects = true};
    const struct end_list servers = list_end(&end);

    for (size_t i = 0; i < servers.count; i++)
        report_proxy_over(subject, route, &servers.items[i]);
}

/* A route that moves nothing has one entry without modes. */
static void report_denied(const struct subject *subject, const char *route)
{
    struct entries none = {.count = 0};
    const struct heading heading = {.listener = subject->listener->name,
                                    .route = route,
                                    .tls_version = subject->client->version,
                                    .direction = "to_server"};

    (void)find_entry(&none, RELAY_CRYPTO_NONE, RELAY_CRYPTO_NONE);
    append_entries(subject->report, &heading, &none);
}

static void report_subject(const struct subject *subject)
{
    const struct conf_listener *listener = subject->listener;
    char text[256];

    if (listener->sites.count > 0) {
        report_sites(subject, "", &listener->sites);
    } else if (listener->route_count == 0) {
        snprintf(text, sizeof(text), "%s:%s", listener->files != NULL ? "files" : "proxy",
                 listener->files != NULL ? listener->files->name : listener->backend->name);
        if (listener->files != NULL)
            report_http(subject, text, listener->files);
        else
            report_proxy(subject, text, listener->backend);
    }
    for (size_t i = 0; i < listener->route_count; i++) {
        const struct conf_route *route = &listener->routes[i];

        route_describe(route, text, sizeof(text));
        if (route->deny)
            report_denied(subject, text);
        else if (route->sites.count > 0)
            report_sites(subject, text, &route->sites);
        else if (route->files != NULL)
            report_http(subject, text, route->files);
        else
            report_proxy(subject, text, route->backend);
    }
}

json_t *plan_report_build(const struct conf *conf, const struct probe *probe)
{
    json_t *report = json_array();

    for (size_t i = 0; report != NULL && i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        const struct tls_end end = {.probe = probe,
                                    .policy = listener->tls != NULL ? &listener->tls->policy : NULL,
                                    .ktls = listener->tls != NULL ? listener->tls->ktls : CONF_KTLS_AUTO};
        const struct end_list clients = list_end(&end);

        for (size_t j = 0; j < clients.count; j++)
            report_subject(&(struct subject){report, probe, listener, &clients.items[j]});
    }
    return report;
}
