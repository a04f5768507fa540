/* The part of the page about relay modes: charts and a table for each group, concurrency and drain.
 * Refuses to know how the figures came about. */
#include <stdlib.h>
#include <string.h>

#include "sluice_load/chart.h"
#include "sluice_load/html_parts.h"
#include "sluice_load/units.h"

/* A mode has the same colour in all charts. */
static size_t mode_series(const char *mode)
{
    static const char *const names[] = {"copy", "splice", "sendfile", "mmap", "auto", "user", "ktls"};
    static const size_t series[] = {1, 0, 2, 3, 6, 5, 7};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], mode) == 0)
            return series[i];
    }
    return 4;
}

static bool has_figures(json_t *row)
{
    return json_is_object(json_object_get(row, "gb_per_s"));
}

/* The rows of one chart: a group, and so many connections, drained so. */
static bool in_chart(json_t *row, json_t *like)
{
    return strcmp(html_text_of(row, "group"), html_text_of(like, "group")) == 0 &&
           strcmp(html_text_of(row, "drain"), html_text_of(like, "drain")) == 0 &&
           json_equal(json_object_get(row, "connections"), json_object_get(like, "connections")) &&
           json_equal(json_object_get(row, "cold"), json_object_get(like, "cold"));
}

struct modes_chart {
    struct chart_bar bars[HTML_BARS_MAX];
    char sizes[HTML_BARS_MAX][UNITS_TEXT];
    size_t count;
};

static void add_bar(struct modes_chart *chart, json_t *row, json_t *spread, double factor)
{
    struct chart_bar *bar = &chart->bars[chart->count];

    if (chart->count == HTML_BARS_MAX || !json_is_object(spread))
        return;
    units_size(chart->sizes[chart->count], json_number_value(json_object_get(row, "size")));
    *bar = (struct chart_bar){.label = html_text_of(row, "mode"),
                              .group = chart->sizes[chart->count],
                              .series = mode_series(html_text_of(row, "mode")),
                              .value = factor * html_median_of(spread),
                              .low = factor * json_number_value(json_object_get(spread, "min")),
                              .high = factor * json_number_value(json_object_get(spread, "max"))};
    chart->count++;
}

static void draw_modes_bars(FILE *file, json_t *rows, json_t *like, bool cpu)
{
    static const struct chart_options throughput_options = {
        .title = "Throughput", .unit = "MB/s, each size to its own scale", .own_scale = true};
    static const struct chart_options cpu_options = {.title = "Processor time of the server",
                                                     .unit =
                                                         "s/GB, less is better; each size to its own scale",
                                                     .own_scale = true};
    struct modes_chart *chart = calloc(1, sizeof(*chart));
    json_t *row;
    size_t i;

    if (chart == NULL)
        return;
    json_array_foreach(rows, i, row)
    {
        if (in_chart(row, like) && has_figures(row))
            add_bar(chart, row,
                    cpu ? json_object_get(json_object_get(row, "cpu_s_per_gb"), "server")
                        : json_object_get(row, "gb_per_s"),
                    cpu ? 1 : 1000);
    }
    chart_bars(file, cpu ? &cpu_options : &throughput_options, chart->bars, chart->count);
    free(chart);
}

/* Of the smallest size: there it is latency, with large ones it is throughput once more. */
static void draw_modes_latency(FILE *file, json_t *rows, json_t *like)
{
    double values[CHART_SERIES][HTML_PERCENTILES];
    struct chart_line lines[CHART_SERIES];
    char title[64], size[UNITS_TEXT];
    size_t count = 0, i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (count < CHART_SERIES && in_chart(row, like) && has_figures(row) &&
            json_equal(json_object_get(row, "size"), json_object_get(like, "size")) &&
            html_read_percentiles(json_object_get(row, "latency_ms"), values[count])) {
            lines[count] = (struct chart_line){html_text_of(row, "mode"),
                                               mode_series(html_text_of(row, "mode")), values[count]};
            count++;
        }
    }
    snprintf(title, sizeof(title), "Latency of %s",
             units_size(size, json_number_value(json_object_get(like, "size"))));
    chart_lines(file, title, "ms", html_percentile_names, HTML_PERCENTILES, lines, count);
}

static bool is_first(json_t *rows, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (in_chart(json_array_get(rows, i), json_array_get(rows, at)))
            return false;
    }
    return true;
}

static void write_modes_row(FILE *file, json_t *row)
{
    json_t *cpu = json_object_get(row, "cpu_s_per_gb"), *latency = json_object_get(row, "latency_ms");
    char size[UNITS_TEXT];

    fputs("<tr>", file);
    html_write_cell(file, "", html_text_of(row, "mode"));
    fprintf(file, "<td>%s</td>", units_size(size, json_number_value(json_object_get(row, "size"))));
    if (!has_figures(row)) {
        bool fell = json_is_string(json_object_get(row, "fell_back"));

        fprintf(file, "<td colspan=\"11\" class=\"text fell\">%s: ", fell ? "fell back" : "failed");
        chart_text(file, html_text_of(row, fell ? "fell_back" : "failed"));
        fputs("</td></tr>\n", file);
        return;
    }
    html_write_spread(file, json_object_get(row, "gb_per_s"), 1000);
    html_write_number(file, json_object_get(json_object_get(row, "requests_per_s"), "median"));
    html_write_spread(file, json_object_get(cpu, "server"), 1);
    html_write_number(file, json_object_get(json_object_get(cpu, "client"), "median"));
    html_write_number(file, json_object_get(json_object_get(cpu, "system"), "median"));
    html_write_number(file, json_object_get(row, "syscalls_per_gb"));
    html_write_number(file, json_object_get(row, "bytes_per_call"));
    html_write_number(file, json_object_get(row, "user_bytes_per_byte"));
    html_write_number(file, json_object_get(latency, "p50"));
    html_write_number(file, json_object_get(latency, "p99"));
    html_write_cell(file, "",
                    json_is_true(json_object_get(row, "client_was_the_limit")) ? "the client was the limit"
                                                                               : "");
    fputs("</tr>\n", file);
}

static void write_modes_section(FILE *file, json_t *rows, json_t *like)
{
    json_t *row;
    size_t i;

    fprintf(file, "<h2>%s, %d at a time, drain %s%s</h2>\n", html_text_of(like, "group"),
            (int)json_integer_value(json_object_get(like, "connections")), html_text_of(like, "drain"),
            json_is_true(json_object_get(like, "cold")) ? ", not in the page cache" : "");
    fputs("<div class=\"charts\">\n", file);
    draw_modes_bars(file, rows, like, false);
    draw_modes_bars(file, rows, like, true);
    draw_modes_latency(file, rows, like);
    fputs("</div>\n", file);
    html_write_headings(file,
                        "!mode|size|MB/s|requests/s|server CPU s/GB|client|system|system calls/GB|bytes/call|"
                        "user bytes/byte|p50 ms|p99 ms|");
    json_array_foreach(rows, i, row)
    {
        if (in_chart(row, like))
            write_modes_row(file, row);
    }
    fputs("</table></div>\n", file);
}

static void write_loss(FILE *file, json_t *row, const char *figure, const char *what)
{
    json_t *loss = json_object_get(json_object_get(row, "loses"), figure);
    char size[UNITS_TEXT];

    if (!json_is_object(loss))
        return;
    fprintf(file, "<li>%s, %s, %d at a time, drain %s%s: %s %.0f %% %s than %s</li>\n",
            html_text_of(row, "group"), units_size(size, json_number_value(json_object_get(row, "size"))),
            (int)json_integer_value(json_object_get(row, "connections")), html_text_of(row, "drain"),
            json_is_true(json_object_get(row, "cold")) ? ", not in the page cache" : "",
            html_text_of(row, "mode"), 100 * json_number_value(json_object_get(loss, "by")), what,
            html_text_of(loss, "to"));
}

static bool loses(json_t *row)
{
    json_t *losses = json_object_get(row, "loses");

    return json_is_object(json_object_get(losses, "cpu")) ||
           json_is_object(json_object_get(losses, "throughput"));
}

static void write_losses(FILE *file, json_t *rows)
{
    bool any = false;
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (!loses(row))
            continue;
        if (!any)
            fputs("<h2>Where zero copy loses</h2>\n<ul>\n", file);
        any = true;
        write_loss(file, row, "cpu", "more CPU");
        write_loss(file, row, "throughput", "less throughput");
    }
    if (any)
        fputs("</ul>\n", file);
}

void html_write_modes(FILE *file, json_t *document)
{
    json_t *rows = json_object_get(document, "rows"), *row;
    size_t i;

    write_losses(file, rows);

    json_array_foreach(rows, i, row)
    {
        if (is_first(rows, i))
            write_modes_section(file, rows, row);
    }
}
