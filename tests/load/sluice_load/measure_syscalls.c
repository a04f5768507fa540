/* Counts the system calls of processes with the kernel's tracepoint raw_syscalls:sys_enter.
 * Refuses to know which calls they are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sluice_load/measure.h"

#define THREADS_MAX 256

struct measure_syscalls {
    int fds[THREADS_MAX];
    size_t count;
};

#define TRACEPOINT "events/raw_syscalls/sys_enter/id"

/* The tracing file system, opened without a place in anybody's tree: it goes when the descriptor does. perf
 * mounts it for good where it isn't. Takes root. */
static int mount_tracefs(void)
{
    int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC), mount = -1;

    if (context == -1)
        return -1;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
    close(context);
    return mount;
}

static int read_tracepoint_id(int root)
{
    int fd = root != -1 ? openat(root, TRACEPOINT, O_RDONLY | O_CLOEXEC) : -1, id = -1;
    FILE *file = fd != -1 ? fdopen(fd, "r") : NULL;

    if (file != NULL && fscanf(file, "%d", &id) != 1)
        id = -1;
    if (file != NULL)
        fclose(file);
    else if (fd != -1)
        close(fd);
    if (root != -1)
        close(root);
    return id;
}

static int tracepoint_id(void)
{
    static const char *const roots[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
    int id = -1;

    for (size_t i = 0; i < 2 && id == -1; i++)
        id = read_tracepoint_id(open(roots[i], O_PATH | O_DIRECTORY | O_CLOEXEC));
    return id != -1 ? id : read_tracepoint_id(mount_tracefs());
}

static int count_thread(int tracepoint, pid_t tid)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = (uint64_t)tracepoint, .inherit = 1};

    return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int count_process(struct measure_syscalls *syscalls, int tracepoint, pid_t pid)
{
    char path[64];
    struct dirent *entry;
    int status = 0;
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    if (tasks == NULL)
        return -1;
    while (status == 0 && (entry = readdir(tasks)) != NULL && syscalls->count < THREADS_MAX) {
        if (entry->d_name[0] == '.')
            continue;
        int fd = count_thread(tracepoint, (pid_t)strtol(entry->d_name, NULL, 10));

        if (fd != -1)
            syscalls->fds[syscalls->count++] = fd;
        else if (errno != ESRCH) /* a thread that has ended since */
            status = -1;
    }
    closedir(tasks);
    return status;
}

struct measure_syscalls *measure_syscalls_start(const struct measure_pids *pids, const char **why)
{
    struct measure_syscalls *syscalls = calloc(1, sizeof(*syscalls));
    int tracepoint = tracepoint_id();

    if (syscalls == NULL || tracepoint == -1) {
        *why = "the tracepoint raw_syscalls:sys_enter cannot be read here";
        free(syscalls);
        return NULL;
    }
    for (size_t i = 0; i < pids->count; i++) {
        if (count_process(syscalls, tracepoint, pids->pids[i]) == -1) {
            *why = errno == EACCES || errno == EPERM ? "it takes root, or CAP_PERFMON" : strerror(errno);
            measure_syscalls_stop(syscalls);
            return NULL;
        }
    }
    return syscalls;
}

uint64_t measure_syscalls_stop(struct measure_syscalls *syscalls)
{
    uint64_t sum = 0, value;

    for (size_t i = 0; i < syscalls->count; i++) {
        if (read(syscalls->fds[i], &value, sizeof(value)) == sizeof(value))
            sum += value;
        close(syscalls->fds[i]);
    }
    free(syscalls);
    return sum;
}
