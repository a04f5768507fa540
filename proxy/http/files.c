/* From a normalised path to an open file or a status: directory or file, index, redirect, errno to status.
 * Refuses to compare paths with roots: the kernel keeps the look-up beneath the root (openat2). */
#include "proxy/http/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/http/mime.h"
#include "proxy/http/open_files.h"
#include "proxy/http/request.h"
#include "proxy/http/respond_file.h"

struct http_files {
    uint64_t id; /* for open_files; root_fd may stand for another directory after a reload */
    int root_fd;
    enum http_root_kind kind;
    dev_t device;
    struct http_opener opener;
    char **index;
    size_t index_count, index_longest;
};

/* One exchange between handle and its answer. */
struct answer {
    struct http_opening opening;
    const struct http_files *files;
    const struct http_target *target;
    struct http_exchange *exchange;
    size_t next_index; /* 0: the path itself is being opened */
    char path[];       /* with room for the longest index name */
};

static int status_of_error(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EILSEQ: /* file systems that insist on an encoding */
    case EINVAL:
        return 404;
    case EACCES:
    case EPERM:
    case EXDEV: /* a link that leaves the root */
    case ELOOP:
    case ENXIO: /* a UNIX socket; a device without a driver */
    case ENODEV:
        return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EINTR:
        return 503;
    default:
        return 500;
    }
}

/* The one place where an answer ends. Exactly one http_respond_* follows. */
static struct http_exchange *release(struct answer *answer)
{
    struct http_exchange *exchange = answer->exchange;
    http_exchange_set_data(exchange, NULL);
    free(answer);
    return exchange;
}

/* To the same path with a slash. Built from the normalised path: relative to this host, and never "//host",
 * which browsers take for another one. */
static void respond_redirect(struct answer *answer)
{
    static const char name[] = "Location: /", tail[] = "/\r\n";
    const struct http_target *target = answer->target;
    char *line = malloc(sizeof(name) + 3 * target->size + 1 + target->query.size + sizeof(tail));
    struct http_exchange *exchange = release(answer);
    if (!line) {
        http_respond_status(exchange, 503, NULL);
        return;
    }
    size_t size = sizeof(name) - 1;
    memcpy(line, name, size);
    size += http_target_encode(target->path, target->size, line + size);
    line[size++] = '/';
    if (target->has_query) {
        line[size++] = '?';
        memcpy(line + size, target->query.at, target->query.size);
        size += target->query.size;
    }
    memcpy(line + size, "\r\n", 3);
    http_respond_status(exchange, 301, line);
    free(line);
}

/* Takes the file. */
static void respond_file(struct answer *answer, int fd, const struct stat *stat, struct open_file *open)
{
    const struct http_file file = {
        .fd = fd,
        .open = open,
        .size = (uint64_t)stat->st_size,
        .mtime = stat->st_mtim.tv_sec,
        .inode = stat->st_ino,
        .mtime_ns = (uint64_t)stat->st_mtim.tv_sec * 1000000000 + (uint64_t)stat->st_mtim.tv_nsec,
        .is_regular = true,
        .in_memory = answer->files->kind == HTTP_ROOT_MEMORY && stat->st_dev == answer->files->device,
        .content_type = http_mime_type(answer->path),
    };
    http_respond_file(release(answer), &file);
}

static void on_found(struct answer *answer, int fd, const struct stat *stat, struct open_file *open);

static void open_path(struct answer *answer)
{
    const struct http_files *files = answer->files;
    struct open_files *cache = http_exchange_open_files(answer->exchange);
    struct open_file *open = cache ? open_files_get(cache, files->id, answer->path) : NULL;
    if (open)
        on_found(answer, open->fd, &open->stat, open);
    else
        files->opener.open(files->opener.arg, &answer->opening);
}

/* Puts the next index name behind the directory's path. false: there is none left. */
static bool open_next_index(struct answer *answer)
{
    const struct http_files *files = answer->files;
    if (answer->next_index == files->index_count)
        return false;
    size_t size = answer->target->size;
    if (size > 0)
        answer->path[size++] = '/';
    const char *name = files->index[answer->next_index++];
    memcpy(answer->path + size, name, strlen(name) + 1);
    open_path(answer);
    return true;
}

static void on_directory(struct answer *answer)
{
    if (answer->next_index == 0 && !answer->target->is_directory)
        respond_redirect(answer);
    else if (!open_next_index(answer))
        http_respond_status(release(answer), 403, NULL);
}

/* Takes the file; open: NULL, or the reference that holds fd. */
static void on_found(struct answer *answer, int fd, const struct stat *stat, struct open_file *open)
{
    bool is_index = answer->next_index > 0;
    if (S_ISREG(stat->st_mode) && (is_index || !answer->target->is_directory)) {
        respond_file(answer, fd, stat, open);
        return;
    }
    mode_t type = stat->st_mode & S_IFMT;
    if (open)
        open_file_unref(open);
    else
        close(fd);
    if (type == S_IFDIR) {
        on_directory(answer);
    } else {
        /* "file/" names a directory that isn't there; anything else is no file to serve. */
        http_respond_status(release(answer), type == S_IFREG ? 404 : 403, NULL);
    }
}

static void on_opened(struct http_opening *opening, int error, int fd, const struct stat *stat)
{
    struct answer *answer = (struct answer *)opening;
    struct open_files *cache = http_exchange_open_files(answer->exchange);
    if (answer->next_index > 0 && error == ENOENT) {
        on_directory(answer);
    } else if (error) {
        /* Descriptors that are kept for later go first. */
        if ((error == EMFILE || error == ENFILE) && cache && open_files_clear(cache))
            open_path(answer);
        else
            http_respond_status(release(answer), status_of_error(error), NULL);
    } else {
        /* What is neither file nor directory is not kept: holding it open may mean something to it. */
        bool keep = cache && (S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode));
        struct open_file *open =
            keep ? open_files_put(cache, answer->files->id, answer->path, fd, stat) : NULL;
        on_found(answer, fd, stat, open);
    }
}

static void handle(void *arg, const struct http_request *request, struct http_exchange *exchange)
{
    const struct http_files *files = arg;
    const struct http_target *target = &request->resolved;
    struct answer *answer = malloc(sizeof(*answer) + target->size + 1 + files->index_longest + 2);
    if (!answer) {
        http_respond_status(exchange, 503, NULL);
        return;
    }
    *answer = (struct answer){
        .opening = {.root_fd = files->root_fd,
                    .is_local = files->kind != HTTP_ROOT_REMOTE,
                    .disk = http_exchange_disk(exchange),
                    .path = answer->path,
                    .on_opened = on_opened},
        .files = files,
        .target = target,
        .exchange = exchange,
    };
    memcpy(answer->path, target->size > 0 ? target->path : ".", target->size > 0 ? target->size + 1 : 2);
    http_exchange_set_data(exchange, answer);
    open_path(answer);
}

static void cancel(void *arg, struct http_exchange *exchange)
{
    const struct http_files *files = arg;
    struct answer *answer = http_exchange_data(exchange);
    if (files->opener.cancel)
        files->opener.cancel(files->opener.arg, &answer->opening);
    release(answer);
}

struct http_handler http_files_handler(const struct http_files *files)
{
    return (struct http_handler){.handle = handle, .cancel = cancel, .arg = (void *)files};
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

struct http_files *http_files_new(const struct http_files_options *options)
{
    static _Atomic uint64_t last_id;
    struct http_files *files = calloc(1, sizeof(*files));
    struct stat status;
    if (!files)
        return NULL;
    files->id = ++last_id;
    files->opener = options->opener ? *options->opener : http_opener_disk;
    files->root_fd = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (files->root_fd == -1 || !copy_index(files, options)) {
        int error = errno;
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
    if (files->root_fd != -1)
        close(files->root_fd);
    free(files);
}
