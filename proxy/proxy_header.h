/* The PROXY protocol, version 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt): a header in front of
 * a connection's bytes that tells whose connection it was before a proxy took it. Pure: bytes in, a value
 * out, and back. Refuses to know sockets, and whom to believe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of a version 2 header that is read: 16 bytes, the addresses and the TLVs. A version 1 header has at most
 * PROXY_HEADER_V1_MAX. */
#define PROXY_HEADER_READ_MAX ((size_t)16 << 10)
#define PROXY_HEADER_V1_MAX 107u
/* Of one that is written: what was received, and what is added here. */
#define PROXY_HEADER_WRITE_MAX (PROXY_HEADER_READ_MAX + 2048)

enum proxy_header_status {
    PROXY_HEADER_DONE,
    PROXY_HEADER_MORE, /* not all of it is there: at least `size` bytes in all are */
    PROXY_HEADER_BAD,  /* `problem` says why */
};

struct proxy_header {
    size_t size; /* DONE: exactly this many bytes are the header's */
    /* Whether it tells addresses. It does not if the proxy speaks for itself (LOCAL: its health checks), and
     * if it doesn't know (UNKNOWN, UNSPEC): then the addresses of the connection itself hold. */
    bool has_addresses;
    struct sockaddr_storage source, destination;
    socklen_t source_length, destination_length;
    const uint8_t *tlvs; /* version 2: within the bytes read; well-formed */
    size_t tlv_size;
    const char *problem; /* BAD: static text */
};

/* Reads the first `size` bytes of a connection. A CRC32c among the TLVs is held to the header. */
enum proxy_header_status proxy_header_parse(const uint8_t *data, size_t size, struct proxy_header *header);

enum proxy_header_version { PROXY_HEADER_V1 = 1, PROXY_HEADER_V2 = 2 };

/* What is known of a client and its connection. */
struct proxy_header_facts {
    const struct sockaddr_storage *source, *destination; /* NULL, or of different kinds: not known */
    const char *authority;   /* the name that the client asked for (SNI); "" or NULL: none */
    const char *alpn;        /* the protocol agreed on; "" or NULL: none */
    const char *tls_version; /* "TLSv1.3"; NULL: no TLS ends here */
    const char *tls_cipher;  /* as OpenSSL calls it */
    const char *tls_name;    /* CN of the client's verified certificate; "" or NULL: none */
    const uint8_t *tlvs;     /* received; passed on but for those that are told anew */
    size_t tlv_size;
};

/* Writes a header into `to`; its size is returned. Version 2 has what is known and a CRC32c. Addresses
 * that are both v4-mapped are told as IPv4. */
size_t proxy_header_write(enum proxy_header_version version, const struct proxy_header_facts *facts,
                          uint8_t to[PROXY_HEADER_WRITE_MAX]);
/* One for a connection of our own, such as a health check: LOCAL, or UNKNOWN in version 1. */
size_t proxy_header_write_local(enum proxy_header_version version, uint8_t to[PROXY_HEADER_WRITE_MAX]);

/* CRC-32C (Castagnoli; RFC 3720 B.4). */
uint32_t proxy_header_crc32c(const uint8_t *data, size_t size);
