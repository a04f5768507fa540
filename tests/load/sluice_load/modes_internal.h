/* What the parts of the comparison of modes share. Private to modes*.c.
 * Refuses to know more than they need of each other. */
#ifndef SLUICE_LOAD_MODES_INTERNAL_H
#define SLUICE_LOAD_MODES_INTERNAL_H

#include "sluice_load/modes.h"

/* There are no more modes than this. */
#define MODES_MAX 16

/* Sluice as it runs, with a listener for each mode that is wanted. */
struct modes_sluice {
    struct server server;
    char admin[128];
    char addresses[MODES_MAX][128]; /* as in modes_all */
};

bool modes_wanted(const struct modes_options *options, const struct mode *mode, bool ktls);

/* By Sluice's own probe. */
bool modes_kernel_has_ktls(const struct bench *bench);

/* -1 with a message. The server is to be stopped in either case. */
int modes_sluice_start(const struct bench *bench, const struct modes_options *options, bool ktls,
                       struct modes_sluice *sluice) __attribute__((warn_unused_result));

/* The rows of the matrix, cell by cell, without figures. -1: no memory. */
int modes_matrix_make(struct modes_result *result, const struct modes_options *options)
    __attribute__((warn_unused_result));

#endif
