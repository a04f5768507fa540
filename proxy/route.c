/* See route.h. Refuses to know sockets, and how a hello is read. */
#include "proxy/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs/name.h"

static void report_name(const struct conf_listener *listener, size_t index, size_t name,
                        struct conf_problems *problems)
{
    const struct conf_route *route = &listener->routes[index];
    char key[160];

    snprintf(key, sizeof(key), "listeners.%s.routes[%zu].sni[%zu]", listener->name, index, name);
    conf_problem_add(problems, route->sni_place, key,
                     "\"%s\" is not a host name: write \"www.example.org\", or \"*.example.org\" for any one "
                     "label before it",
                     route->sni[name]);
}

static bool fold_names(struct route *route, const struct conf_listener *listener, size_t index,
                       struct conf_problems *problems)
{
    const struct conf_route *conf = route->conf;
    char folded[CERT_NAME_SIZE];
    bool good = true;

    route->names = calloc(conf->sni_count + 1, sizeof(*route->names));
    if (route->names == NULL)
        goto no_memory;
    for (size_t i = 0; i < conf->sni_count; i++) {
        if (!cert_name_fold_pattern(conf->sni[i], strlen(conf->sni[i]), folded)) {
            report_name(listener, index, i, problems);
            good = false;
            continue;
        }
        route->names[i] = strdup(folded);
        if (route->names[i] == NULL)
            goto no_memory;
    }
    return good;

no_memory:
    conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
    return false;
}

bool routes_init(struct routes *routes, const struct conf_listener *conf, struct conf_problems *problems)
{
    bool good = true;

    *routes = (struct routes){.items = calloc(conf->route_count + 1, sizeof(*routes->items))};
    if (routes->items == NULL) {
        conf_problem_add(problems, (struct conf_place){0}, NULL, "out of memory");
        return false;
    }
    for (; routes->count < conf->route_count; routes->count++) {
        struct route *route = &routes->items[routes->count];

        route->conf = &conf->routes[routes->count];
        good = fold_names(route, conf, routes->count, problems) && good;
    }
    return good;
}

void routes_clear(struct routes *routes)
{
    for (size_t i = 0; i < routes->count; i++) {
        struct route *route = &routes->items[i];

        for (size_t j = 0; route->names != NULL && j < route->conf->sni_count; j++)
            free(route->names[j]);
        free(route->names);
    }
    free(routes->items);
    *routes = (struct routes){0};
}

static bool has_name(const struct route *route, const char *sni)
{
    char folded[CERT_NAME_SIZE];

    if (sni[0] == '\0' || !cert_name_fold(sni, strlen(sni), folded))
        return false;
    for (size_t i = 0; i < route->conf->sni_count; i++)
        if (cert_name_match(route->names[i], folded))
            return true;
    return false;
}

static bool has_protocol(const struct conf_route *route, const uint8_t *alpn, size_t size)
{
    for (size_t at = 0; at < size; at += 1u + alpn[at])
        for (size_t i = 0; i < route->alpn_count; i++)
            if (strlen(route->alpn[i]) == alpn[at] && memcmp(route->alpn[i], alpn + at + 1, alpn[at]) == 0)
                return true;
    return false;
}

enum route_choice routes_choose(const struct routes *routes, const struct route_facts *facts,
                                const struct route **chosen)
{
    for (size_t i = 0; i < routes->count; i++) {
        const struct route *route = &routes->items[i];
        const struct conf_route *conf = route->conf;

        if (conf->source.count > 0 && !conf_cidrs_contain(&conf->source, facts->client))
            continue;
        if ((conf->sni_count > 0 || conf->alpn_count > 0) && !facts->asked)
            return ROUTE_ASK;
        if ((conf->sni_count > 0 && !has_name(route, facts->sni)) ||
            (conf->alpn_count > 0 && !has_protocol(conf, facts->alpn, facts->alpn_size)))
            continue;
        *chosen = route;
        return ROUTE_FOUND;
    }
    return ROUTE_NONE;
}
