#include "bench/bench.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/map.h"

struct bench {
    arena a;
    arena scope; /* keys of the models and plans that are open */
    const bench_rows *rows;
    const pg_catalog *catalog;
    bench_options options;
    bench_point *points;
    size_t count;
    map models, plans, gpus, families;
    const char **family_list;
    pg_model **model_list;
    const char **model_errors;
    pg_plan **plan_list;
    const char **plan_errors;
    size_t model_count, plan_count;
    const pg_gpu **gpu_list;
    const char **gpu_errors;
    size_t gpu_count;
};

/* ---- values ---- */

double bench_value(const bench_row *row, const pg_prediction *p, double *low, double *high)
{
    double unused;
    if (!low) low = &unused;
    if (!high) high = &unused;
    *low = *high = -1;
    switch (row->metric) {
    case METRIC_LATENCY_MS:
        *low = p->latency_low_ms;
        *high = p->latency_high_ms;
        return p->latency_ms;
    case METRIC_THROUGHPUT:
        if (p->latency_ms <= 0) return -1;
        *low = p->throughput * p->latency_ms / p->latency_high_ms;
        *high = p->throughput * p->latency_ms / p->latency_low_ms;
        return p->throughput;
    case METRIC_TTFT_MS:
        *low = p->ttft_low_ms;
        *high = p->ttft_high_ms;
        return p->ttft_ms;
    case METRIC_TPOT_MS:
        *low = p->tpot_low_ms;
        *high = p->tpot_high_ms;
        return p->tpot_ms;
    case METRIC_TOKENS_PER_S:
        if (p->latency_ms <= 0) return -1;
        *low = p->tokens_per_s * p->latency_ms / p->latency_high_ms;
        *high = p->tokens_per_s * p->latency_ms / p->latency_low_ms;
        return p->tokens_per_s;
    case METRIC_MEMORY_BYTES: return p->memory.total;
    case METRIC_POWER_W: return p->power_w;
    case METRIC_ENERGY_J: return p->throughput > 0 && p->power_w > 0 ? p->power_w / p->throughput : -1;
    default: return -1;
    }
}

/* GPUs that work on batches of their own: the batch of a row is each one's, its throughput that of all. */
static double replicas(const bench_row *row)
{
    double gpus = row->gpu_count > 0 ? (double)row->gpu_count : 1;
    if (row->data_parallel > 0) return (double)row->data_parallel;
    if (row->tensor_parallel > 0) gpus /= (double)row->tensor_parallel;
    if (row->pipeline_parallel > 0) gpus /= (double)row->pipeline_parallel;
    return gpus > 1 ? gpus : 1;
}

double bench_seconds(const bench_row *row)
{
    double batch = row->batch > 0 ? (double)row->batch : 1;
    if (row->metric == METRIC_LATENCY_MS) return row->value * 1e-3;
    if (row->metric == METRIC_THROUGHPUT) return batch * replicas(row) / row->value;
    if (row->metric == METRIC_TTFT_MS || row->metric == METRIC_TPOT_MS) return row->value * 1e-3;
    if (row->metric == METRIC_TOKENS_PER_S) return 1 / row->value;
    return -1;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t word_end(const char *s, size_t n)
{
    while (s[n] && !is_digit(s[n]) && s[n] != '_' && s[n] != '-' && s[n] != '.') n++;
    return n;
}

void bench_family(char *out, size_t cap, const char *model)
{
    const char *slash = NULL;
    for (const char *p = model; *p; p++)
        if (*p == '/' && p[1]) slash = p;
    if (str_starts(str_c(model), "op:")) {
        size_t n = 3;
        while (model[n] && model[n] != ':') n++;
        format_text(out, cap, "%.*s", (int)(n < 64 ? n : 64), model);
        return;
    }
    const char *name = slash ? slash + 1 : model;
    size_t n = 0;
    while (is_digit(name[n])) n++; /* "3d-unet" */
    n = word_end(name, n);
    /* two letters are too few to tell builds apart: "t5" of "t5-small", "se-resnext" of "se-resnext101" */
    if (n < 3 && is_digit(name[n])) {
        while (is_digit(name[n])) n++;
    } else if (n < 3 && name[n]) {
        n = word_end(name, n + 1);
    }
    format_text(out, cap, "%.*s", (int)(n < 64 ? n : 64), name);
}

/* ---- what rows share ---- */

static const char *keep(bench *b, const char *text)
{
    const char *copy = str_copy(&b->a, str_c(text)).ptr;
    return copy ? copy : "out of memory";
}

static const char *keep_error(bench *b, const pg_error *e)
{
    char text[640];
    format_text(text, sizeof text, "%s%s%s", e->path, e->path[0] ? ": " : "", e->text);
    return keep(b, text);
}

static bool takes_rank(const pg_model *m, int least, int most)
{
    const pg_model_info *info = pg_model_describe(m);
    for (size_t i = 0; i < info->input_count && strcmp(info->family, "kernel") != 0; i++)
        if ((int)info->inputs[i].rank >= least && (int)info->inputs[i].rank <= most) return true;
    return false;
}

/* A size for images where the model has none to set is no mistake: tables give one column for all their models. */
static pg_code open_model(pg_model **out, const bench_row *row, pg_error *e)
{
    /* a table of names must not become as many requests: who wants the Hub's models says so */
    bool hub = str_starts(str_c(row->path), "hf://");
    pg_model_options o = {.image_size = (int)row->image_size, .hub = hub ? PG_HUB_NETWORK : PG_HUB_NEVER};
    pg_code code = pg_model_open(out, row->path, &o, e);
    if (code != PG_E_USAGE || !row->image_size) return code;
    o.image_size = 0;
    if (pg_model_open(out, row->path, &o, NULL)) return code;
    if (!takes_rank(*out, 4, 4)) return PG_E_OK;
    pg_model_free(*out);
    *out = NULL;
    return code;
}

/* The model of a row by (path, image size), opened when first seen; NULL: *why. */
static pg_model *model_of(bench *b, const bench_row *row, uint32_t *index, const char **why)
{
    char size[32];
    bool added = false;
    size_t len = strlen(row->path) + sizeof size;
    char *key = arena_alloc(&b->scope, len);
    if (!key) return NULL;
    format_text(key, len, "%s|%lld", row->path, (long long)row->image_size);
    uint32_t *at = map_add(&b->models, str_c(key), (uint32_t)b->model_count, &added);
    if (!at) return NULL;
    if (added) {
        pg_error e = PG_ERROR_INIT;
        size_t i = b->model_count++;
        b->model_list[i] = NULL;
        b->model_errors[i] = NULL;
        if (open_model(&b->model_list[i], row, &e)) b->model_errors[i] = keep_error(b, &e);
    }
    *index = *at;
    *why = b->model_errors[*at];
    return b->model_list[*at];
}

static pg_code find_optimizer(const bench_row *row, pg_optimizer *out, pg_error *e)
{
    static const char *const names[] = {"none", "sgd", "adamw"};
    static const pg_optimizer kinds[] = {PG_OPTIMIZER_NONE, PG_OPTIMIZER_SGD, PG_OPTIMIZER_ADAMW};
    const char *name = bench_optimizer(row);
    for (size_t i = 0; name && i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], name)) {
            *out = kinds[i];
            return PG_E_OK;
        }
    return name ? error_set(e, PG_E_UNSUPPORTED, "the optimizer '%.40s' is not known", name) : PG_E_OK;
}

/* A row that says 0 means none, one that says nothing the usual length. */
static int64_t given_length(const bench_row *row, int key, int64_t value)
{
    return !(row->given >> key & 1) ? 0 : value > 0 ? value : -1;
}

/* What the library is asked for; what it has no words for yet is said instead of left out. */
static pg_code request_of(const bench *b, const bench_row *row, const pg_gpu *gpu, const pg_model *m, pg_request *r,
                          pg_error *e)
{
    const pg_model_info *info = pg_model_describe(m);
    static const pg_task task_of[TASK_COUNT] = {[TASK_TRAINING] = PG_TASK_TRAINING,
                                                [TASK_PREFILL] = PG_TASK_PREFILL,
                                                [TASK_DECODE] = PG_TASK_DECODE,
                                                [TASK_SERVING] = PG_TASK_SERVING};
    bool language = row->task > TASK_TRAINING;
    *r = (pg_request){.batch = row->batch,
                      .precision = bench_precision(row),
                      .runtime = bench_runtime(row),
                      .runtime_version = bench_version(row),
                      .task = task_of[row->task],
                      .layout = bench_channels_last(row) ? PG_LAYOUT_NHWC : PG_LAYOUT_NCHW,
                      .autocast = bench_autocast(row),
                      .half_norms = row->autocast && bench_half_norms(row, gpu->key),
                      .device_time = bench_device_time(row),
                      .any_memory = true,
                      .gpu_count = (int)row->gpu_count,
                      .data_parallel = (int)row->data_parallel,
                      .tensor_parallel = (int)row->tensor_parallel,
                      .pipeline_parallel = (int)row->pipeline_parallel,
                      .expert_parallel = (int)row->expert_parallel,
                      .zero_stage = (int)row->zero_stage,
                      .micro_batches = (int)row->micro_batches,
                      .gradient_checkpointing = row->gradient_checkpointing,
                      .fast_mode = b->options.fast_mode};
    if (language) {
        r->input_len = given_length(row, BENCH_KEY_input_len, row->input_len);
        r->output_len = given_length(row, BENCH_KEY_output_len, row->output_len);
        r->concurrency = row->concurrency;
        r->acceptance_rate = row->acceptance_rate;
        r->quantization = row->quantization;
        r->kv_cache_precision = row->kv_cache_precision;
        r->runtime = row->runtime; /* else as the quantization has it */
        if (!row->runtime_version) r->runtime_version = NULL;
        bench_setup s = bench_language_setup(row, row->runtime ? api_runtime(b->catalog, row->runtime) : NULL,
                                             m->g.language, ((const api_gpu *)(const void *)gpu)->spec);
        r->max_requests = s.max_requests;
        r->max_step_tokens = s.max_step_tokens;
        r->speculative_tokens = s.speculative_tokens;
        r->poll_steps = s.poll_steps;
        r->batch_wait_steps = s.batch_wait_steps;
        r->batch_wait_share = s.batch_wait_share;
        r->shortest_share = s.shortest_share;
        r->tensor_parallel = s.tensor_parallel;
        r->pipeline_parallel = s.pipeline_parallel;
        r->first_run = s.first_run;
        return PG_E_OK;
    }
    if (row->metric >= METRIC_TOKENS_PER_S && row->metric <= METRIC_TPOT_MS)
        return error_set(e, PG_E_UNSUPPORTED, "%s is a figure of the tasks prefill, decode and serving, not of %s",
                         bench_metric_name(row->metric), bench_task_name(row->task));
    if (row->quantization && strcmp(row->quantization, "none") != 0)
        return error_set(e, PG_E_UNSUPPORTED, "the quantization '%.40s' is for the tasks prefill, decode and serving",
                         row->quantization);
    if (info->sequence_symbol) r->sequence = bench_sequence(row);
    if (!info->has_batch && info->fixed_batch > 0 && row->batch == info->fixed_batch) r->batch = 0;
    return find_optimizer(row, &r->optimizer, e);
}

static pg_plan *plan_of(bench *b, const bench_row *row, const pg_gpu *gpu, const pg_model *m, uint32_t model,
                        const char **why)
{
    pg_error e = PG_ERROR_INIT;
    pg_request r;
    bool added = false;
    char key[480];
    if (request_of(b, row, gpu, m, &r, &e)) {
        *why = keep_error(b, &e);
        return NULL;
    }
    format_text(
        key, sizeof key,
        "%u %d %d %d %lld %lld %d %d %d %d %d %d %d %d %d %d %d %lld %lld %lld %lld %lld %d %d %.17g %.17g %d %d %.17g %.60s|%.60s|%.60s|%.40s|%.40s",
        model, r.zero_stage, r.micro_batches, r.gradient_checkpointing, (long long)r.batch, (long long)r.sequence,
        (int)r.task, (int)r.optimizer, (int)r.layout, r.autocast, r.half_norms, r.device_time, r.gpu_count,
        r.data_parallel, r.tensor_parallel, r.pipeline_parallel, r.expert_parallel, (long long)r.input_len,
        (long long)r.output_len, (long long)r.concurrency, (long long)r.max_requests, (long long)r.max_step_tokens,
        r.poll_steps, r.batch_wait_steps, r.batch_wait_share, r.shortest_share, r.first_run, r.speculative_tokens,
        r.acceptance_rate, r.precision ? r.precision : "", r.runtime ? r.runtime : "",
        r.runtime_version ? r.runtime_version : "", r.quantization ? r.quantization : "",
        r.kv_cache_precision ? r.kv_cache_precision : "");
    str copy = str_copy(&b->scope, str_c(key));
    uint32_t *at = copy.ptr ? map_add(&b->plans, copy, (uint32_t)b->plan_count, &added) : NULL;
    if (!at) {
        *why = "out of memory";
        return NULL;
    }
    if (added) {
        size_t i = b->plan_count++;
        b->plan_list[i] = NULL;
        b->plan_errors[i] = NULL;
        if (pg_plan_open(&b->plan_list[i], m, b->catalog, &r, &e)) b->plan_errors[i] = keep_error(b, &e);
    }
    *why = b->plan_errors[*at];
    return b->plan_list[*at];
}

static const pg_gpu *gpu_of(bench *b, const char *name, const char **why)
{
    bool added = false;
    uint32_t *at = map_add(&b->gpus, str_c(name), (uint32_t)b->gpu_count, &added);
    if (!at) return NULL;
    if (added) {
        pg_error e = PG_ERROR_INIT;
        size_t i = b->gpu_count++;
        b->gpu_list[i] = pg_catalog_find(b->catalog, name, &e);
        if (!b->gpu_list[i]) b->gpu_errors[i] = keep_error(b, &e);
    }
    *why = b->gpu_errors[*at];
    return b->gpu_list[*at];
}

/* ---- points ---- */

static void predict_roofline(bench_point *p)
{
    pg_prediction f;
    bool before = p->plan->request.fast_mode;
    p->roofline = -1;
    if (bench_seconds(p->row) <= 0) return;
    p->plan->request.fast_mode = true; /* the plan is ours: nothing else of it depends on the mode */
    if (!pg_plan_predict(p->plan, p->gpu, &f, NULL)) p->roofline = bench_value(p->row, &f, NULL, NULL);
    p->plan->request.fast_mode = before;
}

void bench_predict_point(bench_point *p)
{
    pg_error e = PG_ERROR_INIT;
    if (p->skipped) return;
    if (pg_plan_predict(p->plan, p->gpu, &p->p, &e)) {
        p->skipped = "can't be predicted on this GPU";
        return;
    }
    p->predicted = bench_value(p->row, &p->p, &p->low, &p->high);
    if (!(p->predicted > 0))
        p->skipped = p->p.fits && p->p.latency_ms < 0 ? "its runtime is not for this GPU"
                                                      : "the prediction has no such figure";
    p->error = p->skipped ? 0 : p->predicted / p->row->value - 1;
}

void bench_predict(bench *b)
{
    for (size_t i = 0; i < b->count; i++) bench_predict_point(&b->points[i]);
}

static void fill_point(bench *b, bench_point *p)
{
    const char *why = NULL;
    uint32_t model = 0;
    pg_model *m = p->gpu ? model_of(b, p->row, &model, &why) : NULL;
    p->plan = m ? plan_of(b, p->row, p->gpu, m, model, &why) : NULL;
    if (!p->plan && !p->skipped) p->skipped = why ? why : "out of memory";
    if (!p->skipped && takes_rank(m, 4, 5)) p->skipped = bench_doubt_images(p->row);
    if (p->skipped) return;
    bench_predict_point(p);
    if (!p->skipped && !b->options.impossible) p->skipped = bench_impossible(p, &b->a);
    if (!p->skipped) predict_roofline(p);
}

/* Closes what the points so far needed: their predictions are kept. */
static void close_plans(bench *b)
{
    for (size_t i = 0; i < b->plan_count; i++) {
        pg_plan_free(b->plan_list[i]);
        b->plan_list[i] = NULL;
    }
    for (size_t i = 0; i < b->model_count; i++) {
        pg_model_free(b->model_list[i]);
        b->model_list[i] = NULL;
    }
    b->plan_count = b->model_count = 0;
    arena_reset(&b->scope);
    map_init(&b->models, &b->scope);
    map_init(&b->plans, &b->scope);
}

static int by_model(const void *x, const void *y)
{
    const bench_point *a = *(bench_point *const *)x, *b = *(bench_point *const *)y;
    int order = strcmp(a->row->path, b->row->path);
    if (order) return order;
    if (a->row->image_size != b->row->image_size) return a->row->image_size < b->row->image_size ? -1 : 1;
    return a < b ? -1 : 1;
}

/* Model by model, so that one is open at a time unless all are kept. */
static pg_code fill_points(bench *b, pg_error *e)
{
    bench_point **order = ARENA_ARRAY(&b->a, bench_point *, b->count + 1);
    if (!order) return error_nomem(e, &b->a);
    for (size_t i = 0; i < b->count; i++) order[i] = &b->points[i];
    qsort(order, b->count, sizeof *order, by_model);
    for (size_t i = 0; i < b->count; i++) {
        if (i && !b->options.keep && strcmp(order[i]->row->path, order[i - 1]->row->path) != 0) close_plans(b);
        fill_point(b, order[i]);
        if (!b->options.keep) order[i]->p.note = NULL; /* it may lie in the plan */
        if (b->a.failed) return error_nomem(e, &b->a);
    }
    if (!b->options.keep) close_plans(b);
    for (size_t i = 0; !b->options.keep && i < b->count; i++) b->points[i].plan = NULL;
    return PG_E_OK;
}

/* A model is of one family, that of its first row: else rows that say different ones could be on both sides of a split. */
static const char *family_of(bench *b, const bench_row *row)
{
    char family[80];
    bool added = false;
    const uint32_t *at = map_add(&b->families, str_c(row->path), b->families.count, &added);
    if (!at) return "";
    if (!added) return b->family_list[*at];
    bench_family(family, sizeof family, row->model);
    b->family_list[*at] = row->family && row->family[0] ? row->family : keep(b, family);
    return b->family_list[*at];
}

static pg_code fill(bench *b, pg_error *e)
{
    const bench_options *o = &b->options;
    size_t n = b->rows->count + 1;
    b->points = ARENA_ARRAY(&b->a, bench_point, n);
    b->model_list = ARENA_ARRAY(&b->a, pg_model *, n);
    b->model_errors = ARENA_ARRAY(&b->a, const char *, n);
    b->plan_list = ARENA_ARRAY(&b->a, pg_plan *, n);
    b->plan_errors = ARENA_ARRAY(&b->a, const char *, n);
    b->family_list = ARENA_ARRAY(&b->a, const char *, n);
    b->gpu_list = ARENA_ARRAY(&b->a, const pg_gpu *, n);
    b->gpu_errors = ARENA_ARRAY(&b->a, const char *, n);
    map_init(&b->models, &b->scope);
    map_init(&b->plans, &b->scope);
    map_init(&b->gpus, &b->a);
    map_init(&b->families, &b->a);
    if (b->a.failed) return error_nomem(e, &b->a);
    for (size_t i = 0; i < o->gpu_count; i++)
        if (!pg_catalog_find(b->catalog, o->gpus[i], e)) return PG_E_NOT_FOUND;
    for (size_t i = 0; i < b->rows->count; i++) {
        const bench_row *row = &b->rows->rows[i];
        const char *why = NULL;
        const pg_gpu *gpu = gpu_of(b, row->gpu, &why);
        bool wanted = !o->gpu_count;
        for (size_t k = 0; k < o->gpu_count && gpu && !wanted; k++)
            wanted = pg_catalog_find(b->catalog, o->gpus[k], NULL) == gpu;
        if (gpu) why = bench_doubt(row, gpu, &b->a);
        if (wanted)
            b->points[b->count++] = (bench_point){.row = row,
                                                  .gpu = gpu,
                                                  .skipped = why,
                                                  .family = family_of(b, row),
                                                  .low = -1,
                                                  .high = -1,
                                                  .roofline = -1,
                                                  .scalar = -1};
    }
    return fill_points(b, e);
}

pg_code bench_open(bench **out, const bench_rows *rows, const pg_catalog *catalog, const bench_options *options,
                   pg_error *e)
{
    allocator alloc = rows->a.alloc;
    *out = NULL;
    bench *b = api_new(alloc, sizeof *b, e);
    if (!b) return PG_E_NOMEM;
    arena_init(&b->a, alloc, 0);
    arena_init(&b->scope, alloc, 0);
    b->rows = rows;
    b->catalog = catalog;
    if (options) b->options = *options;
    pg_code code = fill(b, e);
    if (code) bench_free(b);
    else *out = b;
    return code;
}

void bench_free(bench *b)
{
    if (!b) return;
    allocator alloc = b->a.alloc;
    for (size_t i = 0; i < b->plan_count; i++) pg_plan_free(b->plan_list[i]);
    for (size_t i = 0; i < b->model_count; i++) pg_model_free(b->model_list[i]);
    arena_free(&b->scope);
    arena_free(&b->a);
    api_delete(alloc, b, sizeof *b);
}

bench_point *bench_points(bench *b, size_t *count)
{
    *count = b->count;
    return b->points;
}
