/* A generation: everything that serving needs, built from one conf and never changed afterwards; the only
 * translator from conf to runtime. Reference-counted: a connection pins the one it began with, so a reload
 * never changes the rules under it. Refuses to know sockets, workers and threads. Readable from any thread
 * that holds a reference. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/backend.h"
#include "proxy/gate.h"
#include "proxy/http/http_conn.h"
#include "proxy/route.h"
#include "proxy/stats_registry.h"
#include "relay/bucket.h"
#include "relay/mode.h"

struct cert_connect;
struct cert_store;
struct filter_set;
struct http_files;
struct http_site;
struct http_sites;
struct resolver;
struct ticket_keys;

#define GENERATION_ADMIN "admin"   /* the admin listener's name */
#define GENERATION_ADDRESS_MAX 128 /* "unix:" and sun_path fit */

enum target_kind { TARGET_PROXY, TARGET_FILES, TARGET_ADMIN, TARGET_DENY };

/* What is done with a connection. There is one for each backend and each `files`, one for each list of sites,
 * one for admin, and one that refuses: whoever chooses (a listener, a route) points to it. */
struct generation_target {
    enum target_kind kind;
    char name[80];               /* for reports: "proxy:NAME", "files:NAME", "sites", "admin", "deny" */
    struct backend *backend;     /* PROXY */
    struct cert_connect *secure; /* PROXY: TLS to its servers; NULL: plain */
    const struct conf_server_tls *server_tls; /* goes with it */
    enum conf_proxy_header proxy_header;      /* PROXY: what its servers are sent first */
    struct http_handler handler;              /* FILES (sites too) and ADMIN */
};

struct generation_listener {
    const char *name; /* as configured, or GENERATION_ADMIN */
    bool is_admin;
    const struct generation_target *target; /* NULL: one of the routes has it */
    struct routes routes;
    const struct conf_listener *conf;       /* for who may connect, and who is in front; NULL: admin */
    const struct conf_address *wanted;      /* as configured */
    const struct conf_listening *listening; /* NULL: admin's */
    char
        address[GENERATION_ADDRESS_MAX]; /* as bound: the real port; set before the generation is published */
    struct relay_policy policy;
    struct conf_timeouts timeouts;
    struct gate_rules limits;
    struct http_limits http;
    struct bucket_rate bandwidth[2]; /* by enum session_direction; rate 0: none */
    struct cert_store *certs;        /* NULL: plain */
    enum conf_ktls ktls;
    const struct filter_set *filters; /* NULL: none */
    const struct stats_listener *stats;
};

/* The sites of a listener or a route, and the target that they are. */
struct generation_sites {
    struct http_sites *sites;
    struct generation_target target;
};

struct generation {
    _Atomic unsigned references;
    uint64_t number;                       /* 1, 2, ... by reload */
    struct conf *conf;                     /* owned */
    struct generation_listener *listeners; /* in the order of the conf; admin, if there is one, last */
    size_t listener_count;
    struct backend *backends;
    size_t backend_count;
    struct cert_connect **connects; /* by conf->backends; NULL where they are plain */
    struct cert_store **stores;     /* two per tls block: with and without ALPN http/1.1; NULL where unused */
    struct http_files **files;      /* by conf->files */
    struct http_site **sites;       /* by conf->sites */
    struct generation_sites *site_lists; /* room for those of all listeners and routes */
    size_t site_list_count;
    struct filter_set **filters;       /* by conf->listeners; NULL where there are none */
    struct generation_target *targets; /* the backends', the files', admin's, and the one that refuses */
};

struct generation_options {
    struct conf *conf; /* taken on success */
    uint64_t number;
    unsigned worker_count;
    struct stats_registry *registry;   /* borrowed, outlives the generation */
    struct backend_registry *backends; /* likewise */
    struct checker *checker;           /* likewise; NULL: servers aren't checked */
    struct resolver *resolver;        /* likewise; NULL: names of servers stand for nothing (checking only) */
    struct ticket_keys *tickets;      /* likewise; NULL: no session tickets */
    const struct http_handler *admin; /* NULL: checking only */
    unsigned file_uid, file_gid;      /* whom files that it creates are given to (captures); -1: stay */
    struct conf_problems *warnings;   /* what loads and should be known all the same; NULL: not told */
    bool require_ktls;                /* hold ktls = "require" against this kernel (not for `check`),
 and the settings of sockets */
};

/* NULL: problems says why, FILE:LINE and key included (a certificate that can't be read ...). */
struct generation *generation_new(const struct generation_options *options, struct conf_problems *problems);
/* A name of its backends stands for something else: they get the servers by it. Main thread. */
void generation_refresh(struct generation *generation);
/* It was replaced or has served its time: names aren't looked up for it any more. Owed before the last
 * reference is given back. Main thread. */
void generation_retire(struct generation *generation);
/* Undoes generation_new() before anybody else holds a reference: the conf is the caller's again. */
void generation_discard(struct generation *generation);
struct generation *generation_ref(struct generation *generation); /* any thread */
void generation_unref(struct generation *generation);             /* any thread; NULL: nothing */

/* NULL: no such listener. */
const struct generation_listener *generation_find(const struct generation *generation, const char *name);
