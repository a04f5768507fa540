/* The pieces that the page is made of, and its part about modes. Private to html*.c.
 * Refuses to know the page. */
#ifndef SLUICE_LOAD_HTML_PARTS_H
#define SLUICE_LOAD_HTML_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define HTML_BARS_MAX 256
#define HTML_PERCENTILES 5

/* A member that is text, "" if it is not. */
const char *html_text_of(json_t *object, const char *key);
double html_median_of(json_t *spread);

/* A table's headings, separated by "|"; those of columns of text begin with "!". */
void html_write_headings(FILE *file, const char *headings);

/* Cells. A spread's values are shown times a factor. */
void html_write_spread(FILE *file, json_t *spread, double factor);
void html_write_number(FILE *file, json_t *number);
void html_write_cell(FILE *file, const char *class, const char *text);

/* p50, p90, p99, p99.9 and the maximum of a latency; false if there is none. */
extern const char *const html_percentile_names[HTML_PERCENTILES];
bool html_read_percentiles(json_t *latency, double values[HTML_PERCENTILES]);

/* All about the document of `modes`. */
void html_write_modes(FILE *file, json_t *document);

#endif
