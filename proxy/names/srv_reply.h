/* A DNS reply to a question for SRV records (RFC 2782), as it came over the wire, into its records.
 * Refuses to know sockets and what the records are for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SRV_RECORDS_MAX 128u

struct srv_record {
    uint16_t priority, weight, port;
    char host[256]; /* without a final dot */
};

struct srv_reply {
    size_t count;
    bool cut;       /* there were more than SRV_RECORDS_MAX */
    uint32_t ttl_s; /* the shortest of the answer's records */
    struct srv_record records[SRV_RECORDS_MAX];
};

/* false: not a well-formed reply. A record whose host is "." (RFC 2782: no such service here) or that has no
 * port is left out. */
bool srv_reply_parse(const unsigned char *bytes, size_t size, struct srv_reply *reply)
    __attribute__((warn_unused_result));
