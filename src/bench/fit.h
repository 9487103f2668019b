/* Fitting constants to points: which there are, what is minimised, and by what. Deterministic: NLopt's Sbplx has no random part. */
#ifndef BENCH_FIT_H
#define BENCH_FIT_H

#include "bench/bench.h"

enum { FIT_CONSTANTS_MOST = 64, FIT_STEPS_MOST = 48, FIT_NAME_SIZE = 64 };

/* A number in the catalog that a fit may move. */
typedef struct fit_constant {
    char name[FIT_NAME_SIZE]; /* "conv.tensor_k0", "pytorch.host_us", "predict.host_half_years" */
    double *at, low, high;
    double start; /* where fits begin that must not know the shipped value; NaN: not given */
} fit_constant;

/* PG_E_NOT_FOUND where there is none of that name. */
pg_code fit_find(fit_constant *out, pg_catalog *catalog, const char *name, pg_error *e);

/* One step of data/fit.toml. */
typedef struct fit_step {
    const char *name;
    fit_constant *constants;
    int count;
    int rounds, evaluations;
    size_t rows; /* at most; evenly thinned where there are more */
    double pull;
    bool grouped, squared;
    int kernels;                                               /* 1: single kernels only, 0: models only, -1: both */
    const char **operators, **precisions, **runtimes, **tasks; /* end with NULL; NULL: any */
    const char **setups;                                       /* names of bench_setup_name; the same */
    const char **tables;                                       /* kinds of rows of kernel tables; the same */
    const char **families;                                     /* what the families of models begin with; the same */
    int64_t batch_least, batch_most;
} fit_step;

typedef struct fit_steps {
    fit_step list[FIT_STEPS_MOST];
    int count;
} fit_steps;

/* Reads the built-in steps; everything lives in the arena. */
pg_code fit_steps_read(fit_steps *out, pg_catalog *catalog, arena *a, pg_error *e);
/* The step of that name; NULL with PG_E_NOT_FOUND. */
const fit_step *fit_step_find(const fit_steps *s, const char *name, pg_error *e);
/* Its constants get their start values. */
void fit_step_start(const fit_step *s);
bool fit_step_takes(const fit_step *s, const bench_point *p);

/* One fit. */
typedef struct fit_problem {
    bench_point *points; /* with open plans */
    size_t count;
    const bool *use;  /* by point; NULL: all that are times and not skipped */
    const int *group; /* by point, from 0: each weighs the same; NULL: each point weighs the same */
    int group_count;
    fit_constant *constants;
    int constant_count;
    int rounds, evaluations; /* restarts; evaluations for each constant */
    double pull;
    bool squared; /* the loss is the mean square of log (predicted / measured); else of its amount, large ones damped */
    void (*progress)(void *ud, int round, double loss); /* NULL: none */
    void *ud;
    /* results */
    double before, after; /* loss */
} fit_problem;

/* Moves the constants to the least loss. */
pg_code fit_run(fit_problem *p, pg_error *e);

/* A copy of every number that fits may move, and back. */
typedef struct fit_snapshot fit_snapshot;
fit_snapshot *fit_save(const pg_catalog *catalog, arena *a); /* NULL: out of memory */
void fit_restore(pg_catalog *catalog, const fit_snapshot *s);
/* Both hold the same numbers (for one catalog). */
bool fit_same(const fit_snapshot *a, const fit_snapshot *b);

#endif
