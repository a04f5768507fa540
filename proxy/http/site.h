/* Which site of a listener a host means, which of the site's paths a request is for, and where a redirect
 * goes. Pure. Refuses to know what is answered (sites.h) and who asks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "certs/name.h"
#include "proxy/http/slice.h"
#include "proxy/http/target.h"

#define SITE_NONE SIZE_MAX

/* A host as it stands in Host, an authority or SNI, folded to one spelling: without port and final dot, in
 * lower case; an IPv6 address in brackets, as inet_ntop() writes it. false: no name of a host (encoded
 * characters, an empty label ...); folded is then undefined. */
bool site_host_fold(struct http_slice text, char folded[CERT_NAME_SIZE]) __attribute__((warn_unused_result));
/* The same for a host of the configuration, which has no port and may begin with "*.". */
bool site_host_fold_pattern(const char *text, char folded[CERT_NAME_SIZE])
    __attribute__((warn_unused_result));

/* Folded patterns, each with the number of a site. Zero-initialise. */
struct site_hosts {
    struct site_host {
        char *pattern;
        size_t site;
    } * items;
    size_t count;
};
/* 0, or -1: out of memory. */
int site_hosts_add(struct site_hosts *hosts, const char *pattern, size_t site)
    __attribute__((warn_unused_result));
/* After the last one was added, before the first look-up. */
void site_hosts_sort(struct site_hosts *hosts);
/* The number of the site that has this host, folded: its name itself before a wildcard, of wildcards the
 * longest; "*.example.org" is for "a.example.org" and "a.b.example.org", not for "example.org". SITE_NONE:
 * none has. */
size_t site_hosts_find(const struct site_hosts *hosts, const char *folded);
void site_hosts_clear(struct site_hosts *hosts);

/* A path of a site, compared with what http_target_parse() makes of a request's. */
struct site_path {
    const char *text; /* borrowed: decoded, without slashes at its ends; "" is the root */
    size_t size;
    bool is_exact;     /* that path alone */
    bool is_directory; /* exact: with a slash at its end */
};
/* text: as configured, with its slashes. Borrowed. */
struct site_path site_path_make(const char *text, bool is_exact);
/* By whole segments: "media" is for "media" and "media/x", not for "mediax". */
bool site_path_matches(const struct site_path *path, const struct http_target *target);
/* For qsort: the order in which the first that matches is the one that counts. */
int site_path_order(const void *a, const void *b);

/* Where the client finds what it asked for: base, then the path behind its first `prefix` bytes (which are
 * whole segments) encoded, then the query. base: a URL or a path; of the slash at its end and the one behind
 * it one is left out. The whole line "Location: ...\r\n", to be freed; NULL: out of memory. Nothing that the
 * request has can make another host of it, or another line. */
char *site_location(const char *base, const struct http_target *target, size_t prefix);
