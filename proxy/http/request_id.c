/* Half of an id is the thread's, random; the other half counts, scrambled. Refuses to ask the kernel for
 * each: that would cost more than the rest of a small answer's head. */
#include "proxy/http/request_id.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

/* A bijection (Steele, Lea, Flood: splitmix64), so that no two counts give the same. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void put_hex(char *out, uint64_t number)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *out++ = "0123456789abcdef"[number >> shift & 15];
}

void request_id_make(char id[REQUEST_ID_MAX + 1])
{
    static _Thread_local bool seeded;
    static _Thread_local uint64_t seed[2]; /* the thread's half, and the count */

    if (!seeded) {
        /* So few bytes come whole or, before the kernel has gathered entropy, after a wait: at the first
         * request after a boot, when keys for TLS have waited for it before. */
        if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
            abort();
        seeded = true;
    }
    put_hex(id, seed[0]);
    put_hex(id + 16, scramble(seed[1]++));
    id[32] = '\0';
}

bool request_id_valid(struct http_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || strchr("-._~+/=", c) == NULL))
            return false;
    }
    return text.size > 0 && text.size <= REQUEST_ID_MAX;
}
