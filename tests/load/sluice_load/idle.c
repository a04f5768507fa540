/* Opens connections, uses each once, and leaves them alone.
 * Refuses to know what they go through. */
#include "sluice_load/idle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "sluice_load/load.h"
#include "sluice_load/target.h"

#define ANSWER_S 10

/* A first few, so that what the proxy allocates once for all is there. */
#define WARM_UP 64

static int sum_memory(const struct measure_pids *pids, uint64_t *sum)
{
    *sum = 0;
    for (size_t i = 0; i < pids->count; i++) {
        uint64_t bytes;

        if (measure_memory(pids->pids[i], &bytes) == -1)
            return -1;
        *sum += bytes;
    }
    return 0;
}

static int open_one(const struct target *target)
{
    struct timeval patience = {.tv_sec = ANSWER_S};
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte = 'x';

    if (fd == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&target->address, target->address_size) == 0 &&
        send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1)
        return fd;
    close(fd);
    return -1;
}

static unsigned open_all(const struct target *target, int *fds, unsigned count)
{
    unsigned opened = 0;

    while (opened < count && !load_interrupted() && (fds[opened] = open_one(target)) != -1)
        opened++;
    return opened;
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

int idle_measure(const char *address, unsigned connections, const struct measure_pids *pids, double *bytes,
                 char why[200])
{
    int *fds = calloc(connections + WARM_UP, sizeof(*fds));
    uint64_t before = 0, after = 0;
    struct target target;
    unsigned opened = 0;
    int status = -1;

    if (fds == NULL || target_parse_address(address, false, &target) != TARGET_GOOD) {
        snprintf(why, 200, "no memory");
        free(fds);
        return -1;
    }
    opened = open_all(&target, fds, WARM_UP);
    if (opened < WARM_UP || sum_memory(pids, &before) == -1) {
        snprintf(why, 200, "the first connections: %s", strerror(errno));
    } else {
        opened += open_all(&target, fds + WARM_UP, connections);
        if (opened < connections + WARM_UP)
            snprintf(why, 200, "connection %u: %s", opened, strerror(errno));
        else if (sum_memory(pids, &after) == -1)
            snprintf(why, 200, "its memory: %s", strerror(errno));
        else
            status = 0;
    }
    *bytes = after > before ? (double)(after - before) / connections : 0;
    close_all(fds, opened);
    free(fds);
    return status;
}
