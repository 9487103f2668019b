/* What the files of api/ share: the objects behind the opaque handles. */
#ifndef API_API_H
#define API_API_H

#include "gpu/gpu.h"
#include "graph/language.h"
#include "llm/serving.h"
#include "llm/tuning.h"
#include "load/load.h"
#include "phantom/phantom.h"
#include "predict/predict.h"

typedef struct api_gpu {
    pg_gpu pub; /* first: handed out as pg_gpu */
    const gpu_spec *spec;
    const char *warning;
} api_gpu;

/* Standard deviations of logarithms, for what an owner's rows make of a profile (data/runtimes.toml [calibrate]): of a row; of a model
 * family and of a board in the level of everything, of memory against the rest and of the host; of each level of an odd board, and how
 * many boards are odd in one. */
enum { API_CALIBRATE_LEVELS = 3 };
typedef struct calibrate_constants {
    double row, family[API_CALIBRATE_LEVELS], board[API_CALIBRATE_LEVELS], odd, odd_share;
} calibrate_constants;

typedef struct api_config {
    cost_constants cost;
    predict_constants predict;
    calibrate_constants calibrate;
    runtime_profile *runtimes;
    uint32_t n_runtimes;
    gpu_level *levels;
    uint32_t n_levels;
} api_config;

struct pg_catalog {
    arena a;
    gpu_catalog *gpus;
    api_gpu *list;
    size_t count;
    api_config config;
    const char **runtime_names, **runtime_notes;
    const char **warnings;
    size_t n_warnings;
};

struct pg_model {
    arena a;           /* graph and description */
    load_files *files; /* NULL: built in */
    graph g;
    pg_model_info info;
    gpu_family family;
    bool layers_alone;    /* linear layers, and no attention: called an mlp, though it costs as transformers do */
    int32_t max_sequence; /* positions that a built-in model was made for; 0: no limit known */
    const char *hub_name; /* "org/name" of the Hub; NULL: not from there */
};

/* A name of the Hub, as hub/name.h reads it; views into the text. */
typedef struct api_hub_name {
    str repository, revision, file;
    bool marked; /* "hf://...": can be nothing else */
} api_hub_name;

/* How a request spreads over GPUs; all at least 1. */
typedef struct api_split {
    int gpus, data, tensor, pipeline, micro;
} api_split;

/* What a plan for prefill, decode or serving has instead of units and kernels of a graph. */
typedef struct api_language {
    llm_case c;
    llm_plan prefill, decode;
    llm_serving_plan *serving; /* NULL: another task */
    llm_tuning *tuning;        /* the same */
    const char *cache_name;
    struct api_language
        *wide; /* the same with a cache of 16 bits, for GPUs before the runtime's narrow_since; NULL: no */
} api_language;

struct pg_plan {
    arena a;
    const pg_model *model;
    const pg_catalog *catalog;
    pg_request request;
    precision math;
    const runtime_profile *runtime;
    api_split split;
    api_language *language; /* NULL: another task */
    shapes shapes;
    units units;
    kernel_plan plan;
    kernel_plan *
        half; /* the same in FP16, for GPUs without units for `math`, where that changes the tensors; NULL: it doesn't */
    bool image; /* of the kind that the constants were fitted on */
    const char **warnings;
    size_t n_warnings;
    /* one measurement of the model: on which GPU, what it says elsewhere and there */
    const api_gpu *measured_gpu;
    measured_scale measured, measured_again;
    const char **notes, **waiting_notes; /* by place in the catalog, NULL: nothing; where requests wait for memory */
};

/* "2.4.0" as 2004: major * 1000 + minor. 0: not a version. */
double api_version_number(str text);
allocator api_allocator(const pg_allocator *a);
/* A handle's memory: the struct itself from the allocator, zeroed. */
void *api_new(allocator alloc, size_t size, pg_error *e);
void api_delete(allocator alloc, void *p, size_t size);
const char *api_text(arena *a, str s); /* a terminated copy; NULL: out of memory */

/* hub.c: whether the text is a name of the Hub, and where the model then lies; the notes of the way go to the model's warnings. */
bool api_hub_read(api_hub_name *out, const char *model);
pg_code api_hub_open(pg_model *m, const char **path, const api_hub_name *name, const pg_model_options *o, pg_error *e);

pg_code api_config_read(api_config *c, arena *a, pg_error *e);
pg_code api_describe(pg_model *m, const char *path, bool strict, pg_error *e);
/* Binding of the graph's symbols for a batch and a sequence length (0: the fallback). */
int64_t *api_binding(const graph *g, int64_t batch, int64_t sequence, arena *a);
int32_t api_sequence_symbol(const graph *g); /* -1: none */
/* measured.c: reads the request's measurement into the plan; warnings of it go to `warn`, which is "" where there is none. */
pg_code api_measured_open(pg_plan *p, char *warn, size_t cap, pg_error *e);
/* plan.c: how this plan is predicted on this GPU. */
predict_options api_predict_options(const pg_plan *p, const gpu_spec *s);
const char *api_basis_name(basis b);
const char *api_bound_name(bound b);
bool api_is_narrow(precision p); /* 8 bits */
/* notes.c: whether the plan's runtime is made for GPUs of this vendor, and what a user should know of a prediction (NULL: nothing). */
bool api_runs_on(const pg_plan *p, const gpu_spec *s);
bool api_is_made_by(const gpu_spec *s, str vendor);
pg_code api_notes_make(pg_plan *p, pg_error *e);
const char *api_note(const pg_plan *p, const api_gpu *g, bool waits);
/* The kernels that this GPU runs. */
const kernel_plan *api_plan_on(const pg_plan *p, const gpu_spec *s);
/* NULL: none is called so. */
const runtime_profile *api_runtime(const pg_catalog *c, const char *name);
pg_code api_find_runtime(pg_plan *p, const char *name, pg_error *e);
/* parallel.c: checks what the request says about several GPUs and fills in what it leaves open ... */
pg_code api_split_read(api_split *out, const pg_request *r, pg_error *e);
/* ... and whether the plan that was made of it can be spread so. */
pg_code api_split_check(pg_plan *p, pg_error *e);
/* language.c: tasks of language models. */
bool api_is_language_task(pg_task t);
const char *api_task_name(pg_task t);
/* Fills the figures of language models with what stands for "not known". */
void api_language_none(pg_prediction *out);
/* What the plan is on this GPU. */
const api_language *api_language_on(const pg_plan *p, const gpu_spec *s);
pg_code api_language_open(pg_plan *p, pg_error *e);
/* Adds one change to `advice`, which is a string already; what doesn't fit in is cut off. */
void api_advise(pg_prediction *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same for other tasks (plan_fit.c). */
void api_plan_advice(const pg_plan *p, const predict_gpu *g, const predict_options *o, const step_prediction *s,
                     pg_prediction *out);
void api_language_advice(const pg_plan *p, const predict_gpu *g, pg_prediction *out);
pg_code api_language_predict(const pg_plan *p, const pg_gpu *gpu, pg_prediction *out);
/* explain.c: one kernel as a row, for plans of any task. */
pg_code api_explain_kernel(arena *a, pg_kernel_row *row, const char *name, const kernel *k, const kernel_cost *c,
                           const predict_gpu *g, double count, pg_error *e);
precision api_precision(const char *name, bool *ok);
const char *api_precision_name(precision p);

#endif
