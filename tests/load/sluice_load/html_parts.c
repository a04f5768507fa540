/* Cells, headings, and what is read from a document for them.
 * Refuses to know the page. */
#include "sluice_load/html_parts.h"

#include <string.h>

#include "sluice_load/chart.h"
#include "sluice_load/spread.h"
#include "sluice_load/units.h"

const char *html_text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

double html_median_of(json_t *spread)
{
    return json_number_value(json_object_get(spread, "median"));
}

void html_write_spread(FILE *file, json_t *spread, double factor)
{
    double median = html_median_of(spread) * factor;
    int places = spread_places(median);

    if (!json_is_object(spread))
        fputs("<td>–</td>", file);
    else
        fprintf(file, "<td>%.*f <span class=\"faint\">(%.*f–%.*f)</span></td>", places, median, places,
                factor * json_number_value(json_object_get(spread, "min")), places,
                factor * json_number_value(json_object_get(spread, "max")));
}

void html_write_number(FILE *file, json_t *number)
{
    char text[UNITS_TEXT];
    double value = json_number_value(number);

    if (!json_is_number(number))
        fputs("<td>–</td>", file);
    else if (value >= 1000)
        fprintf(file, "<td>%s</td>", units_count(text, value));
    else
        fprintf(file, "<td>%.*f</td>", spread_places(value), value);
}

void html_write_cell(FILE *file, const char *class, const char *text)
{
    fprintf(file, "<td class=\"text %s\">", class);
    chart_text(file, text);
    fputs("</td>", file);
}

/* Those of columns of text begin with "!". */
void html_write_headings(FILE *file, const char *headings)
{
    fputs("<div class=\"wide\"><table><tr>", file);
    for (const char *at = headings;; at++) {
        size_t length = strcspn(at, "|");

        bool text = *at == '!';

        fprintf(file, "<th%s>%.*s</th>", text ? " class=\"text\"" : "", (int)length - text, at + text);
        at += length;
        if (*at == '\0')
            break;
    }
    fputs("</tr>\n", file);
}

static const char *const percentile_keys[] = {"p50", "p90", "p99", "p99_9", "max"};
const char *const html_percentile_names[HTML_PERCENTILES] = {"p50", "p90", "p99", "p99.9", "max"};

bool html_read_percentiles(json_t *latency, double values[HTML_PERCENTILES])
{
    for (size_t i = 0; i < HTML_PERCENTILES; i++)
        values[i] = json_number_value(json_object_get(latency, percentile_keys[i]));
    return json_is_object(latency);
}
