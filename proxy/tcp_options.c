/* See tcp_options.h. Refuses to know listeners, servers and connections. */
#include "proxy/tcp_options.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROC "/proc/sys/net/ipv4/"

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

/* One line of a file in /proc; "" if it can't be read. */
static void read_line(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd != -1 ? read(fd, text, size - 1) : -1;

    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (fd != -1)
        close(fd);
}

static int set_congestion(int fd, const char *name)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

/* In whole seconds, rounded up. */
static int seconds(uint32_t ms)
{
    return (int)((ms + 999) / 1000);
}

static int set_keepalive(int fd, const struct conf_keepalive *keepalive)
{
    if (set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1 ||
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(keepalive->idle_ms)) == -1 ||
        set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(keepalive->interval_ms)) == -1)
        return -1;
    return set(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)keepalive->count);
}

int tcp_options_apply(int fd, const struct conf_tcp *tcp, const char **key)
{
    *key = "tcp.keepalive";
    if (tcp->has_keepalive && set_keepalive(fd, &tcp->keepalive) == -1)
        return -1;
    *key = "tcp.user_timeout";
    if (tcp->user_timeout != 0 && set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)tcp->user_timeout) == -1)
        return -1;
    *key = "tcp.congestion";
    return tcp->congestion != NULL ? set_congestion(fd, tcp->congestion) : 0;
}

int tcp_options_apply_listening(int fd, const struct conf_tcp *tcp, const char **key)
{
    char usual[64];

    (void)set(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    (void)set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
    read_line(PROC "tcp_congestion_control", usual, sizeof(usual));
    (void)set_congestion(fd, usual);
    if (tcp_options_apply(fd, tcp, key) == -1)
        return -1;
    *key = "tcp.fast_open";
    return set(fd, IPPROTO_TCP, TCP_FASTOPEN, (int)tcp->fast_open_queue) == -1 && tcp->fast_open_queue != 0
               ? -1
               : 0;
}

/* Binds to an address, the port left to connect(): so two connections to different servers may share one. */
static int bind_source(int fd, const struct sockaddr_storage *address)
{
    const socklen_t length =
        address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

    (void)set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, (const struct sockaddr *)address, length);
}

/* The client's address without its port, an IPv4 one in IPv6's clothes as IPv4. */
static struct sockaddr_storage host_of(const struct sockaddr_storage *client)
{
    struct sockaddr_storage host = {.ss_family = client->ss_family};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6}, from;

    if (client->ss_family == AF_INET) {
        memcpy(&in, client, sizeof(in));
        in.sin_port = 0;
        memcpy(&host, &in, sizeof(in));
    } else if (client->ss_family == AF_INET6) {
        memcpy(&from, client, sizeof(from));
        in6.sin6_addr = from.sin6_addr;
        in6.sin6_scope_id = from.sin6_scope_id;
        memcpy(&host, &in6, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&from.sin6_addr)) {
            memcpy(&in.sin_addr, from.sin6_addr.s6_addr + 12, 4);
            memset(&host, 0, sizeof(host));
            memcpy(&host, &in, sizeof(in));
        }
    }
    return host;
}

static int set_transparent(int fd, int family)
{
    return family == AF_INET ? set(fd, IPPROTO_IP, IP_TRANSPARENT, 1)
                             : set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
}

static int bind_to_client(int fd, int family, const struct sockaddr_storage *client)
{
    const struct sockaddr_storage host = host_of(client);

    if (host.ss_family != family) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return set_transparent(fd, family) == -1 ? -1 : bind_source(fd, &host);
}

int tcp_options_apply_outgoing(int fd, int family, const struct conf_outgoing *outgoing,
                               const struct sockaddr_storage *client, bool early, const char **key)
{
    struct conf_address source;
    int result;

    if (tcp_options_apply(fd, &outgoing->tcp, key) == -1)
        return -1;
    *key = "tcp.fast_open";
    /* EOPNOTSUPP: switched off in the kernel, as tcp_options_fast_open_problem() tells; it connects without.
     */
    if (early && outgoing->tcp.fast_open && set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1) == -1 &&
        errno != EOPNOTSUPP)
        return -1;
    *key = "transparent";
    if (outgoing->transparent)
        return bind_to_client(fd, family, client);
    *key = "source";
    if (outgoing->source == NULL)
        return 0;
    if (!conf_source_parse(outgoing->source, &source)) {
        errno = EINVAL;
        return -1;
    }
    errno = EAFNOSUPPORT;
    result = source.addr.ss_family == family ? bind_source(fd, &source.addr) : -1;
    conf_address_clear(&source);
    return result;
}

/* --- Trying --- */

static void report(struct conf_problems *problems, struct conf_place place, const char *owner,
                   const char *key, const char *value)
{
    const int error = errno;
    char path[256], available[256];

    snprintf(path, sizeof(path), "%s.%s", owner, key);
    if (strcmp(key, "tcp.congestion") == 0) {
        read_line(PROC "tcp_available_congestion_control", available, sizeof(available));
        conf_problem_add(problems, place, path,
                         error == EPERM
                             ? "\"%s\" is for processes with the capability net_admin: add it to "
                               "net.ipv4.tcp_allowed_congestion_control, or run with it (there are %s)"
                             : "\"%s\" can't be had: this kernel has %s",
                         value, available);
    } else if (strcmp(key, "transparent") == 0) {
        conf_problem_add(
            problems, place, path,
            "%s: start Sluice as root, with \"net_admin\" among `capabilities` if it has a `user`",
            strerror(error));
    } else if (strcmp(key, "source") == 0) {
        conf_problem_add(problems, place, path, "can't connect from %s: %s: write an address of this host",
                         value, strerror(error));
    } else {
        conf_problem_add(problems, place, path, "the kernel refuses it: %s", strerror(error));
    }
}

bool tcp_options_try_listening(const struct conf_listening *listening, const char *key,
                               struct conf_problems *problems)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const char *refused;
    bool good = fd == -1 || tcp_options_apply_listening(fd, &listening->tcp, &refused) == 0;

    if (!good)
        report(problems, listening->tcp.congestion_place, key, refused, listening->tcp.congestion);
    if (fd != -1)
        close(fd);
    return good;
}

bool tcp_options_try_outgoing(const struct conf_outgoing *outgoing, const char *key,
                              struct conf_problems *problems)
{
    struct conf_outgoing tried = *outgoing;
    const bool six = outgoing->source != NULL && strchr(outgoing->source, ':') != NULL;
    const int family = six ? AF_INET6 : AF_INET, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const char *refused;
    bool good = fd == -1;

    tried.transparent = false; /* there is no client to be */
    if (!good) {
        good = tcp_options_apply_outgoing(fd, family, &tried, NULL, true, &refused) == 0;
        if (good && outgoing->transparent) {
            refused = "transparent";
            good = set_transparent(fd, family) == 0;
        }
    }
    if (!good && strcmp(refused, "tcp.congestion") == 0)
        report(problems, outgoing->tcp.congestion_place, key, refused, outgoing->tcp.congestion);
    else if (!good)
        report(problems, refused[0] == 't' ? outgoing->transparent_place : outgoing->source_place, key,
               refused, outgoing->source);
    if (fd != -1)
        close(fd);
    return good;
}

const char *tcp_options_fast_open_problem(bool listening)
{
    char text[32];

    read_line(PROC "tcp_fastopen", text, sizeof(text));
    if ((strtol(text, NULL, 10) & (listening ? 2 : 1)) != 0)
        return NULL;
    return listening ? "has no effect: bit 2 of net.ipv4.tcp_fastopen is off; sysctl net.ipv4.tcp_fastopen=3"
                     : "has no effect: bit 1 of net.ipv4.tcp_fastopen is off; sysctl net.ipv4.tcp_fastopen=3";
}
