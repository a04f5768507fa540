/* See bucket.h: the virtual scheduling form of a token bucket (GCRA, ITU-T I.371).
 * Refuses to know clocks and what is limited. */
#include "relay/bucket.h"

#define SECOND_NS UINT64_C(1000000000)

/* The time in which n tokens come, rounded up: never more than the rate. */
static uint64_t time_of(const struct bucket_rate *rate, uint64_t n)
{
    return n / rate->rate * SECOND_NS + (n % rate->rate * SECOND_NS + rate->rate - 1) / rate->rate;
}

uint64_t bucket_level(const struct bucket *bucket, const struct bucket_rate *rate, uint64_t now_ns)
{
    if (bucket->full_ns <= now_ns)
        return rate->burst;
    uint64_t wait = bucket->full_ns - now_ns;
    if (wait >= time_of(rate, rate->burst))
        return 0;
    /* By whole seconds and the rest, since wait * rate might not fit. */
    uint64_t missing =
        wait / SECOND_NS * rate->rate + (wait % SECOND_NS * rate->rate + SECOND_NS - 1) / SECOND_NS;
    return missing < rate->burst ? rate->burst - missing : 0;
}

void bucket_take(struct bucket *bucket, const struct bucket_rate *rate, uint64_t n, uint64_t now_ns)
{
    if (bucket->full_ns < now_ns)
        bucket->full_ns = now_ns;
    bucket->full_ns += time_of(rate, n);
}

bool bucket_try(struct bucket *bucket, const struct bucket_rate *rate, uint64_t now_ns)
{
    if (bucket_level(bucket, rate, now_ns) == 0)
        return false;
    bucket_take(bucket, rate, 1, now_ns);
    return true;
}

uint64_t bucket_when(const struct bucket *bucket, const struct bucket_rate *rate, uint64_t n)
{
    uint64_t early = time_of(rate, rate->burst - n);
    return bucket->full_ns > early ? bucket->full_ns - early : 0;
}
