/* A TLS client that misbehaves on purpose, between the two halves of what it sends or at its end; prints one
 * line of JSON with what it saw. Verifies no certificate. Refuses to know who the server is. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tls_craft.h"

static const char usage[] =
    "usage: tls_records HOST:PORT [option]...\n"
    "  --tls1.2 | --tls1.3      the version (1.3); AES-128-GCM in either\n"
    "  --sni NAME               (localhost)\n"
    "  --send FILE              what to send; misbehaviour comes between its halves\n"
    "  --receive-to FILE        where to put what comes\n"
    "  --expect N               end after N bytes have come (else the server's end is waited for)\n"
    "  --timeout SECONDS        for everything together (30)\n"
    "  --empty-records N        send N records of application data without data\n"
    "  --warning-alerts N       send N warning alerts, user_canceled\n"
    "  --key-update N           send N KeyUpdates\n"
    "  --request                ... that ask the server for one, too\n"
    "  --half-close-after-send  close_notify and FIN once all is sent, then go on reading\n"
    "  --fin-mid-record         after all is sent, half a record and a FIN\n"
    "  --no-close-notify        leave it out, wherever it would be sent\n"
    "{\"version\",\"cipher\",\"sent\",\"received\",\"end\"}; end: close_notify, fin, reset, alert N, "
    "timeout,\n"
    "expected (--expect was met first), error. Status 0 if there was a handshake, else 1.\n";

enum stage { STAGE_FIRST_HALF, STAGE_MISBEHAVE, STAGE_SECOND_HALF, STAGE_ENDING, STAGE_QUIET };
enum progress { PROGRESS, BLOCKED, FAILED };

struct client {
    /* what was asked for */
    const char *sni, *receive_to;
    int tls12, request, half_close, fin_mid_record, no_close_notify; /* flags of getopt_long */
    unsigned long empty_records, warnings, key_updates, expect;
    double timeout;
    uint8_t *data;
    size_t size;

    int fd;
    SSL *ssl;
    struct craft_secret secret;
    struct craft craft;
    bool crafted; /* every application record is made by hand */
    enum stage stage;
    size_t sent;
    bool updating, notified;
    uint8_t out[CRAFT_RECORD_MAX];
    size_t out_size, out_done;

    FILE *receive;
    unsigned long long received;
    char end[32];
    struct timespec start;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "tls_records: %s: %s\n", what, errno != 0 ? strerror(errno) : "failed");
    exit(1);
}

static void set_end(struct client *c, const char *end)
{
    if (c->end[0] == '\0')
        snprintf(c->end, sizeof(c->end), "%s", end);
}

static double elapsed(const struct client *c)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - c->start.tv_sec) + (double)(now.tv_nsec - c->start.tv_nsec) / 1e9;
}

/* What a call of OpenSSL that didn't succeed means; notes the end if it is one. */
static enum progress failed(struct client *c, int result)
{
    int error = errno;
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return BLOCKED;
    case SSL_ERROR_ZERO_RETURN:
        set_end(c, "close_notify");
        return FAILED;
    case SSL_ERROR_SYSCALL:
        set_end(c, error == ECONNRESET || error == EPIPE ? "reset" : error == 0 ? "fin" : "error");
        return FAILED;
    default:
        break;
    }
    int reason = ERR_GET_REASON(ERR_peek_error());
    char alert[32];
    snprintf(alert, sizeof(alert), "alert %d", reason - SSL_AD_REASON_OFFSET);
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        set_end(c, "fin");
    else
        set_end(c, reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256 ? alert : "error");
    ERR_print_errors_fp(stderr);
    return FAILED;
}

static enum progress flush_out(struct client *c)
{
    while (c->out_done < c->out_size) {
        ssize_t n = send(c->fd, c->out + c->out_done, c->out_size - c->out_done, MSG_NOSIGNAL);
        if (n == -1 && errno == EAGAIN)
            return BLOCKED;
        if (n == -1) {
            set_end(c, "reset");
            return FAILED;
        }
        c->out_done += (size_t)n;
    }
    return PROGRESS;
}

static void queue_record(struct client *c, enum craft_type type, const void *data, size_t size)
{
    c->out_size = craft_record(&c->craft, type, data, size, c->out);
    c->out_done = 0;
    if (c->out_size == 0)
        die("crafting a record");
}

static enum progress send_data(struct client *c, size_t until)
{
    size_t left = until - c->sent, n = left < CRAFT_PAYLOAD_MAX ? left : CRAFT_PAYLOAD_MAX;
    if (c->crafted) {
        queue_record(c, CRAFT_DATA, c->data + c->sent, n);
    } else {
        int result = SSL_write_ex(c->ssl, c->data + c->sent, left, &n);
        if (result != 1)
            return failed(c, result);
    }
    c->sent += n;
    return PROGRESS;
}

static enum progress misbehave(struct client *c)
{
    static const uint8_t user_canceled[2] = {1, 90};
    if (c->empty_records != 0) {
        c->empty_records--;
        queue_record(c, CRAFT_DATA, NULL, 0);
    } else if (c->warnings != 0) {
        c->warnings--;
        queue_record(c, CRAFT_ALERT, user_canceled, sizeof(user_canceled));
    } else if (c->key_updates != 0) {
        int type = c->request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
        if (!c->updating && SSL_key_update(c->ssl, type) != 1)
            die("SSL_key_update");
        c->updating = true;
        int result = SSL_do_handshake(c->ssl);
        if (result != 1)
            return failed(c, result);
        c->updating = false;
        c->key_updates--;
    } else {
        c->stage = STAGE_SECOND_HALF;
    }
    return PROGRESS;
}

static enum progress notify(struct client *c)
{
    static const uint8_t close_notify[2] = {1, 0};
    if (c->notified || c->no_close_notify)
        return PROGRESS;
    if (c->crafted) {
        queue_record(c, CRAFT_ALERT, close_notify, sizeof(close_notify));
    } else {
        int result = SSL_shutdown(c->ssl);
        if (result < 0)
            return failed(c, result);
    }
    c->notified = true;
    return flush_out(c);
}

static enum progress end_sending(struct client *c)
{
    if (c->fin_mid_record) {
        static const uint8_t zeros[1000];
        if (c->out_size == 0 || c->out_done == c->out_size) {
            queue_record(c, CRAFT_DATA, zeros, sizeof(zeros));
            c->out_size /= 2;
        }
    } else if (c->half_close) {
        enum progress progress = notify(c);
        if (progress != PROGRESS)
            return progress;
    }
    enum progress progress = flush_out(c);
    if (progress != PROGRESS)
        return progress;
    if ((c->fin_mid_record || c->half_close) && shutdown(c->fd, SHUT_WR) == -1)
        set_end(c, "reset");
    c->stage = STAGE_QUIET;
    return PROGRESS;
}

static enum progress step_write(struct client *c)
{
    enum progress progress = flush_out(c);
    if (progress != PROGRESS)
        return progress;
    switch (c->stage) {
    case STAGE_FIRST_HALF:
        if (c->sent < c->size / 2)
            return send_data(c, c->size / 2);
        c->stage = STAGE_MISBEHAVE;
        return PROGRESS;
    case STAGE_MISBEHAVE:
        return misbehave(c);
    case STAGE_SECOND_HALF:
        if (c->sent < c->size)
            return send_data(c, c->size);
        c->stage = STAGE_ENDING;
        return PROGRESS;
    case STAGE_ENDING:
        return end_sending(c);
    case STAGE_QUIET:
        break;
    }
    return BLOCKED;
}

static enum progress step_read(struct client *c)
{
    static uint8_t buffer[1 << 16];
    size_t n;
    errno = 0;
    ERR_clear_error();
    int result = SSL_read_ex(c->ssl, buffer, sizeof(buffer), &n);
    if (result != 1)
        return failed(c, result);
    c->received += n;
    if (c->receive != NULL && fwrite(buffer, 1, n, c->receive) != n)
        die(c->receive_to);
    if (c->expect != 0 && c->received >= c->expect)
        set_end(c, "expected");
    return PROGRESS;
}

/* Until the server's end; a close_notify of its own doesn't stop us from sending the rest. */
static void converse(struct client *c)
{
    while (c->end[0] == '\0' || (strcmp(c->end, "close_notify") == 0 && c->stage != STAGE_QUIET)) {
        errno = 0;
        ERR_clear_error();
        enum progress wrote = c->stage != STAGE_QUIET ? step_write(c) : BLOCKED;
        if (wrote == FAILED && strcmp(c->end, "close_notify") == 0)
            return;
        enum progress got = c->end[0] == '\0' ? step_read(c) : BLOCKED;
        if (wrote == PROGRESS || got == PROGRESS)
            continue;
        double left = c->timeout - elapsed(c);
        struct pollfd poll_fd = {
            .fd = c->fd,
            .events = (short)((c->end[0] == '\0' ? POLLIN : 0) | (c->stage != STAGE_QUIET ? POLLOUT : 0))};
        if (c->end[0] == '\0' && (left <= 0 || poll(&poll_fd, 1, (int)(left * 1000) + 1) == 0))
            set_end(c, "timeout");
    }
    if (c->stage == STAGE_QUIET || strcmp(c->end, "expected") == 0)
        (void)notify(c);
}

static void on_keylog(const SSL *ssl, const char *line)
{
    craft_read_keylog(&((struct client *)SSL_get_app_data(ssl))->secret, line);
}

static int dial(char *address)
{
    char *colon = strrchr(address, ':');
    if (colon == NULL)
        return -1;
    *colon = '\0';
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(address, colon + 1, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd != -1 && connect(fd, found->ai_addr, found->ai_addrlen) == -1) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static void shake_hands(struct client *c)
{
    const int on = 1, version = c->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    const struct timeval limit = {.tv_sec = (time_t)c->timeout + 1};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, version) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, version) != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AES128+AESGCM") != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1)
        die("SSL_CTX");
    SSL_CTX_set_keylog_callback(ctx, on_keylog);
    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (c->ssl == NULL || SSL_set_app_data(c->ssl, c) != 1 || SSL_set_fd(c->ssl, c->fd) != 1 ||
        SSL_set_tlsext_host_name(c->ssl, c->sni) != 1)
        die("SSL");
    SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (SSL_connect(c->ssl) != 1) {
        ERR_print_errors_fp(stderr);
        die("handshake");
    }
    if (c->crafted && (c->tls12 ? craft_open_tls12(&c->craft, c->ssl)
                                : craft_open_tls13(&c->craft, c->ssl, &c->secret)) == -1)
        die("deriving the client's key");
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) == -1)
        die("O_NONBLOCK");
}

static void load(struct client *c, const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) == -1)
        die(path);
    c->size = (size_t)status.st_size;
    c->data = malloc(c->size + 1);
    if (c->data == NULL || fread(c->data, 1, c->size, file) != c->size)
        die(path);
    fclose(file);
}

static void parse(struct client *c, int argc, char **argv)
{
    const struct option options[] = {
        {"tls1.2", no_argument, &c->tls12, 1},
        {"tls1.3", no_argument, &c->tls12, 0},
        {"sni", required_argument, NULL, 'n'},
        {"send", required_argument, NULL, 's'},
        {"receive-to", required_argument, NULL, 'r'},
        {"expect", required_argument, NULL, 'x'},
        {"timeout", required_argument, NULL, 't'},
        {"empty-records", required_argument, NULL, 'e'},
        {"warning-alerts", required_argument, NULL, 'w'},
        {"key-update", required_argument, NULL, 'k'},
        {"request", no_argument, &c->request, 1},
        {"half-close-after-send", no_argument, &c->half_close, 1},
        {"fin-mid-record", no_argument, &c->fin_mid_record, 1},
        {"no-close-notify", no_argument, &c->no_close_notify, 1},
        {0},
    };
    bool wrong = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        unsigned long number = optarg != NULL ? strtoul(optarg, NULL, 10) : 0;
        if (option == 'n')
            c->sni = optarg;
        else if (option == 's')
            load(c, optarg);
        else if (option == 'r')
            c->receive_to = optarg;
        else if (option == 'x')
            c->expect = number;
        else if (option == 't')
            c->timeout = (double)number;
        else if (option == 'e')
            c->empty_records = number;
        else if (option == 'w')
            c->warnings = number;
        else if (option == 'k')
            c->key_updates = number;
        else if (option != 0)
            wrong = true;
    }
    c->crafted = c->empty_records != 0 || c->warnings != 0 || c->fin_mid_record;
    /* A KeyUpdate changes the key under the crafted records, and TLS 1.2 has none. */
    if (wrong || optind != argc - 1 || (c->key_updates != 0 && (c->crafted || c->tls12))) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct client client = {.sni = "localhost", .timeout = 30};
    struct client *c = &client;
    signal(SIGPIPE, SIG_IGN);
    parse(c, argc, argv);
    clock_gettime(CLOCK_MONOTONIC, &c->start);
    c->fd = dial(argv[optind]);
    if (c->fd == -1)
        die("connect");
    if (c->receive_to != NULL && (c->receive = fopen(c->receive_to, "wb")) == NULL)
        die(c->receive_to);
    shake_hands(c);
    converse(c);
    printf("{\"version\":\"%s\",\"cipher\":\"%s\",\"sent\":%zu,\"received\":%llu,\"end\":\"%s\"}\n",
           SSL_get_version(c->ssl), SSL_CIPHER_standard_name(SSL_get_current_cipher(c->ssl)), c->sent,
           c->received, c->end);
    if (c->receive != NULL && fclose(c->receive) != 0)
        die(c->receive_to);
    SSL_free(c->ssl);
    close(c->fd);
    free(c->data);
    return 0;
}
