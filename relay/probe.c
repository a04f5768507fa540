/* Tries splice, sendfile and mmap on loopback sockets and a file in memory, and reads the limits of pipes.
 * The TLS half is in probe_tls.c.
 * Refuses to know how the findings are shown or used. */
#include "relay/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "relay/loop.h"

/* Less than any socket buffer and than a 2-slot pipe, so that each step moves it at once. */
#define TRIAL_SIZE 4096u
#define TRIAL_TIMEOUT_MS 1000

static const char *const version_names[PROBE_VERSION_COUNT] = {"TLSv1.2", "TLSv1.3"};
static const char *const cipher_names[PROBE_CIPHER_COUNT] = {"AES-128-GCM", "AES-256-GCM",
                                                             "CHACHA20-POLY1305"};

const char *probe_version_name(enum probe_version version)
{
    return version_names[version];
}

const char *probe_cipher_name(enum probe_cipher cipher)
{
    return cipher_names[cipher];
}

static void close_pair(const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        if (fds[i] != -1)
            close(fds[i]);
    }
}

int probe_tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = -1, error;

    fds[0] = fds[1] = -1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener == -1)
        return -1;
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) == -1 || listen(listener, 1) == -1 ||
        getsockname(listener, (struct sockaddr *)&address, &length) == -1)
        goto fail;
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[0] == -1 || connect(fds[0], (struct sockaddr *)&address, length) == -1)
        goto fail;
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fds[1] == -1)
        goto fail;
    for (int i = 0; i < 2; i++) {
        const int on = 1;

        if (fcntl(fds[i], F_SETFL, O_NONBLOCK) == -1 ||
            setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
            goto fail;
    }
    close(listener);
    return 0;
fail:
    error = errno;
    close(listener);
    close_pair(fds);
    fds[0] = fds[1] = -1;
    errno = error;
    return -1;
}

static void fill_pattern(uint8_t *data, size_t size, uint8_t seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(seed + i * 31 + (i >> 8));
}

static int wait_readable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    int n = poll(&pollfd, 1, TRIAL_TIMEOUT_MS);

    if (n == 0)
        errno = ETIMEDOUT;
    return n == 1 ? 0 : -1;
}

/* Reads TRIAL_SIZE bytes and compares. 0, or -1 and errno (EBADMSG: others came). */
static int expect_pattern(int fd, const uint8_t *pattern)
{
    uint8_t got[TRIAL_SIZE];
    size_t have = 0;

    while (have < sizeof(got)) {
        ssize_t n;

        if (wait_readable(fd) == -1)
            return -1;
        n = recv(fd, got + have, sizeof(got) - have, 0);
        if (n == 0)
            errno = EPIPE;
        if (n <= 0)
            return -1;
        have += (size_t)n;
    }
    if (memcmp(got, pattern, sizeof(got)) != 0) {
        errno = EBADMSG;
        return -1;
    }
    return 0;
}

/* 0 when `moved` is the whole trial; otherwise -1 and errno, also for a short count. */
static int whole(ssize_t moved)
{
    if (moved == (ssize_t)TRIAL_SIZE)
        return 0;
    if (moved >= 0)
        errno = EIO;
    return -1;
}

/* a -> b -> pipe -> b -> a: one pair serves as source and sink. */
static int try_splice(const int pair[2])
{
    uint8_t pattern[TRIAL_SIZE];
    int pipe_fds[2] = {-1, -1}, result = -1, error;

    fill_pattern(pattern, sizeof(pattern), 1);
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == -1)
        return -1;
    if (whole(send(pair[0], pattern, sizeof(pattern), MSG_NOSIGNAL)) == 0 && wait_readable(pair[1]) == 0 &&
        whole(splice(pair[1], NULL, pipe_fds[1], NULL, sizeof(pattern), SPLICE_F_NONBLOCK)) == 0 &&
        whole(splice(pipe_fds[0], NULL, pair[1], NULL, sizeof(pattern), SPLICE_F_NONBLOCK)) == 0)
        result = expect_pattern(pair[0], pattern);
    error = errno;
    close_pair(pipe_fds);
    errno = error;
    return result;
}

/* A file of TRIAL_SIZE pattern bytes that has no name anywhere. -1 and errno. */
static int open_trial_file(const uint8_t *pattern)
{
    int fd = memfd_create("sluice-probe", MFD_CLOEXEC);

    if (fd != -1 && whole(write(fd, pattern, TRIAL_SIZE)) == -1) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int try_sendfile(const int pair[2])
{
    uint8_t pattern[TRIAL_SIZE];
    off_t offset = 0;
    int fd, result = -1, error;

    fill_pattern(pattern, sizeof(pattern), 2);
    fd = open_trial_file(pattern);
    if (fd == -1)
        return -1;
    if (whole(sendfile(pair[1], fd, &offset, sizeof(pattern))) == 0)
        result = expect_pattern(pair[0], pattern);
    error = errno;
    close(fd);
    errno = error;
    return result;
}

static int try_mmap(const int pair[2])
{
    uint8_t pattern[TRIAL_SIZE];
    void *mapping;
    int fd, result = -1, error;

    fill_pattern(pattern, sizeof(pattern), 3);
    fd = open_trial_file(pattern);
    if (fd == -1)
        return -1;
    mapping = mmap(NULL, sizeof(pattern), PROT_READ, MAP_SHARED, fd, 0);
    if (mapping != MAP_FAILED) {
        if (whole(send(pair[1], mapping, sizeof(pattern), MSG_NOSIGNAL)) == 0)
            result = expect_pattern(pair[0], pattern);
        error = errno;
        munmap(mapping, sizeof(pattern));
        errno = error;
    }
    error = errno;
    close(fd);
    errno = error;
    return result;
}

/* Each trial gets a pair of its own: what a failed one left in a socket must not confuse the next. */
static struct probe_call try_call(int (*trial)(const int pair[2]))
{
    struct probe_call call = {.works = false};
    int pair[2];

    if (probe_tcp_pair(pair) == -1) {
        call.error = errno;
        return call;
    }
    errno = 0;
    call.works = trial(pair) == 0;
    if (!call.works)
        call.error = errno;
    close_pair(pair);
    return call;
}

static uint64_t read_sysctl(const char *path)
{
    char text[32] = "";
    FILE *file = fopen(path, "re");
    uint64_t value = 0;

    if (file == NULL)
        return 0;
    if (fgets(text, sizeof(text), file) != NULL)
        value = strtoull(text, NULL, 10);
    fclose(file);
    return value;
}

static void probe_pipes(struct probe_pipe *out, size_t pipe_size)
{
    int fds[2], size;

    out->max_size = read_sysctl("/proc/sys/fs/pipe-max-size");
    out->user_pages_soft = read_sysctl("/proc/sys/fs/pipe-user-pages-soft");
    out->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    out->asked_size = pipe_size;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
        return;
    size = fcntl(fds[0], F_GETPIPE_SZ);
    out->default_size = size > 0 ? (uint64_t)size : 0;
    /* F_SETPIPE_SZ may refuse (EPERM past the user's pages): what counts is what is there afterwards. */
    (void)fcntl(fds[0], F_SETPIPE_SZ, (int)pipe_size);
    size = fcntl(fds[0], F_GETPIPE_SZ);
    out->got_size = size > 0 ? (uint64_t)size : 0;
    close_pair(fds);
}

uint64_t probe_pipes_of_size(const struct probe_pipe *pipe, uint64_t size)
{
    if (pipe->user_pages_soft == 0)
        return UINT64_MAX;
    return size == 0 ? 0 : pipe->user_pages_soft * pipe->page_size / size;
}

/* Kernel fact: Debian fixed the second of the two in 6.1.158; mainline had both before 6.17. Debian tells
 * its upstream version in uname -v only ("... Debian 6.1.158-1 (date)"), its uname -r is an ABI name. */
const char *probe_kernel_warning(const char *release, const char *version)
{
    const char *debian = strstr(version, "Debian ");
    const char *number = debian != NULL ? debian + strlen("Debian ") : release;
    unsigned major = 0, minor = 0, patch = 0;

    if (sscanf(number, "%u.%u.%u", &major, &minor, &patch) < 2)
        return "the kernel's version can't be told: make sure that it has the fixes of CVE-2025-39682 and "
               "CVE-2025-39946 (kTLS receive)";
    if (major > 6 || (major == 6 && minor >= 17))
        return NULL;
    if (major == 6 && minor == 1)
        return patch >= 158 ? NULL
                            : "this kernel is older than 6.1.158 and lacks the fixes of CVE-2025-39682 or "
                              "CVE-2025-39946 (kTLS receive): upgrade it, or set ktls = \"off\"";
    return "this kernel is older than 6.17: make sure that its vendor has brought in the fixes of "
           "CVE-2025-39682 and CVE-2025-39946 (kTLS receive), or set ktls = \"off\"";
}

void probe_run(struct probe *probe, size_t pipe_size)
{
    struct utsname names;

    memset(probe, 0, sizeof(*probe));
    if (uname(&names) == 0) {
        snprintf(probe->kernel_release, sizeof(probe->kernel_release), "%s", names.release);
        snprintf(probe->kernel_version, sizeof(probe->kernel_version), "%s", names.version);
    }
    probe->splice = try_call(try_splice);
    probe->sendfile = try_call(try_sendfile);
    probe->mmap = try_call(try_mmap);
    probe_pipes(&probe->pipe, pipe_size != 0 ? pipe_size : LOOP_PIPE_SIZE);
    probe_run_ktls(probe);
}
