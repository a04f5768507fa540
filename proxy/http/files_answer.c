/* How a look-up ends: a file, a redirect, or the status that an errno stands for.
 * Refuses to open anything (files_lookup.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proxy/http/files_lookup.h"
#include "proxy/http/policy.h"
#include "proxy/http/respond_file.h"
#include "proxy/http/response.h"

bool files_is_missing(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == EILSEQ ||
           error == EINVAL; /* file systems that insist on an encoding */
}

static int status_of_error(int error)
{
    if (files_is_missing(error))
        return 404;
    switch (error) {
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

/* Exactly one http_respond_* follows. */
static struct http_exchange *release(struct files_lookup *lookup)
{
    struct http_exchange *exchange = lookup->exchange;
    http_exchange_set_data(exchange, NULL);
    free(lookup);
    return exchange;
}

void files_answer_status(struct files_lookup *lookup, int status)
{
    http_respond_status(release(lookup), status, NULL);
}

void files_answer_error(struct files_lookup *lookup, int error)
{
    files_answer_status(lookup, status_of_error(error));
}

/* Built from the normalised path: relative to this host, and never "//host", which browsers take for another
 * one. */
void files_answer_redirect(struct files_lookup *lookup)
{
    static const char name[] = "Location: /", tail[] = "/\r\n";
    const struct http_target *target = lookup->target;
    char *line = malloc(sizeof(name) + 3 * target->size + 1 + target->query.size + sizeof(tail));
    struct http_exchange *exchange = release(lookup);
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

/* It is made anew each time. No script, and nothing from elsewhere: should a name ever get through as markup,
 * it finds nothing to do. */
void files_answer_listing(struct files_lookup *lookup, char *page, size_t size)
{
    static const char headers[] =
        "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src "
        "'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\r\n";
    const bool json = lookup->listing.format == HTTP_AUTOINDEX_JSON;
    http_respond_memory(release(lookup), 200, json ? "application/json" : HTTP_PAGE_TYPE, headers, page,
                        size);
    free(page);
}

const char *files_type(const struct files_lookup *lookup)
{
    return http_policy_type(lookup->files->policy, lookup->path);
}

void files_describe(const struct http_files *files, const char *path, const struct stat *stat,
                    struct http_file *file)
{
    *file = (struct http_file){
        .fd = -1,
        .size = (uint64_t)stat->st_size,
        .mtime = stat->st_mtim.tv_sec,
        .inode = stat->st_ino,
        .mtime_ns = (uint64_t)stat->st_mtim.tv_sec * 1000000000 + (uint64_t)stat->st_mtim.tv_nsec,
        .is_regular = true,
        .in_memory = files->kind == HTTP_ROOT_MEMORY && stat->st_dev == files->device,
        .content_type = http_policy_type(files->policy, path),
        .cache = http_policy_cache_rule(files->policy, path),
    };
}

void files_answer_file(struct files_lookup *lookup, int fd, const struct stat *stat, struct open_file *open,
                       const struct files_representation *representation)
{
    struct http_file file;
    files_describe(lookup->files, lookup->path, stat, &file);
    file.fd = fd;
    file.open = open;
    file.coding = representation->coding;
    file.compression = representation->on_the_fly ? lookup->files->compression : NULL;
    file.varies = representation->varies;
    http_respond_file(release(lookup), &file);
}
