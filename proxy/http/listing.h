/* What is in a directory, as far as it could be asked for: names, kinds, sizes and times.
 * Refuses to know who waits for it (autoindex.h) and how it is shown (listing_page.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/http/beneath.h"

/* So many entries and bytes of names at most: a page of them is about 1.5 MB. */
#define LISTING_ENTRIES_MAX 10000
#define LISTING_NAMES_MAX (1 << 20)

struct disk_job;

struct listing_entry {
    size_t name_at; /* in `names`; see listing_name() */
    bool is_directory;
    uint64_t size; /* of a file */
    int64_t mtime;
};

struct listing {
    struct listing_entry *entries; /* directories first, then by name, bytewise */
    size_t count;
    char *names; /* terminated, one behind the other */
    size_t names_size;
    bool truncated; /* there are more, which were not looked at */
};

struct listing_options {
    /* The directory. Links in it are followed as this says; what they lead to is told of, in their name. */
    struct beneath what;
    bool dotfiles;
    size_t entries_max;         /* 0: LISTING_ENTRIES_MAX */
    const struct disk_job *job; /* whose cancellation ends it early; NULL: none */
};

/* Reads it; may wait for a disk, entry by entry. Left out is what no request would be answered with: what is
 * neither file nor directory, links that lead nowhere or may not be followed, names with control characters,
 * and, unless dotfiles, names that begin with a dot. 0, to be freed by listing_free(); or the errno, of the
 * directory alone (ECANCELED: the job was), and nothing to be freed. */
int listing_read(struct listing *listing, const struct listing_options *options);
void listing_free(struct listing *listing);

static inline const char *listing_name(const struct listing *listing, const struct listing_entry *entry)
{
    return listing->names + entry->name_at;
}
