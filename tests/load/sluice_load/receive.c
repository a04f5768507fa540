/* How an answer is read: an HTTP head and body, or so many bytes, kept, thrown away or verified.
 * Refuses to know what it answers. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_load/client.h"
#include "sluice_load/target.h"
#include "sluice_load/worker.h"

#define HEAD_MAX (16u * 1024)
#define DISCARD_MAX (8u << 20)

static const struct load_options *options_of(const struct client *client)
{
    return client->worker->options;
}

static bool is_http(const struct client *client)
{
    return options_of(client)->targets[client->target].http;
}

static bool is_hashed(const struct client *client)
{
    const struct content *content = options_of(client)->content;

    return options_of(client)->drain == DRAIN_VERIFY && content != NULL && content->data == NULL;
}

int client_expect(struct client *client)
{
    client->received = 0;
    client->partial_size = 0;
    memset(&client->head, 0, sizeof(client->head));
    memset(&client->chunks, 0, sizeof(client->chunks));
    client->phase = is_http(client) ? CLIENT_HEAD : CLIENT_BODY;
    if (!is_http(client)) {
        client->head.keep_alive = true;
        client->head.framing = RESPONSE_LENGTH;
        client->head.length = options_of(client)->receive_size;
        if (client->head.length == LOAD_UNTIL_END) {
            client->head.keep_alive = false;
            client->head.framing = RESPONSE_UNTIL_END;
        }
    }
    return is_hashed(client) ? content_hash_begin(&client->digest) : 0;
}

/* ---- the body ---- */

/* Whether these bytes are right; they are counted here. */
static bool take_body(struct client *client, const uint8_t *data, size_t size)
{
    const struct load_options *options = options_of(client);
    const struct content *content = options->content != NULL ? options->content : options->payload;
    uint64_t at = client->received;

    client->received += size;
    worker_count(&client->worker->counts.bytes, size);
    if (client->head.framing == RESPONSE_LENGTH && client->received > client->head.length) {
        client_fail(client, LOAD_FAILED_PROTOCOL, "more than the %" PRIu64 " bytes announced",
                    client->head.length);
        return false;
    }
    if (options->drain != DRAIN_VERIFY || data == NULL)
        return true;
    if (is_hashed(client))
        return EVP_DigestUpdate(client->digest, data, size) == 1;
    if (!content_matches(content, client->head.range_first + at, data, size)) {
        client_fail(client, LOAD_FAILED_MISMATCH, "the bytes from %" PRIu64 " on are not those expected", at);
        return false;
    }
    return true;
}

/* A file that is verified whole must have come whole. */
static bool is_whole(const struct client *client)
{
    const struct load_options *options = options_of(client);

    if (options->drain != DRAIN_VERIFY || options->content == NULL || options->head)
        return true;
    if (is_hashed(client))
        return content_hash_matches(options->content, client->digest);
    return options->content->cyclic || options->range != NULL || client->received == options->content->size;
}

static void finish_body(struct client *client)
{
    if (!is_whole(client))
        client_fail(client, LOAD_FAILED_MISMATCH, "the body of %" PRIu64 " bytes is not the one expected",
                    client->received);
    else
        client_complete(client, client->head.keep_alive && client->sent == client->to_send);
}

/* Completed or failed: in both cases the client has moved on. */
static bool finish_if_complete(struct client *client)
{
    if (client->head.framing != RESPONSE_LENGTH || client->received < client->head.length)
        return false;
    finish_body(client);
    return true;
}

static void take_chunks(struct client *client, const uint8_t *data, size_t size)
{
    const uint8_t *piece;
    size_t piece_size;

    for (;;) {
        switch (response_chunks_step(&client->chunks, &data, &size, &piece, &piece_size)) {
        case RESPONSE_CHUNK_PIECE:
            if (!take_body(client, piece, piece_size))
                return;
            break;
        case RESPONSE_CHUNK_MORE:
            return;
        case RESPONSE_CHUNK_END:
            if (size > 0)
                client_fail(client, LOAD_FAILED_PROTOCOL, "bytes after the last chunk");
            else
                finish_body(client);
            return;
        case RESPONSE_CHUNK_BAD:
            client_fail(client, LOAD_FAILED_PROTOCOL, "a chunk that is not one");
            return;
        }
    }
}

static void take_payload(struct client *client, const uint8_t *data, size_t size)
{
    if (client->head.framing == RESPONSE_CHUNKED)
        take_chunks(client, data, size);
    else if (take_body(client, data, size))
        finish_if_complete(client);
}

/* ---- the head ---- */

/* Pieces of a head are gathered; in *data and *size is what there is of it now. */
static int gather_head(struct client *client, const uint8_t **data, size_t *size)
{
    if (client->partial == NULL && response_head_size((const char *)*data, *size) > 0)
        return 0;
    if (client->partial_size + *size > HEAD_MAX + WORKER_BUFFER)
        return -1;
    char *grown = realloc(client->partial, client->partial_size + *size);

    if (grown == NULL)
        return -1;
    memcpy(grown + client->partial_size, *data, *size);
    client->partial = grown;
    client->partial_size += *size;
    *data = (const uint8_t *)grown;
    *size = client->partial_size;
    return 0;
}

static bool status_expected(const struct client *client)
{
    int wanted = options_of(client)->status;

    return wanted != 0 ? client->head.status == wanted : client->head.status < 400;
}

static bool take_head(struct client *client, const char *data, size_t size)
{
    if (response_head_parse(data, size, options_of(client)->head, &client->head) == -1) {
        client_fail(client, LOAD_FAILED_PROTOCOL, "the answer is not HTTP/1: %.*s",
                    (int)strcspn(data, "\r\n"), data);
        return false;
    }
    if (client->head.status < 200) /* interim: another head follows */
        return true;
    int class = client->head.status / 100;

    worker_count(&client->worker->counts.statuses[class < 6 ? class : 0], 1);
    if (!status_expected(client)) {
        client_fail(client, LOAD_FAILED_STATUS, "status %d", client->head.status);
        return false;
    }
    client->phase = CLIENT_BODY;
    return true;
}

static void take_answer(struct client *client, const uint8_t *data, size_t size)
{
    if (gather_head(client, &data, &size) == -1) {
        client_fail(client, LOAD_FAILED_PROTOCOL, "the head is too large");
        return;
    }
    for (size_t head; client->phase == CLIENT_HEAD; data += head, size -= head) {
        head = response_head_size((const char *)data, size);
        if (head == 0 && size > HEAD_MAX)
            client_fail(client, LOAD_FAILED_PROTOCOL, "the head is too large");
        if (head == 0 || !take_head(client, (const char *)data, head))
            return;
    }
    if (size > 0)
        take_payload(client, data, size);
    else if (client->head.framing == RESPONSE_LENGTH)
        finish_if_complete(client);
}

/* ---- reading ---- */

static bool may_discard(const struct client *client)
{
    return options_of(client)->drain == DRAIN_TRUNC && client->phase == CLIENT_BODY &&
           client->stream.ssl == NULL && client->head.framing != RESPONSE_CHUNKED;
}

/* One more than there should be: a full read is then an error, a short one says that the socket is empty. */
static size_t discard_size(const struct client *client)
{
    uint64_t left = client->head.length - client->received;

    return client->head.framing == RESPONSE_UNTIL_END || left >= DISCARD_MAX ? DISCARD_MAX : (size_t)left + 1;
}

static enum client_step on_end(struct client *client)
{
    if (client->phase == CLIENT_BODY && client->head.framing == RESPONSE_UNTIL_END)
        finish_body(client);
    else
        client_fail(client, LOAD_FAILED_SHORT, "the connection ended after %" PRIu64 " bytes of the body",
                    client->received);
    return CLIENT_WAIT;
}

static void on_data(struct client *client, const uint8_t *data, size_t size)
{
    if (client->phase == CLIENT_HEAD)
        take_answer(client, data, size);
    else
        take_payload(client, data, size);
}

enum client_step client_receive(struct client *client)
{
    bool discard = may_discard(client);
    size_t asked = discard ? discard_size(client)
                   : client->phase == CLIENT_HEAD && options_of(client)->drain == DRAIN_TRUNC ? HEAD_MAX
                                                                                              : WORKER_BUFFER;
    uint8_t *buffer = client->worker->buffer;
    size_t n;
    enum stream_result result;

    if (client->phase == CLIENT_BODY && client->sent == client->to_send && finish_if_complete(client))
        return CLIENT_WAIT;
    if (!client->readable)
        return CLIENT_WAIT;
    result = discard ? stream_discard(&client->stream, asked, &n)
                     : stream_read(&client->stream, buffer, asked, &n);
    switch (result) {
    case STREAM_GOOD:
        /* Of a socket a short read says that there is no more, unless its end has come with it. */
        if (n < asked && client->stream.ssl == NULL && !client->hung_up)
            client->readable = false;
        on_data(client, discard ? NULL : buffer, n);
        return client->readable ? CLIENT_GO : CLIENT_WAIT;
    case STREAM_AGAIN:
        client->readable = false;
        return CLIENT_WAIT;
    case STREAM_END:
        return on_end(client);
    default:
        client_fail(client, LOAD_FAILED_BROKEN, "receiving: %s", stream_error(&client->stream));
        return CLIENT_WAIT;
    }
}
