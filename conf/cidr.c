/* See cidr.h. Refuses to know what is allowed or refused by a range. */
#include "conf/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* The number after the slash: at most `max`, without a sign or a leading zero. */
static bool parse_prefix(const char *text, unsigned max, unsigned *prefix)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 3 || text[length] != '\0' || (text[0] == '0' && length > 1)) {
        return false;
    }
    *prefix = (unsigned)strtoul(text, NULL, 10);
    return *prefix <= max;
}

/* Whether the first `prefix` bits of both are the same. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned prefix)
{
    unsigned whole = prefix / 8, rest = prefix % 8;
    uint8_t mask = (uint8_t)(0xff00U >> rest);
    return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

/* Whether a bit after the prefix is set. */
static bool has_host_bits(const struct conf_cidr *cidr, unsigned max)
{
    struct conf_cidr network = {0};
    for (unsigned i = 0; i < cidr->prefix; i++) {
        network.address[i / 8] |= (uint8_t)(cidr->address[i / 8] & (0x80U >> (i % 8)));
    }
    return memcmp(network.address, cidr->address, max / 8) != 0;
}

bool cidr_parse(const char *text, struct conf_cidr *cidr, const char **problem)
{
    *cidr = (struct conf_cidr){.family = AF_UNIX};
    if (strcmp(text, "unix") == 0) {
        return true;
    }
    char host[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    *problem = "is not a range of addresses: write, for example, \"10.0.0.0/8\", \"2001:db8::/32\", one "
               "address, or \"unix\"";
    if (length >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    cidr->family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    unsigned max = cidr->family == AF_INET6 ? 128 : 32;
    if (inet_pton(cidr->family, host, cidr->address) != 1) {
        return false;
    }
    if (cidr->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(void *)cidr->address)) {
        *problem = "is an IPv4 address in IPv6 notation: write it as IPv4, such as \"10.0.0.0/8\"";
        return false;
    }
    cidr->prefix = max;
    if (text[length] == '/' && !parse_prefix(text + length + 1, max, &cidr->prefix)) {
        *problem = cidr->family == AF_INET6
                       ? "has no prefix length from 0 to 128 after the /, such as \"2001:db8::/32\""
                       : "has no prefix length from 0 to 32 after the /, such as \"10.0.0.0/8\"";
        return false;
    }
    if (has_host_bits(cidr, max)) {
        *problem = "has bits set beyond its prefix: write the first address of the range, such as "
                   "\"10.0.0.0/8\", or without the / for one address";
        return false;
    }
    return true;
}

static bool contains(const struct conf_cidr *cidr, const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_UNIX) {
        return cidr->family == AF_UNIX;
    }
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return cidr->family == AF_INET &&
               same_bits(cidr->address, (const uint8_t *)&in->sin_addr, cidr->prefix);
    }
    if (address->ss_family != AF_INET6) {
        return false;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        return cidr->family == AF_INET && same_bits(cidr->address, &in6->sin6_addr.s6_addr[12], cidr->prefix);
    }
    return cidr->family == AF_INET6 && same_bits(cidr->address, in6->sin6_addr.s6_addr, cidr->prefix);
}

bool conf_cidrs_contain(const struct conf_cidrs *cidrs, const struct sockaddr_storage *address)
{
    for (size_t i = 0; i < cidrs->count; i++) {
        if (contains(&cidrs->items[i], address)) {
            return true;
        }
    }
    return false;
}
