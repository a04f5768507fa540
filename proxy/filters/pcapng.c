/* See pcapng.h. Blocks are in this host's byte order, as the format allows; headers in the network's.
 * Refuses to know files. */
#include "proxy/filters/pcapng.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINK_TYPE_RAW 101u /* IPv4 or IPv6, as the first nibble says */

struct writer {
    uint8_t *at;
};

static void put(struct writer *writer, const void *data, size_t size)
{
    if (size != 0)
        memcpy(writer->at, data, size);
    writer->at += size;
}

static void put8(struct writer *writer, unsigned value)
{
    *writer->at++ = (uint8_t)value;
}

static void put16(struct writer *writer, unsigned value)
{
    put(writer, &(uint16_t){(uint16_t)value}, 2);
}

static void put32(struct writer *writer, uint32_t value)
{
    put(writer, &value, 4);
}

static void put16_net(struct writer *writer, unsigned value)
{
    put16(writer, htons((uint16_t)value));
}

static void put32_net(struct writer *writer, uint32_t value)
{
    put32(writer, htonl(value));
}

/* A block's length stands before and behind it. */
static uint8_t *begin_block(struct writer *writer, uint32_t type)
{
    uint8_t *block = writer->at;

    put32(writer, type);
    put32(writer, 0);
    return block;
}

static void end_block(struct writer *writer, uint8_t *block)
{
    while ((writer->at - block) % 4 != 0)
        put8(writer, 0);
    const uint32_t size = (uint32_t)(writer->at - block) + 4;

    put32(writer, size);
    memcpy(block + 4, &size, 4);
}

size_t pcapng_start(uint8_t *block)
{
    struct writer writer = {block};
    const uint64_t unknown_length = UINT64_MAX;
    uint8_t *part = begin_block(&writer, BLOCK_SECTION);

    put32(&writer, BYTE_ORDER_MAGIC);
    put16(&writer, 1); /* version 1.0 */
    put16(&writer, 0);
    put(&writer, &unknown_length, 8);
    end_block(&writer, part);
    part = begin_block(&writer, BLOCK_INTERFACE);
    put16(&writer, LINK_TYPE_RAW);
    put16(&writer, 0);
    put32(&writer, 0); /* no snap length */
    end_block(&writer, part);
    return (size_t)(writer.at - block);
}

static void put_time(struct writer *writer, uint64_t time_us)
{
    put32(writer, (uint32_t)(time_us >> 32));
    put32(writer, (uint32_t)time_us);
}

static void put_count(struct writer *writer, unsigned option, uint64_t value)
{
    put16(writer, option);
    put16(writer, 8);
    put(writer, &value, 8);
}

size_t pcapng_drops(uint8_t *block, uint64_t time_us, uint64_t received, uint64_t dropped)
{
    struct writer writer = {block};
    uint8_t *part = begin_block(&writer, BLOCK_STATISTICS);

    put32(&writer, 0); /* interface */
    put_time(&writer, time_us);
    put_count(&writer, 4, received); /* isb_ifrecv */
    put_count(&writer, 5, dropped);  /* isb_ifdrop */
    put32(&writer, 0);               /* opt_endofopt */
    end_block(&writer, part);
    return (size_t)(writer.at - block);
}

/* --- The packet --- */

static uint32_t add_words(uint32_t sum, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)data[i] << 8 | data[i + 1];
    if (size % 2 != 0)
        sum += (uint32_t)data[size - 1] << 8;
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void store16_net(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Returns where the addresses begin: they are part of TCP's checksum. */
static const uint8_t *put_ip(struct writer *writer, const struct pcapng_packet *packet, size_t tcp_size)
{
    uint8_t *header = writer->at;

    if (packet->from->sa_family == AF_INET) {
        put8(writer, 0x45);
        put8(writer, 0);
        put16_net(writer, (unsigned)(20 + tcp_size));
        put16_net(writer, 0);
        put16_net(writer, 0x4000); /* don't fragment */
        put8(writer, 64);
        put8(writer, IPPROTO_TCP);
        put16(writer, 0);
        put(writer, &((const struct sockaddr_in *)packet->from)->sin_addr, 4);
        put(writer, &((const struct sockaddr_in *)packet->to)->sin_addr, 4);
        store16_net(header + 10, fold(add_words(0, header, 20)));
        return header + 12;
    }
    put32_net(writer, 6u << 28);
    put16_net(writer, (unsigned)tcp_size);
    put8(writer, IPPROTO_TCP);
    put8(writer, 64);
    put(writer, &((const struct sockaddr_in6 *)packet->from)->sin6_addr, 16);
    put(writer, &((const struct sockaddr_in6 *)packet->to)->sin6_addr, 16);
    return header + 8;
}

static unsigned port_of(const struct sockaddr *address)
{
    return ntohs(address->sa_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
                                               : ((const struct sockaddr_in6 *)address)->sin6_port);
}

static void put_tcp(struct writer *writer, const struct pcapng_packet *packet, const uint8_t *addresses)
{
    uint8_t *header = writer->at;
    const size_t size = 20 + packet->payload_size;
    uint32_t sum = add_words(IPPROTO_TCP + (uint32_t)size, addresses, (size_t)(header - addresses));

    put16_net(writer, port_of(packet->from));
    put16_net(writer, port_of(packet->to));
    put32_net(writer, packet->seq);
    put32_net(writer, packet->ack);
    put8(writer, 5 << 4);
    put8(writer, packet->flags);
    put16_net(writer, 65535);
    put32(writer, 0); /* checksum, urgent pointer */
    put(writer, packet->payload, packet->payload_size);
    sum = add_words(sum, header, size);
    store16_net(header + 16, fold(sum));
}

size_t pcapng_packet(uint8_t *block, const struct pcapng_packet *packet)
{
    struct writer writer = {block};
    uint8_t *part = begin_block(&writer, BLOCK_PACKET);
    const size_t tcp_size = 20 + packet->payload_size;
    const uint32_t size = (uint32_t)((packet->from->sa_family == AF_INET ? 20 : 40) + tcp_size);
    const uint8_t *addresses;

    put32(&writer, 0); /* interface */
    put_time(&writer, packet->time_us);
    put32(&writer, size); /* captured, original */
    put32(&writer, size);
    addresses = put_ip(&writer, packet, tcp_size);
    put_tcp(&writer, packet, addresses);
    end_block(&writer, part);
    return (size_t)(writer.at - block);
}
