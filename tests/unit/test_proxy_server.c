/* A server inside this process: two at a time, changing over to a new configuration or refusing to, and its
 * end with connections open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/address.h"
#include "proxy/server.h"
#include "proxy/worker.h"

/* --- A backend that says its letter and then echoes --- */

struct backend_thread {
    pthread_t thread;
    int listening;
    char letter, address[64];
};

struct echo {
    int fd;
    char letter;
};

static void *echo_main(void *arg)
{
    struct echo echo = *(struct echo *)arg;
    char buffer[4096];
    ssize_t n;

    free(arg);
    if (send(echo.fd, &echo.letter, 1, MSG_NOSIGNAL) == 1)
        while ((n = recv(echo.fd, buffer, sizeof(buffer), 0)) > 0)
            if (send(echo.fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
                break;
    close(echo.fd);
    return NULL;
}

static void *backend_main(void *arg)
{
    struct backend_thread *backend = arg;
    pthread_t thread;
    int fd;

    while ((fd = accept(backend->listening, NULL, NULL)) >= 0) {
        struct echo *echo = malloc(sizeof(*echo));

        *echo = (struct echo){.fd = fd, .letter = backend->letter};
        pthread_create(&thread, NULL, echo_main, echo);
        pthread_detach(thread);
    }
    return NULL;
}

static void backend_start(struct backend_thread *backend, char letter)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);

    backend->letter = letter;
    backend->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(backend->listening, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(backend->listening, 64), 0);
    assert_int_equal(getsockname(backend->listening, (struct sockaddr *)&bound, &length), 0);
    address_format(&bound, length, backend->address, sizeof(backend->address));
    assert_int_equal(pthread_create(&backend->thread, NULL, backend_main, backend), 0);
}

static void backend_stop(struct backend_thread *backend)
{
    shutdown(backend->listening, SHUT_RDWR);
    pthread_join(backend->thread, NULL);
    close(backend->listening);
}

/* --- A client --- */

static int try_connect(const char *text)
{
    struct conf_address address = {0};
    const struct timeval patience = {.tv_sec = 10};
    const char *problem = NULL;
    int fd;

    assert_true(conf_address_parse(text, &address, &problem));
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address.addr, address.length) == -1) {
        close(fd);
        fd = -1;
    }
    conf_address_clear(&address);
    return fd;
}

/* Connects and reads the letter of the backend behind it. */
static int greet(const char *address, char letter)
{
    const int fd = try_connect(address);
    char got = 0;

    assert_true(fd >= 0);
    assert_int_equal(recv(fd, &got, 1, 0), 1);
    assert_int_equal(got, letter);
    return fd;
}

static void assert_echoes(int fd)
{
    char got = 0;

    assert_int_equal(send(fd, "z", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(recv(fd, &got, 1, 0), 1);
    assert_int_equal(got, 'z');
}

static void assert_reset(int fd)
{
    char got;

    assert_int_equal(recv(fd, &got, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

/* --- The server --- */

static char path[] = "/tmp/sluice-server-XXXXXX";

static void write_conf(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void write_conf(const char *format, ...)
{
    FILE *file = fopen(path, "w");
    va_list arguments;

    assert_non_null(file);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    assert_int_equal(fclose(file), 0);
}

static struct server *start_server(void)
{
    struct conf_problems problems = {0};
    struct conf *conf = conf_load(path, &problems);
    struct server *server;

    if (conf == NULL) {
        conf_problems_print(&problems, stderr);
        fail();
    }
    server = server_new(&(struct server_options){.conf = conf, .conf_path = path}, &problems);
    if (server == NULL)
        conf_problems_print(&problems, stderr);
    assert_non_null(server);
    assert_int_equal(server_start(server), 0);
    return server;
}

#define ONE_LISTENER                                   \
    "workers = 2; log = { access = \"off\"; };\n"      \
    "backends = { b = { servers = ( \"%s\" ); }; };\n" \
    "listeners = { l = { address = \"%s\"; proxy = \"b\"; }; };\n"

static void test_two_servers_in_one_process(void **state)
{
    struct backend_thread a, b;
    struct server *first, *second;
    int to_a, to_b;

    (void)state;
    backend_start(&a, 'a');
    backend_start(&b, 'b');
    write_conf(ONE_LISTENER, a.address, "127.0.0.1:0");
    first = start_server();
    write_conf(ONE_LISTENER, b.address, "127.0.0.1:0");
    second = start_server();
    to_a = greet(server_address(first, "l"), 'a');
    to_b = greet(server_address(second, "l"), 'b');
    assert_null(server_address(first, "admin"));
    server_free(first); /* at once: what is open is reset */
    assert_reset(to_a);
    assert_echoes(to_b);
    server_free(second);
    assert_reset(to_b);
    close(to_a);
    close(to_b);
    backend_stop(&a);
    backend_stop(&b);
}

static void test_reload(void **state)
{
    struct conf_problems problems = {0};
    struct backend_thread a, b;
    struct server *server;
    char stays[64], goes[64];
    int before, gone, after, again;

    (void)state;
    backend_start(&a, 'a');
    backend_start(&b, 'b');
    write_conf("workers = 2; log = { access = \"off\"; };\n"
               "backends = { b = { servers = ( \"%s\" ); }; };\n"
               "listeners = { stays = { address = \"127.0.0.1:0\"; proxy = \"b\"; };\n"
               "goes = { address = \"127.0.0.1:0\"; proxy = \"b\"; }; };\n",
               a.address);
    server = start_server();
    snprintf(stays, sizeof(stays), "%s", server_address(server, "stays"));
    snprintf(goes, sizeof(goes), "%s", server_address(server, "goes"));
    before = greet(stays, 'a');
    gone = greet(goes, 'a');

    /* Refused, and everything is as it was: one address more that is taken. */
    write_conf("workers = 2; log = { access = \"off\"; };\n"
               "backends = { b = { servers = ( \"%s\" ); }; };\n"
               "listeners = { stays = { address = \"127.0.0.1:0\"; proxy = \"b\"; };\n"
               "taken = { address = \"%s\"; proxy = \"b\"; }; };\n",
               b.address, b.address);
    assert_false(server_reload(server, &problems));
    assert_int_equal(problems.count, 1);
    assert_int_equal(problems.items[0].line, 4);
    assert_string_equal(problems.items[0].key, "listeners.taken.address");
    conf_problems_clear(&problems);
    again = greet(goes, 'a');
    close(again);

    /* Refused: a key that only a restart changes. */
    write_conf("workers = 1; backends = { b = { servers = ( \"%s\" ); }; };\n"
               "listeners = { stays = { address = \"127.0.0.1:0\"; proxy = \"b\"; }; };\n",
               b.address);
    assert_false(server_reload(server, &problems));
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].key, "workers");
    conf_problems_clear(&problems);

    /* Taken: new connections go to the new backend, those that are open stay. */
    write_conf("workers = 2; log = { access = \"off\"; };\n"
               "backends = { b = { servers = ( \"%s\" ); }; };\n"
               "listeners = { stays = { address = \"127.0.0.1:0\"; proxy = \"b\"; };\n"
               "comes = { address = \"127.0.0.1:0\"; proxy = \"b\"; }; };\n",
               b.address);
    assert_true(server_reload(server, &problems));
    assert_int_equal(problems.count, 0);
    assert_string_equal(server_address(server, "stays"), stays);
    assert_null(server_address(server, "goes"));
    assert_int_equal(try_connect(goes), -1);
    after = greet(stays, 'b');
    again = greet(server_address(server, "comes"), 'b');
    assert_echoes(before);
    assert_echoes(gone);
    close(before);
    close(gone);
    close(after);
    close(again);
    server_free(server);
    backend_stop(&a);
    backend_stop(&b);
}

struct runner {
    struct server *server;
    pthread_t thread;
    _Atomic bool done;
};

static void *run_main(void *arg)
{
    struct runner *runner = arg;

    if (server_run(runner->server) == 0)
        atomic_store(&runner->done, true);
    return NULL;
}

static void test_drain(void **state)
{
    struct backend_thread a;
    struct runner runner = {0};
    char address[64];
    int open;

    (void)state;
    backend_start(&a, 'a');
    write_conf(ONE_LISTENER, a.address, "127.0.0.1:0");
    runner.server = start_server();
    snprintf(address, sizeof(address), "%s", server_address(runner.server, "l"));
    assert_int_equal(pthread_create(&runner.thread, NULL, run_main, &runner), 0);
    open = greet(address, 'a');
    assert_false(server_draining(runner.server));
    server_stop(runner.server, SERVER_DRAIN);
    for (int fd; (fd = try_connect(address)) != -1;) /* until it listens no more */
        close(fd);
    assert_true(server_draining(runner.server));
    assert_echoes(open); /* goes on */
    assert_false(atomic_load(&runner.done));
    close(open);
    pthread_join(runner.thread, NULL);
    assert_true(atomic_load(&runner.done));
    server_free(runner.server);
    backend_stop(&a);
}

static void test_stop_now(void **state)
{
    struct backend_thread a;
    struct runner runner = {0};
    int open;

    (void)state;
    backend_start(&a, 'a');
    write_conf(ONE_LISTENER, a.address, "127.0.0.1:0");
    runner.server = start_server();
    open = greet(server_address(runner.server, "l"), 'a');
    assert_int_equal(pthread_create(&runner.thread, NULL, run_main, &runner), 0);
    server_stop(runner.server, SERVER_STOP_NOW);
    pthread_join(runner.thread, NULL);
    assert_reset(open);
    close(open);
    server_free(runner.server);
    backend_stop(&a);
}

/* What fails at the start leaves nothing behind, and the conf with the caller. */
static void test_a_start_that_fails(void **state)
{
    struct conf_problems problems = {0};
    struct backend_thread a;
    struct conf *conf;

    (void)state;
    backend_start(&a, 'a');
    write_conf(ONE_LISTENER, a.address, a.address);
    conf = conf_load(path, &problems);
    assert_non_null(conf);
    assert_null(server_new(&(struct server_options){.conf = conf}, &problems));
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].file, path);
    assert_int_equal(problems.items[0].line, 3);
    assert_non_null(strstr(problems.items[0].text, a.address));
    assert_non_null(strstr(problems.items[0].text, "in use"));
    conf_problems_clear(&problems);
    conf_free(conf);
    backend_stop(&a);
}

static void on_hello(struct worker *worker, void *arg)
{
    if (worker == worker_self())
        atomic_fetch_add((_Atomic unsigned *)arg, 1u << (4 * worker_index(worker)));
}

static void test_messages_to_workers(void **state)
{
    static _Atomic unsigned seen;
    struct backend_thread a;
    struct server *server;

    (void)state;
    backend_start(&a, 'a');
    write_conf(ONE_LISTENER, a.address, "127.0.0.1:0");
    server = start_server();
    assert_int_equal(server_worker_count(server), 2);
    assert_null(worker_self());
    for (unsigned i = 0; i < 6; i++)
        assert_true(worker_post(server_worker(server, i % 2), on_hello, &seen));
    for (int i = 0; i < 5000 && atomic_load(&seen) != 0x33; i++)
        poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&seen), 0x33);
    server_free(server);
    backend_stop(&a);
}

static int group_setup(void **state)
{
    const int fd = mkstemp(path);

    (void)state;
    if (fd == -1)
        return -1;
    close(fd);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_servers_in_one_process),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_stop_now),
        cmocka_unit_test(test_a_start_that_fails),
        cmocka_unit_test(test_messages_to_workers),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
