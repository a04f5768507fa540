/* `sluice-load origin`: the server behind the proxies that `modes` and `peers` load. On one port it answers
 * HTTP requests for /N with N bytes of a file, on another it echoes. Refuses to know who asks, and does
 * nothing else. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sluice_load/bench.h"
#include "sluice_load/command.h"
#include "sluice_load/content.h"
#include "sluice_load/load.h"
#include "sluice_load/units.h"

#define PIECE (1u << 20)
#define ECHO_BUFFER (256u * 1024)
#define EVENTS 256
#define REQUEST_MAX 2048

enum kind { KIND_HTTP_LISTENER, KIND_ECHO_LISTENER, KIND_HTTP, KIND_ECHO };

struct peer {
    enum kind kind;
    int fd;
    bool close_after;
    /* http: what has come of a request, and what of its answer is still to be sent */
    size_t request_size, head_size, head_sent;
    uint64_t body_at, body_left;
    char head[128];
    /* echo: what could not be sent at once */
    uint8_t *pending;
    size_t pending_at, pending_size;
    char request[]; /* of http */
};

static struct {
    int epoll, file;
    bool sendfile;
    struct content content;
    uint8_t *buffer;
} origin;

static void peer_close(struct peer *peer)
{
    close(peer->fd);
    free(peer->pending);
    free(peer);
}

/* ---- echo ---- */

/* false: the connection is closed. */
static bool echo_flush(struct peer *peer)
{
    while (peer->pending_size > 0) {
        ssize_t n = send(peer->fd, peer->pending + peer->pending_at, peer->pending_size, MSG_NOSIGNAL);

        if (n == -1 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n == -1) {
            peer_close(peer);
            return false;
        }
        peer->pending_at += (size_t)n;
        peer->pending_size -= (size_t)n;
    }
    free(peer->pending);
    peer->pending = NULL;
    return true;
}

static bool echo_keep(struct peer *peer, const uint8_t *data, size_t size)
{
    peer->pending = malloc(size);
    if (peer->pending == NULL) {
        peer_close(peer);
        return false;
    }
    memcpy(peer->pending, data, size);
    peer->pending_at = 0;
    peer->pending_size = size;
    return true;
}

/* Until there is nothing to read, or no room to write: then the next edge goes on. A short read says that
 * there is nothing more, unless the end has come with it. */
static void echo_turn(struct peer *peer, bool ended)
{
    if (!echo_flush(peer))
        return;
    while (peer->pending_size == 0) {
        ssize_t n = recv(peer->fd, origin.buffer, ECHO_BUFFER, 0), sent;

        if (n == -1 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            peer_close(peer);
            return;
        }
        sent = send(peer->fd, origin.buffer, (size_t)n, MSG_NOSIGNAL);
        if (sent == n && (size_t)n < ECHO_BUFFER && !ended)
            return;
        if (sent == -1 && errno != EAGAIN) {
            peer_close(peer);
            return;
        }
        sent = sent > 0 ? sent : 0;
        if (sent < n && !echo_keep(peer, origin.buffer + sent, (size_t)(n - sent)))
            return;
    }
}

/* ---- http ---- */

static ssize_t send_piece(struct peer *peer)
{
    size_t piece = peer->body_left < PIECE ? (size_t)peer->body_left : PIECE;
    struct iovec parts[2] = {{peer->head + peer->head_sent, peer->head_size - peer->head_sent},
                             {(void *)(uintptr_t)(origin.content.data + peer->body_at), piece}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = piece > 0 ? 2 : 1};

    if (!origin.sendfile)
        return sendmsg(peer->fd, &message, MSG_NOSIGNAL);
    if (parts[0].iov_len > 0)
        return send(peer->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL | (piece > 0 ? MSG_MORE : 0));
    off_t at = (off_t)peer->body_at;

    return sendfile(peer->fd, origin.file, &at, piece);
}

/* false: the connection is closed. */
static bool http_flush(struct peer *peer)
{
    while (peer->head_sent < peer->head_size || peer->body_left > 0) {
        ssize_t n = send_piece(peer);

        if (n == -1 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0) {
            peer_close(peer);
            return false;
        }
        size_t head = peer->head_size - peer->head_sent;

        head = (size_t)n < head ? (size_t)n : head;
        peer->head_sent += head;
        peer->body_at += (uint64_t)n - head;
        peer->body_left -= (uint64_t)n - head;
    }
    if (peer->head_size > 0 && peer->close_after) {
        peer_close(peer);
        return false;
    }
    peer->head_size = peer->head_sent = 0;
    return true;
}

static void http_answer(struct peer *peer, size_t request_size)
{
    uint64_t size;
    char *end;

    peer->request[request_size - 1] = '\0';
    size = strncmp(peer->request, "GET /", 5) == 0 ? strtoull(peer->request + 5, &end, 10) : UINT64_MAX;
    peer->close_after = strcasestr(peer->request, "\r\nConnection: close") != NULL;
    peer->body_at = 0;
    peer->body_left = size <= origin.content.size ? size : 0;
    peer->head_size = (size_t)snprintf(
        peer->head, sizeof(peer->head), "HTTP/1.1 %s\r\nContent-Length: %llu\r\n\r\n",
        size <= origin.content.size ? "200 OK" : "404 Not Found", (unsigned long long)peer->body_left);
    peer->head_sent = 0;
    peer->request_size -= request_size;
    memmove(peer->request, peer->request + request_size, peer->request_size);
}

static void http_turn(struct peer *peer, bool ended)
{
    bool drained = false;

    if (!http_flush(peer))
        return;
    while (peer->head_size == 0) {
        char *end = memmem(peer->request, peer->request_size, "\r\n\r\n", 4);

        if (end != NULL) {
            http_answer(peer, (size_t)(end - peer->request) + 4);
            if (!http_flush(peer))
                return;
            continue;
        }
        if (drained && !ended)
            return;
        size_t room = REQUEST_MAX - peer->request_size;
        ssize_t n = recv(peer->fd, peer->request + peer->request_size, room, 0);

        if (n == -1 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            peer_close(peer);
            return;
        }
        peer->request_size += (size_t)n;
        drained = (size_t)n < room;
    }
}

/* ---- connections ---- */

static int watch(struct peer *peer, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};

    return epoll_ctl(origin.epoll, EPOLL_CTL_ADD, peer->fd, &event);
}

static void accept_one(const struct peer *listener)
{
    bool http = listener->kind == KIND_HTTP_LISTENER;
    int one = 1, fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct peer *peer;

    if (fd == -1)
        return;
    peer = calloc(1, sizeof(*peer) + (http ? REQUEST_MAX : 0));
    if (peer == NULL) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    peer->fd = fd;
    peer->kind = http ? KIND_HTTP : KIND_ECHO;
    if (watch(peer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) == -1)
        peer_close(peer);
}

/* address->sin_port 0: the kernel chooses, and it is told. */
static int listen_at(enum kind kind, struct sockaddr_in *address)
{
    socklen_t size = sizeof(*address);
    struct peer *peer = calloc(1, sizeof(*peer));

    if (peer == NULL)
        return -1;
    peer->kind = kind;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd == -1 || bind(peer->fd, (struct sockaddr *)address, sizeof(*address)) == -1 ||
        listen(peer->fd, 4096) == -1 || getsockname(peer->fd, (struct sockaddr *)address, &size) == -1 ||
        watch(peer, EPOLLIN) == -1) {
        free(peer);
        return -1; /* and the program ends */
    }
    return 0;
}

/* On 127.0.0.1 and the addresses after it, so many in all, on one port. */
static int listen_on(const char *name, enum kind kind, unsigned addresses)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    for (unsigned i = 0; i < addresses; i++) {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
        if (listen_at(kind, &address) == -1)
            return -1;
    }
    printf("sluice-load: listening %s 127.0.0.1:%u\n", name, ntohs(address.sin_port));
    return fflush(stdout) == 0 ? 0 : -1;
}

static void serve(void)
{
    struct epoll_event events[EVENTS];

    while (!load_interrupted()) {
        int n = epoll_wait(origin.epoll, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            bool ended = (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

            if (peer->kind == KIND_HTTP)
                http_turn(peer, ended);
            else if (peer->kind == KIND_ECHO)
                echo_turn(peer, ended);
            else
                accept_one(peer);
        }
    }
}

int command_origin(int argc, char **argv)
{
    static const struct option options[] = {{"content", required_argument, NULL, 'c'},
                                            {"sendfile", no_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *content = NULL;

    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'c') {
            content = optarg;
        } else if (option == 's') {
            origin.sendfile = true;
        } else {
            puts("usage: sluice-load origin --content FILE [--sendfile]\n"
                 "Serves the first N bytes of FILE for GET /N, and echoes on another port; says on which. "
                 "--sendfile: by\n"
                 "sendfile instead of from its memory.");
            return option == 'h' ? 0 : 2;
        }
    }
    if (content == NULL || optind != argc)
        command_usage_error("origin needs --content FILE");
    origin.file = open(content, O_RDONLY | O_CLOEXEC);
    origin.epoll = epoll_create1(EPOLL_CLOEXEC);
    origin.buffer = malloc(ECHO_BUFFER);
    if (origin.file == -1 || content_open(&origin.content, content) == -1 || origin.epoll == -1 ||
        origin.buffer == NULL || listen_on("http", KIND_HTTP_LISTENER, 1) == -1 ||
        listen_on("echo", KIND_ECHO_LISTENER, BENCH_ORIGIN_ADDRESSES) == -1) {
        fprintf(stderr, "sluice-load: origin: %s: %s\n", content, strerror(errno));
        return 1;
    }
    serve();
    return 0;
}
