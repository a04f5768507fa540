/* What the keys of a backend mean together: servers that can be connected to, each once, and settings that
 * have an effect. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/memory.h"

void check_add_backend(struct conf_problems *problems, struct conf_place place,
                       const struct conf_backend *backend, const char *key, const char *format, ...)
{
    va_list arguments;
    char *path = memory_format("backends.%s.%s", backend->name, key);
    va_start(arguments, format);
    check_add_at(problems, place, path, format, arguments);
    va_end(arguments);
}

/* NULL: it can be connected to. */
static const char *find_address_problem(const struct conf_address *address)
{
    if (address->length == 0 || address->addr.ss_family == AF_UNIX) {
        return NULL;
    }
    if (address_port(address) == 0) {
        return "has port 0, to which nothing connects: write the port that the server listens on";
    }
    return address->dual_stack ? "names no host: write the server's, such as \"127.0.0.1:9001\"" : NULL;
}

static void check_server(const struct conf_backend *backend, size_t i, struct conf_problems *problems)
{
    const struct conf_address *address = &backend->servers[i].address;
    const char *problem = find_address_problem(address);
    char *key = memory_format("servers[%zu].address", i);
    if (problem != NULL) {
        check_add_backend(problems, address->place, backend, key, "\"%s\" %s", address->text, problem);
    }
    for (size_t j = 0; j < i && address->length != 0; j++) {
        const struct conf_address *other = &backend->servers[j].address;
        if (other->length != 0 && conf_address_equal(address, other)) {
            check_add_backend(
                problems, address->place, backend, key,
                "\"%s\" is listed already (line %d): delete one; for a larger share, give it a `weight`",
                address->text, other->place.line);
            break;
        }
    }
    free(key);
}

static void check_roles(const struct conf_backend *backend, struct conf_problems *problems)
{
    size_t backups = 0, limited = 0;
    for (size_t i = 0; i < backend->server_count; i++) {
        backups += backend->servers[i].backup;
        limited += backend->servers[i].max_connections_place.line != 0;
    }
    if (backups > 0 && backups == backend->server_count) {
        check_add_backend(problems, backend->place, backend, "servers",
                          "every server is a `backup`: delete it from those that serve from day to day");
    }
    if (backend->queue_place.line != 0 && limited == 0) {
        check_add_backend(
            problems, backend->queue_place, backend, "queue",
            "nobody ever waits, since no server has `max_connections`: give it to the servers, or delete "
            "this");
    }
}

static void check_slow_start(const struct conf_backend *backend, struct conf_problems *problems)
{
    bool hash = backend->balance == CONF_BALANCE_SOURCE_HASH || backend->balance == CONF_BALANCE_MAGLEV;
    if (backend->slow_start_place.line != 0 && hash) {
        check_add_backend(
            problems, backend->slow_start_place, backend, "slow_start",
            "a weight that grows would move clients from server to server, which `balance` = \"%s\" is there "
            "to "
            "avoid: delete this, or choose \"round_robin\", \"least_conn\" or \"random\"",
            backend->balance == CONF_BALANCE_MAGLEV ? "maglev" : "source_hash");
    }
}

void check_backend(const struct conf_backend *backend, struct conf_problems *problems)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        check_server(backend, i, problems);
    }
    check_roles(backend, problems);
    check_slow_start(backend, problems);
    check_health(backend, problems);
    check_server_tls(backend, problems);
}
