/* A hash table of open files, the oldest first in a list of their ages; a timer for what nobody asks for
 * again. Refuses to know what the files are for. */
#include "proxy/http/open_files.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/loop.h"

#define BUCKETS 1024 /* a power of two */
#define OPEN_FILES_SMALL (1 << 20)

LIST_HEAD(bucket, open_file);

struct open_files {
    struct event *timer; /* pending while there are files */
    size_t count, max;
    TAILQ_HEAD(, open_file) by_age; /* in the order in which they were opened */
    struct bucket buckets[BUCKETS];
};

void open_file_unref(struct open_file *file)
{
    if (!file || --file->references > 0)
        return;
    close(file->fd);
    free(file);
}

void open_file_note_cached(struct open_file *file)
{
    file->cached = file->stat.st_size <= OPEN_FILES_SMALL;
}

bool open_file_is_cached(const struct open_file *file)
{
    return file->cached;
}

static void drop(struct open_files *files, struct open_file *file)
{
    TAILQ_REMOVE(&files->by_age, file, by_age);
    LIST_REMOVE(file, by_hash);
    files->count--;
    open_file_unref(file);
}

static bool is_stale(const struct open_file *file, uint64_t now)
{
    return now - file->opened_ms >= OPEN_FILES_VALID_MS;
}

static void arm(struct open_files *files)
{
    const struct timeval delay = {.tv_sec = OPEN_FILES_VALID_MS / 1000,
                                  .tv_usec = OPEN_FILES_VALID_MS % 1000 * 1000};
    evtimer_add(files->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct open_files *files = arg;
    const uint64_t now = loop_now_ms();
    struct open_file *oldest;
    (void)fd;
    (void)what;
    while ((oldest = TAILQ_FIRST(&files->by_age)) && is_stale(oldest, now))
        drop(files, oldest);
    if (oldest)
        arm(files);
}

struct open_files *open_files_new(struct event_base *base, size_t max)
{
    struct open_files *files = calloc(1, sizeof(*files));
    if (!files)
        return NULL;
    files->max = max;
    TAILQ_INIT(&files->by_age);
    files->timer = evtimer_new(base, on_timer, files);
    if (!files->timer) {
        free(files);
        return NULL;
    }
    return files;
}

bool open_files_clear(struct open_files *files)
{
    struct open_file *oldest;
    bool any = false;
    while ((oldest = TAILQ_FIRST(&files->by_age))) {
        drop(files, oldest);
        any = true;
    }
    return any;
}

void open_files_free(struct open_files *files)
{
    if (!files)
        return;
    open_files_clear(files);
    event_free(files->timer);
    free(files);
}

/* FNV-1a. Whoever makes names collide slows down a walk over a list of at most `max` files. */
static uint64_t hash_of(uint64_t root, const char *path)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ root;
    for (const char *at = path; *at; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static struct open_file *find(struct open_files *files, uint64_t hash, uint64_t root, const char *path)
{
    struct open_file *file;
    LIST_FOREACH(file, &files->buckets[hash % BUCKETS], by_hash)
    {
        if (file->hash == hash && file->root == root && strcmp(file->path, path) == 0)
            return file;
    }
    return NULL;
}

/* Whether it is still what its name stood for, as far as the file itself can tell: whatever is done to it or
 * to its name moves the time of its last change, and being replaced takes its last name. */
static bool refresh(struct open_file *file)
{
    struct stat now;
    if (fstat(file->fd, &now) == -1 || now.st_nlink == 0)
        return false;
    const struct stat *then = &file->stat;
    return now.st_ctim.tv_sec == then->st_ctim.tv_sec && now.st_ctim.tv_nsec == then->st_ctim.tv_nsec &&
           now.st_mtim.tv_sec == then->st_mtim.tv_sec && now.st_mtim.tv_nsec == then->st_mtim.tv_nsec &&
           now.st_size == then->st_size && now.st_mode == then->st_mode;
}

struct open_file *open_files_get(struct open_files *files, uint64_t root, const char *path)
{
    struct open_file *file = find(files, hash_of(root, path), root, path);
    if (!file)
        return NULL;
    if (is_stale(file, loop_now_ms()) || !refresh(file)) {
        drop(files, file);
        return NULL;
    }
    file->references++;
    return file;
}

struct open_file *open_files_put(struct open_files *files, uint64_t root, const char *path, int fd,
                                 const struct stat *stat)
{
    const size_t size = strlen(path) + 1;
    struct open_file *file = malloc(sizeof(*file) + size), *old;
    if (!file)
        return NULL;
    *file = (struct open_file){.fd = fd,
                               .stat = *stat,
                               .references = 1,
                               .opened_ms = loop_now_ms(),
                               .root = root,
                               .hash = hash_of(root, path)};
    memcpy(file->path, path, size);
    if (files->max == 0)
        return file;
    /* Two that were opened at the same time: the later one knows better. */
    old = find(files, file->hash, root, path);
    if (old)
        drop(files, old);
    if (files->count == files->max)
        drop(files, TAILQ_FIRST(&files->by_age));
    if (files->count == 0 && !evtimer_pending(files->timer, NULL))
        arm(files);
    TAILQ_INSERT_TAIL(&files->by_age, file, by_age);
    LIST_INSERT_HEAD(&files->buckets[file->hash % BUCKETS], file, by_hash);
    files->count++;
    file->references++;
    return file;
}
