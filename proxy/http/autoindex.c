/* See autoindex.h. */
#include "proxy/http/autoindex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/disk.h"

struct autoindex_job {
    struct disk_job job;         /* first */
    struct autoindex *autoindex; /* the worker's; not to be touched once cancelled */
    listing_writer *write;
    struct listing_options options; /* what.root_fd is its own: a reload may close the root meanwhile */
    struct listing_place place;
    char *page;
    size_t size;
    int error;
    char texts[]; /* of what.path and place.path */
};

static void job_free(struct autoindex_job *making)
{
    if (making->options.what.root_fd != -1)
        close(making->options.what.root_fd);
    free(making->page);
    free(making);
}

static void work(struct disk_job *job)
{
    struct autoindex_job *making = (struct autoindex_job *)job;
    struct listing listing;
    making->error = listing_read(&listing, &making->options);
    if (making->error != 0)
        return;
    FILE *stream = open_memstream(&making->page, &making->size);
    if (stream) {
        making->write(stream, &listing, &making->place);
        const bool failed = ferror(stream) != 0;
        /* What couldn't be written is a page cut off: none at all. */
        if (fclose(stream) != 0 || failed) {
            free(making->page);
            making->page = NULL;
        }
    }
    making->error = making->page ? 0 : ENOMEM;
    listing_free(&listing);
}

static void done(struct disk_job *job)
{
    struct autoindex_job *making = (struct autoindex_job *)job;
    struct autoindex *autoindex = making->autoindex;
    char *page = making->page;
    const size_t size = making->size;
    const int error = making->error;
    making->page = NULL;
    job_free(making);
    autoindex->job = NULL;
    autoindex->on_made(autoindex, error, page, size);
}

static void drop(struct disk_job *job)
{
    job_free((struct autoindex_job *)job);
}

/* NULL and errno on failure. */
static struct autoindex_job *job_new(struct autoindex *autoindex)
{
    const size_t what = strlen(autoindex->what.path) + 1, place = strlen(autoindex->place.path) + 1;
    struct autoindex_job *making = malloc(sizeof(*making) + what + place);
    if (!making)
        return NULL;
    *making = (struct autoindex_job){
        .job = {.work = work, .done = done, .drop = drop},
        .autoindex = autoindex,
        .write = autoindex->format == HTTP_AUTOINDEX_JSON ? listing_write_json : listing_write_html,
        .options = {.what = autoindex->what, .dotfiles = autoindex->dotfiles, .job = &making->job},
        .place = autoindex->place,
    };
    making->options.what.path = memcpy(making->texts, autoindex->what.path, what);
    making->place.path = memcpy(making->texts + what, autoindex->place.path, place);
    making->options.what.root_fd = fcntl(autoindex->what.root_fd, F_DUPFD_CLOEXEC, 0);
    if (making->options.what.root_fd == -1) {
        const int error = errno;
        job_free(making);
        errno = error;
        return NULL;
    }
    return making;
}

void autoindex_start(struct autoindex *autoindex)
{
    struct autoindex_job *making = job_new(autoindex);
    if (!making) {
        autoindex->on_made(autoindex, errno, NULL, 0);
    } else if (autoindex->disk) {
        autoindex->job = making;
        disk_submit(autoindex->disk, &making->job);
    } else {
        work(&making->job);
        done(&making->job);
    }
}

void autoindex_cancel(struct autoindex *autoindex)
{
    disk_cancel(&autoindex->job->job);
    autoindex->job = NULL;
}
