/* proxy/proxy_header: both versions read whole and cut at every byte, lying lengths, spoilt bytes; written
 * and read back; the checksum against its standard's figures. */
#include "proxy/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "proxy/address.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* From memory of exactly this size, so that a read beyond it is seen. The TLVs are not kept. */
static enum proxy_header_status parse(const void *data, size_t size, struct proxy_header *header)
{
    uint8_t *copy = malloc(size + (size == 0));
    enum proxy_header_status status;

    assert_non_null(copy);
    memcpy(copy, data, size);
    status = proxy_header_parse(copy, size, header);
    free(copy);
    return status;
}

static void assert_addresses(const struct proxy_header *header, const char *source, const char *destination)
{
    char text[128];

    assert_true(header->has_addresses);
    address_format(&header->source, header->source_length, text, sizeof(text));
    assert_string_equal(text, source);
    address_format(&header->destination, header->destination_length, text, sizeof(text));
    assert_string_equal(text, destination);
}

struct line_case {
    const char *line;
    const char *source; /* NULL: none is told; "" : BAD */
    const char *destination;
};

static void test_version_1(void **state)
{
    static const struct line_case cases[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324", "198.51.100.2:443"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
         "255.255.255.255:65535"},
        {"PROXY TCP6 2001:db8::1 ::1 1 0\r\n", "[2001:db8::1]:1", "[::1]:0"},
        {"PROXY TCP6 ffff:f..f:ffff ::1 1 0\r\n", "", NULL},
        {"PROXY UNKNOWN\r\n", NULL, NULL},
        {"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", NULL, NULL},
        {"PROXY UNKNOWN whatever may stand here\r\n", NULL, NULL},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n", "", NULL},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n", "", NULL},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 9\r\n", "", NULL},
        {"PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n", "", NULL},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", "", NULL},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n", "", NULL},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n", "", NULL},
        {"PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n", "", NULL},
        {"PROXY TCP4 192.0.2 198.51.100.2 1 443\r\n", "", NULL},
        {"PROXY TCP4 ::1 ::1 1 443\r\n", "", NULL},
        {"PROXY TCP6 192.0.2.1 198.51.100.2 1 443\r\n", "", NULL},
        {"PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n", "", NULL},
        {"PROXY \r\n", "", NULL},
        {"PROXY\r\n", "", NULL},
        {"proxy UNKNOWN\r\n", "", NULL},
        {"GET / HTTP/1.1\r\n", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t size = strlen(cases[i].line);
        const bool bad = cases[i].source != NULL && cases[i].source[0] == '\0';
        struct proxy_header header;
        char more[256];

        print_message("%s", cases[i].line);
        /* What follows is somebody else's. */
        snprintf(more, sizeof(more), "%sPROXY UNKNOWN\r\n\r\n", cases[i].line);
        assert_int_equal(parse(more, strlen(more), &header), bad ? PROXY_HEADER_BAD : PROXY_HEADER_DONE);
        if (bad) {
            assert_non_null(header.problem);
            continue;
        }
        assert_int_equal(header.size, size);
        if (cases[i].source != NULL)
            assert_addresses(&header, cases[i].source, cases[i].destination);
        else
            assert_false(header.has_addresses);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(parse(cases[i].line, cut, &header), PROXY_HEADER_MORE);
            assert_in_range(header.size, cut + 1, size);
        }
    }
}

static void test_version_1_has_an_end(void **state)
{
    char line[400];
    struct proxy_header header;

    (void)state;
    memset(line, ' ', sizeof(line));
    memcpy(line, "PROXY UNKNOWN", 13);
    assert_int_equal(parse(line, PROXY_HEADER_V1_MAX - 1, &header), PROXY_HEADER_MORE);
    assert_int_equal(parse(line, PROXY_HEADER_V1_MAX, &header), PROXY_HEADER_BAD);
    assert_int_equal(parse(line, sizeof(line), &header), PROXY_HEADER_BAD);
    memcpy(line + PROXY_HEADER_V1_MAX - 2, "\r\n", 2);
    assert_int_equal(parse(line, sizeof(line), &header), PROXY_HEADER_DONE);
    assert_int_equal(header.size, PROXY_HEADER_V1_MAX);
}

/* RFC 3720 B.4, and the usual check value. */
static void test_crc32c(void **state)
{
    uint8_t bytes[32] = {0};

    (void)state;
    assert_int_equal(proxy_header_crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
    assert_int_equal(proxy_header_crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(proxy_header_crc32c(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(proxy_header_crc32c(bytes, 32), 0x46dd794e);
}

static struct sockaddr_storage ipv4(const char *host, unsigned port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_storage address = {0};

    assert_int_equal(inet_pton(AF_INET, host, &in.sin_addr), 1);
    memcpy(&address, &in, sizeof(in));
    return address;
}

static struct sockaddr_storage ipv6(const char *host, unsigned port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_storage address = {0};

    assert_int_equal(inet_pton(AF_INET6, host, &in6.sin6_addr), 1);
    memcpy(&address, &in6, sizeof(in6));
    return address;
}

static struct sockaddr_storage local(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_storage address = {0};

    memcpy(un.sun_path, path, strlen(path));
    memcpy(&address, &un, sizeof(un));
    return address;
}

/* NULL: none. A TLV's value and its size. */
static const uint8_t *find_tlv(const struct proxy_header *header, uint8_t type, size_t *size)
{
    for (size_t at = 0; at < header->tlv_size;) {
        *size = (size_t)header->tlvs[at + 1] << 8 | header->tlvs[at + 2];
        if (header->tlvs[at] == type)
            return header->tlvs + at + 3;
        at += 3 + *size;
    }
    return NULL;
}

static void assert_tlv(const struct proxy_header *header, uint8_t type, const char *value)
{
    size_t size = 0;
    const uint8_t *found = find_tlv(header, type, &size);

    assert_non_null(found);
    assert_int_equal(size, strlen(value));
    assert_memory_equal(found, value, size);
}

struct pair_case {
    struct sockaddr_storage source, destination;
    const char *source_text; /* NULL: not known */
    const char *destination_text;
    const char *line;
};

static void test_written_and_read_back(void **state)
{
    const struct pair_case cases[] = {
        {ipv4("192.0.2.1", 5), ipv4("192.0.2.2", 443), "192.0.2.1:5", "192.0.2.2:443",
         "PROXY TCP4 192.0.2.1 192.0.2.2 5 443\r\n"},
        {ipv6("2001:db8::1", 5), ipv6("::1", 443), "[2001:db8::1]:5", "[::1]:443",
         "PROXY TCP6 2001:db8::1 ::1 5 443\r\n"},
        {ipv6("::ffff:192.0.2.1", 5), ipv6("::ffff:192.0.2.2", 443), "192.0.2.1:5", "192.0.2.2:443",
         "PROXY TCP4 192.0.2.1 192.0.2.2 5 443\r\n"},
        {ipv6("::ffff:192.0.2.1", 5), ipv6("::1", 443), "192.0.2.1:5", "[::1]:443",
         "PROXY TCP6 ::ffff:192.0.2.1 ::1 5 443\r\n"},
        {local(""), local("/run/x"), "unix:", "unix:/run/x", "PROXY UNKNOWN\r\n"},
        {ipv4("192.0.2.1", 5), ipv6("::1", 443), NULL, NULL, "PROXY UNKNOWN\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct proxy_header_facts facts = {.source = &cases[i].source,
                                                 .destination = &cases[i].destination};
        uint8_t wire[PROXY_HEADER_WRITE_MAX];
        struct proxy_header header;
        size_t size = proxy_header_write(PROXY_HEADER_V1, &facts, wire);

        assert_int_equal(size, strlen(cases[i].line));
        assert_memory_equal(wire, cases[i].line, size);
        size = proxy_header_write(PROXY_HEADER_V2, &facts, wire);
        assert_int_equal(proxy_header_parse(wire, size, &header), PROXY_HEADER_DONE);
        assert_int_equal(header.size, size);
        if (cases[i].source_text != NULL)
            assert_addresses(&header, cases[i].source_text, cases[i].destination_text);
        else
            assert_false(header.has_addresses);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(parse(wire, cut, &header), PROXY_HEADER_MORE);
            assert_in_range(header.size, cut + 1, size);
        }
        /* The checksum covers every byte: none may change unnoticed. (LOCAL and UNSPEC are skipped whole.) */
        for (size_t at = 0; at < size && cases[i].source_text != NULL; at++)
            for (int bit = 0; bit < 8; bit++) {
                enum proxy_header_status status;

                wire[at] ^= (uint8_t)(1 << bit);
                status = parse(wire, size, &header);
                /* But for the type of the checksum itself: then there is none. */
                assert_true(status != PROXY_HEADER_DONE || !header.has_addresses || at == size - 7);
                wire[at] ^= (uint8_t)(1 << bit);
            }
    }
}

static void test_what_is_known_of_tls(void **state)
{
    const struct sockaddr_storage source = ipv4("192.0.2.1", 5), destination = ipv4("192.0.2.2", 443);
    static const uint8_t received[] = "\x02\x00\x03old"              /* AUTHORITY, told anew */
                                      "\x03\x00\x04\x01\x02\x03\x04" /* CRC32c, likewise */
                                      "\x04\x00\x02\x00\x00"         /* NOOP, dropped */
                                      "\x05\x00\x02id"               /* UNIQUE_ID, kept */
                                      "\xea\x00\x03vpc";             /* somebody's own, kept */
    struct proxy_header_facts facts = {.source = &source,
                                       .destination = &destination,
                                       .authority = "www.example.org",
                                       .alpn = "h2",
                                       .tls_version = "TLSv1.3",
                                       .tls_cipher = "TLS_AES_128_GCM_SHA256",
                                       .tls_name = "alice",
                                       .tlvs = received,
                                       .tlv_size = sizeof(received) - 1};
    static const char ssl[] = "\x07\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x05"
                              "alice\x23\0\x16TLS_AES_128_GCM_SHA256";
    uint8_t wire[PROXY_HEADER_WRITE_MAX];
    struct proxy_header header;
    const uint8_t *value;
    size_t size = proxy_header_write(PROXY_HEADER_V2, &facts, wire);

    (void)state;
    assert_int_equal(proxy_header_parse(wire, size, &header), PROXY_HEADER_DONE);
    assert_tlv(&header, 0x01, "h2");
    assert_tlv(&header, 0x02, "www.example.org");
    assert_tlv(&header, 0x05, "id");
    assert_tlv(&header, 0xea, "vpc");
    assert_null(find_tlv(&header, 0x04, &size));
    value = find_tlv(&header, 0x20, &size);
    assert_int_equal(size, sizeof(ssl) - 1);
    assert_memory_equal(value, ssl, size);
    /* Nobody was verified. */
    facts.tls_name = "";
    size = proxy_header_write(PROXY_HEADER_V2, &facts, wire);
    assert_int_equal(proxy_header_parse(wire, size, &header), PROXY_HEADER_DONE);
    value = find_tlv(&header, 0x20, &size);
    assert_memory_equal(value, "\x01\0\0\0\x01\x21", 6);
    /* TLS does not end here: what was received stands. */
    facts = (struct proxy_header_facts){
        .source = &source, .destination = &destination, .tlvs = received, .tlv_size = sizeof(received) - 1};
    size = proxy_header_write(PROXY_HEADER_V2, &facts, wire);
    assert_int_equal(proxy_header_parse(wire, size, &header), PROXY_HEADER_DONE);
    assert_tlv(&header, 0x02, "old");
    assert_null(find_tlv(&header, 0x20, &size));
}

struct binary_case {
    const char *what;
    const char *bytes;
    size_t size;
    enum proxy_header_status status;
};
#define CASE(what, text, status)             \
    {                                        \
        what, text, sizeof(text) - 1, status \
    }
#define ADDRESSES "\xc0\0\2\1\xc0\0\2\2\0\5\1\xbb"

static void test_version_2(void **state)
{
    static const struct binary_case cases[] = {
        CASE("LOCAL", SIGNATURE "\x20\0\0\0", PROXY_HEADER_DONE),
        CASE("LOCAL with addresses and rubbish", SIGNATURE "\x20\x11\0\x0f" ADDRESSES "\x05\xff\xff",
             PROXY_HEADER_DONE),
        CASE("UNSPEC", SIGNATURE "\x21\0\0\x02xy", PROXY_HEADER_DONE),
        CASE("TCP4", SIGNATURE "\x21\x11\0\x0c" ADDRESSES, PROXY_HEADER_DONE),
        CASE("too short for its addresses", SIGNATURE "\x21\x11\0\x0b" ADDRESSES, PROXY_HEADER_BAD),
        CASE("IPv6 in the length of IPv4", SIGNATURE "\x21\x21\0\x0c" ADDRESSES, PROXY_HEADER_BAD),
        CASE("a longer length than there is", SIGNATURE "\x21\x11\0\x0d" ADDRESSES, PROXY_HEADER_MORE),
        CASE("the longest length", SIGNATURE "\x21\x11\xff\xff" ADDRESSES, PROXY_HEADER_BAD),
        CASE("UDP", SIGNATURE "\x21\x12\0\x0c" ADDRESSES, PROXY_HEADER_BAD),
        CASE("an unknown family", SIGNATURE "\x21\x41\0\x0c" ADDRESSES, PROXY_HEADER_BAD),
        CASE("version 3", SIGNATURE "\x31\x11\0\x0c" ADDRESSES, PROXY_HEADER_BAD),
        CASE("an unknown command", SIGNATURE "\x22\x11\0\x0c" ADDRESSES, PROXY_HEADER_BAD),
        CASE("half a TLV", SIGNATURE "\x21\x11\0\x0e" ADDRESSES "\x05\0", PROXY_HEADER_BAD),
        CASE("a TLV beyond the end", SIGNATURE "\x21\x11\0\x10" ADDRESSES "\x05\0\2x", PROXY_HEADER_BAD),
        CASE("a TLV", SIGNATURE "\x21\x11\0\x10" ADDRESSES "\x05\0\1x", PROXY_HEADER_DONE),
        CASE("a wrong checksum", SIGNATURE "\x21\x11\0\x13" ADDRESSES "\x03\0\4\1\2\3\4", PROXY_HEADER_BAD),
        CASE("a short checksum", SIGNATURE "\x21\x11\0\x10" ADDRESSES "\x03\0\1\1", PROXY_HEADER_BAD),
        CASE("another signature", "\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c" ADDRESSES, PROXY_HEADER_BAD),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_header header;
        char more[512];

        print_message("%s\n", cases[i].what);
        assert_int_equal(parse(cases[i].bytes, cases[i].size, &header), cases[i].status);
        if (cases[i].status != PROXY_HEADER_DONE)
            continue;
        memcpy(more, cases[i].bytes, cases[i].size);
        memcpy(more + cases[i].size, "\x05\0\0payload", 10);
        assert_int_equal(parse(more, cases[i].size + 10, &header), PROXY_HEADER_DONE);
        assert_int_equal(header.size, cases[i].size);
        assert_int_equal(header.has_addresses, cases[i].bytes[12] == 0x21 && cases[i].bytes[13] != 0);
    }
}

static void test_local(void **state)
{
    uint8_t wire[PROXY_HEADER_WRITE_MAX];
    struct proxy_header header;
    size_t size = proxy_header_write_local(PROXY_HEADER_V2, wire);

    (void)state;
    assert_int_equal(wire[12], 0x20);
    assert_int_equal(parse(wire, size, &header), PROXY_HEADER_DONE);
    assert_int_equal(header.size, size);
    assert_false(header.has_addresses);
    size = proxy_header_write_local(PROXY_HEADER_V1, wire);
    assert_memory_equal(wire, "PROXY UNKNOWN\r\n", size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_version_1_has_an_end),
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_written_and_read_back),
        cmocka_unit_test(test_what_is_known_of_tls),
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_local),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
