/* A pcapng file that workers add packets to and a thread of its own writes: a worker never waits for the
 * disk. What doesn't fit is dropped and counted, in the file as well. Refuses to know connections' ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/filters/pcapng.h"

struct capture;

/* Takes fd, open for appending, on success; writes a section header. `path` is copied, for complaints.
 * max_size: of the file; from then on nothing is added. NULL and errno: fd is still the caller's. */
struct capture *capture_new(int fd, const char *path, uint64_t max_size);
/* Its thread writes what waits, the counts, and closes: whoever lets go of the last reference may be a
 * worker, and doesn't wait. NULL: nothing. */
void capture_free(struct capture *capture);
/* Before the process ends: waits for those that are still being written, CAPTURE_FLUSH_MS at most. */
void capture_flush_all(void);
#define CAPTURE_FLUSH_MS 2000

/* Any thread; never blocks on the disk. false: the file is full for good. Dropping one isn't told. */
bool capture_add(struct capture *capture, const struct pcapng_packet *packet);

/* Packets that any capture of this process has dropped. */
uint64_t capture_dropped(void);
