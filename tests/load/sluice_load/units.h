/* Numbers as people write and read them: sizes, durations, counts.
 * Refuses to know what is counted. */
#ifndef SLUICE_LOAD_UNITS_H
#define SLUICE_LOAD_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* The whole text, nothing else. 0, or -1 for what is not one or is too large for 63 bits. */
int units_parse_count(const char *text, uint64_t *value);
int units_parse_size(const char *text, uint64_t *bytes);    /* 1000, 64KiB, 100MB */
int units_parse_duration(const char *text, uint64_t *ns);   /* 10, 10s, 500ms, 2m, 1h */
int units_parse_rate(const char *text, double *per_second); /* 1000, 0.5, 20k */

/* Each writes into text, which holds UNITS_TEXT bytes, and returns it. */
#define UNITS_TEXT 32
char *units_size(char *text, double bytes);   /* 1 KiB, 64 KiB, 100 MB: binary where that is exact */
char *units_rate(char *text, double bytes);   /* 1.23 GB/s */
char *units_duration(char *text, double ns);  /* 1.23 ms */
char *units_count(char *text, double number); /* 12,345 */

#endif
