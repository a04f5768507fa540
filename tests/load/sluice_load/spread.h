/* What repetitions of one measurement gave: the median, and from where to where.
 * Refuses to know what was measured. */
#ifndef SLUICE_LOAD_SPREAD_H
#define SLUICE_LOAD_SPREAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define SPREAD_MAX 99

struct spread {
    double values[SPREAD_MAX];
    size_t count;
};

/* More than SPREAD_MAX are left out. */
void spread_add(struct spread *spread, double value);

/* 0 while there is none. */
double spread_median(const struct spread *spread);
double spread_min(const struct spread *spread);
double spread_max(const struct spread *spread);

/* Some value of a lies within those of b, or the other way round: which of them is better is not known. */
bool spread_overlaps(const struct spread *a, const struct spread *b);

/* Of repetition i: a / b. Both have been measured in turn, so what disturbed one disturbed the other. */
void spread_ratios(const struct spread *a, const struct spread *b, struct spread *ratios);

/* "0.123 (0.110–0.140)" into text of SPREAD_TEXT bytes, three digits of the median that matter; "–" while
 * there is none. */
#define SPREAD_TEXT 96
char *spread_text(const struct spread *spread, char *text);

/* How many places a number is shown with. */
int spread_places(double value);

/* All values times a factor: another unit. */
struct spread spread_scaled(const struct spread *spread, double factor);

/* {"median", "min", "max", "values"}, or null. New reference. */
json_t *spread_json(const struct spread *spread);

#endif
