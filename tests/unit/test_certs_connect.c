/* certs/connect and certs/sessions against a store as the server: who is believed, what is shown, what is
 * resumed. */
#include "certs/connect.h"

#include "certs/sessions.h"
#include "certs/tickets.h"
#include "certs_pki.h"

static int make_all(void **state)
{
    if (fixture_setup(state) != 0) {
        return -1;
    }
    issue(NULL, "root", (struct cert_recipe){.ca = true});
    issue(NULL, "other", (struct cert_recipe){.ca = true});
    issue("root", "server",
          (struct cert_recipe){.names = "DNS:a.example,DNS:*.b.example,IP:192.0.2.7,IP:2001:db8::7"});
    issue("root", "bare", (struct cert_recipe){.common_name = "a.example", .serial = 12});
    issue("root", "expired",
          (struct cert_recipe){.names = "DNS:a.example", .begins = -2 * DAY, .ends = -DAY});
    issue("root", "clients-only",
          (struct cert_recipe){.names = "DNS:a.example", .extended_usage = "clientAuth"});
    issue(NULL, "pinned", (struct cert_recipe){.names = "DNS:a.example"});
    issue("root", "sluice", (struct cert_recipe){.serial = 13});
    append_crl("root.crl", "root", NULL, 12, DAY);
    return 0;
}

/* Both ends, connected in memory. */
struct pair {
    struct cert_store *store;
    SSL *client, *server;
    bool done;
};

static struct cert_store *store_of(const char *name, struct cert_store_options options)
{
    char cert[64], key[64];
    struct cert_error error;
    snprintf(cert, sizeof(cert), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    const struct cert_files files = {.cert = fixture_path(cert), .key = fixture_path(key)};
    options.files = &files;
    options.count = 1;
    struct cert_store *store = cert_store_new(&options, &error);
    assert_non_null(store);
    return store;
}

static void pair_run(struct pair *pair, struct cert_connect *connect, const char *key, const char *name)
{
    BIO *one, *other;
    bool client_done = false, server_done = false;
    char byte = 'x';
    pair->client = SSL_new(cert_connect_context(connect));
    pair->server = SSL_new(cert_store_context(pair->store));
    assert_int_equal(BIO_new_bio_pair(&one, 65536, &other, 65536), 1);
    SSL_set_bio(pair->client, one, one);
    SSL_set_bio(pair->server, other, other);
    SSL_set_connect_state(pair->client);
    SSL_set_accept_state(pair->server);
    assert_int_equal(cert_connect_prepare(connect, pair->client, key, name), 0);
    for (int i = 0; i < 20 && !(client_done && server_done); i++) {
        if (!handshake_step(pair->client, &client_done) || !handshake_step(pair->server, &server_done)) {
            return;
        }
    }
    /* Tickets come with it. */
    pair->done = client_done && server_done && SSL_write(pair->server, &byte, 1) == 1 &&
                 SSL_read(pair->client, &byte, 1) == 1;
}

/* Without a farewell, as a relay's connection that was reset. */
static void pair_free(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_free(pair->server);
    pair->client = pair->server = NULL;
    pair->done = false;
}

static struct cert_connect *connect_of(struct cert_connect_options options)
{
    struct cert_error error;
    struct cert_connect *connect = cert_connect_new(&options, &error);
    if (connect == NULL) {
        print_error("%s\n", error.text);
    }
    assert_non_null(connect);
    return connect;
}

static void test_who_is_believed(void **state)
{
    (void)state;
    static const struct {
        const char *server, *ca, *crl;
        bool verify;
        const char *name, *sni; /* sni NULL: none is sent */
        long refused;           /* X509_V_ERR_...; 0: believed */
    } cases[] = {
        {"server", "root.pem", NULL, true, "a.example", "a.example", 0},
        {"server", "root.pem", NULL, true, "x.b.example", "x.b.example", 0},
        {"server", "root.pem", NULL, true, "b.example", "b.example", X509_V_ERR_HOSTNAME_MISMATCH},
        {"server", "root.pem", NULL, true, "x.y.b.example", "x.y.b.example", X509_V_ERR_HOSTNAME_MISMATCH},
        {"server", "root.pem", NULL, true, "192.0.2.7", NULL, 0},
        {"server", "root.pem", NULL, true, "2001:db8::7", NULL, 0},
        {"server", "root.pem", NULL, true, "192.0.2.8", NULL, X509_V_ERR_IP_ADDRESS_MISMATCH},
        {"server", "root.pem", NULL, true, NULL, NULL, 0}, /* the caller's decision */
        {"server", "root.pem", "root.crl", true, "a.example", "a.example", 0},
        {"bare", "root.pem", NULL, true, "a.example", "a.example", 0}, /* a common name, for want of a SAN */
        {"bare", "root.pem", "root.crl", true, "a.example", "a.example", X509_V_ERR_CERT_REVOKED},
        {"server", "other.pem", NULL, true, "a.example", "a.example",
         X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
        {"expired", "root.pem", NULL, true, "a.example", "a.example", X509_V_ERR_CERT_HAS_EXPIRED},
        {"clients-only", "root.pem", NULL, true, "a.example", "a.example", X509_V_ERR_INVALID_PURPOSE},
        {"pinned", "pinned.pem", NULL, true, "a.example", "a.example", 0},
        {"pinned", "root.pem", NULL, true, "a.example", "a.example", X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
        /* Nothing is checked, and the name is sent all the same. */
        {"expired", NULL, NULL, false, "z.example", "z.example", 0},
        {"pinned", NULL, NULL, false, NULL, NULL, 0},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        const char *ca = cases[i / 2].ca, *crl = cases[i / 2].crl;
        struct pair pair = {.store = store_of(cases[i / 2].server, (struct cert_store_options){0})};
        struct cert_connect *connect = connect_of((struct cert_connect_options){
            .policy = {.min_version = versions[i % 2], .max_version = versions[i % 2]},
            .verify = cases[i / 2].verify,
            .trust = {ca != NULL ? fixture_path(ca) : NULL, crl != NULL ? fixture_path(crl) : NULL}});
        pair_run(&pair, connect, "key", cases[i / 2].name);
        if (pair.done != (cases[i / 2].refused == 0)) {
            print_error("case %zu: %s\n", i / 2,
                        X509_verify_cert_error_string(SSL_get_verify_result(pair.client)));
        }
        assert_int_equal(pair.done, cases[i / 2].refused == 0);
        if (cases[i / 2].refused != 0) {
            assert_int_equal(SSL_get_verify_result(pair.client), cases[i / 2].refused);
        }
        const char *sni = SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name);
        if (pair.done && cases[i / 2].sni != NULL) {
            assert_string_equal(sni, cases[i / 2].sni);
        } else if (pair.done) {
            assert_null(sni);
        }
        pair_free(&pair);
        cert_connect_free(connect);
        cert_store_unref(pair.store);
    }
}

static void test_a_certificate_is_shown(void **state)
{
    (void)state;
    struct pair pair = {
        .store = store_of("server", (struct cert_store_options){.client = {.verify = CERT_VERIFY_REQUIRED,
                                                                           .ca = fixture_path("root.pem"),
                                                                           .depth = 9}})};
    for (int shown = 0; shown < 2; shown++) {
        struct cert_connect_options options = {.verify = true,
                                               .trust = {fixture_path("root.pem"), NULL},
                                               .policy = {.max_version = TLS1_2_VERSION}};
        if (shown == 1) {
            options.client =
                (struct cert_files){fixture_path("sluice.pem"), fixture_path("sluice.key"), NULL};
        }
        struct cert_connect *connect = connect_of(options);
        pair_run(&pair, connect, "key", "a.example");
        assert_int_equal(pair.done, shown == 1);
        pair_free(&pair);
        cert_connect_free(connect);
    }
    cert_store_unref(pair.store);
}

/* By key and name; also after connections that ended by a reset. */
static void test_resumption(void **state)
{
    (void)state;
    static const struct {
        const char *key, *name;
        bool resumed;
    } steps[] = {
        {"one", "a.example", false}, {"one", "a.example", true},    {"two", "a.example", false},
        {"one", "192.0.2.7", false}, {"one", "a.example", true},    {"two", "a.example", true},
        {"one", "192.0.2.7", true},  {"one", "x.b.example", false},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int v = 0; v < 2; v++) {
        struct ticket_keys *tickets = ticket_keys_new();
        struct pair pair = {.store = store_of("server", (struct cert_store_options){.tickets = tickets})};
        struct cert_connect *connect = connect_of(
            (struct cert_connect_options){.policy = {.min_version = versions[v], .max_version = versions[v]},
                                          .verify = true,
                                          .trust = {fixture_path("root.pem"), NULL}});
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            pair_run(&pair, connect, steps[i].key, steps[i].name);
            assert_true(pair.done);
            if (SSL_session_reused(pair.client) != steps[i].resumed) {
                print_error("version %d, step %zu\n", v, i);
            }
            assert_int_equal(SSL_session_reused(pair.client), steps[i].resumed);
            pair_free(&pair);
        }
        cert_connect_free(connect);
        cert_store_unref(pair.store);
        ticket_keys_free(tickets);
    }
}

/* A session as a server gave it; to be freed. */
static SSL_SESSION *some_session(int version)
{
    struct ticket_keys *tickets = ticket_keys_new();
    struct cert_store *store = store_of("server", (struct cert_store_options){.tickets = tickets});
    struct handshake handshake;
    handshake_run(&handshake, cert_store_context(store), &(struct client_recipe){.version = version});
    assert_true(handshake.done && handshake.session != NULL);
    SSL_SESSION *session = SSL_SESSION_dup(handshake.session);
    handshake_free(&handshake);
    cert_store_unref(store);
    ticket_keys_free(tickets);
    return session;
}

static void test_sessions_are_bounded(void **state)
{
    (void)state;
    SSL_SESSION *once = some_session(TLS1_3_VERSION), *again = some_session(TLS1_2_VERSION);
    struct cert_sessions *sessions = cert_sessions_new();
    char key[32];
    assert_null(cert_sessions_take(sessions, "a", 0));
    for (int i = 0; i < 2 * SESSIONS_PER_KEY; i++) {
        cert_sessions_put(sessions, "a", once, 0);
    }
    assert_int_equal(cert_sessions_count(sessions), SESSIONS_PER_KEY);
    for (int i = 0; i < SESSIONS_PER_KEY; i++) { /* each is given out once */
        SSL_SESSION *taken = cert_sessions_take(sessions, "a", 1);
        assert_non_null(taken);
        SSL_SESSION_free(taken);
    }
    assert_null(cert_sessions_take(sessions, "a", 1));
    cert_sessions_put(sessions, "a", again, 1);
    for (int i = 0; i < 3; i++) {
        SSL_SESSION *taken = cert_sessions_take(sessions, "a", 1);
        assert_non_null(taken);
        SSL_SESSION_free(taken);
    }
    /* The oldest go for the new ones, then with time. */
    for (int i = 0; i < SESSIONS_MAX + 10; i++) {
        snprintf(key, sizeof(key), "%d", i);
        cert_sessions_put(sessions, key, once, (uint64_t)(10 + i));
    }
    assert_int_equal(cert_sessions_count(sessions), SESSIONS_MAX);
    assert_null(cert_sessions_take(sessions, "a", 1000));
    assert_null(cert_sessions_take(sessions, "9", 1000));
    cert_sessions_put(sessions, "last", once, 10 + SESSIONS_MAX + SESSIONS_SECONDS);
    assert_true(cert_sessions_count(sessions) < 12);
    cert_sessions_free(sessions);
    SSL_SESSION_free(once);
    SSL_SESSION_free(again);
}

static void test_faults(void **state)
{
    (void)state;
    char unknown[] = "P-255";
    char *const groups[] = {unknown};
    struct cert_error error;
    assert_null(cert_connect_new(
        &(struct cert_connect_options){.verify = true, .trust = {fixture_path("absent.pem"), NULL}}, &error));
    assert_int_equal(error.fault, CERT_FAULT_CA);
    assert_null(cert_connect_new(&(struct cert_connect_options){.client = {fixture_path("sluice.pem"),
                                                                           fixture_path("server.key"), NULL}},
                                 &error));
    assert_int_equal(error.fault, CERT_FAULT_MISMATCH);
    assert_null(cert_connect_new(
        &(struct cert_connect_options){.policy = {.groups = groups, .group_count = 1}}, &error));
    assert_int_equal(error.fault, CERT_FAULT_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_believed), cmocka_unit_test(test_a_certificate_is_shown),
        cmocka_unit_test(test_resumption),      cmocka_unit_test(test_sessions_are_bounded),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, make_all, fixture_teardown);
}
