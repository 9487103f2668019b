/* What validate shows: measured points beside their predictions, and how far off those are by group. */
#ifndef RENDER_VALIDATION_H
#define RENDER_VALIDATION_H

#include "bench/stats.h"
#include "render/render.h"

typedef struct render_fold {
    const char *name; /* what was left out */
    size_t points;    /* of them, those that were predicted */
    size_t rows;      /* that the constants were fitted on */
    bench_stats stats;
} render_fold;

typedef struct render_validation {
    const char *const *files; /* NULL: the built-in points */
    size_t file_count;
    const bench_point *points;
    size_t point_count;
    const bench_summary *summary;
    const char *split; /* "gpu", "family" or "random"; NULL: none */
    const render_fold *folds;
    size_t fold_count;
    bool verbose;
    bool fast_mode;
    double max_error; /* percent; negative: not asked for */
    render_warnings warnings;
} render_validation;

void render_validation_report(report *r, const render_validation *v);

/* plot.c: predicted against measured on logarithmic axes, as SVG. */
void render_plot(buffer *out, const bench_point *points, size_t count, const char *title);

/* Errors as members of the object that is open. */
void render_stats_json(jsonw *j, const bench_stats *s);

#endif
