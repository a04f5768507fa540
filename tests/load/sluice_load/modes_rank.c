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

static const struct spread *find_best(const struct modes_row *rows, size_t count, enum modes_figure figure)
{
    const struct spread *best = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct spread *spread = spread_of(&rows[i], figure);

        if (competes(&rows[i]) && (best == NULL || gain(spread, best, figure) > 0))
            best = spread;
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

static void judge_cell(struct modes_row *rows, size_t count, enum modes_figure figure)
{
    const struct spread *best = find_best(rows, count, figure);
    size_t competitors = 0, tied = 0;

    /* With one repetition nothing is known of the spread. */
    if (best == NULL || best->count < 2)
        return;
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
