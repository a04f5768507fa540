/* See backend_names.h. Refuses to know how names are looked up and what is done with a server. */
#include "proxy/backend_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/address.h"
#include "proxy/server_set.h"

struct backend_name {
    size_t server; /* its index in the configuration */
    struct resolver_name *name;
    struct name_targets *built; /* a reference: what the last set was built of; main's */
};

struct backend_names {
    const struct conf_backend *conf;
    bool is_retired;
    size_t count;
    struct backend_name items[];
};

static const enum name_family families[] = {
    [CONF_FAMILY_ANY] = NAME_ANY,
    [CONF_FAMILY_IPV4] = NAME_IPV4,
    [CONF_FAMILY_IPV6] = NAME_IPV6,
};

/* "127.0.0.1:5353,[::1]:53"; to be freed. NULL: out of memory. */
static char *join_servers(const struct conf_resolve *resolve)
{
    size_t size = 1, at = 0;
    char *text;

    for (size_t i = 0; i < resolve->server_count; i++)
        size += strlen(resolve->servers[i]) + 1;
    text = calloc(1, size);
    for (size_t i = 0; text != NULL && i < resolve->server_count; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? "," : "", resolve->servers[i]);
    return text;
}

static struct resolver_name *get_name(struct resolver *resolver, const struct conf_address *address,
                                      const struct conf_resolve *resolve, const char *servers)
{
    const struct resolver_spec spec = {
        .text = address->text,
        .question = {.host = address->host,
                     .port = address->port,
                     .srv = address->srv,
                     .family = families[resolve->family],
                     .servers = servers[0] != '\0' ? servers : NULL,
                     .timeout_ms = resolve->timeout_ms},
        .limits = {.interval_min_ms = resolve->interval_min_ms,
                   .interval_max_ms = resolve->interval_max_ms,
                   .hold_ms = resolve->hold_ms},
    };

    return resolver_get(resolver, &spec);
}

struct backend_names *backend_names_new(const struct conf_backend *conf, struct resolver *resolver)
{
    struct backend_names *names = calloc(1, sizeof(*names) + conf->server_count * sizeof(names->items[0]));
    char *servers = join_servers(&conf->resolve);

    if (names == NULL || servers == NULL)
        goto failed;
    names->conf = conf;
    for (size_t i = 0; resolver != NULL && i < conf->server_count; i++) {
        struct backend_name *item = &names->items[names->count];

        if (conf->servers[i].address.host == NULL)
            continue;
        *item = (struct backend_name){
            .server = i, .name = get_name(resolver, &conf->servers[i].address, &conf->resolve, servers)};
        if (item->name == NULL)
            goto failed;
        names->count++;
    }
    free(servers);
    return names;

failed:
    free(servers);
    if (names != NULL)
        backend_names_retire(names);
    backend_names_free(names);
    return NULL;
}

void backend_names_retire(struct backend_names *names)
{
    for (size_t i = 0; !names->is_retired && i < names->count; i++)
        resolver_retire(names->items[i].name);
    names->is_retired = true;
}

void backend_names_free(struct backend_names *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < names->count; i++) {
        name_targets_unref(names->items[i].built);
        resolver_put(names->items[i].name);
    }
    free(names);
}

bool backend_names_changed(const struct backend_names *names)
{
    bool changed = false;

    for (size_t i = 0; i < names->count && !changed; i++) {
        struct name_targets *targets = resolver_name_targets(names->items[i].name);

        changed = targets != names->items[i].built;
        name_targets_unref(targets);
    }
    return changed;
}

/* --- Sets --- */

/* What an entry of a target points to. */
struct address_text {
    struct conf_address address;
    char name[400]; /* "srv:", 253 of a name, and an address */
};

struct entry_list {
    struct server_set_entry *entries;
    struct address_text *texts;
    size_t count;
};

static struct server_set_entry entry_of(const struct conf_server *server)
{
    return (struct server_set_entry){.name = server->name,
                                     .address = &server->address,
                                     .weight = server->weight,
                                     .max_connections = server->max_connections,
                                     .backup = server->backup};
}

static void add_target(struct entry_list *list, const struct conf_server *server,
                       const struct name_targets *targets, size_t index)
{
    const struct name_target *target = &targets->items[index];
    struct address_text *text = &list->texts[list->count];
    struct server_set_entry *entry = &list->entries[list->count++];
    char address[128];

    address_format(&target->addr, target->length, address, sizeof(address));
    snprintf(text->name, sizeof(text->name), "%.*s [%s]", 260, server->name, address);
    text->address = (struct conf_address){.addr = target->addr, .length = target->length};
    *entry = entry_of(server);
    entry->name = text->name;
    entry->host = target->host;
    entry->address = &text->address;
    if (server->address.srv) {
        entry->weight = name_targets_weight(targets, index);
        entry->backup = server->backup || name_targets_tier(targets, index) > 0;
    }
}

static const struct name_targets *targets_of(const struct backend_names *names, size_t server)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->items[i].server == server)
            return names->items[i].built;
    return NULL;
}

/* Takes in what the names stand for now; how many servers that makes at most. */
static size_t look(struct backend_names *names)
{
    size_t most = names->conf->server_count;

    for (size_t i = 0; i < names->count; i++) {
        struct backend_name *item = &names->items[i];

        name_targets_unref(item->built);
        item->built = resolver_name_targets(item->name);
        most += item->built != NULL ? item->built->count : 0;
    }
    return most;
}

struct server_set *backend_names_build(struct backend_names *names, struct backend_shared *shared)
{
    const struct conf_backend *conf = names->conf;
    const size_t most = look(names);
    struct entry_list list = {.entries = calloc(most + 1, sizeof(*list.entries)),
                              .texts = calloc(most + 1, sizeof(*list.texts))};
    struct server_set *set = NULL;

    for (size_t i = 0; list.entries != NULL && list.texts != NULL && i < conf->server_count; i++) {
        const struct conf_server *server = &conf->servers[i];
        const struct name_targets *targets = targets_of(names, i);

        if (server->address.host == NULL)
            list.entries[list.count++] = entry_of(server);
        for (size_t j = 0; targets != NULL && j < targets->count; j++)
            add_target(&list, server, targets, j);
    }
    if (list.entries != NULL && list.texts != NULL)
        set = server_set_new(shared, list.entries, list.count);
    free(list.entries);
    free(list.texts);
    return set;
}

bool backend_names_status(const struct backend_names *names, size_t index, struct backend_name_status *status)
{
    struct name_targets *targets;

    if (index >= names->count)
        return false;
    targets = resolver_name_targets(names->items[index].name);
    *status = (struct backend_name_status){
        .name = names->conf->servers[names->items[index].server].name,
        .addresses = targets != NULL ? targets->count : 0,
        .lookups = resolver_name_status(names->items[index].name),
    };
    name_targets_unref(targets);
    return true;
}
