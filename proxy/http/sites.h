/* The sites of a listener: answers a request by its host and path, with the files of a path, a redirect or a
 * status. A request for another site than the one that TLS was set up for is told so (421).
 * Refuses to know files (their handler answers) and how hosts and paths are compared (site.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/http/http_conn.h"

struct http_site;
struct http_sites;

/* What is done beneath one path. All of it is borrowed. */
struct http_site_path {
    const char *path; /* as configured, with its slashes */
    bool is_exact;    /* that path alone; else all that is beneath it */
    /* One of three: */
    const struct http_handler *handler; /* whose files are served */
    const char *redirect;               /* where the client is sent, with `status` */
    int status;                         /* alone: all that is answered */

    const char *target; /* for reports: what answers, "files:NAME" */
    bool strip;         /* handler: without the path's own segments */
    bool append;        /* redirect: with what the request has behind the path, and its query */
};

struct http_site_options {
    const char *name;
    char *const *hosts; /* as configured; none: for every host that no other site has */
    size_t host_count;
    const char *canonical; /* the host that requests for others are redirected to; NULL: none */
    unsigned https_port;   /* where requests in the clear are redirected to; 0: they aren't */
    const struct http_site_path *paths;
    size_t path_count;
};

enum http_site_fault {
    HTTP_SITE_GOOD,
    HTTP_SITE_MEMORY,
    HTTP_SITE_HOST,      /* hosts[index] is no name of a host */
    HTTP_SITE_CANONICAL, /* likewise, or it is none of the hosts */
};
/* NULL: *fault says why, *index which host. Strings are borrowed, `paths` is copied. Immutable: any number of
 * workers may use one. */
struct http_site *http_site_new(const struct http_site_options *options, enum http_site_fault *fault,
                                size_t *index);
void http_site_free(struct http_site *site); /* NULL: nothing */

/* Of these sites, borrowed, at most one without hosts, no host twice. NULL: out of memory. */
struct http_sites *http_sites_new(const struct http_site *const *sites, size_t count);
/* No exchange may be outstanding. NULL: nothing. */
void http_sites_free(struct http_sites *sites);

/* Borrows sites. */
struct http_handler http_sites_handler(const struct http_sites *sites);
