/* Medians and ranges.
 * Refuses to know what was measured. */
#include "sluice_load/spread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void spread_add(struct spread *spread, double value)
{
    if (spread->count < SPREAD_MAX)
        spread->values[spread->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double spread_median(const struct spread *spread)
{
    double sorted[SPREAD_MAX];
    size_t n = spread->count;

    if (n == 0)
        return 0;
    memcpy(sorted, spread->values, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), compare);
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double spread_min(const struct spread *spread)
{
    double min = spread->count > 0 ? spread->values[0] : 0;

    for (size_t i = 1; i < spread->count; i++)
        min = spread->values[i] < min ? spread->values[i] : min;
    return min;
}

double spread_max(const struct spread *spread)
{
    double max = spread->count > 0 ? spread->values[0] : 0;

    for (size_t i = 1; i < spread->count; i++)
        max = spread->values[i] > max ? spread->values[i] : max;
    return max;
}

bool spread_overlaps(const struct spread *a, const struct spread *b)
{
    return spread_min(a) <= spread_max(b) && spread_min(b) <= spread_max(a);
}

void spread_ratios(const struct spread *a, const struct spread *b, struct spread *ratios)
{
    memset(ratios, 0, sizeof(*ratios));
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (b->values[i] > 0)
            spread_add(ratios, a->values[i] / b->values[i]);
    }
}

int spread_places(double value)
{
    return value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
}

struct spread spread_scaled(const struct spread *spread, double factor)
{
    struct spread result = *spread;

    for (size_t i = 0; i < result.count; i++)
        result.values[i] *= factor;
    return result;
}

char *spread_text(const struct spread *spread, char *text)
{
    int places = spread_places(spread_median(spread));
    if (spread->count == 0)
        snprintf(text, SPREAD_TEXT, "–");
    else if (spread->count == 1)
        snprintf(text, SPREAD_TEXT, "%.*f", places, spread->values[0]);
    else
        snprintf(text, SPREAD_TEXT, "%.*f (%.*f–%.*f)", places, spread_median(spread), places,
                 spread_min(spread), places, spread_max(spread));
    return text;
}

json_t *spread_json(const struct spread *spread)
{
    json_t *values;

    if (spread->count == 0)
        return json_null();
    values = json_array();
    for (size_t i = 0; i < spread->count; i++)
        json_array_append_new(values, json_real(spread->values[i]));
    return json_pack("{s:f, s:f, s:f, s:o}", "median", spread_median(spread), "min", spread_min(spread),
                     "max", spread_max(spread), "values", values);
}
