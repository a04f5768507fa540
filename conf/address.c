/* Addresses: "127.0.0.1:80", "[::1]:443", ":443", "unix:/run/x.sock"; for servers also "app.internal:80".
 * Refuses to know names (nothing is looked up) and sockets (nothing is bound). */
#include "conf/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "conf/host_name.h"
#include "conf/memory.h"
#include "conf/path.h"

static bool parse_port(const char *text, in_port_t *port, const char **problem)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long value = digits > 0 && digits <= 5 ? strtoul(text, NULL, 10) : 65536;
    if (text[digits] != '\0' || value > 65535 || (digits > 1 && text[0] == '0')) {
        *problem = "has no valid port: after the last colon goes a whole number from 0 to 65535";
        return false;
    }
    *port = htons((in_port_t)value);
    return true;
}

static bool parse_unix(const char *text, const char *directory, struct conf_address *address,
                       const char **problem)
{
    if (text[0] == '\0' || text[0] == '@') {
        *problem = "lacks a path: write \"unix:/run/name.sock\"";
        return false;
    }
    char *path = directory != NULL ? path_resolve(directory, text) : memory_strdup(text);
    size_t length = strlen(path);
    struct sockaddr_un *local = (struct sockaddr_un *)&address->addr;
    /* unix(7): sun_path has 108 bytes; without the final NUL other programs may misread it. */
    bool fits = length < sizeof(local->sun_path);
    if (fits) {
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, path, length + 1);
        address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    } else {
        *problem = "is too long: a UNIX socket's absolute path has at most 107 bytes";
    }
    free(path);
    return fits;
}

/* The inside of the brackets, with an optional %interface. */
static bool parse_inet6(const char *host, size_t length, struct sockaddr_in6 *remote, const char **problem)
{
    char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    *problem = "is not an IPv6 address in brackets, such as \"[::1]:80\"";
    if (length >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, host, length);
    copy[length] = '\0';
    char *zone = strchr(copy, '%');
    if (zone != NULL) {
        *zone++ = '\0';
    }
    if (inet_pton(AF_INET6, copy, &remote->sin6_addr) != 1) {
        return false;
    }
    if (zone != NULL) {
        remote->sin6_scope_id = if_nametoindex(zone);
        if (remote->sin6_scope_id == 0) {
            *problem = "names a network interface after % that this host doesn't have";
            return false;
        }
    }
    /* Binding one fails on a socket that is IPv6 only (ipv6(7)), and it would hide a conflict with the same
     * IPv4 address. */
    if (IN6_IS_ADDR_V4MAPPED(&remote->sin6_addr)) {
        *problem = "is an IPv4 address in IPv6 notation: write it as IPv4, such as \"127.0.0.1:80\"";
        return false;
    }
    return true;
}

static bool parse_inet4(const char *host, size_t length, struct in_addr *addr, const char **problem)
{
    char copy[INET_ADDRSTRLEN];
    if (memchr(host, ':', length) != NULL) {
        *problem = "is ambiguous: an IPv6 address goes in brackets, such as \"[::1]:80\"";
        return false;
    }
    *problem = "is not a numeric address (names are not looked up): write, for example, \"127.0.0.1:80\", "
               "\"[::1]:80\", \":80\" or \"unix:/run/name.sock\"";
    if (length >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, host, length);
    copy[length] = '\0';
    return inet_pton(AF_INET, copy, addr) == 1;
}

static bool parse_inet(const char *text, struct conf_address *address, const char **problem)
{
    const char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
    const char *colon = bracket != NULL ? (bracket[1] == ':' ? bracket + 1 : NULL) : strrchr(text, ':');
    if (colon == NULL) {
        *problem = "lacks a port: write host and port, such as \"127.0.0.1:80\", or only \":80\" for every "
                   "address of this host";
        return false;
    }
    if (bracket != NULL || colon == text) {
        struct sockaddr_in6 *remote = (struct sockaddr_in6 *)&address->addr;
        remote->sin6_family = AF_INET6;
        remote->sin6_addr = in6addr_any;
        address->length = sizeof(*remote);
        address->dual_stack = bracket == NULL;
        return (bracket == NULL || parse_inet6(text + 1, (size_t)(bracket - text - 1), remote, problem)) &&
               parse_port(colon + 1, &remote->sin6_port, problem);
    }
    struct sockaddr_in *remote = (struct sockaddr_in *)&address->addr;
    remote->sin_family = AF_INET;
    address->length = sizeof(*remote);
    return parse_inet4(text, (size_t)(colon - text), &remote->sin_addr, problem) &&
           parse_port(colon + 1, &remote->sin_port, problem);
}

bool address_parse(const char *text, const char *directory, struct conf_address *address,
                   const char **problem)
{
    struct conf_address parsed = {0};
    bool is_unix = strncmp(text, "unix:", 5) == 0;
    if (!(is_unix ? parse_unix(text + 5, directory, &parsed, problem) : parse_inet(text, &parsed, problem))) {
        return false;
    }
    *address = parsed;
    address->text = memory_strdup(text);
    return true;
}

/* "app.internal:8080": the part before the last colon, which is no IPv4 address if it is only digits and
 * dots.
 */
static bool parse_host_port(const char *text, struct conf_address *address, const char **problem)
{
    const char *colon = strrchr(text, ':');
    in_port_t port = 0;
    if (!host_name_check(text, (size_t)(colon - text), problem) || !parse_port(colon + 1, &port, problem)) {
        return false;
    }
    address->host = memory_strndup(text, (size_t)(colon - text));
    address->port = ntohs(port);
    return true;
}

/* What can only be meant as a name, right or wrong. */
static bool is_meant_as_name(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    bool other = length == 0 || text[0] == '[' || strncmp(text, "unix:", 5) == 0;
    return !other && memchr(text, ':', length) == NULL && strspn(text, "0123456789.") < length;
}

bool address_parse_server(const char *text, const char *directory, struct conf_address *address,
                          const char **problem)
{
    struct conf_address parsed = {0};
    if (strncmp(text, "srv:", 4) == 0) {
        if (strchr(text + 4, ':') != NULL) {
            *problem = "has a port, and SRV records tell it: write only the name after \"srv:\"";
            return false;
        }
        if (!host_name_check(text + 4, strlen(text + 4), problem)) {
            return false;
        }
        parsed.host = memory_strdup(text + 4);
        parsed.srv = true;
    } else if (!is_meant_as_name(text)) {
        return address_parse(text, directory, address, problem);
    } else if (!parse_host_port(text, &parsed, problem)) {
        return false;
    }
    parsed.text = memory_strdup(text);
    *address = parsed;
    return true;
}

bool conf_address_parse(const char *text, struct conf_address *address, const char **problem)
{
    return address_parse(text, NULL, address, problem);
}

bool conf_address_parse_server(const char *text, struct conf_address *address, const char **problem)
{
    return address_parse_server(text, NULL, address, problem);
}

void conf_address_clear(struct conf_address *address)
{
    free(address->host);
    free(address->text);
    *address = (struct conf_address){0};
}

unsigned address_port(const struct conf_address *address)
{
    switch (address->addr.ss_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)&address->addr)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)&address->addr)->sin6_port);
    default:
        return 0;
    }
}

static bool same_host(const struct conf_address *a, const struct conf_address *b)
{
    if (a->addr.ss_family != b->addr.ss_family) {
        return false;
    }
    switch (a->addr.ss_family) {
    case AF_INET:
        return ((const struct sockaddr_in *)&a->addr)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)&b->addr)->sin_addr.s_addr;
    case AF_INET6: {
        const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)&a->addr;
        const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)&b->addr;
        return memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0 &&
               x->sin6_scope_id == y->sin6_scope_id;
    }
    case AF_UNIX:
        return strcmp(((const struct sockaddr_un *)&a->addr)->sun_path,
                      ((const struct sockaddr_un *)&b->addr)->sun_path) == 0;
    default:
        return false;
    }
}

bool conf_address_equal(const struct conf_address *a, const struct conf_address *b)
{
    return same_host(a, b) && address_port(a) == address_port(b) && a->dual_stack == b->dual_stack;
}

/* Whether `wide` is a wildcard that contains `other`. [::] is IPv6 only; a dual-stack one is both. */
static bool contains(const struct conf_address *wide, const struct conf_address *other)
{
    if (wide->addr.ss_family == AF_INET) {
        return other->addr.ss_family == AF_INET &&
               ((const struct sockaddr_in *)&wide->addr)->sin_addr.s_addr == htonl(INADDR_ANY);
    }
    if (wide->addr.ss_family == AF_INET6) {
        return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&wide->addr)->sin6_addr) &&
               (other->addr.ss_family == AF_INET6 || (other->addr.ss_family == AF_INET && wide->dual_stack));
    }
    return false;
}

bool address_conflict(const struct conf_address *a, const struct conf_address *b)
{
    if (a->addr.ss_family == AF_UNIX || b->addr.ss_family == AF_UNIX) {
        return same_host(a, b);
    }
    return address_port(a) == address_port(b) && address_port(a) != 0 &&
           (same_host(a, b) || contains(a, b) || contains(b, a));
}
