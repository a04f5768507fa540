/* Log-linear buckets: the index is the power of two and the seven bits below the leading one.
 * Refuses to know what the values mean. */
#include "sluice_load/histogram.h"

#include <math.h>
#include <stdlib.h>

#define PART_BITS 7
#define PARTS (1u << PART_BITS)
/* Below PARTS each value is a bucket of its own; then one group of PARTS for every further leading bit. */
#define BUCKETS ((64 - PART_BITS + 1) * PARTS)

struct histogram {
    uint64_t count, min, max;
    double sum;
    uint64_t buckets[BUCKETS];
};

struct histogram *histogram_new(void)
{
    return calloc(1, sizeof(struct histogram));
}

void histogram_free(struct histogram *histogram)
{
    free(histogram);
}

size_t histogram_bucket(uint64_t value)
{
    unsigned shift;

    if (value < PARTS)
        return (size_t)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - PART_BITS;
    return (size_t)shift * PARTS + (size_t)(value >> shift);
}

uint64_t histogram_bucket_low(size_t bucket)
{
    size_t shift = bucket / PARTS;

    if (shift < 2)
        return bucket;
    return (uint64_t)(bucket % PARTS + PARTS) << (shift - 1);
}

uint64_t histogram_bucket_high(size_t bucket)
{
    size_t shift = bucket / PARTS;

    return shift < 2 ? bucket : histogram_bucket_low(bucket) + (UINT64_C(1) << (shift - 1)) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
    if (histogram->count == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->count++;
    histogram->sum += (double)value;
    histogram->buckets[histogram_bucket(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum += from->sum;
    for (size_t i = 0; i < BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t histogram_count(const struct histogram *histogram)
{
    return histogram->count;
}

uint64_t histogram_min(const struct histogram *histogram)
{
    return histogram->min;
}

uint64_t histogram_max(const struct histogram *histogram)
{
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count > 0 ? histogram->sum / (double)histogram->count : 0;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    uint64_t rank = (uint64_t)ceil(percent / 100 * (double)histogram->count);
    uint64_t seen = 0;

    if (histogram->count == 0)
        return 0;
    if (rank == 0)
        return histogram->min;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank) {
            uint64_t high = histogram_bucket_high(i);

            return high < histogram->max ? high : histogram->max;
        }
    }
    return histogram->max;
}
