/* The queue of a backend whose servers are full: order, size, who is woken and when, and many threads at
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "backend_fixture.h"
#include "proxy/backend.h"

#define WAITERS 4

/* A thread's messages, run by hand. Taken for a struct worker by the queue, which doesn't look inside. */
struct mail {
    pthread_mutex_t lock;
    pthread_cond_t come;
    struct letter {
        void (*fn)(struct worker *worker, void *arg);
        void *arg;
    } letters[64];
    size_t count;
    bool refuse;
};

struct client {
    struct backend_waiter waiter;
    struct fixture *fixture;
    unsigned turns;
    enum backend_answer answer;
    struct backend_server *server;
};

struct fixture {
    struct backend_registry *registry;
    struct conf_server server;
    struct conf_backend conf;
    struct backend backend;
    struct mail mail;
    struct client clients[WAITERS];
};

static bool post(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg)
{
    struct mail *mail = (struct mail *)worker;
    bool taken;

    pthread_mutex_lock(&mail->lock);
    taken = !mail->refuse && mail->count < 64;
    if (taken)
        mail->letters[mail->count++] = (struct letter){fn, arg};
    pthread_cond_signal(&mail->come);
    pthread_mutex_unlock(&mail->lock);
    return taken;
}

/* Runs the messages that are there; how many. */
static size_t deliver(struct mail *mail)
{
    size_t delivered = 0;

    pthread_mutex_lock(&mail->lock);
    while (mail->count > 0) {
        const struct letter letter = mail->letters[0];

        memmove(mail->letters, mail->letters + 1, --mail->count * sizeof(letter));
        pthread_mutex_unlock(&mail->lock);
        letter.fn((struct worker *)mail, letter.arg);
        delivered++;
        pthread_mutex_lock(&mail->lock);
    }
    pthread_mutex_unlock(&mail->lock);
    return delivered;
}

static void ask(struct client *client)
{
    const struct balancer_request request = {.now_ms = 1};
    struct backend_choice choice;

    client->answer = backend_choose(&client->fixture->backend, 0, &request, &client->waiter, &choice);
    client->server = choice.server;
}

static void on_turn(struct backend_waiter *waiter)
{
    struct client *client = (struct client *)((char *)waiter - offsetof(struct client, waiter));

    client->turns++;
    ask(client);
}

/* One server for two connections, and room for two to wait. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *problem;

    assert_non_null(f);
    pthread_mutex_init(&f->mail.lock, NULL);
    pthread_cond_init(&f->mail.come, NULL);
    f->registry = backend_registry_new();
    f->server = (struct conf_server){.name = (char *)"10.0.0.1:80", .weight = 1, .max_connections = 2};
    assert_true(conf_address_parse(f->server.name, &f->server.address, &problem));
    f->conf = (struct conf_backend){.name = (char *)"app",
                                    .servers = &f->server,
                                    .server_count = 1,
                                    .queue = {.size = 2, .timeout_ms = 1000}};
    assert_int_equal(backend_init(&f->backend, &f->conf, f->registry, NULL, 1), 0);
    for (size_t i = 0; i < WAITERS; i++) {
        f->clients[i].fixture = f;
        f->clients[i].waiter =
            (struct backend_waiter){.post = post, .worker = (struct worker *)&f->mail, .on_turn = on_turn};
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < WAITERS; i++) {
        backend_queue_leave(f->backend.shared, &f->clients[i].waiter);
        if (f->clients[i].server != NULL)
            backend_server_vacate(f->clients[i].server);
    }
    deliver(&f->mail);
    assert_int_equal(f->backend.shared->queue.length, 0);
    backend_clear(&f->backend);
    backend_registry_free(f->registry);
    conf_address_clear(&f->server.address);
    pthread_cond_destroy(&f->mail.come);
    pthread_mutex_destroy(&f->mail.lock);
    free(f);
    return 0;
}

static void leave_server(struct client *client)
{
    struct backend_server *server = client->server;

    client->server = NULL;
    backend_server_vacate(server);
}

static void ask_all(struct fixture *f, const enum backend_answer answers[WAITERS])
{
    for (size_t i = 0; i < WAITERS; i++) {
        ask(&f->clients[i]);
        assert_int_equal(f->clients[i].answer, answers[i]);
    }
}

static void test_first_come_first_served(void **state)
{
    struct fixture *f = *state;

    ask_all(f, (const enum backend_answer[]){BACKEND_CHOSEN, BACKEND_CHOSEN, BACKEND_WAIT, BACKEND_WAIT});
    assert_int_equal(f->backend.shared->queue.length, 2);
    assert_int_equal(deliver(&f->mail), 0);
    leave_server(&f->clients[0]);
    ask(&f->clients[0]); /* newly come while a place is free: behind those that wait, where there is no room
                          */
    assert_int_equal(f->clients[0].answer, BACKEND_OVERFLOW);
    assert_int_equal(f->backend.shared->queue.overflowed, 1);
    assert_int_equal(deliver(&f->mail), 2); /* the third, which wakes the fourth, in vain */
    assert_int_equal(f->clients[2].answer, BACKEND_CHOSEN);
    assert_int_equal(f->clients[3].answer, BACKEND_WAIT);
    assert_int_equal(f->clients[3].turns, 1);
    leave_server(&f->clients[1]);
    assert_int_equal(deliver(&f->mail), 1);
    assert_int_equal(f->clients[3].answer, BACKEND_CHOSEN);
    assert_int_equal(f->backend.shared->queue.length, 0);
    assert_int_equal(f->backend.shared->queue.waited, 2);
}

/* Two places at once: the second one wakes nobody, but the first in the queue wakes the next. */
static void test_two_places_at_once(void **state)
{
    struct fixture *f = *state;

    ask_all(f, (const enum backend_answer[]){BACKEND_CHOSEN, BACKEND_CHOSEN, BACKEND_WAIT, BACKEND_WAIT});
    leave_server(&f->clients[0]);
    leave_server(&f->clients[1]);
    deliver(&f->mail);
    assert_int_equal(f->clients[2].answer, BACKEND_CHOSEN);
    assert_int_equal(f->clients[3].answer, BACKEND_CHOSEN);
}

static void test_one_that_was_woken_leaves(void **state)
{
    struct fixture *f = *state;

    ask_all(f, (const enum backend_answer[]){BACKEND_CHOSEN, BACKEND_CHOSEN, BACKEND_WAIT, BACKEND_WAIT});
    leave_server(&f->clients[0]);
    backend_queue_leave(f->backend.shared, &f->clients[2].waiter);
    deliver(&f->mail);
    assert_int_equal(f->clients[2].turns, 0);
    assert_int_equal(f->clients[3].answer, BACKEND_CHOSEN);
}

static void test_no_memory_for_the_message(void **state)
{
    struct fixture *f = *state;

    ask_all(f, (const enum backend_answer[]){BACKEND_CHOSEN, BACKEND_CHOSEN, BACKEND_WAIT, BACKEND_WAIT});
    f->mail.refuse = true;
    leave_server(&f->clients[0]);
    f->mail.refuse = false;
    assert_int_equal(deliver(&f->mail), 0);
    ask(&f->clients[2]); /* as its timer does */
    assert_int_equal(f->clients[2].answer, BACKEND_CHOSEN);
}

static void test_another_set_wakes(void **state)
{
    static const struct fixture_server more[] = {{.number = 1, .max_connections = 2},
                                                 {.number = 2, .max_connections = 1}};
    struct fixture *f = *state;

    ask_all(f, (const enum backend_answer[]){BACKEND_CHOSEN, BACKEND_CHOSEN, BACKEND_WAIT, BACKEND_WAIT});
    backend_publish(&f->backend, fixture_set_of(f->backend.shared, more, 2));
    deliver(&f->mail);
    assert_string_equal(f->clients[2].server->name, "10.0.0.2:80");
    assert_int_equal(f->clients[3].answer, BACKEND_WAIT);
    backend_publish(&f->backend, fixture_set_of(f->backend.shared, more, 0)); /* nobody is left to wait for */
    deliver(&f->mail);
    assert_int_equal(f->clients[3].answer, BACKEND_NOBODY);
}

/* --- Many threads: never more than two at once, everybody has his turn, nobody sleeps for ever --- */

#define THREADS 4
#define ROUNDS 3000

struct party {
    pthread_t thread;
    struct fixture *fixture;
    struct mail mail;
    struct client client;
    unsigned worker;
    _Atomic int *at_once;
    int most;
};

static void wait_for_turn(struct party *party)
{
    while (party->client.answer == BACKEND_WAIT) {
        pthread_mutex_lock(&party->mail.lock);
        while (party->mail.count == 0)
            pthread_cond_wait(&party->mail.come, &party->mail.lock);
        pthread_mutex_unlock(&party->mail.lock);
        deliver(&party->mail);
    }
}

static void on_party_turn(struct backend_waiter *waiter)
{
    struct party *party = (struct party *)((char *)waiter - offsetof(struct party, client.waiter));
    const struct balancer_request request = {.now_ms = 1};
    struct backend_choice choice;

    party->client.answer =
        backend_choose(&party->fixture->backend, party->worker, &request, &party->client.waiter, &choice);
    party->client.server = choice.server;
}

static void *party_main(void *arg)
{
    struct party *party = arg;

    for (int i = 0; i < ROUNDS; i++) {
        int now;

        on_party_turn(&party->client.waiter);
        wait_for_turn(party);
        now = atomic_fetch_add(party->at_once, 1) + 1;
        party->most = now > party->most ? now : party->most;
        sched_yield(); /* the others come, and find it full */
        atomic_fetch_sub(party->at_once, 1);
        leave_server(&party->client);
    }
    deliver(&party->mail);
    return NULL;
}

static void test_many_threads(void **state)
{
    struct fixture *f = *state;
    struct party *parties = calloc(THREADS, sizeof(*parties));
    struct backend backend;
    _Atomic int at_once = 0;

    assert_non_null(parties);
    f->conf.queue.size = THREADS;
    assert_int_equal(backend_init(&backend, &f->conf, f->registry, NULL, THREADS), 0);
    backend_clear(&f->backend);
    f->backend = backend;
    for (unsigned i = 0; i < THREADS; i++) {
        struct party *party = &parties[i];

        party->fixture = f;
        party->worker = i;
        party->at_once = &at_once;
        pthread_mutex_init(&party->mail.lock, NULL);
        pthread_cond_init(&party->mail.come, NULL);
        party->client.waiter = (struct backend_waiter){
            .post = post, .worker = (struct worker *)&party->mail, .on_turn = on_party_turn};
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&parties[i].thread, NULL, party_main, &parties[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(parties[i].thread, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        deliver(&parties[i].mail); /* woken by one that left later */
        assert_true(parties[i].most >= 1 && parties[i].most <= 2);
        pthread_cond_destroy(&parties[i].mail.come);
        pthread_mutex_destroy(&parties[i].mail.lock);
    }
    print_message("%d of %d waited\n", (int)f->backend.shared->queue.waited, THREADS * ROUNDS);
    assert_true(f->backend.shared->queue.waited > 0);
    assert_int_equal(f->backend.newest->slots[0].server->stats.occupied, 0);
    free(parties);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_come_first_served, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_places_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_was_woken_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory_for_the_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_set_wakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
