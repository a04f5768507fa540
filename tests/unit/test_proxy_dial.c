/* Dialling real loopback sockets: the next server after a failure, black holes and the deadline, full UNIX
 * backlogs, and running out of descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/address.h"
#include "proxy/backend.h"
#include "proxy/dial.h"

#define MAX 4

struct fixture {
    struct event_base *base;
    struct loop *loop;
    struct backend_registry *registry;
    struct conf_server servers[MAX];
    struct conf_backend conf;
    struct backend backend;
    struct endpoint endpoint;
    struct dial *dial;
    unsigned ends;
    enum dial_status status;
    struct backend_server *server;
    char detail[160];
    int spare; /* what free_descriptor may close */
};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->base = event_base_new();
    f->loop = loop_new(&(struct loop_options){.base = f->base});
    f->registry = backend_registry_new();
    f->conf = (struct conf_backend){.name = (char *)"b", .servers = f->servers};
    f->endpoint.fd = f->spare = -1;
    assert_true(f->base != NULL && f->loop != NULL && f->registry != NULL);
}

static void teardown(struct fixture *f)
{
    dial_free(f->dial);
    endpoint_close(&f->endpoint);
    loop_free(f->loop);
    event_base_free(f->base);
    if (f->server != NULL)
        backend_server_released(f->server);
    backend_clear(&f->backend);
    backend_registry_free(f->registry);
    for (size_t i = 0; i < f->conf.server_count; i++) {
        free(f->servers[i].name);
        conf_address_clear(&f->servers[i].address);
    }
}

static void add_server(struct fixture *f, const char *text)
{
    struct conf_server *server = &f->servers[f->conf.server_count++];
    const char *problem = NULL;

    assert_true(conf_address_parse(text, &server->address, &problem));
    server->name = strdup(text);
    server->weight = 1;
}

/* A listening TCP socket; its address goes to text. */
static int listen_tcp(int backlog, char *text, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &length), 0);
    assert_int_equal(listen(fd, backlog), 0);
    address_format(&bound, length, text, size);
    return fd;
}

/* Nobody listens there, and nobody else can: it is bound. */
static int dead_tcp(char *text, size_t size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &length), 0);
    address_format(&bound, length, text, size);
    return fd;
}

/* Its backlog is full: the kernel drops further SYNs, as a black hole would. */
struct black_hole {
    int listening, fillers[8];
};

static void open_black_hole(struct black_hole *hole, char *text, size_t size)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);

    hole->listening = listen_tcp(0, text, size);
    assert_int_equal(getsockname(hole->listening, (struct sockaddr *)&bound, &length), 0);
    for (size_t i = 0; i < 8; i++) {
        hole->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(hole->fillers[i], (struct sockaddr *)&bound, length);
    }
}

static void close_black_hole(struct black_hole *hole)
{
    for (size_t i = 0; i < 8; i++)
        close(hole->fillers[i]);
    close(hole->listening);
}

static bool on_descriptor_wanted(void *arg)
{
    struct fixture *f = arg;

    if (f->spare == -1)
        return false;
    close(f->spare);
    f->spare = -1;
    return true;
}

static void on_end(void *arg, const struct dial_end *end)
{
    struct fixture *f = arg;

    f->ends++;
    f->status = end->status;
    f->server = end->server;
    snprintf(f->detail, sizeof(f->detail), "%s", end->detail);
    event_base_loopbreak(f->base);
}

static void start(struct fixture *f, uint32_t timeout_ms)
{
    if (f->backend.newest == NULL)
        assert_int_equal(backend_init(&f->backend, &f->conf, f->registry, NULL, 1), 0);
    if (f->server != NULL) /* of the dial before */
        backend_server_released(f->server);
    f->server = NULL;
    f->ends = 0;
    f->dial = dial_start(&(struct dial_options){.loop = f->loop,
                                                .backend = &f->backend,
                                                .timeout_ms = timeout_ms,
                                                .server = &f->endpoint,
                                                .free_descriptor = on_descriptor_wanted,
                                                .on_end = on_end,
                                                .arg = f});
    assert_non_null(f->dial);
    assert_int_equal(f->ends, 0); /* never before it returns */
}

/* Runs until the end; how long it took. */
static uint64_t run(struct fixture *f)
{
    const uint64_t began = loop_now_ms();

    while (f->ends == 0)
        event_base_loop(f->base, EVLOOP_ONCE);
    assert_int_equal(f->ends, 1);
    return loop_now_ms() - began;
}

static void test_connects(void **state)
{
    struct fixture f;
    char text[64];
    int listening = listen_tcp(8, text, sizeof(text)), accepted;

    (void)state;
    setup(&f);
    add_server(&f, text);
    start(&f, 5000);
    run(&f);
    assert_int_equal(f.status, DIAL_CONNECTED);
    assert_string_equal(f.server->name, text);
    assert_int_equal(f.server->stats.connections, 1);
    accepted = accept(listening, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(send(f.endpoint.fd, "x", 1, MSG_NOSIGNAL), 1); /* the endpoint is ours, and open */
    dial_free(f.dial);
    f.dial = NULL;
    assert_true(f.endpoint.fd >= 0);
    close(accepted);
    close(listening);
    teardown(&f);
}

static void test_the_next_server_after_a_refusal(void **state)
{
    struct fixture f;
    char good[64], dead[64];
    int bound = dead_tcp(dead, sizeof(dead)), listening = listen_tcp(8, good, sizeof(good));

    (void)state;
    setup(&f);
    add_server(&f, dead);
    add_server(&f, good);
    start(&f, 5000);
    assert_true(run(&f) < 1000);
    assert_int_equal(f.status, DIAL_CONNECTED);
    assert_string_equal(f.server->name, good);
    assert_int_equal(f.backend.newest->slots[0].server->stats.failures, 1);
    assert_int_equal(f.backend.newest->slots[0].server->stats.up, 0);
    assert_int_equal(f.backend.newest->slots[1].server->stats.up, 1);
    close(bound);
    close(listening);
    teardown(&f);
}

static void test_all_refuse(void **state)
{
    struct fixture f;
    char a[64], b[64];
    int bound_a = dead_tcp(a, sizeof(a)), bound_b = dead_tcp(b, sizeof(b));

    (void)state;
    setup(&f);
    add_server(&f, a);
    add_server(&f, b);
    start(&f, 5000);
    assert_true(run(&f) < 1000);
    assert_int_equal(f.status, DIAL_NO_SERVER);
    assert_non_null(strstr(f.detail, "Connection refused"));
    assert_int_equal(f.endpoint.fd, -1);
    close(bound_a);
    close(bound_b);
    teardown(&f);
}

static void test_a_black_hole_leaves_time_for_others(void **state)
{
    struct fixture f;
    struct black_hole hole;
    char black[64], good[64];
    int listening = listen_tcp(8, good, sizeof(good));
    uint64_t took;

    (void)state;
    open_black_hole(&hole, black, sizeof(black));
    setup(&f);
    add_server(&f, black);
    add_server(&f, good);
    start(&f, 600);
    took = run(&f);
    assert_int_equal(f.status, DIAL_CONNECTED);
    assert_string_equal(f.server->name, good);
    assert_true(took >= 250 && took < 550); /* half of the deadline */
    close_black_hole(&hole);
    close(listening);
    teardown(&f);
}

static void test_the_deadline_of_the_whole(void **state)
{
    struct fixture f;
    struct black_hole holes[2];
    char a[64], b[64];
    uint64_t took;

    (void)state;
    open_black_hole(&holes[0], a, sizeof(a));
    open_black_hole(&holes[1], b, sizeof(b));
    setup(&f);
    add_server(&f, a);
    add_server(&f, b);
    start(&f, 300);
    took = run(&f);
    assert_int_equal(f.status, DIAL_NO_SERVER);
    assert_non_null(strstr(f.detail, "no answer in time"));
    assert_true(took >= 280 && took < 2000);
    assert_int_equal(f.backend.newest->slots[0].server->stats.failures +
                         f.backend.newest->slots[1].server->stats.failures,
                     2);
    close_black_hole(&holes[0]);
    close_black_hole(&holes[1]);
    teardown(&f);
}

static void test_unix_with_a_full_backlog(void **state)
{
    char directory[] = "/tmp/sluice-dial-XXXXXX", text[80];
    struct fixture f;
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int filler = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct sockaddr *address;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(text, sizeof(text), "unix:%s/s", directory);
    setup(&f);
    add_server(&f, text);
    address = (const struct sockaddr *)&f.servers[0].address.addr;
    assert_int_equal(bind(listening, address, f.servers[0].address.length), 0);
    assert_int_equal(listen(listening, 0), 0);
    assert_int_equal(connect(filler, address, f.servers[0].address.length), 0);

    start(&f, 100);
    run(&f);
    assert_int_equal(f.status, DIAL_NO_SERVER);
    dial_free(f.dial);

    start(&f, 5000);
    close(accept(listening, NULL, NULL)); /* room again, before it asks the next time */
    run(&f);
    assert_int_equal(f.status, DIAL_CONNECTED);
    close(filler);
    close(listening);
    unlink(text + strlen("unix:"));
    rmdir(directory);
    teardown(&f);
}

static void test_no_descriptor_is_no_failure_of_the_server(void **state)
{
    struct fixture f;
    struct rlimit old, tight;
    char text[64];
    int listening = listen_tcp(8, text, sizeof(text)), last, taken;

    (void)state;
    setup(&f);
    add_server(&f, text);
    f.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    last = dup(f.spare);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)last + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);

    start(&f, 5000); /* with the spare one */
    run(&f);
    assert_int_equal(f.status, DIAL_CONNECTED);
    assert_int_equal(f.spare, -1);
    dial_free(f.dial);

    taken = f.endpoint.fd; /* goes on holding the descriptor */
    poller_remove(f.loop->poller, &f.endpoint.entry);
    start(&f, 5000); /* and without one */
    run(&f);
    close(taken);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(f.status, DIAL_NO_RESOURCE);
    assert_non_null(strstr(f.detail, strerror(EMFILE)));
    assert_int_equal(f.backend.newest->slots[0].server->stats.failures, 0);
    assert_int_equal(f.backend.newest->slots[0].server->stats.up, 1);
    close(last);
    close(listening);
    teardown(&f);
}

/* Reached, but cancelled before the loop could tell: the server must not take that for a clean end. */
static void test_cancelled_after_the_server_accepted(void **state)
{
    const struct timeval patience = {.tv_sec = 10};
    struct fixture f;
    char text[64], byte;
    int listening = listen_tcp(8, text, sizeof(text)), accepted;

    (void)state;
    setup(&f);
    add_server(&f, text);
    start(&f, 5000);
    accepted = accept(listening, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(setsockopt(accepted, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    dial_free(f.dial);
    f.dial = NULL;
    assert_int_equal(recv(accepted, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    close(accepted);
    close(listening);
    teardown(&f);
}

static void accept_and_reset(int listening)
{
    const struct linger at_once = {.l_onoff = 1};
    const int accepted = accept(listening, NULL, NULL);

    assert_int_equal(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(accepted);
}

/* Nothing was forwarded: another server does as well. */
static void test_reset_as_soon_as_connected(void **state)
{
    struct fixture f;
    char text[64], other[64];
    int listening = listen_tcp(8, text, sizeof(text)), good = listen_tcp(8, other, sizeof(other));

    (void)state;
    setup(&f);
    add_server(&f, text);
    add_server(&f, other);
    start(&f, 5000);
    accept_and_reset(listening);
    run(&f);
    assert_int_equal(f.status, DIAL_CONNECTED);
    assert_string_equal(f.server->name, other);
    assert_int_equal(f.backend.newest->slots[0].server->stats.occupied, 0);
    assert_int_equal(f.backend.newest->slots[0].server->stats.failures, 0);
    assert_int_equal(f.backend.newest->slots[0].server->early_resets, 1);
    close(listening);
    close(good);
    teardown(&f);
}

/* Without another one the client is to see a reset, too. */
static void test_reset_by_the_only_server(void **state)
{
    struct fixture f;
    char text[64];
    int listening = listen_tcp(8, text, sizeof(text));

    (void)state;
    setup(&f);
    add_server(&f, text);
    start(&f, 5000);
    accept_and_reset(listening);
    run(&f);
    assert_int_equal(f.status, DIAL_LOST);
    assert_string_equal(f.server->name, text);
    assert_int_equal(f.server->stats.up, 1);
    assert_int_equal(f.server->stats.failures, 0);
    assert_int_equal(f.endpoint.fd, -1);
    close(listening);
    teardown(&f);
}

static void test_cancelled_half_way(void **state)
{
    struct fixture f;
    struct black_hole hole;
    char text[64];

    (void)state;
    open_black_hole(&hole, text, sizeof(text));
    setup(&f);
    add_server(&f, text);
    start(&f, 5000);
    dial_free(f.dial);
    f.dial = NULL;
    assert_int_equal(f.endpoint.fd, -1);
    event_base_loop(f.base, EVLOOP_NONBLOCK);
    assert_int_equal(f.ends, 0);
    close_black_hole(&hole);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects),
        cmocka_unit_test(test_the_next_server_after_a_refusal),
        cmocka_unit_test(test_all_refuse),
        cmocka_unit_test(test_a_black_hole_leaves_time_for_others),
        cmocka_unit_test(test_the_deadline_of_the_whole),
        cmocka_unit_test(test_unix_with_a_full_backlog),
        cmocka_unit_test(test_no_descriptor_is_no_failure_of_the_server),
        cmocka_unit_test(test_reset_as_soon_as_connected),
        cmocka_unit_test(test_reset_by_the_only_server),
        cmocka_unit_test(test_cancelled_half_way),
        cmocka_unit_test(test_cancelled_after_the_server_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
