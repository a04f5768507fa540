/* What a load costs: processor time and context switches of processes, processor time of the whole system,
 * and the system calls of processes. Refuses to know what they do. */
#ifndef SLUICE_LOAD_MEASURE_H
#define SLUICE_LOAD_MEASURE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MEASURE_PIDS 16

struct measure_pids {
    pid_t pids[MEASURE_PIDS];
    size_t count;
};

/* A moment; two make a measurement. */
struct measure_point {
    uint64_t time_ns;
    double server_cpu, client_cpu; /* seconds */
    double system_cpu;             /* of all processors, from /proc/stat: in steps of 10 ms */
    uint64_t switches;
};

struct measure {
    double seconds;
    double server_cpu, client_cpu, system_cpu; /* seconds */
    uint64_t switches;                         /* of the server, voluntary or not */
};

/* The server's processes (none is allowed), the client's (this one, and those that help it; NULL: none), and
 * the system. -1 with errno if a process is gone. */
int measure_take(const struct measure_pids *server, const struct measure_pids *helpers,
                 struct measure_point *point) __attribute__((warn_unused_result));

void measure_between(const struct measure_point *from, const struct measure_point *to,
                     struct measure *measure);

/* Of all processors' time, how much (0 to 1) went to processes that have nothing to do with the measurement.
 */
double measure_others(const struct measure *measure);

/* Counts what `perf stat -e raw_syscalls:sys_enter -p PID` counts. Every call in the system is a little
 * slower while it runs, so nothing else should be measured meanwhile. start: -1 with errno and *why where the
 * kernel or a missing right forbids it. Threads that are started later count if the process was alone when it
 * began. */
struct measure_syscalls;
struct measure_syscalls *measure_syscalls_start(const struct measure_pids *pids, const char **why)
    __attribute__((warn_unused_result));
uint64_t measure_syscalls_stop(struct measure_syscalls *syscalls);

/* Memory of a process that is its own and not a file's, in bytes; -1 with errno. */
int measure_memory(pid_t pid, uint64_t *bytes) __attribute__((warn_unused_result));

/* Appends the children of pid. */
void measure_add_children(struct measure_pids *pids, pid_t pid);

#endif
