/* See probe.h. Refuses to know what follows from the result. */
#include "proxy/health/probe.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_io(evutil_socket_t fd, short what, void *arg);
static void on_timer(evutil_socket_t fd, short what, void *arg);

static void arm(struct health_probe *probe, uint32_t ms)
{
    const struct timeval delay = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};

    evtimer_add(&probe->timer, &delay);
}

static void await(struct health_probe *probe, short what)
{
    event_del(&probe->io);
    event_assign(&probe->io, probe->options.base, probe->fd, what, on_io, probe);
    event_add(&probe->io, NULL);
}

static void close_all(struct health_probe *probe, bool orderly)
{
    if (probe->ssl != NULL) {
        if (orderly)
            (void)SSL_shutdown(probe->ssl);
        SSL_free(probe->ssl);
        ERR_clear_error();
    }
    if (probe->fd != -1) {
        event_del(&probe->io);
        close(probe->fd);
    }
    probe->ssl = NULL;
    probe->fd = -1;
}

/* Told on the next turn. */
static void finish(struct health_probe *probe, enum health_cause cause, int detail)
{
    close_all(probe, cause == HEALTH_GOOD || cause == HEALTH_STATUS);
    probe->state = PROBE_OVER;
    probe->result = (struct health_result){.cause = cause, .detail = detail};
    arm(probe, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct health_probe *probe = arg;
    const struct health_result timeout = {.cause = HEALTH_TIMEOUT};

    (void)fd;
    (void)what;
    if (probe->state != PROBE_OVER) {
        probe->result = timeout;
        close_all(probe, false);
    }
    probe->state = PROBE_IDLE;
    probe->options.on_end(probe->options.arg, probe->result);
}

/* Why the server's certificate was refused; 0: that is not what was wrong. */
static int distrust(const SSL *ssl)
{
    const bool refused = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;

    return refused ? (int)SSL_get_verify_result(ssl) : 0;
}

/* What a call that didn't get through says. true: it waits for the socket; else the probe is over. */
static bool wait_or_fail(struct health_probe *probe, int returned, short wanted)
{
    int saved = errno;

    if (probe->ssl == NULL) {
        if (saved == EAGAIN || saved == EINTR) {
            await(probe, wanted);
            return true;
        }
        finish(probe, HEALTH_LOST, saved);
        return false;
    }
    switch (SSL_get_error(probe->ssl, returned)) {
    case SSL_ERROR_WANT_READ:
        await(probe, EV_READ);
        return true;
    case SSL_ERROR_WANT_WRITE:
        await(probe, EV_WRITE);
        return true;
    default:
        break;
    }
    if (probe->state == PROBE_HANDSHAKING)
        finish(probe, HEALTH_TLS, distrust(probe->ssl));
    else
        finish(probe, HEALTH_LOST, saved);
    return false;
}

static void read_answer(struct health_probe *probe)
{
    while (probe->received < STATUS_LINE_MAX) {
        char *at = probe->answer + probe->received;
        const size_t room = STATUS_LINE_MAX - probe->received;
        ssize_t n;
        unsigned status;

        errno = 0;
        n = probe->ssl != NULL ? SSL_read(probe->ssl, at, (int)room) : recv(probe->fd, at, room, 0);
        if (n == 0 && (probe->ssl == NULL || SSL_get_error(probe->ssl, 0) == SSL_ERROR_ZERO_RETURN)) {
            finish(probe, HEALTH_LOST, 0);
            return;
        }
        if (n <= 0) {
            (void)wait_or_fail(probe, (int)n, EV_READ);
            return;
        }
        probe->received += (size_t)n;
        switch (status_line_parse(probe->answer, probe->received, &status)) {
        case STATUS_LINE_PARTIAL:
            break;
        case STATUS_LINE_BAD:
            finish(probe, HEALTH_NOT_HTTP, 0);
            return;
        case STATUS_LINE_GOOD:
            finish(probe, probe->options.is_good(probe->options.arg, status) ? HEALTH_GOOD : HEALTH_STATUS,
                   (int)status);
            return;
        }
    }
}

static void ask(struct health_probe *probe)
{
    probe->state = PROBE_ASKING;
    while (probe->sent < probe->options.request_length) {
        const char *at = probe->options.request + probe->sent;
        const size_t left = probe->options.request_length - probe->sent;
        ssize_t n;

        errno = 0;
        n = probe->ssl != NULL ? SSL_write(probe->ssl, at, (int)left)
                               : send(probe->fd, at, left, MSG_NOSIGNAL);
        if (n <= 0) {
            (void)wait_or_fail(probe, (int)n, EV_WRITE);
            return;
        }
        probe->sent += (size_t)n;
    }
    probe->state = PROBE_READING;
    read_answer(probe);
}

static void go_on(struct health_probe *probe)
{
    if (probe->options.request != NULL)
        ask(probe);
    else
        finish(probe, HEALTH_GOOD, 0);
}

static void shake_hands(struct health_probe *probe)
{
    int done;

    ERR_clear_error();
    errno = 0;
    done = SSL_do_handshake(probe->ssl);
    if (done == 1)
        go_on(probe);
    else
        (void)wait_or_fail(probe, done, EV_READ);
}

static void on_connected(struct health_probe *probe)
{
    const size_t greeting = probe->options.greeting_length;

    if (greeting > 0 &&
        send(probe->fd, probe->options.greeting, greeting, MSG_NOSIGNAL) != (ssize_t)greeting) {
        finish(probe, HEALTH_LOST, errno);
        return;
    }
    if (probe->options.tls == NULL) {
        go_on(probe);
        return;
    }
    probe->state = PROBE_HANDSHAKING;
    probe->ssl = SSL_new(probe->options.tls);
    if (probe->ssl == NULL || SSL_set_fd(probe->ssl, probe->fd) != 1 ||
        (probe->options.prepare != NULL && !probe->options.prepare(probe->options.arg, probe->ssl))) {
        ERR_clear_error();
        finish(probe, HEALTH_SHORT, ENOMEM);
        return;
    }
    SSL_set_connect_state(probe->ssl);
    shake_hands(probe);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct health_probe *probe = arg;
    socklen_t length = sizeof(int);
    int error = 0;

    (void)what;
    switch (probe->state) {
    case PROBE_CONNECTING:
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
            error = errno;
        if (error != 0)
            finish(probe, HEALTH_CONNECT, error);
        else
            on_connected(probe);
        break;
    case PROBE_HANDSHAKING:
        shake_hands(probe);
        break;
    case PROBE_ASKING:
        ask(probe);
        break;
    case PROBE_READING:
        read_answer(probe);
        break;
    case PROBE_IDLE:
    case PROBE_OVER:
        break;
    }
}

void health_probe_start(struct health_probe *probe, const struct health_probe_options *options)
{
    const struct conf_address *address = options->address;

    *probe = (struct health_probe){.options = *options, .state = PROBE_CONNECTING, .fd = -1};
    evtimer_assign(&probe->timer, options->base, on_timer, probe);
    probe->fd = socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd == -1) {
        finish(probe, HEALTH_SHORT, errno);
        return;
    }
    event_assign(&probe->io, options->base, probe->fd, EV_WRITE, on_io, probe);
    arm(probe, options->timeout_ms);
    if (connect(probe->fd, (const struct sockaddr *)&address->addr, address->length) == 0 ||
        errno == EINPROGRESS)
        await(probe, EV_WRITE);
    else
        finish(probe, errno == EADDRNOTAVAIL || errno == ENOBUFS ? HEALTH_SHORT : HEALTH_CONNECT, errno);
}

void health_probe_stop(struct health_probe *probe)
{
    if (probe->state == PROBE_IDLE)
        return;
    close_all(probe, false);
    event_del(&probe->timer);
    probe->state = PROBE_IDLE;
}
