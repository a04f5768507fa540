/* Writes the files of contests, quickly: a hundred thousand of them are no reason to wait for long.
 * Refuses to know who serves them. */
#include "sluice_load/site.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice_load/content.h"

#define PATH_SIZE 32 /* "/many/", sixteen digits and the terminator */

static const struct {
    const char *name;
    uint64_t size;
} directories[SITE_DIRECTORIES] = {
    [SITE_MANY] = {"many", SITE_SMALL},
    [SITE_COLD] = {"cold", SITE_MEDIUM},
};

static int complain(const char *path)
{
    fprintf(stderr, "sluice-load: %s: %s\n", path, strerror(errno));
    return -1;
}

static int make_directory(const struct site *site, const char *name)
{
    char path[WORKSPACE_PATH];

    return mkdir(workspace_path(site->workspace, name, path), 0755) == 0 ? 0 : complain(path);
}

int site_create(struct site *site, const struct workspace *workspace, const uint64_t *sizes, size_t count)
{
    char name[64];

    memset(site, 0, sizeof(*site));
    site->workspace = workspace;
    if (make_directory(site, "www") == -1)
        return -1;
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "www/%" PRIu64, sizes[i]);
        if (workspace_write_content(workspace, name, sizes[i]) == -1)
            return -1;
    }
    return 0;
}

/* ---- directories ---- */

/* Names of hexadecimal digits: an odd factor, modulo 2^64, gives no two numbers the same. */
static int name_files(struct site_paths *paths, const char *directory, size_t count)
{
    paths->names = malloc(count * PATH_SIZE);
    paths->paths = calloc(count, sizeof(*paths->paths));
    if (paths->names == NULL || paths->paths == NULL)
        return -1;
    paths->count = count;
    for (size_t i = 0; i < count; i++) {
        char *name = paths->names + i * PATH_SIZE;

        snprintf(name, PATH_SIZE, "/%s/%016" PRIx64, directory, (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
        paths->paths[i] = name;
    }
    return 0;
}

static int write_file(int root, const char *path, const struct content *content)
{
    int fd = openat(root, path + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    ssize_t written = fd != -1 ? write(fd, content->data, content->size) : -1;

    if (fd != -1)
        close(fd);
    return written == (ssize_t)content->size ? 0 : complain(path);
}

static int open_root(const struct site *site)
{
    char path[WORKSPACE_PATH];
    int fd = open(workspace_path(site->workspace, "www", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd != -1 ? fd : complain(path);
}

/* On the disk before anything is measured, all at once: one by one it would take minutes. */
static int write_files(int root, const struct site_paths *paths, uint64_t size)
{
    struct content content;
    int status = 0;

    if (content_generate(&content, size) == -1)
        return complain("no memory");
    for (size_t i = 0; status == 0 && i < paths->count; i++)
        status = write_file(root, paths->paths[i], &content);
    content_close(&content);
    return status == 0 && syncfs(root) == -1 ? complain("www") : status;
}

static void shuffle(struct site_paths *paths)
{
    uint64_t x = UINT64_C(0x2545f4914f6cdd1d);

    for (size_t i = paths->count; i > 1; i--) {
        const char *last = paths->paths[i - 1];

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        paths->paths[i - 1] = paths->paths[x % i];
        paths->paths[x % i] = last;
    }
}

int site_add(struct site *site, enum site_directory directory, size_t count)
{
    struct site_paths *paths = &site->directories[directory];
    char name[64];
    int root, status;

    snprintf(name, sizeof(name), "www/%s", directories[directory].name);
    if (make_directory(site, name) == -1)
        return -1;
    if (name_files(paths, directories[directory].name, count) == -1)
        return complain("no memory");
    root = open_root(site);
    if (root == -1)
        return -1;
    status = write_files(root, paths, directories[directory].size);
    close(root);
    shuffle(paths);
    return status;
}

void site_evict(const struct site *site, enum site_directory directory)
{
    const struct site_paths *paths = &site->directories[directory];
    int root = open_root(site);

    for (size_t i = 0; root != -1 && i < paths->count; i++) {
        int fd = openat(root, paths->paths[i] + 1, O_RDONLY | O_CLOEXEC);

        if (fd == -1)
            continue;
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    if (root != -1)
        close(root);
}

void site_free(struct site *site)
{
    for (int i = 0; i < SITE_DIRECTORIES; i++) {
        free(site->directories[i].paths);
        free(site->directories[i].names);
    }
    memset(site, 0, sizeof(*site));
}
