/* Numbers of the PROXY protocol, for proxy_header.c and proxy_header_write.c alone. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define V1_PREFIX "PROXY "

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2_HEADER 16u /* signature, version and command, family, length */
#define V2_LOCAL 0x20
#define V2_PROXY 0x21
#define V2_UNSPEC 0x00
#define V2_TCP4 0x11
#define V2_TCP6 0x21
#define V2_UNIX 0x31
#define V2_TCP4_SIZE 12u
#define V2_TCP6_SIZE 36u
#define V2_UNIX_SIZE 216u

#define V2_TLV_HEADER 3u
#define V2_TLV_ALPN 0x01
#define V2_TLV_AUTHORITY 0x02
#define V2_TLV_CRC32C 0x03
#define V2_TLV_NOOP 0x04
#define V2_TLV_SSL 0x20
#define V2_TLV_SSL_VERSION 0x21
#define V2_TLV_SSL_CN 0x22
#define V2_TLV_SSL_CIPHER 0x23
#define V2_SSL_CLIENT_SSL 0x01
#define V2_SSL_CLIENT_CERT_CONN 0x02
#define V2_SSL_CLIENT_CERT_SESS 0x04

#define CRC32C_START UINT32_C(0xffffffff)
uint32_t crc32c_add(uint32_t crc, const uint8_t *data, size_t size);
static inline uint32_t crc32c_end(uint32_t crc)
{
    return ~crc;
}
