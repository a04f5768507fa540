/* See listen_socket.h. Refuses to know who uses the sockets. */
#include "proxy/listen_socket.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/listen_set.h"
#include "proxy/tcp_options.h"

static void explain(char *problem, size_t size, const struct conf_address *address, const char *what,
                    int error)
{
    const char *remedy = "";

    if (error == EADDRINUSE)
        remedy = ": stop whoever listens there (ss -ltnp), or choose another address";
    else if (error == EADDRNOTAVAIL)
        remedy = ": no interface of this host has this address";
    else if (error == EACCES && address->addr.ss_family != AF_UNIX)
        remedy = ": ports below 1024 need root or the capability net_bind_service";
    snprintf(problem, size, "can't %s %s: %s%s", what, address->text, strerror(error), remedy);
}

static int set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static int backlog_of(const struct conf_listening *listening)
{
    return listening != NULL ? (int)listening->backlog : LISTEN_BACKLOG;
}

/* --- TCP --- */

/* A stream socket bound to `bound`. join: into the group that is there; else alone, and only then open to the
 * group: a plain bind is what makes a second Sluice fail instead of sharing our connections. */
static int open_tcp(const struct sockaddr_storage *bound, socklen_t length, bool dual_stack, bool join)
{
    int fd = socket(bound->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), saved;

    if (fd == -1)
        return -1;
    /* SO_REUSEADDR: connections of an earlier run in TIME_WAIT don't keep us from binding. */
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
        goto close_fd;
    if (bound->ss_family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack) == -1)
        goto close_fd;
    if (join && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
        goto close_fd;
    if (bind(fd, (const struct sockaddr *)bound, length) == -1)
        goto close_fd;
    if (!join && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
        goto close_fd;
    /* Inherited by what is accepted. */
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    return fd;

close_fd:
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Where ":80" means [::]:80 on both stacks and the host has no IPv6: the IPv4 half of it. */
static void use_ipv4(struct listen_socket *socket)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in = {.sin_family = AF_INET};

    memcpy(&in6, &socket->bound, sizeof(in6));
    in.sin_port = in6.sin6_port;
    memset(&socket->bound, 0, sizeof(socket->bound));
    memcpy(&socket->bound, &in, sizeof(in));
    socket->bound_length = sizeof(in);
}

static int open_group(struct listen_socket *socket, const struct conf_address *address,
                      const struct conf_listening *listening, size_t count, char *problem,
                      size_t problem_size)
{
    int fd = open_tcp(&socket->bound, socket->bound_length, address->dual_stack, false);

    if (fd == -1 && address->dual_stack && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        use_ipv4(socket);
        fd = open_tcp(&socket->bound, socket->bound_length, false, false);
    }
    if (fd == -1)
        goto failed_bind;
    socket->fds[socket->count++] = fd;
    if (getsockname(fd, (struct sockaddr *)&socket->bound, &socket->bound_length) == -1)
        goto failed_bind;
    while (socket->count < count) {
        fd = open_tcp(&socket->bound, socket->bound_length, address->dual_stack, true);
        if (fd == -1)
            goto failed_bind;
        socket->fds[socket->count++] = fd;
    }
    if (listening != NULL && listen_socket_apply(socket, listening, problem, problem_size) == -1)
        return -1;
    for (size_t i = 0; i < socket->count; i++)
        if (listen(socket->fds[i], backlog_of(listening)) == -1) {
            explain(problem, problem_size, address, "listen on", errno);
            return -1;
        }
    return 0;

failed_bind:
    explain(problem, problem_size, address, "bind to", errno);
    return -1;
}

/* --- UNIX --- */

static const char *unix_path(const struct sockaddr_storage *address)
{
    return ((const struct sockaddr_un *)(const void *)address)->sun_path;
}

/* A socket file whose process is gone refuses connections; a file of another kind is never touched. */
static bool is_stale(const struct sockaddr_storage *address, socklen_t length)
{
    struct stat status;
    bool stale;
    int fd;

    if (lstat(unix_path(address), &status) == -1 || !S_ISSOCK(status.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return false;
    stale = connect(fd, (const struct sockaddr *)address, length) == -1 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int open_unix(struct listen_socket *unix_socket, const struct conf_address *address,
                     const struct conf_listening *listening, char *problem, size_t problem_size)
{
    const struct sockaddr *bound = (const struct sockaddr *)&unix_socket->bound;
    struct stat status;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1) {
        explain(problem, problem_size, address, "open", errno);
        return -1;
    }
    if (bind(fd, bound, unix_socket->bound_length) == -1 &&
        (errno != EADDRINUSE || !is_stale(&unix_socket->bound, unix_socket->bound_length) ||
         unlink(unix_path(&unix_socket->bound)) == -1 || bind(fd, bound, unix_socket->bound_length) == -1)) {
        explain(problem, problem_size, address, "bind to", errno);
        close(fd);
        return -1;
    }
    unix_socket->fds[unix_socket->count++] = fd;
    if (stat(unix_path(&unix_socket->bound), &status) == 0) {
        unix_socket->device = status.st_dev;
        unix_socket->inode = status.st_ino;
    }
    /* Before it listens: nobody can come in through a file that is too open still. */
    if (listening != NULL && listen_socket_apply(unix_socket, listening, problem, problem_size) == -1)
        return -1;
    if (listen(fd, backlog_of(listening)) == -1) {
        explain(problem, problem_size, address, "listen on", errno);
        return -1;
    }
    return 0;
}

static int find_user(const char *name, uid_t *uid)
{
    const struct passwd *found = getpwnam(name);

    if (found != NULL)
        *uid = found->pw_uid;
    return found != NULL ? 0 : -1;
}

static int find_group(const char *name, gid_t *gid)
{
    const struct group *found = getgrnam(name);

    if (found != NULL)
        *gid = found->gr_gid;
    return found != NULL ? 0 : -1;
}

/* Whom the file belongs to first: chown() may take bits of the mode away. */
static int apply_owner(const struct listen_socket *socket, const struct conf_listening *listening,
                       char *problem, size_t size)
{
    const char *path = unix_path(&socket->bound);
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    unsigned mode = 0;

    if (listening->unix_user != NULL && find_user(listening->unix_user, &uid) == -1) {
        snprintf(problem, size, "unix_user: there is no user \"%s\"", listening->unix_user);
        return -1;
    }
    if (listening->unix_group != NULL && find_group(listening->unix_group, &gid) == -1) {
        snprintf(problem, size, "unix_group: there is no group \"%s\"", listening->unix_group);
        return -1;
    }
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(path, uid, gid) == -1) {
        snprintf(problem, size, "unix_user, unix_group: can't give %s away: %s%s", path, strerror(errno),
                 errno == EPERM ? ": only root can, or a member of the group" : "");
        return -1;
    }
    if (listening->unix_mode != NULL && conf_mode_parse(listening->unix_mode, &mode) &&
        chmod(path, mode) == -1) {
        snprintf(problem, size, "unix_mode: %s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

int listen_socket_apply(const struct listen_socket *socket, const struct conf_listening *listening,
                        char *problem, size_t problem_size)
{
    static const struct conf_tcp nothing;
    const char *refused;
    int state = 0;
    socklen_t length = sizeof(state);

    if (socket->bound.ss_family == AF_UNIX)
        return listening != NULL ? apply_owner(socket, listening, problem, problem_size) : 0;
    for (size_t i = 0; i < socket->count; i++) {
        if (tcp_options_apply_listening(socket->fds[i], listening != NULL ? &listening->tcp : &nothing,
                                        &refused) == -1) {
            snprintf(problem, problem_size, "%s: the kernel refuses it: %s", refused, strerror(errno));
            return -1;
        }
        /* A new backlog for one that listens already. */
        if (getsockopt(socket->fds[i], SOL_SOCKET, SO_ACCEPTCONN, &state, &length) == 0 && state != 0)
            (void)listen(socket->fds[i], backlog_of(listening));
    }
    return 0;
}

int listen_socket_open(struct listen_socket *socket, const struct conf_address *address,
                       const struct conf_listening *listening, size_t count, char *problem,
                       size_t problem_size)
{
    int result;

    *socket = (struct listen_socket){.bound = address->addr, .bound_length = address->length};
    socket->fds = calloc(count, sizeof(*socket->fds));
    if (socket->fds == NULL) {
        explain(problem, problem_size, address, "open", ENOMEM);
        return -1;
    }
    if (address->addr.ss_family == AF_UNIX)
        result = open_unix(socket, address, listening, problem, problem_size);
    else
        result = open_group(socket, address, listening, count, problem, problem_size);
    if (result == -1)
        listen_socket_close(socket);
    return result;
}

void listen_socket_close(struct listen_socket *socket)
{
    struct stat status;

    if (socket->count > 0 && socket->bound.ss_family == AF_UNIX && socket->inode != 0 &&
        lstat(unix_path(&socket->bound), &status) == 0 && status.st_dev == socket->device &&
        status.st_ino == socket->inode)
        (void)unlink(unix_path(&socket->bound));
    for (size_t i = 0; i < socket->count; i++)
        close(socket->fds[i]);
    free(socket->fds);
    *socket = (struct listen_socket){0};
}
