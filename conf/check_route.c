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
    bool proxy = route->proxy_place.line != 0, files = route->files_place.line != 0;
    int count = proxy + files + route->deny;
    if (count == 0) {
        add(checked, route->place, NULL,
            "does nothing: add proxy = \"NAME\"; with a name under `backends`, files = \"NAME\"; with one "
            "under "
            "`files`, or deny = true;");
    } else if (count > 1) {
        add(checked, route->place, NULL,
            "`%s` and `%s` are both given, and a route does one: delete one of them",
            proxy ? "proxy" : "files", route->deny ? "deny" : "files");
    }
    if (files && checked->listener->tls == NULL && checked->listener->tls_place.line == 0 &&
        (route->sni_count > 0 || route->alpn_count > 0)) {
        add(checked, route->files_place, "files",
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
        check_alpn(&checked, route);
    }
}
