/* proxy/client_hello: a hello read whole, cut at every byte, split into records at every byte, and spoilt at
 * every byte; what isn't one; and the bounds. */
#include "proxy/client_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A handshake message in the making. */
struct message {
    uint8_t bytes[80000];
    size_t size;
};

static void put(struct message *message, const void *data, size_t size)
{
    assert_true(message->size + size <= sizeof(message->bytes));
    memcpy(message->bytes + message->size, data, size);
    message->size += size;
}

static void put_number(struct message *message, size_t number, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
        const uint8_t byte = (uint8_t)(number >> shift);

        put(message, &byte, 1);
    }
}

static void put_extension(struct message *message, unsigned type, const struct message *value)
{
    put_number(message, type, 2);
    put_number(message, value->size, 2);
    put(message, value->bytes, value->size);
}

static void put_name(struct message *extensions, const char *name)
{
    struct message value = {.size = 0};

    put_number(&value, strlen(name) + 3, 2);
    put_number(&value, 0, 1);
    put_number(&value, strlen(name), 2);
    put(&value, name, strlen(name));
    put_extension(extensions, 0, &value);
}

/* protocols: each with its length in front, as a string. */
static void put_alpn(struct message *extensions, const char *protocols)
{
    struct message value = {.size = 0};

    put_number(&value, strlen(protocols), 2);
    put(&value, protocols, strlen(protocols));
    put_extension(extensions, 16, &value);
}

static void put_padding(struct message *extensions, size_t size)
{
    static const struct message zeros;
    struct message value = {.size = 0};

    put(&value, zeros.bytes, size);
    put_extension(extensions, 21, &value);
}

/* The whole handshake message. extensions NULL: it has none, not even their length. */
static struct message hello_with(const struct message *extensions)
{
    struct message body = {.size = 0}, message = {.size = 0};
    const uint8_t random[32] = {1, 2, 3};

    put_number(&body, 0x0303, 2);
    put(&body, random, sizeof(random));
    put_number(&body, 32, 1);
    put(&body, random, sizeof(random));
    put_number(&body, 4, 2);
    put_number(&body, 0x13011302, 4);
    put_number(&body, 1, 1);
    put_number(&body, 0, 1);
    if (extensions != NULL) {
        put_number(&body, extensions->size, 2);
        put(&body, extensions->bytes, extensions->size);
    }
    put_number(&message, 1, 1);
    put_number(&message, body.size, 3);
    put(&message, body.bytes, body.size);
    return message;
}

static struct message usual(void)
{
    struct message extensions = {.size = 0};

    put_padding(&extensions, 7);
    put_name(&extensions, "www.example.org");
    put_alpn(&extensions, "\x02h2\x08http/1.1");
    return hello_with(&extensions);
}

/* In records: the first has `first` bytes, the others at most `rest`. */
static struct message in_records(const struct message *message, size_t first, size_t rest)
{
    struct message records = {.size = 0};
    size_t room = first;

    for (size_t at = 0; at < message->size; room = rest) {
        const size_t n = message->size - at < room ? message->size - at : room;

        put_number(&records, 22, 1);
        put_number(&records, 0x0301, 2);
        put_number(&records, n, 2);
        put(&records, message->bytes + at, n);
        at += n;
    }
    return records;
}

/* From memory of exactly this size, so that a read beyond it is seen. */
static enum client_hello_status parse(const struct message *wire, size_t size, struct client_hello *hello)
{
    uint8_t *copy = malloc(size + (size == 0));
    enum client_hello_status status;

    assert_non_null(copy);
    memcpy(copy, wire->bytes, size);
    status = client_hello_parse(copy, size, hello);
    free(copy);
    return status;
}

static void assert_usual(const struct client_hello *hello)
{
    assert_string_equal(hello->sni, "www.example.org");
    assert_int_equal(hello->alpn_size, 12);
    assert_memory_equal(hello->alpn, "\x02h2\x08http/1.1", 12);
}

static void test_whole_and_cut(void **state)
{
    const struct message message = usual(), wire = in_records(&message, 16384, 16384);
    struct client_hello hello;

    (void)state;
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_DONE);
    assert_usual(&hello);
    for (size_t size = 0; size < wire.size; size++) {
        assert_int_equal(parse(&wire, size, &hello), CLIENT_HELLO_MORE);
        assert_in_range(hello.needed, size + 1, wire.size);
    }
    /* As soon as its header is there, exactly the rest is asked for. */
    assert_int_equal(parse(&wire, 9, &hello), CLIENT_HELLO_MORE);
    assert_int_equal(hello.needed, wire.size);
}

static void test_every_record_split(void **state)
{
    const struct message message = usual();
    struct client_hello hello;

    (void)state;
    for (size_t first = 1; first < message.size; first++) {
        const struct message wire = in_records(&message, first, 16384);

        assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_DONE);
        assert_usual(&hello);
        for (size_t size = 0; size < wire.size; size++) {
            assert_int_equal(parse(&wire, size, &hello), CLIENT_HELLO_MORE);
            assert_in_range(hello.needed, size + 1, wire.size);
        }
    }
    for (size_t each = 1; each < 20; each++) {
        const struct message wire = in_records(&message, each, each);

        assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_DONE);
        assert_usual(&hello);
    }
}

static void test_what_follows_is_not_looked_at(void **state)
{
    const struct message message = usual();
    struct message wire = in_records(&message, 16384, 16384);
    struct client_hello hello;

    (void)state;
    put(&wire, "\x14\x03\x03\x00\x01\x01garbage", 13);
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_DONE);
    assert_usual(&hello);
}

/* No byte may lead it out of bounds, and what is DONE is a string and a list. */
static void test_every_byte_spoilt(void **state)
{
    const struct message message = usual(), wire = in_records(&message, 60, 50);

    (void)state;
    for (size_t at = 0; at < wire.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct message spoilt = wire;
            struct client_hello hello;

            spoilt.bytes[at] ^= (uint8_t)(1 << bit);
            if (parse(&spoilt, spoilt.size, &hello) != CLIENT_HELLO_DONE)
                continue;
            assert_non_null(memchr(hello.sni, '\0', sizeof(hello.sni)));
            for (size_t i = 0; i < hello.alpn_size; i += 1u + hello.alpn[i])
                assert_true(hello.alpn[i] > 0 && i + hello.alpn[i] < hello.alpn_size);
        }
}

static void test_without_name_or_extensions(void **state)
{
    struct message extensions = {.size = 0}, message, wire;
    struct client_hello hello;

    (void)state;
    message = hello_with(NULL);
    wire = in_records(&message, 16384, 16384);
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_DONE);
    assert_string_equal(hello.sni, "");
    assert_int_equal(hello.alpn_size, 0);
    put_padding(&extensions, 3);
    message = hello_with(&extensions);
    wire = in_records(&message, 16384, 16384);
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_DONE);
    assert_string_equal(hello.sni, "");
}

static void test_post_quantum(void **state)
{
    struct message extensions = {.size = 0}, message, wire;
    struct client_hello hello;

    (void)state;
    put_padding(&extensions, 1216); /* X25519MLKEM768 */
    put_name(&extensions, "pq.example.org");
    put_padding(&extensions, 40000);
    message = hello_with(&extensions);
    wire = in_records(&message, 1000, 16384);
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_DONE);
    assert_string_equal(hello.sni, "pq.example.org");
    assert_int_equal(parse(&wire, 1400, &hello), CLIENT_HELLO_MORE);
}

#define CASE(what, text)             \
    {                                \
        what, text, sizeof(text) - 1 \
    }

struct bytes_case {
    const char *what;
    const char *bytes;
    size_t size;
};

static void test_not_tls(void **state)
{
    static const struct bytes_case cases[] = {
        CASE("HTTP", "GET / HTTP/1.1\r\n"),
        CASE("SSH", "SSH-2.0-OpenSSH"),
        CASE("PROXY", "PROXY TCP4 "),
        CASE("another major version", "\x16\x02"),
        CASE("a byte", "x"),
        CASE("an alert", "\x15\x03\x01\0\x02\x02\x28"),
        CASE("SSL 2", "\x80\x2e\x01\x03\x01"),
        CASE("a record too long, and no hello", "\x16\x03\xff\xff\xff\xff"),
        CASE("a ServerHello", "\x16\x03\x03\0\x30\x02\0\0\x2c"),
    };
    struct client_hello hello;
    struct message zeros = {.size = 65536};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message wire = {.size = 0};

        print_message("%s\n", cases[i].what);
        put(&wire, cases[i].bytes, cases[i].size);
        assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_NOT_TLS);
    }
    assert_int_equal(parse(&zeros, zeros.size, &hello), CLIENT_HELLO_NOT_TLS);
}

static void test_malformed(void **state)
{
    static const struct bytes_case cases[] = {
        CASE("two names", "\0\0\0\x0a\0\x08\0\0\x01x\0\0\x01y"),
        CASE("two server_name extensions", "\0\0\0\x06\0\x04\0\0\x01x\0\0\0\x06\0\x04\0\0\x01x"),
        CASE("a NUL in the name", "\0\0\0\x08\0\x06\0\0\x03x\0y"),
        CASE("an empty name", "\0\0\0\x05\0\x03\0\0\0"),
        CASE("a name longer than its list", "\0\0\0\x06\0\x04\0\0\x02x"),
        CASE("a list longer than its extension", "\0\0\0\x06\0\x05\0\0\x01x"),
        CASE("bytes behind the list", "\0\0\0\x07\0\x04\0\0\x01xz"),
        CASE("an extension longer than all of them", "\0\x15\0\x05\0"),
        CASE("half an extension", "\0\x15\0"),
        CASE("ALPN: empty", "\0\x10\0\x02\0\0"),
        CASE("ALPN: an empty protocol", "\0\x10\0\x05\0\x03\0\x01x"),
        CASE("ALPN: a protocol too long", "\0\x10\0\x04\0\x02\x02x"),
        CASE("ALPN: twice", "\0\x10\0\x04\0\x02\x01x\0\x10\0\x04\0\x02\x01x"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message extensions = {.size = 0}, message, wire;
        struct client_hello hello;

        print_message("%s\n", cases[i].what);
        put(&extensions, cases[i].bytes, cases[i].size);
        message = hello_with(&extensions);
        wire = in_records(&message, 16384, 16384);
        assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_BAD);
    }
}

static void test_bad_records(void **state)
{
    const struct message message = usual();
    struct message wire = in_records(&message, 50, 50);
    struct client_hello hello;

    (void)state;
    wire.bytes[55] = 20; /* another type within the message */
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_BAD);
    wire = in_records(&message, 50, 50);
    wire.bytes[58] = wire.bytes[59] = 0; /* an empty record */
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_BAD);
    wire.bytes[58] = 0x40; /* longer than any */
    wire.bytes[59] = 1;
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_BAD);
    /* The message ends before its lists do. */
    wire = in_records(&message, 16384, 16384);
    wire.bytes[8] -= 1;
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_BAD);
    /* And after them. */
    wire.bytes[8] += 2;
    put_number(&wire, 0, 1);
    wire.bytes[4] += 1;
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_BAD);
}

static void test_too_long(void **state)
{
    struct message extensions = {.size = 0}, message, wire;
    struct client_hello hello;

    (void)state;
    /* It says at once that it is longer than we look. */
    wire.size = 0;
    put(&wire, "\x16\x03\x01\x40\x00\x01\x01\x00\x00", 9);
    assert_int_equal(parse(&wire, wire.size, &hello), CLIENT_HELLO_TOO_LONG);
    /* It becomes too long by records of one byte. */
    put_padding(&extensions, 12000);
    message = hello_with(&extensions);
    wire = in_records(&message, 1, 1);
    assert_true(wire.size > CLIENT_HELLO_MAX);
    assert_int_equal(parse(&wire, CLIENT_HELLO_MAX, &hello), CLIENT_HELLO_TOO_LONG);
    assert_int_equal(parse(&wire, 20000, &hello), CLIENT_HELLO_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_cut),
        cmocka_unit_test(test_every_record_split),
        cmocka_unit_test(test_what_follows_is_not_looked_at),
        cmocka_unit_test(test_every_byte_spoilt),
        cmocka_unit_test(test_without_name_or_extensions),
        cmocka_unit_test(test_post_quantum),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
