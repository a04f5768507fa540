/* Reads a PROXY header. Every length is held to what is there before it is believed, and nothing that stands
 * behind the header is looked at. Refuses to know sockets, and whom to believe. */
#include "proxy/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/proxy_header_wire.h"

static enum proxy_header_status bad(struct proxy_header *header, const char *problem)
{
    header->problem = problem;
    return PROXY_HEADER_BAD;
}

static enum proxy_header_status more(struct proxy_header *header, size_t needed)
{
    header->size = needed;
    return PROXY_HEADER_MORE;
}

/* --- Version 1: a line of text --- */

/* The word at *text, which a space ends; NULL if there is none. */
static char *next_word(char **text)
{
    char *word = *text, *space = word != NULL ? strchr(word, ' ') : NULL;

    if (space != NULL)
        *space = '\0';
    *text = space != NULL ? space + 1 : NULL;
    return word;
}

static bool parse_port(const char *text, in_port_t *port)
{
    const size_t length = text != NULL ? strspn(text, "0123456789") : 0;
    unsigned long number;

    if (length == 0 || length > 5 || text[length] != '\0' || (text[0] == '0' && length > 1))
        return false;
    number = strtoul(text, NULL, 10);
    *port = htons((uint16_t)number);
    return number <= 65535;
}

static bool parse_host(int family, const char *host, const char *port, struct sockaddr_storage *address,
                       socklen_t *length)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool good;

    if (host == NULL)
        return false;
    if (family == AF_INET) {
        good = inet_pton(AF_INET, host, &in.sin_addr) == 1 && parse_port(port, &in.sin_port);
        memcpy(address, &in, sizeof(in));
        *length = sizeof(in);
    } else {
        good = inet_pton(AF_INET6, host, &in6.sin6_addr) == 1 && parse_port(port, &in6.sin6_port);
        memcpy(address, &in6, sizeof(in6));
        *length = sizeof(in6);
    }
    return good;
}

/* `line`: what follows "PROXY ", without the CRLF. */
static bool parse_line(char *line, struct proxy_header *header)
{
    char *words[5], *rest = line;
    int family;

    for (size_t i = 0; i < 5; i++)
        words[i] = next_word(&rest);
    /* What stands behind UNKNOWN is to be ignored. */
    if (strcmp(words[0], "UNKNOWN") == 0)
        return true;
    if (rest != NULL || (strcmp(words[0], "TCP4") != 0 && strcmp(words[0], "TCP6") != 0))
        return false;
    family = words[0][3] == '4' ? AF_INET : AF_INET6;
    header->has_addresses =
        parse_host(family, words[1], words[3], &header->source, &header->source_length) &&
        parse_host(family, words[2], words[4], &header->destination, &header->destination_length);
    return header->has_addresses;
}

static enum proxy_header_status parse_v1(const uint8_t *data, size_t size, struct proxy_header *header)
{
    const size_t limit = size < PROXY_HEADER_V1_MAX ? size : PROXY_HEADER_V1_MAX;
    const uint8_t *end = memchr(data, '\n', limit);
    char line[PROXY_HEADER_V1_MAX];
    size_t length;

    if (end == NULL)
        return size < PROXY_HEADER_V1_MAX ? more(header, size + 1)
                                          : bad(header, "a PROXY line that doesn't end");
    length = (size_t)(end - data) + 1;
    if (length < sizeof(V1_PREFIX) - 1 + 2 || data[length - 2] != '\r' || memchr(data, '\0', length) != NULL)
        return bad(header, "a malformed PROXY line");
    memcpy(line, data, length - 2);
    line[length - 2] = '\0';
    if (!parse_line(line + sizeof(V1_PREFIX) - 1, header))
        return bad(header, "a malformed PROXY line");
    header->size = length;
    return PROXY_HEADER_DONE;
}

/* --- Version 2: binary --- */

static size_t get16(const uint8_t *data)
{
    return (size_t)data[0] << 8 | data[1];
}

/* The size of the address block of a family; 0: none is told. */
static size_t address_size(uint8_t family)
{
    switch (family) {
    case V2_TCP4:
        return V2_TCP4_SIZE;
    case V2_TCP6:
        return V2_TCP6_SIZE;
    case V2_UNIX:
        return V2_UNIX_SIZE;
    default:
        return 0;
    }
}

static void get_inet(const uint8_t *host, const uint8_t *port, struct sockaddr_storage *address,
                     socklen_t *length)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    memcpy(&in.sin_addr, host, 4);
    memcpy(&in.sin_port, port, 2);
    memcpy(address, &in, sizeof(in));
    *length = sizeof(in);
}

static void get_inet6(const uint8_t *host, const uint8_t *port, struct sockaddr_storage *address,
                      socklen_t *length)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    memcpy(&in6.sin6_addr, host, 16);
    memcpy(&in6.sin6_port, port, 2);
    memcpy(address, &in6, sizeof(in6));
    *length = sizeof(in6);
}

static void get_unix(const uint8_t *path, struct sockaddr_storage *address, socklen_t *length)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    memcpy(un.sun_path, path, V2_UNIX_SIZE / 2);
    memcpy(address, &un, sizeof(un));
    *length = sizeof(un);
}

static void get_addresses(uint8_t family, const uint8_t *block, struct proxy_header *header)
{
    header->has_addresses = true;
    if (family == V2_TCP4) {
        get_inet(block, block + 8, &header->source, &header->source_length);
        get_inet(block + 4, block + 10, &header->destination, &header->destination_length);
    } else if (family == V2_TCP6) {
        get_inet6(block, block + 32, &header->source, &header->source_length);
        get_inet6(block + 16, block + 34, &header->destination, &header->destination_length);
    } else {
        get_unix(block, &header->source, &header->source_length);
        get_unix(block + V2_UNIX_SIZE / 2, &header->destination, &header->destination_length);
    }
}

/* The checksum of the whole header, its own field taken as zero. */
static bool crc_holds(const uint8_t *data, size_t size, const uint8_t *field)
{
    static const uint8_t zero[4];
    const size_t before = (size_t)(field - data);
    uint32_t crc = crc32c_add(CRC32C_START, data, before), want;

    crc = crc32c_add(crc, zero, sizeof(zero));
    crc = crc32c_add(crc, field + sizeof(zero), size - before - sizeof(zero));
    memcpy(&want, field, sizeof(want));
    return htonl(crc32c_end(crc)) == want;
}

/* Walks the TLVs in [at, size). NULL, or what is wrong. */
static const char *check_tlvs(const uint8_t *data, size_t at, size_t size)
{
    while (at < size) {
        const uint8_t type = data[at];
        size_t length;

        if (size - at < V2_TLV_HEADER)
            return "a PROXY header whose TLVs overrun it";
        length = get16(data + at + 1);
        at += V2_TLV_HEADER;
        if (length > size - at)
            return "a PROXY header whose TLVs overrun it";
        if (type == V2_TLV_CRC32C && (length != 4 || !crc_holds(data, size, data + at)))
            return "a PROXY header with a wrong checksum";
        at += length;
    }
    return NULL;
}

static enum proxy_header_status parse_v2(const uint8_t *data, size_t size, struct proxy_header *header)
{
    size_t addresses, whole;
    uint8_t family;

    if (size < V2_HEADER)
        return more(header, V2_HEADER);
    family = data[13];
    whole = V2_HEADER + get16(data + 14);
    if (data[12] != V2_PROXY && data[12] != V2_LOCAL)
        return bad(header, "a PROXY header of an unknown version or command");
    if (whole > PROXY_HEADER_READ_MAX)
        return bad(header, "a PROXY header of more than 16 KiB");
    addresses = address_size(family);
    if (data[12] == V2_PROXY) {
        if (addresses == 0 && family != V2_UNSPEC)
            return bad(header, "a PROXY header for another transport than TCP and UNIX streams");
        if (whole < V2_HEADER + addresses)
            return bad(header, "a PROXY header too short for its addresses");
    }
    if (size < whole)
        return more(header, whole);
    header->size = whole;
    /* LOCAL, UNSPEC: what follows is to be skipped, whatever it is. */
    if (data[12] == V2_LOCAL || addresses == 0)
        return PROXY_HEADER_DONE;
    header->problem = check_tlvs(data, V2_HEADER + addresses, whole);
    if (header->problem != NULL)
        return PROXY_HEADER_BAD;
    get_addresses(family, data + V2_HEADER, header);
    header->tlvs = data + V2_HEADER + addresses;
    header->tlv_size = whole - V2_HEADER - addresses;
    return PROXY_HEADER_DONE;
}

/* --- Either --- */

static bool begins(const uint8_t *data, size_t size, const char *prefix, size_t length)
{
    return memcmp(data, prefix, size < length ? size : length) == 0;
}

enum proxy_header_status proxy_header_parse(const uint8_t *data, size_t size, struct proxy_header *header)
{
    memset(header, 0, sizeof(*header));
    if (size == 0)
        return more(header, 1);
    if (begins(data, size, V2_SIGNATURE, sizeof(V2_SIGNATURE) - 1))
        return parse_v2(data, size, header);
    if (!begins(data, size, V1_PREFIX, sizeof(V1_PREFIX) - 1))
        return bad(header, "no PROXY header, which a trusted peer must send");
    return parse_v1(data, size, header);
}
