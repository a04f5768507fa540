/* The servers of all backends, by backend, name and address, for the life of the process: what is known of a
 * server (statistics, failures) is shared by every server set that names it, so it survives a reload and a
 * change of names. Refuses to know sets, configuration and how servers are reached. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>

#include "conf/conf.h"
#include "proxy/backend_queue.h"
#include "proxy/stats.h"

struct backend_registry;

/* One backend's name, whatever generation it is of. */
struct backend_shared {
    SLIST_ENTRY(backend_shared) link; /* the registry's, under its lock; so is `servers` */
    SLIST_HEAD(, backend_server) servers;
    struct backend_registry *registry;
    _Atomic unsigned references;
    char *name;
    _Atomic bool began; /* a first set is there: servers that come later are new */
    struct backend_queue queue;
};

/* What is known of whether a server can be used. */
enum backend_condition {
    BACKEND_UP,      /* nothing is known against it */
    BACKEND_EJECTED, /* connections fared badly lately */
    BACKEND_DOWN,    /* its health check says so */
};

/* One server of it: immutable but for atomics. */
struct backend_server {
    SLIST_ENTRY(backend_server) link;
    struct backend_shared *backend; /* a reference */
    _Atomic unsigned references;
    char *host; /* the name whose address it is; NULL: it was written as an address */
    char *name; /* unique among a set's servers: it stands for the server in logs and metrics */
    struct conf_address address; /* a copy; its text is the name */
    struct server_stats stats;
    _Atomic uint64_t avoid_until_ms; /* loop_now_ms(): after a failure others are preferred for a moment */
    _Atomic bool is_checked;
    _Atomic uint64_t check_result; /* health_result_pack() of the last one */
    _Atomic uint64_t checked_ms;
    _Atomic bool down;                               /* its health check's word */
    _Atomic unsigned connect_failures, early_resets; /* in a row */
    _Atomic uint64_t ejected_until_ms, ejected_for_ms;
    _Atomic uint64_t ejections;
    _Atomic uint64_t up_since_ms; /* 0: as long as we are */
};

/* NULL: out of memory. */
struct backend_registry *backend_registry_new(void);
/* Where what an operator should know of is told; before anybody else has the registry. */
void backend_registry_on_note(struct backend_registry *registry, void (*note)(void *arg, const char *line),
                              void *arg);
void backend_registry_note(const struct backend_registry *registry, const char *line);
/* When nobody holds a reference any more. NULL: nothing. */
void backend_registry_free(struct backend_registry *registry);

/* Found or made, with a reference for the caller. NULL: out of memory. */
struct backend_shared *backend_shared_get(struct backend_registry *registry, const char *name);
struct backend_shared *backend_shared_ref(struct backend_shared *backend);
void backend_shared_unref(struct backend_shared *backend); /* NULL: nothing */

/* The same for a server of it. It is forgotten, with its figures, when neither a set nor a connection refers
 * to it any more. */
struct backend_server *backend_server_get(struct backend_shared *backend, const char *name, const char *host,
                                          const struct conf_address *address);
struct backend_server *backend_server_ref(struct backend_server *server);
void backend_server_unref(struct backend_server *server); /* NULL: nothing */

/* What its certificate has to be for: as configured, else the host name it was found by, else its address.
 * "": nothing is known (a UNIX socket, which `check` lets pass unverified only). configured: NULL where
 * nothing is. */
void backend_server_tls_name(const struct backend_server *server, const char *configured, char *name,
                             size_t size);

enum backend_condition backend_server_condition(const struct backend_server *server, uint64_t now_ms);
/* Since when it can be used, or could before it was ejected; 0: as long as we are. For slow_start. */
uint64_t backend_server_up_since(const struct backend_server *server);

/* How long a server that failed is tried only after the others. */
#define BACKEND_AVOID_MS 1000u

/* --- What befalls it, from any worker --- */

/* A connection is about to be made: it counts as one of the server's until backend_server_released(). Takes a
 * reference. */
void backend_server_occupy(struct backend_server *server);
/* It came to nothing, or has ended: whoever waits for a place is woken. Gives the reference back. */
void backend_server_vacate(struct backend_server *server);
/* The outcome of a connect. */
void backend_server_connected(struct backend_server *server);
void backend_server_failed(struct backend_server *server, uint64_t now_ms);
/* What health checks say now. Coming up clears what connections said against it. */
void backend_server_checked(struct backend_server *server, bool down, uint64_t now_ms);
/* Whether it is said to be up: by checks if there are any, else by the last connect. */
bool backend_server_is_up(const struct backend_server *server, uint64_t now_ms);
/* A connection that was connected() has ended: vacates as well. */
void backend_server_released(struct backend_server *server);
