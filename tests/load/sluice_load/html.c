/* The page: its frame and style, its tables, and which charts are drawn from which figures.
 * Refuses to know how the figures came about. */
#include "sluice_load/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice_load/chart.h"
#include "sluice_load/html_parts.h"
#include "sluice_load/units.h"

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

/* ---- peers ---- */

static void write_goal(FILE *file, json_t *row, json_t *goal)
{
    const char *metric = html_text_of(goal, "metric"), *verdict = html_text_of(goal, "verdict");
    bool memory = strcmp(html_text_of(goal, "of"), "ours") == 0;
    json_t *ours = json_object_get(json_object_get(json_object_get(row, "sluice"), "figures"), metric);
    json_t *theirs = json_object_get(json_object_get(json_object_get(row, "peer"), "figures"), metric);

    fputs("<tr>", file);
    html_write_cell(file, "", html_text_of(row, "work"));
    html_write_cell(file, "", html_text_of(row, "against"));
    fputs("<td class=\"text\">", file);
    chart_text(file, metric);
    fprintf(file, ", %s</td>", html_text_of(goal, "unit"));
    html_write_spread(file, json_object_get(ours, "spread"), 1);
    html_write_spread(file, json_object_get(theirs, "spread"), 1);
    html_write_number(file, json_object_get(goal, "ratio"));
    if (json_is_number(json_object_get(goal, "target")))
        fprintf(file, "<td>%s %g%s</td>", json_is_true(json_object_get(goal, "more_is_better")) ? "≥" : "≤",
                json_number_value(json_object_get(goal, "target")), memory ? " bytes" : "");
    else
        fputs("<td>–</td>", file);
    html_write_cell(file, verdict, strcmp(verdict, "none") == 0 ? html_text_of(row, "unavailable") : verdict);
    fputs("</tr>\n", file);
}

static void add_goal_bar(struct chart_bar *bars, size_t *count, json_t *row, json_t *goal)
{
    json_t *ratios = json_object_get(goal, "ratios");
    bool missed = strcmp(html_text_of(goal, "verdict"), "missed") == 0;

    if (*count == HTML_BARS_MAX || !json_is_number(json_object_get(goal, "ratio")))
        return;
    bars[(*count)++] = (struct chart_bar){.label = html_text_of(row, "name"),
                                          .group = html_text_of(goal, "metric"),
                                          .series = missed ? 1 : 2,
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
    struct chart_bar bars[HTML_BARS_MAX];
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
    html_write_headings(file, "!work|!against|!of|Sluice|peer|ratio|target|");
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
    double values[3][HTML_PERCENTILES];
    struct chart_line lines[3];
    char rate[UNITS_TEXT], number[UNITS_TEXT], bytes[UNITS_TEXT];
    size_t count = 0;

    for (size_t i = 0; i < 3; i++) {
        if (html_read_percentiles(json_object_get(document, keys[i]), values[count])) {
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
    chart_lines(file, "Latency", "ms", html_percentile_names, HTML_PERCENTILES, lines, count);
    fputs("</div>\n", file);
}

/* ---- the page ---- */

static void write_machine(FILE *file, json_t *document)
{
    json_t *machine = json_object_get(document, "machine"), *bench = json_object_get(document, "bench");

    if (machine == NULL)
        return;
    fputs("<p class=\"faint\">", file);
    chart_text(file, html_text_of(machine, "processor"));
    fprintf(file, ", %d processors, Linux ", (int)json_integer_value(json_object_get(machine, "processors")));
    chart_text(file, html_text_of(machine, "kernel"));
    fprintf(file, ", OpenSSL %s. Medians of %d (lowest–highest), interleaved, one worker%s.</p>\n",
            html_text_of(machine, "openssl"), (int)json_integer_value(json_object_get(bench, "repeat")),
            json_is_true(json_object_get(bench, "pinned"))
                ? ", servers on one processor, all else on the others"
                : "");
}

/* What is missing on the page, and why. */
static void write_notes(FILE *file, json_t *document)
{
    const char *uncounted = json_string_value(json_object_get(document, "syscalls_uncounted"));

    if (uncounted != NULL) {
        fputs("<p class=\"faint\">System calls were not counted: ", file);
        chart_text(file, uncounted);
        fputs(".</p>\n", file);
    }
    if (json_is_false(json_object_get(document, "ktls")))
        fputs("<p class=\"faint\">This kernel has no kTLS: what needs it is missing.</p>\n", file);
}

/* The browser itself is told that nothing is to be fetched and nothing is to be run. */
static void write_page(FILE *file, json_t *document)
{
    const char *command = html_text_of(document, "command");

    fprintf(file,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'\">\n"
            "<title>sluice-load %s</title>\n<style>\n%s</style></head>\n<body>\n<h1>sluice-load %s</h1>\n",
            command, style, command);
    write_machine(file, document);
    write_notes(file, document);
    if (json_is_true(json_object_get(document, "interrupted")))
        fputs("<p class=\"fell\">Interrupted: this is what there is.</p>\n", file);
    if (strcmp(command, "modes") == 0)
        html_write_modes(file, document);
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
