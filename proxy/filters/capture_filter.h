/* The filter `capture`: writes a connection's first bytes in each direction to a capture, as the packets of a
 * TCP connection from the client to the listener. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "proxy/filters/capture.h"
#include "relay/filter.h"
#include "relay/session.h"

/* Shared by the two directions of one connection. */
struct capture_stream {
    struct capture *capture;                /* borrowed */
    struct sockaddr_storage client, server; /* of one family: see capture_stream_init() */
    uint32_t next_seq[2];                   /* by enum session_direction */
    bool begun;
};

/* The addresses of both ends of the client's connection. UNIX sockets have none: they are shown as
 * 127.0.0.1, the client's port made of `id`. An IPv4 address that is written in IPv6 becomes IPv4. */
void capture_stream_init(struct capture_stream *stream, struct capture *capture,
                         const struct sockaddr_storage *client, const struct sockaddr_storage *server,
                         uint64_t id);

/* Captures at most `limit` bytes of one direction. stream is borrowed, outlives the filter. NULL: out of
 * memory. */
struct filter *capture_filter_new(struct capture_stream *stream, enum session_direction direction,
                                  uint64_t limit);
