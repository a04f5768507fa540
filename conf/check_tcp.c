/* What the keys of sockets mean together: none for TCP on a UNIX address, none for UNIX on TCP, and addresses
 * to connect from that can be connected from. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/address.h"
#include "conf/check.h"
#include "conf/memory.h"

bool conf_source_parse(const char *text, struct conf_address *address)
{
    const char *problem;
    char *with_port = memory_format(strchr(text, ':') != NULL ? "[%s]:0" : "%s:0", text);
    bool good = text[0] != '\0' && address_parse(with_port, NULL, address, &problem);

    free(with_port);
    return good;
}

bool conf_mode_parse(const char *text, unsigned *mode)
{
    size_t length = strspn(text, "01234567");

    if (text[length] != '\0' || length < 3 || length > 4 || (length == 4 && text[0] != '0')) {
        return false;
    }
    *mode = (unsigned)strtoul(text, NULL, 8);
    return true;
}

/* The first key of `tcp` that was given; NULL: none was. */
static const char *first_given(const struct conf_tcp *tcp, struct conf_place *place)
{
    const struct {
        const char *key;
        const struct conf_place *place;
    } keys[] = {
        {"tcp.keepalive", &tcp->keepalive_place},       {"tcp.user_timeout", &tcp->user_timeout_place},
        {"tcp.congestion", &tcp->congestion_place},     {"tcp.fast_open", &tcp->fast_open_place},
        {"tcp.fast_open", &tcp->fast_open_queue_place},
    };
    const char *first = NULL;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].place->line != 0 && (first == NULL || keys[i].place->line < place->line)) {
            first = keys[i].key;
            *place = *keys[i].place;
        }
    }
    return first;
}

void check_listening(const struct conf_listener *listener, struct conf_problems *problems)
{
    const struct conf_listening *listening = &listener->listening;
    const struct {
        const char *key;
        const struct conf_place *place;
    } owned[] = {
        {"unix_mode", &listening->unix_mode_place},
        {"unix_user", &listening->unix_user_place},
        {"unix_group", &listening->unix_group_place},
    };
    const bool is_unix = listener->address.addr.ss_family == AF_UNIX;
    struct conf_place place = {0};
    const char *key = first_given(&listening->tcp, &place);
    unsigned mode;

    if (is_unix && key != NULL) {
        check_add_listener(problems, place, listener, key,
                           "this listens on a UNIX socket, which has no TCP: delete it");
    }
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        if (!is_unix && listener->address.length != 0 && owned[i].place->line != 0) {
            check_add_listener(problems, *owned[i].place, listener, owned[i].key,
                               "this listens on TCP, where there is no file to own: delete it, or use a "
                               "unix: address");
        }
    }
    if (listening->unix_mode != NULL && !conf_mode_parse(listening->unix_mode, &mode)) {
        check_add_listener(problems, listening->unix_mode_place, listener, "unix_mode",
                           "\"%s\" is no file mode: write three octal digits, such as \"0660\"",
                           listening->unix_mode);
    }
}

static void add(struct conf_problems *problems, struct conf_place place, const struct conf_backend *backend,
                const char *key, const char *text)
{
    char *path = memory_format("backends.%s.%s", backend->name, key);

    conf_problem_add(problems, place, path, "%s", text);
    free(path);
}

static bool is_all_unix(const struct conf_backend *backend)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        if (backend->servers[i].address.addr.ss_family != AF_UNIX) {
            return false;
        }
    }
    return backend->server_count != 0;
}

static void check_source(const struct conf_backend *backend, struct conf_problems *problems)
{
    const struct conf_outgoing *outgoing = &backend->outgoing;
    struct conf_address source;

    if (!conf_source_parse(outgoing->source, &source)) {
        char *text = memory_format("\"%s\" is no address: write one of this host's without a port, such as "
                                   "\"127.0.0.2\" or \"::1\"",
                                   outgoing->source);
        add(problems, outgoing->source_place, backend, "source", text);
        free(text);
        return;
    }
    for (size_t i = 0; i < backend->server_count; i++) {
        const struct conf_address *server = &backend->servers[i].address;
        if ((server->addr.ss_family == AF_INET || server->addr.ss_family == AF_INET6) &&
            server->addr.ss_family != source.addr.ss_family) {
            char *text = memory_format(
                "the server \"%s\" can't be reached from it, one is IPv4 and the other IPv6: put "
                "that server into a backend of its own",
                server->text);
            add(problems, outgoing->source_place, backend, "source", text);
            free(text);
            break;
        }
    }
    conf_address_clear(&source);
}

void check_outgoing(const struct conf_backend *backend, struct conf_problems *problems)
{
    const struct conf_outgoing *outgoing = &backend->outgoing;
    struct conf_place place = {0};
    const char *key = first_given(&outgoing->tcp, &place);

    if (key == NULL && outgoing->source != NULL) {
        key = "source";
        place = outgoing->source_place;
    } else if (key == NULL && outgoing->transparent) {
        key = "transparent";
        place = outgoing->transparent_place;
    }
    if (key != NULL && is_all_unix(backend)) {
        add(problems, place, backend, key, "every server is a UNIX socket, which has no TCP: delete it");
        return;
    }
    if (outgoing->source != NULL && outgoing->transparent) {
        add(problems, outgoing->source_place, backend, "source",
            "`transparent` connects from the client's address: delete one of the two");
    } else if (outgoing->source != NULL) {
        check_source(backend, problems);
    }
}

/* Who steps down keeps no more than it names. */
void check_transparent(const struct conf *conf, struct conf_problems *problems)
{
    bool keeps = conf->user == NULL;

    for (size_t i = 0; i < conf->capability_count; i++) {
        keeps = keeps || strcmp(conf->capabilities[i], "net_admin") == 0;
    }
    for (size_t i = 0; i < conf->backend_count && !keeps; i++) {
        const struct conf_backend *backend = &conf->backends[i];
        if (backend->name != NULL && backend->outgoing.transparent) {
            add(problems, backend->outgoing.transparent_place, backend, "transparent",
                "needs a capability that is given up with root: add \"net_admin\" to `capabilities`");
        }
    }
}
