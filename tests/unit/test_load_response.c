/* HTTP responses as the load tester reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sluice_load/response.h"

static void a_head_ends_with_an_empty_line(void **state)
{
    (void)state;
    assert_int_equal(response_head_size("HTTP/1.1 200 OK\r\n", 17), 0);
    assert_int_equal(response_head_size("HTTP/1.1 200 OK\r\n\r\nbody", 23), 19);
    assert_int_equal(response_head_size("", 0), 0);
}

#define HEAD(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

static void heads_that_are_understood(void **state)
{
    static const struct {
        const char *text;
        bool bodyless;
        int status;
        enum response_framing framing;
        uint64_t length, range_first;
        bool keep_alive;
    } cases[] = {
        {HEAD("Content-Length: 1234\r\n"), false, 200, RESPONSE_LENGTH, 1234, 0, true},
        {HEAD("content-length:7\r\n"), false, 200, RESPONSE_LENGTH, 7, 0, true},
        {HEAD("Content-Length: 5\r\nConnection: close\r\n"), false, 200, RESPONSE_LENGTH, 5, 0, false},
        {HEAD("Content-Length: 5\r\n"), true, 200, RESPONSE_LENGTH, 0, 0, true},
        {HEAD("Transfer-Encoding: chunked\r\n"), false, 200, RESPONSE_CHUNKED, 0, 0, true},
        {HEAD("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), false, 200, RESPONSE_CHUNKED, 0, 0,
         true},
        {HEAD(""), false, 200, RESPONSE_UNTIL_END, 0, 0, false},
        {HEAD("Content-Lengthy: 5\r\n"), false, 200, RESPONSE_UNTIL_END, 0, 0, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false, 200, RESPONSE_LENGTH, 1, 0, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", false, 200,
         RESPONSE_LENGTH, 1, 0, true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 304, RESPONSE_LENGTH, 0, 0, true},
        {"HTTP/1.1 100 Continue\r\n\r\n", false, 100, RESPONSE_LENGTH, 0, 0, true},
        {"HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 500-509/1000\r\n\r\n",
         false, 206, RESPONSE_LENGTH, 10, 500, true},
        {"HTTP/1.1 416 No\r\nContent-Length: 0\r\nContent-Range: bytes */1000\r\n\r\n", false, 416,
         RESPONSE_LENGTH, 0, 0, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct response_head head;

        assert_int_equal(response_head_parse(cases[i].text, strlen(cases[i].text), cases[i].bodyless, &head),
                         0);
        assert_int_equal(head.status, cases[i].status);
        assert_int_equal(head.framing, cases[i].framing);
        assert_int_equal(head.length, cases[i].length);
        assert_int_equal(head.range_first, cases[i].range_first);
        assert_int_equal(head.keep_alive, cases[i].keep_alive);
    }
}

static void heads_that_are_not(void **state)
{
    static const char *const cases[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",   "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",       HEAD("Content-Length: x\r\n"),
        HEAD("Content-Length: 12x\r\n"), HEAD("Content-Length: 99999999999999999999\r\n"),
        HEAD("Content-Length: -1\r\n"),  HEAD("Transfer-Encoding: gzip\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct response_head head;

        assert_int_equal(response_head_parse(cases[i], strlen(cases[i]), false, &head), -1);
    }
}

/* The body's text, in pieces of so many bytes; the last answer of the decoder. */
static enum response_chunk decode(const char *text, size_t piece_size, char *body, size_t *left)
{
    struct response_chunks chunks = {0};
    size_t size = strlen(text), body_size = 0;
    enum response_chunk result = RESPONSE_CHUNK_MORE;

    for (size_t at = 0; at < size && result == RESPONSE_CHUNK_MORE; at += piece_size) {
        const uint8_t *data = (const uint8_t *)text + at, *piece;
        size_t n = size - at < piece_size ? size - at : piece_size, got;

        while ((result = response_chunks_step(&chunks, &data, &n, &piece, &got)) == RESPONSE_CHUNK_PIECE) {
            memcpy(body + body_size, piece, got);
            body_size += got;
        }
        *left = n;
    }
    body[body_size] = '\0';
    return result;
}

static void chunks_in_pieces_of_any_size(void **state)
{
    static const char text[] =
        "5\r\nhello\r\n1;name=\"value\"\r\n,\r\nB\r\n world, bye\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\n";

    (void)state;
    for (size_t size = 1; size <= sizeof(text); size++) {
        char body[64];
        size_t left;

        assert_int_equal(decode(text, size, body, &left), RESPONSE_CHUNK_END);
        assert_string_equal(body, "hello, world, bye");
        assert_int_equal(left, 0);
    }
}

static void chunks_that_end_too_early_or_late(void **state)
{
    char body[64];
    size_t left;

    (void)state;
    assert_int_equal(decode("5\r\nhel", 100, body, &left), RESPONSE_CHUNK_MORE);
    assert_int_equal(decode("0\r\n", 100, body, &left), RESPONSE_CHUNK_MORE);
    assert_int_equal(decode("0\r\n\r\nHTTP", 100, body, &left), RESPONSE_CHUNK_END);
    assert_int_equal(left, 4);
}

static void chunks_that_are_not(void **state)
{
    static const char *const cases[] = {"x\r\n", "\r\n", "2\r\nabX", "2\r\nab\rX", "1234567890123456\r\n",
                                        "-1\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[64];
        size_t left;

        assert_int_equal(decode(cases[i], 100, body, &left), RESPONSE_CHUNK_BAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_with_an_empty_line),
        cmocka_unit_test(heads_that_are_understood),
        cmocka_unit_test(heads_that_are_not),
        cmocka_unit_test(chunks_in_pieces_of_any_size),
        cmocka_unit_test(chunks_that_end_too_early_or_late),
        cmocka_unit_test(chunks_that_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
