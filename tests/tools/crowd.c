/* Many connections at once, most of them idle: the echo server behind a proxy, and the clients before it.
 * Refuses to know what stands between the two.
 *
 *   crowd serve                           on every IPv4 address; prints its port, ends with its stdin
 *   crowd clients PORT IDLE BUSY ROUNDS   a step for each line on stdin, and a line on stdout when it is
 * done:
 *     1. "open N": N idle connections, over each of which a byte went and came back
 *     2. "busy N": BUSY connections at once have sent ROUNDS messages each and got them back, N bytes,
 * compared
 *     3. "alive N": over N of the idle ones another byte went and came back
 *     4. "closed N": they have ended, a few at a time: of 50,000 that end at once the kernel forgets to tell
 * most and then its end. Anything unexpected is told on stderr, with status 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_SIZE 4096u
#define EVENTS_MAX 256
#define AT_ONCE 256u       /* connects under way: less than any backlog */
#define PER_SOURCE 4000u   /* connections from one address: a free port is found at once */
#define PATIENCE_MS 120000 /* without any event */

enum state { NEW, CONNECTING, GREETING, QUIET, TALKING, ENDING, PINGING, CLOSED };

struct connection {
    int fd;
    enum state state;
    unsigned number, rounds_left;
    size_t got;
};

static struct crowd {
    int epoll;
    struct connection *connections;
    unsigned pending; /* connections that the step waits for */
    unsigned rounds;
    unsigned long long busy_bytes;
    unsigned port;
} crowd;

static void __attribute__((noreturn)) fail(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void watch(int epoll, int fd, uint32_t events, void *data, int operation)
{
    struct epoll_event event = {.events = events, .data.ptr = data};

    if (epoll_ctl(epoll, operation, fd, &event) == -1)
        fail("epoll_ctl");
}

/* --- The server --- */

static void echo(int fd)
{
    static char buffer[65536];
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0), sent = 0;

    if (n == -1 && errno == EAGAIN)
        return;
    for (ssize_t m = 1; n > 0 && sent < n && m > 0; sent += m > 0 ? m : 0)
        m = send(fd, buffer + sent, (size_t)(n - sent), MSG_NOSIGNAL); /* blocks: clients always read */
    if (n <= 0 || sent < n)
        close(fd);
}

static int serve(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    socklen_t length = sizeof(here);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS_MAX];

    if (bind(listener, (struct sockaddr *)&here, length) == -1 || listen(listener, 4096) == -1 ||
        getsockname(listener, (struct sockaddr *)&here, &length) == -1)
        fail("listen");
    printf("%u\n", ntohs(here.sin_port));
    fflush(stdout);
    watch(epoll, listener, EPOLLIN, (void *)(intptr_t)listener, EPOLL_CTL_ADD);
    watch(epoll, STDIN_FILENO, EPOLLIN, (void *)(intptr_t)STDIN_FILENO, EPOLL_CTL_ADD);
    for (;;) {
        const int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            const int fd = (int)(intptr_t)events[i].data.ptr;
            int accepted;

            if (fd == STDIN_FILENO)
                return 0;
            if (fd != listener) {
                echo(fd);
                continue;
            }
            accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (accepted == -1)
                fail("accept");
            watch(epoll, accepted, EPOLLIN, (void *)(intptr_t)accepted, EPOLL_CTL_ADD);
        }
    }
}

/* --- The clients --- */

static unsigned char pattern(const struct connection *connection, size_t at)
{
    return (unsigned char)(connection->number * 31 + connection->rounds_left * 7 + at);
}

static void send_all(const struct connection *connection, size_t size)
{
    unsigned char message[MESSAGE_SIZE];

    for (size_t i = 0; i < size; i++)
        message[i] = pattern(connection, i);
    if (send(connection->fd, message, size, MSG_NOSIGNAL) != (ssize_t)size) /* the buffer is larger */
        fail("send");
}

static void start(struct connection *connection)
{
    const struct sockaddr_in from = {.sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(0x7f000901 + connection->number / PER_SOURCE)},
                             to = {.sin_family = AF_INET,
                                   .sin_port = htons((in_port_t)crowd.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd == -1)
        fail("socket");
    if (setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == -1 ||
        bind(connection->fd, (const struct sockaddr *)&from, sizeof(from)) == -1)
        fail("bind");
    if (connect(connection->fd, (const struct sockaddr *)&to, sizeof(to)) == -1 && errno != EINPROGRESS)
        fail("connect");
    connection->state = CONNECTING;
    watch(crowd.epoll, connection->fd, EPOLLOUT, connection, EPOLL_CTL_ADD);
}

static void on_connected(struct connection *connection)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1 || error != 0) {
        errno = error;
        fail("connect");
    }
    connection->state = GREETING;
    send_all(connection, 1);
    watch(crowd.epoll, connection->fd, EPOLLIN, connection, EPOLL_CTL_MOD);
}

static void on_end(struct connection *connection)
{
    if (connection->state != ENDING) {
        errno = ECONNRESET;
        fail("a connection ended");
    }
    close(connection->fd);
    connection->state = CLOSED;
    crowd.pending--;
}

/* All of a message is there. */
static void on_message(struct connection *connection)
{
    connection->got = 0;
    if (connection->state == TALKING)
        crowd.busy_bytes += MESSAGE_SIZE;
    if (connection->rounds_left > 0) {
        connection->state = TALKING;
        connection->rounds_left--;
        send_all(connection, MESSAGE_SIZE);
    } else if (connection->state == TALKING) {
        connection->state = ENDING;
        shutdown(connection->fd, SHUT_WR);
    } else {
        connection->state = QUIET;
        crowd.pending--;
    }
}

static void on_readable(struct connection *connection)
{
    const size_t size = connection->state == TALKING ? MESSAGE_SIZE : 1;
    unsigned char buffer[MESSAGE_SIZE];
    const ssize_t n = recv(connection->fd, buffer, sizeof(buffer), 0);

    if (n == -1 && errno == EAGAIN)
        return;
    if (n == -1)
        fail("recv");
    if (n == 0) {
        on_end(connection);
        return;
    }
    for (ssize_t i = 0; i < n; i++, connection->got++)
        if (connection->got >= size || buffer[i] != pattern(connection, connection->got)) {
            errno = EBADMSG;
            fail("not what was sent");
        }
    if (connection->got == size)
        on_message(connection);
}

/* Until none of these is pending any more; those that are new are connected, a bounded number at once. */
static void run(struct connection *first, unsigned count)
{
    struct epoll_event events[EVENTS_MAX];
    unsigned started = first->state == NEW ? 0 : count; /* those of one step are alike */
    const unsigned total = crowd.pending;

    while (crowd.pending > 0) {
        int ready;

        while (started < count && started - (total - crowd.pending) < AT_ONCE)
            start(&first[started++]);
        ready = epoll_wait(crowd.epoll, events, EVENTS_MAX, PATIENCE_MS);
        if (ready <= 0) {
            errno = ready == 0 ? ETIMEDOUT : errno;
            fail("waiting");
        }
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;

            if (connection->state == CONNECTING)
                on_connected(connection);
            else
                on_readable(connection);
        }
    }
}

static void await_line(void)
{
    int c;

    while ((c = getchar()) != '\n')
        if (c == EOF)
            exit(0);
}

static void tell(const char *what, unsigned long long count)
{
    printf("%s %llu\n", what, count);
    fflush(stdout);
}

static int be_clients(unsigned idle, unsigned busy, unsigned rounds)
{
    struct connection *connections = calloc(idle + busy + 1, sizeof(*connections));

    crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || crowd.epoll == -1)
        fail("start");
    for (unsigned i = 0; i < idle + busy; i++)
        connections[i] = (struct connection){.number = i, .rounds_left = i < idle ? 0 : rounds};
    await_line();
    crowd.pending = idle;
    run(connections, idle);
    tell("open", idle);

    await_line();
    crowd.pending = busy;
    run(connections + idle, busy);
    tell("busy", crowd.busy_bytes);

    await_line();
    crowd.pending = idle;
    for (unsigned i = 0; i < idle; i++) {
        connections[i].state = PINGING;
        send_all(&connections[i], 1);
    }
    run(connections, idle);
    tell("alive", idle);

    await_line();
    for (unsigned i = 0; i < idle; i += AT_ONCE) {
        const unsigned end = idle - i < AT_ONCE ? idle : i + AT_ONCE;

        for (unsigned j = i; j < end; j++) {
            connections[j].state = ENDING;
            shutdown(connections[j].fd, SHUT_WR);
        }
        crowd.pending = end - i;
        run(&connections[i], 0);
    }
    tell("closed", idle);
    free(connections);
    return 0;
}

int main(int argc, char **argv)
{
    raise_limit();
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (argc == 6 && strcmp(argv[1], "clients") == 0) {
        crowd.port = (unsigned)strtoul(argv[2], NULL, 10);
        return be_clients((unsigned)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10),
                          (unsigned)strtoul(argv[5], NULL, 10));
    }
    fputs("usage: crowd serve | crowd clients PORT IDLE BUSY ROUNDS\n", stderr);
    return 2;
}
