/* From a request's path to the file that it means: what is tried in turn, directory or file, index files,
 * kept open or opened anew. Refuses to compare paths with roots: the kernel keeps the look-up beneath the
 * root (openat2). */
#include "proxy/http/files_lookup.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/http/open_files.h"

static void on_found(struct files_lookup *lookup, int fd, const struct stat *stat, struct open_file *open);

void files_lookup_open(struct files_lookup *lookup)
{
    if (lookup->path[0] == '\0')
        strcpy(lookup->path, "."); /* the root itself */
    const struct http_files *files = lookup->files;
    struct open_files *cache = http_exchange_open_files(lookup->exchange);
    struct open_file *open = cache ? open_files_get(cache, files->id, lookup->path) : NULL;
    if (open)
        on_found(lookup, open->fd, &open->stat, open);
    else
        files->opener.open(files->opener.arg, &lookup->opening);
}

/* The directory's next index name; behind the last one the directory itself, which says whether it is one. */
static void open_index(struct files_lookup *lookup)
{
    const struct http_files *files = lookup->files;
    size_t size = lookup->item_size;
    if (lookup->next_index == files->index_count) {
        lookup->stage = LOOKUP_DIRECTORY;
        lookup->path[size] = '\0';
    } else {
        const char *name = files->index[lookup->next_index++];
        lookup->stage = LOOKUP_INDEX;
        if (size > 0)
            lookup->path[size++] = '/';
        memcpy(lookup->path + size, name, strlen(name) + 1);
    }
    files_lookup_open(lookup);
}

static const struct try_file *item_of(const struct files_lookup *lookup)
{
    return &lookup->files->tries.items[lookup->next_item - 1];
}

/* Whether the client has to ask for the directory by its own name first: what is in it names the rest of it
 * relative to that. */
static bool wants_redirect(const struct files_lookup *lookup)
{
    return item_of(lookup)->has_uri && !lookup->target->is_directory;
}

static void try_item(struct files_lookup *lookup, const struct try_file *item)
{
    const bool directory =
        item->kind == TRY_DIRECTORY || (item->kind == TRY_EITHER && lookup->target->is_directory);
    lookup->next_index = 0;
    if (directory && !wants_redirect(lookup)) {
        open_index(lookup);
    } else {
        lookup->stage = directory ? LOOKUP_DIRECTORY : LOOKUP_ITEM;
        files_lookup_open(lookup);
    }
}

static void try_next(struct files_lookup *lookup)
{
    const struct try_files *tries = &lookup->files->tries;
    while (lookup->next_item < tries->count) {
        const struct try_file *item = &tries->items[lookup->next_item++];
        if (item->repeats && wants_redirect(lookup)) {
            if (!lookup->was_directory)
                continue;
            files_answer_redirect(lookup);
            return;
        }
        lookup->was_directory = false;
        if (try_file_path(item, lookup->target, lookup->path, &lookup->item_size)) {
            try_item(lookup, item);
            return;
        }
    }
    files_answer_status(lookup, tries->status);
}

static void on_listed(struct autoindex *listing, int error, char *page, size_t size)
{
    struct files_lookup *lookup =
        (struct files_lookup *)((char *)listing - offsetof(struct files_lookup, listing));
    if (error)
        files_answer_error(lookup, error);
    else
        files_answer_listing(lookup, page, size);
}

static void list(struct files_lookup *lookup)
{
    const struct http_target *target = lookup->target;
    lookup->listing = (struct autoindex){
        .format = lookup->files->autoindex,
        .what = lookup->opening.what,
        .dotfiles = lookup->files->dotfiles,
        .place = {target->path, target->prefix},
        .disk = lookup->opening.disk,
        .on_made = on_listed,
    };
    autoindex_start(&lookup->listing);
}

/* What is being looked at is a directory. */
static void on_directory(struct files_lookup *lookup)
{
    const enum try_kind kind = item_of(lookup)->kind;
    switch (lookup->stage) {
    case LOOKUP_INDEX:
        files_answer_status(lookup, 403);
        return;
    case LOOKUP_ITEM:
        if (kind == TRY_EITHER) {
            files_answer_redirect(lookup);
        } else {
            lookup->was_directory = true;
            try_next(lookup);
        }
        return;
    case LOOKUP_DIRECTORY:
        if (wants_redirect(lookup))
            files_answer_redirect(lookup);
        else if (lookup->files->autoindex != HTTP_AUTOINDEX_OFF && item_of(lookup)->has_uri)
            list(lookup); /* links of a page elsewhere would lead nowhere */
        else if (kind == TRY_EITHER)
            files_answer_status(lookup, 403);
        else
            try_next(lookup);
        return;
    }
}

/* Takes the file; open: NULL, or the reference that holds fd. */
static void on_found(struct files_lookup *lookup, int fd, const struct stat *stat, struct open_file *open)
{
    if (lookup->encoding.looking) {
        files_encoding_found(lookup, fd, stat, open);
        return;
    }
    if (S_ISREG(stat->st_mode) && lookup->stage != LOOKUP_DIRECTORY) {
        files_encoding_choose(lookup, fd, stat, open);
        return;
    }
    mode_t type = stat->st_mode & S_IFMT;
    if (open)
        open_file_unref(open);
    else
        close(fd);
    if (type == S_IFDIR)
        on_directory(lookup);
    else if (type == S_IFREG)
        try_next(lookup); /* "file/" names a directory that isn't there */
    else
        files_answer_status(lookup, 403);
}

static void on_error(struct files_lookup *lookup, int error)
{
    struct open_files *cache = http_exchange_open_files(lookup->exchange);
    if ((error == EMFILE || error == ENFILE) && cache && open_files_clear(cache))
        files_lookup_open(lookup); /* descriptors that are kept for later go first */
    else if (lookup->encoding.looking)
        files_encoding_missing(lookup, error);
    else if (lookup->stage == LOOKUP_INDEX && error == ENOENT)
        open_index(lookup);
    else if (files_is_missing(error))
        try_next(lookup);
    else
        files_answer_error(lookup, error);
}

static void on_opened(struct http_opening *opening, int error, int fd, const struct stat *stat)
{
    struct files_lookup *lookup = (struct files_lookup *)opening;
    struct open_files *cache = http_exchange_open_files(lookup->exchange);
    if (error) {
        on_error(lookup, error);
        return;
    }
    /* What is neither file nor directory is not kept: holding it open may mean something to it. */
    const bool keep = cache && (S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode));
    struct open_file *open = keep ? open_files_put(cache, lookup->files->id, lookup->path, fd, stat) : NULL;
    on_found(lookup, fd, stat, open);
}

void files_lookup_start(const struct http_files *files, const struct http_target *target,
                        struct http_exchange *exchange)
{
    const size_t longest = http_target_rest(target).size + files->tries.longest + 1 + files->index_longest;
    /* "." at least, and a coding's suffix */
    struct files_lookup *lookup = malloc(sizeof(*lookup) + longest + 2 + HTTP_CODING_SUFFIX_MAX);
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
    http_exchange_set_data(exchange, lookup);
    try_next(lookup);
}

void files_lookup_cancel(struct files_lookup *lookup)
{
    const struct http_opener *opener = &lookup->files->opener;
    if (lookup->listing.job)
        autoindex_cancel(&lookup->listing);
    else if (opener->cancel)
        opener->cancel(opener->arg, &lookup->opening);
    files_encoding_drop(lookup);
    http_exchange_set_data(lookup->exchange, NULL);
    free(lookup);
}
