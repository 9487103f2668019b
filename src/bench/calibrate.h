/* Fits one GPU's profile to its owner's measurements: which rows can be used, what moves, and how far off predictions are for models that
 * were held out. Deterministic: the same rows give the same profile. */
#ifndef BENCH_CALIBRATE_H
#define BENCH_CALIBRATE_H

#include "api/api.h"
#include "base/json.h"
#include "bench/stats.h"

enum {
    CALIBRATE_FAMILIES = 3,
    CALIBRATE_LEVELS = API_CALIBRATE_LEVELS,
    CALIBRATE_LEAST = 3,
    CALIBRATE_FEW = 5,
    CALIBRATE_WARNINGS = 8
};

typedef struct calibration_row {
    const bench_point *point;
    const char *left_out; /* why it isn't used; NULL: it is */
    const char *group;    /* with which it is held out */
    uint32_t group_index;
    double before, after; /* log(predicted / measured): as shipped; held out */
} calibration_row;

/* Fields of [profiles.KEY.model_performance.F]; 0: not written. */
typedef struct calibration_fields {
    size_t rows;
    double memory_efficiency, architecture_multiplier;
    double interval;
} calibration_fields;

typedef struct calibration_group {
    const char *name;
    size_t rows;
    double before, after; /* mean error, held out */
} calibration_group;

typedef struct calibration {
    arena *a;
    const pg_gpu *gpu;
    calibration_row *rows; /* all that say a time of this GPU */
    size_t count, used;
    size_t other_gpus, other_metrics, skipped; /* passed over */
    const char *split;                         /* what was held out as a whole: "model family", "model" or "row" */
    calibration_group *groups;
    size_t group_count;
    bench_stats before, after; /* held out */
    double coverage;           /* held out: share of rows within the interval that is written */
    calibration_fields families[CALIBRATE_FAMILIES];
    double host_factor; /* 0: no rows that the host bounds, so nothing is known of it */
    size_t host_rows;
    const char *runtimes; /* "pytorch, tensorrt" */
    const char *warnings[CALIBRATE_WARNINGS];
    size_t warning_count;
    bool better;         /* held out, the profile is better than none */
    const char *verdict; /* what it is where it isn't: "no better than what is built in", ... */
} calibration;

/* `points` with their plans open (bench_options.keep). The GPU's figures in the catalog hold the calibrated profile afterwards, so that
 * what is predicted then is what the written profile gives. Too few rows are PG_E_CHECK with the reason. */
pg_code calibrate(calibration *out, bench_point *points, size_t count, const pg_gpu *gpu, arena *a, pg_error *e);

/* calibrate_levels.c: what rows say about a board. `off`: log(measured / predicted) at levels of 0; `slope`: what each level adds to
 * log(predicted). A level of 0.1 makes 10 % slower: everything, memory against the rest, the host beyond that. */
typedef struct level_row {
    double off, slope[CALIBRATE_LEVELS];
    uint32_t family;
    bool out;     /* held out */
    double trust; /* 1, and less for a row that its family and the board do not explain */
} level_row;

/* Normal equations: a x = b, and what they leave. */
typedef struct level_sums {
    double a[CALIBRATE_LEVELS][CALIBRATE_LEVELS], b[CALIBRATE_LEVELS], square, logdet;
} level_sums;

typedef struct level_family {
    level_sums sums;
    double level[CALIBRATE_LEVELS]; /* of this family alone */
} level_family;

void calibrate_levels(double *level, level_row *rows, size_t count, level_family *families, size_t family_count,
                      const calibrate_constants *c);
/* A board's rows as the fit sees them; the GPU has its fields set then, though to what they were. For tools that fit the constants. */
pg_code calibrate_rows(level_row **rows, size_t *count, bench_point *points, size_t point_count, const pg_gpu *gpu,
                       arena *a, pg_error *e);
/* The logarithm of how likely all the rows of one board are: what the constants are fitted by. */
double calibrate_likelihood(level_row *rows, size_t count, level_family *families, size_t family_count,
                            const calibrate_constants *c);

/* calibrate_rows.c: marks what can't be right. */
pg_code calibrate_check(calibration *c, pg_error *e);
void calibrate_warn(calibration *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* calibrate_write.c: the profile as TOML, with what it rests on as a comment. `files`: what the rows were read from. */
void calibrate_toml(buffer *out, const calibration *c, const char *const *files, size_t file_count);
extern const char *const calibrate_families[CALIBRATE_FAMILIES];

#endif
