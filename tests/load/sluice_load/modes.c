/* Runs Sluice with each mode forced, over the matrix, and holds every row to the path that Sluice says it
 * took. Refuses to know how the results are shown. */
#include "sluice_load/modes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice_load/clock.h"
#include "sluice_load/histogram.h"
#include "sluice_load/target.h"
#include "sluice_load/units.h"

const struct mode modes_all[] = {
    {"relay",
     "copy",
     "relay_copy",
     false,
     false,
     false,
     {"copy", "none", "none"},
     "proxy = \"origin\"; relay = \"copy\";"},
    {"relay",
     "splice",
     "relay_splice",
     false,
     false,
     false,
     {"splice", "none", "none"},
     "proxy = \"origin\"; relay = \"splice\";"},
    {"relay",
     "auto",
     "relay_auto",
     false,
     false,
     false,
     {NULL, "none", "none"},
     "proxy = \"origin\"; relay = \"auto\";"},
    {"files",
     "copy",
     "files_copy",
     false,
     true,
     false,
     {"copy", "none", "none"},
     "files = \"www\"; relay = \"copy\";"},
    {"files",
     "mmap",
     "files_mmap",
     false,
     true,
     false,
     {"mmap", "none", "none"},
     "files = \"www\"; relay = \"mmap\";"},
    {"files",
     "sendfile",
     "files_sendfile",
     false,
     true,
     false,
     {"sendfile", "none", "none"},
     "files = \"www\"; relay = \"sendfile\";"},
    {"files-tls",
     "user",
     "files_tls_user",
     true,
     true,
     false,
     {"copy", "none", "user"},
     "files = \"www\"; tls = \"user\";"},
    {"files-tls",
     "ktls",
     "files_tls_ktls",
     true,
     true,
     true,
     {"sendfile", "none", "ktls"},
     "files = \"www\"; tls = \"ktls\";"},
    {"relay-tls",
     "user",
     "relay_tls_user",
     true,
     false,
     false,
     {"copy", "none", "user"},
     "proxy = \"origin\"; tls = \"user\";"},
    {"relay-tls",
     "ktls",
     "relay_tls_ktls",
     true,
     false,
     true,
     {"splice", "none", "ktls"},
     "proxy = \"origin\"; tls = \"ktls\"; relay = \"splice\";"},
};

const size_t modes_count = sizeof(modes_all) / sizeof(modes_all[0]);

struct sluice {
    struct server server;
    char admin[128];
    char addresses[sizeof(modes_all) / sizeof(modes_all[0])][128];
};

static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; at != NULL && *at != '\0'; at += strcspn(at, ",")) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return list == NULL;
}

static bool is_wanted(const struct modes_options *options, const struct mode *mode, bool ktls)
{
    return is_listed(options->only, mode->group) && (!mode->ktls || ktls);
}

/* ---- Sluice ---- */

/* By Sluice's own probe: one cipher and version that the kernel takes over is enough. */
static bool kernel_has_ktls(const struct bench *bench)
{
    const char *argv[] = {bench->sluice, "probe", "--json", NULL};
    json_t *probe = server_run_json(&bench->workspace, argv), *ciphers, *cipher;
    const char *version, *name;
    bool found = false;

    json_object_foreach(json_object_get(probe, "ktls"), version, ciphers)
    {
        json_object_foreach(ciphers, name, cipher)
        {
            found = found || json_is_true(json_object_get(cipher, "tx"));
        }
    }
    json_decref(probe);
    return found;
}

static int write_conf(const struct bench *bench, const struct modes_options *options, bool ktls)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int status;

    if (out == NULL)
        return -1;
    fputs("workers = 1;\nlog = { access = \"off\"; };\nadmin = { listen = \"127.0.0.1:0\"; };\n", out);
    if (options->pipe_size != NULL)
        fprintf(out, "pipe_size = \"%s\";\n", options->pipe_size);
    fputs("tls = {\n", out);
    for (int i = 0; i < 2; i++)
        fprintf(out, "  %s = { certs = ( { cert = \"cert.pem\"; key = \"key.pem\"; } ); ktls = \"%s\"; };\n",
                i == 0 ? "user" : "ktls", i == 0 ? "off" : "auto");
    fprintf(
        out,
        "};\nfiles = { www = { root = \"www\"; }; };\nbackends = { origin = { servers = ( \"%s\" ); }; };\n",
        bench->origin_http);
    fputs("listeners = {\n", out);
    for (size_t i = 0; i < modes_count; i++) {
        if (is_wanted(options, &modes_all[i], ktls))
            fprintf(out, "  %s = { address = \"127.0.0.1:0\"; %s };\n", modes_all[i].listener,
                    modes_all[i].definition);
    }
    fputs("};\n", out);
    status = fclose(out) == 0 ? workspace_write(&bench->workspace, "sluice.conf", text) : -1;
    free(text);
    return status;
}

static int write_files(const struct bench *bench, const struct modes_options *options)
{
    char name[WORKSPACE_PATH];

    if (mkdir(workspace_path(&bench->workspace, "www", name), 0755) == -1)
        return -1;
    for (size_t i = 0; i < options->size_count; i++) {
        snprintf(name, sizeof(name), "www/%" PRIu64, options->sizes[i]);
        if (workspace_write_content(&bench->workspace, name, options->sizes[i]) == -1)
            return -1;
    }
    return 0;
}

static int start_sluice(const struct bench *bench, const struct modes_options *options, bool ktls,
                        struct sluice *sluice)
{
    char conf[WORKSPACE_PATH];
    const char *argv[] = {bench->sluice, "run", "-c", workspace_path(&bench->workspace, "sluice.conf", conf),
                          NULL};
    struct server_start start = {
        .name = "sluice", .argv = argv, .cpus = bench->pinned ? &bench->server_cpus : NULL};

    if (write_files(bench, options) == -1 || write_conf(bench, options, ktls) == -1)
        return -1;
    if (server_start(&sluice->server, &bench->workspace, &start) == -1 ||
        server_wait_address(&sluice->server, "admin", sluice->admin) == -1)
        return -1;
    for (size_t i = 0; i < modes_count; i++) {
        if (is_wanted(options, &modes_all[i], ktls) &&
            server_wait_address(&sluice->server, modes_all[i].listener, sluice->addresses[i]) == -1)
            return -1;
    }
    return 0;
}

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
    const struct sluice *sluice;
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

static int add_row(struct modes_result *result, const struct modes_row *row)
{
    struct modes_row *grown = realloc(result->rows, (result->count + 1) * sizeof(*grown));

    if (grown == NULL)
        return -1;
    result->rows = grown;
    result->rows[result->count++] = *row;
    return 0;
}

/* Over TLS the kernel cannot throw away what is still encrypted: there, trunc is copy. */
static bool drain_applies(const struct modes_options *options, const struct mode *mode, size_t i)
{
    if (!mode->https || options->drains[i] != DRAIN_TRUNC)
        return true;
    for (size_t other = 0; other < options->drain_count; other++) {
        if (options->drains[other] == DRAIN_COPY)
            return false;
    }
    return true;
}

static int add_cell(struct modes_result *result, const struct modes_options *options, struct modes_row row,
                    size_t drain)
{
    const char *group = row.mode->group;

    for (size_t m = 0; m < modes_count; m++) {
        const struct mode *mode = &modes_all[m];

        if (strcmp(mode->group, group) != 0 || !is_wanted(options, mode, result->ktls) ||
            !drain_applies(options, mode, drain))
            continue;
        row.mode = mode;
        row.drain =
            mode->https && options->drains[drain] == DRAIN_TRUNC ? DRAIN_COPY : options->drains[drain];
        if (add_row(result, &row) == -1)
            return -1;
    }
    return 0;
}

#define COLD_SIZE_MIN 1000000

static int add_group(struct modes_result *result, const struct modes_options *options,
                     const struct mode *first)
{
    for (size_t d = 0; d < options->drain_count; d++) {
        for (size_t s = 0; s < options->size_count; s++) {
            struct modes_row row = {.mode = first, .size = options->sizes[s]};

            for (size_t c = 0; c < options->connections_count; c++) {
                row.connections = options->connections[c];
                if (add_cell(result, options, row, d) == -1)
                    return -1;
            }
            row.connections = 1;
            row.cold = true;
            if (options->cold && first->files && row.size >= COLD_SIZE_MIN &&
                add_cell(result, options, row, d) == -1)
                return -1;
        }
    }
    return 0;
}

static int make_rows(struct modes_result *result, const struct modes_options *options)
{
    for (size_t m = 0; m < modes_count; m++) {
        bool first = m == 0 || strcmp(modes_all[m - 1].group, modes_all[m].group) != 0;

        if (first && is_wanted(options, &modes_all[m], true) &&
            add_group(result, options, &modes_all[m]) == -1)
            return -1;
    }
    return 0;
}

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
static int run_cell(const struct bench *bench, const struct sluice *sluice, struct modes_row *rows,
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

static int run_rows(const struct bench *bench, const struct sluice *sluice, struct modes_result *result)
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
    struct sluice sluice = {0};
    int status = -1;

    memset(result, 0, sizeof(*result));
    result->ktls = kernel_has_ktls(bench);
    if (make_rows(result, options) == 0 && start_sluice(bench, options, result->ktls, &sluice) == 0)
        status = run_rows(bench, &sluice, result);
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
