/* What a generation serves over HTTP: the directories of `files`, and sites made of them.
 * Refuses to know connections and certificates. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/generation_parts.h"
#include "proxy/http/compression.h"
#include "proxy/http/files.h"
#include "proxy/http/policy.h"
#include "proxy/http/sites.h"

static const enum http_autoindex autoindexes[] = {
    [CONF_AUTOINDEX_OFF] = HTTP_AUTOINDEX_OFF,
    [CONF_AUTOINDEX_HTML] = HTTP_AUTOINDEX_HTML,
    [CONF_AUTOINDEX_JSON] = HTTP_AUTOINDEX_JSON,
};

static const enum http_symlinks symlinks[] = {
    [CONF_SYMLINKS_ON] = HTTP_SYMLINKS_ON,
    [CONF_SYMLINKS_SAME_OWNER] = HTTP_SYMLINKS_SAME_OWNER,
    [CONF_SYMLINKS_OFF] = HTTP_SYMLINKS_OFF,
};

bool generation_build_files(struct generation *generation, struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    bool good = true;

    generation->files = calloc(conf->files_count + 1, sizeof(struct http_files *));
    if (generation->files == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->files_count; i++) {
        const struct conf_files *files = &conf->files[i];
        struct http_policy *policy = http_policy_new(&files->policy);
        const struct http_compression_options compression = {
            .types = files->compress.types,
            .type_count = files->compress.type_count,
            .min_size = files->compress.min_size,
            .max_size = files->compress.max_size,
            .level = files->compress.level,
            .max_at_once = files->compress.max_at_once,
        };
        char key[160];

        if (policy == NULL) {
            generation_report_memory(problems);
            return false;
        }
        generation->files[i] = http_files_new(&(struct http_files_options){
            .root = files->root,
            .policy = policy,
            .index = files->index,
            .index_count = files->index_count,
            .try_files = files->try_files,
            .try_count = files->try_count,
            .autoindex = autoindexes[files->autoindex],
            .symlinks = symlinks[files->symlinks],
            .dotfiles = files->dotfiles == CONF_DOTFILES_ALLOW,
            .precompressed = files->precompressed,
            .precompressed_count = files->precompressed_count,
            .compress = files->compress.encodings,
            .compress_count = files->has_compress ? files->compress.encoding_count : 0,
            .compression = files->has_compress ? &compression : NULL,
        });
        if (generation->files[i] != NULL)
            continue;
        snprintf(key, sizeof(key), "files.%s.root", files->name);
        conf_problem_add(problems, files->root_place.line != 0 ? files->root_place : files->place, key,
                         "can't open %s: %s", files->root, strerror(errno));
        http_policy_free(policy);
        good = false;
    }
    return good;
}

/* --- Sites --- */

/* paths: room for all of the site's. */
static void translate_paths(const struct generation *generation, const struct conf_site *site,
                            struct http_site_path *paths)
{
    for (size_t i = 0; i < site->path_count; i++) {
        const struct conf_site_path *conf = &site->paths[i];
        const struct generation_target *files =
            conf->files != NULL ? generation_files_target(generation, conf->files) : NULL;

        paths[i] = (struct http_site_path){
            .path = conf->exact != NULL ? conf->exact : conf->prefix,
            .is_exact = conf->exact != NULL,
            .handler = files != NULL ? &files->handler : NULL,
            .redirect = conf->redirect,
            .status = (int)conf->status,
            .target = files != NULL ? files->name : NULL,
            .strip = conf->strip && conf->exact == NULL,
            .append = conf->append,
        };
    }
}

static void report_site(const struct conf_site *site, enum http_site_fault fault, size_t index,
                        struct conf_problems *problems)
{
    char key[160];

    switch (fault) {
    case HTTP_SITE_GOOD:
    case HTTP_SITE_MEMORY:
        generation_report_memory(problems);
        return;
    case HTTP_SITE_HOST:
        snprintf(key, sizeof(key), "sites.%s.hosts[%zu]", site->name, index);
        conf_problem_add(problems, site->hosts_place, key,
                         "\"%s\" is not a host: write \"www.example.org\", \"*.example.org\" for any name "
                         "below it, or an address, without a port",
                         site->hosts[index]);
        return;
    case HTTP_SITE_CANONICAL:
        snprintf(key, sizeof(key), "sites.%s.canonical", site->name);
        conf_problem_add(
            problems, site->canonical_place, key,
            "\"%s\" is none of the site's hosts: add it to them, or choose one of them, without a "
            "port",
            site->canonical);
        return;
    }
}

bool generation_build_sites(struct generation *generation, struct conf_problems *problems)
{
    const struct conf *conf = generation->conf;
    size_t lists = conf->listener_count;
    bool good = true;

    for (size_t i = 0; i < conf->listener_count; i++)
        lists += conf->listeners[i].route_count;
    generation->sites = calloc(conf->site_count + 1, sizeof(struct http_site *));
    generation->site_lists = calloc(lists + 1, sizeof(*generation->site_lists));
    if (generation->sites == NULL || generation->site_lists == NULL) {
        generation_report_memory(problems);
        return false;
    }
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_site *site = &conf->sites[i];
        struct http_site_path *paths = calloc(site->path_count + 1, sizeof(*paths));
        enum http_site_fault fault = HTTP_SITE_MEMORY;
        size_t index = 0;

        if (paths != NULL) {
            translate_paths(generation, site, paths);
            generation->sites[i] = http_site_new(
                &(struct http_site_options){.name = site->name,
                                            .hosts = site->hosts,
                                            .host_count = site->host_count,
                                            .canonical = site->canonical,
                                            .https_port = site->redirect_https ? site->https_port : 0,
                                            .paths = paths,
                                            .path_count = site->path_count},
                &fault, &index);
        }
        free(paths);
        if (generation->sites[i] == NULL) {
            report_site(site, fault, index, problems);
            good = false;
        }
    }
    return good;
}

const struct generation_target *generation_sites_target(struct generation *generation,
                                                        const struct conf_sites *sites,
                                                        struct conf_problems *problems)
{
    struct generation_sites *list = &generation->site_lists[generation->site_list_count];
    const struct http_site **items = calloc(sites->count, sizeof(struct http_site *));

    for (size_t i = 0; items != NULL && i < sites->count; i++)
        items[i] = generation->sites[sites->items[i] - generation->conf->sites];
    list->sites = items != NULL ? http_sites_new(items, sites->count) : NULL;
    free(items);
    if (list->sites == NULL) {
        generation_report_memory(problems);
        return NULL;
    }
    list->target = (struct generation_target){
        .kind = TARGET_FILES, .name = "sites", .handler = http_sites_handler(list->sites)};
    generation->site_list_count++;
    return &list->target;
}

void generation_free_files(struct generation *generation)
{
    for (size_t i = 0; i < generation->site_list_count; i++)
        http_sites_free(generation->site_lists[i].sites);
    free(generation->site_lists);
    for (size_t i = 0; generation->sites != NULL && i < generation->conf->site_count; i++)
        http_site_free(generation->sites[i]);
    free(generation->sites);
    for (size_t i = 0; generation->files != NULL && i < generation->conf->files_count; i++)
        http_files_free(generation->files[i]);
    free(generation->files);
}
