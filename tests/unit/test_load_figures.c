/* The figures of a comparison: spreads, ranks, verdicts, paths, schedules, and how numbers are read and
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sluice_load/content.h"
#include "sluice_load/modes.h"
#include "sluice_load/peers.h"
#include "sluice_load/schedule.h"
#include "sluice_load/units.h"
#include "sluice_load/workspace.h"

/* ---- spread ---- */

static struct spread spread_of(double a, double b, double c)
{
    return (struct spread){.values = {a, b, c}, .count = 3};
}

static struct spread spread_of_none(void)
{
    return (struct spread){.count = 0};
}

static void spreads(void **state)
{
    struct spread one = {0}, even = {.values = {4, 1, 3, 2}, .count = 4}, three = spread_of(3, 1, 2), ratios;
    struct spread twos = spread_of(2, 2, 0);
    char text[SPREAD_TEXT];

    (void)state;
    assert_true(spread_median(&one) == 0);
    assert_string_equal(spread_text(&one, text), "–");
    spread_add(&one, 0.25);
    assert_string_equal(spread_text(&one, text), "0.250");
    assert_true(spread_median(&even) == 2.5);
    assert_true(spread_min(&three) == 1 && spread_median(&three) == 2 && spread_max(&three) == 3);
    assert_string_equal(spread_text(&three, text), "2.00 (1.00–3.00)");
    spread_ratios(&three, &twos, &ratios); /* what is nothing is nobody's measure */
    assert_int_equal(ratios.count, 2);
    assert_true(ratios.values[0] == 1.5 && ratios.values[1] == 0.5);
}

static void overlaps(void **state)
{
    struct spread low = spread_of(1, 2, 3), touching = spread_of(3, 4, 5), high = spread_of(3.1, 4, 5),
                  within = spread_of(1.5, 2, 2.5);

    (void)state;
    assert_true(spread_overlaps(&low, &touching));
    assert_true(spread_overlaps(&touching, &low));
    assert_true(spread_overlaps(&low, &within));
    assert_false(spread_overlaps(&low, &high));
    assert_false(spread_overlaps(&high, &low));
}

/* ---- ranks ---- */

static const struct mode *mode_named(const char *name)
{
    for (size_t i = 0; i < modes_count; i++) {
        if (strcmp(modes_all[i].group, "relay") == 0 && strcmp(modes_all[i].name, name) == 0)
            return &modes_all[i];
    }
    return NULL;
}

static struct modes_row row_of(const char *mode, struct spread cpu, uint64_t size)
{
    return (struct modes_row){
        .mode = mode_named(mode), .size = size, .server_cpu = cpu, .throughput = spread_of(1, 2, 3)};
}

static void the_best_is_alone(void **state)
{
    struct modes_row rows[] = {row_of("copy", spread_of(5, 6, 7), 1), row_of("splice", spread_of(1, 2, 3), 1),
                               row_of("auto", spread_of(0.1, 0.2, 0.3), 1)};

    (void)state;
    modes_rank(rows, 3);
    assert_int_equal(rows[0].judgements[MODES_CPU].rank, MODES_RANK_NONE);
    assert_int_equal(rows[1].judgements[MODES_CPU].rank, MODES_RANK_BEST);
    assert_int_equal(rows[2].judgements[MODES_CPU].rank, MODES_RANK_NONE); /* auto does not compete */
    assert_int_equal(rows[0].judgements[MODES_THROUGHPUT].rank, MODES_RANK_TIED);
    assert_int_equal(rows[1].judgements[MODES_THROUGHPUT].rank, MODES_RANK_TIED);
}

static void what_overlaps_is_not_ranked(void **state)
{
    struct modes_row rows[] = {row_of("copy", spread_of(3, 6, 7), 1),
                               row_of("splice", spread_of(1, 2, 3), 1)};

    (void)state;
    modes_rank(rows, 2);
    assert_int_equal(rows[0].judgements[MODES_CPU].rank, MODES_RANK_TIED);
    assert_int_equal(rows[1].judgements[MODES_CPU].rank, MODES_RANK_TIED);
}

static void cells_are_ranked_by_themselves(void **state)
{
    struct modes_row rows[] = {row_of("copy", spread_of(1, 1, 1), 1), row_of("splice", spread_of(2, 2, 2), 1),
                               row_of("copy", spread_of(9, 9, 9), 2),
                               row_of("splice", spread_of(8, 8, 8), 2)};
    struct modes_row single = row_of("copy", (struct spread){.values = {1}, .count = 1}, 1);

    (void)state;
    modes_rank(rows, 4);
    assert_int_equal(rows[0].judgements[MODES_CPU].rank, MODES_RANK_BEST);
    assert_int_equal(rows[1].judgements[MODES_CPU].rank, MODES_RANK_NONE);
    assert_int_equal(rows[2].judgements[MODES_CPU].rank, MODES_RANK_NONE);
    assert_int_equal(rows[3].judgements[MODES_CPU].rank, MODES_RANK_BEST);
    rows[0] = single;
    rows[1].server_cpu.count = 1;
    rows[1].judgements[MODES_CPU].rank = MODES_RANK_NONE;
    modes_rank(rows, 2); /* one repetition has no spread */
    assert_int_equal(rows[0].judgements[MODES_CPU].rank, MODES_RANK_NONE);
}

static void rows_without_figures_are_left_out(void **state)
{
    struct modes_row rows[] = {row_of("copy", spread_of(1, 1, 1), 1), row_of("splice", spread_of_none(), 1)};

    (void)state;
    modes_rank(rows, 2);
    assert_int_equal(rows[0].judgements[MODES_CPU].rank, MODES_RANK_NONE);
    assert_int_equal(rows[1].judgements[MODES_CPU].rank, MODES_RANK_NONE);
}

static void auto_is_held_to_the_best(void **state)
{
    struct modes_row rows[] = {row_of("copy", spread_of(5, 6, 7), 1), row_of("splice", spread_of(1, 1, 1), 1),
                               row_of("auto", spread_of(1.5, 1.5, 1.5), 1)};

    (void)state;
    modes_rank(rows, 3);
    assert_true(rows[2].judgements[MODES_CPU].worse > 0.49 && rows[2].judgements[MODES_CPU].worse < 0.51);
    assert_true(rows[2].judgements[MODES_THROUGHPUT].worse == 0); /* overlaps */
    rows[2] = row_of("auto", spread_of(1, 1.5, 1.5), 1);
    modes_rank(rows, 3);
    assert_true(rows[2].judgements[MODES_CPU].worse == 0);
}

static void zero_copy_can_lose(void **state)
{
    struct modes_row rows[] = {row_of("copy", spread_of(1, 2, 3), 1), row_of("splice", spread_of(4, 5, 6), 1),
                               row_of("auto", spread_of(9, 9, 9), 1)};

    (void)state;
    modes_rank(rows, 3);
    assert_string_equal(rows[1].judgements[MODES_CPU].loses_to, "copy");
    assert_true(rows[1].judgements[MODES_CPU].loses_by == 1.5);
    assert_null(rows[1].judgements[MODES_THROUGHPUT].loses_to); /* overlaps */
    assert_null(rows[0].judgements[MODES_CPU].loses_to);
    assert_null(rows[2].judgements[MODES_CPU].loses_to); /* auto is told otherwise */
    rows[1] = row_of("splice", spread_of(3, 5, 6), 1);
    modes_rank(rows, 3);
    assert_null(rows[1].judgements[MODES_CPU].loses_to);
    rows[0] = row_of("copy", spread_of(9, 9, 9), 1);
    modes_rank(rows, 3);
    assert_null(rows[1].judgements[MODES_CPU].loses_to);
    rows[0] = row_of("copy", spread_of_none(), 1); /* fell back or failed */
    modes_rank(rows, 3);
    assert_null(rows[1].judgements[MODES_CPU].loses_to);
}

/* ---- verdicts ---- */

static void verdicts(void **state)
{
    struct contest_result row = {.contest = &contests_all[0]};
    const struct metric_goal less = {METRIC_CPU_PER_GB, 0.5, false}, more = {METRIC_THROUGHPUT, 1.2, true},
                             memory = {METRIC_MEMORY, 1024, false};
    struct spread ratios;
    double ratio;

    (void)state;
    assert_int_equal(peers_verdict(&row, &less, &ratio, &ratios), VERDICT_NONE);
    row.ours.figures[METRIC_CPU_PER_GB] = spread_of(1, 1, 9);
    row.theirs.figures[METRIC_CPU_PER_GB] = spread_of(2, 2, 2);
    assert_int_equal(peers_verdict(&row, &less, &ratio, &ratios), VERDICT_MET);
    assert_true(ratio == 0.5 && spread_max(&ratios) == 4.5);
    row.theirs.figures[METRIC_CPU_PER_GB] = spread_of(1.9, 1.9, 1.9);
    assert_int_equal(peers_verdict(&row, &less, &ratio, &ratios), VERDICT_MISSED);
    row.ours.figures[METRIC_THROUGHPUT] = spread_of(12, 12, 12);
    row.theirs.figures[METRIC_THROUGHPUT] = spread_of(10, 10, 10);
    assert_int_equal(peers_verdict(&row, &more, &ratio, &ratios), VERDICT_MET);
    row.ours.figures[METRIC_THROUGHPUT] = spread_of(11, 11, 11);
    assert_int_equal(peers_verdict(&row, &more, &ratio, &ratios), VERDICT_MISSED);
    row.ours.figures[METRIC_MEMORY] = spread_of(1025, 1025, 1025);
    assert_int_equal(peers_verdict(&row, &memory, &ratio, &ratios), VERDICT_MISSED);
    row.ours.figures[METRIC_MEMORY] = spread_of(1000, 1000, 1025);
    assert_int_equal(peers_verdict(&row, &memory, &ratio, &ratios), VERDICT_MET);
}

/* ---- paths ---- */

#define SEGMENT(mode, bytes, reason, count)                                                        \
    "{\"mode\":\"" mode "\",\"source_crypto\":\"none\",\"sink_crypto\":\"none\",\"bytes\":" #bytes \
    ",\"count\":1,\"reasons\":{\"" reason "\":" #count "}}"
#define STATUS(user, kernel, segments)                                                              \
    "{\"listeners\":{\"l\":{\"connections\":0,\"directions\":{\"to_client\":{\"user_bytes\":" #user \
    ",\"kernel_bytes\":" #kernel ",\"segments\":[" segments                                         \
    "]},\"to_server\":{\"user_bytes\":0,\"kernel_bytes\":0,"                                        \
    "\"segments\":[]}}}}}"

static struct paths paths_from(const char *text)
{
    struct paths paths;
    json_t *status = json_loads(text, 0, NULL);

    assert_non_null(status);
    assert_int_equal(paths_read(status, "l", &paths), 0);
    json_decref(status);
    return paths;
}

static void only_what_was_added_counts(void **state)
{
    struct paths before =
        paths_from(STATUS(100, 50, SEGMENT("copy", 100, "forced", 3) "," SEGMENT("splice", 50, "forced", 1)));
    struct paths after = paths_from(
        STATUS(100, 350, SEGMENT("copy", 100, "forced", 3) "," SEGMENT("splice", 350, "forced", 4)));
    const struct path_expected splice = {"splice", "none", "none"}, copy = {"copy", "none", "none"};
    char text[128];

    (void)state;
    paths_subtract(&after, &before);
    assert_int_equal(after.count, 1);
    assert_int_equal(after.list[0].bytes, 300);
    assert_int_equal(after.list[0].reasons[0].count, 3);
    assert_int_equal(after.kernel_bytes, 300);
    assert_int_equal(after.user_bytes, 0);
    assert_null(paths_stray(&after, &splice));
    assert_non_null(paths_stray(&after, &copy));
    assert_string_equal(paths_used_text(&after, text), "splice");
}

static void a_stray_path_is_named_with_its_reason(void **state)
{
    struct paths paths = paths_from(
        STATUS(25, 75, SEGMENT("splice", 75, "passthrough", 1) "," SEGMENT("copy", 25, "pipe_limit", 2)));
    const struct path_expected splice = {"splice", "none", "none"}, any = {NULL, "none", "none"};
    const struct path *stray = paths_stray(&paths, &splice);
    char text[128];

    (void)state;
    assert_non_null(stray);
    assert_string_equal(stray->mode, "copy");
    assert_string_equal(path_reasons_text(stray, text), "pipe_limit");
    assert_null(paths_stray(&paths, &any));
    assert_string_equal(paths_used_text(&paths, text), "splice 75 %, copy 25 %");
}

static void a_status_without_the_listener_is_refused(void **state)
{
    struct paths paths;
    json_t *status = json_loads("{\"listeners\":{}}", 0, NULL);

    (void)state;
    assert_int_equal(paths_read(status, "l", &paths), -1);
    assert_int_equal(paths_read(NULL, "l", &paths), -1);
    json_decref(status);
}

/* ---- schedule ---- */

static void an_open_loop_keeps_its_times(void **state)
{
    struct schedule schedule;
    uint64_t intended;

    (void)state;
    schedule_init(&schedule, 1000, 5000000, 0, 1);
    assert_true(schedule_take(&schedule, 5000000, &intended));
    assert_int_equal(intended, 5000000);
    assert_false(schedule_take(&schedule, 5999999, &intended));
    assert_true(schedule_take(&schedule, 9000000, &intended)); /* late, but not forgotten */
    assert_int_equal(intended, 6000000);
    assert_int_equal(schedule_next_ns(&schedule), 7000000);
}

static void threads_share_a_schedule(void **state)
{
    struct schedule a, b;
    uint64_t intended;

    (void)state;
    schedule_init(&a, 1000, 0, 0, 2);
    schedule_init(&b, 1000, 0, 1, 2);
    assert_true(schedule_take(&a, 10000000, &intended));
    assert_int_equal(intended, 0);
    assert_true(schedule_take(&b, 10000000, &intended));
    assert_int_equal(intended, 1000000);
    assert_true(schedule_take(&a, 10000000, &intended));
    assert_int_equal(intended, 2000000);
}

static void a_closed_loop_is_always_due(void **state)
{
    struct schedule schedule;
    uint64_t intended;

    (void)state;
    schedule_init(&schedule, 0, 1000, 0, 1);
    assert_true(schedule_take(&schedule, 1, &intended));
    assert_int_equal(intended, 1);
    assert_true(schedule_take(&schedule, 1, &intended));
}

/* ---- numbers and contents ---- */

static void numbers_are_read(void **state)
{
    uint64_t value;
    double rate;

    (void)state;
    assert_true(units_parse_size("64KiB", &value) == 0 && value == 65536);
    assert_true(units_parse_size("1.5MB", &value) == 0 && value == 1500000);
    assert_int_equal(units_parse_size("1.5", &value), -1);
    assert_int_equal(units_parse_size("-1", &value), -1);
    assert_int_equal(units_parse_size("1kb", &value), -1);
    assert_int_equal(units_parse_size("0x10", &value), -1);
    assert_int_equal(units_parse_size("1e30", &value), -1);
    assert_true(units_parse_duration("500ms", &value) == 0 && value == 500000000);
    assert_true(units_parse_duration("2m", &value) == 0 && value == UINT64_C(120000000000));
    assert_int_equal(units_parse_duration("2 m", &value), -1);
    assert_int_equal(units_parse_count("12x", &value), -1);
    assert_int_equal(units_parse_count("99999999999999999999", &value), -1);
    assert_true(units_parse_rate("20k", &rate) == 0 && rate == 20000);
    assert_int_equal(units_parse_rate("0", &rate), -1);
}

static void numbers_are_written(void **state)
{
    char text[UNITS_TEXT];

    (void)state;
    assert_string_equal(units_size(text, 1024), "1 KiB");
    assert_string_equal(units_size(text, 100e6), "100 MB");
    assert_string_equal(units_size(text, 10), "10 B");
    assert_string_equal(units_count(text, 1234567), "1,234,567");
    assert_string_equal(units_count(text, 999), "999");
    assert_string_equal(units_duration(text, 1234567), "1.23 ms");
    assert_string_equal(units_duration(text, 12e9), "12 s");
}

static void contents_are_compared(void **state)
{
    struct content content;
    uint8_t data[100];

    (void)state;
    assert_int_equal(content_generate(&content, 64), 0);
    memcpy(data, content.data, 64);
    memcpy(data + 64, content.data, 36);
    assert_true(content_matches(&content, 0, data, 100)); /* it repeats itself */
    assert_true(content_matches(&content, 70, data + 6, 90));
    assert_false(content_matches(&content, 1, data, 100));
    content.cyclic = false;
    assert_true(content_matches(&content, 0, data, 64));
    assert_false(content_matches(&content, 0, data, 65));
    data[63] ^= 1;
    assert_false(content_matches(&content, 0, data, 64));
    content_close(&content);
}

static void hashes_are_compared(void **state)
{
    struct content content;
    EVP_MD_CTX *digest = NULL;

    (void)state;
    assert_int_equal(content_set_sha256(&content, "abc"), -1);
    assert_int_equal(
        content_set_sha256(&content, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), 0);
    assert_int_equal(content_hash_begin(&digest), 0);
    assert_int_equal(EVP_DigestUpdate(digest, "abc", 3), 1);
    assert_true(content_hash_matches(&content, digest));
    assert_int_equal(content_hash_begin(&digest), 0);
    assert_int_equal(EVP_DigestUpdate(digest, "abd", 3), 1);
    assert_false(content_hash_matches(&content, digest));
    EVP_MD_CTX_free(digest);
}

static void templates(void **state)
{
    static const struct workspace_value values[] = {{"PORT", "80"}, {"DIRECTORY", "/x"}};
    char unknown[24], *text;

    (void)state;
    text = workspace_expand("a@b.org @PORT@:@DIRECTORY@/@ @@", values, 2, unknown);
    assert_string_equal(text, "a@b.org 80:/x/@ @@");
    free(text);
    assert_null(workspace_expand("@HOST@", values, 2, unknown));
    assert_string_equal(unknown, "HOST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spreads),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(the_best_is_alone),
        cmocka_unit_test(what_overlaps_is_not_ranked),
        cmocka_unit_test(cells_are_ranked_by_themselves),
        cmocka_unit_test(rows_without_figures_are_left_out),
        cmocka_unit_test(auto_is_held_to_the_best),
        cmocka_unit_test(zero_copy_can_lose),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(only_what_was_added_counts),
        cmocka_unit_test(a_stray_path_is_named_with_its_reason),
        cmocka_unit_test(a_status_without_the_listener_is_refused),
        cmocka_unit_test(an_open_loop_keeps_its_times),
        cmocka_unit_test(threads_share_a_schedule),
        cmocka_unit_test(a_closed_loop_is_always_due),
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(numbers_are_written),
        cmocka_unit_test(contents_are_compared),
        cmocka_unit_test(hashes_are_compared),
        cmocka_unit_test(templates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
