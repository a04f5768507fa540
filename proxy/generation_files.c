/* What a generation serves over HTTP: the directories of `files`.
 * Refuses to know connections and certificates. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/generation_parts.h"
#include "proxy/http/files.h"

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
        char key[160];

        generation->files[i] = http_files_new(&(struct http_files_options){
            .root = files->root,
            .index = files->index,
            .index_count = files->index_count,
            .try_files = files->try_files,
            .try_count = files->try_count,
            .symlinks = symlinks[files->symlinks],
            .dotfiles = files->dotfiles == CONF_DOTFILES_ALLOW,
        });
        if (generation->files[i] != NULL)
            continue;
        snprintf(key, sizeof(key), "files.%s.root", files->name);
        conf_problem_add(problems, files->root_place.line != 0 ? files->root_place : files->place, key,
                         "can't open %s: %s", files->root, strerror(errno));
        good = false;
    }
    return good;
}

void generation_free_files(struct generation *generation)
{
    for (size_t i = 0; generation->files != NULL && i < generation->conf->files_count; i++)
        http_files_free(generation->files[i]);
    free(generation->files);
}
