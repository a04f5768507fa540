/* Starts the threads of a load, says each second how it goes, and adds up what they counted.
 * Refuses to know how a request is made. */
#include "sluice_load/load.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice_load/clock.h"
#include "sluice_load/histogram.h"
#include "sluice_load/target.h"
#include "sluice_load/units.h"
#include "sluice_load/worker.h"

/* Written by a signal handler, read by all threads. */
static atomic_bool interrupted;

void load_interrupt(void)
{
    atomic_store(&interrupted, true);
}

bool load_interrupted(void)
{
    return atomic_load(&interrupted);
}

const char *load_failure_name(enum load_failure failure)
{
    static const char *const names[] = {
        [LOAD_FAILED_CONNECT] = "connect",   [LOAD_FAILED_HANDSHAKE] = "handshake",
        [LOAD_FAILED_BROKEN] = "broken",     [LOAD_FAILED_SHORT] = "short",
        [LOAD_FAILED_PROTOCOL] = "protocol", [LOAD_FAILED_STATUS] = "status",
        [LOAD_FAILED_MISMATCH] = "mismatch", [LOAD_FAILED_TIMEOUT] = "timeout",
    };

    return names[failure];
}

/* ---- what is asked ---- */

static size_t count_requests(const struct load_options *options)
{
    return options->paths != NULL ? options->path_count : options->target_count;
}

static int make_request(const struct load_options *options, size_t number, struct worker_request *request)
{
    const struct target *target = &options->targets[number % options->target_count];

    int size;

    if (!target->http) {
        request->size = options->payload != NULL ? options->send_size : 0;
        return 0;
    }
    size = asprintf(
        &request->data, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice-load/%s\r\n%s%s%s%s%s\r\n",
        options->head ? "HEAD" : "GET", options->paths != NULL ? options->paths[number] : target->path,
        target->authority, SLUICE_VERSION, options->range != NULL ? "Range: bytes=" : "",
        options->range != NULL ? options->range : "", options->range != NULL ? "\r\n" : "",
        options->headers != NULL ? options->headers : "", options->keep_alive ? "" : "Connection: close\r\n");
    if (size == -1) {
        request->data = NULL;
        return -1;
    }
    request->size = (uint64_t)size;
    return 0;
}

static struct worker_request *make_requests(const struct load_options *options)
{
    size_t count = count_requests(options);
    struct worker_request *requests = calloc(count, sizeof(*requests));

    for (size_t i = 0; requests != NULL && i < count; i++) {
        if (make_request(options, i, &requests[i]) == -1)
            return NULL;
    }
    return requests;
}

static void free_requests(struct worker_request *requests, size_t count)
{
    for (size_t i = 0; requests != NULL && i < count; i++)
        free(requests[i].data);
    free(requests);
}

/* ---- a line per second ---- */

struct sums {
    uint64_t requests, bytes, failures, late;
    bool done;
};

static struct sums sum_up(const struct worker *workers, unsigned count)
{
    struct sums sums = {.done = true};

    for (unsigned i = 0; i < count; i++) {
        const struct worker_counts *counts = &workers[i].counts;

        sums.requests += worker_counted(&counts->requests);
        sums.bytes += worker_counted(&counts->bytes);
        sums.late += worker_counted(&counts->late);
        for (int f = 0; f < LOAD_FAILURES; f++)
            sums.failures += worker_counted(&counts->failures[f]);
        sums.done = sums.done && atomic_load(&workers[i].done);
    }
    return sums;
}

static void print_live(const char *name, const struct sums *now, const struct sums *before, double elapsed,
                       double step)
{
    char rate[UNITS_TEXT], requests[UNITS_TEXT], late[64] = "";

    if (now->late > 0)
        snprintf(late, sizeof(late), ", %" PRIu64 " late", now->late);
    fprintf(stderr, "%s%5.0f s  %s requests/s  %s  %" PRIu64 " done, %" PRIu64 " failed%s\n", name, elapsed,
            units_count(requests, (double)(now->requests - before->requests) / step),
            units_rate(rate, (double)(now->bytes - before->bytes) / step), now->requests, now->failures,
            late);
}

static void watch(const struct load_options *options, const struct worker *workers, unsigned count)
{
    uint64_t start = clock_ns(), last = start;
    struct sums before = {0}, now;

    while (!(now = sum_up(workers, count)).done) {
        uint64_t time = clock_ns();

        if (options->live != NULL && time - last >= NS_PER_S) {
            print_live(options->live, &now, &before, (double)(time - start) / 1e9,
                       (double)(time - last) / 1e9);
            before = now;
            last = time;
        }
        /* Short beside a second, long beside a request. Ends early at an interruption. */
        usleep(5000);
    }
}

/* ---- starting, and the sum ---- */

static void add_worker(struct load_result *result, const struct worker *worker)
{
    const struct worker_counts *counts = &worker->counts;

    result->requests += worker_counted(&counts->requests);
    result->bytes += worker_counted(&counts->bytes);
    result->bytes_sent += worker_counted(&counts->bytes_sent);
    result->connections += worker_counted(&counts->connections);
    result->resumed += worker_counted(&counts->resumed);
    for (int i = 0; i < LOAD_FAILURES; i++) {
        result->failures[i] += worker_counted(&counts->failures[i]);
        result->failed += worker_counted(&counts->failures[i]);
    }
    for (int i = 0; i < 6; i++)
        result->statuses[i] += worker_counted(&counts->statuses[i]);
    result->unfinished += worker->unfinished;
    result->not_started += worker->not_started;
    result->client_cpu += worker->cpu;
    if (result->first_failure[0] == '\0')
        memcpy(result->first_failure, worker->first_failure, sizeof(result->first_failure));
    histogram_merge(result->latency, worker->latency);
    histogram_merge(result->connect, worker->connect);
    if (worker->corrected != NULL)
        histogram_merge(result->corrected, worker->corrected);
}

/* A share of n for number i of count; all of them together are n. */
static uint64_t share(uint64_t n, unsigned i, unsigned count)
{
    return n / count + (i < n % count ? 1 : 0);
}

static int set_up_workers(const struct load_options *options, const struct worker_request *requests,
                          struct worker *workers, unsigned count)
{
    uint64_t start = clock_ns();

    for (unsigned i = 0; i < count; i++)
        workers[i].epoll = -1;
    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &workers[i];

        worker->options = options;
        worker->requests = requests;
        worker->request_count = count_requests(options);
        worker->client_count = (unsigned)share(options->connections, i, count);
        worker->quota = options->requests > 0 ? share(options->requests, i, count) : UINT64_MAX;
        worker->start_ns = start;
        worker->random = i + 1;
        worker->next_request = i * worker->request_count / count;
        worker->deadline_ns = options->duration_ns > 0 ? start + options->duration_ns : 0;
        schedule_init(&worker->schedule, options->rate, start, i, count);
        if (worker_init(worker) == -1) {
            unsigned long error = ERR_get_error();

            fprintf(stderr, "sluice-load: cannot set up a load: %s\n",
                    error != 0 ? ERR_reason_error_string(error) : strerror(errno));
            return -1;
        }
    }
    return 0;
}

/* Signals are the caller's thread's. */
static unsigned start_workers(struct worker *workers, unsigned count)
{
    sigset_t all, before;
    unsigned started = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (started < count &&
           pthread_create(&workers[started].thread, NULL, worker_main, &workers[started]) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void run_workers(const struct load_options *options, struct worker *workers, unsigned count,
                        struct load_result *result)
{
    uint64_t end = 0, start = workers[0].start_ns;

    watch(options, workers, count);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        add_worker(result, &workers[i]);
        end = workers[i].end_ns > end ? workers[i].end_ns : end;
    }
    result->seconds = end > start ? (double)(end - start) / 1e9 : 0;
    result->interrupted = load_interrupted();
}

static int new_result(struct load_result *result)
{
    memset(result, 0, sizeof(*result));
    result->latency = histogram_new();
    result->corrected = histogram_new();
    result->connect = histogram_new();
    return result->latency != NULL && result->corrected != NULL && result->connect != NULL ? 0 : -1;
}

int load_run(const struct load_options *options, struct load_result *result)
{
    unsigned count = options->threads < options->connections ? options->threads : options->connections,
             started;
    struct worker_request *requests = make_requests(options);
    struct worker *workers = calloc(count, sizeof(*workers));
    int status = -1;

    if (new_result(result) == -1 || requests == NULL || workers == NULL) {
        fprintf(stderr, "sluice-load: no memory\n");
        goto free_all;
    }
    if (set_up_workers(options, requests, workers, count) == -1)
        goto free_workers;
    started = start_workers(workers, count);
    if (started < count) {
        fprintf(stderr, "sluice-load: cannot start a thread\n");
        load_interrupt();
    }
    if (started > 0)
        run_workers(options, workers, started, result);
    status = started == count ? 0 : -1;
free_workers:
    for (unsigned i = 0; i < count; i++)
        worker_free(&workers[i]);
free_all:
    free_requests(requests, count_requests(options));
    free(workers);
    return status;
}

void load_result_free(struct load_result *result)
{
    histogram_free(result->latency);
    histogram_free(result->corrected);
    histogram_free(result->connect);
    memset(result, 0, sizeof(*result));
}
