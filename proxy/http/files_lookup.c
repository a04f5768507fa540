/* From a path to the file that it means: directory or file, index files, kept open or opened anew.
 * Refuses to compare paths with roots: the kernel keeps the look-up beneath the root (openat2). */
#include "proxy/http/files_lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/http/open_files.h"

static void on_found(struct files_lookup *lookup, int fd, const struct stat *stat, struct open_file *open);

static void open_path(struct files_lookup *lookup)
{
    const struct http_files *files = lookup->files;
    struct open_files *cache = http_exchange_open_files(lookup->exchange);
    struct open_file *open = cache ? open_files_get(cache, files->id, lookup->path) : NULL;
    if (open)
        on_found(lookup, open->fd, &open->stat, open);
    else
        files->opener.open(files->opener.arg, &lookup->opening);
}

/* Puts the next index name behind the directory's path. false: there is none left. */
static bool open_next_index(struct files_lookup *lookup)
{
    const struct http_files *files = lookup->files;
    if (lookup->next_index == files->index_count)
        return false;
    size_t size = http_target_rest(lookup->target).size;
    if (size > 0)
        lookup->path[size++] = '/';
    const char *name = files->index[lookup->next_index++];
    memcpy(lookup->path + size, name, strlen(name) + 1);
    open_path(lookup);
    return true;
}

static void on_directory(struct files_lookup *lookup)
{
    if (lookup->next_index == 0 && !lookup->target->is_directory)
        files_answer_redirect(lookup);
    else if (!open_next_index(lookup))
        files_answer_status(lookup, 403);
}

/* Takes the file; open: NULL, or the reference that holds fd. */
static void on_found(struct files_lookup *lookup, int fd, const struct stat *stat, struct open_file *open)
{
    bool is_index = lookup->next_index > 0;
    if (S_ISREG(stat->st_mode) && (is_index || !lookup->target->is_directory)) {
        files_answer_file(lookup, fd, stat, open);
        return;
    }
    mode_t type = stat->st_mode & S_IFMT;
    if (open)
        open_file_unref(open);
    else
        close(fd);
    if (type == S_IFDIR) {
        on_directory(lookup);
    } else {
        /* "file/" names a directory that isn't there; anything else is no file to serve. */
        files_answer_status(lookup, type == S_IFREG ? 404 : 403);
    }
}

static void on_opened(struct http_opening *opening, int error, int fd, const struct stat *stat)
{
    struct files_lookup *lookup = (struct files_lookup *)opening;
    struct open_files *cache = http_exchange_open_files(lookup->exchange);
    if (lookup->next_index > 0 && error == ENOENT) {
        on_directory(lookup);
    } else if (error) {
        /* Descriptors that are kept for later go first. */
        if ((error == EMFILE || error == ENFILE) && cache && open_files_clear(cache))
            open_path(lookup);
        else
            files_answer_error(lookup, error);
    } else {
        /* What is neither file nor directory is not kept: holding it open may mean something to it. */
        bool keep = cache && (S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode));
        struct open_file *open =
            keep ? open_files_put(cache, lookup->files->id, lookup->path, fd, stat) : NULL;
        on_found(lookup, fd, stat, open);
    }
}

void files_lookup_start(const struct http_files *files, const struct http_target *target,
                        struct http_exchange *exchange)
{
    struct http_slice rest = http_target_rest(target);
    struct files_lookup *lookup = malloc(sizeof(*lookup) + rest.size + 1 + files->index_longest + 2);
    if (!lookup) {
        http_respond_status(exchange, 503, NULL);
        return;
    }
    *lookup = (struct files_lookup){
        .opening = {.what = {files->root_fd, lookup->path, files->symlinks},
                    .is_local = files->kind != HTTP_ROOT_REMOTE,
                    .disk = http_exchange_disk(exchange),
                    .on_opened = on_opened},
        .files = files,
        .target = target,
        .exchange = exchange,
    };
    if (rest.size == 0)
        rest = (struct http_slice){".", 1};
    memcpy(lookup->path, rest.at, rest.size);
    lookup->path[rest.size] = '\0';
    http_exchange_set_data(exchange, lookup);
    open_path(lookup);
}

void files_lookup_cancel(struct files_lookup *lookup)
{
    const struct http_opener *opener = &lookup->files->opener;
    if (opener->cancel)
        opener->cancel(opener->arg, &lookup->opening);
    http_exchange_set_data(lookup->exchange, NULL);
    free(lookup);
}
