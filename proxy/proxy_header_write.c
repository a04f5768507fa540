/* Writes a PROXY header. Refuses to know sockets. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/proxy_header.h"
#include "proxy/proxy_header_wire.h"

/* Bit by bit: a header has few bytes. */
uint32_t crc32c_add(uint32_t crc, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & (0 - (crc & 1)));
    }
    return crc;
}

uint32_t proxy_header_crc32c(const uint8_t *data, size_t size)
{
    return crc32c_end(crc32c_add(CRC32C_START, data, size));
}

/* An address as it is told. */
struct told {
    int family; /* AF_UNSPEC: not known */
    uint8_t host[16];
    in_port_t port; /* network order */
    char path[V2_UNIX_SIZE / 2];
};

static struct told tell(const struct sockaddr_storage *address)
{
    struct told told = {.family = AF_UNSPEC};
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;

    if (address == NULL)
        return told;
    told.family = address->ss_family;
    switch (address->ss_family) {
    case AF_INET:
        memcpy(&in, address, sizeof(in));
        memcpy(told.host, &in.sin_addr, 4);
        told.port = in.sin_port;
        break;
    case AF_INET6:
        memcpy(&in6, address, sizeof(in6));
        memcpy(told.host, &in6.sin6_addr, 16);
        told.port = in6.sin6_port;
        break;
    case AF_UNIX:
        memcpy(&un, address, sizeof(un));
        memcpy(told.path, un.sun_path, sizeof(told.path));
        break;
    default:
        told.family = AF_UNSPEC;
    }
    return told;
}

/* As IPv4, where it is that or mapped. */
static struct told unmap(const struct told *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct told ipv4 = *address;

    if (address->family == AF_INET6 && memcmp(address->host, mapped, sizeof(mapped)) == 0) {
        ipv4.family = AF_INET;
        memcpy(ipv4.host, address->host + sizeof(mapped), 4);
    }
    return ipv4;
}

/* The ends of a dual-stack socket's connection over IPv4 are both mapped. */
static void tell_pair(const struct proxy_header_facts *facts, struct told *source, struct told *destination)
{
    const struct told from = tell(facts->source), to = tell(facts->destination);
    const struct told from4 = unmap(&from), to4 = unmap(&to);
    const bool both = from4.family == AF_INET && to4.family == AF_INET;

    *source = both ? from4 : from;
    *destination = both ? to4 : to;
}

static size_t write_v1(const struct told *source, const struct told *destination, uint8_t *to)
{
    char from_host[INET6_ADDRSTRLEN], to_host[INET6_ADDRSTRLEN];
    int length;

    if (source->family != destination->family || (source->family != AF_INET && source->family != AF_INET6)) {
        memcpy(to, V1_PREFIX "UNKNOWN\r\n", sizeof(V1_PREFIX "UNKNOWN\r\n") - 1);
        return sizeof(V1_PREFIX "UNKNOWN\r\n") - 1;
    }
    inet_ntop(source->family, source->host, from_host, sizeof(from_host));
    inet_ntop(destination->family, destination->host, to_host, sizeof(to_host));
    length = snprintf((char *)to, PROXY_HEADER_V1_MAX + 1, V1_PREFIX "%s %s %s %u %u\r\n",
                      source->family == AF_INET ? "TCP4" : "TCP6", from_host, to_host, ntohs(source->port),
                      ntohs(destination->port));
    return (size_t)length;
}

static void put16(uint8_t *to, size_t number)
{
    to[0] = (uint8_t)(number >> 8);
    to[1] = (uint8_t)number;
}

static uint8_t *put(uint8_t *to, const void *data, size_t size)
{
    memcpy(to, data, size);
    return to + size;
}

static uint8_t *put_tlv(uint8_t *to, uint8_t type, const void *value, size_t size)
{
    to[0] = type;
    put16(to + 1, size);
    return put(to + V2_TLV_HEADER, value, size);
}

/* A text of ours is short; one that isn't is left out. */
static uint8_t *put_text(uint8_t *to, uint8_t type, const char *text)
{
    const size_t length = text != NULL ? strlen(text) : 0;

    return length == 0 || length > 255 ? to : put_tlv(to, type, text, length);
}

static uint8_t *put_addresses(uint8_t *to, const struct told *source, const struct told *destination,
                              uint8_t *family)
{
    const size_t host = source->family == AF_INET ? 4 : 16;

    if (source->family != destination->family || source->family == AF_UNSPEC) {
        *family = V2_UNSPEC;
        return to;
    }
    if (source->family == AF_UNIX) {
        *family = V2_UNIX;
        to = put(to, source->path, sizeof(source->path));
        return put(to, destination->path, sizeof(destination->path));
    }
    *family = source->family == AF_INET ? V2_TCP4 : V2_TCP6;
    to = put(to, source->host, host);
    to = put(to, destination->host, host);
    to = put(to, &source->port, 2);
    return put(to, &destination->port, 2);
}

/* The TLV that holds TLVs: five bytes of its own, then what is told of the connection. */
static uint8_t *put_ssl(uint8_t *to, const struct proxy_header_facts *facts)
{
    uint8_t *value = to + V2_TLV_HEADER, *end = value + 5;
    const bool named = facts->tls_name != NULL && facts->tls_name[0] != '\0';

    value[0] = V2_SSL_CLIENT_SSL | (named ? V2_SSL_CLIENT_CERT_CONN | V2_SSL_CLIENT_CERT_SESS : 0);
    /* "verify": zero only if the client presented a certificate and it was verified. */
    memset(value + 1, 0, 4);
    value[4] = named ? 0 : 1;
    end = put_text(end, V2_TLV_SSL_VERSION, facts->tls_version);
    end = put_text(end, V2_TLV_SSL_CN, facts->tls_name);
    end = put_text(end, V2_TLV_SSL_CIPHER, facts->tls_cipher);
    to[0] = V2_TLV_SSL;
    put16(to + 1, (size_t)(end - value));
    return end;
}

/* What was received, but for what is told anew: the checksum and padding always, the rest where it is known
 * here. */
static uint8_t *put_received(uint8_t *to, const struct proxy_header_facts *facts)
{
    for (size_t at = 0; at < facts->tlv_size;) {
        const uint8_t *tlv = facts->tlvs + at;
        const size_t size = V2_TLV_HEADER + ((size_t)tlv[1] << 8 | tlv[2]);
        const bool ours =
            tlv[0] == V2_TLV_CRC32C || tlv[0] == V2_TLV_NOOP ||
            (tlv[0] == V2_TLV_SSL && facts->tls_version != NULL) ||
            (tlv[0] == V2_TLV_ALPN && facts->tls_version != NULL) ||
            (tlv[0] == V2_TLV_AUTHORITY && facts->authority != NULL && facts->authority[0] != '\0');

        if (!ours)
            to = put(to, tlv, size);
        at += size;
    }
    return to;
}

static size_t finish_v2(uint8_t *header, uint8_t *end)
{
    static const uint8_t zero[4];
    uint8_t *checksum;
    uint32_t crc;

    end = put_tlv(end, V2_TLV_CRC32C, zero, sizeof(zero));
    checksum = end - sizeof(zero);
    put16(header + 14, (size_t)(end - header) - V2_HEADER);
    crc = htonl(proxy_header_crc32c(header, (size_t)(end - header)));
    memcpy(checksum, &crc, sizeof(crc));
    assert((size_t)(end - header) <= PROXY_HEADER_WRITE_MAX);
    return (size_t)(end - header);
}

size_t proxy_header_write(enum proxy_header_version version, const struct proxy_header_facts *facts,
                          uint8_t to[PROXY_HEADER_WRITE_MAX])
{
    struct told source, destination;
    uint8_t *end;

    tell_pair(facts, &source, &destination);
    if (version == PROXY_HEADER_V1)
        return write_v1(&source, &destination, to);
    memcpy(to, V2_SIGNATURE, sizeof(V2_SIGNATURE) - 1);
    to[12] = V2_PROXY;
    end = put_addresses(to + V2_HEADER, &source, &destination, &to[13]);
    end = put_text(end, V2_TLV_ALPN, facts->alpn);
    end = put_text(end, V2_TLV_AUTHORITY, facts->authority);
    if (facts->tls_version != NULL)
        end = put_ssl(end, facts);
    end = put_received(end, facts);
    return finish_v2(to, end);
}

size_t proxy_header_write_local(enum proxy_header_version version, uint8_t to[PROXY_HEADER_WRITE_MAX])
{
    const struct told unknown = {.family = AF_UNSPEC};

    if (version == PROXY_HEADER_V1)
        return write_v1(&unknown, &unknown, to);
    memcpy(to, V2_SIGNATURE, sizeof(V2_SIGNATURE) - 1);
    to[12] = V2_LOCAL;
    to[13] = V2_UNSPEC;
    return finish_v2(to, to + V2_HEADER);
}
