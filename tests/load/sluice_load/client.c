/* The states of a connection: connect, shake hands, send a request and receive its answer, again.
 * Refuses to know when requests are due and how answers are read. */
#include "sluice_load/client.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "sluice_load/clock.h"
#include "sluice_load/histogram.h"
#include "sluice_load/target.h"
#include "sluice_load/worker.h"

/* Enough to make use of the buffer, few enough that no connection starves the others. */
#define STEPS_A_TURN 16

/* A target that refuses is not asked a hundred thousand times a second. */
#define REST_NS (10 * NS_PER_MS)

static const struct load_options *options_of(const struct client *client)
{
    return client->worker->options;
}

void client_init(struct client *client, struct worker *worker)
{
    memset(client, 0, sizeof(*client));
    client->worker = worker;
    client->stream.fd = -1;
}

void client_free(struct client *client)
{
    stream_close(&client->stream);
    EVP_MD_CTX_free(client->digest);
    free(client->partial);
}

/* ---- how a request ends ---- */

static void leave_flight(struct client *client)
{
    free(client->partial);
    client->partial = NULL;
    client->worker->in_flight--;
}

void client_fail(struct client *client, enum load_failure failure, const char *format, ...)
{
    struct worker *worker = client->worker;
    va_list arguments;

    worker_count(&worker->counts.failures[failure], 1);
    if (worker->first_failure[0] == '\0') {
        va_start(arguments, format);
        vsnprintf(worker->first_failure, sizeof(worker->first_failure), format, arguments);
        va_end(arguments);
    }
    leave_flight(client);
    stream_close(&client->stream);
    client->state = CLIENT_RESTING;
    client->rest_until_ns = clock_ns() + REST_NS;
    worker->resting++;
}

void client_complete(struct client *client, bool keep_alive)
{
    struct worker *worker = client->worker;
    uint64_t now = clock_ns(), intended;

    worker_count(&worker->counts.requests, 1);
    histogram_record(worker->latency, now - client->started_ns);
    if (worker->corrected != NULL)
        histogram_record(worker->corrected, now - client->intended_ns);
    worker->end_ns = now;
    leave_flight(client);
    if (!keep_alive || !options_of(client)->keep_alive)
        stream_close(&client->stream);
    client->state = CLIENT_IDLE;
    if (worker_take(worker, &intended))
        client_begin(client, intended);
    else
        worker_put_idle(worker, client);
}

/* ---- how it begins ---- */

static int open_connection(struct client *client)
{
    struct worker *worker = client->worker;
    const struct target *target = &options_of(client)->targets[client->target];
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = client};

    unsigned sources = options_of(client)->sources, source = 0;

    if (sources > 0)
        source = 1 + worker->next_source++ % sources;
    client->readable = client->hung_up = false;
    client->state = CLIENT_CONNECT;
    worker_count(&worker->counts.connections, 1);
    if (stream_open(&client->stream, target, source, worker->tls,
                    options_of(client)->tls.resume ? &worker->sessions[client->target] : NULL) == -1)
        return -1;
    return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, client->stream.fd, &event);
}

/* xorshift64: the same in every run. */
static uint64_t draw(struct worker *worker)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return worker->random;
}

void client_begin(struct client *client, uint64_t intended_ns)
{
    struct worker *worker = client->worker;
    const struct load_options *options = options_of(client);
    uint64_t number = options->draw ? draw(worker) : worker->next_request++;
    size_t request = (size_t)(number % worker->request_count), target = request % options->target_count;

    if (client->stream.fd != -1 &&
        !target_same_peer(&options->targets[client->target], &options->targets[target]))
        stream_close(&client->stream);
    client->request = request;
    client->target = target;
    client->intended_ns = intended_ns;
    client->started_ns = clock_ns();
    client->sent = 0;
    client->to_send = worker->requests[request].size;
    worker->in_flight++;
    if (client_expect(client) == -1) {
        client_fail(client, LOAD_FAILED_BROKEN, "no memory");
        return;
    }
    if (client->stream.fd == -1) {
        if (open_connection(client) == -1) {
            client_fail(client, LOAD_FAILED_CONNECT, "connect: %s", strerror(errno));
            return;
        }
    } else {
        client->state = CLIENT_EXCHANGE;
    }
    /* Not from here: whoever completes a request may be deep in a turn. */
    worker_put_ready(worker, client);
}

/* ---- the states ---- */

static enum client_step established(struct client *client)
{
    histogram_record(client->worker->connect, clock_ns() - client->started_ns);
    client->state = CLIENT_EXCHANGE;
    return CLIENT_GO;
}

static enum client_step step_connect(struct client *client)
{
    switch (stream_finish_connect(&client->stream)) {
    case STREAM_AGAIN:
        return CLIENT_WAIT;
    case STREAM_GOOD:
        if (client->stream.ssl == NULL)
            return established(client);
        client->state = CLIENT_HANDSHAKE;
        return CLIENT_GO;
    default:
        client_fail(client, LOAD_FAILED_CONNECT, "connect: %s", strerror(errno));
        return CLIENT_WAIT;
    }
}

static enum client_step step_handshake(struct client *client)
{
    switch (stream_handshake(&client->stream)) {
    case STREAM_AGAIN:
        return CLIENT_WAIT;
    case STREAM_GOOD:
        if (SSL_session_reused(client->stream.ssl) == 1)
            worker_count(&client->worker->counts.resumed, 1);
        return established(client);
    default:
        client_fail(client, LOAD_FAILED_HANDSHAKE, "TLS handshake: %s", stream_error(&client->stream));
        return CLIENT_WAIT;
    }
}

/* A piece of what is to be sent; the payload repeats itself. */
static const uint8_t *next_piece(const struct client *client, size_t *size)
{
    const struct worker_request *request = &client->worker->requests[client->request];
    const struct content *payload = options_of(client)->payload;
    uint64_t left = client->to_send - client->sent, at = client->sent;
    const uint8_t *data = (const uint8_t *)request->data;

    if (data == NULL) {
        data = payload->data;
        at %= payload->size;
        if (left > payload->size - at)
            left = payload->size - at;
    }
    *size = (size_t)left;
    return data + at;
}

static enum client_step send_some(struct client *client)
{
    size_t size, n;
    const uint8_t *data = next_piece(client, &size);

    switch (stream_write(&client->stream, data, size, &n)) {
    case STREAM_GOOD:
        client->sent += n;
        worker_count(&client->worker->counts.bytes_sent, n);
        return n == size && client->sent < client->to_send ? CLIENT_GO : CLIENT_WAIT;
    case STREAM_AGAIN:
        return CLIENT_WAIT;
    default:
        client_fail(client, LOAD_FAILED_BROKEN, "sending: %s", stream_error(&client->stream));
        return CLIENT_WAIT;
    }
}

static enum client_step step_exchange(struct client *client)
{
    enum client_step step = CLIENT_WAIT;

    if (client->sent < client->to_send)
        step = send_some(client);
    if (client->state != CLIENT_EXCHANGE)
        return CLIENT_WAIT;
    if (client->readable || options_of(client)->receive_size == 0) {
        if (client_receive(client) == CLIENT_GO)
            step = CLIENT_GO;
    }
    return client->state == CLIENT_EXCHANGE ? step : CLIENT_WAIT;
}

/* What comes without having been asked for is the end of the connection, or will be seen with the next
 * answer. */
static enum client_step step_idle(struct client *client)
{
    if (client->hung_up)
        stream_close(&client->stream);
    return CLIENT_WAIT;
}

void client_turn(struct client *client, uint32_t events)
{
    static enum client_step (*const steps[])(struct client *) = {
        [CLIENT_IDLE] = step_idle,         [CLIENT_RESTING] = step_idle,
        [CLIENT_CONNECT] = step_connect,   [CLIENT_HANDSHAKE] = step_handshake,
        [CLIENT_EXCHANGE] = step_exchange,
    };

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        client->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        client->hung_up = true;
    for (int i = 0; i < STEPS_A_TURN; i++) {
        if (steps[client->state](client) == CLIENT_WAIT)
            return;
    }
    worker_put_ready(client->worker, client);
}
