/* The run queue: order, turns, unqueueing from within, burials last, and a turn for everyone else in between.
 * Refuses to know flows. */
#include "relay_support.h"

#define TASKS 4

struct probe_task {
    struct loop_task task;
    struct test_queue *queue;
    int id;
    int runs;
};

struct test_queue {
    struct rig rig;
    struct probe_task tasks[TASKS];
    char log[64];
    size_t logged;
    void (*during)(struct probe_task *task);
};

static void note(struct test_queue *queue, char c)
{
    assert_true(queue->logged < sizeof(queue->log) - 1);
    queue->log[queue->logged++] = c;
}

static void on_run(struct loop_task *task)
{
    struct probe_task *probe = (struct probe_task *)((char *)task - offsetof(struct probe_task, task));
    probe->runs++;
    note(probe->queue, (char)('a' + probe->id));
    if (probe->queue->during != NULL)
        probe->queue->during(probe);
}

static int set_up(void **state)
{
    struct test_queue *queue = calloc(1, sizeof(*queue));
    assert_non_null(queue);
    rig_open(&queue->rig);
    for (int i = 0; i < TASKS; i++)
        queue->tasks[i] = (struct probe_task){.task = {.run = on_run}, .queue = queue, .id = i};
    *state = queue;
    return 0;
}

static int tear_down(void **state)
{
    struct test_queue *queue = *state;
    rig_close(&queue->rig);
    free(queue);
    return 0;
}

static void enqueue(struct test_queue *queue, int id)
{
    loop_queue(queue->rig.loop, &queue->tasks[id].task);
}

static void runs_in_order_once(void **state)
{
    struct test_queue *queue = *state;
    enqueue(queue, 2);
    enqueue(queue, 0);
    enqueue(queue, 2); /* queued already */
    enqueue(queue, 1);
    assert_string_equal(queue->log, ""); /* never from within loop_queue */
    rig_turn(&queue->rig, false);
    assert_string_equal(queue->log, "cab");
    rig_settle(&queue->rig);
    assert_string_equal(queue->log, "cab");
}

static void requeue_until_three(struct probe_task *task)
{
    if (task->runs < 3)
        loop_queue(task->queue->rig.loop, &task->task);
}

/* One that queues itself again runs after all the others, on another turn. */
static void requeued_waits_a_turn(void **state)
{
    struct test_queue *queue = *state;
    queue->during = requeue_until_three;
    enqueue(queue, 0);
    enqueue(queue, 1);
    rig_turn(&queue->rig, false);
    assert_string_equal(queue->log, "ab");
    rig_turn(&queue->rig, false);
    assert_string_equal(queue->log, "abab");
    rig_run_until(&queue->rig, queue->logged == 6);
    rig_settle(&queue->rig);
    assert_string_equal(queue->log, "ababab");
}

static void unqueue_the_neighbours(struct probe_task *task)
{
    struct test_queue *queue = task->queue;
    if (task->id != 1)
        return;
    loop_unqueue(queue->rig.loop, &queue->tasks[0].task); /* has run: nothing */
    loop_unqueue(queue->rig.loop, &queue->tasks[1].task); /* is running: nothing */
    loop_unqueue(queue->rig.loop, &queue->tasks[2].task); /* next */
    loop_unqueue(queue->rig.loop, &queue->tasks[3].task); /* last */
}

static void unqueued_inside_a_run_does_not_run(void **state)
{
    struct test_queue *queue = *state;
    queue->during = unqueue_the_neighbours;
    for (int i = 0; i < TASKS; i++)
        enqueue(queue, i);
    rig_settle(&queue->rig);
    assert_string_equal(queue->log, "ab");
    queue->during = NULL;
    enqueue(queue, 3); /* the queue is whole still */
    enqueue(queue, 2);
    rig_settle(&queue->rig);
    assert_string_equal(queue->log, "abdc");
}

static void bury_oneself_first(struct probe_task *task)
{
    struct test_queue *queue = task->queue;
    if (task->id == 0)
        loop_bury(queue->rig.loop, &queue->tasks[3].task);
}

/* Buried by the first of a turn, run after the last: nobody of that turn meets freed memory. */
static void burials_come_after_tasks(void **state)
{
    struct test_queue *queue = *state;
    queue->during = bury_oneself_first;
    enqueue(queue, 0);
    enqueue(queue, 1);
    enqueue(queue, 2);
    rig_settle(&queue->rig);
    assert_string_equal(queue->log, "abcd");
}

/* What is buried when the loop goes down is run by loop_free: nothing leaks. */
static void free_runs_the_burials(void **state)
{
    struct test_queue *queue = *state;
    struct rig other;
    rig_open(&other);
    loop_bury(other.loop, &queue->tasks[1].task);
    rig_close(&other);
    assert_string_equal(queue->log, "b");
}

static void requeue_always(struct probe_task *task)
{
    struct test_queue *queue = task->queue;
    queue->logged = 0;
    memset(queue->log, 0, sizeof(queue->log));
    loop_queue(queue->rig.loop, &task->task);
}

static void on_byte(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    ++*(int *)arg;
}

/* The trap that the queue is there for: a task that is always busy leaves other descriptors their turn. */
static void busy_task_starves_nobody(void **state)
{
    struct test_queue *queue = *state;
    int fds[2], bytes = 0;
    tcp_pair(fds, 0);
    struct event *event = event_new(queue->rig.base, fds[1], EV_READ | EV_PERSIST, on_byte, &bytes);
    assert_non_null(event);
    assert_return_code(event_add(event, NULL), 0);
    queue->during = requeue_always;
    enqueue(queue, 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(send(fds[0], "x", 1, 0), 1);
        int before = queue->tasks[0].runs;
        rig_run_until(&queue->rig, bytes == i + 1);
        assert_in_range(queue->tasks[0].runs - before, 0, 100);
    }
    assert_true(queue->tasks[0].runs >= 5); /* and it was busy */
    loop_unqueue(queue->rig.loop, &queue->tasks[0].task);
    event_free(event);
    close(fds[0]);
    close(fds[1]);
}

struct churn {
    struct test_queue *queue;
    int fd;
    int rounds;
};

/* Puts a task on the queue that wasn't on it, in every turn, and sees to it that there is a next. */
static void on_churn(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct churn *churn = arg;
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    assert_int_equal(send(churn->fd, "x", 1, 0), 1);
    churn->rounds++;
    loop_unqueue(churn->queue->rig.loop, &churn->queue->tasks[1].task);
    enqueue(churn->queue, 1);
}

/* The other trap: whoever queues something in every turn doesn't put the queue off for ever. */
static void busy_queueing_starves_nobody(void **state)
{
    struct test_queue *queue = *state;
    int fds[2];
    tcp_pair(fds, 0);
    struct churn churn = {.queue = queue, .fd = fds[0]};
    struct event *event = event_new(queue->rig.base, fds[1], EV_READ | EV_PERSIST, on_churn, &churn);
    assert_non_null(event);
    assert_return_code(event_add(event, NULL), 0);
    assert_int_equal(send(fds[0], "x", 1, 0), 1);
    enqueue(queue, 0);
    for (int i = 0; i < 100 && queue->tasks[0].runs == 0; i++)
        rig_turn(&queue->rig, true);
    assert_int_equal(queue->tasks[0].runs, 1);
    assert_in_range(churn.rounds, 0, 10);
    event_free(event);
    loop_unqueue(queue->rig.loop, &queue->tasks[1].task);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_in_order_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requeued_waits_a_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unqueued_inside_a_run_does_not_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(burials_come_after_tasks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(free_runs_the_burials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(busy_task_starves_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(busy_queueing_starves_nobody, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
