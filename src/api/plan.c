#include "api/api.h"

static const struct {
    const char *name;
    precision p;
} precisions[] = {{"fp32", PREC_FP32}, {"tf32", PREC_TF32}, {"fp16", PREC_FP16}, {"bf16", PREC_BF16},
                  {"fp8", PREC_FP8},   {"int8", PREC_INT8}, {"fp4", PREC_FP4},   {"nvfp4", PREC_FP4},
                  {"mxfp4", PREC_FP4}, {"int4", PREC_INT4}};

enum { PRECISIONS = sizeof precisions / sizeof precisions[0] };

precision api_precision(const char *name, bool *ok)
{
    for (size_t i = 0; i < PRECISIONS; i++)
        if (!strcmp(precisions[i].name, name)) {
            *ok = true;
            return precisions[i].p;
        }
    *ok = false;
    return PREC_FP32;
}

const char *api_precision_name(precision p)
{
    for (size_t i = 0; i < PRECISIONS; i++)
        if (precisions[i].p == p) return precisions[i].name;
    return "fp32";
}

static bool is_named(const runtime_profile *r, str folded)
{
    char have[64];
    if (str_eq((str){have, str_fold(have, sizeof have, r->key)}, folded)) return true;
    for (uint32_t i = 0; i < r->n_aliases; i++)
        if (str_eq((str){have, str_fold(have, sizeof have, r->aliases[i])}, folded)) return true;
    return false;
}

/* Whatever case, spaces and hyphens the name is written with. */
const runtime_profile *api_runtime(const pg_catalog *c, const char *name)
{
    char buffer[64];
    str folded = {buffer, str_fold(buffer, sizeof buffer, str_c(name))};
    for (uint32_t i = 0; i < c->config.n_runtimes; i++)
        if (is_named(&c->config.runtimes[i], folded)) return &c->config.runtimes[i];
    return NULL;
}

pg_code api_find_runtime(pg_plan *p, const char *name, pg_error *e)
{
    enum { NEAR = 2 }; /* letters that a slip changes */
    const api_config *c = &p->catalog->config;
    const runtime_profile *meant = NULL;
    char names[160], buffer[64];
    str folded = {buffer, str_fold(buffer, sizeof buffer, str_c(name))};
    unsigned nearest = NEAR + 1;
    size_t n = 0;
    p->runtime = api_runtime(p->catalog, name);
    if (p->runtime) return PG_E_OK;
    for (uint32_t i = 0; i < c->n_runtimes; i++) {
        const runtime_profile *r = &c->runtimes[i];
        unsigned distance = str_distance(folded, r->key, NEAR);
        if (distance < nearest) meant = r;
        if (distance < nearest) nearest = distance;
        n += format_text(names + (n < sizeof names ? n : sizeof names - 1), n < sizeof names ? sizeof names - n : 1,
                         "%s%.*s", i ? ", " : "", STR_ARG(r->key));
    }
    if (!meant) return error_set(e, PG_E_USAGE, "unknown runtime '%.40s'; known: %s", name, names);
    return error_set(e, PG_E_USAGE, "unknown runtime '%.40s'; did you mean '%.*s'? (%s)", name, STR_ARG(meant->key),
                     names);
}

static pg_code check_measured(pg_plan *p, pg_error *e)
{
    pg_request *r = &p->request;
    if (!r->measured_gpu)
        return r->measured_ms != 0 || r->measured_batch
                 ? error_set(e, PG_E_USAGE, "a measured time needs the GPU on which it was measured")
                 : PG_E_OK;
    if (!(r->measured_ms > 0 && r->measured_ms < 1e9))
        return error_set(e, PG_E_USAGE, "the time measured on %s must be positive milliseconds", r->measured_gpu);
    if (r->measured_batch < 0 || r->measured_batch > 1 << 20)
        return error_set(e, PG_E_USAGE, "the measured batch size %lld is not between 1 and %d",
                         (long long)r->measured_batch, 1 << 20);
    p->measured_gpu = (const api_gpu *)(const void *)pg_catalog_find(p->catalog, r->measured_gpu, e);
    return p->measured_gpu ? PG_E_OK : PG_E_NOT_FOUND;
}

enum { WARNINGS_MOST = 8 }; /* of a plan; more than there are kinds */

static pg_code check_training(const pg_plan *p, pg_error *e)
{
    const pg_request *r = &p->request;
    if (r->task != PG_TASK_TRAINING) return PG_E_OK;
    if (p->math != PREC_FP32 && p->math != PREC_TF32 && p->math != PREC_FP16 && p->math != PREC_BF16)
        return error_set(e, PG_E_UNSUPPORTED, "training in %s is not known; use fp32, tf32, fp16 or bf16",
                         r->precision);
    if (p->runtime->fold_batch_norm)
        return error_set(e, PG_E_UNSUPPORTED,
                         "the runtime '%.*s' runs inference only; train with pytorch or pytorch-compile",
                         STR_ARG(p->runtime->key));
    return PG_E_OK;
}

/* The first number of a version: 1 of "1.12". 0: newest. */
static int major_of(const char *version)
{
    int n = 0;
    for (const char *c = version; c && *c >= '0' && *c <= '9' && n < 10000; c++) n = n * 10 + (*c - '0');
    return n;
}

static plan_optimizer optimizer_of(const pg_request *r)
{
    return r->optimizer == PG_OPTIMIZER_NONE ? OPTIMIZER_NONE
         : r->optimizer == PG_OPTIMIZER_SGD  ? OPTIMIZER_SGD
                                             : OPTIMIZER_ADAMW;
}

static pg_code check_request(pg_plan *p, pg_error *e)
{
    const pg_request *r = &p->request;
    bool ok;
    p->math = api_precision(r->precision ? r->precision : "fp16", &ok);
    if (!ok)
        return error_set(e, PG_E_USAGE,
                         "unknown precision '%s'; known: fp32, tf32, fp16, bf16, fp8, int8, fp4, nvfp4, mxfp4, int4",
                         r->precision);
    if (r->batch < 0 || r->batch > 1 << 20)
        return error_set(e, PG_E_USAGE, "batch size %lld is not between 1 and %d", (long long)r->batch, 1 << 20);
    if (r->sequence < 0 || r->sequence > 1 << 24)
        return error_set(e, PG_E_USAGE, "sequence length %lld is not between 1 and %d", (long long)r->sequence,
                         1 << 24);
    if (r->batch > 1 && !p->model->info.has_batch)
        return error_set(e, PG_E_USAGE, "the model's inputs have no batch dimension; use batch size 1");
    if (r->sequence && api_sequence_symbol(&p->model->g) < 0)
        return error_set(e, PG_E_USAGE, "the model has no input with a free sequence length");
    pg_code code = check_measured(p, e);
    if (!code) code = api_find_runtime(p, r->runtime ? r->runtime : "pytorch", e);
    if (!code) code = api_split_read(&p->split, r, e);
    return code ? code : check_training(p, e);
}

/* A literal stays; other texts are copied. */
static bool warn(pg_plan *p, const char *text, bool literal)
{
    if (!literal) text = api_text(&p->a, str_c(text));
    if (text && p->n_warnings < WARNINGS_MOST) p->warnings[p->n_warnings++] = text;
    return text != NULL;
}

/* Serving runtimes run transformers, and were measured with those alone. */
static bool is_served_elsewhere(const pg_plan *p)
{
    return !p->language && p->runtime->llm_step_us > 0 && p->model->family != FAMILY_TRANSFORMER &&
           strcmp(p->model->info.family, "kernel") != 0;
}

static pg_code collect_warnings(pg_plan *p, pg_error *e)
{
    char text[400];
    p->warnings = ARENA_ARRAY(&p->a, const char *, WARNINGS_MOST);
    bool ok = p->warnings != NULL;
    if (ok && p->shapes.rebatch_unsafe && p->model->g.fixed_batch && p->request.batch != p->model->g.fixed_batch)
        warn(p,
             "the file fixes its batch and can't be re-batched safely everywhere; figures at other batch "
             "sizes leave operators out: export it with a free batch dimension",
             true);
    if (ok && p->model->max_sequence && p->request.sequence > p->model->max_sequence) {
        format_text(text, sizeof text, "sequence length %lld is beyond the %d positions that the model was made for",
                    (long long)p->request.sequence, p->model->max_sequence);
        ok = warn(p, text, false);
    }
    if (ok && p->split.tensor > 1 && p->plan.divided < 0.5)
        warn(p,
             "tensor parallelism divides less than half of this model's arithmetic: every GPU "
             "does the rest in full",
             true);
    if (ok && p->plan.unknown_share > 0)
        warn(p, "some operators are unknown or have no known shape: the interval is wider for it", true);
    if (ok && is_served_elsewhere(p)) {
        format_text(text, sizeof text, "%.*s runs transformers alone; what it would make of this model is a guess",
                    STR_ARG(p->runtime->name));
        ok = warn(p, text, false);
    }
    text[0] = '\0';
    pg_code code = ok && p->request.measured_gpu ? api_measured_open(p, text, sizeof text, e) : PG_E_OK;
    if (!code && ok && text[0]) ok = warn(p, text, false);
    return code ? code : ok ? PG_E_OK : error_nomem(e, &p->a);
}

/* What the constants were fitted on: image models (anything with convolutions) in 16 bits and, for engines, INT8. */
static bool is_like_measured(const pg_plan *p)
{
    if (p->model->family == FAMILY_RNN) return false;
    if (p->math != PREC_FP16 && p->math != PREC_BF16 && !(p->math == PREC_INT8 && p->runtime->quantized_io))
        return false;
    for (uint32_t i = 0; i < p->plan.n_kernels; i++)
        if (p->plan.kernels[i].k.kind == KERNEL_CONV) return true;
    return false;
}

bool api_is_narrow(precision p)
{
    return p == PREC_FP8 || p == PREC_INT8;
}

static pg_code build(pg_plan *p, pg_error *e)
{
    const graph *g = &p->model->g;
    const pg_request *r = &p->request;
    bool training = r->task == PG_TASK_TRAINING;
    bool old = p->runtime->strided_views &&
               major_of(r->runtime_version) == 1; /* before fused attention and multi-tensor optimizers */
    int64_t *binding = api_binding(g, r->batch / p->split.micro, r->sequence, &p->a);
    if (!binding) return error_nomem(e, &p->a);
    pg_code code = shapes_infer(&p->shapes, g, &(shape_options){.binding = binding}, &p->a, e);
    if (!code)
        code = units_build(&p->units, g, &p->shapes,
                           &(unit_options){.fuse_explicit_attention = !p->runtime->strided_views,
                                           .spell_out_attention = training && old,
                                           .join_turns = !p->runtime->strided_views && !p->runtime->fuse_pointwise,
                                           .drop_slices = p->runtime->fuse_pointwise && !training},
                           &p->a, e);
    plan_options o = {.tensor = p->split.tensor,
                      .group = p->split.gpus,
                      .math = p->math,
                      .autocast = r->autocast && (p->math == PREC_FP16 || p->math == PREC_BF16),
                      .channels_last = r->layout == PG_LAYOUT_NHWC,
                      .lone = !training && !strcmp(p->model->info.family, "kernel"),
                      .training = training,
                      .checkpointing = training && r->gradient_checkpointing,
                      .legacy = old,
                      .optimizer = optimizer_of(r),
                      .half_norms = r->half_norms,
                      .version = r->runtime_version ? api_version_number(str_c(r->runtime_version)) : 0};
    if (!code) code = plan_build(&p->plan, &p->units, p->runtime, &o, &p->a, e);
    if (!code && p->runtime->quantized_io && api_is_narrow(p->math)) {
        o.math = PREC_FP16;
        p->half = ARENA_NEW(&p->a, kernel_plan);
        code = p->half ? plan_build(p->half, &p->units, p->runtime, &o, &p->a, e) : error_nomem(e, &p->a);
    }
    if (!code) code = api_split_check(p, e);
    p->image = !code && is_like_measured(p);
    return code ? code : collect_warnings(p, e);
}

pg_code pg_plan_open(pg_plan **out, const pg_model *model, const pg_catalog *catalog, const pg_request *request,
                     pg_error *error)
{
    pg_error local = PG_ERROR_INIT;
    pg_error *e = error ? error : &local;
    allocator alloc = model->a.alloc;
    *out = NULL;
    pg_plan *p = api_new(alloc, sizeof *p, e);
    if (!p) return PG_E_NOMEM;
    arena_init(&p->a, alloc, model->a.limit);
    p->model = model;
    p->catalog = catalog;
    if (request) p->request = *request;
    if (!p->request.batch) p->request.batch = 1;
    bool language = api_is_language_task(p->request.task) ||
                    (p->request.task == PG_TASK_TRAINING && p->request.lora_rank > 0);
    pg_code code = language ? api_language_open(p, e) : check_request(p, e);
    if (!code && !language && model->info.no_graph)
        code = error_set(e, PG_E_UNSUPPORTED, "its speed can't be known: %s", model->info.no_graph);
    if (!code && !language) code = build(p, e);
    if (!code) code = api_notes_make(p, e);
    if (code) {
        if (code != PG_E_USAGE && code != PG_E_NOT_FOUND) error_source(e, model->info.path);
        pg_plan_free(p);
    } else {
        *out = p;
    }
    return code;
}

void pg_plan_free(pg_plan *plan)
{
    if (!plan) return;
    allocator alloc = plan->a.alloc;
    arena_free(&plan->a);
    api_delete(alloc, plan, sizeof *plan);
}

size_t pg_plan_warning_count(const pg_plan *plan)
{
    return plan->n_warnings;
}

const char *pg_plan_warning(const pg_plan *plan, size_t i)
{
    return i < plan->n_warnings ? plan->warnings[i] : NULL;
}

/* The user measured this GPU under this runtime, with models of this family, and `calibrate` put that into its profile. */
static bool is_calibrated(const pg_plan *p, const gpu_spec *s)
{
    const str list = s->calibrated_runtimes;
    if (s->performance[p->model->family].interval <= 0) return false;
    for (size_t at = 0, end; at < list.len; at = end + 1) {
        for (end = at; end < list.len && list.ptr[end] != ',';) end++;
        str name = {list.ptr + at, end - at};
        while (name.len && name.ptr[0] == ' ') name = (str){name.ptr + 1, name.len - 1};
        while (name.len && name.ptr[name.len - 1] == ' ') name.len--;
        if (str_eq(name, p->runtime->key)) return true;
    }
    return false;
}

/* A GPU that a user's file changes is no longer the one that was measured, unless what it says was measured on it. */
static bool is_changed(const gpu_spec *s)
{
    return s->overridden && !s->calibrated_runtimes.len;
}

static basis basis_of(const pg_plan *p, const gpu_spec *s)
{
    if (is_calibrated(p, s)) return BASIS_CALIBRATED;
    bool training = p->plan.opt.training;
    const str *keys = training ? p->runtime->trained_on : p->runtime->measured_on;
    uint32_t n = training ? p->runtime->n_trained_on : p->runtime->n_measured_on;
    if (s->guessed || (s->vendor.len && !api_is_made_by(s, str_c("NVIDIA")))) return BASIS_UNLIKE;
    if (!n || s->derived || is_changed(s) || s->compute_capability < 6) return BASIS_SPECIFICATION;
    bool narrow = p->math >= PREC_FP8 && !p->runtime->quantized_io && !p->plan.lone && !p->language;
    if (narrow) return BASIS_SPECIFICATION; /* no model was measured so, but in engines */
    if (p->language && !(p->runtime->llm_step_us > 0)) return BASIS_SPECIFICATION; /* measured with other models only */
    if (is_served_elsewhere(p)) return BASIS_SPECIFICATION;
    bool apart = !p->language &&
                 (p->split.tensor > 1 || p->split.pipeline > 1); /* nobody measured models that are taken apart */
    for (uint32_t i = 0; i < n && !apart; i++)
        if (str_eq(keys[i], s->key)) return p->image || p->language ? BASIS_CALIBRATED : BASIS_TRANSFERRED;
    return BASIS_TRANSFERRED;
}

const char *api_bound_name(bound b)
{
    static const char *const names[BOUND_COUNT] = {"compute", "memory", "cache", "launch", "host", "interconnect"};
    return names[b];
}

const char *api_basis_name(basis b)
{
    static const char *const names[BASIS_COUNT] = {"calibrated", "transferred", "specification", "specification"};
    return names[b];
}

static const gpu_level *level_of(const pg_plan *p, const gpu_spec *s)
{
    const api_config *c = &p->catalog->config;
    for (uint32_t i = 0; !is_changed(s) && i < c->n_levels; i++)
        if (str_eq(c->levels[i].gpu, s->key) && str_eq(c->levels[i].runtime, p->runtime->key)) return &c->levels[i];
    return NULL;
}

predict_options api_predict_options(const pg_plan *p, const gpu_spec *s)
{
    bool measured = p->measured.gpu > 0, there = measured && p->measured_gpu->spec == s;
    return (predict_options){.fast_mode = p->request.fast_mode,
                             .real_hardware = p->request.real_hardware,
                             .device_time = p->request.device_time,
                             .family = p->model->family,
                             .batch = (double)p->request.batch,
                             .data = p->split.data,
                             .pipeline = p->split.pipeline,
                             .zero = p->request.zero_stage,
                             .micro = p->split.micro,
                             .basis = basis_of(p, s),
                             .interval = is_calibrated(p, s) ? s->performance[p->model->family].interval : 0,
                             .host_known = s->host_factor > 0,
                             .level = level_of(p, s),
                             .strange = measured && (basis_of(p, s) != BASIS_CALIBRATED ||
                                                     basis_of(p, p->measured_gpu->spec) != BASIS_CALIBRATED),
                             .measured = !measured ? NULL
                                       : there     ? &p->measured_again
                                                   : &p->measured};
}

const kernel_plan *api_plan_on(const pg_plan *p, const gpu_spec *s)
{
    bool lacks = s->tflops[p->math] <= 0 || s->tflops[p->math] < s->tflops[PREC_FP16];
    return p->half && lacks ? p->half : &p->plan;
}

static void put_memory(const kernel_plan *p, const step_prediction *s, pg_memory *m)
{
    *m = (pg_memory){.total = s->total_bytes,
                     .weights = s->weights,
                     .activations = p->memory.activations * s->activation_share,
                     .workspace = p->memory.workspace,
                     .gradients = s->gradients,
                     .optimizer = s->optimizer,
                     .runtime = s->runtime_bytes,
                     .context = s->context_bytes};
}

pg_code pg_plan_predict(const pg_plan *plan, const pg_gpu *gpu, pg_prediction *out, pg_error *error)
{
    if (!gpu) return error_set(error, PG_E_USAGE, "no GPU was given");
    if (plan->language) return api_language_predict(plan, gpu, out);
    const api_gpu *ag = (const api_gpu *)(const void *)gpu;
    const gpu_spec *spec = ag->spec;
    predict_options o = api_predict_options(plan, spec);
    predict_gpu g;
    predict_gpu_init(&g, spec, &plan->catalog->config.cost, &o);
    const kernel_plan *kernels = api_plan_on(plan, spec);
    step_prediction s = predict_step(kernels, &g, &plan->catalog->config.predict, &o);
    memset(out, 0, sizeof *out);
    api_language_none(out);
    if (plan->model->info.sequence_symbol)
        out->input_len = plan->request.sequence ? plan->request.sequence : plan->model->info.sequence;
    out->gpu = gpu->key;
    out->gpu_name = gpu->name;
    out->gpu_count = plan->split.gpus;
    out->data_parallel = plan->split.data;
    out->tensor_parallel = plan->split.tensor;
    out->pipeline_parallel = plan->split.pipeline;
    out->batch = plan->request.batch;
    out->task = api_task_name(plan->request.task);
    out->precision = api_precision_name(plan->math);
    out->runtime = plan->runtime->key.ptr;
    out->fits = s.fits;
    out->throughput_unit = !strcmp(plan->model->info.family, "kernel") ? "runs/s" : "samples/s";
    put_memory(kernels, &s, &out->memory);
    out->memory_capacity = spec->memory_bytes;
    bool timed = (s.fits || plan->request.any_memory) && api_runs_on(plan, spec);
    out->latency_ms = timed ? s.seconds * 1e3 : -1;
    out->latency_low_ms = timed ? s.low * 1e3 : -1;
    out->latency_high_ms = timed ? s.high * 1e3 : -1;
    out->throughput = timed && s.rate > 0 ? (double)plan->request.batch * s.rate : -1;
    out->memory_efficiency = timed ? s.memory_efficiency : -1;
    out->compute_utilization = timed ? s.compute_utilization : -1;
    out->bottleneck = timed ? api_bound_name(s.limit) : NULL;
    out->power_w = timed ? s.power_w * plan->split.gpus : -1;
    out->gpu_ms = s.gpu_s * 1e3;
    out->host_ms = s.host_s * 1e3;
    out->flops = s.flops;
    out->dram_bytes = s.dram_bytes;
    out->basis = api_basis_name(o.basis);
    out->note = api_note(plan, ag, false);
    out->zero_stage = plan->request.zero_stage;
    if (!s.fits) api_plan_advice(plan, &g, &o, &s, out);
    return PG_E_OK;
}
