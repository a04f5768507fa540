/* See address.h. Refuses to know how addresses are written in a configuration. */
#include "proxy/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static void format_ipv6(const struct sockaddr_storage *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_in6 in6;

    memcpy(&in6, address, sizeof(in6));
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], host, sizeof(host));
        snprintf(text, size, "%s:%u", host, ntohs(in6.sin6_port));
    } else {
        inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
        snprintf(text, size, "[%s]:%u", host, ntohs(in6.sin6_port));
    }
}

void address_format(const struct sockaddr_storage *address, socklen_t length, char *text, size_t size)
{
    char host[INET_ADDRSTRLEN];
    struct sockaddr_in in;
    struct sockaddr_un un;
    size_t path;

    switch (address->ss_family) {
    case AF_INET:
        memcpy(&in, address, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        snprintf(text, size, "%s:%u", host, ntohs(in.sin_port));
        break;
    case AF_INET6:
        format_ipv6(address, text, size);
        break;
    case AF_UNIX:
        memcpy(&un, address, sizeof(un));
        path = length > offsetof(struct sockaddr_un, sun_path)
                   ? length - offsetof(struct sockaddr_un, sun_path)
                   : 0;
        if (path > sizeof(un.sun_path))
            path = sizeof(un.sun_path);
        snprintf(text, size, "unix:%.*s", (int)path, un.sun_path);
        break;
    default:
        snprintf(text, size, "?");
    }
}
