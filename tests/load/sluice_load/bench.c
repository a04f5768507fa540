/* The place of a comparison and its measured runs.
 * Refuses to know which servers are compared. */
#include "sluice_load/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sluice_load/clock.h"
#include "sluice_load/report.h"
#include "sluice_load/units.h"

#define QUIET_NS (15 * NS_PER_S)

static int find_programs(struct bench *bench)
{
    char directory[WORKSPACE_PATH];
    ssize_t n = readlink("/proc/self/exe", bench->self, sizeof(bench->self) - 1);

    if (n <= 0)
        return -1;
    bench->self[n] = '\0';
    snprintf(directory, sizeof(directory), "%s", bench->self);
    if (bench->options.sluice != NULL)
        snprintf(bench->sluice, sizeof(bench->sluice), "%s", bench->options.sluice);
    else
        snprintf(bench->sluice, sizeof(bench->sluice), "%.500s/sluice", dirname(directory));
    if (access(bench->sluice, X_OK) == 0)
        return 0;
    fprintf(stderr, "sluice-load: %s: %s\n", bench->sluice, strerror(errno));
    return -1;
}

static void divide_processors(struct bench *bench)
{
    cpu_set_t all;
    size_t last = 0;

    if (!bench->options.pin || sched_getaffinity(0, sizeof(all), &all) == -1 || CPU_COUNT(&all) < 2)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all))
            last = cpu;
    }
    CPU_ZERO(&bench->server_cpus);
    CPU_SET(last, &bench->server_cpus);
    bench->client_cpus = all;
    CPU_CLR(last, &bench->client_cpus);
    bench->pinned = true;
}

void bench_hurry_origin(const struct bench *bench, bool urgent)
{
    setpriority(PRIO_PROCESS, (id_t)bench->origin.pid, urgent ? BENCH_URGENT : 0);
}

static int start_origin(struct bench *bench)
{
    char content[WORKSPACE_PATH];
    const char *argv[] = {bench->self,
                          "origin",
                          "--content",
                          workspace_path(&bench->workspace, "content", content),
                          bench->options.sendfile ? "--sendfile" : NULL,
                          NULL};
    struct server_start start = {
        .name = "origin", .argv = argv, .cpus = bench->pinned ? &bench->client_cpus : NULL};

    if (server_start(&bench->origin, &bench->workspace, &start) == -1)
        return -1;
    bench->helpers.pids[bench->helpers.count++] = bench->origin.pid;
    bench_hurry_origin(bench, true);
    return server_wait_address(&bench->origin, "http", bench->origin_http) == 0 &&
                   server_wait_address(&bench->origin, "echo", bench->origin_echo) == 0
               ? 0
               : -1;
}

int bench_open(struct bench *bench, const struct bench_options *options, uint64_t largest)
{
    memset(bench, 0, sizeof(*bench));
    bench->options = *options;
    if (find_programs(bench) == -1)
        return -1;
    if (workspace_create(&bench->workspace) == -1) {
        fprintf(stderr, "sluice-load: %s: %s\n", bench->workspace.directory, strerror(errno));
        bench->workspace.directory[0] = '\0';
        return -1;
    }
    divide_processors(bench);
    if (workspace_write_content(&bench->workspace, "content", largest) == -1 ||
        workspace_write_certificate(&bench->workspace) == -1)
        return -1;
    return start_origin(bench);
}

void bench_close(struct bench *bench)
{
    server_stop(&bench->origin);
    workspace_remove(&bench->workspace);
}

void bench_load_options(const struct bench *bench, struct load_options *options)
{
    memset(options, 0, sizeof(*options));
    options->connections = 1;
    options->threads = bench->options.threads;
    options->duration_ns = bench->options.seconds_ns;
    options->finish = true;
    options->keep_alive = true;
    options->timeout_ns = 120 * NS_PER_S;
    options->receive_size = LOAD_UNTIL_END;
    options->cpus = bench->pinned ? &bench->client_cpus : NULL;
}

/* The client and the origin together: pinned, they share what the server does not have. */
static double client_cpus(const struct bench *bench, const struct load_options *options)
{
    return bench->pinned ? (double)CPU_COUNT(&bench->client_cpus) : report_client_cpus(options);
}

int bench_run(const struct bench *bench, const struct load_options *options,
              const struct measure_pids *server, struct bench_sample *sample)
{
    struct measure_point before, after;

    memset(sample, 0, sizeof(*sample));
    if (measure_take(server, &bench->helpers, &before) == -1) {
        fputs("sluice-load: the server is gone\n", stderr);
        return -1;
    }
    if (load_run(options, &sample->load) == -1)
        goto fail;
    if (measure_take(server, &bench->helpers, &after) == -1) {
        fputs("sluice-load: the server died under the load\n", stderr);
        goto fail;
    }
    measure_between(&before, &after, &sample->measure);
    sample->client_limited = report_client_limited(&sample->measure, client_cpus(bench, options), 1);
    sample->others = measure_others(&sample->measure);
    if (sample->load.interrupted)
        goto fail;
    if (sample->load.failed > 0 || sample->load.requests == 0) {
        fprintf(stderr, "sluice-load: %" PRIu64 " requests failed, %" PRIu64 " succeeded: %s\n",
                sample->load.failed, sample->load.requests, sample->load.first_failure);
        goto fail;
    }
    return 0;
fail:
    load_result_free(&sample->load);
    return -1;
}

void bench_sample_free(struct bench_sample *sample)
{
    load_result_free(&sample->load);
}

int bench_count_syscalls(const struct bench *bench, const struct load_options *options,
                         const struct measure_pids *server, double *per_byte, double *per_request,
                         const char **why)
{
    struct measure_syscalls *counter = measure_syscalls_start(server, why);
    struct bench_sample sample;
    uint64_t calls = 0;
    int status = bench_run(bench, options, server, &sample);

    *per_byte = *per_request = 0;
    if (counter != NULL)
        calls = measure_syscalls_stop(counter);
    if (status == -1)
        return -1;
    if (sample.load.bytes > 0)
        *per_byte = (double)calls / (double)sample.load.bytes;
    *per_request = (double)calls / (double)sample.load.requests;
    bench_sample_free(&sample);
    return 0;
}

int bench_account(const char *admin_address, const char *listener, struct paths *paths)
{
    uint64_t deadline = clock_ns() + QUIET_NS;

    do {
        json_t *status = server_fetch_json(admin_address, "/status.json");
        int read = status != NULL ? paths_read(status, listener, paths) : -1;

        json_decref(status);
        if (read == -1) {
            fprintf(stderr, "sluice-load: /status.json does not tell of the listener %s\n", listener);
            return -1;
        }
        if (paths->connections == 0)
            return 0;
        usleep(2000);
    } while (clock_ns() < deadline);
    fprintf(stderr, "sluice-load: the connections of %s do not end\n", listener);
    return -1;
}

bool bench_is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; at != NULL && *at != '\0'; at += strcspn(at, ",")) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return list == NULL;
}

/* ---- telling ---- */

static void processor_name(char name[128])
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];

    snprintf(name, 128, "unknown");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            snprintf(name, 128, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file != NULL)
        fclose(file);
}

json_t *bench_machine(void)
{
    struct utsname system;
    char processor[128];

    uname(&system);
    processor_name(processor);
    return json_pack("{s:s, s:s, s:i, s:s}", "kernel", system.release, "processor", processor, "processors",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
}

json_t *bench_json(const struct bench *bench)
{
    return json_pack("{s:i, s:f, s:b, s:s}", "repeat", (int)bench->options.repeat, "seconds",
                     (double)bench->options.seconds_ns / 1e9, "pinned", bench->pinned, "origin",
                     bench->options.sendfile ? "sendfile" : "send");
}

void bench_progress(const struct bench *bench, uint64_t began_ns, unsigned done, unsigned all,
                    const char *what)
{
    double elapsed = (double)(clock_ns() - began_ns) / 1e9;
    char left[UNITS_TEXT] = "";

    if (bench->options.quiet)
        return;
    if (done > 0)
        snprintf(left, sizeof(left), ", about %.0f s left", elapsed / done * (all - done));
    fprintf(stderr, "%u of %u: %s%s\n", done + 1, all, what, left);
}
