/* See client_hello.h. Refuses to know sockets and routes. */
#include "proxy/client_hello.h"

#include <stdbool.h>
#include <string.h>

#define RECORD_HEADER 5
#define RECORD_MAX 16384u
#define RECORD_HANDSHAKE 22
#define MESSAGE_HEADER 4
#define MESSAGE_CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN 16

/* What is left of the message, over the records it lies in. */
struct reader {
    const uint8_t *data;
    size_t size, at;
    size_t record_left;              /* of the record that `at` is in */
    size_t message_left;             /* of the hello, or of the part of it that is read */
    size_t whole_left;               /* of the hello, or of its header */
    enum client_hello_status status; /* DONE while all is well; the first failure stays */
};

static void fail(struct reader *reader, enum client_hello_status status)
{
    if (reader->status == CLIENT_HELLO_DONE)
        reader->status = status;
}

/* Stands before a record: goes into it. */
static bool enter_record(struct reader *reader)
{
    const uint8_t *header = reader->data + reader->at;
    size_t length;

    if (reader->size - reader->at < RECORD_HEADER) {
        fail(reader, CLIENT_HELLO_MORE);
        return false;
    }
    length = (size_t)header[3] << 8 | header[4];
    /* RFC 8446 5.1: no empty record of this type, and nothing in between. */
    if (header[0] != RECORD_HANDSHAKE || header[1] != 3 || length == 0 || length > RECORD_MAX) {
        fail(reader, CLIENT_HELLO_BAD);
        return false;
    }
    reader->at += RECORD_HEADER;
    reader->record_left = length;
    return true;
}

/* The next n bytes of the message, copied to `to` unless it is NULL. */
static bool take(struct reader *reader, uint8_t *to, size_t n)
{
    if (reader->status != CLIENT_HELLO_DONE)
        return false;
    if (n > reader->message_left) {
        fail(reader, CLIENT_HELLO_BAD);
        return false;
    }
    while (n > 0) {
        size_t part;

        if (reader->record_left == 0 && !enter_record(reader))
            return false;
        part = n < reader->record_left ? n : reader->record_left;
        if (part > reader->size - reader->at)
            part = reader->size - reader->at;
        if (part == 0) {
            fail(reader, CLIENT_HELLO_MORE);
            return false;
        }
        if (to != NULL) {
            memcpy(to, reader->data + reader->at, part);
            to += part;
        }
        reader->at += part;
        reader->record_left -= part;
        reader->message_left -= part;
        reader->whole_left -= part;
        n -= part;
    }
    return true;
}

/* A number of `bytes` bytes; 0 after a failure. */
static size_t take_number(struct reader *reader, size_t bytes)
{
    uint8_t raw[3] = {0};
    size_t number = 0;

    if (take(reader, raw, bytes))
        for (size_t i = 0; i < bytes; i++)
            number = number << 8 | raw[i];
    return number;
}

/* A vector with its length in front: skipped. */
static void skip_vector(struct reader *reader, size_t length_bytes)
{
    size_t length = take_number(reader, length_bytes);

    (void)take(reader, NULL, length);
}

/* Narrows the reader to a vector; what it returns goes to leave_vector() when the vector has been read. */
static size_t enter_vector(struct reader *reader, size_t length_bytes)
{
    size_t length = take_number(reader, length_bytes), outer = reader->message_left;

    if (length > outer)
        fail(reader, CLIENT_HELLO_BAD);
    if (reader->status != CLIENT_HELLO_DONE)
        return 0;
    reader->message_left = length;
    return outer - length;
}

static void leave_vector(struct reader *reader, size_t outer)
{
    if (reader->status == CLIENT_HELLO_DONE && reader->message_left != 0)
        fail(reader, CLIENT_HELLO_BAD);
    reader->message_left += outer;
}

/* RFC 6066 3: a list with at most one name of each type; only one type was ever defined. */
static void read_server_name(struct reader *reader, struct client_hello *hello)
{
    size_t outer = enter_vector(reader, 2);

    while (reader->status == CLIENT_HELLO_DONE && reader->message_left != 0) {
        size_t type = take_number(reader, 1), length = take_number(reader, 2);

        if (type != 0) {
            (void)take(reader, NULL, length);
            continue;
        }
        if (length == 0 || length >= sizeof(hello->sni) || hello->sni[0] != '\0') {
            fail(reader, CLIENT_HELLO_BAD);
            break;
        }
        if (take(reader, (uint8_t *)hello->sni, length) && memchr(hello->sni, '\0', length) != NULL)
            fail(reader, CLIENT_HELLO_BAD);
        hello->sni[length] = '\0';
    }
    leave_vector(reader, outer);
}

static void read_alpn(struct reader *reader, struct client_hello *hello)
{
    size_t outer = enter_vector(reader, 2), size = reader->message_left;

    /* Far above what is in use. Cutting it would let a client hide a protocol from its route. */
    if (size < 2 || size > sizeof(hello->alpn))
        fail(reader, CLIENT_HELLO_BAD);
    if (take(reader, hello->alpn, size))
        hello->alpn_size = size;
    for (size_t at = 0; at < hello->alpn_size; at += 1u + hello->alpn[at])
        if (hello->alpn[at] == 0 || hello->alpn[at] >= hello->alpn_size - at)
            fail(reader, CLIENT_HELLO_BAD);
    leave_vector(reader, outer);
}

static void read_extensions(struct reader *reader, struct client_hello *hello)
{
    bool has_name = false, has_alpn = false;
    size_t outer = enter_vector(reader, 2);

    while (reader->status == CLIENT_HELLO_DONE && reader->message_left != 0) {
        size_t type = take_number(reader, 2), rest = enter_vector(reader, 2);
        bool *has = type == EXTENSION_SERVER_NAME ? &has_name : type == EXTENSION_ALPN ? &has_alpn : NULL;

        /* RFC 8446 4.2: twice is an error; which one would the server believe? */
        if (has != NULL && *has)
            fail(reader, CLIENT_HELLO_BAD);
        if (has == NULL)
            (void)take(reader, NULL, reader->message_left);
        else if (type == EXTENSION_ALPN)
            read_alpn(reader, hello);
        else
            read_server_name(reader, hello);
        if (has != NULL)
            *has = true;
        leave_vector(reader, rest);
    }
    leave_vector(reader, outer);
}

static void read_hello(struct reader *reader, struct client_hello *hello)
{
    (void)take(reader, NULL, 2 + 32); /* version, random */
    skip_vector(reader, 1);           /* session */
    skip_vector(reader, 2);           /* cipher suites */
    skip_vector(reader, 1);           /* compression methods */
    /* TLS 1.2 knows hellos without extensions. */
    if (reader->status == CLIENT_HELLO_DONE && reader->message_left != 0)
        read_extensions(reader, hello);
}

/* Whether the first bytes, as many as there are, can begin a TLS handshake. */
static bool begins_tls(const uint8_t *data, size_t size)
{
    return (size < 1 || data[0] == RECORD_HANDSHAKE) && (size < 2 || data[1] == 3) &&
           (size <= RECORD_HEADER || data[RECORD_HEADER] == MESSAGE_CLIENT_HELLO);
}

enum client_hello_status client_hello_parse(const uint8_t *data, size_t size, struct client_hello *hello)
{
    struct reader reader = {
        .data = data, .size = size, .message_left = MESSAGE_HEADER, .whole_left = MESSAGE_HEADER};
    size_t length;

    memset(hello, 0, sizeof(*hello));
    if (!begins_tls(data, size))
        return CLIENT_HELLO_NOT_TLS;
    /* Only then is it judged: what it is must not depend on how it came in segments. */
    if (size <= RECORD_HEADER) {
        hello->needed = RECORD_HEADER + MESSAGE_HEADER;
        return CLIENT_HELLO_MORE;
    }
    (void)take_number(&reader, 1);
    length = take_number(&reader, 3);
    if (length + RECORD_HEADER + MESSAGE_HEADER > CLIENT_HELLO_MAX)
        return CLIENT_HELLO_TOO_LONG;
    if (reader.status == CLIENT_HELLO_DONE) {
        reader.message_left = reader.whole_left = length;
        read_hello(&reader, hello);
        if (reader.status == CLIENT_HELLO_DONE && reader.message_left != 0)
            fail(&reader, CLIENT_HELLO_BAD);
    }
    if (reader.status != CLIENT_HELLO_MORE)
        return reader.status;
    /* What was there has been read, up to the part of a record header. */
    hello->needed = reader.at + (reader.record_left == 0 ? RECORD_HEADER : 0) + reader.whole_left;
    if (hello->needed > CLIENT_HELLO_MAX)
        return CLIENT_HELLO_TOO_LONG;
    return CLIENT_HELLO_MORE;
}
