/* The comparison of modes as a table and as JSON.
 * Refuses to know how it was made. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sluice_load/histogram.h"
#include "sluice_load/modes.h"
#include "sluice_load/report.h"
#include "sluice_load/table.h"
#include "sluice_load/units.h"

static json_t *scaled_json(const struct spread *spread, double factor)
{
    struct spread result = spread_scaled(spread, factor);

    return spread_json(&result);
}

static json_t *number_or_null(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static const char *rank_name(enum modes_rank rank)
{
    return rank == MODES_RANK_BEST ? "best" : rank == MODES_RANK_TIED ? "tied" : "none";
}

static json_t *loss_json(const struct modes_row *row, enum modes_figure figure)
{
    const struct modes_judgement *judgement = &row->judgements[figure];

    if (judgement->loses_to == NULL)
        return json_null();
    return json_pack("{s:s, s:f}", "to", judgement->loses_to, "by", judgement->loses_by);
}

static json_t *row_json(const struct modes_row *row)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:i, s:s, s:b, s:o, s:o}", "group", row->mode->group, "mode", row->mode->name,
        "size", (json_int_t)row->size, "connections", (int)row->connections, "drain", drain_name(row->drain),
        "cold", row->cold, "fell_back", text_or_null(row->fell_back), "failed", text_or_null(row->failed));

    if (row->fell_back[0] != '\0' || row->failed[0] != '\0')
        return object;
    json_object_set_new(object, "paths", paths_json(&row->paths));
    json_object_set_new(object, "bytes", json_integer((json_int_t)row->bytes));
    json_object_set_new(object, "requests", json_integer((json_int_t)row->requests));
    json_object_set_new(object, "gb_per_s", scaled_json(&row->throughput, 1e-9));
    json_object_set_new(object, "requests_per_s", spread_json(&row->request_rate));
    json_object_set_new(object, "cpu_s_per_gb",
                        json_pack("{s:o, s:o, s:o}", "server", scaled_json(&row->server_cpu, 1e9), "client",
                                  scaled_json(&row->client_cpu, 1e9), "system",
                                  scaled_json(&row->system_cpu, 1e9)));
    json_object_set_new(object, "cpu_us_per_request", scaled_json(&row->request_cpu, 1e6));
    json_object_set_new(object, "context_switches_per_gb", scaled_json(&row->switches, 1e9));
    json_object_set_new(object, "syscalls_per_gb", number_or_null(row->syscalls * 1e9));
    json_object_set_new(object, "syscalls_per_request", number_or_null(row->request_syscalls));
    json_object_set_new(object, "bytes_per_call", number_or_null(row->syscalls > 0 ? 1 / row->syscalls : 0));
    json_object_set_new(object, "user_bytes_per_byte", json_real(row->user_per_byte));
    json_object_set_new(object, "latency_ms", report_latency(row->latency));
    json_object_set_new(object, "client_was_the_limit",
                        json_boolean(row->client_limited * 2 > row->throughput.count));
    if (row->mode->expected.mode == NULL)
        json_object_set_new(object, "worse_than_best",
                            json_pack("{s:f, s:f}", "cpu", row->judgements[MODES_CPU].worse, "throughput",
                                      row->judgements[MODES_THROUGHPUT].worse));
    if (row->mode->expected.mode != NULL)
        json_object_set_new(object, "loses",
                            json_pack("{s:o, s:o}", "cpu", loss_json(row, MODES_CPU), "throughput",
                                      loss_json(row, MODES_THROUGHPUT)));
    json_object_set_new(object, "others_busy", spread_json(&row->others));
    json_object_set_new(object, "rank",
                        json_pack("{s:s, s:s}", "cpu", rank_name(row->judgements[MODES_CPU].rank),
                                  "throughput", rank_name(row->judgements[MODES_THROUGHPUT].rank)));
    return object;
}

json_t *modes_json(const struct bench *bench, const struct modes_options *options,
                   const struct modes_result *result)
{
    json_t *document =
        json_pack("{s:s, s:s, s:s, s:o, s:o}", "tool", "sluice-load", "version", SLUICE_VERSION, "command",
                  "modes", "machine", bench_machine(), "bench", bench_json(bench));
    json_t *rows = json_array();

    for (size_t i = 0; i < result->count; i++)
        json_array_append_new(rows, row_json(&result->rows[i]));
    json_object_set_new(document, "pipe_size",
                        options->pipe_size != NULL ? json_string(options->pipe_size) : json_null());
    json_object_set_new(document, "ktls", json_boolean(result->ktls));
    json_object_set_new(document, "syscalls_uncounted",
                        result->syscalls_why != NULL ? json_string(result->syscalls_why) : json_null());
    json_object_set_new(document, "interrupted", json_boolean(result->interrupted));
    json_object_set_new(document, "rows", rows);
    return document;
}

/* ---- the table ---- */

/* auto may be so much worse than the best mode forced before it is remarked on. */
#define AUTO_EXCESS 0.1

static const char *mark(enum modes_rank rank)
{
    return rank == MODES_RANK_BEST ? " *" : rank == MODES_RANK_TIED ? " =" : "";
}

static void add_median(struct table *table, const struct spread *spread, double factor)
{
    double median = spread_median(spread) * factor;

    table_add(table, "%.*f", spread_places(median), median);
}

static void add_duration(struct table *table, const struct modes_row *row, double percent)
{
    char text[UNITS_TEXT];

    table_add(table, "%s",
              row->latency != NULL ? units_duration(text, (double)histogram_percentile(row->latency, percent))
                                   : "–");
}

struct remarks {
    char text[400];
    size_t size;
};

static void remark(struct remarks *remarks, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void remark(struct remarks *remarks, const char *format, ...)
{
    va_list arguments;
    char text[160];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (remarks->size + strlen(text) + 3 < sizeof(remarks->text))
        remarks->size +=
            (size_t)snprintf(remarks->text + remarks->size, sizeof(remarks->text) - remarks->size, "%s%s",
                             remarks->size > 0 ? "; " : "", text);
}

/* What it used, and whether the figures are to be trusted. */
static void add_remarks(struct table *table, const struct modes_row *row)
{
    struct remarks remarks = {0};
    double others = spread_median(&row->others);
    char used[128];

    if (row->mode->expected.mode == NULL)
        remark(&remarks, "%s", paths_used_text(&row->paths, used));
    if (row->judgements[MODES_CPU].worse > AUTO_EXCESS)
        remark(&remarks, "%.0f %% more CPU than the best", 100 * row->judgements[MODES_CPU].worse);
    if (row->judgements[MODES_THROUGHPUT].worse > AUTO_EXCESS)
        remark(&remarks, "%.0f %% less throughput than the best",
               100 * row->judgements[MODES_THROUGHPUT].worse);
    if (others > REPORT_DISTURBED)
        remark(&remarks, "others used %.0f %% of the processors", 100 * others);
    if (row->client_limited * 2 > row->throughput.count)
        remark(&remarks, "the client was the limit");
    table_add(table, "%s", remarks.text);
}

static void add_figures(struct table *table, const struct modes_row *row)
{
    struct spread rate = spread_scaled(&row->throughput, 1e-6), cpu = spread_scaled(&row->server_cpu, 1e9);
    char text[SPREAD_TEXT], number[UNITS_TEXT];

    table_add(table, "%s%s", spread_text(&rate, text), mark(row->judgements[MODES_THROUGHPUT].rank));
    table_add(table, "%s", units_count(number, spread_median(&row->request_rate)));
    table_add(table, "%s%s", spread_text(&cpu, text), mark(row->judgements[MODES_CPU].rank));
    add_median(table, &row->client_cpu, 1e9);
    add_median(table, &row->system_cpu, 1e9);
    table_add(table, "%s", row->syscalls > 0 ? units_count(number, row->syscalls * 1e9) : "–");
    table_add(table, "%s", row->syscalls > 0 ? units_count(number, 1 / row->syscalls) : "–");
    table_add(table, "%s", units_count(number, spread_median(&row->switches) * 1e9));
    table_add(table, "%.4f", row->user_per_byte);
    add_duration(table, row, 50);
    add_duration(table, row, 99);
    add_duration(table, row, 99.9);
    add_remarks(table, row);
}

#define FIGURES 13

static void add_row(struct table *table, const struct modes_row *row)
{
    char size[UNITS_TEXT];

    table_add(table, "%s", row->mode->name);
    table_add(table, "%s x %u", units_size(size, (double)row->size), row->connections);
    table_add(table, "%s%s", drain_name(row->drain), row->cold ? ", cold" : "");
    if (row->fell_back[0] == '\0' && row->failed[0] == '\0') {
        add_figures(table, row);
        return;
    }
    for (int i = 0; i < FIGURES - 1; i++)
        table_add(table, "–");
    if (row->fell_back[0] != '\0')
        table_add(table, "fell back: %s", row->fell_back);
    else
        table_add(table, "failed: %s", row->failed);
}

static void print_group(FILE *file, const struct modes_result *result, size_t *at)
{
    const char *group = result->rows[*at].mode->group;
    struct table *table =
        table_new("mode|size x connections|drain|MB/s|requests/s|server CPU s/GB|client s/GB|"
                  "system s/GB|system calls/GB|bytes/call|context switches/GB|user bytes/byte|p50|"
                  "p99|p99.9|");

    if (table == NULL)
        return;
    fprintf(file, "\n### %s\n\n", group);
    for (; *at < result->count && strcmp(result->rows[*at].mode->group, group) == 0; ++*at)
        add_row(table, &result->rows[*at]);
    table_print(table, file, "012?"); /* ? is the 15th after 0: the remarks */
    table_free(table);
}

/* Where a copy was cheaper, or faster, than leaving the bytes in the kernel. */
static void print_losses(FILE *file, const struct modes_result *result)
{
    bool any = false;
    char size[UNITS_TEXT];

    for (size_t i = 0; i < result->count; i++) {
        const struct modes_row *row = &result->rows[i];
        const struct modes_judgement *cpu = &row->judgements[MODES_CPU],
                                     *throughput = &row->judgements[MODES_THROUGHPUT];

        if (cpu->loses_to == NULL && throughput->loses_to == NULL)
            continue;
        if (!any)
            fputs("\nZero copy loses here:\n", file);
        any = true;
        fprintf(file, "  %s, %s x %u, drain %s%s: %s", row->mode->group, units_size(size, (double)row->size),
                row->connections, drain_name(row->drain), row->cold ? ", cold" : "", row->mode->name);
        if (cpu->loses_to != NULL)
            fprintf(file, " takes %.0f %% more CPU than %s", 100 * cpu->loses_by, cpu->loses_to);
        if (throughput->loses_to != NULL)
            fprintf(file, "%s gives %.0f %% less throughput than %s", cpu->loses_to != NULL ? "," : "",
                    100 * throughput->loses_by, throughput->loses_to);
        fputc('\n', file);
    }
}

void modes_print(FILE *file, const struct modes_options *options, const struct modes_result *result)
{
    if (result->interrupted)
        fputs("interrupted: this is what there is\n", file);
    for (size_t i = 0; i < result->count;)
        print_group(file, result, &i);
    print_losses(file, result);
    fprintf(file,
            "\nMedians of %u (lowest–highest), the modes of a cell in turn, one worker. *: the best, = as "
            "good as the best: "
            "their spreads overlap.\nWhat is relayed comes from the origin by HTTP, and its heads are "
            "relayed, too.\n",
            options->bench.repeat);
    if (result->syscalls_why != NULL)
        fprintf(file, "System calls were not counted: %s.\n", result->syscalls_why);
    if (!result->ktls)
        fputs("This kernel has no kTLS: its rows are missing.\n", file);
}
