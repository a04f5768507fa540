/* What is needed to look names up: servers' names that can be connected to, name servers that are addresses,
 * intervals that contain something. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/memory.h"

/* With or without a port. */
static bool is_name_server(const char *text)
{
    struct conf_address address;
    const char *problem = NULL;
    bool bare = text[0] == '[' ? text[strlen(text) - 1] == ']' : strchr(text, ':') == NULL;
    char *whole = bare ? memory_format("%s:53", text) : memory_strdup(text);
    bool good = address_parse(whole, NULL, &address, &problem);
    free(whole);
    if (good) {
        good = address.addr.ss_family != AF_UNIX && !address.dual_stack && address_port(&address) != 0;
        conf_address_clear(&address);
    }
    return good;
}

/* `path`: "resolve" or "backends.app.resolve"; place: where keys without one of their own stand. */
static void check_resolve(const struct conf_resolve *resolve, const char *path,
                          struct conf_problems *problems)
{
    for (size_t i = 0; i < resolve->server_count; i++) {
        if (!is_name_server(resolve->servers[i])) {
            char *key = memory_format("%s.servers[%zu]", path, i);
            conf_problem_add(problems, resolve->servers_place, key,
                             "\"%s\" is not the address of a name server: write it in numbers, such as "
                             "\"127.0.0.1:5353\", or \"[::1]\" for port 53",
                             resolve->servers[i]);
            free(key);
        }
    }
    /* 0: it could not be read, and that was reported. One of the two is given, or the defaults would hold. */
    if (resolve->interval_max_ms != 0 && resolve->interval_min_ms > resolve->interval_max_ms) {
        bool min_given = resolve->interval_min_place.line != 0;
        char *key = memory_format("%s.%s", path, min_given ? "interval_min" : "interval_max");
        if (min_given) {
            conf_problem_add(problems, resolve->interval_min_place, key,
                             "longer than interval_max, which is %u ms: make it shorter, or that one longer",
                             (unsigned)resolve->interval_max_ms);
        } else {
            conf_problem_add(problems, resolve->interval_max_place, key,
                             "shorter than interval_min, which is %u ms: make it longer, or that one shorter",
                             (unsigned)resolve->interval_min_ms);
        }
        free(key);
    }
}

static bool is_same_name(const struct conf_address *a, const struct conf_address *b)
{
    return a->host != NULL && b->host != NULL && strcasecmp(a->host, b->host) == 0 && a->port == b->port &&
           a->srv == b->srv;
}

static void check_servers(const struct conf_backend *backend, struct conf_problems *problems)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        const struct conf_address *address = &backend->servers[i].address;
        char *path = memory_format("backends.%s.servers[%zu].address", backend->name, i);
        if (address->host != NULL && !address->srv && address->port == 0) {
            conf_problem_add(problems, address->place, path,
                             "\"%s\" has port 0, to which nothing connects: write the port that the server "
                             "listens on",
                             address->text);
        }
        for (size_t j = 0; j < i; j++) {
            if (is_same_name(&backend->servers[j].address, address)) {
                conf_problem_add(
                    problems, address->place, path,
                    "\"%s\" stands here twice (line %d): each of its addresses is a server already; "
                    "delete one of the two",
                    address->text, backend->servers[j].address.place.line);
                break;
            }
        }
        free(path);
    }
}

void check_names(const struct conf *conf, struct conf_problems *problems)
{
    check_resolve(&conf->resolve, "resolve", problems);
    for (size_t i = 0; i < conf->backend_count; i++) {
        const struct conf_backend *backend = &conf->backends[i];
        if (backend->name == NULL) {
            continue;
        }
        check_servers(backend, problems);
        if (backend->resolve_place.line != 0) {
            char *path = memory_format("backends.%s.resolve", backend->name);
            check_resolve(&backend->resolve, path, problems);
            free(path);
        }
    }
}
