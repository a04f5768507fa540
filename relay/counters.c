/* The names under which the data path's own system calls are counted. Refuses to know who adds them up. */
#include "relay/counters.h"

static const char *const names[RELAY_SYSCALL_COUNT] = {
    [RELAY_SYS_SPLICE] = "splice",     [RELAY_SYS_SENDFILE] = "sendfile",   [RELAY_SYS_RECV] = "recv",
    [RELAY_SYS_SEND] = "send",         [RELAY_SYS_PREAD] = "pread",         [RELAY_SYS_MMAP] = "mmap",
    [RELAY_SYS_SSL_READ] = "ssl_read", [RELAY_SYS_SSL_WRITE] = "ssl_write", [RELAY_SYS_IOCTL] = "ioctl",
};

const char *relay_syscall_name(enum relay_syscall call)
{
    return names[call];
}
