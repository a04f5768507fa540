/* Secrets from key log lines, and the keys that come of them, against RFC 8448's traces. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "relay/tls_keys.h"

#define LABEL "CLIENT_TRAFFIC_SECRET_0"
#define RANDOM "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void parse_secret(struct tls_secret *secret, const char *hex)
{
    char line[300];
    (void)snprintf(line, sizeof(line), LABEL " " RANDOM " %s", hex);
    *secret = (struct tls_secret){.size = 0};
    assert_true(tls_secret_parse(secret, LABEL, line));
}

static void check_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    char text[200];
    assert_true(2 * size < sizeof(text));
    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, hex);
}

/* RFC 8448 3 ("simple 1-RTT"): traffic secrets and the keys derived from them. */
static void rfc_8448(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *key, *iv;
    } table[] = {
        /* 3: server handshake, client handshake, server application, client application */
        {"b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
         "3fce516009c21727d0f2e4e86ee403bc", "5d313eb2671276ee13000b30"},
        {"b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
         "dbfaa693d1762c5b666af5d950258d01", "5bd3c71b836e0b76bb73265f"},
        {"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
         "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"},
        {"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
         "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct tls_secret secret;
        uint8_t key[16], iv[12];
        parse_secret(&secret, table[i].secret);
        assert_int_equal(secret.size, 32);
        assert_int_equal(tls_expand_label(EVP_sha256(), &secret, "key", key, sizeof(key)), 0);
        assert_int_equal(tls_expand_label(EVP_sha256(), &secret, "iv", iv, sizeof(iv)), 0);
        check_hex(key, sizeof(key), table[i].key);
        check_hex(iv, sizeof(iv), table[i].iv);
    }
    /* And a label with another length: the server's Finished key of section 3. */
    struct tls_secret secret;
    uint8_t finished[32];
    parse_secret(&secret, table[0].secret);
    assert_int_equal(tls_expand_label(EVP_sha256(), &secret, "finished", finished, sizeof(finished)), 0);
    check_hex(finished, sizeof(finished), "008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8");
}

static void key_log_lines(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        LABEL,
        LABEL " ",
        LABEL " " RANDOM,
        LABEL " " RANDOM " ",
        LABEL " " RANDOM " abc",
        LABEL " " RANDOM " abcg",
        LABEL " " RANDOM " ABCD",
        LABEL "1 " RANDOM " abcd",
        "SERVER_TRAFFIC_SECRET_0 " RANDOM " abcd",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET " RANDOM " abcd",
        /* 49 bytes */
        LABEL " " RANDOM " " RANDOM "00112233445566778899aabbccddeeff00",
    };
    struct tls_secret secret = {.size = 3, .bytes = {1, 2, 3}};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (tls_secret_parse(&secret, LABEL, others[i]))
            fail_msg("taken: %s", others[i]);
        assert_int_equal(secret.size, 3);
        assert_int_equal(secret.bytes[2], 3);
    }
    parse_secret(&secret, RANDOM "00112233445566778899aabbccddeeff");
    assert_int_equal(secret.size, 48);
    assert_int_equal(secret.bytes[47], 0xff);
    tls_secret_cleanse(&secret);
    assert_int_equal(secret.size, 0);
    assert_int_equal(secret.bytes[47], 0);
}

/* Without the ULP on the socket, or without a secret, nothing happens but an error. */
static void refusals(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL *ssl = SSL_new(ctx);
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, (const unsigned char[]){0x13, 0x01});
    const SSL_CIPHER *ccm = SSL_CIPHER_find(ssl, (const unsigned char[]){0x13, 0x04});
    struct tls_secret secret = {.size = 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd != -1 && cipher != NULL && ccm != NULL);
    assert_int_equal(tls_keys_receive(fd, cipher, &secret, 0), -1);
    assert_int_equal(errno, ENOTSUP);
    parse_secret(&secret, RANDOM);
    assert_int_equal(tls_keys_receive(fd, ccm, &secret, 0), -1);
    assert_int_equal(errno, ENOTSUP);
    assert_int_equal(tls_keys_receive(fd, cipher, &secret, 0), -1);
    assert_int_not_equal(errno, ENOTSUP);
    close(fd);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_8448),
        cmocka_unit_test(key_log_lines),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
