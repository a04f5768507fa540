/* See generation.h: translates a conf into what serving needs.
 * Refuses to know sockets, workers and threads. */
#include "proxy/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/filters/filter_set.h"
#include "proxy/generation_parts.h"
#include "proxy/http/files.h"
#include "proxy/limits.h"
#include "proxy/tcp_options.h"

static const enum relay_force forces[] = {
    [CONF_RELAY_AUTO] = RELAY_AUTO,
    [CONF_RELAY_SPLICE] = RELAY_FORCE_SPLICE,
    [CONF_RELAY_SENDFILE] = RELAY_FORCE_SENDFILE,
    [CONF_RELAY_MMAP] = RELAY_FORCE_MMAP,
    [CONF_RELAY_COPY] = RELAY_FORCE_COPY,
};

void generation_report_memory(struct conf_problems *problems)
{
    conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
}

/* --- Filters and backends --- */

static bool build_filters(struct generation *generation, const struct generation_options *options,
                          struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->filters = calloc(conf->listener_count + 1, sizeof(struct filter_set *));
    if (generation->filters == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->listener_count; i++) {
        if (conf->listeners[i].filter_count == 0)
            continue;
        generation->filters[i] = filter_set_new(&(struct filter_set_options){.listener = &conf->listeners[i],
                                                                             .write = options->admin != NULL,
                                                                             .uid = options->file_uid,
                                                                             .gid = options->file_gid},
                                                problems);
        good = good && generation->filters[i] != NULL;
    }
    return good;
}

static bool build_backends(struct generation *generation, const struct generation_options *options,
                           struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;

    generation->backends = calloc(conf->backend_count + 1, sizeof(*generation->backends));
    if (generation->backends == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (; generation->backend_count < conf->backend_count; generation->backend_count++)
        if (backend_init(&generation->backends[generation->backend_count],
                         &conf->backends[generation->backend_count], options->backends, options->resolver,
                         options->worker_count) == -1) {
            generation_report_memory(problems);
            return false;
        }
    for (size_t i = 0; i < conf->backend_count; i++)
        if (conf->backends[i].has_health)
            generation->backends[i].checker = options->checker;
    return true;
}

/* --- Sockets --- */

/* Whether this host lets them be as they are wanted; told before anything is opened. */
static bool try_sockets(const struct conf *conf, struct conf_problems *problems)
{
    bool good = true;
    char key[160];

    for (size_t i = 0; i < conf->listener_count; i++) {
        snprintf(key, sizeof(key), "listeners.%s", conf->listeners[i].name);
        good = tcp_options_try_listening(&conf->listeners[i].listening, key, problems) && good;
    }
    for (size_t i = 0; i < conf->backend_count; i++) {
        snprintf(key, sizeof(key), "backends.%s", conf->backends[i].name);
        good = tcp_options_try_outgoing(&conf->backends[i].outgoing, key, problems) && good;
    }
    return good;
}

/* --- Targets --- */

static struct generation_target *backend_target(const struct generation *generation,
                                                const struct conf_backend *backend)
{
    return &generation->targets[backend - generation->conf->backends];
}

struct generation_target *generation_files_target(const struct generation *generation,
                                                  const struct conf_files *files)
{
    return &generation->targets[generation->conf->backend_count + (size_t)(files - generation->conf->files)];
}

static struct generation_target *admin_target(const struct generation *generation)
{
    return &generation->targets[generation->conf->backend_count + generation->conf->files_count];
}

static struct generation_target *deny_target(const struct generation *generation)
{
    return admin_target(generation) + 1;
}

static bool build_targets(struct generation *generation, const struct generation_options *options,
                          struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    struct generation_target *target;

    generation->targets = calloc(conf->backend_count + conf->files_count + 2, sizeof(*generation->targets));
    if (generation->targets == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->backend_count; i++) {
        target = backend_target(generation, &conf->backends[i]);
        *target = (struct generation_target){.kind = TARGET_PROXY,
                                             .backend = &generation->backends[i],
                                             .secure = generation->connects[i],
                                             .server_tls = &conf->backends[i].tls,
                                             .proxy_header = conf->backends[i].proxy_header};

        snprintf(target->name, sizeof(target->name), "proxy:%s", conf->backends[i].name);
    }
    for (size_t i = 0; i < conf->files_count; i++) {
        target = generation_files_target(generation, &conf->files[i]);
        *target = (struct generation_target){.kind = TARGET_FILES,
                                             .handler = http_files_handler(generation->files[i])};
        snprintf(target->name, sizeof(target->name), "files:%s", conf->files[i].name);
    }
    target = admin_target(generation);
    *target = (struct generation_target){.kind = TARGET_ADMIN, .name = GENERATION_ADMIN};
    if (options->admin != NULL)
        target->handler = *options->admin;
    *deny_target(generation) = (struct generation_target){.kind = TARGET_DENY, .name = "deny"};
    return true;
}

/* --- Listeners --- */

static bool build_routes(struct generation *generation, const struct conf_listener *conf,
                         struct routes *routes, struct conf_problems *problems)
{
    if (!routes_init(routes, conf, problems))
        return false;
    for (size_t i = 0; i < routes->count; i++) {
        const struct conf_route *route = &conf->routes[i];

        if (route->sites.count > 0)
            routes->items[i].target = generation_sites_target(generation, &route->sites, problems);
        else
            routes->items[i].target = route->backend != NULL ? backend_target(generation, route->backend)
                                      : route->files != NULL
                                          ? generation_files_target(generation, route->files)
                                          : deny_target(generation);
        if (routes->items[i].target == NULL)
            return false;
    }
    return true;
}

static bool build_listener(struct generation *generation, const struct conf_listener *conf,
                           struct generation_listener *listener, struct conf_problems *problems)
{
    listener->name = conf->name;
    listener->conf = conf;
    listener->wanted = &conf->address;
    listener->policy =
        (struct relay_policy){.force = forces[conf->relay], .require_zero_copy = conf->require_zero_copy};
    listener->timeouts = conf->timeouts;
    listener->filters = generation->filters[conf - generation->conf->listeners];
    listener->http = limits_http(&conf->http);
    limits_build(&conf->limits, listener);
    listener->listening = &conf->listening;
    if (conf->tls != NULL) {
        listener->certs = generation_store_of(generation, conf);
        listener->ktls = conf->tls->ktls;
    }
    if (conf->route_count > 0)
        return build_routes(generation, conf, &listener->routes, problems);
    if (conf->sites.count > 0)
        listener->target = generation_sites_target(generation, &conf->sites, problems);
    else
        listener->target = conf->files != NULL ? generation_files_target(generation, conf->files)
                                               : backend_target(generation, conf->backend);
    return listener->target != NULL;
}

static void build_admin(const struct generation *generation, struct generation_listener *listener)
{
    listener->name = GENERATION_ADMIN;
    listener->is_admin = true;
    listener->wanted = &generation->conf->admin;
    listener->timeouts = generation->conf->timeouts;
    listener->http = limits_http(&generation->conf->http);
    listener->target = admin_target(generation);
}

static bool build_listeners(struct generation *generation, const struct generation_options *options,
                            struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->listener_count = conf->listener_count + (conf->has_admin ? 1 : 0);
    generation->listeners = calloc(generation->listener_count + 1, sizeof(*generation->listeners));
    if (generation->listeners == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->listener_count; i++)
        good = build_listener(generation, &conf->listeners[i], &generation->listeners[i], problems) && good;
    if (conf->has_admin)
        build_admin(generation, &generation->listeners[conf->listener_count]);
    for (size_t i = 0; i < generation->listener_count; i++) {
        struct generation_listener *listener = &generation->listeners[i];

        listener->stats = stats_registry_listener(options->registry, listener->name);
        if (listener->stats == NULL) {
            generation_report_memory(problems);
            return false;
        }
    }
    return good;
}

/* --- Life --- */

void generation_refresh(struct generation *generation)
{
    for (size_t i = 0; i < generation->backend_count; i++)
        backend_refresh(&generation->backends[i]);
}

void generation_retire(struct generation *generation)
{
    for (size_t i = 0; i < generation->backend_count; i++)
        backend_retire(&generation->backends[i]);
}

/* The last reference may be given back on any thread: it was retired before. */
static void free_parts(struct generation *generation)
{
    const struct conf *conf = generation->conf;

    for (size_t i = 0; generation->listeners != NULL && i < generation->listener_count; i++)
        routes_clear(&generation->listeners[i].routes);
    free(generation->listeners);
    for (size_t i = 0; generation->filters != NULL && i < conf->listener_count; i++)
        filter_set_free(generation->filters[i]);
    free(generation->filters);
    free(generation->targets);
    for (size_t i = 0; i < generation->backend_count; i++)
        backend_clear(&generation->backends[i]);
    free(generation->backends);
    generation_free_files(generation);
    generation_free_tls(generation);
    free(generation);
}

void generation_discard(struct generation *generation)
{
    generation_retire(generation);
    free_parts(generation);
}

struct generation *generation_new(const struct generation_options *options, struct conf_problems *problems)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    bool good;

    if (generation == NULL) {
        generation_report_memory(problems);
        return NULL;
    }
    atomic_init(&generation->references, 1);
    generation->number = options->number;
    generation->conf = options->conf;
    /* Certificates and directories together: all problems at once. */
    good = generation_build_stores(generation, options, problems);
    good = generation_build_connects(generation, options, problems) && good;
    good = generation_build_files(generation, problems) && good;
    if (options->require_ktls)
        good = try_sockets(generation->conf, problems) && good;
    good = build_filters(generation, options, problems) && good;
    if (good && build_backends(generation, options, problems) &&
        build_targets(generation, options, problems) && generation_build_sites(generation, problems) &&
        build_listeners(generation, options, problems)) {
        if (options->warnings != NULL)
            generation_warn_hosts(generation, options->warnings);
        return generation;
    }
    generation_discard(generation);
    return NULL;
}

struct generation *generation_ref(struct generation *generation)
{
    atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
    return generation;
}

void generation_unref(struct generation *generation)
{
    struct conf *conf;

    if (generation == NULL ||
        atomic_fetch_sub_explicit(&generation->references, 1, memory_order_acq_rel) != 1)
        return;
    conf = generation->conf;
    free_parts(generation);
    conf_free(conf);
}

const struct generation_listener *generation_find(const struct generation *generation, const char *name)
{
    for (size_t i = 0; i < generation->listener_count; i++)
        if (strcmp(generation->listeners[i].name, name) == 0)
            return &generation->listeners[i];
    return NULL;
}
