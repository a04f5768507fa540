/* A token bucket as one number: the moment at which it would be full again if nothing more were taken. So it
 * needs no refilling, zero is a full one, and it keeps its meaning when the rate changes. Pure: the caller
 * brings the time. Refuses to know what a token stands for (a byte, a connection). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t full_ns; /* on the caller's clock */
};

/* Both at least 1; rate at most 10^10, burst at most 2^32, so that no product overflows. */
struct bucket_rate {
    uint64_t rate;  /* tokens a second */
    uint64_t burst; /* what a full bucket holds */
};

/* Tokens in it now: 0 ... burst. */
uint64_t bucket_level(const struct bucket *bucket, const struct bucket_rate *rate, uint64_t now_ns);
/* Takes n, also more than there are: the debt is paid off first. */
void bucket_take(struct bucket *bucket, const struct bucket_rate *rate, uint64_t n, uint64_t now_ns);
/* One token if there is one; false: there isn't, and nothing was taken. */
bool bucket_try(struct bucket *bucket, const struct bucket_rate *rate, uint64_t now_ns);
/* The moment at which n tokens (at most burst) will be there; in the past if they are. */
uint64_t bucket_when(const struct bucket *bucket, const struct bucket_rate *rate, uint64_t n);
