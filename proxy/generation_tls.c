/* The certificates of a generation: those shown to clients, and TLS to servers.
 * Refuses to know what is done with a connection. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "certs/connect.h"
#include "certs/store.h"
#include "proxy/generation_parts.h"
#include "proxy/tls_settings.h"
#include "relay/tls_conn.h"

enum store_kind { STORE_STREAM, STORE_HTTP };

/* Where routes choose, the protocol is agreed on before the route is known: what `alpn` says holds for all of
 * them, and without it HTTP/1.1 is offered if a route may need it. */
static enum store_kind store_kind_of(const struct conf_listener *listener)
{
    bool files = listener->files != NULL || listener->sites.count > 0;

    for (size_t i = 0; i < listener->route_count; i++) {
        const struct conf_route *route = &listener->routes[i];

        files = files ||
                ((route->files != NULL || route->sites.count > 0) && listener->tls->policy.alpn_count == 0);
    }
    return files ? STORE_HTTP : STORE_STREAM;
}

static bool is_used(const struct conf *conf, const struct conf_tls *tls, enum store_kind kind)
{
    for (size_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].tls == tls && store_kind_of(&conf->listeners[i]) == kind)
            return true;
    return false;
}

bool generation_build_stores(struct generation *generation, const struct generation_options *options,
                             struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->stores = calloc(2 * conf->tls_count + 1, sizeof(struct cert_store *));
    if (generation->stores == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->tls_count; i++) {
        const struct conf_tls *tls = &conf->tls[i];
        const bool http = is_used(conf, tls, STORE_HTTP), stream = is_used(conf, tls, STORE_STREAM) || !http;
        char key[160];

        if (options->require_ktls && tls->ktls == CONF_KTLS_REQUIRE && !tls_kernel_has_ktls()) {
            snprintf(key, sizeof(key), "tls.%s.ktls", tls->name);
            conf_problem_add(
                problems, tls->ktls_place, key,
                "\"require\", but this kernel has no TLS: load the module `tls`, or use \"auto\"");
            good = false;
        }
        if (stream)
            generation->stores[2 * i + STORE_STREAM] =
                tls_settings_store(tls, false, options->tickets, problems);
        /* The same files twice: a problem with them is told once. */
        if (http && (!stream || generation->stores[2 * i + STORE_STREAM] != NULL))
            generation->stores[2 * i + STORE_HTTP] =
                tls_settings_store(tls, true, options->tickets, problems);
        if (generation->stores[2 * i + (http ? STORE_HTTP : STORE_STREAM)] == NULL)
            good = false;
        else if (options->warnings != NULL)
            tls_settings_warn(tls, generation->stores[2 * i + (http ? STORE_HTTP : STORE_STREAM)],
                              options->warnings);
    }
    return good;
}

bool generation_build_connects(struct generation *generation, const struct generation_options *options,
                               struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->connects = calloc(conf->backend_count + 1, sizeof(struct cert_connect *));
    if (generation->connects == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->backend_count; i++) {
        const struct conf_backend *backend = &conf->backends[i];
        char key[160];

        if (!backend->has_tls)
            continue;
        if (options->require_ktls && backend->tls.ktls == CONF_KTLS_REQUIRE && !tls_kernel_has_ktls()) {
            snprintf(key, sizeof(key), "backends.%s.tls.ktls", backend->name);
            conf_problem_add(
                problems, backend->tls.ktls_place, key,
                "\"require\", but this kernel has no TLS: load the module `tls`, or use \"auto\"");
            good = false;
        }
        generation->connects[i] = tls_settings_connect(backend, options->warnings, problems);
        good = good && generation->connects[i] != NULL;
    }
    return good;
}

struct cert_store *generation_store_of(const struct generation *generation,
                                       const struct conf_listener *listener)
{
    return generation->stores[2 * (size_t)(listener->tls - generation->conf->tls) + store_kind_of(listener)];
}

/* Those have no SNI, and are asked for by address while developing, if at all. */
static bool is_address(const char *host)
{
    struct in_addr address;

    return host[0] == '[' || inet_pton(AF_INET, host, &address) == 1;
}

/* key: where the sites stand, "sites". */
static void warn_hosts(const struct generation *generation, const struct conf_listener *listener,
                       const struct conf_sites *sites, const char *key, struct conf_problems *warnings)
{
    const struct cert_store *store = generation_store_of(generation, listener);
    char path[160];

    snprintf(path, sizeof(path), "listeners.%s.%s", listener->name, key);
    for (size_t i = 0; i < sites->count; i++) {
        const struct conf_site *site = sites->items[i];

        for (size_t j = 0; j < site->host_count; j++)
            if (!is_address(site->hosts[j]) && !cert_store_has(store, site->hosts[j]))
                conf_problem_add(
                    warnings, sites->place, path,
                    "warning: no certificate of tls.%s is for \"%s\" of \"%s\": clients are shown "
                    "the first one, and most refuse it; add one to tls.%s.certs",
                    listener->tls->name, site->hosts[j], site->name, listener->tls->name);
    }
}

void generation_warn_hosts(const struct generation *generation, struct conf_problems *warnings)
{
    for (size_t i = 0; i < generation->conf->listener_count; i++) {
        const struct conf_listener *listener = &generation->conf->listeners[i];
        char key[64];

        if (listener->tls == NULL)
            continue;
        warn_hosts(generation, listener, &listener->sites, "sites", warnings);
        for (size_t j = 0; j < listener->route_count; j++) {
            snprintf(key, sizeof(key), "routes[%zu].sites", j);
            warn_hosts(generation, listener, &listener->routes[j].sites, key, warnings);
        }
    }
}

void generation_free_tls(struct generation *generation)
{
    const struct conf *conf = generation->conf;

    for (size_t i = 0; generation->stores != NULL && i < 2 * conf->tls_count; i++)
        if (generation->stores[i] != NULL)
            cert_store_unref(generation->stores[i]);
    free(generation->stores);
    for (size_t i = 0; generation->connects != NULL && i < conf->backend_count; i++)
        cert_connect_free(generation->connects[i]);
    free(generation->connects);
}
