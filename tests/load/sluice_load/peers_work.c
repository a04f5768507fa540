/* Does the work of a contest once, through one participant, and takes its figures.
 * Refuses to know whose turn it is and who is better. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_load/clock.h"
#include "sluice_load/histogram.h"
#include "sluice_load/idle.h"
#include "sluice_load/peers.h"
#include "sluice_load/target.h"

#define MESSAGE_SIZE 1024
#define PAYLOAD_SIZE 65536

/* Both sides can do it, so it does not depend on whose preference is followed. */
#define CIPHERSUITE "TLS_AES_128_GCM_SHA256"

struct job {
    struct target target;
    struct content payload;
    struct load_options load;
};

static enum peer_port port_of(const struct contest *contest, const struct peer *peer)
{
    /* Against ourselves: the side is told apart by the port that the caller put into the contest. */
    return peer->id == PEER_SLUICE ? contest->ours : contest->theirs;
}

static int set_target(struct job *job, const struct contest *contest, const char *address, uint64_t size)
{
    char url[256];

    snprintf(url, sizeof(url), "%s://%s/%" PRIu64, contest->https ? "https" : "http", address, size);
    return target_parse_url(url, false, &job->target) == TARGET_GOOD ? 0 : -1;
}

/* Large things by the number, small ones by the time. */
static int make_bulk(struct job *job, const struct peers_options *options, const struct contest *contest,
                     const char *address)
{
    job->load.requests = contest->connections;
    job->load.duration_ns = 0;
    job->load.keep_alive = false;
    job->load.drain = contest->https ? DRAIN_COPY : DRAIN_TRUNC;
    return set_target(job, contest, address, options->bulk_size);
}

static int make_requests(struct job *job, const struct site *site, const struct contest *contest,
                         const char *address)
{
    const struct site_paths *paths = &site->directories[contest->directory];

    job->load.paths = paths->paths;
    job->load.path_count = paths->count;
    job->load.draw = contest->work == WORK_REQUESTS;
    if (contest->work == WORK_COLD) {
        site_evict(site, contest->directory);
        job->load.requests = paths->count;
        job->load.duration_ns = 0;
    }
    return set_target(job, contest, address, contest->size);
}

static int make_echo(struct job *job, const char *address)
{
    if (content_generate(&job->payload, PAYLOAD_SIZE) == -1)
        return -1;
    job->load.payload = &job->payload;
    job->load.send_size = job->load.receive_size = MESSAGE_SIZE;
    return target_parse_address(address, false, &job->target) == TARGET_GOOD ? 0 : -1;
}

static int make_job(struct job *job, const struct bench *bench, const struct peers_options *options,
                    const struct contest *contest, const struct peer *peer)
{
    const char *address = peer->addresses[port_of(contest, peer)];

    memset(job, 0, sizeof(*job));
    bench_load_options(bench, &job->load);
    bench_hurry_origin(bench, contest->work != WORK_ECHO && contest->work != WORK_ECHO_CONNECTIONS);
    job->load.targets = &job->target;
    job->load.target_count = 1;
    job->load.connections = contest->connections;
    job->load.tls.version = TLS1_3_VERSION;
    job->load.tls.ciphersuite = CIPHERSUITE;
    job->load.tls.resume = contest->resume;
    switch (contest->work) {
    case WORK_BULK:
    case WORK_MIXED:
        return make_bulk(job, options, contest, address);
    case WORK_REQUESTS:
    case WORK_COLD:
        return make_requests(job, options->site, contest, address);
    case WORK_CONNECTIONS:
        job->load.keep_alive = false;
        return set_target(job, contest, address, SITE_SMALL);
    case WORK_ECHO_CONNECTIONS:
        job->load.keep_alive = false;
        job->load.sources = BENCH_ORIGIN_ADDRESSES;
        return make_echo(job, address);
    case WORK_ECHO:
        return make_echo(job, address);
    case WORK_IDLE:
        break;
    }
    return 0;
}

static void take_figures(struct contest_side *side, const struct bench_sample *sample)
{
    const struct load_result *load = &sample->load;
    double cpu = sample->measure.server_cpu;

    spread_add(&side->figures[METRIC_CPU_PER_GB], load->bytes > 0 ? cpu * 1e9 / (double)load->bytes : 0);
    spread_add(&side->figures[METRIC_THROUGHPUT], (double)load->bytes / 1e9 / load->seconds);
    spread_add(&side->figures[METRIC_REQUEST_RATE], (double)load->requests / load->seconds);
    spread_add(&side->figures[METRIC_CPU_PER_REQUEST], cpu * 1e6 / (double)load->requests);
    spread_add(&side->figures[METRIC_P99], (double)histogram_percentile(load->latency, 99) / 1e6);
    spread_add(&side->others, sample->others);
    side->client_limited += sample->client_limited;
}

/* ---- small requests beside bulk ---- */

struct background {
    const struct load_options *load;
    struct load_result result;
    int status;
};

static void *run_background(void *data)
{
    struct background *background = data;

    background->status = load_run(background->load, &background->result);
    return NULL;
}

/* The bulk goes on for as long as the small ones are asked; what is in flight then is dropped. The small
 * ones' thread and the echo are urgent, so that it is the proxy that is waited for, not the client's own
 * turn. */
static int run_mixed(const struct bench *bench, struct job *bulk, const struct peer *peer,
                     struct contest_side *side)
{
    struct background background = {.load = &bulk->load, .status = -1};
    struct bench_sample sample;
    struct job echo;
    pthread_t thread;
    int status;

    memset(&echo, 0, sizeof(echo));
    bench_load_options(bench, &echo.load);
    echo.load.targets = &echo.target;
    echo.load.target_count = 1;
    echo.load.urgent = true;
    echo.load.duration_ns = 3 * bench->options.seconds_ns;
    bulk->load.requests = 0;
    bulk->load.duration_ns = echo.load.duration_ns;
    bulk->load.finish = false;
    bulk->load.keep_alive = true;
    if (make_echo(&echo, peer->addresses[PORT_ECHO]) == -1)
        return -1;
    if (pthread_create(&thread, NULL, run_background, &background) != 0) {
        content_close(&echo.payload);
        return -1;
    }
    status = bench_run(bench, &echo.load, &peer->pids, &sample);
    pthread_join(thread, NULL);
    if (status == 0) {
        take_figures(side, &sample);
        bench_sample_free(&sample);
    }
    status = status == 0 && background.status == 0 && background.result.failed == 0 ? 0 : -1;
    load_result_free(&background.result);
    content_close(&echo.payload);
    return status;
}

/* ---- a turn ---- */

/* Sessions are resumed, or what is called so would be something else. */
static int check_resumption(const struct contest *contest, const struct load_result *load, char why[200])
{
    uint64_t full = load->connections - load->resumed;

    if (!contest->https || contest->work != WORK_CONNECTIONS)
        return 0;
    if (!contest->resume && load->resumed == 0)
        return 0;
    if (contest->resume && full <= 2 * contest->connections)
        return 0;
    snprintf(why, 200, "%" PRIu64 " of %" PRIu64 " sessions were resumed", load->resumed, load->connections);
    return -1;
}

static int run_job(const struct bench *bench, const struct contest *contest, struct job *job,
                   const struct peer *peer, struct contest_side *side, char why[200])
{
    struct bench_sample sample;
    int status;

    if (contest->work == WORK_MIXED)
        return run_mixed(bench, job, peer, side);
    if (bench_run(bench, &job->load, &peer->pids, &sample) == -1)
        return -1;
    status = check_resumption(contest, &sample.load, why);
    if (status == 0)
        take_figures(side, &sample);
    bench_sample_free(&sample);
    return status;
}

int peers_turn(const struct bench *bench, const struct peers_options *options, const struct contest *contest,
               const struct peer *peer, struct contest_side *side, char why[200])
{
    struct job job;
    double memory;
    int status = -1;

    snprintf(why, 200, "%s failed", peer_name(peer->id));
    if (contest->work == WORK_IDLE) {
        status =
            idle_measure(peer->addresses[port_of(contest, peer)], options->idle, &peer->pids, &memory, why);
        if (status == 0)
            spread_add(&side->figures[METRIC_MEMORY], memory);
        return status;
    }
    if (make_job(&job, bench, options, contest, peer) == 0)
        status = run_job(bench, contest, &job, peer, side, why);
    content_close(&job.payload);
    return status;
}

int peers_count_turn(const struct bench *bench, const struct peers_options *options,
                     const struct contest *contest, const struct peer *peer, struct contest_side *side,
                     const char **syscalls_why, char why[200])
{
    struct job job;
    int status = -1;

    if (contest->work == WORK_IDLE || contest->work == WORK_MIXED)
        return 0;
    snprintf(why, 200, "%s failed", peer_name(peer->id));
    if (make_job(&job, bench, options, contest, peer) == 0)
        status = bench_count_syscalls(bench, &job.load, &peer->pids, &side->syscalls_per_byte,
                                      &side->syscalls_per_request, syscalls_why);
    content_close(&job.payload);
    return status;
}
