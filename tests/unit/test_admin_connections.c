/* The admin pages of a running server: live connections gathered from several workers, askers that leave
 * early, a server that stops while it is asked, health while it drains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/server.h"

#define CONNECTIONS 40
#define WAIT_TRIES 1000
#define WAIT_MS 10
#define ANSWER_MAX (1u << 20)

/* A server with four workers whose proxy listener leads to a socket that accepts nothing: connections stay.
 */
struct fixture {
    int backend;
    struct server *server;
    int clients[CONNECTIONS];
    char answer[ANSWER_MAX];
};

static int dial(const char *address)
{
    struct sockaddr_in peer = {.sin_family = AF_INET};
    const struct timeval timeout = {.tv_sec = 20};
    char host[64];
    unsigned port;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_not_equal(fd, -1);
    assert_non_null(address);
    assert_int_equal(sscanf(address, "%63[0-9.]:%u", host, &port), 2);
    assert_int_equal(inet_pton(AF_INET, host, &peer.sin_addr), 1);
    peer.sin_port = htons((uint16_t)port);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), 0);
    return fd;
}

static void ask(int fd, const char *path)
{
    char request[200];
    int size =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);

    assert_int_equal(send(fd, request, (size_t)size, MSG_NOSIGNAL), size);
}

/* The whole answer, head and body; returns its status. */
static int get(struct fixture *f, const char *path)
{
    int fd = dial(server_address(f->server, "admin")), status;
    size_t have = 0;
    ssize_t n;

    ask(fd, path);
    while ((n = recv(fd, f->answer + have, sizeof(f->answer) - 1 - have, 0)) > 0)
        have += (size_t)n;
    assert_int_equal(n, 0);
    f->answer[have] = '\0';
    close(fd);
    assert_int_equal(sscanf(f->answer, "HTTP/1.1 %d", &status), 1);
    return status;
}

static json_t *get_connections(struct fixture *f, const char *path)
{
    json_error_t error;
    json_t *array;

    assert_int_equal(get(f, path), 200);
    array = json_loads(strstr(f->answer, "\r\n\r\n") + 4, 0, &error);
    assert_true(json_is_array(array));
    return array;
}

static void pause_briefly(void)
{
    const struct timespec pause = {.tv_nsec = WAIT_MS * 1000000L};

    nanosleep(&pause, NULL);
}

/* Waits until that many are listed with their target, and returns them. */
static json_t *wait_for_connections(struct fixture *f, size_t count)
{
    for (int try = 0; try < WAIT_TRIES; try++) {
        json_t *array = get_connections(f, "/connections.json");
        size_t dialled = 0, index;
        json_t *item;

        json_array_foreach(array, index, item) dialled +=
            strlen(json_string_value(json_object_get(item, "target"))) > 0;
        if (json_array_size(array) == count && dialled == count)
            return array;
        json_decref(array);
        pause_briefly();
    }
    fail_msg("never were %zu connections listed", count);
    return NULL;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    struct conf_problems problems = {0};
    struct conf *conf;
    char text[400];

    assert_non_null(f);
    for (int i = 0; i < CONNECTIONS; i++)
        f->clients[i] = -1;
    f->backend = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->backend, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(f->backend, 2 * CONNECTIONS), 0);
    assert_int_equal(getsockname(f->backend, (struct sockaddr *)&address, &length), 0);
    snprintf(text, sizeof(text),
             "workers = 4; log = { access = \"off\"; }; admin = { listen = \"127.0.0.1:0\"; };\n"
             "backends = { app = { servers = ( \"127.0.0.1:%u\" ); }; };\n"
             "listeners = { app = { address = \"127.0.0.1:0\"; proxy = \"app\"; }; };\n",
             (unsigned)ntohs(address.sin_port));
    conf = conf_load_text(text, NULL, NULL, &problems);
    conf_problems_print(&problems, stderr);
    assert_non_null(conf);
    f->server = server_new(&(struct server_options){.conf = conf}, &problems);
    conf_problems_print(&problems, stderr);
    assert_non_null(f->server);
    assert_int_equal(server_start(f->server), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < CONNECTIONS; i++) {
        if (f->clients[i] != -1)
            close(f->clients[i]);
    }
    server_free(f->server);
    close(f->backend);
    free(f);
    return 0;
}

static void test_paths(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path, *contains;
        int status;
    } cases[] = {
        {"/", "<!doctype html>", 200},
        {"/", "Content-Security-Policy: ", 200},
        {"/?x=y", "Cache-Control: no-store\r\n", 200},
        {"/metrics", "\nsluice_build_info{", 200},
        {"/metrics", "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", 200},
        {"/status.json", "\"uptime_s\":", 200},
        {"/connections.json", "Content-Type: application/json\r\n", 200},
        {"/healthz", "\r\n\r\nok\n", 200},
        {"/healthz/", "", 404},
        {"/status", "", 404},
        {"/metrics/x", "", 404},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = get(f, cases[i].path);

        if (status != cases[i].status || strstr(f->answer, cases[i].contains) == NULL)
            fail_msg("%s: %d\n%s", cases[i].path, status, f->answer);
    }
}

static void test_connections_of_all_workers(void **state)
{
    struct fixture *f = *state;
    const char *last = "";
    json_t *array, *item;
    size_t index;

    for (int i = 0; i < CONNECTIONS; i++)
        f->clients[i] = dial(server_address(f->server, "app"));
    array = wait_for_connections(f, CONNECTIONS);
    assert_non_null(strstr(f->answer, "\r\nSluice-Total: 40\r\n"));
    json_array_foreach(array, index, item)
    {
        const char *time = json_string_value(json_object_get(item, "time"));

        assert_string_equal(json_string_value(json_object_get(item, "listener")), "app");
        assert_string_equal(json_string_value(json_object_get(item, "outcome")), "open");
        assert_true(strcmp(last, time) <= 0);
        last = time;
    }
    json_decref(array);

    array = get_connections(f, "/connections.json?limit=3");
    assert_int_equal(json_array_size(array), 3);
    assert_non_null(strstr(f->answer, "\r\nSluice-Total: 40\r\n"));
    json_decref(array);
    /* What isn't a number in range is as if it weren't there. */
    array = get_connections(f, "/connections.json?a&limit=-1&limit=99999999999999999999&limit=");
    assert_int_equal(json_array_size(array), CONNECTIONS);
    json_decref(array);
    array = get_connections(f, "/connections.json?limit=0");
    assert_int_equal(json_array_size(array), 0);
    json_decref(array);

    for (int i = 0; i < CONNECTIONS; i++) {
        close(f->clients[i]);
        f->clients[i] = -1;
    }
}

/* Askers reset their connections without waiting: what is gathered for them must go nowhere. */
static void test_askers_that_leave(void **state)
{
    struct fixture *f = *state;
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    for (int i = 0; i < CONNECTIONS; i++)
        f->clients[i] = dial(server_address(f->server, "app"));
    for (int i = 0; i < 300; i++) {
        int fd = dial(server_address(f->server, "admin"));

        ask(fd, "/connections.json");
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(fd);
    }
    json_decref(wait_for_connections(f, CONNECTIONS));
}

/* Questions under way in every worker when the server stops: nothing may be left behind or used after. */
static void test_stop_while_asked(void **state)
{
    struct fixture *f = *state;
    int askers[50];

    for (int i = 0; i < CONNECTIONS; i++)
        f->clients[i] = dial(server_address(f->server, "app"));
    for (size_t i = 0; i < sizeof(askers) / sizeof(askers[0]); i++) {
        askers[i] = dial(server_address(f->server, "admin"));
        ask(askers[i], "/connections.json");
    }
    server_free(f->server);
    f->server = NULL;
    for (size_t i = 0; i < sizeof(askers) / sizeof(askers[0]); i++)
        close(askers[i]);
}

static void *run(void *server)
{
    server_run(server);
    return NULL;
}

static void test_health_while_draining(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    int tries = 0;

    f->clients[0] = dial(server_address(f->server, "app"));
    json_decref(wait_for_connections(f, 1));
    assert_int_equal(get(f, "/healthz"), 200);
    assert_int_equal(pthread_create(&thread, NULL, run, f->server), 0);
    server_stop(f->server, SERVER_DRAIN);
    while (get(f, "/healthz") != 503 && tries++ < WAIT_TRIES)
        pause_briefly();
    assert_int_equal(get(f, "/healthz"), 503);
    assert_non_null(strstr(f->answer, "\r\n\r\ndraining\n"));
    close(f->clients[0]);
    f->clients[0] = -1;
    server_stop(f->server, SERVER_STOP_NOW);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connections_of_all_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_askers_that_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_while_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_while_draining, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
