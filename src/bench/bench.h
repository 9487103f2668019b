/* Measured points held against predictions. Models are opened once, and plans are shared by all rows that differ in GPU or value
 * only. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "bench/points.h"
#include "phantom/phantom.h"

typedef struct bench_point {
    const bench_row *row;
    const char *skipped;         /* why it can't be predicted; NULL: it can */
    const char *family;          /* what must be on one side of a split: the row's, else from the model's name */
    const pg_gpu *gpu;           /* NULL: not known */
    pg_plan *plan;               /* NULL when skipped, and without `keep` */
    pg_prediction p;             /* as pg_plan_predict gave it */
    double predicted, low, high; /* in the metric's unit */
    double error;                /* predicted / measured - 1 */
    double roofline;             /* what the plain roofline says, in the metric's unit; negative: nothing */
    double scalar; /* the measurement on another GPU times one factor; negative: there is none (baseline.c) */
    const bench_row *scalar_row; /* that measurement */
    const char *fold;            /* with which it was left out (split.h); NULL: none */
} bench_point;

typedef struct bench bench;

typedef struct bench_options {
    const char *const *gpus; /* only rows of these GPUs (keys or aliases); NULL: all */
    size_t gpu_count;
    bool fast_mode;  /* the plain roofline */
    bool keep;       /* plans stay open, so that bench_predict works; else they go as soon as they were used */
    bool impossible; /* rows faster than the GPU can be are points like others: the caller judges them */
} bench_options;

/* Opens what the rows need and predicts them once. Both must outlive the result. A GPU of `options` that isn't known is
 * PG_E_NOT_FOUND; whatever is wrong with a row only skips it. */
pg_code bench_open(bench **out, const bench_rows *rows, const pg_catalog *catalog, const bench_options *options,
                   pg_error *e);
void bench_free(bench *b);
/* The points in the order of the rows; those of other GPUs than asked for are left out. */
bench_point *bench_points(bench *b, size_t *count);
/* Predicts all points that aren't skipped again, with the catalog's constants as they are now. */
void bench_predict(bench *b);

/* Fills `scalar`: what one scalar for each pair of GPUs makes of the same configuration's measurement on another GPU. The scalar is
 * the median ratio over the configurations that were measured on both, under the same runtime, precision and task, without the
 * point's model family. The other GPU is the one with the most such configurations. */
pg_code bench_scalars(bench_point *points, size_t count, allocator alloc, pg_error *e);

/* One point anew. What was measured did fit: memory is no reason to skip it. */
void bench_predict_point(bench_point *p);
/* A prediction in the unit of the row's metric; *low and *high (not NULL) its 80 % interval, or negative where there is none. */
double bench_value(const bench_row *row, const pg_prediction *p, double *low, double *high);
/* Seconds of a step that the row's measurement means; negative for what is no time. */
double bench_seconds(const bench_row *row);

/* A row that doesn't give its runtime: the one that its source names ("TensorFlow/...", "..._TRT/..."), with a precision that ends in
 * "+xla" the compiled one, else tensorrt for 8 bits and pytorch. Of a precision in parts ("fp16+xla", "int8,fp16") the first
 * counts; without one it is what the library takes. */
const char *bench_runtime(const bench_row *row);
/* pytorch-image-models measured some boards with its fast norm switched on: group normalisation is faster there than fp32 traffic can
 * be at the peak of the bandwidth. Nothing in its tables says so but the figures. `gpu`: the key. */
bool bench_half_norms(const bench_row *row, const char *gpu);
const char *bench_precision(const bench_row *row);
bool bench_channels_last(const bench_row *row);
/* Length of the texts that the row's step really has; 0: the model's own. */
int64_t bench_sequence(const bench_row *row);
const char *bench_optimizer(const bench_row *row); /* NULL: the default */
/* Of the runtime; NULL: not known, so the newest. */
const char *bench_version(const bench_row *row);
/* How a language model's runtime was set up (0: as it is by itself). What a row says counts; one that says nothing of it is taken for one of the
 * published benchmarks, whose launch scripts set what no row names: lengths are drawn, SGLang on Blackwell looks for requests every 10 steps,
 * or 30, TensorRT-LLM keeps prompts for fuller steps in some runs, steps are larger or smaller than by default (docs/llm.md). llama.cpp's rows with prompts of 494 tokens are of notebooks whose runs were
 * the first of their process and divided matrices among GPUs, whatever a row says of stages. `rt`, `m`: NULL where they aren't known. */
typedef struct bench_setup {
    int64_t max_requests, max_step_tokens;
    int speculative_tokens, poll_steps, batch_wait_steps;
    double batch_wait_share, shortest_share;
    int tensor_parallel, pipeline_parallel;
    bool first_run;
} bench_setup;
struct runtime_profile;
struct language_model;
struct gpu_spec;
bench_setup bench_language_setup(const bench_row *row, const struct runtime_profile *rt, const struct language_model *m,
                                 const struct gpu_spec *gpu);
/* "offline": the most tokens a second of requests that are all there; "divided": each matrix among several GPUs by llama.cpp, "first": the first prompt of a process, else "usual". */
const char *bench_setup_name(const bench_row *row);
/* The figure is of the GPU alone. Not what aiconfigurator's tables have of vLLM's products with scales for blocks, though they say so: their
 * kernels were issued one by one from Python, and small ones take what that does. */
bool bench_device_time(const bench_row *row);
/* What the row calls mixed precision, unless its source turned the model into half. */
bool bench_autocast(const bench_row *row);

/* Why a row's figure is of something else than what is predicted for it; NULL: nothing says so. The first before anything is opened,
 * the second of models that take images, the third of a point that was predicted. Texts are constants or lie in the arena. */
const char *bench_doubt(const bench_row *row, const pg_gpu *gpu, arena *a);
const char *bench_doubt_images(const bench_row *row);
const char *bench_impossible(const bench_point *p, arena *a);

/* "resnet" of "resnet50", "op:gemm" of a kernel: models that are built alike. */
void bench_family(char *out, size_t cap, const char *model);

#endif
