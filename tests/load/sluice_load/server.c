/* Child processes and how they are waited for.
 * Refuses to know their configurations. */
#include "sluice_load/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sluice_load/clock.h"
#include "sluice_load/load.h"
#include "sluice_load/target.h"

#define START_NS (20 * NS_PER_S)
#define STOP_NS (10 * NS_PER_S)
#define FETCH_S 10
#define DOCUMENT_MAX (4u << 20)
#define POLL_US 5000

/* Does not return. Its own process group: Ctrl-C is for the load tester, which then ends its servers. */
static void become(const struct server *server, const struct server_start *start, pid_t parent)
{
    int log = open(server->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    int null = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    if (start->cpus != NULL)
        sched_setaffinity(0, sizeof(*start->cpus), start->cpus);
    if (start->libraries != NULL)
        setenv("LD_LIBRARY_PATH", start->libraries, 1);
    if (log == -1 || null == -1 || getppid() != parent)
        _exit(127);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(start->argv[0], (char *const *)(uintptr_t)start->argv);
    fprintf(stderr, "%s: %s\n", start->argv[0], strerror(errno));
    _exit(127);
}

int server_start(struct server *server, const struct workspace *workspace, const struct server_start *start)
{
    pid_t parent = getpid();

    snprintf(server->name, sizeof(server->name), "%s", start->name);
    snprintf(server->log, sizeof(server->log), "%s/%s.log", workspace->directory, start->name);
    unlink(server->log);
    fflush(NULL);
    server->pid = fork();
    if (server->pid == 0)
        become(server, start, parent);
    if (server->pid == -1) {
        server->pid = 0;
        fprintf(stderr, "sluice-load: %s: %s\n", server->name, strerror(errno));
        return -1;
    }
    return 0;
}

/* How it ended, and the end of its output, which may say why. */
static void tell_end(const struct server *server, int status)
{
    char text[2001];
    FILE *file = fopen(server->log, "re");
    size_t n = 0;

    if (file != NULL) {
        if (fseek(file, -2000, SEEK_END) == -1)
            rewind(file);
        n = fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
    }
    text[n] = '\0';
    if (WIFSIGNALED(status))
        fprintf(stderr, "sluice-load: %s was killed by signal %d: %s\n", server->name, WTERMSIG(status),
                text);
    else
        fprintf(stderr, "sluice-load: %s has ended with status %d: %s\n", server->name, WEXITSTATUS(status),
                text);
}

bool server_has_ended(struct server *server)
{
    int status;

    if (server->pid == 0)
        return true;
    if (waitpid(server->pid, &status, WNOHANG) != server->pid)
        return false;
    server->pid = 0;
    tell_end(server, status);
    return true;
}

static bool find_address(const struct server *server, const char *name, char address[128])
{
    char line[512], found[128], *at;
    FILE *file = fopen(server->log, "re");
    bool good = false;

    while (file != NULL && !good && fgets(line, sizeof(line), file) != NULL) {
        at = strstr(line, ": listening ");
        good = at != NULL && strchr(line, '\n') != NULL &&
               sscanf(at, ": listening %127s %127s", found, address) == 2 && strcmp(found, name) == 0;
    }
    if (file != NULL)
        fclose(file);
    return good;
}

int server_wait_address(struct server *server, const char *name, char address[128])
{
    uint64_t deadline = clock_ns() + START_NS;

    while (!find_address(server, name, address)) {
        if (server_has_ended(server))
            return -1;
        if (clock_ns() > deadline || load_interrupted()) {
            fprintf(stderr, "sluice-load: %s does not say that %s is listening\n", server->name, name);
            return -1;
        }
        usleep(POLL_US);
    }
    return 0;
}

static int connect_to(const struct target *target)
{
    struct timeval patience = {.tv_sec = FETCH_S};
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&target->address, target->address_size) == -1) {
        close(fd);
        return -1;
    }
    return fd;
}

int server_wait_port(struct server *server, unsigned port)
{
    uint64_t deadline = clock_ns() + START_NS;
    struct target target;
    char address[32];
    int fd;

    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    if (target_parse_address(address, false, &target) != TARGET_GOOD)
        return -1;
    while ((fd = connect_to(&target)) == -1) {
        if (server_has_ended(server))
            return -1;
        if (clock_ns() > deadline || load_interrupted()) {
            fprintf(stderr, "sluice-load: %s does not listen on port %u\n", server->name, port);
            return -1;
        }
        usleep(POLL_US);
    }
    close(fd);
    return server_has_ended(server) ? -1 : 0;
}

void server_stop(struct server *server)
{
    uint64_t deadline = clock_ns() + STOP_NS;

    if (server->pid == 0)
        return;
    kill(server->pid, SIGTERM);
    while (waitpid(server->pid, NULL, WNOHANG) == 0) {
        if (clock_ns() > deadline)
            kill(server->pid, SIGKILL);
        usleep(POLL_US);
    }
    server->pid = 0;
}

unsigned server_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    unsigned port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd != -1 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        port = ntohs(address.sin_port);
    if (fd != -1)
        close(fd);
    return port;
}

/* ---- JSON ---- */

static json_t *parse_body(const char *what, char *text, size_t size)
{
    json_error_t error;
    char *body = memmem(text, size, "\r\n\r\n", 4);
    json_t *document = NULL;

    if (body == NULL || strncmp(text, "HTTP/1.1 200 ", 13) != 0) {
        fprintf(stderr, "sluice-load: %s: %.*s\n", what, (int)strcspn(text, "\r\n"), text);
        return NULL;
    }
    body += 4;
    document = json_loadb(body, size - (size_t)(body - text), 0, &error);
    if (document == NULL)
        fprintf(stderr, "sluice-load: %s: %s\n", what, error.text);
    return document;
}

json_t *server_fetch_json(const char *address, const char *path)
{
    struct target target;
    char request[256], *text = malloc(DOCUMENT_MAX);
    json_t *document = NULL;
    size_t size = 0;
    ssize_t n;
    int fd = -1;

    if (text != NULL && target_parse_address(address, false, &target) == TARGET_GOOD)
        fd = connect_to(&target);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
             address);
    if (fd == -1 || send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) {
        fprintf(stderr, "sluice-load: %s%s: %s\n", address, path, strerror(errno));
    } else {
        while (size < DOCUMENT_MAX - 1 && (n = recv(fd, text + size, DOCUMENT_MAX - 1 - size, 0)) > 0)
            size += (size_t)n;
        text[size] = '\0';
        document = parse_body(path, text, size);
    }
    if (fd != -1)
        close(fd);
    free(text);
    return document;
}

json_t *server_run_json(const struct workspace *workspace, const char *const *argv)
{
    struct server server;
    struct server_start start = {.name = "command", .argv = argv};
    json_error_t error;
    json_t *document;
    int status = 0;

    if (server_start(&server, workspace, &start) == -1)
        return NULL;
    if (waitpid(server.pid, &status, 0) == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        tell_end(&server, status);
        return NULL;
    }
    document = json_load_file(server.log, 0, &error);
    if (document == NULL)
        fprintf(stderr, "sluice-load: %s %s: %s\n", argv[0], argv[1], error.text);
    return document;
}
