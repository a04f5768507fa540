/* certs/policy as a store serves it, against OpenSSL as the client: which version, suite, group and protocol
 * come of what is configured, and what is refused. */
#include "certs/policy.h"

#include "certs/store.h"
#include "certs_fixture.h"

#define LIST(...) ((char *const[]){__VA_ARGS__})
#define SUITES(count, ...) .suites = LIST(__VA_ARGS__), .suite_count = (count)
#define GROUPS(count, ...) .groups = LIST(__VA_ARGS__), .group_count = (count)
#define ALPN(count, ...) .alpn = LIST(__VA_ARGS__), .alpn_count = (count)

static char aes128[] = "TLS_AES_128_GCM_SHA256", aes256[] = "TLS_AES_256_GCM_SHA384";
static char chacha[] = "TLS_CHACHA20_POLY1305_SHA256";
static char ecdsa128[] = "ECDHE-ECDSA-AES128-GCM-SHA256", ecdsa256[] = "ECDHE-ECDSA-AES256-GCM-SHA384";
static char p256[] = "P-256", p384[] = "P-384", x25519[] = "X25519", unknown[] = "P-255";
static char http[] = "http/1.1", h2[] = "h2", empty[] = "";

static int make_all(void **state)
{
    if (fixture_setup(state) != 0) {
        return -1;
    }
    make_cert(&(struct cert_recipe){.cert = "a.pem", .key = "a.key", .names = "DNS:a.example"});
    return 0;
}

static struct cert_store *store_of(const struct cert_policy *policy, struct cert_error *error)
{
    const struct cert_files files = {.cert = fixture_path("a.pem"), .key = fixture_path("a.key")};
    return cert_store_new(&(struct cert_store_options){.files = &files, .count = 1, .policy = *policy},
                          error);
}

static void test_what_is_spoken(void **state)
{
    (void)state;
    const struct {
        struct cert_policy policy;
        struct client_recipe client;
        const char *groups; /* the client's; NULL: any */
        const char *cipher; /* what comes of it; NULL: refused */
        int group;          /* NID; 0: not asked */
    } cases[] = {
        /* Versions. */
        {{.min_version = TLS1_3_VERSION}, {.version = TLS1_2_VERSION}, NULL, NULL, 0},
        {{.min_version = TLS1_3_VERSION}, {.version = TLS1_3_VERSION}, NULL, aes128, 0},
        {{.max_version = TLS1_2_VERSION}, {.version = TLS1_3_VERSION}, NULL, NULL, 0},
        {{.max_version = TLS1_2_VERSION}, {.version = TLS1_2_VERSION}, NULL, ecdsa128, 0},
        {{.max_version = TLS1_2_VERSION}, {0}, NULL, ecdsa128, 0},
        /* Suites, in the order written; a version without one isn't spoken. */
        {{SUITES(2, aes256, aes128)},
         {.suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"},
         NULL,
         aes256,
         0},
        {{SUITES(1, aes256)}, {.suites = "TLS_AES_128_GCM_SHA256"}, NULL, NULL, 0},
        {{SUITES(1, aes256)}, {.version = TLS1_2_VERSION}, NULL, NULL, 0},
        {{SUITES(1, ecdsa256)}, {.version = TLS1_3_VERSION}, NULL, NULL, 0},
        {{SUITES(1, ecdsa256)}, {0}, NULL, ecdsa256, 0},
        {{SUITES(2, ecdsa256, chacha)}, {.version = TLS1_2_VERSION}, NULL, ecdsa256, 0},
        {{SUITES(2, ecdsa256, chacha)}, {0}, NULL, chacha, 0},
        /* ChaCha20 comes first for a client that prefers it, unless an order was written. */
        {{0}, {.suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"}, NULL, chacha, 0},
        {{SUITES(2, aes128, chacha)},
         {.suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"},
         NULL,
         aes128,
         0},
        /* Groups. */
        {{0}, {0}, NULL, aes128, NID_X25519},
        {{GROUPS(1, p384)}, {0}, NULL, aes128, NID_secp384r1},
        {{GROUPS(2, p256, x25519)}, {0}, "P-384:P-256", aes128, NID_X9_62_prime256v1},
        {{GROUPS(1, p384)}, {0}, "X25519", NULL, 0},
        {{GROUPS(1, p384)}, {.version = TLS1_2_VERSION}, "X25519:P-256", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cert_error error;
        struct cert_store *store = store_of(&cases[i].policy, &error);
        assert_non_null(store);
        struct client_recipe client = cases[i].client;
        client.groups = cases[i].groups;
        struct handshake handshake;
        handshake_run(&handshake, cert_store_context(store), &client);
        if (handshake.done != (cases[i].cipher != NULL)) {
            print_error("case %zu\n", i);
        }
        assert_int_equal(handshake.done, cases[i].cipher != NULL);
        if (handshake.done) {
            assert_string_equal(SSL_get_cipher_name(handshake.client), cases[i].cipher);
        }
        if (cases[i].group != 0) {
            assert_int_equal(SSL_get_negotiated_group(handshake.client), cases[i].group);
        }
        handshake_free(&handshake);
        cert_store_unref(store);
    }
}

static void test_alpn(void **state)
{
    (void)state;
    const struct {
        struct cert_policy policy;
        const char *offered, *selected; /* selected "": none; NULL: refused */
    } cases[] = {
        {{ALPN(2, h2, http)}, "\x08http/1.1\x02h2", "h2"}, /* the server's preference */
        {{ALPN(2, http, h2)}, "\x02h2\x08http/1.1", "http/1.1"},
        {{ALPN(2, h2, http)}, "\x08http/1.1", "http/1.1"},
        {{ALPN(1, h2)}, "\x08http/1.1", NULL},
        {{ALPN(1, h2)}, NULL, ""},
        {{0}, "\x02h2", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cert_error error;
        struct cert_store *store = store_of(&cases[i].policy, &error);
        assert_non_null(store);
        struct handshake handshake;
        handshake_run(&handshake, cert_store_context(store),
                      &(struct client_recipe){.alpn = cases[i].offered});
        assert_int_equal(handshake.done, cases[i].selected != NULL);
        const unsigned char *name;
        unsigned length;
        SSL_get0_alpn_selected(handshake.client, &name, &length);
        if (cases[i].selected != NULL) {
            assert_int_equal(length, strlen(cases[i].selected));
            assert_memory_equal(name, cases[i].selected, length);
        }
        handshake_free(&handshake);
        cert_store_unref(store);
    }
}

static void test_names_that_openssl_lacks(void **state)
{
    (void)state;
    const struct cert_policy policies[] = {{GROUPS(1, unknown)}, {SUITES(1, unknown)}, {ALPN(1, empty)}};
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        struct cert_error error;
        assert_null(store_of(&policies[i], &error));
        assert_int_equal(error.fault, CERT_FAULT_SYSTEM);
        assert_true(error.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_spoken),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_names_that_openssl_lacks),
    };
    return cmocka_run_group_tests(tests, make_all, fixture_teardown);
}
