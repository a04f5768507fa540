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
    double server_cpu, client_cpu, system_cpu;
    uint64_t switches;
    double cpu_busy[CPU_SETSIZE], cpu_total[CPU_SETSIZE]; /* seconds, from /proc/stat: in steps of 10 ms */
};

struct measure {
    double seconds;
    double server_cpu, client_cpu, system_cpu; /* seconds */
    uint64_t switches;                         /* of the server, voluntary or not */
    double client_cpus_busy;                   /* 0 to 1: of the processors given to measure_between */
};

/* The server's processes (none is allowed), this one, and the system. -1 with errno if a process is gone. */
int measure_take(const struct measure_pids *server, struct measure_point *point)
    __attribute__((warn_unused_result));

/* client_cpus: where the client runs; NULL: anywhere. */
void measure_between(const struct measure_point *from, const struct measure_point *to,
                     const cpu_set_t *client_cpus, struct measure *measure);

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
