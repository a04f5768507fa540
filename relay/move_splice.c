/* splice: socket -> pipe -> socket, much per turn and few wake-ups. Every branch here is a fact of kernel.md
 * 1 and 3; the pipe is lent by the pool only while there are bytes to move. Refuses to know why splicing was
 * chosen. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "relay/mover.h"
#include "relay/tls_conn.h"

/* What filling the pipe came to. */
enum fill {
    FILL_SOME,    /* the pipe has bytes; there may be more to come */
    FILL_NOTHING, /* the source has nothing now, and the pipe is empty */
    FILL_EOF,
    FILL_SWITCH,
    FILL_BROKEN,
};

void move_splice_release(struct flow *flow)
{
    pipe_pool_put(flow->sink->loop->pipes, flow->pipe);
    flow->pipe = NULL;
}

/* Socket empty, or standing before a TCP urgent byte, at which splice says EAGAIN for ever and no edge comes?
 * Only this ioctl tells; one recv() goes past it. A UNIX socket has no mark and refuses the question. */
static bool at_urgent_mark(struct flow *flow)
{
    int at_mark = 0;
    if (flow->source->kind == ENDPOINT_TLS)
        return false;
    loop_count(flow->sink->loop, RELAY_SYS_IOCTL);
    return ioctl(flow->source->fd, SIOCATMARK, &at_mark) == 0 && at_mark != 0;
}

/* The detour that a mark costs is five calls for a byte: a storm of them is an attack. */
static enum fill on_urgent_mark(struct flow *flow)
{
    if (storm_count(&flow->urgent, loop_now_ms())) {
        flow->urgent_storm = true;
        errno = EPROTO;
        return FILL_BROKEN;
    }
    flow->facts.urgent_data = true;
    return FILL_SWITCH;
}

/* Where nothing may be copied, the detour's read could bring the payload behind the record that it is for. */
static enum fill skip_control(struct flow *flow)
{
    switch (tls_conn_skip_control(flow->source->tls)) {
    case TLS_DONE:
        return FILL_SOME; /* of nothing: ask again */
    case TLS_WANT_READ:
    case TLS_WANT_WRITE:
        flow->source->readable = false;
        return FILL_NOTHING;
    case TLS_CLOSED:
        return FILL_EOF;
    case TLS_TRUNCATED:
    case TLS_BROKEN:
        break;
    }
    return FILL_BROKEN;
}

static enum fill on_fill_error(struct flow *flow)
{
    struct endpoint *source = flow->source;
    switch (errno) {
    case EAGAIN:
        /* The pipe may be full (by slots: 64 segments of 100 bytes fill one of 64 KiB) or the socket empty.
         * With bytes in the pipe: drain it first, then ask again. */
        if (flow->pipe->bytes != 0)
            return FILL_SOME;
        if (at_urgent_mark(flow))
            return on_urgent_mark(flow);
        source->readable = false;
        return FILL_NOTHING;
    case EINVAL:
        /* On kTLS: a record that isn't data is next (or a broken one, which OpenSSL will tell). */
        if (source->kind == ENDPOINT_TLS && flow->policy.require_zero_copy)
            return skip_control(flow);
        if (source->kind == ENDPOINT_TLS)
            flow->facts.control_record = true;
        else
            flow->facts.splice_refused = true;
        return FILL_SWITCH;
    case ENOSYS:
    case EPERM:
        flow->facts.splice_refused = true;
        return FILL_SWITCH;
    default:
        return FILL_BROKEN;
    }
}

/* splice said 0: the end. But once the peer's FIN is there it says so at an urgent mark, too, with bytes
 * still behind the mark (measured: they were lost, and the end looked clean). */
static enum fill on_fill_end(struct flow *flow)
{
    if (!at_urgent_mark(flow))
        return FILL_EOF;
    if (flow->pipe->bytes != 0)
        return FILL_SOME; /* drain first; the mark is met again */
    return on_urgent_mark(flow);
}

static enum fill fill_pipe(struct flow *flow)
{
    struct endpoint *source = flow->source;
    struct relay_pipe *pipe = flow->pipe;
    bool tls = source->kind == ENDPOINT_TLS;
    /* Drain when half full: the sink's wake-ups are what costs, and room is left for what arrives meanwhile.
     * From kTLS only into an empty pipe, record by record: a nearly full one loses bytes on older kernels. */
    size_t mark = tls ? 1 : pipe->size / 2;
    /* A pace may ask for less; a record is taken whole all the same, and what is too much is its debt. */
    size_t most = tls ? pipe->size : flow_allowed(flow, pipe->size);
    if (most < mark)
        mark = most;
    while (pipe->bytes < mark) {
        if (!endpoint_can_read(source))
            return pipe->bytes != 0 ? FILL_SOME : FILL_NOTHING;
        loop_count(flow->sink->loop, RELAY_SYS_SPLICE);
        ssize_t n = splice(source->fd, NULL, pipe->write_fd, NULL, most - pipe->bytes, SPLICE_F_NONBLOCK);
        if (n > 0) {
            pipe->bytes += (size_t)n;
            if (tls)
                tls_conn_note_spliced(source->tls);
            continue;
        }
        if (n == 0 && tls) { /* the end, or an empty record: a read will tell */
            flow->facts.control_record = true;
            return FILL_SWITCH;
        }
        if (n == 0)
            return on_fill_end(flow);
        if (errno != EINTR)
            return on_fill_error(flow);
    }
    return FILL_SOME;
}

/* MOVE_MORE: the pipe is empty. */
static enum move_status drain_pipe(struct flow *flow, size_t *moved)
{
    struct endpoint *sink = flow->sink;
    struct relay_pipe *pipe = flow->pipe;
    while (pipe->bytes != 0) {
        if (!endpoint_can_write(sink))
            return MOVE_WAIT_SINK;
        loop_count(flow->sink->loop, RELAY_SYS_SPLICE);
        /* Never SPLICE_F_MORE: newer kernels hold the last record or segment back for it. */
        ssize_t n = splice(pipe->read_fd, NULL, sink->fd, NULL, pipe->bytes, SPLICE_F_NONBLOCK);
        if (n > 0) {
            pipe->bytes -= (size_t)n;
            *moved += (size_t)n;
            flow_account(flow, (size_t)n);
            continue;
        }
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && errno == EAGAIN) {
            sink->writable = false;
            return MOVE_WAIT_SINK;
        }
        if (n == 0) /* the pipe has fewer bytes than were counted into it: never go on after a loss */
            errno = EIO;
        return MOVE_SINK_BROKEN;
    }
    return MOVE_MORE;
}

/* Many small turns in a row: copying does those for less. */
static bool turned_small(struct flow *flow, size_t moved)
{
    if (!flow_is_adaptive(flow))
        return false;
    flow->small_turns = moved < FLOW_SMALL_TURN ? (uint8_t)(flow->small_turns + 1) : 0;
    if (flow->small_turns < FLOW_SMALL_TURNS)
        return false;
    flow->small_turns = 0;
    flow->facts.small = true;
    return true;
}

static enum move_status on_drained(struct flow *flow, enum fill fill, size_t moved)
{
    switch (fill) {
    case FILL_EOF:
        flow->source_ended = true;
        return MOVE_EOF;
    case FILL_NOTHING:
        move_splice_release(flow); /* an idle connection owns no pipe */
        return moved != 0 && turned_small(flow, moved) ? MOVE_SWITCH : MOVE_WAIT_SOURCE;
    case FILL_SWITCH:
        move_splice_release(flow);
        return MOVE_SWITCH;
    case FILL_BROKEN:
    case FILL_SOME:
        break;
    }
    return MOVE_MORE;
}

enum move_status move_splice_step(struct flow *flow, size_t budget)
{
    size_t moved = 0;
    if (flow->source_ended) /* the sink had no room for its end */
        return MOVE_EOF;
    if (flow->source->kind == ENDPOINT_TLS && tls_conn_pending(flow->source->tls) != 0) {
        flow->facts.tls_pending = true;
        return MOVE_SWITCH;
    }
    if (flow_head_left(flow) != 0) {
        enum io_status head = endpoint_can_write(flow->sink) ? flow_send_head(flow) : IO_AGAIN;
        if (head != IO_OK)
            return head == IO_AGAIN ? MOVE_WAIT_SINK : MOVE_SINK_BROKEN;
    }
    if (flow->pipe == NULL && !endpoint_can_read(flow->source))
        return MOVE_WAIT_SOURCE;
    if (flow->pipe == NULL)
        flow->pipe = pipe_pool_get(flow->sink->loop->pipes);
    if (flow->pipe == NULL) {
        flow->facts.pipe_limit = true;
        return MOVE_SWITCH;
    }
    endpoint_before_write(flow->sink);
    for (;;) {
        enum fill fill = fill_pipe(flow);
        if (fill == FILL_BROKEN)
            return MOVE_SOURCE_BROKEN;
        enum move_status drained = drain_pipe(flow, &moved);
        if (drained != MOVE_MORE) {
            /* Nothing was lost: whatever ended the filling is met again once the sink has room. */
            return drained;
        }
        if (fill != FILL_SOME)
            return on_drained(flow, fill, moved);
        if (moved >= budget || flow_allowed(flow, 1) == 0)
            return MOVE_MORE;
    }
}
