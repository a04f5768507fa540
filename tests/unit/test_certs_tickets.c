/* certs/tickets: a ticket of one context resumed by another, through rotations, by threads at once; and by
 * whom it must not be resumed. */
#include "certs/tickets.h"

#include <pthread.h>

#include "certs/store.h"
#include "certs_fixture.h"

#define HOUR TICKET_ROTATE_SECONDS

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static struct cert_store *new_store(const char *name, struct ticket_keys *keys)
{
    char cert[64], key[64];
    snprintf(cert, sizeof(cert), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);
    struct cert_files files = {.cert = fixture_path(cert), .key = fixture_path(key)};
    struct cert_error error;
    struct cert_store *store =
        cert_store_new(&(struct cert_store_options){.files = &files, .count = 1, .tickets = keys}, &error);
    assert_non_null(store);
    return store;
}

static int make_all(void **state)
{
    if (fixture_setup(state) != 0) {
        return -1;
    }
    make_cert(&(struct cert_recipe){.cert = "one.pem", .key = "one.key", .names = "DNS:one.example"});
    make_cert(&(struct cert_recipe){.cert = "renewed.pem", .key = "renewed.key", .names = "DNS:one.example"});
    make_cert(&(struct cert_recipe){.cert = "two.pem", .key = "two.key", .names = "DNS:two.example"});
    return 0;
}

/* A handshake that offers session (NULL: none). Whether it was resumed; *next (if not NULL) is then the
 * session for the next, which is NULL when the server gave no new ticket. */
static bool visit(struct cert_store *store, int version, SSL_SESSION *session, SSL_SESSION **next)
{
    struct handshake handshake;
    struct client_recipe client = {.version = version, .server_name = "one.example"};
    /* A copy: once its ticket was renewed, OpenSSL doesn't offer a session again. */
    client.session = session != NULL ? SSL_SESSION_dup(session) : NULL;
    handshake_run(&handshake, cert_store_context(store), &client);
    SSL_SESSION_free(client.session);
    assert_true(handshake.done);
    bool resumed = SSL_session_reused(handshake.client) == 1;
    assert_int_equal(resumed, SSL_session_reused(handshake.server));
    if (next != NULL) {
        *next = handshake.session;
        handshake.session = NULL;
    }
    handshake_free(&handshake);
    return resumed;
}

static void test_across_contexts(void **state)
{
    (void)state;
    struct ticket_keys *keys = ticket_keys_new();
    struct cert_store *one = new_store("one", keys), *renewed = new_store("renewed", keys);
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = NULL, *next = NULL;
        assert_false(visit(one, versions[i], NULL, &session));
        assert_non_null(session);
        assert_true(visit(renewed, versions[i], session, &next));
        /* TLS 1.3: a ticket is for one use, so another came with it; TLS 1.2 goes on with the one it has. */
        assert_int_equal(next != NULL, versions[i] == TLS1_3_VERSION);
        if (next != NULL) {
            assert_true(visit(one, versions[i], next, NULL));
        }
        SSL_SESSION_free(next);
        SSL_SESSION_free(session);
    }
    cert_store_unref(one);
    cert_store_unref(renewed);
    ticket_keys_free(keys);
}

static void test_rotation(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ticket_keys *keys = ticket_keys_new();
        struct cert_store *one = new_store("one", keys), *renewed = new_store("renewed", keys);
        SSL_SESSION *session = NULL, *second = NULL;
        ticket_keys_rotate(keys, 5000); /* starts the clock */
        assert_false(visit(one, versions[i], NULL, &session));
        ticket_keys_rotate(keys, 5000 + HOUR - 1);
        ticket_keys_rotate(keys, 5000 + HOUR); /* the first */
        assert_true(visit(renewed, versions[i], session, &second));
        assert_non_null(second); /* renewed, in TLS 1.2 too: sealed with the new key */
        ticket_keys_rotate(keys, 5000 + 2 * HOUR + 5);
        assert_true(visit(one, versions[i], session, NULL));
        ticket_keys_rotate(keys, 5000 + 3 * HOUR);
        assert_false(visit(one, versions[i], session, NULL)); /* its key is gone */
        assert_true(visit(one, versions[i], second, NULL));
        ticket_keys_rotate(keys, 5000 + 9 * HOUR); /* slept: everything old is gone at once */
        assert_false(visit(one, versions[i], second, NULL));
        SSL_SESSION_free(session);
        SSL_SESSION_free(second);
        cert_store_unref(one);
        cert_store_unref(renewed);
        ticket_keys_free(keys);
    }
}

/* Not without the keys, and not by a service of another name that has them. */
static void test_not_resumed(void **state)
{
    (void)state;
    struct ticket_keys *keys = ticket_keys_new(), *others = ticket_keys_new();
    struct cert_store *one = new_store("one", keys);
    struct cert_store *strangers[] = {new_store("one", others), new_store("two", keys),
                                      new_store("one", NULL)};
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = NULL;
        assert_false(visit(one, versions[i], NULL, &session));
        for (size_t j = 0; j < 3; j++) {
            assert_false(visit(strangers[j], versions[i], session, NULL));
        }
        assert_true(visit(one, versions[i], session, NULL));
        SSL_SESSION_free(session);
    }
    for (size_t j = 0; j < 3; j++) {
        cert_store_unref(strangers[j]);
    }
    cert_store_unref(one);
    ticket_keys_free(keys);
    ticket_keys_free(others);
}

static void test_no_tickets(void **state)
{
    (void)state;
    struct cert_store *store = new_store("one", NULL);
    SSL_SESSION *session = NULL;
    assert_false(visit(store, TLS1_3_VERSION, NULL, &session));
    assert_null(session); /* TLS 1.2 has a session, though only an id that nobody keeps */
    cert_store_unref(store);
}

struct visitor {
    pthread_t thread;
    struct cert_store *store;
    int version;
    int failures;
};

static void *visit_often(void *arg)
{
    struct visitor *visitor = arg;
    SSL_SESSION *session = NULL;
    for (int i = 0; i < 30; i++) {
        SSL_SESSION *next = NULL;
        struct handshake handshake;
        struct client_recipe client = {.version = visitor->version, .session = session};
        handshake_run(&handshake, cert_store_context(visitor->store), &client);
        visitor->failures += handshake.done ? 0 : 1;
        next = handshake.session;
        handshake.session = NULL;
        if (next != NULL) {
            SSL_SESSION_free(session);
            session = next;
        }
        handshake_free(&handshake);
    }
    SSL_SESSION_free(session);
    return NULL;
}

/* Handshakes on several threads while the keys rotate: for the thread sanitizer above all. */
static void test_threads(void **state)
{
    (void)state;
    struct ticket_keys *keys = ticket_keys_new();
    struct cert_store *store = new_store("one", keys);
    struct visitor visitors[4];
    for (int i = 0; i < 4; i++) {
        visitors[i] = (struct visitor){.store = cert_store_ref(store), .version = versions[i % 2]};
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit_often, &visitors[i]), 0);
    }
    for (uint64_t now = 0; now < 2000; now++) {
        ticket_keys_rotate(keys, now * HOUR);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(visitors[i].thread, NULL);
        assert_int_equal(visitors[i].failures, 0);
        cert_store_unref(visitors[i].store);
    }
    cert_store_unref(store);
    ticket_keys_free(keys);
    ticket_keys_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_across_contexts), cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_not_resumed),     cmocka_unit_test(test_no_tickets),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, make_all, fixture_teardown);
}
