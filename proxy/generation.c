/* See generation.h: translates a conf into what serving needs.
 * Refuses to know sockets, workers and threads. */
#include "proxy/generation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs/connect.h"
#include "certs/store.h"
#include "proxy/filters/filter_set.h"
#include "proxy/http/files.h"
#include "proxy/limits.h"
#include "proxy/tcp_options.h"
#include "proxy/tls_settings.h"
#include "relay/tls_conn.h"

enum store_kind { STORE_STREAM, STORE_HTTP };

static const enum relay_force forces[] = {
    [CONF_RELAY_AUTO] = RELAY_AUTO,
    [CONF_RELAY_SPLICE] = RELAY_FORCE_SPLICE,
    [CONF_RELAY_SENDFILE] = RELAY_FORCE_SENDFILE,
    [CONF_RELAY_MMAP] = RELAY_FORCE_MMAP,
    [CONF_RELAY_COPY] = RELAY_FORCE_COPY,
};

static void report_memory(struct conf_problems *problems)
{
    conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
}

/* --- Certificates --- */

/* Where routes choose, the protocol is agreed on before the route is known: what `alpn` says holds for all of
 * them, and without it HTTP/1.1 is offered if a route may need it. */
static enum store_kind store_kind_of(const struct conf_listener *listener)
{
    bool files = listener->files != NULL;

    for (size_t i = 0; i < listener->route_count; i++)
        files = files || (listener->routes[i].files != NULL && listener->tls->policy.alpn_count == 0);
    return files ? STORE_HTTP : STORE_STREAM;
}

static bool is_used(const struct conf *conf, const struct conf_tls *tls, enum store_kind kind)
{
    for (size_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].tls == tls && store_kind_of(&conf->listeners[i]) == kind)
            return true;
    return false;
}

/* Also certificates that no listener names are read: a mistake in them is told before it matters. */
static bool build_stores(struct generation *generation, const struct generation_options *options,
                         struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->stores = calloc(2 * conf->tls_count + 1, sizeof(struct cert_store *));
    if (generation->stores == NULL) {
        report_memory(problems);
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

static bool build_connects(struct generation *generation, const struct generation_options *options,
                           struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->connects = calloc(conf->backend_count + 1, sizeof(struct cert_connect *));
    if (generation->connects == NULL) {
        report_memory(problems);
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

/* --- Files and backends --- */

static bool build_files(struct generation *generation, struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->files = calloc(conf->files_count + 1, sizeof(struct http_files *));
    if (generation->files == NULL) {
        report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->files_count; i++) {
        const struct conf_files *files = &conf->files[i];
        char key[160];

        generation->files[i] = http_files_new(&(struct http_files_options){
            .root = files->root, .index = files->index, .index_count = files->index_count});
        if (generation->files[i] != NULL)
            continue;
        snprintf(key, sizeof(key), "files.%s.root", files->name);
        conf_problem_add(problems, files->root_place.line != 0 ? files->root_place : files->place, key,
                         "can't open %s: %s", files->root, strerror(errno));
        good = false;
    }
    return good;
}

static bool build_filters(struct generation *generation, const struct generation_options *options,
                          struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->filters = calloc(conf->listener_count + 1, sizeof(struct filter_set *));
    if (generation->filters == NULL) {
        report_memory(problems);
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
        report_memory(problems);
        return false;
    }
    for (; generation->backend_count < conf->backend_count; generation->backend_count++)
        if (backend_init(&generation->backends[generation->backend_count],
                         &conf->backends[generation->backend_count], options->backends, options->resolver,
                         options->worker_count) == -1) {
            report_memory(problems);
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

static struct generation_target *files_target(const struct generation *generation,
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
        report_memory(problems);
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
        target = files_target(generation, &conf->files[i]);
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

static bool build_routes(const struct generation *generation, const struct conf_listener *conf,
                         struct routes *routes, struct conf_problems *problems)
{
    if (!routes_init(routes, conf, problems))
        return false;
    for (size_t i = 0; i < routes->count; i++) {
        const struct conf_route *route = &conf->routes[i];

        routes->items[i].target = route->backend != NULL ? backend_target(generation, route->backend)
                                  : route->files != NULL ? files_target(generation, route->files)
                                                         : deny_target(generation);
    }
    return true;
}

static bool build_listener(struct generation *generation, const struct conf_listener *conf,
                           struct generation_listener *listener, struct conf_problems *problems)
{
    const struct conf *whole = generation->conf;

    listener->name = conf->name;
    listener->conf = conf;
    listener->wanted = &conf->address;
    listener->policy =
        (struct relay_policy){.force = forces[conf->relay], .require_zero_copy = conf->require_zero_copy};
    listener->timeouts = conf->timeouts;
    listener->filters = generation->filters[conf - whole->listeners];
    limits_build(&conf->limits, listener);
    listener->listening = &conf->listening;
    if (conf->tls != NULL) {
        listener->certs = generation->stores[2 * (size_t)(conf->tls - whole->tls) + store_kind_of(conf)];
        listener->ktls = conf->tls->ktls;
    }
    if (conf->route_count > 0)
        return build_routes(generation, conf, &listener->routes, problems);
    listener->target = conf->files != NULL ? files_target(generation, conf->files)
                                           : backend_target(generation, conf->backend);
    return true;
}

static void build_admin(const struct generation *generation, struct generation_listener *listener)
{
    listener->name = GENERATION_ADMIN;
    listener->is_admin = true;
    listener->wanted = &generation->conf->admin;
    listener->timeouts = generation->conf->timeouts;
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
        report_memory(problems);
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
            report_memory(problems);
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
    for (size_t i = 0; generation->files != NULL && i < conf->files_count; i++)
        http_files_free(generation->files[i]);
    free(generation->files);
    for (size_t i = 0; generation->stores != NULL && i < 2 * conf->tls_count; i++)
        if (generation->stores[i] != NULL)
            cert_store_unref(generation->stores[i]);
    free(generation->stores);
    for (size_t i = 0; generation->connects != NULL && i < conf->backend_count; i++)
        cert_connect_free(generation->connects[i]);
    free(generation->connects);
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
        report_memory(problems);
        return NULL;
    }
    atomic_init(&generation->references, 1);
    generation->number = options->number;
    generation->conf = options->conf;
    /* Certificates and directories together: all problems at once. */
    good = build_stores(generation, options, problems);
    good = build_connects(generation, options, problems) && good;
    good = build_files(generation, problems) && good;
    if (options->require_ktls)
        good = try_sockets(generation->conf, problems) && good;
    good = build_filters(generation, options, problems) && good;
    if (good && build_backends(generation, options, problems) &&
        build_targets(generation, options, problems) && build_listeners(generation, options, problems))
        return generation;
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
