/* Runs Sluice with each mode forced, over the matrix, and holds every row to the path that Sluice says it
 * took. Refuses to know how the results are shown. */
#include "sluice_load/modes_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice_load/clock.h"
#include "sluice_load/histogram.h"
#include "sluice_load/target.h"
#include "sluice_load/units.h"

/* ---- one run ---- */

/* Out of the page cache, so that the next to read it waits for the disk. */
static void evict(const struct bench *bench, uint64_t size)
{
    char name[64], path[WORKSPACE_PATH];
    int fd;

    snprintf(name, sizeof(name), "www/%" PRIu64, size);
    fd = open(workspace_path(&bench->workspace, name, path), O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

struct run {
    const struct bench *bench;
    const struct modes_sluice *sluice;
    struct modes_row *row;
    struct target target;
    struct content content;
    struct load_options load;
};

/* Content is read from another file than the one served: it stays in the cache while that is evicted. */
static int prepare(struct run *run)
{
    const struct modes_row *row = run->row;
    char url[256], path[WORKSPACE_PATH];

    snprintf(url, sizeof(url), "%s://%s/%" PRIu64, row->mode->https ? "https" : "http",
             run->sluice->addresses[row->mode - modes_all], row->size);
    if (target_parse_url(url, false, &run->target) != TARGET_GOOD)
        return -1;
    bench_load_options(run->bench, &run->load);
    run->load.targets = &run->target;
    run->load.target_count = 1;
    run->load.connections = row->connections;
    run->load.drain = row->drain;
    if (row->cold) {
        run->load.requests = 1;
        run->load.duration_ns = 0;
    }
    if (row->drain != DRAIN_VERIFY)
        return 0;
    if (content_open(&run->content, workspace_path(&run->bench->workspace, "content", path)) == -1)
        return -1;
    /* What is served is the beginning of the content. */
    run->content.cyclic = true;
    run->load.content = &run->content;
    return 0;
}

/* Whether what went through the listener took the path that the row is named for. */
static bool check_paths(struct run *run, const struct paths *before, uint64_t received)
{
    struct modes_row *row = run->row;
    const struct path *stray;
    uint64_t told = 0;
    char reasons[128];

    if (bench_account(run->sluice->admin, row->mode->listener, &row->paths) == -1) {
        snprintf(row->failed, sizeof(row->failed), "no account of it");
        return false;
    }
    paths_subtract(&row->paths, before);
    stray = paths_stray(&row->paths, &row->mode->expected);
    if (stray != NULL) {
        snprintf(row->fell_back, sizeof(row->fell_back), "%s, %s to %s: %s", stray->mode,
                 stray->source_crypto, stray->sink_crypto, path_reasons_text(stray, reasons));
        return false;
    }
    for (size_t i = 0; i < row->paths.count; i++) {
        if (strcmp(row->paths.list[i].direction, "to_client") == 0)
            told += row->paths.list[i].bytes;
    }
    if (told < received) {
        snprintf(row->fell_back, sizeof(row->fell_back),
                 "%" PRIu64 " bytes came, but it accounts for %" PRIu64 " only", received, told);
        return false;
    }
    return true;
}

static void add_sample(struct modes_row *row, const struct bench_sample *sample)
{
    double bytes = (double)sample->load.bytes, requests = (double)sample->load.requests;
    uint64_t all = row->paths.user_bytes + row->paths.kernel_bytes;

    row->bytes += sample->load.bytes;
    row->requests += sample->load.requests;
    spread_add(&row->throughput, bytes / sample->load.seconds);
    spread_add(&row->request_rate, requests / sample->load.seconds);
    spread_add(&row->server_cpu, sample->measure.server_cpu / bytes);
    spread_add(&row->client_cpu, sample->measure.client_cpu / bytes);
    spread_add(&row->system_cpu, sample->measure.system_cpu / bytes);
    spread_add(&row->switches, (double)sample->measure.switches / bytes);
    spread_add(&row->request_cpu, sample->measure.server_cpu / requests);
    row->user_per_byte = all > 0 ? (double)row->paths.user_bytes / (double)all : 0;
    row->client_limited += sample->client_limited;
    spread_add(&row->others, sample->others);
    if (row->latency == NULL)
        row->latency = histogram_new();
    if (row->latency != NULL)
        histogram_merge(row->latency, sample->load.latency);
}

/* With system calls counted (then for nothing else) or measured. A row that fell back or failed once stays
 * that. */
static int run_row(struct run *run, bool count_syscalls, const char **why)
{
    struct modes_row *row = run->row;
    struct measure_pids pids = {.pids = {run->sluice->server.pid}, .count = 1};
    struct bench_sample sample;
    struct paths before;
    int status;

    if (row->fell_back[0] != '\0' || row->failed[0] != '\0')
        return 0;
    if (bench_account(run->sluice->admin, row->mode->listener, &before) == -1)
        return -1;
    if (row->cold)
        evict(run->bench, row->size);
    if (count_syscalls) {
        status =
            bench_count_syscalls(run->bench, &run->load, &pids, &row->syscalls, &row->request_syscalls, why);
        if (status == 0)
            check_paths(run, &before, 0);
    } else {
        status = bench_run(run->bench, &run->load, &pids, &sample);
        if (status == 0) {
            if (check_paths(run, &before, sample.load.bytes))
                add_sample(row, &sample);
            bench_sample_free(&sample);
        }
    }
    if (status == -1 && !load_interrupted()) {
        /* A forced mode that cannot be had resets the connection: that, too, is told by the account. */
        if (check_paths(run, &before, 0) && row->failed[0] == '\0')
            snprintf(row->failed, sizeof(row->failed), "the load failed");
    }
    return load_interrupted() ? -1 : 0;
}

/* ---- the matrix ---- */

static void progress(const struct bench *bench, uint64_t began, const struct modes_result *result,
                     size_t done)
{
    const struct modes_row *row = &result->rows[done];
    char what[128], size[UNITS_TEXT];

    snprintf(what, sizeof(what), "%s, %s x %u, drain %s%s", row->mode->group,
             units_size(size, (double)row->size), row->connections, drain_name(row->drain),
             row->cold ? ", cold" : "");
    bench_progress(bench, began, (unsigned)done, (unsigned)result->count, what);
}

/* The modes of a cell in turn, over and over: what disturbs the machine disturbs all of them. */
static int run_cell(const struct bench *bench, const struct modes_sluice *sluice, struct modes_row *rows,
                    size_t count, const char **why)
{
    struct run *runs = calloc(count, sizeof(*runs));
    int status = runs != NULL ? 0 : -1;

    for (size_t i = 0; status == 0 && i < count; i++) {
        runs[i].bench = bench;
        runs[i].sluice = sluice;
        runs[i].row = &rows[i];
        status = prepare(&runs[i]);
        /* Warms it up, besides. */
        if (status == 0)
            status = run_row(&runs[i], true, why);
    }
    for (unsigned turn = 0; turn < bench->options.repeat; turn++) {
        for (size_t i = 0; status == 0 && i < count; i++)
            status = run_row(&runs[i], false, why);
    }
    for (size_t i = 0; runs != NULL && i < count; i++)
        content_close(&runs[i].content);
    free(runs);
    return status;
}

static int run_rows(const struct bench *bench, const struct modes_sluice *sluice, struct modes_result *result)
{
    uint64_t began = clock_ns();
    size_t length;

    for (size_t i = 0; i < result->count; i += length) {
        length = modes_cell_length(&result->rows[i], result->count - i);
        progress(bench, began, result, i);
        if (run_cell(bench, sluice, &result->rows[i], length, &result->syscalls_why) == -1) {
            result->interrupted = load_interrupted();
            result->count = i; /* an interruption leaves what is complete */
            return result->interrupted ? 0 : -1;
        }
    }
    return 0;
}

int modes_run(struct bench *bench, const struct modes_options *options, struct modes_result *result)
{
    struct modes_sluice sluice = {0};
    int status = -1;

    memset(result, 0, sizeof(*result));
    result->ktls = modes_kernel_has_ktls(bench);
    if (modes_matrix_make(result, options) == 0 &&
        modes_sluice_start(bench, options, result->ktls, &sluice) == 0)
        status = run_rows(bench, &sluice, result);
    if (status == -1)
        server_has_ended(&sluice.server);
    server_stop(&sluice.server);
    modes_rank(result->rows, result->count);
    return status;
}

void modes_result_free(struct modes_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        histogram_free(result->rows[i].latency);
    free(result->rows);
    memset(result, 0, sizeof(*result));
}

bool modes_result_good(const struct modes_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        if (result->rows[i].fell_back[0] != '\0' || result->rows[i].failed[0] != '\0')
            return false;
    }
    return result->count > 0;
}
