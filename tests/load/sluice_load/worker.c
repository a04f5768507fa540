/* The loop of one thread of a load: starts what is due, serves what is ready, looks at the time.
 * Refuses to know what a request is. */
#include "sluice_load/worker.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sluice_load/client.h"
#include "sluice_load/clock.h"
#include "sluice_load/histogram.h"
#include "sluice_load/target.h"

#define EVENTS 256
#define TICK_NS (100 * NS_PER_MS)
#define TICK_RESTING_NS (10 * NS_PER_MS)

int worker_init(struct worker *worker)
{
    const struct load_options *options = worker->options;
    bool tls = false;

    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->buffer = malloc(WORKER_BUFFER);
    worker->clients = calloc(worker->client_count, sizeof(*worker->clients));
    worker->sessions = calloc(options->target_count, sizeof(SSL_SESSION *));
    worker->latency = histogram_new();
    worker->connect = histogram_new();
    worker->corrected = options->rate > 0 ? histogram_new() : NULL;
    if (worker->epoll == -1 || worker->buffer == NULL || worker->clients == NULL ||
        worker->sessions == NULL || worker->latency == NULL || worker->connect == NULL ||
        (options->rate > 0 && worker->corrected == NULL)) {
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < options->target_count; i++)
        tls = tls || options->targets[i].tls;
    if (tls && (worker->tls = stream_tls_new(&options->tls)) == NULL) {
        errno = EINVAL;
        return -1;
    }
    for (unsigned i = 0; i < worker->client_count; i++) {
        client_init(&worker->clients[i], worker);
        worker_put_idle(worker, &worker->clients[i]);
    }
    return 0;
}

void worker_free(struct worker *worker)
{
    for (unsigned i = 0; worker->clients != NULL && i < worker->client_count; i++)
        client_free(&worker->clients[i]);
    for (size_t i = 0; worker->sessions != NULL && i < worker->options->target_count; i++)
        SSL_SESSION_free(worker->sessions[i]);
    SSL_CTX_free(worker->tls);
    histogram_free(worker->latency);
    histogram_free(worker->corrected);
    histogram_free(worker->connect);
    free(worker->sessions);
    free(worker->clients);
    free(worker->buffer);
    if (worker->epoll != -1)
        close(worker->epoll);
}

/* Where what is in flight at the end counts, each client has at least one request, however late its thread
 * came to run: a load that is too short for the machine gives figures, not nothing. */
static bool is_over(const struct worker *worker, uint64_t now)
{
    if (load_interrupted())
        return true;
    if (worker->options->finish && worker->taken < worker->client_count && worker->quota > 0)
        return false;
    return worker->deadline_ns != 0 && now >= worker->deadline_ns;
}

bool worker_take(struct worker *worker, uint64_t *intended_ns)
{
    uint64_t now = clock_ns();

    if (worker->quota == 0 || is_over(worker, now) || !schedule_take(&worker->schedule, now, intended_ns))
        return false;
    worker->quota--;
    worker->taken++;
    return true;
}

void worker_put_idle(struct worker *worker, struct client *client)
{
    client->state = CLIENT_IDLE;
    client->next_idle = worker->idle;
    worker->idle = client;
}

void worker_put_ready(struct worker *worker, struct client *client)
{
    if (client->queued)
        return;
    client->queued = true;
    client->next_ready = worker->ready;
    worker->ready = client;
}

static void start_due(struct worker *worker)
{
    uint64_t intended;

    while (worker->idle != NULL && worker_take(worker, &intended)) {
        struct client *client = worker->idle;

        worker->idle = client->next_idle;
        client_begin(client, intended);
    }
}

/* Those that become ready meanwhile wait for the next round, behind the events. */
static void serve_ready(struct worker *worker)
{
    struct client *client = worker->ready;

    worker->ready = NULL;
    while (client != NULL) {
        struct client *next = client->next_ready;

        client->queued = false;
        client_turn(client, 0);
        client = next;
    }
}

/* ---- the time ---- */

static void check_client(struct worker *worker, struct client *client, uint64_t now)
{
    uint64_t timeout = worker->options->timeout_ns;

    if (client->state == CLIENT_RESTING) {
        if (now >= client->rest_until_ns) {
            worker->resting--;
            worker_put_idle(worker, client);
        }
    } else if (client->state != CLIENT_IDLE && now - client->started_ns > timeout &&
               now > client->started_ns) {
        client_fail(client, LOAD_FAILED_TIMEOUT, "no whole answer within %.3g s", (double)timeout / 1e9);
    }
}

static void count_late(struct worker *worker, uint64_t now)
{
    uint64_t next = schedule_next_ns(&worker->schedule);
    double late = 0;

    if (worker->options->rate > 0 && now > next)
        late = (double)(now - next) / worker->schedule.interval_ns / (double)worker->schedule.step;
    atomic_store_explicit(&worker->counts.late, (uint64_t)late, memory_order_relaxed);
}

static void tick(struct worker *worker)
{
    uint64_t now = clock_ns();

    if (now < worker->tick_ns)
        return;
    for (unsigned i = 0; i < worker->client_count; i++)
        check_client(worker, &worker->clients[i], now);
    count_late(worker, now);
    worker->tick_ns = now + (worker->resting > 0 ? TICK_RESTING_NS : TICK_NS);
}

/* Until the next thing to do without an event. */
static struct timespec patience(const struct worker *worker)
{
    uint64_t now = clock_ns(), until = worker->tick_ns;

    if (worker->ready != NULL)
        return (struct timespec){0};
    if (worker->options->rate > 0 && worker->idle != NULL && worker->quota > 0) {
        uint64_t next = schedule_next_ns(&worker->schedule);

        until = next < until ? next : until;
    }
    if (worker->deadline_ns > now && worker->deadline_ns < until)
        until = worker->deadline_ns;
    until = until > now ? until - now : 0;
    return (struct timespec){.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
}

/* ---- the end ---- */

static bool is_done(const struct worker *worker, uint64_t now)
{
    bool over = is_over(worker, now);

    if (over && (!worker->options->finish || load_interrupted()))
        return true;
    return worker->in_flight == 0 && (over || worker->quota == 0);
}

/* What was due and not answered counts among the corrected latencies for as long as it waited: otherwise a
 * server that stands still at the end would look better than one that is slow. */
static void account_rest(struct worker *worker, uint64_t end)
{
    uint64_t intended;

    for (unsigned i = 0; i < worker->client_count; i++) {
        const struct client *client = &worker->clients[i];

        if (client->state == CLIENT_IDLE || client->state == CLIENT_RESTING)
            continue;
        worker->unfinished++;
        if (worker->corrected != NULL && end > client->intended_ns)
            histogram_record(worker->corrected, end - client->intended_ns);
    }
    if (worker->corrected == NULL)
        return;
    if (worker->deadline_ns != 0 && end > worker->deadline_ns)
        end = worker->deadline_ns;
    while (worker->quota > 0 && schedule_take(&worker->schedule, end, &intended)) {
        worker->quota--;
        worker->not_started++;
        histogram_record(worker->corrected, end - intended);
    }
}

static double thread_cpu(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void set_up_thread(const struct load_options *options)
{
    if (options->cpus != NULL)
        sched_setaffinity(0, sizeof(*options->cpus), options->cpus);
    if (options->urgent)
        setpriority(PRIO_PROCESS, 0,
                    -15); /* of Linux: this thread's. Refused to ordinary users, which is no error */
}

void *worker_main(void *data)
{
    struct worker *worker = data;
    struct epoll_event events[EVENTS];
    double cpu = thread_cpu();

    set_up_thread(worker->options);
    worker->tick_ns = worker->start_ns + TICK_NS;
    while (!is_done(worker, clock_ns())) {
        struct timespec wait;
        int n;

        start_due(worker);
        wait = patience(worker);
        n = epoll_pwait2(worker->epoll, events, EVENTS, &wait, NULL);
        for (int i = 0; i < n; i++)
            client_turn(events[i].data.ptr, events[i].events);
        serve_ready(worker);
        tick(worker);
    }
    /* With a limit in number the load ends with its last answer, not with the tick that notices. */
    if (worker->in_flight > 0 || worker->end_ns == 0)
        worker->end_ns = clock_ns();
    account_rest(worker, clock_ns());
    worker->cpu = thread_cpu() - cpu;
    atomic_store(&worker->done, true);
    return NULL;
}
