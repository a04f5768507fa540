/* What the keys of a listener mean together: one target or routes, and a mode that can be had.
 * Refuses to know the other listeners. */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/memory.h"

void check_add_listener(struct conf_problems *problems, struct conf_place place,
                        const struct conf_listener *listener, const char *key, const char *format, ...)
{
    va_list arguments;
    char *path =
        memory_format("listeners.%s%s%s", listener->name, key != NULL ? "." : "", key != NULL ? key : "");
    va_start(arguments, format);
    check_add_at(problems, place, path, format, arguments);
    va_end(arguments);
}

static bool given(struct conf_place place)
{
    return place.line != 0;
}

/* Whether it, or one of its routes, is a proxy; or serves files, by sites or not. */
static bool is_proxy(const struct conf_listener *listener)
{
    bool is = given(listener->proxy_place);
    for (size_t i = 0; i < listener->route_count; i++) {
        is = is || given(listener->routes[i].proxy_place);
    }
    return is;
}

static bool serves_files(const struct conf_listener *listener)
{
    bool serves = given(listener->files_place) || given(listener->sites.place);
    for (size_t i = 0; i < listener->route_count; i++) {
        const struct conf_route *route = &listener->routes[i];
        serves = serves || given(route->files_place) || given(route->sites.place);
    }
    return serves;
}

/* What it does, one way or the other: whichever of two stands later. */
static void report_two(const struct conf_listener *listener, struct conf_problems *problems)
{
    struct conf_place places[] = {listener->proxy_place, listener->files_place, listener->sites.place,
                                  listener->routes_place};
    static const char *const keys[] = {"proxy", "files", "sites", "routes"};
    size_t first = SIZE_MAX, last = SIZE_MAX;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (given(places[i])) {
            first = first == SIZE_MAX || places[i].line < places[first].line ? i : first;
            last = last == SIZE_MAX || places[i].line >= places[last].line ? i : last;
        }
    }
    if (given(listener->routes_place)) {
        check_add_listener(problems, places[last], listener, keys[last],
                           "`%s` and `%s` are both given: delete one, or move `%s` into a last route without "
                           "conditions, for what no other route takes",
                           keys[first], keys[last],
                           given(listener->proxy_place)   ? "proxy"
                           : given(listener->files_place) ? "files"
                                                          : "sites");
    } else {
        check_add_listener(problems, places[last], listener, keys[last],
                           "`%s` and `%s` are both given, and a listener does one: delete one of them",
                           keys[first], keys[last]);
    }
}

static bool check_target(const struct conf_listener *listener, struct conf_problems *problems)
{
    int count = given(listener->proxy_place) + given(listener->files_place) + given(listener->sites.place) +
                given(listener->routes_place);
    if (count > 1) {
        report_two(listener, problems);
    } else if (count == 0) {
        check_add_listener(
            problems, listener->place, listener, NULL,
            "nothing to do: add proxy = \"NAME\"; with a name under `backends`, files = \"NAME\"; with "
            "one under `files`, or sites = [ \"NAME\" ]; with some under `sites`");
    }
    return count == 1;
}

/* The forced mode against what is relayed, without TLS: whether it's worth looking further. */
static bool check_mode_of_target(const struct conf_listener *listener, struct conf_problems *problems)
{
    if (is_proxy(listener) &&
        (listener->relay == CONF_RELAY_SENDFILE || listener->relay == CONF_RELAY_MMAP)) {
        check_add_listener(
            problems, listener->relay_place, listener, "relay",
            "\"%s\" reads files, and a proxy has none: choose \"auto\", \"splice\" or \"copy\"",
            listener->relay == CONF_RELAY_MMAP ? "mmap" : "sendfile");
        return false;
    }
    if (serves_files(listener) && listener->relay == CONF_RELAY_SPLICE) {
        check_add_listener(
            problems, listener->relay_place, listener, "relay",
            "\"splice\" moves from socket to socket, and this listener serves files: choose \"auto\", "
            "\"sendfile\", "
            "\"mmap\" or \"copy\"");
        return false;
    }
    return true;
}

/* The forced mode against encryption in user space: the bytes must be copied through OpenSSL. */
static void check_mode_of_tls(const struct conf_listener *listener, struct conf_problems *problems)
{
    static const char *const names[] = {"auto", "splice", "sendfile", "mmap", "copy"};
    bool user_tls = listener->tls != NULL && listener->tls->ktls == CONF_KTLS_OFF;
    bool forced = listener->relay != CONF_RELAY_AUTO && listener->relay != CONF_RELAY_COPY;
    if (user_tls && forced) {
        check_add_listener(
            problems, listener->relay_place, listener, "relay",
            "\"%s\" can't be had with TLS in user space: choose \"auto\" or \"copy\", or set tls.%s.ktls to "
            "\"auto\" "
            "or \"require\"",
            names[listener->relay], listener->tls->name);
    }
    if (!listener->require_zero_copy) {
        return;
    }
    if (listener->relay == CONF_RELAY_COPY || listener->relay == CONF_RELAY_MMAP) {
        check_add_listener(problems, listener->require_zero_copy_place, listener, "require_zero_copy",
                           "relay = \"%s\" brings every byte into user space: delete one of the two",
                           names[listener->relay]);
    } else if (user_tls) {
        check_add_listener(
            problems, listener->require_zero_copy_place, listener, "require_zero_copy",
            "TLS in user space copies every byte: set tls.%s.ktls to \"auto\" or \"require\", or delete this",
            listener->tls->name);
    }
}

/* Files are served over HTTP/1.1, so a client must be able to settle on it. */
static void check_alpn_of_files(const struct conf_listener *listener, struct conf_problems *problems)
{
    const struct conf_tls_policy *policy = listener->tls != NULL ? &listener->tls->policy : NULL;
    if (policy == NULL || policy->alpn_count == 0 || !serves_files(listener)) {
        return;
    }
    for (size_t i = 0; i < policy->alpn_count; i++) {
        if (strcmp(policy->alpn[i], "http/1.1") == 0) {
            return;
        }
    }
    check_add_listener(
        problems, listener->tls_place, listener, "tls",
        "files are served over \"http/1.1\", which tls.%s.alpn leaves out: add it there, or name "
        "another block under `tls`",
        listener->tls->name);
}

/* The same backend twice is told once. */
static void check_modes_of_server_tls(const struct conf_listener *listener, struct conf_problems *problems)
{
    if (listener->backend != NULL) {
        check_mode_of_server_tls(listener, listener->backend, problems);
    }
    for (size_t i = 0; i < listener->route_count; i++) {
        const struct conf_backend *backend = listener->routes[i].backend;
        size_t j = 0;
        while (j < i && listener->routes[j].backend != backend) {
            j++;
        }
        if (backend != NULL && j == i) {
            check_mode_of_server_tls(listener, backend, problems);
        }
    }
}

void check_listener(const struct conf_listener *listener, struct conf_problems *problems)
{
    if (strcmp(listener->name, "admin") == 0) {
        check_add_listener(problems, listener->place, listener, NULL,
                           "the name is taken by the listener of `admin`: choose another");
    }
    bool one_target = check_target(listener, problems);
    check_routes(listener, problems);
    check_sites(listener, &listener->sites, "sites", problems);
    check_alpn_of_files(listener, problems);
    check_limits(listener, problems);
    check_listening(listener, problems);
    if (one_target && check_mode_of_target(listener, problems)) {
        check_mode_of_tls(listener, problems);
        check_modes_of_server_tls(listener, problems);
    }
    check_filters(listener, problems);
}
