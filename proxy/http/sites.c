/* From a request's host to a site, from its path to what is done. Everything that a redirect names was
 * configured, but for the host of one that keeps it: that is reflected where it is one of the site's own.
 * Refuses to look a file up. */
#include "proxy/http/sites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/hand_on.h"
#include "proxy/http/request.h"
#include "proxy/http/site.h"
#include "relay/tls_facts.h"

struct path {
    struct site_path match; /* first: site_path_order() sorts by it */
    struct http_site_path action;
};

struct http_site {
    const char *name;
    struct site_hosts hosts; /* its own, number 0 */
    bool is_default;         /* for hosts that no other site has */
    bool has_canonical;
    char canonical[CERT_NAME_SIZE]; /* folded */
    unsigned https_port;            /* 0: requests in the clear are served */
    struct path *paths;
    size_t path_count;
};

struct http_sites {
    const struct http_site **items;
    struct site_hosts hosts;          /* numbers: in items */
    const struct http_site *fallback; /* for hosts that none has; NULL: there is none */
};

/* --- Hosts --- */

/* Which site it is for; NULL: none. host: where it is one of the site's own, folded; else "". */
static const struct http_site *site_of(const struct http_sites *sites, struct http_slice name,
                                       char host[CERT_NAME_SIZE])
{
    size_t index = site_host_fold(name, host) ? site_hosts_find(&sites->hosts, host) : SITE_NONE;
    if (index != SITE_NONE)
        return sites->items[index];
    host[0] = '\0';
    return sites->fallback;
}

/* What the client calls us: RFC 9112 3.2.2, an absolute target counts and Host doesn't. HTTP/1.0 may name no
 * host; then it is the one that TLS was set up for. */
static struct http_slice host_of(const struct http_request *request, const char *sni)
{
    if (request->resolved.authority.at)
        return request->resolved.authority;
    return request->host.at ? request->host : (struct http_slice){sni, strlen(sni)};
}

/* --- Redirects --- */

static void redirect(struct http_exchange *exchange, int status, char *line)
{
    http_exchange_set_target(exchange, "redirect");
    http_respond_status(exchange, line ? status : 503, line);
    free(line);
}

/* The port of the address it connected to, if it named that in its request: then clients reach us by it,
 * whatever stands between. Others are not repeated: a cache might keep the redirect for everyone. */
static unsigned own_port(const struct http_exchange *exchange, struct http_slice host)
{
    char text[8];
    const unsigned port = http_exchange_port(exchange);
    int size = snprintf(text, sizeof(text), ":%u", port);
    bool named = host.size > (size_t)size && memcmp(host.at + host.size - size, text, (size_t)size) == 0;
    return named ? port : 0;
}

/* To the same path and query of this host. port 0: the scheme's. */
static void redirect_host(struct http_exchange *exchange, const struct http_request *request, bool https,
                          const char *host, unsigned port)
{
    char base[sizeof("https://:65535") + CERT_NAME_SIZE];
    int size = snprintf(base, sizeof(base), "%s://%s", https ? "https" : "http", host);
    if (port != 0 && port != (https ? 443 : 80))
        snprintf(base + size, sizeof(base) - (size_t)size, ":%u", port);
    /* 301 makes a GET of whatever it was, 308 does not. */
    bool safe = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    redirect(exchange, safe ? 301 : 308, site_location(base, &request->resolved, 0));
}

static void redirect_path(struct http_exchange *exchange, const struct http_request *request,
                          const struct path *path)
{
    char *line = NULL;
    if (path->action.append)
        line = site_location(path->action.redirect, &request->resolved, path->match.size);
    else if (asprintf(&line, "Location: %s\r\n", path->action.redirect) == -1)
        line = NULL;
    redirect(exchange, path->action.status, line);
}

/* --- Paths --- */

static const struct path *path_of(const struct http_site *site, const struct http_target *target)
{
    for (size_t i = 0; i < site->path_count; i++)
        if (site_path_matches(&site->paths[i].match, target))
            return &site->paths[i];
    return NULL;
}

/* What a site answers by itself has the header fields and error pages of the files that it stands in for,
 * those of the nearest path that has any: HSTS holds for redirects too. */
static const struct http_files *files_of(const struct http_site *site, const struct http_target *target)
{
    for (size_t i = 0; i < site->path_count; i++)
        if (site->paths[i].action.handler && site_path_matches(&site->paths[i].match, target))
            return site->paths[i].action.handler->files;
    return NULL;
}

static void respond(struct http_exchange *exchange, int status)
{
    http_exchange_set_target(exchange, "status");
    http_respond_status(exchange, status, NULL);
}

static void handle_path(struct http_exchange *exchange, const struct http_request *request,
                        const struct http_site *site)
{
    const struct path *path = path_of(site, &request->resolved);
    if (!path) {
        respond(exchange, 404);
    } else if (path->action.redirect) {
        redirect_path(exchange, request, path);
    } else if (!path->action.handler) {
        respond(exchange, path->action.status);
    } else {
        http_exchange_set_target(exchange, path->action.target);
        http_exchange_hand_on(exchange, path->action.handler, path->action.strip ? path->match.size : 0);
    }
}

static void handle(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    const struct http_sites *sites = arg;
    const struct tls_facts *tls = http_exchange_tls(exchange);
    const char *sni = tls ? tls->sni : "";
    const struct http_slice name = host_of(request, sni);
    char host[CERT_NAME_SIZE], shown[CERT_NAME_SIZE];
    const struct http_site *site = site_of(sites, name, host);
    /* RFC 9110 15.5.20. The client was shown the certificate of the site that SNI named, and checked that of
     * no other. */
    if (!site || (sni[0] != '\0' && site_of(sites, (struct http_slice){sni, strlen(sni)}, shown) != site)) {
        respond(exchange, 421);
        return;
    }
    http_exchange_set_site(exchange, site->name);
    http_exchange_set_files(exchange, files_of(site, &request->resolved));
    const bool to_https = !tls && site->https_port != 0;
    const char *wanted = site->has_canonical ? site->canonical : host;
    if (to_https)
        redirect_host(exchange, request, true, wanted, site->https_port);
    else if (strcmp(wanted, host) != 0)
        redirect_host(exchange, request, tls != NULL, wanted, own_port(exchange, name));
    else
        handle_path(exchange, request, site);
}

/* --- Life --- */

static bool copy_paths(struct http_site *site, const struct http_site_options *options)
{
    site->paths = calloc(options->path_count + 1, sizeof(*site->paths));
    if (!site->paths)
        return false;
    site->path_count = options->path_count;
    for (size_t i = 0; i < site->path_count; i++) {
        const struct http_site_path *path = &options->paths[i];
        site->paths[i] = (struct path){.match = site_path_make(path->path, path->is_exact), .action = *path};
    }
    qsort(site->paths, site->path_count, sizeof(*site->paths), site_path_order);
    return true;
}

static enum http_site_fault fold_hosts(struct http_site *site, const struct http_site_options *options,
                                       size_t *index)
{
    char folded[CERT_NAME_SIZE];
    for (*index = 0; *index < options->host_count; ++*index) {
        if (!site_host_fold_pattern(options->hosts[*index], folded))
            return HTTP_SITE_HOST;
        if (site_hosts_add(&site->hosts, folded, 0) == -1)
            return HTTP_SITE_MEMORY;
    }
    if (options->canonical) {
        if (!site_host_fold_pattern(options->canonical, site->canonical) || site->canonical[0] == '*')
            return HTTP_SITE_CANONICAL;
        site->has_canonical = true;
        /* That of a site for every host is its only name. */
        if (options->host_count == 0 && site_hosts_add(&site->hosts, site->canonical, 0) == -1)
            return HTTP_SITE_MEMORY;
    }
    site_hosts_sort(&site->hosts);
    bool known = !site->has_canonical || site_hosts_find(&site->hosts, site->canonical) != SITE_NONE;
    return known ? HTTP_SITE_GOOD : HTTP_SITE_CANONICAL;
}

struct http_site *http_site_new(const struct http_site_options *options, enum http_site_fault *fault,
                                size_t *index)
{
    struct http_site *site = calloc(1, sizeof(*site));
    *fault = HTTP_SITE_MEMORY;
    if (!site)
        return NULL;
    site->name = options->name;
    site->is_default = options->host_count == 0;
    site->https_port = options->https_port;
    *fault = fold_hosts(site, options, index);
    if (*fault == HTTP_SITE_GOOD && !copy_paths(site, options))
        *fault = HTTP_SITE_MEMORY;
    if (*fault == HTTP_SITE_GOOD)
        return site;
    http_site_free(site);
    return NULL;
}

void http_site_free(struct http_site *site)
{
    if (!site)
        return;
    site_hosts_clear(&site->hosts);
    free(site->paths);
    free(site);
}

struct http_sites *http_sites_new(const struct http_site *const *items, size_t count)
{
    struct http_sites *sites = calloc(1, sizeof(*sites));
    if (!sites)
        return NULL;
    sites->items = calloc(count + 1, sizeof(struct http_site *));
    if (!sites->items)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        const struct site_hosts *own = &items[i]->hosts;
        sites->items[i] = items[i];
        if (items[i]->is_default)
            sites->fallback = items[i];
        for (size_t j = 0; j < own->count; j++)
            if (site_hosts_add(&sites->hosts, own->items[j].pattern, i) == -1)
                goto fail;
    }
    site_hosts_sort(&sites->hosts);
    return sites;

fail:
    http_sites_free(sites);
    return NULL;
}

void http_sites_free(struct http_sites *sites)
{
    if (!sites)
        return;
    site_hosts_clear(&sites->hosts);
    free(sites->items);
    free(sites);
}

struct http_handler http_sites_handler(const struct http_sites *sites)
{
    return (struct http_handler){.handle = handle, .arg = (void *)sites, .any_method = true};
}
