/* Counts of values in log-linear buckets, after HdrHistogram's idea: each power of two is divided into 128
 * equal parts, so a value is known to better than 1 %, and the memory is the same (58 KiB) however many there
 * are. Refuses to know what the values mean. */
#ifndef SLUICE_LOAD_HISTOGRAM_H
#define SLUICE_LOAD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

struct histogram;

/* NULL when memory is short. One thread at a time. */
struct histogram *histogram_new(void);
void histogram_free(struct histogram *histogram);

void histogram_record(struct histogram *histogram, uint64_t value);

/* As if all that was recorded in `from` had been recorded in `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* min, max and mean are exact, and 0 while nothing is recorded. */
uint64_t histogram_count(const struct histogram *histogram);
uint64_t histogram_min(const struct histogram *histogram);
uint64_t histogram_max(const struct histogram *histogram);
double histogram_mean(const struct histogram *histogram);

/* The value that `percent` (0 to 100) of all values do not exceed: the largest one its bucket can hold, but
 * not more than the maximum. 0 while nothing is recorded. */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* Where a value is counted, and the least and the greatest value counted there. For tests and for charts. */
size_t histogram_bucket(uint64_t value);
uint64_t histogram_bucket_low(size_t bucket);
uint64_t histogram_bucket_high(size_t bucket);

#endif
