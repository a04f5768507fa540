/* `sluice demo`: everything embedded in one process on 127.0.0.1: a backend, a proxy in front of it, files
 * over http and https, the admin page. Refuses to know how any of it works: it is an operator with a
 * configuration. */
#pragma once

#include <stdbool.h>

#include "proxy/demo_site.h"

struct server;

#define DEMO_PORT 8080u
#define DEMO_PORT_COUNT 5u

enum demo_listener { DEMO_PROXY, DEMO_HTTP, DEMO_HTTPS, DEMO_BACKEND, DEMO_ADMIN };
const char *demo_listener_name(enum demo_listener listener);

struct demo_options {
    bool once;                /* fetch through everything, compare, print the modes, end */
    unsigned port;            /* the first of five; 0: any five */
    const volatile int *stop; /* set by a signal before the server has taken signals over */
};

/* The exit status. */
int demo_run(const struct demo_options *options);

/* Fetches through each listener of a running demo, compares hashes and prints the table of modes that admin
 * tells. The exit status. */
int demo_check(const struct server *server, const struct demo_site *site, const volatile int *stop);
