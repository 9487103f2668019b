/* Predictions by constants that never saw what they predict.
 *
 *   gpu         every chip is left out once (boards of one chip go together: A100 in all its forms)
 *   generation  every architecture ("Hopper", "Ampere") is left out once, with all its chips
 *   family      the model families in five groups, by a hash of their names; each group is left out once. Single kernels belong to no
 *               family: they are only fitted on
 *   random      the configurations (model, GPU, runtime, precision) in five groups: the optimistic figure
 *
 * For each fold all steps of data/fit.toml are fitted again from their start values on the points outside it, and on nothing else;
 * a GPU that is left out counts as one that nobody measured. What no step fits keeps its shipped value. Afterwards the catalog is
 * as it was before. */
#ifndef BENCH_SPLIT_H
#define BENCH_SPLIT_H

#include "bench/fit.h"
#include "bench/stats.h"

typedef enum split_kind { SPLIT_GPU, SPLIT_GENERATION, SPLIT_FAMILY, SPLIT_RANDOM } split_kind;

typedef struct split_fold {
    const char *name;  /* what was left out */
    size_t points;     /* predicted */
    size_t fitted_on;  /* points that took part in a fit */
    bench_stats stats; /* of the points */
} split_fold;

typedef struct split_options {
    split_kind kind;
    const bool *test; /* by point: is predicted; the others are only fitted on */
    void (*progress)(void *ud, const char *fold, int done, int of); /* NULL: none */
    void *ud;
} split_options;

/* Which group a point belongs to: "a100", "families 3 of 5". Points with the same text are always on the same side. NULL: it is
 * never left out. */
const char *split_group(const bench_point *p, split_kind kind, char *room, size_t cap);

/* Predicts the points of b (opened with `keep`) that are to be and fills their `fold`; folds are in the arena. */
pg_code split_run(split_fold **folds, size_t *fold_count, bench *b, pg_catalog *catalog, const split_options *o,
                  arena *a, pg_error *e);

/* Fits one step, from where its constants are, on the points that it takes but for those of `out` (by point; NULL: none), and leaves
 * the constants in the catalog. rounds: restarts of the optimiser, 0: as the step says. PG_E_NOT_FOUND where it takes no point. */
pg_code split_fit_step(bench *b, pg_catalog *catalog, const fit_step *step, const bool *out, int rounds,
                       void (*progress)(void *ud, int round, double loss), void *ud, arena *a, pg_error *e);

/* Fits all steps on all points, from their start values, and leaves the constants in the catalog. */
pg_code split_fit_all(bench *b, pg_catalog *catalog, const split_options *o, arena *a, pg_error *e);

#endif
