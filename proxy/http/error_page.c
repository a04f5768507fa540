/* Opens the page of a status, from the worker's open files where it is among them, and answers with it.
 * Refuses to try anything else where that fails: an error must not lead to the next one. */
#include "proxy/http/error_page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proxy/http/files_lookup.h"
#include "proxy/http/http_exchange.h"
#include "proxy/http/open_files.h"
#include "proxy/http/policy.h"
#include "proxy/http/respond_file.h"

struct error_page {
    struct http_opening opening; /* first */
    struct http_exchange *exchange;
    const struct http_files *files;
    const char *path; /* the policy's */
    int status;
    char *extra_headers;
};

static void page_free(struct error_page *page)
{
    page->exchange->page = NULL;
    free(page->extra_headers);
    free(page);
}

static void answer_built_in(struct error_page *page)
{
    http_respond_built_in(page->exchange, page->status, page->extra_headers);
    page_free(page);
}

/* Takes the file; open: NULL, or the reference that holds fd. */
static void on_found(struct error_page *page, int fd, const struct stat *stat, struct open_file *open)
{
    struct http_file file;
    files_describe(page->files, page->path, stat, &file);
    file.fd = fd;
    file.open = open;
    if (!S_ISREG(stat->st_mode)) {
        http_file_drop(&file);
        answer_built_in(page);
        return;
    }
    http_respond_page(page->exchange, page->status, &file, page->extra_headers);
    page_free(page);
}

static void on_opened(struct http_opening *opening, int error, int fd, const struct stat *stat)
{
    struct error_page *page = (struct error_page *)opening;
    struct open_files *cache = page->exchange->open_files;
    if (error) {
        answer_built_in(page);
        return;
    }
    const bool keep = cache && S_ISREG(stat->st_mode);
    on_found(page, fd, stat, keep ? open_files_put(cache, page->files->id, page->path, fd, stat) : NULL);
}

bool error_page_start(struct http_exchange *exchange, int status, const char *extra_headers)
{
    const struct http_files *files = exchange->files;
    const char *path = http_policy_error_page(files->policy, status);
    struct error_page *page = path ? malloc(sizeof(*page)) : NULL;
    char *headers = page && extra_headers ? strdup(extra_headers) : NULL;
    if (!page || (extra_headers && !headers)) {
        free(page);
        return false;
    }
    *page = (struct error_page){
        .opening = {.what = {files->root_fd, path, files->symlinks},
                    .is_local = files->kind != HTTP_ROOT_REMOTE,
                    .disk = exchange->disk,
                    .on_opened = on_opened},
        .exchange = exchange,
        .files = files,
        .path = path,
        .status = status,
        .extra_headers = headers,
    };
    exchange->page = page;
    exchange->handed = false;
    struct open_file *open =
        exchange->open_files ? open_files_get(exchange->open_files, files->id, path) : NULL;
    if (open)
        on_found(page, open->fd, &open->stat, open);
    else
        files->opener.open(files->opener.arg, &page->opening);
    return true;
}

void error_page_cancel(struct error_page *page)
{
    if (!page)
        return;
    if (page->files->opener.cancel)
        page->files->opener.cancel(page->files->opener.arg, &page->opening);
    page_free(page);
}
