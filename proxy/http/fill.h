/* Whether the next bytes of a file can be sent without waiting for a disk, and having them read by a thread
 * that may wait where not: endpoint's `fill`. Refuses to know what sends them. Belongs to one worker. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_job;
struct disk_port;

struct http_fill {
    struct disk_port *disk;
    int fd;               /* borrowed: the endpoint's */
    uint64_t end;         /* of the file */
    uint64_t from, to;    /* known to be in the page cache a moment ago */
    uint64_t looked_ms;   /* when that was; 0: read for this */
    bool patchy;          /* the last look found less than it might have: look no further than asked */
    struct disk_job *job; /* reading; NULL: nothing is */
    uint64_t wanted_to;   /* what it reads up to */
    void (*on_filled)(void *arg);
    void *arg;
};

struct http_fill_options {
    struct disk_port *disk;
    int fd;                       /* borrowed */
    uint64_t end;                 /* of the file */
    void (*on_filled)(void *arg); /* from the event loop, after http_fill_ready() said no */
    void *arg;
};
void http_fill_init(struct http_fill *fill, const struct http_fill_options *options);
/* endpoint_fill_fn; arg is the struct http_fill. */
bool http_fill_ready(void *arg, uint64_t offset, size_t length);
/* on_filled will not run any more. Also of a zeroed one. */
void http_fill_stop(struct http_fill *fill);
