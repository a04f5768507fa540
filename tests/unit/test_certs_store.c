/* certs/store and certs/context against OpenSSL as the client: which certificate, which protocol, what is
 * refused, and how every fault of a file is told. */
#include "certs/store.h"

#include "certs_fixture.h"

static struct cert_files files_of(const char *cert, const char *key)
{
    return (struct cert_files){.cert = strdup(fixture_path(cert)), .key = strdup(fixture_path(key))};
}

static void files_free(struct cert_files *files)
{
    free((char *)files->cert);
    free((char *)files->key);
}

/* A store of up to six pairs NAME.pem, NAME.key. */
static struct cert_store *store_of(const char *const *names, struct cert_store_options options)
{
    struct cert_files files[6];
    struct cert_error error;
    for (options.count = 0; names[options.count] != NULL; options.count++) {
        char cert[64], key[64];
        snprintf(cert, sizeof(cert), "%s.pem", names[options.count]);
        snprintf(key, sizeof(key), "%s.key", names[options.count]);
        files[options.count] = files_of(cert, key);
    }
    options.files = files;
    struct cert_store *store = cert_store_new(&options, &error);
    if (store == NULL) {
        print_error("%s\n", error.text);
    }
    assert_non_null(store);
    for (size_t i = 0; i < options.count; i++) {
        files_free(&files[i]);
    }
    return store;
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static int make_all(void **state)
{
    if (fixture_setup(state) != 0) {
        return -1;
    }
    make_cert(&(struct cert_recipe){.cert = "first.pem", .key = "first.key", .names = "DNS:first.example"});
    make_cert(&(struct cert_recipe){
        .cert = "wild.pem", .key = "wild.key", .names = "DNS:*.Wild.example,DNS:wild.example,IP:127.0.0.1"});
    make_cert(&(struct cert_recipe){.cert = "exact.pem", .key = "exact.key", .names = "DNS:a.wild.example"});
    make_cert(&(struct cert_recipe){.cert = "cn.pem", .key = "cn.key", .common_name = "cn.example"});
    make_cert(&(struct cert_recipe){
        .cert = "san.pem", .key = "san.key", .common_name = "ignored.example", .names = "DNS:san.example"});
    make_cert(&(struct cert_recipe){
        .cert = "rsa.pem", .key = "rsa.key", .rsa = true, .names = "DNS:first.example,DNS:only-rsa.example"});
    return 0;
}

/* The common name or first DNS name that tells the fixtures apart: compares with the file itself. */
static void assert_shown(SSL_CTX *ctx, const char *server_name, const char *file)
{
    struct handshake handshake;
    handshake_run(&handshake, ctx, &(struct client_recipe){.server_name = server_name});
    assert_true(handshake.done);
    X509 *shown = SSL_get1_peer_certificate(handshake.client);
    X509 *wanted = read_cert(fixture_path(file));
    if (X509_cmp(shown, wanted) != 0) {
        print_error("SNI %s: not %s\n", server_name != NULL ? server_name : "none", file);
    }
    assert_int_equal(X509_cmp(shown, wanted), 0);
    if (server_name != NULL) {
        assert_string_equal(SSL_get_servername(handshake.server, TLSEXT_NAMETYPE_host_name), server_name);
    }
    X509_free(shown);
    X509_free(wanted);
    handshake_free(&handshake);
}

static void test_sni(void **state)
{
    (void)state;
    struct cert_store *store = store_of(NAMES("first", "wild", "exact", "cn", "san"),
                                        (struct cert_store_options){.http_alpn = true});
    static const struct {
        const char *server_name, *file;
    } cases[] = {
        {NULL, "first.pem"},
        {"first.example", "first.pem"},
        {"wild.example", "wild.pem"},
        {"b.wild.example", "wild.pem"},
        {"B.WILD.example", "wild.pem"},
        {"a.wild.example", "exact.pem"}, /* exact before wildcard, whatever their order */
        {"a.b.wild.example", "first.pem"},
        {"cn.example", "cn.pem"},
        {"san.example", "san.pem"},
        {"ignored.example", "first.pem"}, /* a common name beside a SAN counts for nothing */
        {"unknown.example", "first.pem"},
        {"not a name", "first.pem"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_shown(cert_store_context(store), cases[i].server_name, cases[i].file);
        assert_string_equal(cert_store_warning(store, 0), "");
    }
    cert_store_unref(store);
}

static void test_has(void **state)
{
    (void)state;
    struct cert_store *store = store_of(NAMES("first", "wild", "exact", "cn", "san"),
                                        (struct cert_store_options){.http_alpn = true});
    static const struct {
        const char *name;
        bool has;
    } cases[] = {
        {"first.example", true},    {"b.wild.example", true},    {"*.wild.example", true},
        {"*.WILD.example.", true},  {"A.wild.example.", true},   {"cn.example", true},
        {"*.example", false},       {"a.b.wild.example", false}, {"*.a.wild.example", false},
        {"unknown.example", false}, {"not a name", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(cert_store_has(store, cases[i].name), cases[i].has);
    }
    cert_store_unref(store);
}

/* RSA and ECDSA for one name: the client's abilities choose, for a known and for no name. */
static void test_two_key_types(void **state)
{
    (void)state;
    static const struct {
        const char *server_name;
        struct client_recipe client;
        int type;
    } cases[] = {
        {"first.example", {.version = TLS1_3_VERSION, .signatures = "ecdsa_secp256r1_sha256"}, EVP_PKEY_EC},
        {"first.example", {.version = TLS1_3_VERSION, .signatures = "rsa_pss_rsae_sha256"}, EVP_PKEY_RSA},
        {"first.example",
         {.version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"},
         EVP_PKEY_RSA},
        {"first.example",
         {.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
         EVP_PKEY_EC},
        {"first.example", {0}, EVP_PKEY_EC},
        {"only-rsa.example", {0}, EVP_PKEY_RSA},
        {NULL, {.signatures = "rsa_pss_rsae_sha256"}, EVP_PKEY_RSA},
        {NULL, {.signatures = "ecdsa_secp256r1_sha256"}, EVP_PKEY_EC},
    };
    struct cert_store *store = store_of(NAMES("first", "rsa"), (struct cert_store_options){0});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_recipe client = cases[i].client;
        client.server_name = cases[i].server_name;
        struct handshake handshake;
        handshake_run(&handshake, cert_store_context(store), &client);
        assert_true(handshake.done);
        X509 *shown = SSL_get1_peer_certificate(handshake.client);
        assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(shown)), cases[i].type);
        X509_free(shown);
        handshake_free(&handshake);
    }
    cert_store_unref(store);
}

/* Of two certificates of one type for one name, the first counts. */
static void test_first_counts(void **state)
{
    (void)state;
    make_cert(&(struct cert_recipe){.cert = "again.pem", .key = "again.key", .names = "DNS:first.example"});
    struct cert_store *store = store_of(NAMES("cn", "first", "again"), (struct cert_store_options){0});
    assert_shown(cert_store_context(store), "first.example", "first.pem");
    cert_store_unref(store);
    store = store_of(NAMES("cn", "again", "first"), (struct cert_store_options){0});
    assert_shown(cert_store_context(store), "first.example", "again.pem");
    cert_store_unref(store);
}

/* The intermediate follows the leaf, and key and certificates may share a file. */
static void test_chain_in_one_file(void **state)
{
    (void)state;
    make_cert(&(struct cert_recipe){.cert = "one.pem", .key = "one.key", .names = "DNS:one.example"});
    append_file("one.pem", "cn.pem");
    append_file("one.pem", "one.key");
    struct cert_files files = files_of("one.pem", "one.pem");
    struct cert_error error;
    struct cert_store *store =
        cert_store_new(&(struct cert_store_options){.files = &files, .count = 1}, &error);
    assert_non_null(store);
    struct handshake handshake;
    handshake_run(&handshake, cert_store_context(store), &(struct client_recipe){0});
    assert_true(handshake.done);
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(handshake.client)), 2);
    handshake_free(&handshake);
    cert_store_unref(store);
    files_free(&files);
}

static void test_protocol(void **state)
{
    (void)state;
    static const struct {
        struct client_recipe client;
        const char *cipher; /* NULL: refused */
    } cases[] = {
        {{.version = TLS1_1_VERSION, .ciphers = "ALL"}, NULL},
        {{.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA256"}, NULL},
        {{.version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"}, NULL}, /* no forward secrecy */
        {{.version = TLS1_2_VERSION,
          .ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"},
         "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {{.version = TLS1_2_VERSION,
          .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"},
         "ECDHE-ECDSA-CHACHA20-POLY1305"}, /* the client's first: it has no AES in hardware */
        {{.version = TLS1_2_VERSION,
          .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"},
         "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {{.version = TLS1_3_VERSION}, "TLS_AES_128_GCM_SHA256"},
        {{.version = TLS1_3_VERSION, .suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"},
         "TLS_CHACHA20_POLY1305_SHA256"},
        {{.version = TLS1_3_VERSION, .suites = "TLS_AES_256_GCM_SHA384"}, "TLS_AES_256_GCM_SHA384"},
        {{.version = TLS1_3_VERSION, .suites = "TLS_AES_128_CCM_SHA256"}, NULL},
    };
    struct cert_store *store = store_of(NAMES("first"), (struct cert_store_options){0});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct handshake handshake;
        handshake_run(&handshake, cert_store_context(store), &cases[i].client);
        assert_int_equal(handshake.done, cases[i].cipher != NULL);
        if (cases[i].cipher != NULL) {
            assert_string_equal(SSL_get_cipher_name(handshake.server), cases[i].cipher);
        }
        handshake_free(&handshake);
    }
    cert_store_unref(store);
}

static void test_no_renegotiation(void **state)
{
    (void)state;
    struct cert_store *store = store_of(NAMES("first"), (struct cert_store_options){0});
    struct handshake handshake;
    handshake_run(&handshake, cert_store_context(store), &(struct client_recipe){.version = TLS1_2_VERSION});
    assert_true(handshake.done);
    assert_int_equal(SSL_renegotiate(handshake.client), 1);
    assert_int_equal(SSL_do_handshake(handshake.client), -1);
    char byte;
    assert_int_equal(SSL_read(handshake.server, &byte, 1), -1);
    assert_int_equal(SSL_get_error(handshake.server, -1), SSL_ERROR_WANT_READ); /* answered with a warning */
    assert_int_equal(SSL_do_handshake(handshake.client), -1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
    handshake_free(&handshake);
    cert_store_unref(store);
}

static void test_alpn(void **state)
{
    (void)state;
    static const struct {
        bool http_alpn;
        const char *offered, *selected; /* selected "": none; NULL: refused */
    } cases[] = {
        {true, "\x08http/1.1", "http/1.1"},
        {true, "\x02h2\x08http/1.1", "http/1.1"},
        {true, "\x08http/1.0\x08http/1.1\x02h2", "http/1.1"},
        {true, NULL, ""},
        {true, "\x02h2", NULL},
        {true, "\x09http/1.11", NULL},
        {true, "\x07http/1.", NULL},
        {false, "\x08http/1.1", ""},
        {false, "\x02h2", ""},
    };
    /* A name of the second certificate: the callback must hold after the context was switched too. */
    static const char *const servers[] = {"first.example", "san.example"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 2; i++) {
        struct cert_store *store =
            store_of(NAMES("first", "san"), (struct cert_store_options){.http_alpn = cases[i / 2].http_alpn});
        struct handshake handshake;
        struct client_recipe client = {.alpn = cases[i / 2].offered, .server_name = servers[i % 2]};
        handshake_run(&handshake, cert_store_context(store), &client);
        const char *selected = cases[i / 2].selected;
        assert_int_equal(handshake.done, selected != NULL);
        if (selected != NULL) {
            const unsigned char *name;
            unsigned length;
            SSL_get0_alpn_selected(handshake.client, &name, &length);
            assert_int_equal(length, strlen(selected));
            assert_memory_equal(name, selected, length);
        } else {
            assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_APPLICATION_PROTOCOL);
        }
        handshake_free(&handshake);
        cert_store_unref(store);
    }
}

static void test_options(void **state)
{
    (void)state;
    for (int ktls = 0; ktls < 2; ktls++) {
        struct cert_store *store = store_of(NAMES("first"), (struct cert_store_options){.ktls = ktls == 1});
        SSL_CTX *ctx = cert_store_context(store);
        assert_int_equal((SSL_CTX_get_options(ctx) & SSL_OP_ENABLE_KTLS) != 0, ktls);
        assert_true((SSL_CTX_get_mode(ctx) & SSL_MODE_RELEASE_BUFFERS) != 0);
        assert_int_equal(SSL_CTX_get_read_ahead(ctx), 0);
        assert_int_equal(SSL_CTX_get_max_early_data(ctx), 0);
        cert_store_unref(store);
    }
}

/* The store lives until its last reference is gone. */
static void test_references(void **state)
{
    (void)state;
    struct cert_store *store = store_of(NAMES("first"), (struct cert_store_options){0});
    struct cert_store *again = cert_store_ref(store);
    assert_ptr_equal(again, store);
    cert_store_unref(store);
    assert_shown(cert_store_context(again), "first.example", "first.pem");
    cert_store_unref(again);
    cert_store_unref(NULL);
}

static void test_faults(void **state)
{
    (void)state;
    make_cert(&(struct cert_recipe){.cert = "locked.pem", .key = "locked.key", .passphrase = "secret"});
    make_cert(&(struct cert_recipe){.cert = "weak.pem", .key = "weak.key", .rsa = true, .rsa_bits = 512});
    write_text("empty.pem", "");
    write_text("text.pem", "no certificate, no key\n");
    write_text("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    append_file("tail.pem", "first.pem");
    append_file("tail.pem", "broken.pem");
    assert_int_equal(mkdir(fixture_path("directory"), 0700), 0);
    assert_int_equal(mkfifo(fixture_path("fifo"), 0600), 0);
    assert_int_equal(symlink("loop", fixture_path("loop")), 0);
    static const struct {
        const char *cert, *key;
        enum cert_fault fault;
        const char *file, *text; /* both stand in the error */
    } cases[] = {
        {"missing.pem", "first.key", CERT_FAULT_CERT, "/missing.pem: ", "No such file"},
        {"first.pem", "missing.key", CERT_FAULT_KEY, "/missing.key: ", "No such file"},
        {"loop", "first.key", CERT_FAULT_CERT, "/loop: ", "Too many levels"},
        {"directory", "first.key", CERT_FAULT_CERT, "/directory: ", "not a regular file"},
        {"first.pem", "fifo", CERT_FAULT_KEY, "/fifo: ", "not a regular file"},
        {"empty.pem", "first.key", CERT_FAULT_CERT, "/empty.pem: ", "no certificate"},
        {"text.pem", "first.key", CERT_FAULT_CERT, "/text.pem: ", "no certificate"},
        {"first.key", "first.key", CERT_FAULT_CERT, "/first.key: ", "no certificate"},
        {"broken.pem", "first.key", CERT_FAULT_CERT, "/broken.pem: ", "bad certificate"},
        {"tail.pem", "first.key", CERT_FAULT_CERT, "/tail.pem: ", "after the first"},
        {"first.pem", "empty.pem", CERT_FAULT_KEY, "/empty.pem: ", "no private key"},
        {"first.pem", "first.pem", CERT_FAULT_KEY, "/first.pem: ", "no private key"},
        {"locked.pem", "locked.key", CERT_FAULT_KEY, "/locked.key: ", "encrypted"},
        {"first.pem", "cn.key", CERT_FAULT_MISMATCH, "/cn.key: ", "does not match"},
        {"first.pem", "rsa.key", CERT_FAULT_MISMATCH, "/rsa.key: ", "does not match"},
        {"weak.pem", "weak.key", CERT_FAULT_CERT, "/weak.pem: ", "key too small"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cert_files files[] = {files_of("first.pem", "first.key"),
                                     files_of(cases[i].cert, cases[i].key)};
        struct cert_error error;
        assert_null(cert_store_new(&(struct cert_store_options){.files = files, .count = 2}, &error));
        if (strstr(error.text, cases[i].text) == NULL || error.fault != cases[i].fault) {
            print_error("%s %s: %s\n", cases[i].cert, cases[i].key, error.text);
        }
        assert_int_equal(error.fault, cases[i].fault);
        assert_int_equal(error.index, 1);
        assert_non_null(strstr(error.text, cases[i].file));
        assert_non_null(strstr(error.text, cases[i].text));
        assert_int_equal(ERR_peek_error(), 0); /* nothing left for the next connection to trip over */
        files_free(&files[0]);
        files_free(&files[1]);
    }
}

/* Where permissions count: root reads everything. */
static void test_unreadable(void **state)
{
    (void)state;
    make_cert(&(struct cert_recipe){.cert = "shut.pem", .key = "shut.key"});
    assert_int_equal(chmod(fixture_path("shut.key"), 0), 0);
    assert_int_equal(chmod(fixture_directory, 0755), 0);
    bool root = geteuid() == 0;
    assert_true(!root || seteuid(65534) == 0);
    struct cert_files files = files_of("shut.pem", "shut.key");
    struct cert_error error;
    struct cert_store *store =
        cert_store_new(&(struct cert_store_options){.files = &files, .count = 1}, &error);
    assert_true(!root || seteuid(0) == 0);
    assert_null(store);
    assert_int_equal(error.fault, CERT_FAULT_KEY);
    assert_non_null(strstr(error.text, "/shut.key: can't read: Permission denied"));
    files_free(&files);
}

static void test_warnings(void **state)
{
    (void)state;
    make_cert(&(struct cert_recipe){.cert = "old.pem", .key = "old.key", .begins = -9 * DAY, .ends = -DAY});
    make_cert(&(struct cert_recipe){
        .cert = "new.pem", .key = "new.key", .common_name = "new.example", .begins = DAY, .ends = 9 * DAY});
    make_cert(&(struct cert_recipe){.cert = "open.pem", .key = "open.key", .common_name = "open.example"});
    assert_int_equal(chmod(fixture_path("open.key"), 0644), 0);
    make_cert(
        &(struct cert_recipe){.cert = "nameless.pem", .key = "nameless.key", .common_name = "Not A Host"});
    struct cert_store *store =
        store_of(NAMES("old", "new", "open", "nameless", "first"), (struct cert_store_options){0});
    assert_non_null(strstr(cert_store_warning(store, 0), "expired on 20"));
    assert_non_null(strstr(cert_store_warning(store, 1), "not valid before 20"));
    assert_non_null(strstr(cert_store_warning(store, 2), "readable by every user"));
    assert_non_null(strstr(cert_store_warning(store, 3), "no DNS name"));
    assert_string_equal(cert_store_warning(store, 4), "");
    assert_shown(cert_store_context(store), NULL, "old.pem"); /* served all the same */
    cert_store_unref(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sni),
        cmocka_unit_test(test_has),
        cmocka_unit_test(test_two_key_types),
        cmocka_unit_test(test_first_counts),
        cmocka_unit_test(test_chain_in_one_file),
        cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_no_renegotiation),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, make_all, fixture_teardown);
}
