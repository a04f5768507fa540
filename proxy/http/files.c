/* One directory's options, and the handler that finds files in it.
 * Refuses to know what a path means (files_lookup.c) and how it is answered (files_answer.c). */
#include "proxy/http/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/http/compression.h"
#include "proxy/http/files_lookup.h"
#include "proxy/http/policy.h"
#include "proxy/http/request.h"

static void handle(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    const struct http_files *files = arg;
    if (!files->dotfiles && http_target_is_hidden(&request->resolved))
        http_respond_status(exchange, 404, NULL);
    else
        files_lookup_start(files, &request->resolved, exchange);
}

static void cancel(void *arg, struct http_exchange *exchange)
{
    (void)arg;
    files_lookup_cancel(http_exchange_data(exchange));
}

struct http_handler http_files_handler(const struct http_files *files)
{
    return (struct http_handler){.handle = handle, .cancel = cancel, .arg = (void *)files, .files = files};
}

const struct http_policy *http_files_policy(const struct http_files *files)
{
    return files->policy;
}

static bool copy_index(struct http_files *files, const struct http_files_options *options)
{
    files->index = calloc(options->index_count + 1, sizeof(*files->index));
    if (!files->index)
        return false;
    for (size_t i = 0; i < options->index_count; i++) {
        files->index[i] = strdup(options->index[i]);
        if (!files->index[i])
            return false;
        files->index_count++;
        size_t size = strlen(options->index[i]);
        if (size > files->index_longest)
            files->index_longest = size;
    }
    return true;
}

static void offer(struct http_files *files, char *const *names, size_t count, bool on_the_fly)
{
    for (size_t i = 0; i < count && files->offer_count < HTTP_OFFERS_MAX; i++) {
        struct http_offer *next = &files->offers[files->offer_count];
        next->on_the_fly = on_the_fly;
        if (http_coding_parse((struct http_slice){names[i], strlen(names[i])}, &next->coding) &&
            next->coding != HTTP_CODING_IDENTITY)
            files->offer_count++;
    }
}

/* What lies ready goes before what has to be made, where a client likes both as much. */
static bool make_offers(struct http_files *files, const struct http_files_options *options)
{
    offer(files, options->precompressed, options->precompressed_count, false);
    files->precompressed = files->offer_count > 0;
    offer(files, options->compress, options->compress_count, true);
    if (options->compression)
        files->compression = http_compression_new(options->compression);
    return !options->compression || files->compression;
}

struct http_files *http_files_new(const struct http_files_options *options)
{
    static _Atomic uint64_t last_id;
    struct http_files *files = calloc(1, sizeof(*files));
    struct stat status;
    if (!files)
        return NULL;
    files->id = ++last_id;
    files->opener = options->opener ? *options->opener : http_opener_disk;
    files->autoindex = options->autoindex;
    files->symlinks = options->symlinks;
    files->dotfiles = options->dotfiles;
    files->policy = options->policy ? options->policy : http_policy_new(NULL);
    files->root_fd = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (files->root_fd == -1 || !files->policy || !copy_index(files, options) ||
        !try_files_init(&files->tries, options->try_files, options->try_count) ||
        !make_offers(files, options)) {
        int error = errno;
        if (files->policy == options->policy)
            files->policy = NULL; /* still the caller's */
        http_files_free(files);
        errno = error;
        return NULL;
    }
    files->kind = http_root_kind(files->root_fd);
    if (fstat(files->root_fd, &status) == 0)
        files->device = status.st_dev;
    return files;
}

void http_files_free(struct http_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->index_count; i++)
        free(files->index[i]);
    free(files->index);
    try_files_free(&files->tries);
    http_policy_free(files->policy);
    http_compression_free(files->compression);
    if (files->root_fd != -1)
        close(files->root_fd);
    free(files);
}
