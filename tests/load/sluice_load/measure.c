/* Reads /proc and the clocks of other processes.
 * Refuses to know what they do. */
#include "sluice_load/measure.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sluice_load/clock.h"

static double clock_seconds(clockid_t clock)
{
    struct timespec time;

    if (clock_gettime(clock, &time) == -1)
        return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* To the nanosecond, with the threads that have ended: /proc/PID/stat counts in steps of 10 ms. */
static int process_cpu(pid_t pid, double *seconds)
{
    clockid_t clock;
    int error = clock_getcpuclockid(pid, &clock);

    if (error != 0) {
        errno = error;
        return -1;
    }
    *seconds = clock_seconds(clock);
    return 0;
}

static uint64_t status_switches(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[256];
    uint64_t sum = 0, value;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &value) == 1 ||
            sscanf(line, "nonvoluntary_ctxt_switches: %" SCNu64, &value) == 1)
            sum += value;
    }
    if (file != NULL)
        fclose(file);
    return sum;
}

static uint64_t process_switches(pid_t pid)
{
    char path[320];
    struct dirent *entry;
    uint64_t sum = 0;
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, entry->d_name);
        sum += status_switches(path);
    }
    if (tasks != NULL)
        closedir(tasks);
    return sum;
}

/* Busy is all but idle and waiting for a disk; what a hypervisor stole was nobody's here. */
static double system_cpu(void)
{
    FILE *file = fopen("/proc/stat", "re");
    double v[7] = {0}, busy = 0;

    if (file != NULL &&
        fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6]) == 7)
        busy = (v[0] + v[1] + v[2] + v[5] + v[6]) / (double)sysconf(_SC_CLK_TCK);
    if (file != NULL)
        fclose(file);
    return busy;
}

static int add_cpu(const struct measure_pids *pids, double *sum)
{
    for (size_t i = 0; i < pids->count; i++) {
        double cpu;

        if (process_cpu(pids->pids[i], &cpu) == -1)
            return -1;
        *sum += cpu;
    }
    return 0;
}

int measure_take(const struct measure_pids *server, const struct measure_pids *helpers,
                 struct measure_point *point)
{
    memset(point, 0, sizeof(*point));
    if (add_cpu(server, &point->server_cpu) == -1)
        return -1;
    point->client_cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (helpers != NULL && add_cpu(helpers, &point->client_cpu) == -1)
        return -1;
    for (size_t i = 0; i < server->count; i++)
        point->switches += process_switches(server->pids[i]);
    point->system_cpu = system_cpu();
    point->time_ns = clock_ns();
    return 0;
}

void measure_between(const struct measure_point *from, const struct measure_point *to,
                     struct measure *measure)
{
    measure->seconds = (double)(to->time_ns - from->time_ns) / 1e9;
    measure->server_cpu = to->server_cpu - from->server_cpu;
    measure->client_cpu = to->client_cpu - from->client_cpu;
    measure->system_cpu = to->system_cpu - from->system_cpu;
    measure->switches = to->switches > from->switches ? to->switches - from->switches : 0;
}

double measure_others(const struct measure *measure)
{
    double all = measure->seconds * (double)sysconf(_SC_NPROCESSORS_ONLN);
    double others = measure->system_cpu - measure->server_cpu - measure->client_cpu;

    return all > 0 && others > 0 ? others / all : 0;
}

int measure_memory(pid_t pid, uint64_t *bytes)
{
    char path[64], line[256];
    uint64_t kib;
    int status = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return -1;
    errno = EINVAL;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Anonymous: %" SCNu64 " kB", &kib) == 1) {
            *bytes = kib * 1024;
            status = 0;
        }
    }
    fclose(file);
    return status;
}

void measure_add_children(struct measure_pids *pids, pid_t pid)
{
    char path[64];
    FILE *file;
    int child;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    while (file != NULL && pids->count < MEASURE_PIDS && fscanf(file, "%d", &child) == 1)
        pids->pids[pids->count++] = child;
    if (file != NULL)
        fclose(file);
}
