/* pcapng blocks (draft-ietf-opsawg-pcapng) and the packets in them: a relayed stream has no packets of its
 * own here, so IP and TCP headers are made up around its bytes, good enough for tshark to follow it.
 * Pure: writes into memory only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define PCAPNG_PAYLOAD_MAX (32u << 10) /* of one packet; an IP packet ends at 64 KiB */
#define PCAPNG_PACKET_MAX (32u + 60u + PCAPNG_PAYLOAD_MAX + 4u) /* a block around it at most */

/* Section header and one interface of raw IP packets. Writes at most PCAPNG_START_MAX bytes, returns how
 * many.
 */
#define PCAPNG_START_MAX 128u
size_t pcapng_start(uint8_t *block);
/* An interface statistics block: how many packets were dropped since the section began. */
size_t pcapng_drops(uint8_t *block, uint64_t time_us, uint64_t received, uint64_t dropped);

enum { PCAPNG_FIN = 1, PCAPNG_SYN = 2, PCAPNG_RST = 4, PCAPNG_PSH = 8, PCAPNG_ACK = 16 };

struct pcapng_packet {
    uint64_t time_us;                 /* since 1970 */
    const struct sockaddr *from, *to; /* both IPv4 or both IPv6 */
    uint32_t seq, ack;
    unsigned flags;
    const uint8_t *payload;
    size_t payload_size; /* at most PCAPNG_PAYLOAD_MAX */
};
/* Writes at most PCAPNG_PACKET_MAX bytes, returns how many. */
size_t pcapng_packet(uint8_t *block, const struct pcapng_packet *packet);
