/* Any bytes as what a client says first: read whole and at every length, they tell the same, and what is told
 * is within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static void check_told(const struct client_hello *hello)
{
    CHECK(memchr(hello->sni, '\0', sizeof(hello->sni)) != NULL);
    CHECK(hello->alpn_size <= sizeof(hello->alpn));
    for (size_t at = 0; at < hello->alpn_size; at += 1U + hello->alpn[at]) {
        CHECK(hello->alpn[at] > 0 && hello->alpn[at] < hello->alpn_size - at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_hello whole, part;
    enum client_hello_status status = client_hello_parse(data, size, &whole);
    CHECK(status != CLIENT_HELLO_MORE || (whole.needed > size && whole.needed <= CLIENT_HELLO_MAX));
    if (status == CLIENT_HELLO_DONE) {
        check_told(&whole);
    }
    size_t step = size / 64 + 1;
    for (size_t length = 0; length < size; length += step) {
        enum client_hello_status early = client_hello_parse(data, length, &part);
        if (early == CLIENT_HELLO_MORE) {
            CHECK(part.needed > length);
            /* What was asked for is never more than it takes. */
            CHECK(part.needed <= size || status != CLIENT_HELLO_DONE);
        } else {
            CHECK(early == status);
        }
    }
    return 0;
}
