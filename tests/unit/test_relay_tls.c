/* One TLS connection: handshakes and what is told of them, writes that are retried from elsewhere, the ways
 * to end, and KeyUpdates. With the kernel's TLS and without. Refuses to know flows (test_relay_tls_flow.c).
 */
#include "relay_tls_support.h"

#include <poll.h>

#define TINY 4096

struct pair {
    struct tls_client client;
    struct tls_conn *tls;
    int fd;
};

static void open_tls(struct pair *pair, const struct tls_options *options, int buffers)
{
    int fds[2];
    tcp_pair(fds, buffers);
    pair->fd = fds[1];
    pair->tls = tls_pair_open(&pair->client, fds[0], fds[1], options);
}

static void close_tls(struct pair *pair)
{
    tls_conn_free(pair->tls);
    tls_client_free(&pair->client);
    if (pair->client.fd != -1)
        close(pair->client.fd);
    close(pair->fd);
}

static void handshakes(void **state)
{
    (void)state;
    static const struct {
        const char *suite, *tls12, *tls13;
    } suites[] = {
        {"AES128-GCM", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"},
        {"AES256-GCM", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
        {"CHACHA20", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"},
    };
    for (size_t i = 0; i < 3 * TLS_VARIANTS; i++) {
        struct tls_options options = tls_variants[i % TLS_VARIANTS];
        bool tls12 = options.version == TLS1_2_VERSION;
        options.suite = suites[i / TLS_VARIANTS].suite;
        struct pair pair;
        open_tls(&pair, &options, 0);
        struct tls_conn *tls = pair.tls;
        assert_string_equal(tls_conn_version(tls), tls12 ? "TLSv1.2" : "TLSv1.3");
        assert_string_equal(tls_conn_cipher(tls),
                            tls12 ? suites[i / TLS_VARIANTS].tls12 : suites[i / TLS_VARIANTS].tls13);
        assert_in_range(tls_conn_handshake_rx(tls), 150, 1000); /* a ClientHello and a key share */
        assert_in_range(tls_conn_handshake_tx(tls), 400, 3000); /* a certificate among others */
        if (i / TLS_VARIANTS == 2 && options.ktls && tls_kernel_has_ktls()) {
            if (!tls_conn_ktls_tx(tls)) /* the cipher's module may be missing */
                assert_int_equal(tls_conn_tx_reason(tls), RELAY_REASON_KTLS_CIPHER);
        } else {
            assert_int_equal(tls_conn_ktls_tx(tls), expect_ktls_tx(&options));
            assert_int_equal(tls_conn_ktls_rx(tls), expect_ktls_rx(&options));
            if (!expect_ktls_tx(&options))
                assert_int_equal(tls_conn_tx_reason(tls), expect_tx_reason(&options));
            if (!expect_ktls_rx(&options))
                assert_int_equal(tls_conn_rx_reason(tls), expect_rx_reason(&options));
        }
        close_tls(&pair);
    }
    tls_conn_free(NULL);
}

/* A write that has to wait is retried from another address, with the old memory overwritten: the client must
 * get the bytes as they were given. Only where OpenSSL writes. */
static void retried_writes_may_move(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20, CHUNK = 100000 };
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct pair pair;
        open_tls(&pair, &tls_variants[i], TINY);
        if (tls_conn_ktls_tx(pair.tls)) {
            close_tls(&pair);
            continue;
        }
        uint64_t sent = 0;
        int waited = 0;
        uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
        while (pair.client.received < SIZE) {
            assert_true(test_now_ms() < deadline);
            size_t size = SIZE - sent < CHUNK ? (size_t)(SIZE - sent) : CHUNK, n;
            uint8_t *buffer = malloc(size + 1);
            assert_non_null(buffer);
            pattern_fill(buffer, sent, size);
            enum tls_status status =
                size != 0 ? tls_conn_write(pair.tls, buffer, size, false, &n) : TLS_WANT_WRITE;
            memset(buffer, 0, size);
            free(buffer);
            if (status == TLS_DONE)
                sent += n;
            else
                assert_int_equal(status, TLS_WANT_WRITE);
            waited += status == TLS_WANT_WRITE;
            if (status == TLS_WANT_WRITE)
                tls_client_read(&pair.client, 5000);
        }
        assert_true(waited > 10);
        close_tls(&pair);
    }
}

/* Reads until the status is something else than bytes or "not now". */
static enum tls_status read_all(struct pair *pair, uint64_t *received)
{
    uint8_t buffer[5000];
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    for (;;) {
        size_t n = 0;
        enum tls_status status = tls_conn_read(pair->tls, buffer, sizeof(buffer), &n);
        if (status == TLS_DONE) {
            for (size_t i = 0; i < n; i++)
                assert_int_equal(buffer[i], pattern_at(*received + i));
            *received += n;
        } else if (status != TLS_WANT_READ || test_now_ms() > deadline) {
            return status;
        }
    }
}

/* Sends through whichever of the two writes, user space or kernel, and reads it at the other end. */
static void say(struct tls_conn *from, int fd, struct tls_conn *to, const char *text)
{
    char got[64];
    size_t size = strlen(text), n = 0;
    if (tls_conn_ktls_tx(from))
        n = (size_t)send(fd, text, size, MSG_NOSIGNAL);
    else
        assert_int_equal(tls_conn_write(from, text, size, false, &n), TLS_DONE);
    assert_int_equal(n, size);
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    while (tls_conn_read(to, got, sizeof(got), &n) != TLS_DONE)
        assert_true(test_now_ms() < deadline);
    assert_int_equal(n, size);
    assert_memory_equal(got, text, size);
}

/* Two of our own facing each other. */
struct duo {
    int fds[2];
    struct tls_conn *client, *server;
};

static void open_duo(struct duo *duo, const struct tls_options *options, bool late_rx)
{
    tcp_pair(duo->fds, 0);
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method()), *server_ctx = tls_server_context(options);
    assert_int_equal(SSL_CTX_set_max_proto_version(client_ctx, options->version), 1);
    SSL_CTX_set_keylog_callback(client_ctx, tls_conn_keylog());
    if (options->ktls)
        SSL_CTX_set_options(client_ctx, SSL_OP_ENABLE_KTLS);
    struct tls_conn_options conn = {.ctx = client_ctx,
                                    .fd = duo->fds[0],
                                    .role = TLS_CONNECT,
                                    .ktls_wanted = options->ktls,
                                    .late_rx = late_rx};
    duo->client = tls_conn_new(&conn);
    conn = (struct tls_conn_options){.ctx = server_ctx, .fd = duo->fds[1], .ktls_wanted = options->ktls};
    duo->server = tls_conn_new(&conn);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    assert_true(duo->client != NULL && duo->server != NULL);
    assert_int_equal(SSL_set_tlsext_host_name(tls_conn_ssl(duo->client), "localhost"), 1);
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    enum tls_status at_client, at_server;
    do {
        assert_true(test_now_ms() < deadline);
        at_client = tls_conn_handshake(duo->client);
        at_server = tls_conn_handshake(duo->server);
        assert_true(at_client <= TLS_WANT_WRITE && at_server <= TLS_WANT_WRITE);
    } while (at_client != TLS_DONE || at_server != TLS_DONE);
}

static void close_duo(struct duo *duo)
{
    tls_conn_free(duo->client);
    tls_conn_free(duo->server);
    close(duo->fds[0]);
    close(duo->fds[1]);
}

/* The connecting side is the same object: two of them talk to each other, to the end. */
static void both_roles(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct duo duo;
        open_duo(&duo, &tls_variants[i], false);
        assert_string_equal(tls_conn_sni(duo.server), "localhost");
        assert_string_equal(tls_conn_cipher(duo.client), tls_conn_cipher(duo.server));
        assert_int_equal(tls_conn_ktls_tx(duo.client), expect_ktls_tx(&tls_variants[i]));
        assert_int_equal(tls_conn_ktls_rx(duo.client), expect_ktls_rx(&tls_variants[i]));
        tls_conn_drop_ssl(duo.client);
        tls_conn_drop_ssl(duo.server);
        say(duo.client, duo.fds[0], duo.server, "a question");
        say(duo.server, duo.fds[1], duo.client, "an answer");
        say(duo.client, duo.fds[0], duo.server, "thanks");
        assert_int_equal(tls_conn_close_notify(duo.client, false), TLS_DONE);
        uint64_t received = 0;
        struct pair at = {.tls = duo.server};
        assert_int_equal(read_all(&at, &received), TLS_CLOSED);
        close_duo(&duo);
    }
}

/* A client that wants the tickets: OpenSSL has them before the kernel gets the key, with the count of the
 * records that went by. */
static void receive_late(void **state)
{
    (void)state;
    for (size_t i = 2; i < TLS_VARIANTS; i++) {
        const struct tls_options *options = &tls_variants[i];
        struct duo duo;
        open_duo(&duo, options, true);
        assert_false(tls_conn_ktls_rx(duo.client));
        assert_int_equal(tls_conn_rx_reason(duo.client),
                         expect_ktls_tx(options) ? RELAY_REASON_KTLS_RX_TLS13 : expect_tx_reason(options));
        tls_conn_drop_ssl(duo.client);
        say(duo.server, duo.fds[1], duo.client, "behind the tickets");
        assert_int_equal(tls_conn_ktls_rx(duo.client), expect_ktls_rx(options));
        assert_true(SSL_SESSION_is_resumable(SSL_get_session(tls_conn_ssl(duo.client))));
        tls_conn_drop_ssl(duo.client);
        say(duo.server, duo.fds[1], duo.client, "and again");
        say(duo.client, duo.fds[0], duo.server, "thanks");
        close_duo(&duo);
    }
}

static void the_end_of_the_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct pair pair;
        uint64_t received = 0;
        open_tls(&pair, &tls_variants[i], 0);
        tls_client_write(&pair.client, 30000, SIZE_MAX);
        assert_int_equal(SSL_shutdown(pair.client.ssl), 0);
        assert_int_equal(read_all(&pair, &received), TLS_CLOSED);
        assert_int_equal(received, 30000);
        close_tls(&pair);

        open_tls(&pair, &tls_variants[i], 0); /* FIN alone proves nothing */
        tls_client_write(&pair.client, 30000, SIZE_MAX);
        assert_return_code(shutdown(pair.client.fd, SHUT_WR), errno);
        received = 0;
        assert_int_equal(read_all(&pair, &received), TLS_TRUNCATED);
        assert_int_equal(errno, ENODATA);
        assert_int_equal(received, 30000);
        assert_string_not_equal(tls_conn_error(pair.tls), "");
        close_tls(&pair);

        open_tls(&pair, &tls_variants[i], 0);
        reset_fd(pair.client.fd);
        pair.client.fd = -1;
        assert_int_equal(read_all(&pair, &received), TLS_BROKEN);
        assert_int_equal(errno, ECONNRESET);
        close_tls(&pair);

        open_tls(&pair, &tls_variants[i], 0);
        static const uint8_t garbage[] = {23, 3, 3, 0, 40, 1, 2, 3, [44] = 9};
        assert_int_equal(send(pair.client.fd, garbage, sizeof(garbage), 0), sizeof(garbage));
        assert_int_equal(read_all(&pair, &received), TLS_BROKEN);
        assert_int_equal(errno, EPROTO);
        assert_string_not_equal(tls_conn_error(pair.tls), "");
        assert_int_equal(ERR_peek_error(), 0); /* nothing left for the next connection to trip over */
        close_tls(&pair);
    }
}

/* What another connection left in errno and the error queue isn't this one's. */
static void errors_of_others(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t byte;
    size_t n;
    open_tls(&pair, &tls_variants[2], 0);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    errno = EIO;
    assert_int_equal(tls_conn_read(pair.tls, &byte, 1, &n), TLS_WANT_READ);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    if (!tls_conn_ktls_tx(pair.tls))
        assert_int_equal(tls_conn_write(pair.tls, "x", 1, false, &n), TLS_DONE);
    close_tls(&pair);
}

/* Asked for by the flow and again by the linger, while the client still sends: one close_notify, and no wait
 * for the client's. */
static void close_notify_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct pair pair;
        open_tls(&pair, &tls_variants[i], 0);
        assert_int_equal(tls_conn_close_notify(pair.tls, false), TLS_DONE);
        tls_client_write(&pair.client, 30000, SIZE_MAX);
        assert_int_equal(tls_conn_close_notify(pair.tls, false), TLS_DONE);
        tls_client_read(&pair.client, 1);
        assert_int_equal(pair.client.end, CLIENT_CLOSE_NOTIFY);
        uint64_t received = 0; /* and its bytes can still be read */
        assert_int_equal(SSL_shutdown(pair.client.ssl), 1);
        assert_int_equal(read_all(&pair, &received), TLS_CLOSED);
        assert_int_equal(received, 30000);
        int left;
        assert_return_code(ioctl(pair.client.fd, FIONREAD, &left), errno);
        assert_int_equal(left, 0);
        close_tls(&pair);
    }
}

static void bytes_left_inside(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct pair pair;
        uint8_t buffer[100];
        size_t n;
        open_tls(&pair, &tls_variants[i], 0);
        assert_int_equal(tls_conn_pending(pair.tls), 0);
        tls_client_write(&pair.client, 1000, SIZE_MAX);
        assert_int_equal(tls_conn_read(pair.tls, buffer, sizeof(buffer), &n), TLS_DONE);
        assert_int_equal(n, sizeof(buffer));
        assert_int_equal(tls_conn_pending(pair.tls), expect_ktls_rx(&tls_variants[i]) ? 0 : 900);
        uint8_t rest[1000]; /* wherever it is */
        assert_int_equal(tls_conn_read(pair.tls, rest, sizeof(rest), &n), TLS_DONE);
        assert_int_equal(n, 900);
        close_tls(&pair);
    }
}

/* New keys at the client's wish, ours too: works where OpenSSL encrypts. Where the kernel does, what it sends
 * after that nobody could read, so the connection is ended with the reason told. */
static void key_update_asked_for(void **state)
{
    (void)state;
    for (size_t i = 2; i < TLS_VARIANTS; i++) {
        struct pair pair;
        uint8_t buffer[100];
        size_t n;
        open_tls(&pair, &tls_variants[i], 0);
        tls_client_key_update(&pair.client, true);
        tls_client_write(&pair.client, sizeof(buffer), SIZE_MAX);
        enum tls_status status = tls_conn_read(pair.tls, buffer, sizeof(buffer), &n);
        if (expect_ktls_tx(&tls_variants[i])) {
            assert_int_equal(status, TLS_BROKEN);
            assert_int_equal(errno, EPROTO);
            assert_non_null(strstr(tls_conn_error(pair.tls), "KeyUpdate"));
        } else {
            assert_int_equal(status, TLS_DONE);
            assert_int_equal(n, sizeof(buffer));
            pattern_fill(buffer, 0, sizeof(buffer));
            assert_int_equal(tls_conn_write(pair.tls, buffer, sizeof(buffer), false, &n), TLS_DONE);
            tls_client_read(&pair.client, SIZE_MAX);
            assert_int_equal(pair.client.received, sizeof(buffer));
            assert_int_equal(pair.client.end, CLIENT_OPEN);
        }
        close_tls(&pair);
    }
}

/* A peer that only changes its own keys, now and then, is as good as any; but where the kernel has the old
 * ones, all that follows is unreadable, and the end is deliberate. */
static void honest_key_updates(void **state)
{
    (void)state;
    for (size_t i = 2; i < TLS_VARIANTS; i++) {
        struct pair pair;
        uint64_t received = 0;
        open_tls(&pair, &tls_variants[i], 0);
        for (uint64_t round = 1; round <= 100; round++) {
            tls_client_key_update(&pair.client, false);
            tls_client_write(&pair.client, round * 100, SIZE_MAX);
            uint8_t buffer[100];
            size_t n;
            enum tls_status status = tls_conn_read(pair.tls, buffer, sizeof(buffer), &n);
            if (expect_ktls_rx(&tls_variants[i])) {
                assert_int_equal(status, TLS_BROKEN);
                assert_int_equal(errno, EPROTO);
                assert_non_null(strstr(tls_conn_error(pair.tls), "KeyUpdate"));
                break;
            }
            assert_int_equal(status, TLS_DONE);
            assert_int_equal(n, sizeof(buffer));
            received += n;
        }
        if (expect_ktls_rx(&tls_variants[i])) {
            close_tls(&pair);
            continue;
        }
        assert_int_equal(SSL_shutdown(pair.client.ssl), 0);
        assert_int_equal(read_all(&pair, &received), TLS_CLOSED);
        close_tls(&pair);
    }
}

/* A storm of them ends the connection, and soon: one call doesn't work through all that have come. */
static void storm_of_key_updates(void **state)
{
    (void)state;
    enum { STORM = 1000, AHEAD = 17000 /* what may be read ahead at once */ };
    for (size_t i = 2; i < TLS_VARIANTS; i++) {
        struct pair pair;
        uint64_t received = 0;
        open_tls(&pair, &tls_variants[i], 500000); /* what a small segment costs them, a hundred times */
        for (int update = 0; update < STORM; update++)
            tls_client_key_update(&pair.client, false);
        int before, after, looks = 0;
        do { /* the kernel may deliver the last of them a moment later */
            assert_return_code(ioctl(pair.fd, FIONREAD, &before), errno);
            assert_true(looks++ < 5000);
            poll(NULL, 0, 1);
        } while (before <= STORM * 20);
        assert_int_equal(read_all(&pair, &received), TLS_BROKEN);
        assert_int_equal(errno, EPROTO);
        assert_return_code(ioctl(pair.fd, FIONREAD, &after), errno);
        assert_true(before - after <= AHEAD);
        assert_non_null(strstr(tls_conn_error(pair.tls), "KeyUpdate"));
        close_tls(&pair);
    }
}

/* Until so many bytes lie in the server's socket. */
static void wait_queued(const struct pair *pair, int size)
{
    uint64_t deadline = test_now_ms() + TEST_DEADLINE_MS;
    int queued = 0;
    while (queued < size) {
        assert_true(test_now_ms() < deadline);
        assert_return_code(ioctl(pair->fd, FIONREAD, &queued), errno);
    }
}

/* TLS 1.2: the client asks for a new handshake, and its next bytes are there as well. The warning that
 * OpenSSL answers in the read that finds these goes to that client, and not to whom this thread writes next.
 */
static void answers_of_a_read(void **state)
{
    (void)state;
    static const uint8_t client_hello[4] = {1, 0, 0, 0};
    for (size_t i = 0; i < 2; i++) {
        struct pair asks, other;
        struct craft craft;
        uint8_t records[200], buffer[100] = {0};
        size_t n;
        open_tls(&asks, &tls_variants[i], 0);
        open_tls(&other, &tls_variants[i], 0);
        assert_int_equal(craft_open_tls12(&craft, asks.client.ssl), 0);
        size_t size = craft_record(&craft, CRAFT_HANDSHAKE, client_hello, sizeof(client_hello), records);
        size += craft_record(&craft, CRAFT_DATA, buffer, 10, records + size);
        assert_int_equal(send(asks.client.fd, records, size, MSG_NOSIGNAL), size);
        wait_queued(&asks, expect_ktls_rx(&tls_variants[i]) ? 1 : (int)size);
        assert_int_equal(tls_conn_read(asks.tls, buffer, sizeof(buffer), &n), TLS_DONE);
        assert_int_equal(n, 10);
        if (!tls_conn_ktls_tx(other.tls)) {
            pattern_fill(buffer, 0, sizeof(buffer));
            assert_int_equal(tls_conn_write(other.tls, buffer, sizeof(buffer), false, &n), TLS_DONE);
            tls_client_read(&other.client, SIZE_MAX);
            assert_int_equal(other.client.end, CLIENT_OPEN);
            assert_int_equal(other.client.received, sizeof(buffer));
        }
        close_tls(&asks);
        close_tls(&other);
    }
}

#define OVERHEAD 22 /* of a record: header, tag, and type or nonce, at least */

/* The request comes in with the last flight of the handshake, which an edge without EPOLLIN had begun: its
 * own edge finds the socket empty and tells of nothing to read. */
static void payload_behind_a_handshake(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        const struct tls_options *options = &tls_variants[i];
        struct rig rig;
        struct pair pair;
        struct endpoint ep;
        uint8_t buffer[200];
        int fds[2];
        size_t n;
        rig_open(&rig);
        tcp_pair(fds, 0);
        SSL_CTX *ctx = tls_server_context(options);
        pair.fd = fds[1];
        pair.tls =
            tls_conn_new(&(struct tls_conn_options){.ctx = ctx, .fd = fds[1], .ktls_wanted = options->ktls});
        SSL_CTX_free(ctx);
        assert_non_null(pair.tls);
        tls_client_open(&pair.client, fds[0], options);
        assert_return_code(endpoint_open_accepted(&ep, rig.loop, fds[1]), errno);
        endpoint_set_tls(&ep, pair.tls);
        /* The client's side of it, and its payload at once; in TLS 1.2 the server has the last word. */
        for (bool done = false; !done;) {
            ERR_clear_error();
            done = SSL_do_handshake(pair.client.ssl) == 1;
            if (done && options->version == TLS1_3_VERSION) {
                tls_client_write(&pair.client, 100, SIZE_MAX);
                wait_queued(&pair, 100 + OVERHEAD + 50);
            }
            if (done && options->version == TLS1_2_VERSION)
                break;
            assert_int_not_equal(tls_conn_handshake(pair.tls), TLS_BROKEN);
        }
        bool held = tls_conn_holds(pair.tls);
        if (options->version == TLS1_3_VERSION && !expect_ktls_tx(options))
            assert_true(held);
        assert_false(endpoint_can_read(&ep));
        endpoint_shook_hands(&ep);
        assert_int_equal(endpoint_can_read(&ep), held);
        if (held) {
            assert_int_equal(endpoint_read(&ep, buffer, sizeof(buffer), &n), IO_OK);
            assert_int_equal(n, 100);
        }
        endpoint_close(&ep); /* the connection with it */
        tls_client_free(&pair.client);
        close(pair.client.fd);
        rig_close(&rig);
    }
}

/* A read out of what was read ahead says nothing of the socket, whose edge may have come meanwhile. */
static void read_ahead_is_no_look(void **state)
{
    (void)state;
    for (size_t i = 0; i < TLS_VARIANTS; i++) {
        struct pair pair;
        uint8_t buffer[100];
        size_t n;
        open_tls(&pair, &tls_variants[i], 0);
        tls_client_write(&pair.client, 100, SIZE_MAX);
        tls_client_write(&pair.client, 200, SIZE_MAX);
        wait_queued(&pair, tls_conn_ktls_rx(pair.tls) ? 1 : 2 * (100 + OVERHEAD));
        assert_int_equal(tls_conn_read(pair.tls, buffer, sizeof(buffer), &n), TLS_DONE);
        assert_false(tls_conn_drained(pair.tls));
        tls_client_write(&pair.client, 300, SIZE_MAX);
        wait_queued(&pair, 1);
        assert_int_equal(tls_conn_read(pair.tls, buffer, sizeof(buffer), &n), TLS_DONE);
        assert_false(tls_conn_drained(pair.tls));
        assert_int_equal(tls_conn_read(pair.tls, buffer, sizeof(buffer), &n), TLS_DONE);
        assert_int_equal(n, sizeof(buffer));
        close_tls(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes),
        cmocka_unit_test(retried_writes_may_move),
        cmocka_unit_test(both_roles),
        cmocka_unit_test(receive_late),
        cmocka_unit_test(the_end_of_the_stream),
        cmocka_unit_test(errors_of_others),
        cmocka_unit_test(close_notify_once),
        cmocka_unit_test(bytes_left_inside),
        cmocka_unit_test(key_update_asked_for),
        cmocka_unit_test(honest_key_updates),
        cmocka_unit_test(storm_of_key_updates),
        cmocka_unit_test(answers_of_a_read),
        cmocka_unit_test(payload_behind_a_handshake),
        cmocka_unit_test(read_ahead_is_no_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
