/* mmap: write() from a mapping of the file, window by window. The kernel touches the mapping, not we, so a
 * truncation is EFAULT and no SIGBUS (kernel.md 2); hence never with user-space TLS (plan.c).
 * Refuses to know why it was chosen, and HTTP. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "relay/mover.h"

/* Mapped at a time: large enough to amortise mapping and unmapping (0.27-0.30 CPU s/GB at 1 MiB, kernel.md
 * 2). */
#define MMAP_WINDOW (1u << 20)
/* A window begins at a multiple of this: of every page size that Linux uses. */
#define MMAP_ALIGN (64u << 10)

void move_mmap_release(struct flow *flow)
{
    if (flow->window != NULL)
        munmap(flow->window->map, flow->window->size);
    free(flow->window);
    flow->window = NULL;
}

/* The window that holds source->offset. -1 and errno. */
static int map_window(struct flow *flow)
{
    const struct endpoint *source = flow->source;
    struct flow_window *window = flow->window;
    if (window != NULL && source->offset < window->offset + window->size)
        return 0;
    move_mmap_release(flow);
    window = malloc(sizeof(*window));
    if (window == NULL)
        return -1;
    window->offset = source->offset - source->offset % MMAP_ALIGN;
    const uint64_t size = source->end - window->offset;
    window->size = size < MMAP_WINDOW ? (size_t)size : MMAP_WINDOW;
    loop_count(flow->sink->loop, RELAY_SYS_MMAP);
    void *map = mmap(NULL, window->size, PROT_READ, MAP_SHARED, source->fd, (off_t)window->offset);
    if (map == MAP_FAILED) {
        free(window);
        return -1;
    }
    window->map = map;
    flow->window = window;
    return 0;
}

/* Past the end of a truncated file the rest of its last page reads as zeros, without any fault: those must
 * not pass for content. Asked before a window is sent and after, so that only a truncation between the two
 * calls can put zeros on the wire, and even then the stream ends in a reset. */
static bool still_whole(const struct endpoint *source, uint64_t end)
{
    struct stat status;
    return fstat(source->fd, &status) == 0 && (uint64_t)status.st_size >= end;
}

static enum move_status send_window(struct flow *flow, size_t *moved)
{
    struct endpoint *source = flow->source;
    const struct flow_window *window = flow->window;
    const uint64_t end = window->offset + window->size;
    if (!still_whole(source, end)) {
        errno = ENODATA;
        return MOVE_SOURCE_BROKEN;
    }
    while (source->offset < end) {
        if (!endpoint_can_write(flow->sink))
            return MOVE_WAIT_SINK;
        size_t size = flow_allowed(flow, (size_t)(end - source->offset)), n;
        if (size == 0)
            return MOVE_MORE; /* the window is looked at again when it goes on */
        switch (
            endpoint_write(flow->sink, window->map + (source->offset - window->offset), size, false, &n)) {
        case IO_OK:
            source->offset += n;
            *moved += n;
            flow_account(flow, n);
            break;
        case IO_AGAIN:
            return MOVE_WAIT_SINK;
        case IO_EOF:
        case IO_BROKEN:
            if (errno != EFAULT)
                return MOVE_SINK_BROKEN;
            errno = ENODATA;
            return MOVE_SOURCE_BROKEN;
        }
    }
    if (!still_whole(source, end)) {
        errno = ENODATA;
        return MOVE_SOURCE_BROKEN;
    }
    return MOVE_MORE;
}

enum move_status move_mmap_step(struct flow *flow, size_t budget)
{
    struct endpoint *source = flow->source;
    size_t moved = 0;
    for (;;) {
        if (!endpoint_can_write(flow->sink))
            return MOVE_WAIT_SINK;
        if (source->offset < source->end && !flow_filled(flow, MMAP_WINDOW))
            return MOVE_WAIT_SOURCE;
        enum io_status head = flow_send_head(flow);
        if (head != IO_OK)
            return head == IO_AGAIN ? MOVE_WAIT_SINK : MOVE_SINK_BROKEN;
        if (source->offset == source->end) {
            move_mmap_release(flow);
            flow->source_ended = true;
            return MOVE_EOF;
        }
        if (moved >= budget || flow_allowed(flow, 1) == 0)
            return MOVE_MORE;
        if (map_window(flow) == -1) {
            flow->facts.mmap_refused = true;
            return MOVE_SWITCH;
        }
        enum move_status status = send_window(flow, &moved);
        if (status != MOVE_MORE)
            return status;
    }
}
