/* Fuzzes the end of a body: whole, and cut in two. The first byte says whether it has a length or chunks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

#define ROOM 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {.max_body = ROOM};
    if (size == 0) {
        return 0;
    }
    const struct http_request request = {.has_body = true,
                                         .content_length = data[0] % 4 == 0 ? data[0] * 20u : 0};
    const size_t length = size - 1, first = data[size / 2] * length / 256;
    char *text = malloc(length + 1);
    CHECK(text);
    memcpy(text, data + 1, length);

    struct http_body whole, cut;
    size_t used, head, tail = 0;
    http_body_init(&whole, &request, &limits);
    const enum http_body_status status = http_body_skip(&whole, text, length, &used);
    CHECK(used <= length && (status == HTTP_BODY_DONE || used == length));
    CHECK((status == HTTP_BODY_REFUSED) == (whole.status != 0) &&
          (whole.status != 0) == (whole.problem != NULL));
    CHECK(status != HTTP_BODY_DONE || used <= ROOM);

    http_body_init(&cut, &request, &limits);
    enum http_body_status again = http_body_skip(&cut, text, first, &head);
    if (again == HTTP_BODY_MORE) {
        again = http_body_skip(&cut, text + first, length - first, &tail);
    }
    CHECK(again == status && cut.status == whole.status);
    if (status == HTTP_BODY_DONE) {
        CHECK(head + tail == used);
        if (request.content_length != 0) {
            CHECK(used == request.content_length);
        } else {
            CHECK(used >= 5 && memcmp(text + used - 2, "\r\n", 2) == 0);
        }
    }
    free(text);
    return 0;
}
