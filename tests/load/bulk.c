/* Fetches one thing over many connections at the same time and holds every byte to what it should be: the
 * client of the benchmark. One thread, level-triggered epoll; http, https and bare TCP, loopback only.
 * Refuses to know which server answers, and what it costs that one. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 20000
#define HEAD_SIZE 8192
#define BUFFER_SIZE (1u << 20) /* one read; the buffer is shared, so it stays in the cache */
#define EVENTS 256
#define FAILURES_TOLD 5
#define UNKNOWN UINT64_MAX

enum scheme { SCHEME_HTTP, SCHEME_HTTPS, SCHEME_TCP };
enum drain {
    DRAIN_VERIFY, /* compare with the file, or hash */
    DRAIN_TRUNC,  /* the kernel throws it away: the cheapest receiver there is */
    DRAIN_COPY,   /* into memory, unseen */
};

static struct {
    enum scheme scheme;
    enum drain drain;
    struct sockaddr_storage address;
    socklen_t address_size;
    char host[256]; /* as in the URL, for Host and SNI */
    const char *path;
    const char *sha256, *file, *ca;
    const uint8_t *content; /* of file; NULL: hash instead */
    uint64_t length;        /* expected of each body; UNKNOWN: what the server says, or until the end */
    int connections, requests, timeout_s, tls_version;
    SSL_CTX *tls;
} options = {.connections = 1, .requests = 1, .timeout_s = 300, .length = UNKNOWN};

enum state { STATE_CONNECT, STATE_HANDSHAKE, STATE_REQUEST, STATE_HEAD, STATE_BODY, STATE_END, STATE_DONE };
enum io { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_EOF, IO_BROKEN };

struct client {
    enum state state;
    int fd;
    int requests_left;
    uint32_t events; /* what epoll watches for */
    SSL *ssl;
    EVP_MD_CTX *digest;
    uint64_t received, length; /* of this body */
    size_t head_used, request_sent;
    char head[HEAD_SIZE];
};

static struct {
    int epoll;
    int active, ok, failed;
    uint64_t bytes;
    char sha256[2 * EVP_MAX_MD_SIZE + 1]; /* of the first whole body */
    uint8_t *buffer;
    char request[1024];
} run;

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bulk: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- one connection's end ---- */

static void client_close(struct client *client)
{
    if (client->ssl != NULL) {
        SSL_shutdown(client->ssl);
        SSL_free(client->ssl);
        client->ssl = NULL;
    }
    EVP_MD_CTX_free(client->digest);
    client->digest = NULL;
    close(client->fd);
    client->fd = -1;
    client->state = STATE_DONE;
    run.active--;
}

static void client_fail(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void client_fail(struct client *client, const char *format, ...)
{
    if (run.failed++ < FAILURES_TOLD) {
        va_list arguments;
        va_start(arguments, format);
        fputs("bulk: ", stderr);
        vfprintf(stderr, format, arguments);
        fprintf(stderr, " (after %" PRIu64 " bytes of the body)\n", client->received);
        va_end(arguments);
    }
    client_close(client);
}

/* ---- reading and writing ---- */

static enum io ssl_result(struct client *client, int result)
{
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    default:
        return IO_BROKEN;
    }
}

static enum io client_read(struct client *client, void *data, size_t size, size_t *n)
{
    if (client->ssl != NULL) {
        ERR_clear_error();
        int result = SSL_read_ex(client->ssl, data, size, n);
        return result == 1 ? IO_OK : ssl_result(client, result);
    }
    bool discard = options.drain == DRAIN_TRUNC && data == run.buffer;
    ssize_t result = recv(client->fd, discard ? NULL : data, size, discard ? MSG_TRUNC : 0);
    if (result == -1) {
        return errno == EAGAIN || errno == EINTR ? IO_WANT_READ : IO_BROKEN;
    }
    *n = (size_t)result;
    return result == 0 ? IO_EOF : IO_OK;
}

static enum io client_write(struct client *client, const void *data, size_t size, size_t *n)
{
    if (client->ssl != NULL) {
        ERR_clear_error();
        int result = SSL_write_ex(client->ssl, data, size, n);
        return result == 1 ? IO_OK : ssl_result(client, result);
    }
    ssize_t result = send(client->fd, data, size, MSG_NOSIGNAL);
    if (result == -1) {
        return errno == EAGAIN || errno == EINTR ? IO_WANT_WRITE : IO_BROKEN;
    }
    *n = (size_t)result;
    return IO_OK;
}

static const char *broken_reason(const struct client *client)
{
    const char *reason = client->ssl != NULL ? ERR_reason_error_string(ERR_peek_error()) : NULL;
    return reason != NULL ? reason : errno != 0 ? strerror(errno) : "connection broken";
}

/* ---- the body ---- */

/* Whether the bytes are the right ones so far; discarded ones are only counted. */
static bool body_take(struct client *client, const uint8_t *data, size_t n)
{
    uint64_t at = client->received;
    client->received += n;
    run.bytes += n;
    if (client->length != UNKNOWN && client->received > client->length) {
        client_fail(client, "more than the %" PRIu64 " bytes announced", client->length);
        return false;
    }
    if (options.drain != DRAIN_VERIFY) {
        return true;
    }
    if (options.content == NULL) {
        if (EVP_DigestUpdate(client->digest, data, n) != 1) {
            die("out of memory");
        }
    } else if (at + n > options.length || memcmp(options.content + at, data, n) != 0) {
        client_fail(client, "the bytes from %" PRIu64 " on are not those of the file", at);
        return false;
    }
    return true;
}

static bool body_begin(struct client *client)
{
    client->received = 0;
    client->state = STATE_BODY;
    if (options.drain == DRAIN_VERIFY && options.content == NULL) {
        client->digest = client->digest != NULL ? client->digest : EVP_MD_CTX_new();
        if (client->digest == NULL || EVP_DigestInit_ex(client->digest, EVP_sha256(), NULL) != 1) {
            die("out of memory");
        }
    }
    if (options.length != UNKNOWN && client->length != UNKNOWN && client->length != options.length) {
        client_fail(client, "Content-Length is %" PRIu64 ", not %" PRIu64, client->length, options.length);
        return false;
    }
    return true;
}

static bool digest_good(struct client *client)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char text[2 * EVP_MAX_MD_SIZE + 1];
    if (options.drain != DRAIN_VERIFY || options.content != NULL) {
        return true;
    }
    if (EVP_DigestFinal_ex(client->digest, sum, &size) != 1) {
        die("out of memory");
    }
    for (unsigned i = 0; i < size; i++) {
        snprintf(text + 2 * (size_t)i, 3, "%02x", sum[i]);
    }
    if (run.sha256[0] == '\0') {
        snprintf(run.sha256, sizeof(run.sha256), "%s", text);
    }
    const char *wanted = options.sha256 != NULL ? options.sha256 : run.sha256;
    if (strcasecmp(text, wanted) != 0) {
        client_fail(client, "SHA-256 is %s, not %s", text, wanted);
        return false;
    }
    return true;
}

/* The body is whole: the next request, or wait for the server's end. */
static void body_end(struct client *client)
{
    uint64_t wanted = options.length != UNKNOWN ? options.length : client->received;
    if (client->received != wanted) {
        client_fail(client, "the body ended early, %" PRIu64 " bytes were expected", wanted);
    } else if (!digest_good(client)) {
        return;
    } else if (options.scheme == SCHEME_TCP) {
        run.ok++;
        client_close(client);
    } else {
        client->head_used = client->request_sent = 0;
        client->state = --client->requests_left > 0 ? STATE_REQUEST : STATE_END;
    }
}

/* At once when the last byte is in: no further event would come for it. */
static void body_check(struct client *client)
{
    if (client->received == client->length) {
        body_end(client);
    }
}

/* ---- the states; each returns what it waits for, IO_OK to go on ---- */

static enum io step_connect(struct client *client)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1 || error != 0) {
        client_fail(client, "connect: %s", strerror(error != 0 ? error : errno));
        return IO_BROKEN;
    }
    /* Writable before it is connected, too, on the way through the first call. */
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof(peer);
    if (getpeername(client->fd, (struct sockaddr *)&peer, &peer_size) == -1) {
        return IO_WANT_WRITE;
    }
    client->state = options.scheme == SCHEME_HTTPS ? STATE_HANDSHAKE : STATE_REQUEST;
    if (options.scheme == SCHEME_TCP && body_begin(client)) {
        body_check(client);
    }
    return IO_OK;
}

static enum io step_handshake(struct client *client)
{
    ERR_clear_error();
    int result = SSL_connect(client->ssl);
    if (result == 1) {
        client->state = STATE_REQUEST;
        return IO_OK;
    }
    enum io io = ssl_result(client, result);
    if (io == IO_EOF || io == IO_BROKEN) {
        client_fail(client, "TLS handshake: %s", broken_reason(client));
    }
    return io;
}

static enum io step_request(struct client *client)
{
    char request[sizeof(run.request) + 32];
    int size = snprintf(request, sizeof(request), "%s%s\r\n", run.request,
                        client->requests_left > 1 ? "" : "Connection: close\r\n");
    size_t n = 0;
    enum io io =
        client_write(client, request + client->request_sent, (size_t)size - client->request_sent, &n);
    if (io == IO_BROKEN || io == IO_EOF) {
        client_fail(client, "sending the request: %s", broken_reason(client));
    } else if (io == IO_OK) {
        client->request_sent += n;
        if (client->request_sent == (size_t)size) {
            client->state = STATE_HEAD;
        }
    }
    return io;
}

/* Status and Content-Length of a head that is terminated by NUL. */
static bool head_parse(struct client *client)
{
    client->received = 0;
    if (strncmp(client->head, "HTTP/1.1 200 ", 13) != 0) {
        client_fail(client, "answered \"%.*s\"", (int)strcspn(client->head, "\r\n"), client->head);
        return false;
    }
    const char *field = strcasestr(client->head, "\r\nContent-Length:");
    char *end = NULL;
    client->length = field != NULL ? strtoull(field + 17, &end, 10) : 0;
    if (field == NULL || (*end != '\r' && *end != '\0')) {
        client_fail(client, "answered without a Content-Length");
        return false;
    }
    return body_begin(client);
}

static enum io step_head(struct client *client)
{
    size_t n = 0;
    enum io io = client_read(client, client->head + client->head_used, HEAD_SIZE - 1 - client->head_used, &n);
    if (io == IO_BROKEN || io == IO_EOF) {
        client_fail(client, "reading the head: %s",
                    io == IO_EOF ? "the connection ended" : broken_reason(client));
    }
    if (io != IO_OK) {
        return io;
    }
    client->head_used += n;
    client->head[client->head_used] = '\0';
    char *end = strstr(client->head, "\r\n\r\n");
    if (end == NULL) {
        if (client->head_used == HEAD_SIZE - 1) {
            client_fail(client, "the head is larger than %d bytes", HEAD_SIZE);
            return IO_BROKEN;
        }
        return IO_OK;
    }
    *end = '\0';
    const uint8_t *body = (const uint8_t *)end + 4;
    size_t rest = client->head_used - (size_t)(body - (const uint8_t *)client->head);
    if (!head_parse(client) || !body_take(client, body, rest)) {
        return IO_BROKEN;
    }
    body_check(client);
    return IO_OK;
}

static enum io step_body(struct client *client)
{
    size_t n = 0;
    enum io io = client_read(client, run.buffer, BUFFER_SIZE, &n);
    if (io == IO_OK) {
        if (body_take(client, run.buffer, n)) {
            body_check(client);
        }
    } else if (io == IO_EOF && client->length == UNKNOWN) {
        body_end(client);
    } else if (io == IO_EOF) {
        client_fail(client, "the connection ended early, %" PRIu64 " bytes were announced", client->length);
    } else if (io == IO_BROKEN) {
        client_fail(client, "reading the body: %s", broken_reason(client));
    }
    return io;
}

/* After the last body nothing but an orderly end may come: over TLS, close_notify. */
static enum io step_end(struct client *client)
{
    size_t n = 0;
    char byte;
    enum io io = client_read(client, &byte, 1, &n);
    if (io == IO_EOF) {
        run.ok++;
        client_close(client);
    } else if (io == IO_OK) {
        client_fail(client, "bytes after the last body");
    } else if (io == IO_BROKEN) {
        client_fail(client, "instead of an end: %s", broken_reason(client));
    }
    return io;
}

static enum io (*const steps[])(struct client *client) = {
    [STATE_CONNECT] = step_connect, [STATE_HANDSHAKE] = step_handshake, [STATE_REQUEST] = step_request,
    [STATE_HEAD] = step_head,       [STATE_BODY] = step_body,           [STATE_END] = step_end,
};

/* A few reads a turn: enough to use the buffer, few enough that no connection starves the others. */
static void client_turn(struct client *client)
{
    uint32_t events = EPOLLIN;
    for (int i = 0; i < 8 && client->state != STATE_DONE; i++) {
        errno = 0;
        enum io io = steps[client->state](client);
        if (io == IO_WANT_READ || io == IO_WANT_WRITE) {
            events = io == IO_WANT_WRITE ? EPOLLOUT : EPOLLIN;
            break;
        }
        events = client->state == STATE_REQUEST ? EPOLLOUT : EPOLLIN;
    }
    if (client->state != STATE_DONE && events != client->events) {
        struct epoll_event event = {.events = events, .data.ptr = client};
        client->events = events;
        if (epoll_ctl(run.epoll, EPOLL_CTL_MOD, client->fd, &event) == -1) {
            die("epoll_ctl: %s", strerror(errno));
        }
    }
}

static void client_start(struct client *client)
{
    int one = 1;
    client->requests_left = options.requests;
    client->length = options.scheme == SCHEME_TCP ? options.length : UNKNOWN;
    client->fd = socket(options.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd == -1) {
        die("socket: %s", strerror(errno));
    }
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    run.active++;
    if (options.scheme == SCHEME_HTTPS) {
        client->ssl = SSL_new(options.tls);
        if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1) {
            die("out of memory");
        }
        struct in6_addr binary;
        bool numeric =
            inet_pton(AF_INET, options.host, &binary) == 1 || inet_pton(AF_INET6, options.host, &binary) == 1;
        if (numeric) {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client->ssl), options.host);
        } else {
            SSL_set_tlsext_host_name(client->ssl, options.host);
            SSL_set1_host(client->ssl, options.host);
        }
    }
    if (connect(client->fd, (const struct sockaddr *)&options.address, options.address_size) == -1 &&
        errno != EINPROGRESS) {
        client_fail(client, "connect: %s", strerror(errno));
        return;
    }
    client->events = EPOLLOUT;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = client};
    if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, client->fd, &event) == -1) {
        die("epoll_ctl: %s", strerror(errno));
    }
}

/* Everybody left when the time is up has failed. */
static void run_all(struct client *clients)
{
    double deadline = now() + options.timeout_s;
    for (int i = 0; i < options.connections; i++) {
        client_start(&clients[i]);
    }
    while (run.active > 0) {
        struct epoll_event events[EVENTS];
        double left = deadline - now();
        int n = left > 0 ? epoll_wait(run.epoll, events, EVENTS, (int)(left * 1000) + 1) : 0;
        if (n == -1 && errno != EINTR) {
            die("epoll_wait: %s", strerror(errno));
        }
        for (int i = 0; i < n; i++) {
            client_turn(events[i].data.ptr);
        }
        for (int i = 0; n == 0 && i < options.connections; i++) {
            if (clients[i].state != STATE_DONE) {
                client_fail(&clients[i], "not done within %d s", options.timeout_s);
            }
        }
    }
}

/* ---- the command line ---- */

static void parse_port(const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || port == 0 || port > 65535) {
        die("bad port: %s", text);
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)&options.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&options.address;
    const char *host = strcmp(options.host, "localhost") == 0 ? "127.0.0.1" : options.host;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1 && ntohl(v4->sin_addr.s_addr) >> 24 == 127) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        options.address_size = sizeof(*v4);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        options.address_size = sizeof(*v6);
    } else {
        die("%s is not a loopback address; no other is fetched from", options.host);
    }
}

static void parse_url(const char *url)
{
    static const char *const schemes[] = {"http://", "https://", "tcp://"};
    size_t i = 0;
    while (i < 3 && strncmp(url, schemes[i], strlen(schemes[i])) != 0) {
        i++;
    }
    if (i == 3) {
        die("not an http://, https:// or tcp:// URL: %s", url);
    }
    options.scheme = (enum scheme)i;
    const char *host = url + strlen(schemes[i]);
    size_t authority = strcspn(host, "/");
    options.path = host[authority] == '/' ? host + authority : "/";
    bool bracket = host[0] == '[';
    size_t length = bracket ? strcspn(++host, "]") : strcspn(host, ":/");
    const char *port = host + length + (bracket ? 1 : 0);
    char port_text[8] = "";
    if (length >= sizeof(options.host) || *port != ':') {
        die("an address and a port are needed: %s", url);
    }
    memcpy(options.host, host, length);
    snprintf(port_text, sizeof(port_text), "%.*s", (int)strcspn(port + 1, "/"), port + 1);
    parse_port(port_text);
    snprintf(run.request, sizeof(run.request), "GET %.700s HTTP/1.1\r\nHost: %s\r\n", options.path,
             options.host);
}

static long number(const char *text, long minimum, long maximum)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < minimum || value > maximum) {
        die("%s is not a number from %ld to %ld", text, minimum, maximum);
    }
    return value;
}

static enum drain parse_drain(const char *name)
{
    static const char *const names[] = {"verify", "trunc", "copy"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum drain)i;
        }
    }
    die("--drain is verify, trunc or copy");
}

static void usage(void)
{
    fputs("usage: bulk [options] http://ADDRESS:PORT/PATH | https://... | tcp://ADDRESS:PORT\n"
          "  -c, --connections N           at the same time (1)\n"
          "      --requests-per-connection N  one after the other (1)\n"
          "      --drain verify|trunc|copy compare every body, discard it in the kernel, or only read it "
          "(verify)\n"
          "      --file FILE               what every body must be\n"
          "      --sha256 HEX              its hash; without either, all bodies must have the same\n"
          "      --length BYTES            its length (tcp: stop there instead of at the end)\n"
          "      --ca FILE                 verify the server with this CA\n"
          "      --tls1.2, --tls1.3        this version only\n"
          "      --timeout SECONDS         for everything (300)\n"
          "Prints one line of JSON. Exit status: 0 every byte was right, 1 not so, 2 usage.\n",
          stderr);
    exit(2);
}

enum {
    OPTION_REQUESTS = 256,
    OPTION_DRAIN,
    OPTION_FILE,
    OPTION_SHA256,
    OPTION_LENGTH,
    OPTION_CA,
    OPTION_TLS12,
    OPTION_TLS13,
    OPTION_TIMEOUT
};

static void parse_option(int option)
{
    switch (option) {
    case 'c':
        options.connections = (int)number(optarg, 1, CONNECTIONS_MAX);
        break;
    case OPTION_REQUESTS:
        options.requests = (int)number(optarg, 1, 1000000);
        break;
    case OPTION_DRAIN:
        options.drain = parse_drain(optarg);
        break;
    case OPTION_FILE:
        options.file = optarg;
        break;
    case OPTION_SHA256:
        options.sha256 = optarg;
        break;
    case OPTION_LENGTH:
        options.length = (uint64_t)number(optarg, 0, INT64_MAX);
        break;
    case OPTION_CA:
        options.ca = optarg;
        break;
    case OPTION_TLS12:
        options.tls_version = TLS1_2_VERSION;
        break;
    case OPTION_TLS13:
        options.tls_version = TLS1_3_VERSION;
        break;
    case OPTION_TIMEOUT:
        options.timeout_s = (int)number(optarg, 1, 3600);
        break;
    default:
        usage();
    }
}

static void parse_arguments(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"connections", required_argument, NULL, 'c'},
        {"requests-per-connection", required_argument, NULL, OPTION_REQUESTS},
        {"drain", required_argument, NULL, OPTION_DRAIN},
        {"file", required_argument, NULL, OPTION_FILE},
        {"sha256", required_argument, NULL, OPTION_SHA256},
        {"length", required_argument, NULL, OPTION_LENGTH},
        {"ca", required_argument, NULL, OPTION_CA},
        {"tls1.2", no_argument, NULL, OPTION_TLS12},
        {"tls1.3", no_argument, NULL, OPTION_TLS13},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1;) {
        parse_option(option);
    }
    if (optind != argc - 1) {
        usage();
    }
    parse_url(argv[optind]);
    if (options.scheme == SCHEME_HTTPS && options.drain == DRAIN_TRUNC) {
        die("--drain trunc discards what is encrypted; over https use copy");
    }
    if (options.scheme == SCHEME_TCP && options.requests != 1) {
        die("tcp:// has no requests");
    }
}

static void open_content(void)
{
    struct stat status;
    int fd = open(options.file, O_RDONLY | O_CLOEXEC);
    if (fd == -1 || fstat(fd, &status) == -1) {
        die("%s: %s", options.file, strerror(errno));
    }
    options.length = (uint64_t)status.st_size;
    void *content = mmap(NULL, status.st_size > 0 ? (size_t)status.st_size : 1, PROT_READ, MAP_SHARED, fd, 0);
    if (content == MAP_FAILED) {
        die("%s: mmap: %s", options.file, strerror(errno));
    }
    options.content = content;
    close(fd);
}

static void open_tls(void)
{
    options.tls = SSL_CTX_new(TLS_client_method());
    if (options.tls == NULL) {
        die("OpenSSL: out of memory");
    }
    if (options.tls_version != 0) {
        SSL_CTX_set_min_proto_version(options.tls, options.tls_version);
        SSL_CTX_set_max_proto_version(options.tls, options.tls_version);
    }
    SSL_CTX_set_session_cache_mode(options.tls, SSL_SESS_CACHE_OFF);
    if (options.ca != NULL) {
        if (SSL_CTX_load_verify_file(options.tls, options.ca) != 1) {
            die("%s: no CA certificate can be read from it", options.ca);
        }
        SSL_CTX_set_verify(options.tls, SSL_VERIFY_PEER, NULL);
    }
}

int main(int argc, char **argv)
{
    parse_arguments(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (options.file != NULL) {
        open_content();
    }
    if (options.scheme == SCHEME_HTTPS) {
        open_tls();
    }
    struct client *clients = calloc((size_t)options.connections, sizeof(*clients));
    run.buffer = malloc(BUFFER_SIZE);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || run.buffer == NULL || run.epoll == -1) {
        die("out of memory or descriptors");
    }
    double began = now();
    run_all(clients);
    double seconds = now() - began;

    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("{\"connections\": %d, \"bytes\": %" PRIu64 ", \"seconds\": %.6f, \"ok\": %d, \"failed\": %d, "
           "\"client_cpu_s\": %.3f, \"sha256\": \"%s\"}\n",
           options.connections, run.bytes, seconds, run.ok, run.failed, cpu, run.sha256);
    SSL_CTX_free(options.tls);
    free(run.buffer);
    free(clients);
    close(run.epoll);
    return run.failed == 0 && run.ok == options.connections ? 0 : 1;
}
