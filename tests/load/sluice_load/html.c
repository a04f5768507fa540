/* The page: its frame and style, its tables, and which charts are drawn from which figures.
 * Refuses to know how the figures came about. */
#include "sluice_load/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_load/chart.h"
#include "sluice_load/spread.h"
#include "sluice_load/units.h"

#define BARS_MAX 256
#define PLACES_MAX 16

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ground:#fff;--text:#1b1f24;--faint:#59636e;--rule:#d1d9e0;--good:#1a7f37;"
    "--bad:#cf222e;--c0:#0969da;--c1:#bc4c00;--c2:#1a7f37;--c3:#8250df;--c4:#9a6700;--c5:#cf222e;--c6:#"
    "57606a;"
    "--c7:#116329}\n"
    "@media (prefers-color-scheme:dark){:root{--ground:#0d1117;--text:#e6edf3;--faint:#9198a1;--rule:#3d444d;"
    "--good:#3fb950;--bad:#ff7b72;--c0:#58a6ff;--c1:#f0883e;--c2:#3fb950;--c3:#bc8cff;--c4:#d29922;--c5:#"
    "ff7b72;"
    "--c6:#9198a1;--c7:#7ee787}}\n"
    "body{margin:0 auto;max-width:1280px;padding:1.5rem;background:var(--ground);color:var(--text);"
    "font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.5rem 0 .5rem}p{margin:.4rem "
    "0}.faint{color:var(--faint)}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:1.5rem}\n"
    "figure{margin:0;min-width:0;max-width:640px}figcaption{font-weight:600;margin-bottom:.3rem}figcaption "
    "span{font-weight:400;"
    "color:var(--faint)}svg{width:100%;height:auto;display:block}\n"
    "svg text{fill:var(--text);font-size:13px}svg .label,svg .value{fill:var(--faint)}svg "
    ".group{font-weight:600}\n"
    ".grid{stroke:var(--rule);fill:none}.mark{stroke:var(--faint);fill:none;stroke-dasharray:3 "
    "3}.spread{stroke:var(--text);fill:none;opacity:.7}.line{fill:none;"
    "stroke-width:2}\n"
    ".s0{fill:var(--c0)}.s1{fill:var(--c1)}.s2{fill:var(--c2)}.s3{fill:var(--c3)}.s4{fill:var(--c4)}.s5{fill:"
    "var(--c5)}"
    ".s6{fill:var(--c6)}.s7{fill:var(--c7)}\n"
    ".l0{stroke:var(--c0)}.l1{stroke:var(--c1)}.l2{stroke:var(--c2)}.l3{stroke:var(--c3)}.l4{stroke:var(--c4)"
    "}"
    ".l5{stroke:var(--c5)}.l6{stroke:var(--c6)}.l7{stroke:var(--c7)}\n"
    ".b0{background:var(--c0)}.b1{background:var(--c1)}.b2{background:var(--c2)}.b3{background:var(--c3)}"
    ".b4{background:var(--c4)}.b5{background:var(--c5)}.b6{background:var(--c6)}.b7{background:var(--c7)}\n"
    ".legend span{margin-right:1rem;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;"
    "border-radius:2px;margin-right:.35em}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:."
    "25rem .6rem;"
    "border-bottom:1px solid "
    "var(--rule);text-align:right;white-space:nowrap}th{color:var(--faint);font-weight:600}"
    ".text{text-align:left}td.text{white-space:normal;min-width:8rem;max-"
    "width:20rem}.met{color:var(--good)}.missed,.fell{color:var(--"
    "bad)}\n";

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static double median_of(json_t *spread)
{
    return json_number_value(json_object_get(spread, "median"));
}

static void write_spread(FILE *file, json_t *spread, double factor)
{
    double median = median_of(spread) * factor;
    int places = spread_places(median);

    if (!json_is_object(spread))
        fputs("<td>–</td>", file);
    else
        fprintf(file, "<td>%.*f <span class=\"faint\">(%.*f–%.*f)</span></td>", places, median, places,
                factor * json_number_value(json_object_get(spread, "min")), places,
                factor * json_number_value(json_object_get(spread, "max")));
}

static void write_number(FILE *file, json_t *number)
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

static void write_cell(FILE *file, const char *class, const char *text)
{
    fprintf(file, "<td class=\"text %s\">", class);
    chart_text(file, text);
    fputs("</td>", file);
}

/* Those of columns of text begin with "!". */
static void write_headings(FILE *file, const char *headings)
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

/* ---- modes ---- */

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
    return strcmp(text_of(row, "group"), text_of(like, "group")) == 0 &&
           strcmp(text_of(row, "drain"), text_of(like, "drain")) == 0 &&
           json_equal(json_object_get(row, "connections"), json_object_get(like, "connections")) &&
           json_equal(json_object_get(row, "cold"), json_object_get(like, "cold"));
}

struct modes_chart {
    struct chart_bar bars[BARS_MAX];
    char sizes[BARS_MAX][UNITS_TEXT];
    size_t count;
};

static void add_bar(struct modes_chart *chart, json_t *row, json_t *spread, double factor)
{
    struct chart_bar *bar = &chart->bars[chart->count];

    if (chart->count == BARS_MAX || !json_is_object(spread))
        return;
    units_size(chart->sizes[chart->count], json_number_value(json_object_get(row, "size")));
    *bar = (struct chart_bar){.label = text_of(row, "mode"),
                              .group = chart->sizes[chart->count],
                              .series = mode_series(text_of(row, "mode")),
                              .value = factor * median_of(spread),
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

static const char *const percentile_keys[] = {"p50", "p90", "p99", "p99_9", "max"};
static const char *const percentile_names[] = {"p50", "p90", "p99", "p99.9", "max"};

#define PERCENTILES (sizeof(percentile_keys) / sizeof(percentile_keys[0]))

static bool read_percentiles(json_t *latency, double values[PERCENTILES])
{
    for (size_t i = 0; i < PERCENTILES; i++)
        values[i] = json_number_value(json_object_get(latency, percentile_keys[i]));
    return json_is_object(latency);
}

/* Of the smallest size: there it is latency, with large ones it is throughput once more. */
static void draw_modes_latency(FILE *file, json_t *rows, json_t *like)
{
    double values[CHART_SERIES][PERCENTILES];
    struct chart_line lines[CHART_SERIES];
    char title[64], size[UNITS_TEXT];
    size_t count = 0, i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        if (count < CHART_SERIES && in_chart(row, like) && has_figures(row) &&
            json_equal(json_object_get(row, "size"), json_object_get(like, "size")) &&
            read_percentiles(json_object_get(row, "latency_ms"), values[count])) {
            lines[count] =
                (struct chart_line){text_of(row, "mode"), mode_series(text_of(row, "mode")), values[count]};
            count++;
        }
    }
    snprintf(title, sizeof(title), "Latency of %s",
             units_size(size, json_number_value(json_object_get(like, "size"))));
    chart_lines(file, title, "ms", percentile_names, PERCENTILES, lines, count);
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
    write_cell(file, "", text_of(row, "mode"));
    fprintf(file, "<td>%s</td>", units_size(size, json_number_value(json_object_get(row, "size"))));
    if (!has_figures(row)) {
        bool fell = json_is_string(json_object_get(row, "fell_back"));

        fprintf(file, "<td colspan=\"11\" class=\"text fell\">%s: ", fell ? "fell back" : "failed");
        chart_text(file, text_of(row, fell ? "fell_back" : "failed"));
        fputs("</td></tr>\n", file);
        return;
    }
    write_spread(file, json_object_get(row, "gb_per_s"), 1000);
    write_number(file, json_object_get(json_object_get(row, "requests_per_s"), "median"));
    write_spread(file, json_object_get(cpu, "server"), 1);
    write_number(file, json_object_get(json_object_get(cpu, "client"), "median"));
    write_number(file, json_object_get(json_object_get(cpu, "system"), "median"));
    write_number(file, json_object_get(row, "syscalls_per_gb"));
    write_number(file, json_object_get(row, "bytes_per_call"));
    write_number(file, json_object_get(row, "user_bytes_per_byte"));
    write_number(file, json_object_get(latency, "p50"));
    write_number(file, json_object_get(latency, "p99"));
    write_cell(file, "",
               json_is_true(json_object_get(row, "client_was_the_limit")) ? "the client was the limit" : "");
    fputs("</tr>\n", file);
}

static void write_modes_section(FILE *file, json_t *rows, json_t *like)
{
    json_t *row;
    size_t i;

    fprintf(file, "<h2>%s, %d at a time, drain %s%s</h2>\n", text_of(like, "group"),
            (int)json_integer_value(json_object_get(like, "connections")), text_of(like, "drain"),
            json_is_true(json_object_get(like, "cold")) ? ", not in the page cache" : "");
    fputs("<div class=\"charts\">\n", file);
    draw_modes_bars(file, rows, like, false);
    draw_modes_bars(file, rows, like, true);
    draw_modes_latency(file, rows, like);
    fputs("</div>\n", file);
    write_headings(file,
                   "!mode|size|MB/s|requests/s|server CPU s/GB|client|system|system calls/GB|bytes/call|"
                   "user bytes/byte|p50 ms|p99 ms|");
    json_array_foreach(rows, i, row)
    {
        if (in_chart(row, like))
            write_modes_row(file, row);
    }
    fputs("</table></div>\n", file);
}

static void write_modes(FILE *file, json_t *document)
{
    json_t *rows = json_object_get(document, "rows"), *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (is_first(rows, i))
            write_modes_section(file, rows, row);
    }
}

/* ---- peers ---- */

static void write_goal(FILE *file, json_t *row, json_t *goal)
{
    const char *metric = text_of(goal, "metric"), *verdict = text_of(goal, "verdict");
    bool memory = strcmp(text_of(goal, "of"), "ours") == 0;
    json_t *ours = json_object_get(json_object_get(json_object_get(row, "sluice"), "figures"), metric);
    json_t *theirs = json_object_get(json_object_get(json_object_get(row, "peer"), "figures"), metric);

    fputs("<tr>", file);
    write_cell(file, "", text_of(row, "work"));
    write_cell(file, "", text_of(row, "against"));
    fputs("<td class=\"text\">", file);
    chart_text(file, metric);
    fprintf(file, ", %s</td>", text_of(goal, "unit"));
    write_spread(file, json_object_get(ours, "spread"), 1);
    write_spread(file, json_object_get(theirs, "spread"), 1);
    write_number(file, json_object_get(goal, "ratio"));
    fprintf(file, "<td>%s %g%s</td>", json_is_true(json_object_get(goal, "more_is_better")) ? "≥" : "≤",
            json_number_value(json_object_get(goal, "target")), memory ? " bytes" : "");
    write_cell(file, verdict, strcmp(verdict, "none") == 0 ? text_of(row, "unavailable") : verdict);
    fputs("</tr>\n", file);
}

static void add_goal_bar(struct chart_bar *bars, size_t *count, json_t *row, json_t *goal)
{
    json_t *ratios = json_object_get(goal, "ratios");
    bool met = strcmp(text_of(goal, "verdict"), "met") == 0;

    if (*count == BARS_MAX || !json_is_number(json_object_get(goal, "ratio")))
        return;
    bars[(*count)++] = (struct chart_bar){.label = text_of(row, "name"),
                                          .group = text_of(goal, "metric"),
                                          .series = met ? 2 : 1,
                                          .value = json_number_value(json_object_get(goal, "ratio")),
                                          .low = json_number_value(json_object_get(ratios, "min")),
                                          .high = json_number_value(json_object_get(ratios, "max"))};
}

static int compare_groups(const void *a, const void *b)
{
    return strcmp(((const struct chart_bar *)a)->group, ((const struct chart_bar *)b)->group);
}

static void write_peers(FILE *file, json_t *document)
{
    json_t *rows = json_object_get(document, "rows"), *row, *goal;
    static const struct chart_options options = {
        .title = "Sluice / peer",
        .unit = "of throughput and requests/s more is better, of the rest less",
        .mark = 1};
    struct chart_bar bars[BARS_MAX];
    size_t count = 0, i, g;

    json_array_foreach(rows, i, row)
    {
        json_array_foreach(json_object_get(row, "goals"), g, goal)
        {
            add_goal_bar(bars, &count, row, goal);
        }
    }
    qsort(bars, count, sizeof(bars[0]), compare_groups);
    fputs("<div class=\"charts\">\n", file);
    chart_bars(file, &options, bars, count);
    fputs("</div>\n", file);
    write_headings(file, "!work|!against|!of|Sluice|peer|ratio|target|");
    json_array_foreach(rows, i, row)
    {
        json_array_foreach(json_object_get(row, "goals"), g, goal)
        {
            write_goal(file, row, goal);
        }
    }
    fputs("</table></div>\n", file);
}

/* ---- one load ---- */

static void write_load(FILE *file, json_t *document)
{
    static const char *const keys[] = {"latency_ms", "corrected_latency_ms", "connect_ms"};
    static const char *const names[] = {"latency", "from the intended start", "connect"};
    double values[3][PERCENTILES];
    struct chart_line lines[3];
    char rate[UNITS_TEXT], number[UNITS_TEXT], bytes[UNITS_TEXT];
    size_t count = 0;

    for (size_t i = 0; i < 3; i++) {
        if (read_percentiles(json_object_get(document, keys[i]), values[count])) {
            lines[count] = (struct chart_line){names[i], i, values[count]};
            count++;
        }
    }
    fprintf(file, "<p>%s requests/s, %s (%s), %d failed.</p>\n",
            units_count(number, json_number_value(json_object_get(document, "requests_per_s"))),
            units_rate(rate, json_number_value(json_object_get(document, "bytes_per_s"))),
            units_size(bytes, json_number_value(json_object_get(document, "bytes"))),
            (int)json_integer_value(json_object_get(document, "failed")));
    fputs("<div class=\"charts\">\n", file);
    chart_lines(file, "Latency", "ms", percentile_names, PERCENTILES, lines, count);
    fputs("</div>\n", file);
}

/* ---- the page ---- */

static void write_machine(FILE *file, json_t *document)
{
    json_t *machine = json_object_get(document, "machine"), *bench = json_object_get(document, "bench");

    if (machine == NULL)
        return;
    fputs("<p class=\"faint\">", file);
    chart_text(file, text_of(machine, "processor"));
    fprintf(file, ", %d processors, Linux ", (int)json_integer_value(json_object_get(machine, "processors")));
    chart_text(file, text_of(machine, "kernel"));
    fprintf(file, ", OpenSSL %s. Medians of %d (lowest–highest), interleaved, one worker%s.</p>\n",
            text_of(machine, "openssl"), (int)json_integer_value(json_object_get(bench, "repeat")),
            json_is_true(json_object_get(bench, "pinned"))
                ? ", servers on one processor, all else on the others"
                : "");
}

static void write_page(FILE *file, json_t *document)
{
    const char *command = text_of(document, "command");

    fprintf(file,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            "<title>sluice-load %s</title>\n<style>\n%s</style></head>\n<body>\n<h1>sluice-load %s</h1>\n",
            command, style, command);
    write_machine(file, document);
    if (json_is_true(json_object_get(document, "interrupted")))
        fputs("<p class=\"fell\">Interrupted: this is what there is.</p>\n", file);
    if (strcmp(command, "modes") == 0)
        write_modes(file, document);
    else if (strcmp(command, "peers") == 0)
        write_peers(file, document);
    else
        write_load(file, document);
    fputs("</body></html>\n", file);
}

int html_write(const char *path, json_t *document)
{
    FILE *file = fopen(path, "we");

    if (file != NULL) {
        bool bad;

        write_page(file, document);
        bad = ferror(file) != 0;
        if (fclose(file) == 0 && !bad)
            return 0;
    }
    fprintf(stderr, "sluice-load: %s: %s\n", path, strerror(errno));
    return -1;
}
