/* Which mode of a cell is the best, where that is known.
 * Refuses to rank what overlaps. */
#include <string.h>

#include "sluice_load/modes.h"

/* Where a figure stands in a row, where its rank does, and by how much auto is worse; and what is better: 1
 * more, -1 less. */
struct figure {
    size_t spread, rank, excess;
    int sign;
};

static const struct figure figures[] = {
    {offsetof(struct modes_row, server_cpu), offsetof(struct modes_row, cpu_rank),
     offsetof(struct modes_row, auto_cpu), -1},
    {offsetof(struct modes_row, throughput), offsetof(struct modes_row, throughput_rank),
     offsetof(struct modes_row, auto_throughput), 1},
};

static const struct spread *spread_of(const struct figure *figure, const struct modes_row *row)
{
    return (const struct spread *)((const char *)row + figure->spread);
}

/* auto is no mode of its own: it is one of the others, and cannot win against them. */
static bool competes(const struct modes_row *row)
{
    return row->server_cpu.count > 0 && row->mode->expected.mode != NULL;
}

static const struct spread *find_best(const struct figure *figure, const struct modes_row *rows, size_t count)
{
    const struct spread *best = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct spread *spread = spread_of(figure, &rows[i]);

        if (competes(&rows[i]) &&
            (best == NULL || figure->sign * spread_median(spread) > figure->sign * spread_median(best)))
            best = spread;
    }
    return best;
}

/* auto must not be much worse than the best of what it chooses from. */
static void judge_auto(const struct figure *figure, struct modes_row *row, const struct spread *best)
{
    const struct spread *spread = spread_of(figure, row);
    double excess;

    if (row->mode->expected.mode != NULL || best == NULL || spread->count < 2 ||
        spread_overlaps(spread, best))
        return;
    excess = figure->sign < 0 ? spread_median(spread) / spread_median(best) - 1
                              : 1 - spread_median(spread) / spread_median(best);
    if (excess > 0)
        *(double *)((char *)row + figure->excess) = excess;
}

static void rank_cell(const struct figure *figure, struct modes_row *rows, size_t count)
{
    const struct spread *best = find_best(figure, rows, count);
    size_t competitors = 0, tied = 0;

    for (size_t i = 0; i < count; i++) {
        judge_auto(figure, &rows[i], best);
        if (!competes(&rows[i]))
            continue;
        competitors++;
        tied += spread_overlaps(spread_of(figure, &rows[i]), best);
    }
    /* With one repetition nothing is known of the spread. */
    if (competitors < 2 || best->count < 2)
        return;
    for (size_t i = 0; i < count; i++) {
        if (competes(&rows[i]) && spread_overlaps(spread_of(figure, &rows[i]), best))
            *(enum modes_rank *)((char *)&rows[i] + figure->rank) =
                tied > 1 ? MODES_RANK_TIED : MODES_RANK_BEST;
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
        for (size_t f = 0; f < sizeof(figures) / sizeof(figures[0]); f++)
            rank_cell(&figures[f], &rows[i], length);
    }
}
