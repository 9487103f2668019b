/* The parts of fit_intervals: points that were held out, the widths that hold them, and how well they do. */
#ifndef TOOLS_INTERVAL_FIT_H
#define TOOLS_INTERVAL_FIT_H

#include "api/api.h"
#include "base/map.h"
#include "bench/split.h"

enum { RUNTIMES_MOST = 16, CLASSES = 2 * INTERVAL_CLASSES + 1, FACTORS = 3, SKEWS = 2 };
/* The vector that is fitted holds logarithms: widths of models, of lone kernels and of the host, factors, skews, runtimes' factors
 * (of all but the first, which is 1), and at last the two means towards which the widths are pulled. */
enum { FIXED = CLASSES + FACTORS + SKEWS, MEANS = FIXED + RUNTIMES_MOST, CONSTANTS = MEANS + 2 };

typedef struct held {
    const bench_point *point;
    interval_parts parts;
    basis basis;
    int runtime;
    double error;     /* log (measured / predicted) */
    double weight;    /* less where its (GPU, runtime, operator, precision, task) has more points */
    int chip, family; /* numbered as they come: what cross-validation leaves out */
    split_kind kind;  /* that left it out */
    double shipped_low, shipped_high, low,
        high; /* logarithms: as it shipped, and fitted without its chip or its family */
} held;

typedef struct held_list {
    held *list;
    size_t count;
    interval_constants start; /* `specification` is nothing that was measured: it stays */
    int runtimes;
    double shipped[RUNTIMES_MOST]; /* their factors */
} held_list;

_Noreturn void interval_die(const char *what, const pg_error *e);

/* interval_hold.c: predicts all points by constants that were fitted without them, and appends them. */
void interval_hold_out(held_list *h, bench *b, pg_catalog *catalog, split_kind kind, arena *a);
/* What was held out, as a file of this program: which point, how it was left out, what it rested on, its error. */
void interval_save(const held_list *h, bench *b, const char *path);
void interval_load(held_list *h, bench *b, const pg_catalog *catalog, const char *path);
/* Numbers and weights, once all are there. */
void interval_weigh(held_list *h, arena *a);

/* interval_widths.c */
extern const char *const interval_names[FIXED]; /* keys of [interval] */
void interval_fit(double *x, const held_list *h, const bool *use);
/* Logarithms of 1 + width to both sides; x NULL: as it shipped. */
void interval_of_held(double *low, double *high, const double *x, const held_list *h, const held *at);

/* interval_report.c: fits without each fifth of the chips or of the families, tries it on them, and says how that went by stratum. */
void interval_cross_validate(held_list *h, arena *a);
void interval_report(const held_list *h, arena *a);

#endif
