/* The relay modes of Sluice side by side: which there are, over which matrix, and what each of its cells
 * gave. Refuses to know how the results are shown. */
#ifndef SLUICE_LOAD_MODES_H
#define SLUICE_LOAD_MODES_H

#include "sluice_load/bench.h"

#define MODES_SIZES 12
#define MODES_CONNECTIONS 8
#define MODES_DRAINS 3

struct mode {
    const char *group; /* what it is compared within */
    const char *name;  /* unique within the group */
    const char *listener;
    bool https, files;
    bool ktls; /* only where the kernel has it */
    struct path_expected expected;
    const char *definition; /* the listener's keys, without its address */
};

extern const struct mode modes_all[];
extern const size_t modes_count;

struct modes_options {
    struct bench_options bench;
    uint64_t sizes[MODES_SIZES];
    size_t size_count;
    unsigned connections[MODES_CONNECTIONS];
    size_t connections_count;
    enum drain drains[MODES_DRAINS];
    size_t drain_count;
    const char *only;      /* names of groups, separated by commas; NULL: all */
    const char *pipe_size; /* NULL: Sluice's own choice */
    bool cold;             /* also files that are not in the page cache */
};

enum modes_rank { MODES_RANK_NONE, MODES_RANK_BEST, MODES_RANK_TIED };

/* What modes are judged by. */
enum modes_figure { MODES_CPU, MODES_THROUGHPUT, MODES_FIGURES };

struct modes_judgement {
    enum modes_rank rank;
    double worse; /* of auto: by how much it is worse than the best mode forced, 0.1 for 10 %; 0 where it is
                   * not, or where their spreads overlap */
    /* Of a mode without a copy: the copying mode of the cell that it loses to, and by how much, like worse.
     * NULL where it doesn't, or where their spreads overlap. */
    const char *loses_to;
    double loses_by;
};

/* What one mode gave in one cell of the matrix. */
struct modes_row {
    const struct mode *mode;
    uint64_t size;
    unsigned connections;
    enum drain drain;
    bool cold;
    char fell_back[300]; /* "": it did not; otherwise there are no figures */
    char failed[200];    /* the same for a load that failed */
    struct paths paths;  /* of the last repetition */
    uint64_t bytes, requests;
    struct spread throughput, request_rate;                     /* bytes/s, 1/s */
    struct spread server_cpu, client_cpu, system_cpu, switches; /* per byte, seconds and number */
    struct spread request_cpu;                                  /* seconds of the server per request */
    double syscalls, request_syscalls;                          /* per byte, per request; 0: not counted */
    double user_per_byte;
    struct histogram *latency;
    unsigned client_limited; /* in so many repetitions */
    struct spread others;    /* the share of all processors' time that went to strangers */
    struct modes_judgement judgements[MODES_FIGURES];
};

struct modes_result {
    struct modes_row *rows;
    size_t count;
    const char *syscalls_why; /* why they were not counted; NULL: they were */
    bool ktls;
    bool interrupted;
};

/* -1 with a message if it could not be carried out. Rows that fell back or failed are results. */
int modes_run(struct bench *bench, const struct modes_options *options, struct modes_result *result)
    __attribute__((warn_unused_result));
void modes_result_free(struct modes_result *result);

/* Rows of one cell of the matrix differ in nothing but the mode; they stand side by side. length: of the
 * first cell of count rows, at least one. */
bool modes_same_cell(const struct modes_row *a, const struct modes_row *b);
size_t modes_cell_length(const struct modes_row *rows, size_t count);

/* Whether all rows have figures. */
bool modes_result_good(const struct modes_result *result);

/* Marks the best of each cell by CPU and by throughput: best only where its spread overlaps no other's, else
 * all that it overlaps are tied. */
void modes_rank(struct modes_row *rows, size_t count);

json_t *modes_json(const struct bench *bench, const struct modes_options *options,
                   const struct modes_result *result);
void modes_print(FILE *file, const struct modes_options *options, const struct modes_result *result);

#endif
