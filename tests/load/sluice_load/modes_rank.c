/* Which mode of a cell is the best, where that is known.
 * Refuses to rank what overlaps. */
#include <string.h>

#include "sluice_load/modes.h"

static const struct spread *spread_of(const struct modes_row *row, enum modes_figure figure)
{
    return figure == MODES_CPU ? &row->server_cpu : &row->throughput;
}

/* By how much a is better than b: of CPU less is better, of throughput more. */
static double gain(const struct spread *a, const struct spread *b, enum modes_figure figure)
{
    return figure == MODES_CPU ? spread_median(b) - spread_median(a) : spread_median(a) - spread_median(b);
}

static bool is_auto(const struct modes_row *row)
{
    return row->mode->expected.mode == NULL;
}

/* auto is no mode of its own: it is one of the others, and cannot win against them. */
static bool competes(const struct modes_row *row)
{
    return row->server_cpu.count > 0 && !is_auto(row);
}

/* Payload stays in the kernel. */
static bool is_zero_copy(const struct modes_row *row)
{
    return !is_auto(row) && (strcmp(row->mode->expected.mode, "splice") == 0 ||
                             strcmp(row->mode->expected.mode, "sendfile") == 0);
}

/* Of all that compete, or of those only that copy. NULL if there is none. */
static const struct modes_row *find_best(const struct modes_row *rows, size_t count, enum modes_figure figure,
                                         bool copying_only)
{
    const struct modes_row *best = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct modes_row *row = &rows[i];

        if (competes(row) && !(copying_only && is_zero_copy(row)) &&
            (best == NULL || gain(spread_of(row, figure), spread_of(best, figure), figure) > 0))
            best = row;
    }
    return best;
}

/* auto must not be much worse than the best of what it chooses from. */
static void judge_auto(struct modes_row *row, const struct spread *best, enum modes_figure figure)
{
    const struct spread *spread = spread_of(row, figure);
    double worse;

    if (!is_auto(row) || spread->count < 2 || spread_overlaps(spread, best))
        return;
    worse = gain(best, spread, figure) / spread_median(best);
    row->judgements[figure].worse = worse > 0 ? worse : 0;
}

/* Where zero copy costs more than a copy, it is to be told. */
static void judge_zero_copy(struct modes_row *row, const struct modes_row *copying, enum modes_figure figure)
{
    const struct spread *ours = spread_of(row, figure), *theirs;
    double lost;

    if (copying == NULL || !competes(row) || !is_zero_copy(row))
        return;
    theirs = spread_of(copying, figure);
    lost = gain(theirs, ours, figure) / spread_median(theirs);
    if (lost <= 0 || spread_overlaps(ours, theirs))
        return;
    row->judgements[figure].loses_to = copying->mode->name;
    row->judgements[figure].loses_by = lost;
}

static void judge_cell(struct modes_row *rows, size_t count, enum modes_figure figure)
{
    const struct modes_row *best_row = find_best(rows, count, figure, false),
                           *copying = find_best(rows, count, figure, true);
    const struct spread *best = best_row != NULL ? spread_of(best_row, figure) : NULL;
    size_t competitors = 0, tied = 0;

    /* With one repetition nothing is known of the spread. */
    if (best == NULL || best->count < 2)
        return;
    for (size_t i = 0; i < count; i++)
        judge_zero_copy(&rows[i], copying, figure);
    for (size_t i = 0; i < count; i++) {
        judge_auto(&rows[i], best, figure);
        competitors += competes(&rows[i]);
        tied += competes(&rows[i]) && spread_overlaps(spread_of(&rows[i], figure), best);
    }
    for (size_t i = 0; competitors > 1 && i < count; i++) {
        if (competes(&rows[i]) && spread_overlaps(spread_of(&rows[i], figure), best))
            rows[i].judgements[figure].rank = tied > 1 ? MODES_RANK_TIED : MODES_RANK_BEST;
    }
}

bool modes_same_cell(const struct modes_row *a, const struct modes_row *b)
{
    return strcmp(a->mode->group, b->mode->group) == 0 && a->size == b->size &&
           a->connections == b->connections && a->drain == b->drain && a->cold == b->cold;
}

size_t modes_cell_length(const struct modes_row *rows, size_t count)
{
    size_t length = 1;

    while (length < count && modes_same_cell(&rows[0], &rows[length]))
        length++;
    return length;
}

void modes_rank(struct modes_row *rows, size_t count)
{
    size_t length;

    for (size_t i = 0; i < count; i += length) {
        length = modes_cell_length(&rows[i], count - i);
        for (int figure = 0; figure < MODES_FIGURES; figure++)
            judge_cell(&rows[i], length, (enum modes_figure)figure);
    }
}
