/* What the tests of relay/ share: a loop on an event_base, pairs of connected non-blocking sockets, peers
 * that write and read a known pattern at a given pace, and running until something is so, with a deadline.
 * Refuses to know flows and sessions. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/tcp.h> /* the whole of struct tcp_info, which <netinet/tcp.h> lacks */
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay/endpoint.h"
#include "relay/loop.h"
#include "relay/pipe_pool.h"

/* Long enough for a guest kernel under emulation, short enough for ctest to say which test hung. */
#define TEST_DEADLINE_MS 30000

struct rig {
    struct event_base *base;
    struct loop *loop;
    struct event *tick;
};

static inline uint64_t test_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void rig_on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

static inline void rig_open_sized(struct rig *rig, size_t pipe_size, size_t copy_size)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does: splice and sendfile have no MSG_NOSIGNAL */
    rig->base = event_base_new();
    assert_non_null(rig->base);
    const struct loop_options options = {.base = rig->base, .pipe_size = pipe_size, .copy_size = copy_size};
    rig->loop = loop_new(&options);
    assert_non_null(rig->loop);
    rig->tick = event_new(rig->base, -1, 0, rig_on_tick, NULL);
    assert_non_null(rig->tick);
}

static inline void rig_open(struct rig *rig)
{
    rig_open_sized(rig, 0, 0);
}

static inline void rig_close(struct rig *rig)
{
    assert_int_equal(pipe_pool_lent(rig->loop->pipes), 0);
    loop_free(rig->loop);
    event_free(rig->tick);
    event_base_free(rig->base);
}

/* One turn without waiting; or, if `wait`, until something happens, a millisecond at most. */
static inline void rig_turn(struct rig *rig, bool wait)
{
    if (!wait) {
        event_base_loop(rig->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        return;
    }
    const struct timeval millisecond = {0, 1000};
    event_add(rig->tick, &millisecond);
    event_base_loop(rig->base, EVLOOP_ONCE);
    event_del(rig->tick);
}

#define rig_run_until(rig, condition)                                           \
    do {                                                                        \
        uint64_t rig_deadline = test_now_ms() + TEST_DEADLINE_MS;               \
        while (!(condition)) {                                                  \
            if (test_now_ms() > rig_deadline)                                   \
                fail_msg("not within %d ms: %s", TEST_DEADLINE_MS, #condition); \
            rig_turn(rig, true);                                                \
        }                                                                       \
    } while (0)

/* Turns until nothing more is about to happen: several in a row without an event. */
static inline void rig_settle(struct rig *rig)
{
    for (int i = 0; i < 20; i++)
        rig_turn(rig, true);
}

static inline void set_buffers(int fd, int bytes)
{
    if (bytes == 0)
        return;
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), errno);
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), errno);
}

/* A connected pair on 127.0.0.1; buffers: SO_SNDBUF and SO_RCVBUF of both ends, 0: the kernel's choice. */
static inline void tcp_pair(int fds[2], int buffers)
{
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(listener, errno);
    set_buffers(listener, buffers); /* inherited, and in time for the window */
    assert_return_code(bind(listener, (struct sockaddr *)&address, length), errno);
    assert_return_code(listen(listener, 1), errno);
    assert_return_code(getsockname(listener, (struct sockaddr *)&address, &length), errno);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(fds[0], errno);
    set_buffers(fds[0], buffers);
    assert_return_code(connect(fds[0], (struct sockaddr *)&address, length), errno);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_return_code(fds[1], errno);
    assert_return_code(ioctl(fds[0], FIONBIO, &on), errno);
    assert_return_code(setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), errno);
    assert_return_code(setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), errno);
    close(listener);
}

static inline void unix_pair(int fds[2])
{
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), errno);
}

/* close() that the other end sees as a reset. */
static inline void reset_fd(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), errno);
    close(fd);
}

/* Byte `offset` of the endless pattern that every test sends: no two neighbourhoods alike, so that a byte
 * lost, doubled or moved shows. */
static inline uint8_t pattern_at(uint64_t offset)
{
    return (uint8_t)((offset * 0x9E3779B97F4A7C15u) >> 56);
}

static inline void pattern_fill(uint8_t *buffer, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = pattern_at(offset + i);
}

/* A file in memory with the pattern in it (tmpfs: the place for truncation, also in a guest). */
static inline int pattern_file(uint64_t size)
{
    int fd = memfd_create("pattern", MFD_CLOEXEC);
    assert_return_code(fd, errno);
    static uint8_t buffer[1 << 16];
    for (uint64_t done = 0; done < size;) {
        size_t n = size - done < sizeof(buffer) ? (size_t)(size - done) : sizeof(buffer);
        pattern_fill(buffer, done, n);
        assert_int_equal(pwrite(fd, buffer, n, (off_t)done), n);
        done += n;
    }
    return fd;
}

/* The far end of a source: sends the pattern from its start. */
struct writer {
    int fd;
    uint64_t sent;
};

/* Sends what the socket takes now, up to `limit` more and up to `total` in all. How many went. */
static inline size_t writer_feed(struct writer *writer, uint64_t total, size_t limit)
{
    static uint8_t buffer[1 << 16];
    size_t moved = 0;
    while (moved < limit && writer->sent < total) {
        size_t n = sizeof(buffer);
        n = n < limit - moved ? n : limit - moved;
        n = n < total - writer->sent ? n : (size_t)(total - writer->sent);
        pattern_fill(buffer, writer->sent, n);
        ssize_t sent = send(writer->fd, buffer, n, MSG_NOSIGNAL);
        if (sent == -1 && errno == EAGAIN)
            break;
        assert_return_code(sent, errno);
        writer->sent += (uint64_t)sent;
        moved += (size_t)sent;
    }
    return moved;
}

/* The far end of a sink: every byte it gets must be the pattern's, from `received` on. */
struct reader {
    int fd;
    uint64_t received;
    bool eof;
    int error;
};

/* Reads what is there now, up to `limit`. How many bytes came. */
static inline size_t reader_drain(struct reader *reader, size_t limit)
{
    static uint8_t buffer[1 << 16];
    size_t moved = 0;
    while (moved < limit && !reader->eof && reader->error == 0) {
        size_t room = limit - moved < sizeof(buffer) ? limit - moved : sizeof(buffer);
        ssize_t got = recv(reader->fd, buffer, room, 0);
        if (got == -1 && errno == EAGAIN)
            break;
        if (got == -1) {
            reader->error = errno;
            break;
        }
        reader->eof = got == 0;
        for (ssize_t i = 0; i < got; i++)
            if (buffer[i] != pattern_at(reader->received + (uint64_t)i))
                fail_msg("byte %llu is wrong", (unsigned long long)reader->received + (unsigned)i);
        reader->received += (uint64_t)got;
        moved += (size_t)got;
    }
    return moved;
}
