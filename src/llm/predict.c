/* Passes on a GPU: seconds of their steps, memory, and the share of the roof that binds. */
#include "llm/llm.h"
#include "llm/stages.h"

void llm_gpu_init(predict_gpu *g, const gpu_spec *spec, const cost_constants *cost, const runtime_profile *rt,
                  const predict_options *opt)
{
    gpu_spec s = *spec;
    /* GeForce boards add up 16-bit products in 16 bits at twice the rate that they have with 32 bits; `tflops` is the latter. */
    if (rt->half_sums && str_starts(spec->name, "NVIDIA GeForce")) s.tflops[PREC_FP16] *= 2;
    /* ... and on Hopper such sums are run by the older synchronous units: prompts take as long as those would (docs/llm.md). */
    if (rt->half_sums && s.compute_capability >= 9 && s.compute_capability < 10) s.compute_capability = 8;
    predict_gpu_init(g, &s, cost, opt);
    g->spec = spec;
}

/* Seconds of all chunks of a prompt: one host thread issues all stages under llama.cpp, elsewhere each stage has its own. */
static double piped_seconds(const llm_case *c, const llm_plan *p, double gpu, double hop, double host)
{
    const runtime_profile *rt = c->r.runtime;
    double stages = c->pipeline, launches = 0;
    if (!(rt->launch_queue > 0) || stages > LLM_STAGES_MOST)
        return (gpu + (stages - 1) * hop + host) * (p->steps + stages - 1) / stages;
    for (uint32_t i = 0; i < p->plan.n_kernels; i++) launches += p->plan.kernels[i].count;
    llm_stages s = {.steps = p->steps,
                    .stages = (int)stages,
                    .layers = c->layers + (rt->ggml ? 1 : 0),
                    .step_s = gpu,
                    .hop_s = hop,
                    .launches = launches,
                    .queue = rt->launch_queue,
                    .ahead = rt->stages_ahead >= 1 ? (int)rt->stages_ahead : LLM_STAGES_AHEAD};
    return llm_stages_seconds(&s) + host;
}

/* Seconds of a step in which the first GPU waits for copies to and from those that have rows of its matrices. */
static double row_seconds(const llm_case *c, const llm_plan *p, const predict_gpu *g, const predict_options *opt)
{
    const runtime_profile *rt = c->r.runtime;
    if (c->row_gpus <= 1) return 0;
    double share = opt->fast_mode || !(rt->row_link_share > 0) ? 1 : rt->row_link_share;
    double host = opt->fast_mode ? 0 : (c->row_gpus + 1) * p->row_copies * rt->row_copy_us * 1e-6;
    return p->row_bytes / (g->cost.links.pcie * share) + host;
}

llm_step llm_predict_step(const llm_case *c, const llm_plan *p, const predict_gpu *g, const predict_constants *pc,
                          const predict_options *opt)
{
    const runtime_profile *rt = c->r.runtime;
    llm_step out = {.s = predict_step(&p->plan, g, pc, opt)};
    step_prediction *s = &out.s;
    double gpu = s->seconds, stages = c->pipeline;
    double host = opt->fast_mode || opt->device_time ? 0 : rt->llm_step_us * 1e-6;
    double hop = 0;
    if (stages > 1) {
        comm_shape way = {.bytes = p->stage_bytes, .gpus = 2, .what = COMM_SEND};
        hop = cost_comm_seconds(&g->cost, &way) + (opt->fast_mode ? 0 : rt->llm_stage_us * 1e-6);
    }
    host += row_seconds(c, p, g, opt);
    out.step_s = gpu + p->cpu_s + (stages - 1) * hop + host;
    /* Chunks of a prompt follow each other through the stages; a token waits for the one before it. */
    bool piped = stages > 1 && p->tokens > 1 && p->steps > 1 && p->plan.n_kernels;
    out.seconds = piped ? piped_seconds(c, p, gpu + p->cpu_s, hop, host) : out.step_s * p->steps;
    double busy = gpu > 0 ? gpu / out.step_s : 0, compute = s->compute_utilization, memory = s->memory_efficiency;
    out.efficiency = (compute > memory ? compute : memory) * busy;
    return out;
}

llm_memory llm_memory_of(const llm_case *c, const predict_gpu *g, const predict_constants *pc)
{
    const runtime_profile *rt = c->r.runtime;
    double length = c->r.input + c->r.output, chunk = llm_chunk(c), tokens = c->r.batch * c->r.input;
    llm_memory m = {.weights = c->weights_each, .cache = llm_cache_bytes(c, c->r.batch, length)};
    if (tokens > chunk) tokens = chunk;
    if (tokens < c->r.batch) tokens = c->r.batch;
    m.activations = llm_activation_bytes(c, tokens, c->r.batch) * rt->allocator_round;
    m.workspace = 1e6 * rt->workspace_mb;
    m.context = 1e6 * (pc->context_mb + pc->context_mb_per_sm * g->cost.sms);
    m.runtime = 1e6 * rt->framework_mb + m.context;
    m.total = m.weights + m.cache + m.activations + m.workspace + m.runtime;
    double capacity = g->spec->memory_bytes;
    m.fits = capacity <= 0 || m.total <= capacity;
    double left = capacity > 0 ? capacity - (m.total - m.cache) : 0;
    m.most_sequences = llm_most_sequences(c, left, length);
    m.most_tokens = llm_most_tokens(c, left, c->r.batch);
    return m;
}
