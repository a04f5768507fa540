/* sendfile: page cache -> socket, or -> kTLS on the same descriptor.
 * Refuses to know why it was chosen, and HTTP. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "relay/mover.h"

/* Bytes a call: fewer, larger calls cost less CPU, and 2 MiB is where it stops paying (kernel.md 2). */
#define SENDFILE_CALL (2u << 20)

/* Bulk over plain TCP gets a send buffer of the size to which the kernel would tune it in the end: it holds
 * references to the page cache, not copies, and each call then moves more for a wake-up of the peer. Only
 * with CAP_NET_ADMIN: without, the request would be capped at net.core.wmem_max, below what tuning reaches,
 * and turn tuning off. And it is corked: what a call has not filled a segment with is not sent by itself, but
 * with what the next one brings. With neither 100 clients x 100 MB over loopback cost 1.2 to 1.5 times
 * nginx's processor time (which corks, too), with both 0.55 to 0.80 (three runs of three turns). */
#define BULK_FILE (8u << 20)
#define BULK_SEND_BUFFER (4u << 20)

static void cork(struct endpoint *sink, int on)
{
    sink->corked = on != 0;
    loop_count(sink->loop, RELAY_SYS_IOCTL);
    (void)setsockopt(sink->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/* A flow that is given its pace has no bulk to send at a time. */
static void begin_bulk(struct flow *flow)
{
    const int size =
        BULK_SEND_BUFFER; /* of payload: the kernel allows itself as much again for bookkeeping */
    struct endpoint *sink = flow->sink;
    if (sink->kind != ENDPOINT_SOCKET || flow->pace != NULL)
        return;
    if (!sink->wide)
        (void)setsockopt(sink->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    sink->wide = true;
    if (!sink->corked)
        cork(sink, 1);
}

static void end_bulk(struct endpoint *sink)
{
    if (sink->corked)
        cork(sink, 0);
}

/* A call that moved less than it was to has met a full buffer, most probably. Another one would fill what the
 * peer frees bit by bit, with a wake-up for each; asked by poll() the kernel says so when a third is free,
 * and promises an edge otherwise. */
static bool is_full(struct endpoint *sink)
{
    struct pollfd ask = {.fd = sink->fd, .events = POLLOUT};
    loop_count(sink->loop, RELAY_SYS_IOCTL);
    if (poll(&ask, 1, 0) != 0)
        return false;
    sink->writable = false;
    return true;
}

static enum move_status on_refusal(struct flow *flow)
{
    int error = errno;
    end_bulk(flow->sink);
    errno = error;
    switch (error) {
    case EINVAL: /* a file that can't be mapped into the page cache (some FUSE and proc files) */
    case ENOSYS:
    case EOVERFLOW:
        flow->facts.sendfile_refused = true;
        return MOVE_SWITCH;
    case EIO:
        return MOVE_SOURCE_BROKEN;
    default:
        return MOVE_SINK_BROKEN;
    }
}

enum move_status move_sendfile_step(struct flow *flow, size_t budget)
{
    struct endpoint *source = flow->source, *sink = flow->sink;
    size_t moved = 0;
    for (;;) {
        if (!endpoint_can_write(sink))
            return MOVE_WAIT_SINK;
        uint64_t left = source->end - source->offset;
        size_t length = flow_allowed(flow, left < SENDFILE_CALL ? (size_t)left : SENDFILE_CALL);
        if (moved >= budget && left != 0)
            return MOVE_MORE;
        if (length != 0 && !flow_filled(flow, length))
            return MOVE_WAIT_SOURCE;
        enum io_status head = flow_send_head(flow);
        if (head != IO_OK)
            return head == IO_AGAIN ? MOVE_WAIT_SINK : MOVE_SINK_BROKEN;
        if (left == 0) {
            flow->source_ended = true;
            return MOVE_EOF;
        }
        length = flow_allowed(flow, length); /* the head may have taken its part */
        if (length == 0)
            return MOVE_MORE;
        if (left >= BULK_FILE)
            begin_bulk(flow);

        off_t offset = (off_t)source->offset;
        endpoint_before_write(sink);
        loop_count(flow->sink->loop, RELAY_SYS_SENDFILE);
        ssize_t n = sendfile(sink->fd, source->fd, &offset, length);
        if (n > 0) {
            source->offset += (uint64_t)n;
            moved += (size_t)n;
            flow_account(flow, (size_t)n);
            if (source->offset == source->end)
                end_bulk(sink);
            else if ((size_t)n < length && is_full(sink))
                return MOVE_WAIT_SINK;
        } else if (n == 0) { /* before the promised end: the file was truncated. Never pad, never loop */
            errno = ENODATA;
            return MOVE_SOURCE_BROKEN;
        } else if (errno == EAGAIN) {
            sink->writable = false;
            return MOVE_WAIT_SINK;
        } else if (errno != EINTR) {
            return on_refusal(flow);
        }
    }
}
