/* Anything that a name server could send in answer to a question for SRV records. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/names/srv_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct srv_reply reply;

    if (!srv_reply_parse(data, size, &reply))
        return 0;
    if (reply.count > SRV_RECORDS_MAX)
        abort();
    for (size_t i = 0; i < reply.count; i++)
        if (reply.records[i].port == 0 || reply.records[i].host[0] == '\0' ||
            memchr(reply.records[i].host, '\0', sizeof(reply.records[i].host)) == NULL)
            abort();
    return 0;
}
