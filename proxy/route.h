/* The routes of a listener: which target a connection has, by what it asks for and where it comes from. Built
 * with a generation and never changed. Refuses to know sockets, and how a hello is read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct generation_target;

struct route {
    const struct conf_route *conf; /* borrowed: the conditions */
    char **names;                  /* conf->sni, folded */
    const struct generation_target *target;
};

struct routes {
    struct route *items;
    size_t count;
};

/* What a route is chosen by. */
struct route_facts {
    const struct sockaddr_storage *client;
    bool asked;          /* the hello was looked at: what follows is known. It is empty for what isn't TLS */
    const char *sni;     /* as sent; "" none */
    const uint8_t *alpn; /* protocols, each with its length in front */
    size_t alpn_size;
};

/* Fills routes from conf (borrowed) but for the targets. false: problems says why; routes_clear() it. */
bool routes_init(struct routes *routes, const struct conf_listener *conf, struct conf_problems *problems)
    __attribute__((warn_unused_result));
void routes_clear(struct routes *routes);

enum route_choice {
    ROUTE_FOUND,
    ROUTE_NONE, /* no route matches */
    ROUTE_ASK,  /* it depends on the hello, which wasn't looked at */
};

/* The first route that matches. *chosen is set if FOUND. */
enum route_choice routes_choose(const struct routes *routes, const struct route_facts *facts,
                                const struct route **chosen);
