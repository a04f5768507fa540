/* Certificates that clients show: certs/trust and what a store makes of it, against OpenSSL as the client. */
#include "certs/store.h"
#include "certs/tickets.h"
#include "certs/trust.h"
#include "certs_pki.h"

static int make_all(void **state)
{
    if (fixture_setup(state) != 0) {
        return -1;
    }
    issue(NULL, "root", (struct cert_recipe){.ca = true});
    issue(NULL, "other", (struct cert_recipe){.ca = true});
    issue("root", "middle", (struct cert_recipe){.ca = true, .serial = 20});
    issue("root", "server", (struct cert_recipe){.names = "DNS:a.example"});
    issue("root", "ann", (struct cert_recipe){.serial = 11});
    issue("root", "revoked", (struct cert_recipe){.serial = 12});
    issue("root", "expired", (struct cert_recipe){.begins = -2 * DAY, .ends = -DAY});
    issue("root", "serves", (struct cert_recipe){.extended_usage = "serverAuth"});
    issue("other", "stranger", (struct cert_recipe){0});
    issue("middle", "deep", (struct cert_recipe){.serial = 13});
    append_file("deep.pem", "middle.pem");
    append_file("chain.pem", "middle.pem");
    append_file("chain.pem", "root.pem");
    append_crl("root.crl", "root", NULL, 12, DAY);
    append_crl("over.crl", "root", NULL, 12, -DAY);
    append_crl("forged.crl", "root", "other", 12, DAY);
    append_crl("other.crl", "other", NULL, 0, DAY);
    append_file("both.crl", "root.crl");
    append_crl("both.crl", "middle", NULL, 0, DAY);
    return 0;
}

struct demand {
    enum cert_verify verify;
    const char *ca, *crl; /* file names */
    int depth;
};

static struct cert_store *store_of(const struct demand *demand, struct ticket_keys *tickets,
                                   struct cert_error *error)
{
    const struct cert_files files = {.cert = fixture_path("server.pem"), .key = fixture_path("server.key")};
    return cert_store_new(
        &(struct cert_store_options){.files = &files,
                                     .count = 1,
                                     .client = {.verify = demand->verify,
                                                .ca = demand->ca != NULL ? fixture_path(demand->ca) : NULL,
                                                .crl = demand->crl != NULL ? fixture_path(demand->crl) : NULL,
                                                .depth = demand->depth},
                                     .tickets = tickets},
        error);
}

/* client NULL: shows none. */
static struct client_recipe client_of(const char *client, int version)
{
    static char cert[64], key[64];
    snprintf(cert, sizeof(cert), "%s.pem", client != NULL ? client : "");
    snprintf(key, sizeof(key), "%s.key", client != NULL ? client : "");
    return (struct client_recipe){.version = version,
                                  .cert = client != NULL ? fixture_path(cert) : NULL,
                                  .key = client != NULL ? fixture_path(key) : NULL};
}

static void test_who_is_let_in(void **state)
{
    (void)state;
    static const struct {
        struct demand demand;
        const char *client;
        long refused; /* X509_V_ERR_...; 0: let in; -1: refused without a certificate to verify */
    } cases[] = {
        {{CERT_VERIFY_NONE, NULL, NULL, 9}, NULL, 0},
        {{CERT_VERIFY_NONE, NULL, NULL, 9}, "stranger", 0},
        {{CERT_VERIFY_OPTIONAL, "root.pem", NULL, 9}, NULL, 0},
        {{CERT_VERIFY_OPTIONAL, "root.pem", NULL, 9}, "ann", 0},
        {{CERT_VERIFY_OPTIONAL, "root.pem", NULL, 9}, "expired", X509_V_ERR_CERT_HAS_EXPIRED},
        {{CERT_VERIFY_OPTIONAL, "root.pem", NULL, 9},
         "stranger",
         X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9}, NULL, -1},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9}, "ann", 0},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9}, "revoked", 0},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9}, "serves", X509_V_ERR_INVALID_PURPOSE},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9},
         "stranger",
         X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
        {{CERT_VERIFY_REQUIRED, "root.pem", "root.crl", 9}, "ann", 0},
        {{CERT_VERIFY_REQUIRED, "root.pem", "root.crl", 9}, "revoked", X509_V_ERR_CERT_REVOKED},
        {{CERT_VERIFY_OPTIONAL, "root.pem", "root.crl", 9}, "revoked", X509_V_ERR_CERT_REVOKED},
        {{CERT_VERIFY_REQUIRED, "root.pem", "over.crl", 9}, "ann", X509_V_ERR_CRL_HAS_EXPIRED},
        /* An intermediate that the client sends along; its own CRL is needed then. */
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 1}, "deep", 0},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 0}, "deep", X509_V_ERR_CERT_CHAIN_TOO_LONG},
        {{CERT_VERIFY_REQUIRED, "root.pem", "both.crl", 9}, "deep", 0},
        {{CERT_VERIFY_REQUIRED, "root.pem", "root.crl", 9}, "deep", X509_V_ERR_UNABLE_TO_GET_CRL},
        /* An intermediate in the file is trusted as it is. */
        {{CERT_VERIFY_REQUIRED, "middle.pem", NULL, 9}, "deep", 0},
        {{CERT_VERIFY_REQUIRED, "middle.pem", NULL, 9}, "ann", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
        {{CERT_VERIFY_REQUIRED, "chain.pem", "both.crl", 9}, "deep", 0},
        {{CERT_VERIFY_REQUIRED, "chain.pem", "both.crl", 9}, "revoked", X509_V_ERR_CERT_REVOKED},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct cert_error error;
        struct cert_store *store = store_of(&cases[i / 2].demand, NULL, &error);
        assert_non_null(store);
        struct client_recipe client = client_of(cases[i / 2].client, versions[i % 2]);
        struct handshake handshake;
        handshake_run(&handshake, cert_store_context(store), &client);
        long refused = cases[i / 2].refused;
        if (handshake.done != (refused == 0)) {
            print_error("case %zu: %s\n", i / 2,
                        X509_verify_cert_error_string(SSL_get_verify_result(handshake.server)));
        }
        assert_int_equal(handshake.done, refused == 0);
        if (refused > 0) {
            assert_int_equal(SSL_get_verify_result(handshake.server), refused);
        }
        handshake_free(&handshake);
        cert_store_unref(store);
    }
}

/* A ticket is good where the same is demanded, and nowhere else; it keeps who the client is. */
static void test_resumption(void **state)
{
    (void)state;
    static const struct {
        struct demand first, second;
        const char *client;
        bool resumed, let_in; /* the second time, when the client has a session but no certificate any more */
    } cases[] = {
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9},
         {CERT_VERIFY_REQUIRED, "root.pem", NULL, 9},
         "ann",
         true,
         true},
        {{CERT_VERIFY_NONE, NULL, NULL, 9}, {CERT_VERIFY_REQUIRED, "root.pem", NULL, 9}, NULL, false, false},
        {{CERT_VERIFY_OPTIONAL, "root.pem", NULL, 9},
         {CERT_VERIFY_REQUIRED, "root.pem", NULL, 9},
         NULL,
         false,
         false},
        {{CERT_VERIFY_REQUIRED, "other.pem", NULL, 9},
         {CERT_VERIFY_REQUIRED, "root.pem", NULL, 9},
         "stranger",
         false,
         false},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9},
         {CERT_VERIFY_REQUIRED, "root.pem", "root.crl", 9},
         "revoked",
         false,
         false},
        {{CERT_VERIFY_REQUIRED, "root.pem", NULL, 9}, {CERT_VERIFY_NONE, NULL, NULL, 9}, "ann", false, true},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct ticket_keys *tickets = ticket_keys_new();
        struct cert_error error;
        struct cert_store *first = store_of(&cases[i / 2].first, tickets, &error);
        struct cert_store *second = store_of(&cases[i / 2].second, tickets, &error);
        assert_true(first != NULL && second != NULL);
        struct client_recipe client = client_of(cases[i / 2].client, versions[i % 2]);
        struct handshake before, after;
        handshake_run(&before, cert_store_context(first), &client);
        assert_true(before.done && before.session != NULL);
        struct client_recipe again = {.version = versions[i % 2], .session = before.session};
        handshake_run(&after, cert_store_context(second), &again);
        assert_int_equal(after.done, cases[i / 2].let_in);
        if (after.done) {
            assert_int_equal(SSL_session_reused(after.server), cases[i / 2].resumed);
        }
        if (cases[i / 2].resumed) {
            X509 *peer = SSL_get0_peer_certificate(after.server);
            assert_non_null(peer);
            assert_int_equal(SSL_get_verify_result(after.server), X509_V_OK);
        }
        handshake_free(&after);
        handshake_free(&before);
        cert_store_unref(first);
        cert_store_unref(second);
        ticket_keys_free(tickets);
    }
}

/* The certificate ends while its ticket is still good. */
static void test_resumption_after_the_certificates_end(void **state)
{
    (void)state;
    issue("root", "brief", (struct cert_recipe){.ends = 1});
    struct ticket_keys *tickets = ticket_keys_new();
    struct cert_error error;
    struct cert_store *store =
        store_of(&(struct demand){CERT_VERIFY_REQUIRED, "root.pem", NULL, 9}, tickets, &error);
    struct client_recipe client = client_of("brief", TLS1_3_VERSION);
    struct handshake before, after;
    handshake_run(&before, cert_store_context(store), &client);
    if (before.done) { /* or the machine took a second for it */
        X509 *brief = read_cert(fixture_path("brief.pem"));
        while (X509_cmp_current_time(X509_get0_notAfter(brief)) > 0) {
            usleep(50000);
        }
        X509_free(brief);
        struct client_recipe again = {.version = TLS1_3_VERSION, .session = before.session};
        handshake_run(&after, cert_store_context(store), &again);
        assert_false(after.done);
        handshake_free(&after);
    }
    handshake_free(&before);
    cert_store_unref(store);
    ticket_keys_free(tickets);
}

static void test_the_cas_are_named(void **state)
{
    (void)state;
    struct cert_error error;
    struct cert_store *store =
        store_of(&(struct demand){CERT_VERIFY_OPTIONAL, "root.pem", NULL, 9}, NULL, &error);
    struct handshake handshake;
    handshake_run(&handshake, cert_store_context(store), &(struct client_recipe){0});
    assert_true(handshake.done);
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(handshake.client);
    assert_int_equal(sk_X509_NAME_num(names), 1);
    handshake_free(&handshake);
    cert_store_unref(store);
}

static void test_faults(void **state)
{
    (void)state;
    write_text("empty.pem", "nothing\n");
    write_text("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    write_text("broken.crl", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    static const struct {
        const char *ca, *crl;
        enum cert_fault fault;
        const char *text;
    } cases[] = {
        {"absent.pem", NULL, CERT_FAULT_CA, "absent.pem: can't read: No such file or directory"},
        {"empty.pem", NULL, CERT_FAULT_CA, "empty.pem: holds no certificate in PEM form"},
        {"broken.pem", NULL, CERT_FAULT_CA, "broken.pem: bad certificate: "},
        {"root.pem", "absent.crl", CERT_FAULT_CRL, "absent.crl: can't read: No such file or directory"},
        {"root.pem", "empty.pem", CERT_FAULT_CRL, "empty.pem: holds no CRL in PEM form"},
        {"root.pem", "broken.crl", CERT_FAULT_CRL, "broken.crl: bad CRL: "},
        {"root.pem", "other.crl", CERT_FAULT_CRL, "other.crl: holds no CRL of CN=root, so that nothing"},
        {"middle.pem", "root.crl", CERT_FAULT_CRL, "root.crl: holds no CRL of CN=middle, so that nothing"},
        {"middle.pem", "both.crl", CERT_FAULT_CA,
         "middle.pem: CN=middle isn't a root, and with a CRL its issuer is needed too: add the certificate "
         "of "
         "CN=root"},
        {"root.pem", "forged.crl", CERT_FAULT_CRL,
         "forged.crl: the CRL of CN=root isn't signed by the CA certificate of that name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cert_error error = {0};
        assert_null(
            store_of(&(struct demand){CERT_VERIFY_REQUIRED, cases[i].ca, cases[i].crl, 9}, NULL, &error));
        assert_int_equal(error.fault, cases[i].fault);
        if (strstr(error.text, cases[i].text) == NULL) {
            print_error("%s, not %s\n", error.text, cases[i].text);
        }
        assert_non_null(strstr(error.text, cases[i].text));
    }
}

static void keep_warning(void *arg, const struct cert_error *warning)
{
    struct cert_error *kept = arg;
    assert_int_equal(kept->fault, CERT_OK);
    *kept = *warning;
}

static void test_warnings(void **state)
{
    (void)state;
    issue(NULL, "oldca", (struct cert_recipe){.ca = true, .begins = -2 * DAY, .ends = -DAY});
    static const struct {
        const char *ca, *crl;
        enum cert_fault fault;
        const char *text;
    } cases[] = {
        {"root.pem", "root.crl", CERT_OK, ""},
        {"root.pem", "over.crl", CERT_FAULT_CRL, "the CRL of CN=root expired on 20"},
        {"oldca.pem", NULL, CERT_FAULT_CA, "the CA certificate of CN=oldca expired on 20"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cert_error error, warning = {0};
        struct cert_store *store =
            store_of(&(struct demand){CERT_VERIFY_REQUIRED, cases[i].ca, cases[i].crl, 9}, NULL, &error);
        assert_non_null(store);
        cert_store_each_warning(store, keep_warning, &warning);
        assert_int_equal(warning.fault, cases[i].fault);
        assert_int_equal(strncmp(warning.text, cases[i].text, strlen(cases[i].text)), 0);
        cert_store_unref(store);
    }
}

/* The system's own: a bundle that the environment names, or one of the usual places. */
static void test_the_systems_cas(void **state)
{
    (void)state;
    struct cert_error error;
    struct cert_trust trust;
    assert_int_equal(setenv("SSL_CERT_FILE", fixture_path("root.pem"), 1), 0);
    assert_int_equal(cert_trust_load(&trust, &(struct cert_trust_files){NULL, NULL}, &error), 0);
    assert_int_equal(sk_X509_NAME_num(trust.names), 1);
    cert_trust_clear(&trust);
    assert_int_equal(setenv("SSL_CERT_FILE", fixture_path("absent.pem"), 1), 0);
    assert_int_equal(cert_trust_load(&trust, &(struct cert_trust_files){NULL, NULL}, &error), -1);
    assert_int_equal(error.fault, CERT_FAULT_CA);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_let_in),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_resumption_after_the_certificates_end),
        cmocka_unit_test(test_the_cas_are_named),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_the_systems_cas),
    };
    return cmocka_run_group_tests(tests, make_all, fixture_teardown);
}
