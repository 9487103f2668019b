/* Measured points: rows of benchmark files, read and checked.
 *
 *   1. A file is a JSON object {"version": 1, "benchmarks": [ROW, ...]}, at most 64 MB.
 *   2. A row is an object with the keys of keys.def; model, gpu, metric and value are required. Any other key, a wrong type, a number
 *      out of its range, a key given twice is an error that names the row (counted from 1) and the key.
 *   3. What is well formed but can't be predicted (a GPU or a model that isn't known, ...) is no error here: bench.h says why a row
 *      is skipped. */
#ifndef BENCH_POINTS_H
#define BENCH_POINTS_H

#include "base/error.h"

typedef enum bench_task {
    TASK_INFERENCE,
    TASK_TRAINING,
    TASK_PREFILL,
    TASK_DECODE,
    TASK_SERVING,
    TASK_COUNT
} bench_task;

typedef enum bench_metric {
    METRIC_LATENCY_MS,
    METRIC_THROUGHPUT,
    METRIC_TOKENS_PER_S,
    METRIC_TTFT_MS,
    METRIC_TPOT_MS,
    METRIC_MEMORY_BYTES,
    METRIC_POWER_W,
    METRIC_ENERGY_J,
    METRIC_COUNT
} bench_metric;

typedef enum bench_layout { LAYOUT_NCHW, LAYOUT_NHWC, LAYOUT_COUNT } bench_layout;

typedef const char *bench_text;

enum {
#define BENCH_KEY(name, kind, low, high, meaning) BENCH_KEY_##name,
#include "bench/keys.def"
#undef BENCH_KEY
    BENCH_KEYS
};

#define BENCH_TYPE_TEXT bench_text
#define BENCH_TYPE_COUNT int64_t
#define BENCH_TYPE_FLAG bool
#define BENCH_TYPE_TASK bench_task
#define BENCH_TYPE_METRIC bench_metric
#define BENCH_TYPE_LAYOUT bench_layout
#define BENCH_TYPE_REAL double

typedef struct bench_row {
#define BENCH_KEY(name, kind, low, high, meaning) BENCH_TYPE_##kind name;
#include "bench/keys.def"
#undef BENCH_KEY
    uint64_t given;   /* bit BENCH_KEY_name: the file has the key */
    uint32_t number;  /* in its file, from 1 */
    const char *file; /* as it was named */
    const char *path; /* the model as pg_model_open takes it: relative files found beside the benchmark file */
} bench_row;

/* Rows of any number of files, one after the other. Texts live in the arena. */
typedef struct bench_rows {
    arena a;
    bench_row *rows;
    size_t count, cap;
} bench_rows;

void bench_rows_init(bench_rows *r, allocator alloc);
void bench_rows_free(bench_rows *r);
/* Adds the rows of a file. PG_E_IO, PG_E_FORMAT (not JSON; line and column), PG_E_CONFIG (not as above; the row in the path),
 * PG_E_LIMIT, PG_E_NOMEM; the error's source is the file. */
pg_code bench_read(bench_rows *r, const char *path, pg_error *e);
/* The same from memory. `name`: what errors call it; `folder`: what relative paths start from ("" or with a final slash). */
pg_code bench_parse(bench_rows *r, const char *bytes, size_t len, const char *name, const char *folder, pg_error *e);

const char *bench_task_name(bench_task t);
const char *bench_metric_name(bench_metric m);
const char *bench_layout_name(bench_layout l);

typedef enum bench_kind {
    BENCH_TEXT,
    BENCH_COUNT,
    BENCH_FLAG,
    BENCH_TASK,
    BENCH_METRIC,
    BENCH_LAYOUT,
    BENCH_REAL
} bench_kind;

typedef struct bench_key {
    const char *name, *meaning;
    bench_kind kind;
    size_t offset; /* in bench_row */
    double low, high;
} bench_key;

/* One entry for each key, in the order of keys.def. */
extern const bench_key bench_key_table[BENCH_KEYS];

/* A product whose family says that its FP8 numbers have scales for blocks ("fp8_block"), as kernel tables name it. */
bool bench_block_scaled(const bench_row *row);
/* A product of NeuSight's table, whose columns n and k are exchanged: the launch grids beside them cover m x k (docs/cost-model.md). */
bool bench_exchanged(const bench_row *row);
/* The model that the row's step really ran, where its source tells that it is another than the one named. */
const char *bench_model(const bench_row *row);

#endif
