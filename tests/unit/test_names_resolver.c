/* Names looked up by the resolver's thread, against a small name server here and a hosts file: proxy/names.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/names/resolver.h"
#include "proxy/names/srv_reply.h"

#define PATIENCE_MS 30000 /* under a sanitizer on a busy machine, too */

/* --- A name server --- */

enum manner { MANNER_ANSWER, MANNER_HALF /* refuses AAAA */, MANNER_ABSENT, MANNER_REFUSE, MANNER_SILENT };

/* Answers every name alike: A with `count` addresses 10.0.0.1 ..., AAAA with none, SRV with one record for
 * each address (priority and weight by its number, hosts h1, h2, ...). */
static struct {
    int fd;
    char text[32]; /* "127.0.0.1:PORT" */
    pthread_t thread;
    _Atomic int manner, count, asked;
} server;

static size_t put(unsigned char *at, unsigned value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)(value >> 8 * (size - 1 - i));
    return size;
}

static size_t put_answer(unsigned char *at, unsigned type, unsigned ttl)
{
    size_t n = put(at, 0xc00c, 2); /* the question's name */

    n += put(at + n, type, 2);
    n += put(at + n, 1, 2);
    return n + put(at + n, ttl, 4);
}

static size_t answer(unsigned char *packet, size_t size)
{
    size_t at = 12;
    unsigned type, count = 0;

    while (at < size && packet[at] != 0)
        at += 1 + (size_t)packet[at];
    at += 5;
    type = (unsigned)packet[at - 3];
    packet[2] = 0x84;
    packet[3] = 0x80;
    put(packet + 8, 0, 4);
    if (server.manner == MANNER_ABSENT)
        packet[3] |= 3;
    else if (server.manner == MANNER_REFUSE || (server.manner == MANNER_HALF && type == 28))
        packet[3] |= 5;
    else
        count = (unsigned)server.count;
    if (type != 1 && type != 33)
        count = 0;
    for (unsigned i = 1; i <= count; i++) {
        at += put_answer(packet + at, type, 1 + i);
        if (type == 1) {
            at += put(packet + at, 4, 2);
            at += put(packet + at, 0x0a000000 + i, 4);
        } else {
            at += put(packet + at, 10, 2);
            at += put(packet + at, i * 10, 2);
            at += put(packet + at, i, 2);
            at += put(packet + at, 8000 + i, 2);
            at += put(packet + at, 2u << 16 | (unsigned)'h' << 8 | ('0' + i), 3);
            at += put(packet + at, 0, 1);
        }
    }
    put(packet + 6, count, 2);
    return at;
}

static void *serve(void *arg)
{
    unsigned char packet[4096];
    struct sockaddr_in from;
    socklen_t length;
    ssize_t n;

    (void)arg;
    for (;;) {
        length = sizeof(from);
        n = recvfrom(server.fd, packet, 512, 0, (struct sockaddr *)&from, &length);
        if (n <= 0)
            return NULL;
        server.asked++;
        if (server.manner != MANNER_SILENT)
            sendto(server.fd, packet, answer(packet, (size_t)n), 0, (struct sockaddr *)&from, length);
    }
}

static int start_server(void **state)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(here);

    (void)state;
    server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(server.fd, (struct sockaddr *)&here, length) == -1 ||
        getsockname(server.fd, (struct sockaddr *)&here, &length) == -1)
        return -1;
    snprintf(server.text, sizeof(server.text), "127.0.0.1:%u", ntohs(here.sin_port));
    server.manner = MANNER_ANSWER;
    server.count = 2;
    server.asked = 0;
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    return close(server.fd);
}

/* --- What the resolver tells --- */

static struct {
    pthread_mutex_t mutex;
    unsigned changes;
    char notes[8192];
} heard = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void on_change(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&heard.mutex);
    heard.changes++;
    pthread_mutex_unlock(&heard.mutex);
}

static void on_note(void *arg, const char *text)
{
    size_t at;

    (void)arg;
    pthread_mutex_lock(&heard.mutex);
    at = strlen(heard.notes);
    snprintf(heard.notes + at, sizeof(heard.notes) - at, "%s\n", text);
    pthread_mutex_unlock(&heard.mutex);
}

static bool was_noted(const char *text)
{
    bool found;

    pthread_mutex_lock(&heard.mutex);
    found = strstr(heard.notes, text) != NULL;
    pthread_mutex_unlock(&heard.mutex);
    return found;
}

static struct resolver *start(void)
{
    struct resolver *resolver =
        resolver_new(&(struct resolver_options){.on_change = on_change, .on_note = on_note});

    assert_non_null(resolver);
    heard.changes = 0;
    heard.notes[0] = '\0';
    assert_int_equal(resolver_start(resolver), 0);
    return resolver;
}

static struct resolver_spec spec_of(const char *host, const char *servers, bool srv)
{
    return (struct resolver_spec){
        .text = host,
        .question = {.host = host, .port = 80, .srv = srv, .servers = servers, .timeout_ms = PATIENCE_MS},
        .limits = {.interval_min_ms = 10, .interval_max_ms = 50, .hold_ms = 100},
    };
}

/* "10.0.0.1:80 10.0.0.2:80" */
static const char *shown(struct resolver_name *name)
{
    static char text[4096];
    struct name_targets *targets = resolver_name_targets(name);
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; targets != NULL && i < targets->count; i++) {
        const struct sockaddr_storage *addr = &targets->items[i].addr;
        const struct sockaddr_in *four = (const struct sockaddr_in *)addr;
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)addr;
        char one[INET6_ADDRSTRLEN];
        bool is_four = addr->ss_family == AF_INET;

        inet_ntop(addr->ss_family, is_four ? (const void *)&four->sin_addr : (const void *)&six->sin6_addr,
                  one, sizeof(one));
        at += (size_t)snprintf(text + at, sizeof(text) - at, is_four ? "%s%s:%u" : "%s[%s]:%u",
                               i > 0 ? " " : "", one, ntohs(is_four ? four->sin_port : six->sin6_port));
    }
    name_targets_unref(targets);
    return text;
}

static void await(struct resolver_name *name, const char *text)
{
    for (unsigned i = 0; i < PATIENCE_MS && strcmp(shown(name), text) != 0; i++)
        usleep(1000);
    assert_string_equal(shown(name), text);
}

static void await_note(const char *text)
{
    for (unsigned i = 0; i < PATIENCE_MS && !was_noted(text); i++)
        usleep(1000);
    if (!was_noted(text))
        fail_msg("not noted: %s; but: %s", text, heard.notes);
}

static void drop(struct resolver_name *name)
{
    resolver_retire(name);
    resolver_put(name);
}

/* --- The tests --- */

static void test_follows(void **state)
{
    struct resolver *resolver = start();
    const struct resolver_spec spec = spec_of("app.internal", server.text, false);
    struct resolver_name *name = resolver_get(resolver, &spec), *again;

    (void)state;
    assert_true(resolver_wait(resolver, PATIENCE_MS));
    assert_string_equal(shown(name), "10.0.0.1:80 10.0.0.2:80");
    again = resolver_get(resolver, &spec);
    assert_ptr_equal(again, name);
    drop(again);

    server.count = 30;
    await_note("app.internal: 30 addresses: 28 new, 0 gone, 0 altered");
    server.count = 1;
    await(name, "10.0.0.1:80");

    server.manner = MANNER_REFUSE;
    await_note("can't be looked up");
    assert_string_equal(shown(name), "10.0.0.1:80");
    assert_true(resolver_name_status(name).failed > 0);
    server.manner = MANNER_ANSWER;
    await_note("can be looked up again");

    server.manner = MANNER_ABSENT;
    await(name, "");
    server.manner = MANNER_ANSWER;
    server.count = 3;
    await(name, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80");

    drop(name);
    resolver_stop(resolver);
    assert_true(heard.changes >= 5);
    resolver_free(resolver);
}

/* What only one family can tell adds, and takes nothing away. */
static void test_half(void **state)
{
    struct resolver *resolver = start();
    const struct resolver_spec spec = spec_of("app.internal.", server.text, false);
    struct resolver_name *name;
    struct name_targets *targets;
    uint64_t asked;

    (void)state;
    server.manner = MANNER_HALF;
    server.count = 1;
    name = resolver_get(resolver, &spec);
    await(name, "10.0.0.1:80");
    await_note("app.internal.: only in part");
    targets = resolver_name_targets(name);
    assert_string_equal(targets->items[0].host, "app.internal");
    name_targets_unref(targets);
    server.count = 2;
    await(name, "10.0.0.1:80 10.0.0.2:80");
    server.count = 1;
    asked = resolver_name_status(name).asked;
    for (unsigned i = 0; i < PATIENCE_MS && resolver_name_status(name).asked < asked + 3; i++)
        usleep(1000);
    assert_true(resolver_name_status(name).asked >= asked + 3);
    assert_string_equal(shown(name), "10.0.0.1:80 10.0.0.2:80");
    server.manner = MANNER_ANSWER;
    await(name, "10.0.0.1:80");
    drop(name);
    resolver_free(resolver);
}

static void test_silence(void **state)
{
    struct resolver *resolver = start();
    struct resolver_spec spec = spec_of("app.internal", server.text, false), patient;
    struct resolver_name *name, *other;

    (void)state;
    spec.question.timeout_ms = 40;
    server.manner = MANNER_SILENT;
    name = resolver_get(resolver, &spec);
    assert_true(resolver_wait(resolver, PATIENCE_MS));
    assert_string_equal(shown(name), "");
    await_note("no answer in time");
    server.manner = MANNER_ANSWER;
    await(name, "10.0.0.1:80 10.0.0.2:80");

    /* Asked for in another way, it is known at once, also while nobody answers. */
    server.manner = MANNER_SILENT;
    patient = spec;
    patient.limits.hold_ms++;
    other = resolver_get(resolver, &patient);
    assert_ptr_not_equal(other, name);
    drop(name);
    assert_true(resolver_wait(resolver, 0));
    assert_string_equal(shown(other), "10.0.0.1:80 10.0.0.2:80");
    drop(other);
    resolver_free(resolver);
}

/* A name that nobody wants any more isn't asked for, and one that is being asked for can be dropped. */
static void test_dropped(void **state)
{
    struct resolver *resolver = start();
    const struct resolver_spec spec = spec_of("app.internal", server.text, false);
    struct resolver_name *name = resolver_get(resolver, &spec), *other;
    struct resolver_spec unheard = spec_of("other.internal", server.text, true);
    int asked;

    (void)state;
    await(name, "10.0.0.1:80 10.0.0.2:80");
    server.manner = MANNER_SILENT;
    other = resolver_get(resolver, &unheard);
    assert_false(resolver_wait(resolver, 1));
    drop(other);
    drop(name);
    assert_true(resolver_wait(resolver, 0));
    server.manner = MANNER_ANSWER;
    /* A third is answered: by then the thread has dropped the others. */
    unheard.question.host = "third.internal";
    unheard.limits.interval_min_ms = unheard.limits.interval_max_ms = 3600000;
    name = resolver_get(resolver, &unheard);
    assert_true(resolver_wait(resolver, PATIENCE_MS));
    asked = server.asked;
    usleep(200000); /* four times the longest interval of those that were dropped */
    assert_int_equal(server.asked, asked);
    drop(name);
    resolver_free(resolver);
}

static void test_srv(void **state)
{
    struct resolver *resolver = start();
    struct resolver_spec spec = spec_of("_http._tcp.app.internal", server.text, true);
    struct resolver_name *name;
    struct name_targets *targets;

    (void)state;
    server.count = 1;
    name = resolver_get(resolver, &spec);
    await(name, "10.0.0.1:8001");
    targets = resolver_name_targets(name);
    assert_int_equal(targets->items[0].priority, 10);
    assert_int_equal(targets->items[0].weight, 1);
    assert_string_equal(targets->items[0].host, "h1");
    name_targets_unref(targets);
    server.count = 2; /* each host has both addresses, each at its own port */
    await(name, "10.0.0.1:8001 10.0.0.2:8001 10.0.0.1:8002 10.0.0.2:8002");
    targets = resolver_name_targets(name);
    assert_int_equal(name_targets_tier(targets, 1), 0);
    assert_int_equal(name_targets_tier(targets, 2), 1);
    assert_int_equal(name_targets_weight(targets, 3), 2);
    name_targets_unref(targets);
    drop(name);
    resolver_free(resolver);
}

static void test_hosts_file(void **state)
{
    struct resolver *resolver = start();
    char path[] = "/tmp/test_names_hosts.XXXXXX";
    const int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    struct resolver_spec spec = spec_of("app.test", server.text, false);
    struct resolver_name *name, *local, *four;

    (void)state;
    assert_non_null(file);
    fputs("10.1.1.1 app.test\n10.1.1.2 app.test other\n::2 app.test\n127.0.0.1 localhost\n", file);
    fclose(file);
    setenv("CARES_HOSTS", path, 1);
    name = resolver_get(resolver, &spec);
    spec.question.family = NAME_IPV4;
    four = resolver_get(resolver, &spec);
    spec.question.host = "localhost";
    local = resolver_get(resolver, &spec);
    assert_true(resolver_wait(resolver, PATIENCE_MS));
    assert_string_equal(shown(name), "10.1.1.1:80 10.1.1.2:80 [::2]:80");
    assert_string_equal(shown(four), "10.1.1.1:80 10.1.1.2:80");
    assert_string_equal(shown(local), "127.0.0.1:80");
    file = fopen(path, "w");
    fputs("10.1.1.3 app.test\n127.0.0.1 localhost\n", file);
    fclose(file);
    await(name, "10.1.1.3:80");
    assert_int_equal(server.asked, 0);
    drop(name);
    drop(four);
    drop(local);
    resolver_free(resolver);
    unsetenv("CARES_HOSTS");
    unlink(path);
}

static void test_srv_reply(void **state)
{
    static const unsigned char whole[] = {
        0,    1,  0x84, 0x80, 0, 1, 0, 2, 0, 0,  0, 0,  1, 's', 0, 0, 33,   0,    1, /* question */
        0xc0, 12, 0,    33,   0, 1, 0, 0, 0, 60, 0, 10, 0, 1,   0, 2, 0x1f, 0x90, 2, 'a', 'b', 0, /* first */
        0xc0, 12, 0,    33,   0, 1, 0, 0, 0, 7,  0, 7,  0, 9,   0, 0, 0x1f, 0x91, 0,              /* "." */
    };
    struct srv_reply reply;

    (void)state;
    assert_true(srv_reply_parse(whole, sizeof(whole), &reply));
    assert_int_equal(reply.count, 1);
    assert_int_equal(reply.ttl_s, 7);
    assert_int_equal(reply.records[0].priority, 1);
    assert_int_equal(reply.records[0].weight, 2);
    assert_int_equal(reply.records[0].port, 8080);
    assert_string_equal(reply.records[0].host, "ab");
    for (size_t size = 0; size < sizeof(whole); size++) {
        unsigned char *part = malloc(size > 0 ? size : 1);

        memcpy(part, whole, size);
        assert_false(srv_reply_parse(part, size, &reply));
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_srv_reply),
        cmocka_unit_test_setup_teardown(test_follows, start_server, stop_server),
        cmocka_unit_test_setup_teardown(test_half, start_server, stop_server),
        cmocka_unit_test_setup_teardown(test_silence, start_server, stop_server),
        cmocka_unit_test_setup_teardown(test_dropped, start_server, stop_server),
        cmocka_unit_test_setup_teardown(test_srv, start_server, stop_server),
        cmocka_unit_test_setup_teardown(test_hosts_file, start_server, stop_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
