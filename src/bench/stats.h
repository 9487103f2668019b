/* How far off predictions are, over all points and by group. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include "bench/bench.h"

/* Errors are predicted / measured - 1; shares are from 0 to 1. Negative (bias: NaN): no points to tell. */
typedef struct bench_stats {
    size_t count;
    double mape, median, p90; /* of the errors' size; p90 between ranks as numpy does it */
    double bias;              /* mean with sign */
    double within_10, within_25;
} bench_stats;

/* The smallest first. */
void bench_sort(double *x, size_t n);
/* Sorts the errors by size. */
bench_stats bench_stats_of(double *errors, size_t count);

typedef struct bench_group {
    const char *name;
    bench_stats ours, roofline, scalar;
    size_t with_interval;
    double coverage; /* share of those within their 80 % interval; negative: none has one */
} bench_group;

typedef struct bench_grouping {
    const char *key;   /* of JSON, "by_gpu" */
    const char *title; /* "GPU" */
    bench_group *groups;
    size_t count;
} bench_grouping;

enum { BENCH_GROUPINGS = 11 };

typedef struct bench_reason {
    const char *text; /* why rows were skipped */
    size_t count;
} bench_reason;

typedef struct bench_summary {
    bench_group all;
    size_t skipped;
    bench_reason *reasons; /* the most frequent first */
    size_t reason_count;
    bench_grouping groupings[BENCH_GROUPINGS];
} bench_summary;

pg_code bench_summarize(bench_summary *out, const bench_point *points, size_t count, arena *a, pg_error *e);

#endif
