/* Prefill, decode and serving of language models: from a request to src/llm and back. */
#include "api/api.h"

enum { INPUT_USUAL = 512, OUTPUT_USUAL = 128, LENGTH_MOST = 1 << 24, REQUESTS_MOST = 1024, SETUP_MOST = 1 << 20 };
static const double ACCEPTED_USUAL = 0.7; /* assumed: it depends on the model, the heads that guess and the text */

static const struct {
    const char *name;
    precision p;
} cache_precisions[] = {{"fp32", PREC_FP32}, {"fp16", PREC_FP16}, {"bf16", PREC_BF16}, {"fp8", PREC_FP8},
                        {"int8", PREC_INT8}, {"fp4", PREC_FP4},   {"int4", PREC_INT4}};

bool api_is_language_task(pg_task t)
{
    return t == PG_TASK_PREFILL || t == PG_TASK_DECODE || t == PG_TASK_SERVING;
}

const char *api_task_name(pg_task t)
{
    static const char *const names[] = {"inference", "training", "prefill", "decode", "serving"};
    return names[t];
}

void api_language_none(pg_prediction *out)
{
    out->input_len = out->output_len = -1;
    out->tokens_per_s = out->ttft_ms = out->ttft_low_ms = out->ttft_high_ms = -1;
    out->tpot_ms = out->tpot_low_ms = out->tpot_high_ms = -1;
    out->requests_per_s = -1;
    out->tokens_per_step = -1;
    out->efficiency = out->most_batch = out->most_context = -1;
}

static pg_code read_cache(pg_plan *p, llm_request *r, pg_error *e)
{
    const char *name = p->request.kv_cache_precision;
    const language_model *m = r->model;
    bool wide = r->math == PREC_FP32 || r->math == PREC_TF32;
    r->cache = wide && !r->runtime->ggml ? PREC_FP32 : PREC_FP16;
    if (!name && r->own_weights && (m->kv_cache == DT_FP8E4M3 || m->kv_cache == DT_FP8E5M2)) r->cache = PREC_FP8;
    bool narrow = r->quant && r->quant->kind == QUANT_NARROW && r->quant->bits <= 8, wider = r->cache != PREC_FP8;
    if (!name && narrow && r->runtime->narrow_cache && p->request.task == PG_TASK_SERVING) {
        r->cache = PREC_FP8;
        if (wider && r->runtime->narrow_since > 0) p->language->wide = ARENA_NEW(&p->a, api_language);
        if (wider && r->runtime->narrow_since > 0 && !p->language->wide) return error_nomem(e, &p->a);
    }
    size_t n = sizeof cache_precisions / sizeof cache_precisions[0];
    for (size_t i = 0; i < n; i++) {
        if (name && !strcmp(name, cache_precisions[i].name)) r->cache = cache_precisions[i].p;
        if (r->cache == cache_precisions[i].p) p->language->cache_name = cache_precisions[i].name;
    }
    if (name && strcmp(name, p->language->cache_name) != 0)
        return error_set(e, PG_E_USAGE,
                         "unknown kv_cache_precision '%.40s'; known: fp32, fp16, bf16, fp8, int8, fp4, int4", name);
    return PG_E_OK;
}

/* What the weights are: as asked for, else as the model stores them, else as wide as the activations. */
static pg_code read_weights(pg_plan *p, llm_request *r, pg_error *e)
{
    const pg_request *q = &p->request;
    const char *precision_name = q->precision, *name = q->quantization;
    const char *own = r->model->quantization;
    bool ok;
    p->math = api_precision(precision_name ? precision_name : "fp16", &ok);
    if (!ok)
        return error_set(e, PG_E_USAGE,
                         "unknown precision '%.40s'; known: fp32, tf32, fp16, bf16, fp8, int8, fp4, nvfp4, mxfp4, int4",
                         precision_name);
    bool narrow = p->math >= PREC_FP8;
    r->math = narrow ? PREC_BF16 : p->math;
    /* that weights are as wide as activations is no quantisation, whatever it is called */
    if (name && (!strcmp(name, "none") || !strcmp(name, "fp16") || !strcmp(name, "bf16"))) return PG_E_OK;
    if (!name && narrow) name = !strcmp(precision_name, "fp4") ? "nvfp4" : precision_name;
    r->own_weights = own && (name ? !strcmp(name, own) : !precision_name);
    if (r->own_weights && !name) name = own;
    if (!name) return PG_E_OK;
    r->quant = quant_find(name);
    if (!r->quant && !r->own_weights)
        return error_set(e, PG_E_USAGE,
                         "unknown quantization '%.40s'; known: those of GGUF files (q4_k_m, q8_0, ...), fp8, "
                         "int8, nvfp4, mxfp4, int4, gptq, awq, nf4, none",
                         name);
    return PG_E_OK;
}

/* llama.cpp runs what GGUF files hold and nothing else does. */
static pg_code read_runtime(pg_plan *p, llm_request *r, pg_error *e)
{
    bool ggml = r->quant && r->quant->kind == QUANT_GGML;
    const char *usual = p->request.task == PG_TASK_TRAINING ? "pytorch" : ggml ? "llama.cpp" : "vllm";
    pg_code code = api_find_runtime(p, p->request.runtime ? p->request.runtime : usual, e);
    if (code) return code;
    r->runtime = p->runtime;
    if (ggml && !r->runtime->ggml)
        return error_set(e, PG_E_UNSUPPORTED, "quantization %s is llama.cpp's; %.*s does not run it", r->quant->name,
                         STR_ARG(r->runtime->key));
    if (r->quant && !ggml && r->runtime->ggml)
        return error_set(e, PG_E_UNSUPPORTED,
                         "llama.cpp does not run %s; its quantizations are those of GGUF files, such as "
                         "q4_k_m and q8_0",
                         r->quant->name);
    return PG_E_OK;
}

/* The concurrency is what the targets leave room for. */
static bool is_searched(const pg_request *q)
{
    return q->task == PG_TASK_SERVING && !q->concurrency &&
           (q->request_rate > 0 || q->target_ttft_ms > 0 || q->target_tpot_ms > 0);
}

static bool holds(const pg_request *q, const llm_serving *s)
{
    return (q->target_ttft_ms <= 0 || s->ttft_s * 1e3 <= q->target_ttft_ms) &&
           (q->target_tpot_ms <= 0 || s->tpot_s * 1e3 <= q->target_tpot_ms) && !(s->waiting_share > 0);
}

static pg_code read_targets(const pg_request *q, pg_error *e)
{
    const struct {
        double value;
        const char *name;
    } values[] = {{q->request_rate, "request_rate"},
                  {q->target_ttft_ms, "target_ttft_ms"},
                  {q->target_tpot_ms, "target_tpot_ms"}};
    for (size_t i = 0; i < 3; i++) {
        if (!(values[i].value >= 0 && values[i].value < 1e12))
            return error_set(e, PG_E_USAGE, "%s %g is no positive number", values[i].name, values[i].value);
        if (values[i].value > 0 && q->task != PG_TASK_SERVING)
            return error_set(e, PG_E_USAGE, "%s is for --task serving", values[i].name);
    }
    return PG_E_OK;
}

/* How the runtime is set up. */
static pg_code read_setup(const pg_request *q, llm_request *r, pg_error *e)
{
    const struct {
        double value, least, most;
        const char *name;
        bool steps; /* a step has it that nobody waits for, too */
    } values[] = {{(double)q->max_requests, 1, SETUP_MOST, "max_requests", false},
                  {(double)q->max_step_tokens, 1, LENGTH_MOST, "max_step_tokens", true},
                  {q->poll_steps, 1, SETUP_MOST, "poll_steps", false},
                  {q->batch_wait_steps, 1, SETUP_MOST, "batch_wait_steps", false},
                  {q->batch_wait_share, 0, 1, "batch_wait_share", false},
                  {q->shortest_share, 0, 1, "shortest_share", false}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (values[i].value == 0) continue;
        if (!(values[i].value >= values[i].least && values[i].value <= values[i].most))
            return error_set(e, PG_E_USAGE, "%s %.12g is not between %.12g and %.12g", values[i].name, values[i].value,
                             values[i].least, values[i].most);
        if (values[i].steps && (q->task == PG_TASK_PREFILL || q->task == PG_TASK_DECODE)) continue;
        if (q->task != PG_TASK_SERVING)
            return error_set(e, PG_E_USAGE, "%s %.12g is for --task %sserving", values[i].name, values[i].value,
                             values[i].steps ? "prefill, decode and " : "");
    }
    if (q->batch_wait_steps && q->batch_wait_share == 0)
        return error_set(e, PG_E_USAGE,
                         "batch_wait_steps %d needs batch_wait_share, the share of a step that ends the wait",
                         q->batch_wait_steps);
    if (q->batch_wait_share != 0 && !q->batch_wait_steps)
        return error_set(e, PG_E_USAGE, "batch_wait_share %g needs batch_wait_steps, the longest wait",
                         q->batch_wait_share);
    r->most_requests = (double)q->max_requests;
    r->step_tokens = (double)q->max_step_tokens;
    r->poll_steps = q->poll_steps;
    r->wait_steps = q->batch_wait_steps;
    r->wait_share = q->batch_wait_share;
    r->shortest = q->shortest_share;
    return PG_E_OK;
}

static pg_code read_first_run(const pg_request *q, llm_request *r, pg_error *e)
{
    if (!q->first_run) return PG_E_OK;
    if (q->task != PG_TASK_PREFILL && q->task != PG_TASK_DECODE)
        return error_set(e, PG_E_USAGE, "first_run is for --task prefill and decode");
    if (!(r->runtime->llm_first_us > 0))
        return error_set(e, PG_E_UNSUPPORTED, "first_run: how long %.*s takes to start is not known, llama.cpp's is",
                         STR_ARG(r->runtime->key));
    r->first_run = true;
    return PG_E_OK;
}

static pg_code read_guesses(const pg_request *q, llm_request *r, pg_error *e)
{
    r->guesses = q->speculative_tokens;
    r->accepted = q->acceptance_rate != 0 ? q->acceptance_rate : ACCEPTED_USUAL;
    if (!(r->accepted > 0 && r->accepted <= 1))
        return error_set(e, PG_E_USAGE, "acceptance_rate %g is not above 0 and at most 1", q->acceptance_rate);
    if (q->acceptance_rate != 0 && !q->speculative_tokens)
        return error_set(e, PG_E_USAGE, "acceptance_rate %g is of guesses: give speculative_tokens too", r->accepted);
    if (q->speculative_tokens && q->task != PG_TASK_DECODE && q->task != PG_TASK_SERVING)
        return error_set(e, PG_E_USAGE, "speculative_tokens %d is for --task decode and serving",
                         q->speculative_tokens);
    if (q->speculative_tokens && r->runtime && r->runtime->ggml)
        return error_set(e, PG_E_UNSUPPORTED, "speculative_tokens %d: not predicted for llama.cpp",
                         q->speculative_tokens);
    return PG_E_OK;
}

static pg_code read_lengths(const pg_plan *p, llm_request *r, pg_error *e)
{
    const pg_request *q = &p->request;
    int64_t most = r->model->max_position > 0 ? r->model->max_position : LENGTH_MOST;
    int64_t in = q->input_len ? q->input_len : q->sequence ? q->sequence : INPUT_USUAL, out = q->output_len;
    if (!q->input_len && !q->sequence && in > most * 3 / 4) in = most > 1 ? most * 3 / 4 : 1;
    if (!out) out = OUTPUT_USUAL <= most - in ? OUTPUT_USUAL : most > in ? most - in : -1;
    if (q->task == PG_TASK_TRAINING) out = 0;
    if (q->lora_rank < 0 || q->lora_rank > 65536)
        return error_set(e, PG_E_USAGE, "lora_rank %d is not between 1 and 65536", q->lora_rank);
    if (in > LENGTH_MOST || out > LENGTH_MOST)
        return error_set(e, PG_E_USAGE, "input_len %lld and output_len %lld: at most %d tokens each", (long long)in,
                         (long long)out, LENGTH_MOST);
    if (q->batch < 0 || q->batch > 1 << 20)
        return error_set(e, PG_E_USAGE, "batch size %lld is not between 1 and %d", (long long)q->batch, 1 << 20);
    r->input = in > 0 ? (double)in : 0;
    r->output = out > 0 ? (double)out : 0;
    if (is_searched(q)) {
        r->batch = REQUESTS_MOST;
        return PG_E_OK;
    }
    r->batch = (double)(q->task == PG_TASK_SERVING && q->concurrency > 0 ? q->concurrency : q->batch);
    return PG_E_OK;
}

static pg_code open_steps(pg_plan *p, api_language *l, const llm_request *r, pg_error *e)
{
    const pg_request *q = &p->request;
    pg_code code = llm_case_make(&l->c, r, e);
    if (code) return code;
    if (q->task == PG_TASK_TRAINING) {
        l->tuning = ARENA_NEW(&p->a, llm_tuning);
        if (!l->tuning) return error_nomem(e, &p->a);
        return llm_tuning_make(l->tuning, &l->c, q->lora_rank, q->gradient_checkpointing, &p->a, e);
    }
    llm_pass prefill = llm_prefill_pass(&l->c, r->batch, r->input),
             decode = llm_decode_pass(&l->c, r->batch, r->input, r->output);
    code = llm_plan_make(&l->prefill, &l->c, &prefill, &p->a, e);
    if (!code) code = llm_plan_make(&l->decode, &l->c, &decode, &p->a, e);
    if (code || q->task != PG_TASK_SERVING) return code;
    l->serving = ARENA_NEW(&p->a, llm_serving_plan);
    return l->serving ? llm_serving_make(l->serving, &l->c, r->batch, &p->a, e) : error_nomem(e, &p->a);
}

pg_code api_language_open(pg_plan *p, pg_error *e)
{
    const language_model *m = p->model->g.language;
    const pg_request *q = &p->request;
    if (!m)
        return error_set(e, PG_E_UNSUPPORTED,
                         "%s%s is for language models whose dimensions are known: a built-in one, a config.json, a "
                         "GGUF file",
                         q->task == PG_TASK_TRAINING ? "--lora-rank" : "--task ",
                         q->task == PG_TASK_TRAINING ? "" : api_task_name(q->task));
    if (q->measured_gpu || q->measured_ms != 0)
        return error_set(e, PG_E_UNSUPPORTED, "a measured time is taken with --task inference and training only");
    p->language = ARENA_NEW(&p->a, api_language);
    if (!p->language) return error_nomem(e, &p->a);
    api_language *l = p->language;
    llm_request r = {.model = m,
                     .expert = 1,
                     .gpu_layers = q->gpu_layers > 0 ? q->gpu_layers
                                 : q->gpu_layers < 0 ? 0
                                                     : -1};
    pg_code code = read_targets(q, e);
    if (!code) code = api_split_read(&p->split, q, e);
    if (!code) code = read_weights(p, &r, e);
    if (!code) code = read_runtime(p, &r, e);
    if (!code) code = read_cache(p, &r, e);
    if (!code) code = read_guesses(q, &r, e);
    if (!code) code = read_setup(q, &r, e);
    if (!code) code = read_first_run(q, &r, e);
    if (!code) code = read_lengths(p, &r, e);
    if (!code && q->model_gpus > 1 && p->runtime->ggml) {
        p->split.pipeline = p->split.tensor;
        p->split.tensor = 1;
    }
    r.tensor = p->split.tensor;
    r.pipeline = p->split.pipeline;
    r.data = p->split.data;
    if (q->expert_parallel > 1) r.expert = q->expert_parallel;
    if (!code) code = open_steps(p, l, &r, e);
    if (code || !l->wide) return code;
    r.cache = PREC_FP16;
    l->wide->cache_name = "fp16";
    return open_steps(p, l->wide, &r, e);
}

const api_language *api_language_on(const pg_plan *p, const gpu_spec *s)
{
    const api_language *l = p->language;
    return l->wide && s->compute_capability < p->runtime->narrow_since ? l->wide : l;
}

/* `shared`: what messages over paths that GPUs share add, in the pass that has most of them. */
static double width_of(const pg_plan *p, const predict_options *o, llm_figure f, double shared)
{
    if (o->fast_mode) return 1; /* a roofline is a bound, not an estimate */
    bool rows = p->runtime->ggml && p->split.tensor > 1;
    llm_figure prompt = !p->runtime->ggml     ? LLM_TPOT
                      : rows                  ? LLM_ROW_PROMPTS
                      : p->split.pipeline > 1 ? LLM_STAGED
                                              : LLM_PREFILL;
    if (f == LLM_TTFT && !p->language->serving) f = prompt; /* of prompts that wait for nobody */
    if (f == LLM_TPOT && p->runtime->ggml) f = rows ? LLM_ROW_TOKENS : LLM_DECODE;
    interval_constants c = p->catalog->config.predict.interval;
    if (p->runtime->interval_tpot > 0) c.llm_tpot = p->runtime->interval_tpot;
    if (p->runtime->interval_ttft > 0) c.llm_ttft = p->runtime->interval_ttft;
    return interval_language(&c, f, o->basis) + shared;
}

static void put_range(double seconds, double width, double *ms, double *low, double *high)
{
    *ms = seconds * 1e3;
    *low = *ms / (1 + width);
    *high = *ms * (1 + width);
}

static void put_memory(pg_prediction *out, const llm_memory *m)
{
    out->memory = (pg_memory){.total = m->total,
                              .weights = m->weights,
                              .activations = m->activations,
                              .workspace = m->workspace,
                              .kv_cache = m->cache,
                              .runtime = m->runtime,
                              .context = m->context};
    out->fits = m->fits;
    out->most_batch = m->most_sequences < 1e15 ? m->most_sequences : -1;
    out->most_context = m->most_tokens;
}

/* Pipeline stages that have work at a time: parts of a prompt follow each other through them. */
static double stages_at_work(const llm_plan *pass, const llm_step *s)
{
    return s->seconds > 0 ? pass->steps * s->step_s / s->seconds : 1;
}

/* Watts of all GPUs: stages that wait for others are idle, and all are where they wait for the host. */
static double watts_of(const pg_plan *p, const llm_step *s, const predict_gpu *g, double at_work)
{
    const step_energy none = {0};
    double idle = power_of_step(&none, g, &p->catalog->config.predict, 1), share = at_work / p->split.pipeline;
    if (s->step_s > 0) share *= s->s.seconds / s->step_s;
    return p->split.gpus * (share < 1 ? idle + (s->s.power_w - idle) * share : s->s.power_w);
}

/* The figures of what the task is about, in the places that all tasks have: all steps of a pass, or without one a token's step, which is
 * its way through all stages, one at a time. */
static void put_step(const pg_plan *p, const llm_plan *pass, const llm_step *s, const predict_gpu *g,
                     pg_prediction *out)
{
    double steps = pass ? pass->steps : 1, at_work = pass ? stages_at_work(pass, s) : 1;
    bool host = s->s.seconds < 0.5 * s->step_s;
    out->memory_efficiency = s->s.memory_efficiency * (s->step_s > 0 ? s->s.seconds / s->step_s : 0);
    out->compute_utilization = s->s.compute_utilization * (s->step_s > 0 ? s->s.seconds / s->step_s : 0);
    out->bottleneck = host ? "host" : api_bound_name(s->s.limit);
    out->power_w = watts_of(p, s, g, at_work);
    out->gpu_ms = steps * s->s.gpu_s * 1e3;
    out->host_ms = steps * (s->step_s - s->s.seconds + s->s.host_s) * 1e3;
    out->flops = steps * s->s.flops;
    out->dram_bytes = steps * s->s.dram_bytes;
    out->efficiency = s->efficiency;
}

static void no_speed(pg_prediction *out)
{
    out->latency_ms = out->latency_low_ms = out->latency_high_ms = out->throughput = -1;
    out->memory_efficiency = out->compute_utilization = out->power_w = -1;
    out->tokens_per_s = out->ttft_ms = out->ttft_low_ms = out->ttft_high_ms = -1;
    out->tpot_ms = out->tpot_low_ms = out->tpot_high_ms = out->efficiency = -1;
    out->bottleneck = NULL;
}

/* As many requests at a time as were asked for, or the most that hold the targets (1 where none do). Times grow with their number. */
static llm_serving search(const pg_plan *p, const predict_gpu *g, const predict_options *o)
{
    const api_language *l = api_language_on(p, g->spec);
    const predict_constants *pc = &p->catalog->config.predict;
    double low = 1, high = l->serving->requests[l->serving->levels - 1];
    llm_serving s = llm_serving_predict(&l->c, l->serving, high, g, pc, o);
    if (!is_searched(&p->request) || holds(&p->request, &s)) return s;
    while (high - low > 1) {
        double middle = floor(0.5 * (low + high));
        s = llm_serving_at(&l->c, l->serving, middle, g, pc, o);
        if (holds(&p->request, &s)) low = middle;
        else high = middle;
    }
    return llm_serving_predict(&l->c, l->serving, low, g, pc, o);
}

/* What all predictions of language models say of the request. */
static void put_request(const pg_plan *p, const pg_gpu *gpu, const predict_options *o, pg_prediction *out)
{
    const api_gpu *ag = (const api_gpu *)(const void *)gpu;
    const api_language *l = api_language_on(p, ag->spec);
    const llm_request *r = &l->c.r;
    out->gpu = gpu->key;
    out->gpu_name = gpu->name;
    out->gpu_count = p->split.gpus;
    out->data_parallel = p->split.data;
    out->tensor_parallel = p->split.tensor;
    out->pipeline_parallel = p->split.pipeline;
    out->input_len = (int64_t)r->input;
    out->output_len = (int64_t)r->output;
    out->task = api_task_name(p->request.task);
    out->precision = api_precision_name(p->math);
    out->quantization = r->quant ? r->quant->name : r->own_weights ? r->model->quantization : NULL;
    out->kv_cache_precision = l->cache_name;
    out->runtime = p->runtime->key.ptr;
    out->memory_capacity = ag->spec->memory_bytes;
    out->basis = api_basis_name(o->basis);
    out->note = api_note(p, ag, false);
}

/* A step of fine-tuning; nothing of it was measured. */
static pg_code predict_tuning(const pg_plan *p, const pg_gpu *gpu, const predict_gpu *g, const predict_options *o,
                              pg_prediction *out)
{
    const api_language *l = p->language;
    const predict_constants *pc = &p->catalog->config.predict;
    llm_step s = llm_predict_step(&l->c, &l->tuning->plan, g, pc, o);
    memset(out, 0, sizeof *out);
    api_language_none(out);
    llm_memory m = llm_tuning_memory(&l->c, l->tuning, g, pc, &out->memory.gradients, &out->memory.optimizer);
    double gradients = out->memory.gradients, optimizer = out->memory.optimizer;
    put_memory(out, &m);
    out->memory.gradients = gradients;
    out->memory.optimizer = optimizer;
    out->most_batch = out->most_context = -1;
    put_step(p, &l->tuning->plan, &s, g, out);
    out->latency_ms = s.seconds * 1e3;
    out->latency_low_ms = out->latency_ms * s.s.low / s.s.seconds;
    out->latency_high_ms = out->latency_ms * s.s.high / s.s.seconds;
    out->throughput = l->c.r.batch * l->c.r.data / s.seconds;
    out->tokens_per_s = out->throughput * l->c.r.input;
    out->throughput_unit = "samples/s";
    if ((!m.fits && !p->request.any_memory) || !api_runs_on(p, g->spec)) no_speed(out);
    put_request(p, gpu, o, out);
    out->batch = p->request.batch;
    out->basis = "specification";
    return PG_E_OK;
}

/* Times and rates of requests that come and go. `first`, `each`: widths of the intervals of the first token's time and of each other's. */
static void put_serving(const pg_plan *p, const llm_request *r, const llm_serving *s, bool fits, double first,
                        double each, pg_prediction *out)
{
    out->power_w = s->power_w * p->split.gpus;
    put_range(s->ttft_s, first, &out->ttft_ms, &out->ttft_low_ms, &out->ttft_high_ms);
    put_range(s->tpot_s, each, &out->tpot_ms, &out->tpot_low_ms, &out->tpot_high_ms);
    put_range(s->request_s, each, &out->latency_ms, &out->latency_low_ms, &out->latency_high_ms);
    out->tokens_per_s = s->requests_per_s * (s->output > 1 ? s->output : 1) * r->data;
    out->requests_per_s = s->requests_per_s * r->data;
    double copies = p->request.request_rate / out->requests_per_s;
    bool held = holds(&p->request, s) && copies > 0 && copies < 1e6;
    if (held && fits) out->gpus_needed = (int)ceil(copies - 1e-9) * p->split.gpus;
}

pg_code api_language_predict(const pg_plan *p, const pg_gpu *gpu, pg_prediction *out)
{
    const api_gpu *ag = (const api_gpu *)(const void *)gpu;
    const api_language *l = api_language_on(p, ag->spec);
    const predict_constants *pc = &p->catalog->config.predict;
    predict_options o = api_predict_options(p, ag->spec);
    o.data = o.pipeline = o.micro = 1; /* spread in src/llm */
    predict_gpu g;
    llm_gpu_init(&g, ag->spec, &p->catalog->config.cost, p->runtime, &o);
    if (l->tuning) return predict_tuning(p, gpu, &g, &o, out);
    llm_step prefill = llm_predict_step(&l->c, &l->prefill, &g, pc, &o);
    if (l->c.r.first_run && !o.fast_mode) prefill.seconds += p->runtime->llm_first_us * 1e-6;
    bool only_prefill = p->request.task == PG_TASK_PREFILL;
    llm_step decode = only_prefill ? prefill : llm_predict_step(&l->c, &l->decode, &g, pc, &o);
    llm_memory m = llm_memory_of(&l->c, &g, pc);
    const llm_request *r = &l->c.r;
    llm_serving serving = {.running = r->batch};
    if (l->serving) {
        serving = search(p, &g, &o);
        decode = serving.decode;
        llm_case running = l->c;
        running.r.batch = serving.running;
        m = llm_memory_of(&running, &g, pc);
    }
    memset(out, 0, sizeof *out);
    api_language_none(out);
    double shared = fmax(prefill.s.parts.shared, decode.s.parts.shared);
    double first = width_of(p, &o, LLM_TTFT, shared), each = width_of(p, &o, LLM_TPOT, shared);
    put_memory(out, &m);
    put_step(p, only_prefill ? &l->prefill : NULL, only_prefill ? &prefill : &decode, &g, out);
    put_range(prefill.seconds, first, &out->ttft_ms, &out->ttft_low_ms, &out->ttft_high_ms);
    if (l->serving) {
        put_serving(p, r, &serving, m.fits, first, each, out);
    } else if (only_prefill) {
        put_range(prefill.seconds, first, &out->latency_ms, &out->latency_low_ms, &out->latency_high_ms);
        out->tokens_per_s = r->batch * r->input * r->data / prefill.seconds;
    } else {
        double token_s = decode.step_s / llm_step_tokens(&l->c);
        put_range(token_s, each, &out->tpot_ms, &out->tpot_low_ms, &out->tpot_high_ms);
        put_range(token_s, each, &out->latency_ms, &out->latency_low_ms, &out->latency_high_ms);
        out->tokens_per_s = r->batch * r->data / token_s;
    }
    if (!only_prefill) out->tokens_per_step = llm_step_tokens(&l->c);
    out->throughput = out->tokens_per_s;
    out->throughput_unit = "tokens/s";
    if ((!m.fits && !p->request.any_memory) || !api_runs_on(p, ag->spec)) no_speed(out);
    if (!m.fits) api_language_advice(p, &g, out);
    put_request(p, gpu, &o, out);
    out->batch = l->serving ? (int64_t)serving.asked : p->request.batch;
    if (serving.waiting_share > 0) {
        llm_case asked = l->c;
        asked.r.batch = serving.asked;
        out->note = api_note(p, ag, true);
        out->most_batch = serving.running; /* in the runtime's own share of the memory */
        out->most_context = llm_memory_of(&asked, &g, pc).most_tokens;
    }
    return PG_E_OK;
}
