/* Which rows the matrix of sizes, connections and drains has.
 * Refuses to know how they are carried out. */
#include <stdlib.h>
#include <string.h>

#include "sluice_load/modes_internal.h"

static int add_row(struct modes_result *result, const struct modes_row *row)
{
    struct modes_row *grown = realloc(result->rows, (result->count + 1) * sizeof(*grown));

    if (grown == NULL)
        return -1;
    result->rows = grown;
    result->rows[result->count++] = *row;
    return 0;
}

/* Over TLS the kernel cannot throw away what is still encrypted: there, trunc is copy. */
static bool drain_applies(const struct modes_options *options, const struct mode *mode, size_t i)
{
    if (!mode->https || options->drains[i] != DRAIN_TRUNC)
        return true;
    for (size_t other = 0; other < options->drain_count; other++) {
        if (options->drains[other] == DRAIN_COPY)
            return false;
    }
    return true;
}

static int add_cell(struct modes_result *result, const struct modes_options *options, struct modes_row row,
                    size_t drain)
{
    const char *group = row.mode->group;

    for (size_t m = 0; m < modes_count; m++) {
        const struct mode *mode = &modes_all[m];

        if (strcmp(mode->group, group) != 0 || !modes_wanted(options, mode, result->ktls) ||
            !drain_applies(options, mode, drain))
            continue;
        row.mode = mode;
        row.drain =
            mode->https && options->drains[drain] == DRAIN_TRUNC ? DRAIN_COPY : options->drains[drain];
        if (add_row(result, &row) == -1)
            return -1;
    }
    return 0;
}

#define COLD_SIZE_MIN 1000000

static int add_group(struct modes_result *result, const struct modes_options *options,
                     const struct mode *first)
{
    for (size_t d = 0; d < options->drain_count; d++) {
        for (size_t s = 0; s < options->size_count; s++) {
            struct modes_row row = {.mode = first, .size = options->sizes[s]};

            for (size_t c = 0; c < options->connections_count; c++) {
                row.connections = options->connections[c];
                if (add_cell(result, options, row, d) == -1)
                    return -1;
            }
            row.connections = 1;
            row.cold = true;
            if (options->cold && first->files && row.size >= COLD_SIZE_MIN &&
                add_cell(result, options, row, d) == -1)
                return -1;
        }
    }
    return 0;
}

int modes_matrix_make(struct modes_result *result, const struct modes_options *options)
{
    for (size_t m = 0; m < modes_count; m++) {
        bool first = m == 0 || strcmp(modes_all[m - 1].group, modes_all[m].group) != 0;

        if (first && modes_wanted(options, &modes_all[m], true) &&
            add_group(result, options, &modes_all[m]) == -1)
            return -1;
    }
    return 0;
}
