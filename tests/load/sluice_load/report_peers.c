/* The comparison with the peers as a table and as JSON.
 * Refuses to know how it was made. */
#include <stdio.h>

#include "sluice_load/peers.h"
#include "sluice_load/report.h"
#include "sluice_load/table.h"
#include "sluice_load/units.h"

static const char *const verdicts[] = {
    [VERDICT_MET] = "met", [VERDICT_MISSED] = "missed", [VERDICT_OPEN] = "open", [VERDICT_NONE] = "none"};

static json_t *side_json(const struct contest_side *side)
{
    json_t *object = json_object(), *figures = json_object();

    for (int i = 0; i < METRICS; i++) {
        if (side->figures[i].count > 0)
            json_object_set_new(figures, metric_name((enum metric)i),
                                json_pack("{s:s, s:o}", "unit", metric_unit((enum metric)i), "spread",
                                          spread_json(&side->figures[i])));
    }
    json_object_set_new(object, "figures", figures);
    json_object_set_new(object, "syscalls_per_gb",
                        side->syscalls_per_byte > 0 ? json_real(side->syscalls_per_byte * 1e9) : json_null());
    json_object_set_new(object, "syscalls_per_request",
                        side->syscalls_per_request > 0 ? json_real(side->syscalls_per_request) : json_null());
    json_object_set_new(object, "others_busy", spread_json(&side->others));
    json_object_set_new(object, "client_was_the_limit",
                        json_boolean(side->client_limited * 2 > side->others.count));
    return object;
}

static json_t *goals_json(const struct contest_result *row)
{
    json_t *array = json_array();

    CONTEST_FOREACH_GOAL(goal, row->contest)
    {
        struct spread ratios;
        double ratio;
        enum verdict verdict = peers_verdict(row, goal, &ratio, &ratios);

        json_array_append_new(
            array,
            json_pack("{s:s, s:s, s:s, s:o, s:b, s:o, s:o, s:s}", "metric", metric_name(goal->metric), "unit",
                      metric_unit(goal->metric), "of", goal->metric == METRIC_MEMORY ? "ours" : "ratio",
                      "target", goal->target > 0 ? json_real(goal->target) : json_null(), "more_is_better",
                      goal->more, "ratio", ratio > 0 ? json_real(ratio) : json_null(), "ratios",
                      spread_json(&ratios), "verdict", verdicts[verdict]));
    }
    return array;
}

static json_t *row_json(const struct contest_result *row)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:o, s:b, s:i}", "name", row->contest->name, "work",
                               row->contest->text, "against", row->contest->against, "connections",
                               (int)row->contest->connections, "unavailable",
                               row->unavailable[0] != '\0' ? json_string(row->unavailable) : json_null(),
                               "failed", row->failed, "turns_made_again", (int)row->again);

    json_object_set_new(object, "goals", goals_json(row));
    json_object_set_new(object, "sluice", side_json(&row->ours));
    json_object_set_new(object, "peer", side_json(&row->theirs));
    json_object_set_new(object, "paths", paths_json(&row->paths));
    return object;
}

json_t *peers_json(const struct bench *bench, const struct peers_options *options,
                   const struct peers_result *result)
{
    json_t *document =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:i, s:i, s:b, s:b}", "tool", "sluice-load", "version",
                  SLUICE_VERSION, "command", "peers", "machine", bench_machine(), "bench", bench_json(bench),
                  "bulk_size", (json_int_t)options->bulk_size, "idle_connections", (int)options->idle,
                  "files", (int)options->files, "ktls", options->ktls, "interrupted", result->interrupted);
    json_t *rows = json_array();

    for (size_t i = 0; i < result->count; i++)
        json_array_append_new(rows, row_json(&result->rows[i]));
    json_object_set_new(document, "syscalls_uncounted",
                        result->syscalls_why != NULL ? json_string(result->syscalls_why) : json_null());
    json_object_set_new(document, "rows", rows);
    return document;
}

/* ---- the table ---- */

static void add_syscalls(struct table *table, const struct contest_side *side, enum metric metric)
{
    char text[UNITS_TEXT];
    bool by_byte = metric == METRIC_CPU_PER_GB || metric == METRIC_THROUGHPUT;

    if (side->syscalls_per_request == 0)
        table_add(table, "–");
    else if (by_byte)
        table_add(table, "%s/GB", units_count(text, side->syscalls_per_byte * 1e9));
    else
        table_add(table, "%.1f/request", side->syscalls_per_request);
}

static void add_remarks(struct table *table, const struct contest_result *row)
{
    char used[128], disturbed[64] = "";
    double others = spread_median(&row->ours.others);

    paths_used_text(&row->paths, used);
    if (others > REPORT_DISTURBED)
        snprintf(disturbed, sizeof(disturbed), "; others used %.0f %% of the processors", 100 * others);
    table_add(table, "%s%s%s", used, disturbed,
              row->ours.client_limited * 2 > row->ours.others.count && row->ours.others.count > 0
                  ? "; the client was the limit"
                  : "");
}

static void add_target(struct table *table, const struct metric_goal *goal)
{
    if (goal->target == 0)
        table_add(table, "–");
    else if (goal->metric == METRIC_MEMORY)
        table_add(table, "<= %.0f bytes", goal->target);
    else
        table_add(table, "%s %.2f", goal->more ? ">=" : "<=", goal->target);
}

static void add_goal(struct table *table, const struct contest_result *row, const struct metric_goal *goal)
{
    struct spread ratios;
    double ratio;
    enum verdict verdict = peers_verdict(row, goal, &ratio, &ratios);
    char text[SPREAD_TEXT];

    table_add(table, "%s", row->contest->text);
    table_add(table, "%s", row->contest->against);
    table_add(table, "%s, %s", metric_name(goal->metric), metric_unit(goal->metric));
    if (verdict == VERDICT_NONE) {
        for (int i = 0; i < 3; i++)
            table_add(table, "–");
        add_target(table, goal);
        for (int i = 0; i < 3; i++)
            table_add(table, "–");
        table_add(table, "%s", row->unavailable);
        return;
    }
    table_add(table, "%s", spread_text(&row->ours.figures[goal->metric], text));
    table_add(table, "%s", spread_text(&row->theirs.figures[goal->metric], text));
    if (ratios.count > 1)
        table_add(table, "%.2f (%.2f–%.2f)", ratio, spread_min(&ratios), spread_max(&ratios));
    else
        table_add(table, "%.2f", ratio);
    add_target(table, goal);
    table_add(table, "%s", verdict == VERDICT_OPEN ? "–" : verdicts[verdict]);
    add_syscalls(table, &row->ours, goal->metric);
    add_syscalls(table, &row->theirs, goal->metric);
    add_remarks(table, row);
}

void peers_print(FILE *file, const struct peers_options *options, const struct peers_result *result)
{
    struct table *table = table_new("work|against|of|Sluice|peer|ratio|target||system calls|the peer's|");
    char size[UNITS_TEXT];

    if (result->interrupted)
        fputs("interrupted: this is what there is\n", file);
    for (size_t i = 0; table != NULL && i < result->count; i++) {
        CONTEST_FOREACH_GOAL(goal, result->rows[i].contest)
        {
            add_goal(table, &result->rows[i], goal);
        }
    }
    if (table != NULL)
        table_print(table, file, "0127:");
    table_free(table);
    fprintf(file,
            "\nMedians of %u turns each (lowest–highest), A B A B, one worker each on the same processor; "
            "the ratio is that "
            "of the medians (its spread: turn by turn).\n",
            options->bench.repeat);
    if (options->bulk_size != 100000000)
        fprintf(file, "What is called 100 MB was %s.\n", units_size(size, (double)options->bulk_size));
    if (options->files != 100000)
        fprintf(file, "What is called 100,000 files was %u.\n", options->files);
    if (options->idle > 0)
        fprintf(file, "Idle connections: %u.\n", options->idle);
    if (result->syscalls_why != NULL)
        fprintf(file, "System calls were not counted: %s.\n", result->syscalls_why);
}
