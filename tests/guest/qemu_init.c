/*
 * The first process of the guest that tests/guest/qemu boots, from its initial RAM disk: inserts the kernel
 * modules that lie beside it, makes the host's files its root, runs one command there, and powers off. It
 * knows nothing of what the command does. The last line on the console is the command's exit status, or what
 * went wrong.
 */

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
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
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MODULES_MAX 100
#define STRINGS_MAX 256

static void end(const char *what, int status)
{
    dprintf(STDOUT_FILENO, "\nsluice-guest: %s %d\n", what, status);
    sync();
    sleep(1); /* the serial line is slower than the power switch */
    reboot(RB_POWER_OFF);
    _exit(1);
}

static void fail(const char *what)
{
    int error = errno;

    dprintf(STDOUT_FILENO, "\n%s: %s\n", what, strerror(error));
    end("failed", error);
}

/* In the order of their names, which is that of their dependencies. */
static void insert_modules(void)
{
    char name[32];

    for (int i = 0; i < MODULES_MAX; i++) {
        snprintf(name, sizeof(name), "/modules/%02d.ko", i);
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd == -1)
            return;
        if (syscall(SYS_finit_module, fd, "", 0) == -1 && errno != EEXIST)
            fail(name);
        close(fd);
    }
}

static void mount_on(const char *type, const char *source, const char *target, unsigned long flags,
                     const char *options)
{
    if (mount(source, target, type, flags, options) == -1)
        fail(target);
}

static void raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd == -1 || ioctl(fd, SIOCSIFFLAGS, &request) == -1)
        fail("lo");
    close(fd);
}

/* Strings that end in NUL each; the last element is NULL. */
static char **read_strings(const char *path)
{
    static char text[3][32768];
    static char *strings[3][STRINGS_MAX];
    static int next;
    int fd = open(path, O_RDONLY | O_CLOEXEC), count = 0, which = next++;
    ssize_t size = fd != -1 ? read(fd, text[which], sizeof(text[0]) - 1) : -1;

    if (size == -1)
        fail(path);
    close(fd);
    for (char *at = text[which]; at < text[which] + size && count < STRINGS_MAX - 1; at += strlen(at) + 1)
        strings[which][count++] = at;
    return strings[which];
}

static void run(char **command, char **environment, const char *directory)
{
    struct termios raw;
    int line = open("/dev/ttyS1", O_RDWR | O_NOCTTY), null = open("/dev/null", O_RDONLY);

    if (line == -1 || null == -1 || tcgetattr(line, &raw) == -1)
        fail("/dev/ttyS1");
    cfmakeraw(&raw);
    tcsetattr(line, TCSANOW, &raw);
    pid_t child = fork();
    if (child == 0) {
        dup2(null, STDIN_FILENO);
        dup2(line, STDOUT_FILENO);
        dup2(line, STDERR_FILENO);
        environ = environment;
        if (chdir(directory) == 0)
            execvp(command[0], command);
        dprintf(STDERR_FILENO, "%s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    int status = 0;
    pid_t ended;
    while ((ended = wait(&status)) != child) {
        if (ended == -1 && errno != EINTR)
            fail("wait");
    }
    tcdrain(line);
    end("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(void)
{
    const struct rlimit files = {65536, 65536};

    mkdir("/root", 0755);
    insert_modules();
    char **command = read_strings("/job/command"), **environment = read_strings("/job/environment"),
         **directory = read_strings("/job/directory");
    mount_on("9p", "root", "/root", MS_RDONLY, "trans=virtio,version=9p2000.L,msize=512000,cache=loose");
    mount_on("proc", "proc", "/root/proc", 0, NULL);
    mount_on("sysfs", "sys", "/root/sys", 0, NULL);
    mount_on("devtmpfs", "dev", "/root/dev", 0, NULL);
    mount_on("tmpfs", "tmp", "/root/tmp", 0, "mode=1777");
    mount_on("tmpfs", "run", "/root/run", 0, "mode=755");
    mkdir("/root/dev/shm", 01777);
    mount_on("tmpfs", "shm", "/root/dev/shm", 0, "mode=1777");
    if (chroot("/root") == -1 || chdir("/") == -1)
        fail("chroot");
    raise_loopback();
    setrlimit(RLIMIT_NOFILE, &files);
    run(command, environment, directory[0]);
}
