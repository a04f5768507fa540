/* One end of a flow: a socket, a TLS socket, a range of a file, memory, or a stream that is made on the way;
 * what it can do, and the little that differs between them for a reader or writer in user space.
 * The movers read the fields; everyone else changes them through these functions only. Belongs to one worker.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/loop.h"
#include "relay/plan.h"
#include "relay/poller.h"

struct tls_conn;

enum endpoint_kind {
    ENDPOINT_SOCKET, /* TCP or UNIX stream */
    ENDPOINT_TLS,    /* the same with a tls_conn on it, handshake done */
    ENDPOINT_FILE,
    ENDPOINT_MEMORY,
    ENDPOINT_STREAM,
};

enum io_status {
    IO_OK,     /* *n bytes moved, at least one */
    IO_AGAIN,  /* not now; readable or writable was cleared, the next edge sets it again */
    IO_EOF,    /* complete end of the source */
    IO_BROKEN, /* reset, protocol error, truncation: errno says which (EPROTO: TLS; ENODATA: cut short) */
};

/* Asked before bytes [offset, offset + length) of a file source are sent: true, they can be had without
 * waiting for a disk; false, the owner will call flow_step() again once they can (DESIGN 5: nothing on a
 * worker blocks). NULL: always ready. */
typedef bool endpoint_fill_fn(void *arg, uint64_t offset, size_t length);

/* Makes the next bytes of a stream, as endpoint_read() would read them, with a bounded effort: a flow asks
 * once a step. IO_AGAIN: none yet, whoever made the stream will call flow_step() again. */
typedef enum io_status endpoint_make_fn(void *arg, void *buffer, size_t size, size_t *n);

struct endpoint {
    int fd; /* owned, unless borrowed; -1 once closed, and for memory */
    enum endpoint_kind kind : 8;

    /* SOCKET and TLS */
    bool readable : 1, writable : 1; /* set by edges, cleared by IO_AGAIN; both true at the start */
    bool read_wants_write : 1;       /* TLS: SSL_read is waiting for the socket to be writable */
    bool write_wants_read : 1;
    bool read_to_end : 1; /* a short read doesn't mean that there is no more: see read_socket() */
    bool delayed : 1;     /* TCP_NODELAY is still to be set, before the second write */
    bool written : 1;     /* there was a first one */
    bool wide : 1;        /* its send buffer was enlarged for bulk (move_sendfile.c) */
    bool corked : 1;      /* it has TCP_CORK (the same) */
    bool suspect : 1;     /* an edge that told of an error: see endpoint_check */
    bool not_regular : 1; /* FILE */
    bool borrowed : 1;    /* FILE and STREAM: fd is not closed with it */
    struct loop *loop;
    union {
        struct { /* SOCKET and TLS */
            struct poll_entry entry;
            void (*on_ready)(void *arg);
            void *on_ready_arg;
            struct tls_conn *tls; /* owned; NULL: SOCKET */
        };
        struct { /* FILE and MEMORY: what is left is [offset, end) */
            uint64_t offset, end;
            const uint8_t *data;
            endpoint_fill_fn *fill;
            void *fill_arg;
        };
        struct { /* STREAM */
            endpoint_make_fn *make;
            void *make_arg;
        };
    };
};

/* What an endpoint is before it is opened; closing and resetting it does nothing. */
#define ENDPOINT_NONE ((struct endpoint){.fd = -1})

/* Takes a connected non-blocking stream socket: sets TCP_NODELAY and SO_OOBINLINE where they apply and
 * watches it. 0, or -1 and errno; then fd is still the caller's. */
int endpoint_open_socket(struct endpoint *ep, struct loop *loop, int fd) __attribute__((warn_unused_result));
/* The same for a TCP socket that was accepted and has its options (endpoint_prepare); and for one that is
 * connecting, which sets TCP_NODELAY only when it matters. Neither is ready before the first edge, which
 * comes on the next turn or once it is connected. */
int endpoint_open_accepted(struct endpoint *ep, struct loop *loop, int fd)
    __attribute__((warn_unused_result));
int endpoint_open_connecting(struct endpoint *ep, struct loop *loop, int fd)
    __attribute__((warn_unused_result));
/* TCP_NODELAY and SO_OOBINLINE, which sockets also inherit from the listening one they are accepted from.
 * false: fd isn't TCP. */
bool endpoint_prepare(int fd);
/* Moves the socket, TLS and all, from one endpoint to another, which takes over its state but not on_ready;
 * `from` is closed then. 0, or -1 and errno: nothing was moved. */
int endpoint_take_over(struct endpoint *ep, struct endpoint *from) __attribute__((warn_unused_result));

/* Turns a SOCKET into TLS; takes tls (its handshake may still be to do). */
void endpoint_set_tls(struct endpoint *ep, struct tls_conn *tls);
/* The handshake is done. Payload that was read with its last flight makes the endpoint readable: it may have
 * come in behind an edge that told of nothing but room to write, and then its own edge finds the socket
 * empty. */
void endpoint_shook_hands(struct endpoint *ep);

/* Bytes [offset, end) of fd, which it takes. is_regular: S_ISREG. */
void endpoint_open_file(struct endpoint *ep, struct loop *loop, int fd, uint64_t offset, uint64_t end,
                        bool is_regular);
/* data is borrowed until the flow is done. */
void endpoint_open_memory(struct endpoint *ep, struct loop *loop, const void *data, size_t size);
/* Bytes that have to be made in user space, one after the other (reason `compressed`). fd: what they are made
 * of, which it takes; -1: no descriptor. arg is borrowed until the flow is done. */
void endpoint_open_stream(struct endpoint *ep, struct loop *loop, int fd, endpoint_make_fn *make, void *arg);

/* Who is called at an edge, from the event loop, never from within an endpoint function. Edges that came
 * before are remembered in readable and writable but not told again: at a hand-over, step once yourself.
 * Other sources have no edges: does nothing. */
void endpoint_on_ready(struct endpoint *ep, void (*on_ready)(void *arg), void *arg);

/* Calls on_ready as an edge would; ep is a struct endpoint. For timers, never from within on_ready. */
void endpoint_wake(void *ep);

/* One read or write in user space; counts system calls. Never blocks. */
enum io_status endpoint_read(struct endpoint *ep, void *buffer, size_t size, size_t *n);
/* more: MSG_MORE, only when a body follows at once (kernel.md 2: otherwise held back 200 ms). */
enum io_status endpoint_write(struct endpoint *ep, const void *data, size_t size, bool more, size_t *n);

/* Before a call of one's own that writes to the socket (splice, sendfile). The first segment on a connection
 * is never held back, so TCP_NODELAY is set before the second, and a short exchange does without. */
void endpoint_before_write(struct endpoint *ep);

/* Ends the sink's stream after everything was written: SHUT_WR, or close_notify on TLS (SHUT_WR there would
 * cut off what kTLS still holds). closes: shutdown() follows at once. IO_OK, IO_AGAIN or
 * IO_BROKEN. */
enum io_status endpoint_shutdown_write(struct endpoint *ep, bool closes);

/* Whether a read or write may succeed now, as far as the edges told. Always true of other sources. */
bool endpoint_can_read(const struct endpoint *ep);
bool endpoint_can_write(const struct endpoint *ep);

/* SO_ERROR of a socket that had a suspicious edge and isn't being read just now: a reset must be noticed
 * under back-pressure too. 0, or the errno. At most one system call an edge. */
int endpoint_check(struct endpoint *ep);

/* Bytes of a socket that its peer has not acknowledged yet; 0 also where the kernel can't tell (UNIX). */
int endpoint_unsent(const struct endpoint *ep);

/* Closes without ceremony: event, TLS and descriptor. What the kernel still holds of a plain socket is
 * delivered; of kTLS it may be cut (use linger.h). Harmless on a closed endpoint. */
void endpoint_close(struct endpoint *ep);
/* Closes so that the peer sees a reset (SO_LINGER 0). */
void endpoint_reset(struct endpoint *ep);

/* How plan sees this end, as a source or as a sink. */
struct plan_side endpoint_plan_source(const struct endpoint *ep);
struct plan_side endpoint_plan_sink(const struct endpoint *ep);
