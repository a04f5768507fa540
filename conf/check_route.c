/* What the keys of a route mean together: one action, and a connection that can come to it.
 * Refuses to know what a host name is (certs does). */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/memory.h"

struct checked {
    const struct conf_listener *listener;
    size_t index;
    struct conf_problems *problems;
};

/* A problem of listeners.NAME.routes[N].KEY; key NULL: of the route as a whole. */
static void __attribute__((format(printf, 4, 5)))
add(const struct checked *checked, struct conf_place place, const char *key, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) == -1) {
        text = memory_strdup("a problem too long to tell");
    }
    va_end(arguments);
    char *path =
        memory_format("routes[%zu]%s%s", checked->index, key != NULL ? "." : "", key != NULL ? key : "");
    check_add_listener(checked->problems, place, checked->listener, path, "%s", text);
    free(path);
    free(text);
}

static void check_action(const struct checked *checked, const struct conf_route *route)
{
    bool files = route->files_place.line != 0, sites = route->sites.place.line != 0;
    const struct {
        const char *key;
        bool given;
    } actions[] = {
        {"proxy", route->proxy_place.line != 0}, {"files", files}, {"sites", sites}, {"deny", route->deny}};
    const char *given[sizeof(actions) / sizeof(actions[0])];
    int count = 0;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (actions[i].given) {
            given[count++] = actions[i].key;
        }
    }
    if (count == 0) {
        add(checked, route->place, NULL,
            "does nothing: add proxy = \"NAME\"; with a name under `backends`, files = \"NAME\"; with one "
            "under `files`, sites = [ \"NAME\" ]; with some under `sites`, or deny = true;");
    } else if (count > 1) {
        add(checked, route->place, NULL,
            "`%s` and `%s` are both given, and a route does one: delete one of them", given[0],
            given[count - 1]);
    }
    if ((files || sites) && checked->listener->tls == NULL && checked->listener->tls_place.line == 0 &&
        (route->sni_count > 0 || route->alpn_count > 0)) {
        add(checked, files ? route->files_place : route->sites.place, files ? "files" : "sites",
            "what has a name (`%s`) is encrypted, and without `tls` only a backend can read it: add tls to "
            "the "
            "listener, or use `proxy`",
            route->sni_count > 0 ? "sni" : "alpn");
    }
}

/* With `tls`, a protocol must be agreed on to be matched. */
static void check_alpn(const struct checked *checked, const struct conf_route *route)
{
    const struct conf_tls *tls = checked->listener->tls;
    if (tls == NULL || route->alpn_count == 0) {
        return;
    }
    for (size_t i = 0; i < route->alpn_count; i++) {
        for (size_t j = 0; j < tls->policy.alpn_count; j++) {
            if (strcmp(route->alpn[i], tls->policy.alpn[j]) == 0) {
                return;
            }
        }
    }
    add(checked, route->alpn_place, "alpn",
        "never matches, since tls.%s.alpn has none of these and so they are never agreed on: add them there",
        tls->name);
}

static void check_sites_of(const struct checked *checked, const struct conf_route *route)
{
    char *path = memory_format("routes[%zu].sites", checked->index);
    check_sites(checked->listener, &route->sites, path, checked->problems);
    free(path);
}

void check_routes(const struct conf_listener *listener, struct conf_problems *problems)
{
    const struct conf_route *last = NULL; /* takes everything */
    for (size_t i = 0; i < listener->route_count; i++) {
        const struct conf_route *route = &listener->routes[i];
        const struct checked checked = {listener, i, problems};
        if (route->place.line == 0) {
            continue; /* not a group: reported */
        }
        if (last != NULL) {
            add(&checked, route->place, NULL,
                "never reached: the route on line %d has no condition and takes everything; put it last",
                last->place.line);
        } else if (route->sni_place.line == 0 && route->alpn_place.line == 0 &&
                   route->source_place.line == 0) {
            last = route;
        }
        check_action(&checked, route);
        check_sites_of(&checked, route);
        check_alpn(&checked, route);
    }
}
