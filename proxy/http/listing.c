/* See listing.h. */
#include "proxy/http/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/disk.h"

/* A request's path can't hold them (target.h). */
static bool has_controls(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7f)
            return true;
    return false;
}

static bool is_wanted(const struct listing_options *options, const struct dirent *entry)
{
    const char *name = entry->d_name;
    if (name[0] == '.' && (!options->dotfiles || name[1] == '\0' || strcmp(name, "..") == 0))
        return false;
    return (entry->d_type == DT_REG || entry->d_type == DT_DIR || entry->d_type == DT_LNK ||
            entry->d_type == DT_UNKNOWN) &&
           !has_controls(name);
}

/* What a request for it would find: behind a link what that leads to. false: nothing. */
static bool find(const struct listing_options *options, int directory_fd, const char *name, struct stat *stat)
{
    if (fstatat(directory_fd, name, stat, AT_SYMLINK_NOFOLLOW) == -1)
        return false;
    if (S_ISLNK(stat->st_mode)) {
        char path[PATH_MAX];
        const int size = snprintf(path, sizeof(path), "%s/%s", options->what.path, name);
        const struct beneath link = {options->what.root_fd, path, options->what.symlinks};
        if (size >= (int)sizeof(path) || beneath_stat(&link, stat) != 0)
            return false;
    }
    return S_ISREG(stat->st_mode) || S_ISDIR(stat->st_mode);
}

/* What is being read: the listing, and how much room it has. */
struct reading {
    struct listing *listing;
    size_t entries_room, names_room;
};

static bool reserve(void **memory, size_t *room, size_t wanted, size_t size_of_one)
{
    if (wanted <= *room)
        return true;
    size_t more = *room ? 2 * *room : 64;
    while (more < wanted)
        more *= 2;
    void *moved = realloc(*memory, more * size_of_one);
    if (!moved)
        return false;
    *memory = moved;
    *room = more;
    return true;
}

static int add(struct reading *reading, const char *name, const struct stat *stat)
{
    struct listing *listing = reading->listing;
    const size_t size = strlen(name) + 1;
    void *entries = listing->entries, *names = listing->names;
    const bool room =
        reserve(&entries, &reading->entries_room, listing->count + 1, sizeof(*listing->entries)) &&
        reserve(&names, &reading->names_room, listing->names_size + size, 1);
    listing->entries = entries;
    listing->names = names;
    if (!room)
        return ENOMEM;
    listing->entries[listing->count++] = (struct listing_entry){
        .name_at = listing->names_size,
        .is_directory = S_ISDIR(stat->st_mode),
        .size = (uint64_t)stat->st_size,
        .mtime = stat->st_mtim.tv_sec,
    };
    memcpy(listing->names + listing->names_size, name, size);
    listing->names_size += size;
    return 0;
}

static int read_entries(struct listing *listing, const struct listing_options *options, DIR *directory)
{
    struct reading reading = {.listing = listing};
    const size_t most = options->entries_max ? options->entries_max : LISTING_ENTRIES_MAX;
    const struct dirent *entry;
    struct stat stat;
    int error = 0;
    while (error == 0) {
        if (options->job && disk_is_cancelled(options->job))
            return ECANCELED;
        errno = 0;
        entry = readdir(directory);
        if (!entry)
            return errno;
        if (!is_wanted(options, entry) || !find(options, dirfd(directory), entry->d_name, &stat))
            continue;
        if (listing->count == most || listing->names_size + strlen(entry->d_name) > LISTING_NAMES_MAX) {
            listing->truncated = true;
            return 0;
        }
        error = add(&reading, entry->d_name, &stat);
    }
    return error;
}

static int compare(const void *left, const void *right, void *names)
{
    const struct listing_entry *a = left, *b = right;
    if (a->is_directory != b->is_directory)
        return a->is_directory ? -1 : 1;
    return strcmp((const char *)names + a->name_at, (const char *)names + b->name_at);
}

static int open_directory(const struct beneath *what, DIR **directory)
{
    struct stat stat;
    int fd, error = beneath_open(what, &fd, &stat);
    if (error != 0)
        return error;
    /* One that may be entered but not read was opened all the same. */
    if ((fcntl(fd, F_GETFL) & O_PATH) != 0)
        error = EACCES;
    else if (!(*directory = fdopendir(fd)))
        error = errno;
    if (error != 0)
        close(fd);
    return error;
}

int listing_read(struct listing *listing, const struct listing_options *options)
{
    DIR *directory;
    *listing = (struct listing){0};
    int error = open_directory(&options->what, &directory);
    if (error != 0)
        return error;
    error = read_entries(listing, options, directory);
    closedir(directory);
    if (error != 0)
        listing_free(listing);
    else if (listing->count > 0)
        qsort_r(listing->entries, listing->count, sizeof(*listing->entries), compare, listing->names);
    return error;
}

void listing_free(struct listing *listing)
{
    free(listing->entries);
    free(listing->names);
    *listing = (struct listing){0};
}
