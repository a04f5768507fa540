/* Reads URLs and addresses and resolves them, once.
 * Refuses to know of connections. */
#include "sluice_load/target.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

bool target_address_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_UNIX)
        return true;
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

        return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    }
    return false;
}

/* A name is only as local as the least local of its addresses. */
static enum target_result resolve(struct target *target, const char *port, bool allow_remote)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    enum target_result result = TARGET_GOOD;

    if (getaddrinfo(target->host, port, &hints, &found) != 0)
        return TARGET_UNRESOLVED;
    for (struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        if (!allow_remote && !target_address_is_loopback(a->ai_addr))
            result = TARGET_REMOTE;
    }
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return result;
}

/* Takes HOST[:PORT] off the front of *text. The port stays as it is written, "" if there is none; -1 for bad
 * syntax. */
static int take_authority(const char **text, char *host, size_t host_size, char port[6])
{
    const char *at = *text, *end;
    bool bracket = *at == '[';
    size_t length;

    at += bracket;
    length = strcspn(at, bracket ? "]" : ":/?#");
    if (length >= host_size || (bracket && at[length] != ']'))
        return -1;
    memcpy(host, at, length);
    host[length] = '\0';
    at += length + bracket;
    port[0] = '\0';
    if (*at == ':') {
        length = strspn(++at, "0123456789");
        if (length == 0 || length > 5)
            return -1;
        memcpy(port, at, length);
        port[length] = '\0';
        if (atoi(port) == 0 || atoi(port) > 65535)
            return -1;
        at += length;
    }
    end = at;
    *text = end;
    return 0;
}

static void write_authority(struct target *target, const char *port)
{
    bool bracket = strchr(target->host, ':') != NULL;

    snprintf(target->authority, sizeof(target->authority), "%s%s%s%s%s", bracket ? "[" : "", target->host,
             bracket ? "]" : "", port[0] != '\0' ? ":" : "", port);
}

enum target_result target_parse_url(const char *text, bool allow_remote, struct target *target)
{
    char port[6];

    memset(target, 0, sizeof(*target));
    target->http = true;
    target->tls = strncmp(text, "https://", 8) == 0;
    if (!target->tls && strncmp(text, "http://", 7) != 0)
        return TARGET_SYNTAX;
    text += target->tls ? 8 : 7;
    if (take_authority(&text, target->host, sizeof(target->host), port) == -1 || target->host[0] == '\0')
        return TARGET_SYNTAX;
    if (*text != '\0' && *text != '/' && *text != '?')
        return TARGET_SYNTAX;
    if (strpbrk(text, " \t\r\n#") != NULL || strlen(text) + 2 > sizeof(target->path))
        return TARGET_SYNTAX;
    snprintf(target->path, sizeof(target->path), "%s%s", *text == '/' ? "" : "/", text);
    write_authority(target, port);
    return resolve(target, port[0] != '\0' ? port : target->tls ? "443" : "80", allow_remote);
}

static enum target_result parse_unix(const char *path, struct target *target)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&target->address;

    if (path[0] != '/' || strlen(path) >= sizeof(address->sun_path))
        return TARGET_SYNTAX;
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
    target->address_size = sizeof(*address);
    snprintf(target->host, sizeof(target->host), "localhost");
    snprintf(target->authority, sizeof(target->authority), "localhost");
    return TARGET_GOOD;
}

enum target_result target_parse_address(const char *text, bool allow_remote, struct target *target)
{
    char port[6];

    memset(target, 0, sizeof(*target));
    target->tls = strncmp(text, "tls://", 6) == 0;
    if (target->tls || strncmp(text, "tcp://", 6) == 0)
        text += 6;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, target);
    if (take_authority(&text, target->host, sizeof(target->host), port) == -1 || *text != '\0' ||
        port[0] == '\0')
        return TARGET_SYNTAX;
    if (target->host[0] == '\0')
        snprintf(target->host, sizeof(target->host), "127.0.0.1");
    write_authority(target, port);
    return resolve(target, port, allow_remote);
}

const char *target_result_text(enum target_result result)
{
    switch (result) {
    case TARGET_GOOD:
        return "good";
    case TARGET_SYNTAX:
        return "not an address";
    case TARGET_UNRESOLVED:
        return "no address is known for this name";
    case TARGET_REMOTE:
        return "not on loopback; --allow-remote, if its owner agrees to being loaded";
    }
    return "";
}

bool target_same_peer(const struct target *a, const struct target *b)
{
    return a->tls == b->tls && a->address_size == b->address_size &&
           memcmp(&a->address, &b->address, a->address_size) == 0 && strcmp(a->host, b->host) == 0;
}
