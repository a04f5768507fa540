/* Charts as SVG inside HTML: bars with their spread, and lines. Colours are the page's (its CSS variables),
 * so that they follow light and dark. Refuses to know what is drawn. */
#ifndef SLUICE_LOAD_CHART_H
#define SLUICE_LOAD_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CHART_SERIES 8

struct chart_bar {
    const char *label; /* of this bar */
    const char *group; /* bars of one group stand together; the same pointer or the same text */
    size_t series;     /* its colour, below CHART_SERIES */
    double value, low, high;
};

struct chart_options {
    const char *title, *unit;
    bool own_scale; /* of bars: each group has its own, so that the small ones can be compared, too */
    double mark;    /* of bars: a line at this value; 0: none */
};

/* Horizontal bars, one below the other. The value is written beside the bar, so nothing is told by colour
 * alone. */
void chart_bars(FILE *file, const struct chart_options *options, const struct chart_bar *bars, size_t count);

struct chart_line {
    const char *label;
    size_t series;
    const double *values; /* one for each place */
};

/* Lines over places that are named, with a logarithmic scale: values of 0 are left out. */
void chart_lines(FILE *file, const char *title, const char *unit, const char *const *places,
                 size_t place_count, const struct chart_line *lines, size_t line_count);

/* Text with what HTML would take for its own written otherwise. */
void chart_text(FILE *file, const char *text);

#endif
