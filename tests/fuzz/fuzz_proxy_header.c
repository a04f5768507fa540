/* Any bytes as a PROXY header: what is read is within its bounds, told again it reads the same, and no more
 * bytes than the header's count. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static void check_tlvs(const struct proxy_header *header, const uint8_t *data)
{
    CHECK(header->tlv_size == 0 ||
          (header->tlvs >= data && header->tlvs + header->tlv_size == data + header->size));
    for (size_t at = 0; at < header->tlv_size;) {
        CHECK(header->tlv_size - at >= 3);
        at += 3U + ((size_t)header->tlvs[at + 1] << 8 | header->tlvs[at + 2]);
        CHECK(at <= header->tlv_size);
    }
}

/* Version 2 can tell whatever was told. */
static void check_told_again(const struct proxy_header *header)
{
    static uint8_t wire[PROXY_HEADER_WRITE_MAX];
    const struct proxy_header_facts facts = {.source = header->has_addresses ? &header->source : NULL,
                                             .destination =
                                                 header->has_addresses ? &header->destination : NULL,
                                             .authority = "front.example.org",
                                             .tlvs = header->tlvs,
                                             .tlv_size = header->tlv_size};
    struct proxy_header again;
    size_t size = proxy_header_write(PROXY_HEADER_V2, &facts, wire);
    CHECK(proxy_header_parse(wire, size, &again) == PROXY_HEADER_DONE && again.size == size);
    CHECK(again.has_addresses == header->has_addresses);
    size = proxy_header_write(PROXY_HEADER_V1, &facts, wire);
    CHECK(size <= PROXY_HEADER_V1_MAX);
    CHECK(proxy_header_parse(wire, size, &again) == PROXY_HEADER_DONE && again.size == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header, part;
    switch (proxy_header_parse(data, size, &header)) {
    case PROXY_HEADER_MORE:
        CHECK(header.size > size && header.size <= PROXY_HEADER_READ_MAX);
        break;
    case PROXY_HEADER_BAD:
        CHECK(header.problem != NULL);
        break;
    case PROXY_HEADER_DONE:
        CHECK(header.size > 0 && header.size <= size && header.size <= PROXY_HEADER_READ_MAX);
        check_tlvs(&header, data);
        check_told_again(&header);
        CHECK(proxy_header_parse(data, header.size, &part) == PROXY_HEADER_DONE && part.size == header.size);
        CHECK(proxy_header_parse(data, header.size - 1, &part) == PROXY_HEADER_MORE);
        break;
    }
    return 0;
}
