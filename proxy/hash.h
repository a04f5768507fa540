/* Hashes by which hosts must agree with each other: the same on every machine and in every version.
 * Refuses to withstand an attacker: whoever chooses his own addresses can choose his server, too. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The finalizer of MurmurHash3: every bit of the input changes half of the output. */
static inline uint64_t hash_mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    h ^= h >> 33;
    return h;
}

/* FNV-1a, mixed: FNV alone leaves the high bits of short texts alike. */
static inline uint64_t hash_text(const char *text, size_t length)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash_mix(h);
}
