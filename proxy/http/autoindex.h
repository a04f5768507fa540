/* A directory's listing, read and written by a thread that may wait for the disk.
 * Refuses to know who asked and how it is sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/http/beneath.h"
#include "proxy/http/listing_page.h"

struct disk_port;
struct autoindex_job;

enum http_autoindex { HTTP_AUTOINDEX_OFF, HTTP_AUTOINDEX_HTML, HTTP_AUTOINDEX_JSON };

/* One listing being made. Embedded by whoever asks; lives until it is answered or cancelled. */
struct autoindex {
    enum http_autoindex format; /* not OFF */
    struct beneath what;        /* the directory */
    bool dotfiles;
    struct listing_place place;
    struct disk_port *disk; /* NULL: it is made at once */
    /* Takes page, of size bytes, to be freed. error 0; else the errno of reading it, and page is NULL. */
    void (*on_made)(struct autoindex *autoindex, int error, char *page, size_t size);
    struct autoindex_job *job; /* its own */
};

/* Calls on_made once, before it returns or later from the event loop. */
void autoindex_start(struct autoindex *autoindex);
/* on_made will not run; a listing being read is given up between two entries. Only while it is outstanding.
 */
void autoindex_cancel(struct autoindex *autoindex);
