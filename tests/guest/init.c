/*
 * The first process of the guest: makes it a usable Linux with kTLS, runs one command, and powers off.
 * In C and static, because page faults are slow there: starting Python twice over took longer than the whole
 * boot. tests/guest/run says in the job's files what to run; it knows nothing of what the command tests.
 *
 * Whatever fails before the command starts is written to the status file in words, so that no suite can pass
 * in a kernel that lacks what it is to test.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Enough for the 100,000 connections of a load test, with both their ends in the guest. */
#define FD_LIMIT 262144
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

/* Algorithms are asked for by name at the first TLS connection, and the kernel's own modprobe would look in
 * the host's /lib/modules: so all are inserted beforehand, each after those it depends on. */
static const char *const modules[] = {
    "crypto/ctr",
    "crypto/gf128mul",
    "crypto/ghash-generic",
    "crypto/gcm",
    "crypto/ccm",
    "lib/crypto/libchacha",
    "lib/crypto/libpoly1305",
    "crypto/chacha_generic",
    "crypto/poly1305_generic",
    "crypto/chacha20poly1305",
    "net/tls/tls",
};

static const struct {
    const char *path;
    const char *value;
} sysctls[] = {
    {"/proc/sys/fs/nr_open", "262144"},
    {"/proc/sys/fs/file-max", "1048576"},
    /* hostfs writes back late; half a second lets the caller follow the output. */
    {"/proc/sys/vm/dirty_writeback_centisecs", "50"},
    {"/proc/sys/vm/dirty_expire_centisecs", "50"},
};

/* A file of strings, each ended by a NUL, as an array ended by NULL. */
struct strings {
    char *text;
    char **item;
};

static const char *job_directory;

static void job_path(char path[PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", job_directory, name);
}

static void power_off(void)
{
    sync();
    reboot(RB_POWER_OFF);
    _exit(1);
}

/* Writes the outcome for tests/guest/run: a number, or in words what failed. */
static void write_outcome(const char *outcome)
{
    char path[PATH_MAX];
    job_path(path, "status");
    int fd = open(path, O_WRONLY | O_TRUNC);
    if (fd == -1 || write(fd, outcome, strlen(outcome)) == -1) {
        /* The kernel's log is what the caller shows then. */
        printf("tests/guest/init: %s: %s: %s\n", path, strerror(errno), outcome);
        fflush(stdout);
    }
    if (fd != -1) {
        close(fd);
    }
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    char reason[512];
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof reason) {
        snprintf(reason + length, sizeof reason - (size_t)length, ": %s", strerror(error));
    }
    write_outcome(reason);
    power_off();
    abort();
}

static struct strings read_strings(const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    struct strings strings = {NULL, NULL};
    job_path(path, name);
    int fd = open(path, O_RDONLY);
    if (fd == -1 || fstat(fd, &status) == -1) {
        fail("%s", path);
    }
    size_t size = (size_t)status.st_size;
    strings.text = malloc(size + 1);
    strings.item = calloc(size + 1, sizeof *strings.item);
    if (strings.text == NULL || strings.item == NULL || read(fd, strings.text, size) != status.st_size) {
        fail("%s", path);
    }
    close(fd);
    size_t count = 0;
    for (size_t at = 0; at < size; at += strlen(strings.text + at) + 1) {
        strings.item[count++] = strings.text + at;
    }
    return strings;
}

static void mount_one(const char *kind, const char *where, const char *options)
{
    /* EBUSY: the kernel mounts /dev by itself where it is configured so. */
    if (mount(kind, where, kind, MS_NOSUID, options) == -1 && errno != EBUSY) {
        fail("mount %s on %s", kind, where);
    }
}

/* Makes a directory that a mount has hidden, and its parents. */
static void make_directories(char *directory)
{
    for (char *slash = strchr(directory + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL) {
            *slash = '\0';
        }
        if (mkdir(directory, 0755) == -1 && errno != EEXIST && errno != EROFS) {
            fail("make %s", directory);
        }
        if (slash == NULL) {
            return;
        }
        *slash = '/';
    }
}

static void mount_all(void)
{
    struct strings shared = read_strings("shared");
    mount_one("proc", "/proc", "");
    mount_one("sysfs", "/sys", "");
    mount_one("devtmpfs", "/dev", "");
    if ((mkdir("/dev/pts", 0755) == -1 && errno != EEXIST) ||
        (mkdir("/dev/shm", 0755) == -1 && errno != EEXIST) || symlink("/proc/self/fd", "/dev/fd") == -1) {
        fail("/dev");
    }
    mount_one("devpts", "/dev/pts", "");
    mount_one("tmpfs", "/dev/shm", "mode=1777");
    mount_one("tmpfs", "/run", "mode=755");
    mount_one("tmpfs", "/tmp", "mode=1777,size=75%");
    for (char **directory = shared.item; *directory != NULL; directory++) {
        make_directories(*directory);
        mount_one("hostfs", *directory, *directory);
    }
}

static bool tls_is_listed(void)
{
    char ulps[256];
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_ulp", "r");
    bool listed = false;
    while (file != NULL && !listed && fscanf(file, "%255s", ulps) == 1) {
        listed = strcmp(ulps, "tls") == 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return listed;
}

static void insert_modules(void)
{
    struct utsname kernel;
    struct strings directory = read_strings("modules");
    if (uname(&kernel) == -1 || directory.item[0] == NULL) {
        fail("modules");
    }
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s/kernel/%s.ko", directory.item[0], kernel.release, modules[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd == -1 || syscall(SYS_finit_module, fd, "", 0) == -1) {
            fail("insert %s", path);
        }
        close(fd);
    }
    errno = EPROTONOSUPPORT;
    if (!tls_is_listed()) {
        fail("no tls in tcp_available_ulp after its module was inserted");
    }
}

static void bring_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || ioctl(fd, SIOCSIFFLAGS, &request) == -1) {
        fail("bring up lo");
    }
    close(fd);
}

static void raise_limits(void)
{
    const struct rlimit files = {FD_LIMIT, FD_LIMIT};
    const struct rlimit core = {0, 0};
    for (size_t i = 0; i < sizeof sysctls / sizeof sysctls[0]; i++) {
        int fd = open(sysctls[i].path, O_WRONLY | O_CLOEXEC);
        if (fd == -1 || write(fd, sysctls[i].value, strlen(sysctls[i].value)) == -1) {
            fail("%s", sysctls[i].path);
        }
        close(fd);
    }
    if (setrlimit(RLIMIT_NOFILE, &files) == -1 || setrlimit(RLIMIT_CORE, &core) == -1) {
        fail("limits");
    }
}

static void redirect(const char *path, int flags, int target)
{
    int fd = open(path, flags);
    if (fd == -1 || dup2(fd, target) == -1) {
        fail("%s", path);
    }
    if (fd != target) {
        close(fd);
    }
}

/* In the child: becomes the command, with the caller's working directory and environment. */
static void become_command(void)
{
    char out[PATH_MAX];
    char err[PATH_MAX];
    job_path(out, "stdout");
    job_path(err, "stderr");
    struct strings command = read_strings("command");
    struct strings environment = read_strings("environment");
    struct strings directory = read_strings("directory");
    setsid();
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(out, O_WRONLY | O_APPEND, STDOUT_FILENO);
    redirect(err, O_WRONLY | O_APPEND, STDERR_FILENO);
    clearenv();
    for (char **variable = environment.item; *variable != NULL; variable++) {
        putenv(*variable);
    }
    if (chdir(directory.item[0]) == -1) {
        dprintf(STDERR_FILENO, "%s: %s\n", directory.item[0], strerror(errno));
        _exit(EXIT_NOT_EXECUTABLE);
    }
    execvp(command.item[0], command.item);
    int error = errno;
    dprintf(STDERR_FILENO, "%s: %s\n", command.item[0], strerror(error));
    _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static int run_command(void)
{
    pid_t command = fork();
    if (command == -1) {
        fail("fork");
    }
    if (command == 0) {
        become_command();
    }
    for (;;) {
        int status;
        pid_t child = wait(&status);
        if (child == -1 && errno != EINTR) {
            fail("wait");
        }
        if (child == command) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}

int main(void)
{
    char outcome[16];
    job_directory = getenv("SLUICE_GUEST_JOB");
    if (getpid() != 1 || job_directory == NULL) {
        fputs("tests/guest/init: only for tests/guest/run to start\n", stderr);
        return 2;
    }
    mount_all();
    if (sethostname("sluice-guest", strlen("sluice-guest")) == -1) {
        fail("host name");
    }
    insert_modules();
    bring_up_loopback();
    raise_limits();
    snprintf(outcome, sizeof outcome, "%d", run_command());
    write_outcome(outcome);
    power_off();
}
