/* Any bytes as the values of two Accept-Encoding lines: qualities within their bounds, two lines read as one
 * list, and nothing is taken that identity is preferred to. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/accept_encoding.h"
#include "proxy/http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_lines(const struct http_slice *values, unsigned count, struct http_accept_encoding *accept)
{
    struct http_field fields[2];
    static struct http_request request;
    request.fields = fields;
    request.field_count = count;
    for (unsigned i = 0; i < count; i++)
        request.fields[i] = (struct http_field){{"Accept-Encoding", 15}, values[i]};
    http_accept_encoding_parse(&request, accept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1); /* exact, so that reading on is noticed */
    struct http_accept_encoding one, two;
    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    read_lines(&(struct http_slice){text, size}, 1, &one);
    for (unsigned i = 0; i < HTTP_CODING_COUNT; i++) {
        if (one.quality[i] > 1000)
            abort();
        if (http_accept_encoding_takes(&one, i) &&
            (one.quality[i] == 0 || one.quality[i] < one.quality[HTTP_CODING_IDENTITY]))
            abort();
    }
    const char *comma = size > 0 ? memchr(text, ',', size) : NULL;
    if (comma) {
        const size_t first = (size_t)(comma - text);
        const struct http_slice values[] = {{text, first}, {comma + 1, size - first - 1}};
        read_lines(values, 2, &two);
        if (memcmp(&one, &two, sizeof(one)) != 0)
            abort();
    }
    free(text);
    return 0;
}
