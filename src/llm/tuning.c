#include "llm/tuning.h"

/* Adapters are kept in fp32, with a gradient and AdamW's two moments of the same width. */
enum { ADAPTER_BYTES = 4, MOMENTS = 2, ADAMW_PASSES = 20 };

static pg_code check(const llm_case *c, double rank, pg_error *e)
{
    const language_model *m = &c->model;
    for (uint32_t i = 0; i < m->n_layers; i++)
        if (m->layers[i].mixer != LM_ATTENTION || m->layers[i].ffn == LM_MOE)
            return error_set(
                e, PG_E_UNSUPPORTED,
                "lora_rank %.0f: adapters are predicted for layers of attention and plain feed-forward only", rank);
    if (c->tensor > 1 || c->pipeline > 1)
        return error_set(e, PG_E_USAGE, "lora_rank %.0f goes with data parallelism only", rank);
    if (c->r.runtime->ggml) return error_set(e, PG_E_USAGE, "llama.cpp does not train; use --runtime pytorch");
    return PG_E_OK;
}

/* Trained numbers: a pair of narrow matrices beside each linear layer. */
static double count_adapters(const language_model *m, double rank)
{
    double n = 0, h = (double)m->hidden;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const lm_layer *l = &m->layers[i];
        double q = (double)(l->heads * l->head_dim), kv = (double)(l->kv_heads * l->head_dim), f = (double)l->ffn_dim;
        double sides = (h + q) + 2 * (h + kv) + (q + h) + (l->ffn == LM_GATED ? 2 : 1) * (h + f) + (f + h);
        n += l->count * rank * sides;
    }
    return n;
}

/* Inputs of products and normalisations, queries, keys, values, both sides of the activation; with checkpointing what goes into each layer
 * and all of one layer. The output layer's results are there in half, in full and as a gradient. */
static double count_activations(const llm_case *c, double tokens, bool checkpointing)
{
    const language_model *m = &c->model;
    double h = (double)m->hidden, all = 0, inputs = 0, one = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const lm_layer *l = &m->layers[i];
        double q = (double)(l->heads * l->head_dim), kv = (double)(l->kv_heads * l->head_dim), f = (double)l->ffn_dim;
        double layer = tokens * (4 * h + 2 * h + 2 * q + 2 * kv + (l->ffn == LM_GATED ? 4 : 2) * f) * c->act;
        all += l->count * layer;
        inputs += l->count * tokens * h * c->act;
        if (layer > one) one = layer;
    }
    return (checkpointing ? inputs + one : all) + tokens * (double)m->vocab * (c->act + 8);
}

static bool is_adapter(const char *label)
{
    return str_is(str_c(label), "adapter");
}

/* The forward list becomes a step: frozen weights need the gradient of their input alone, adapters that of their weights too. */
static void add_backward(llm_plan *p, double again)
{
    kernel_plan *k = &p->plan;
    uint32_t n = k->n_kernels;
    for (uint32_t i = 0; i < n; i++) {
        plan_kernel *at = &k->kernels[i];
        double forward = at->count, back = 1.5;
        if (at->k.kind == KERNEL_ATTENTION) {
            k->kernels[k->n_kernels] = *at;
            k->kernels[k->n_kernels].k.pass = PASS_DGRAD;
            k->kernels[k->n_kernels].backward = forward;
            p->labels[k->n_kernels++] = "attention (backward)";
            back = 0;
        } else if (at->k.kind == KERNEL_GEMM) {
            back = is_adapter(p->labels[i]) ? 2 : 1;
        } else if (at->k.kind == KERNEL_COMM || at->k.kind == KERNEL_GATHER) {
            back = 0;
        }
        at->backward = forward * back;
        at->count = forward * (1 + back + again);
        k->launches_backward += forward * (back > 0 ? 1 : 0);
        k->launches += forward * again;
        k->flops += at->k.flops * forward * (back + again);
    }
}

pg_code llm_tuning_make(llm_tuning *out, const llm_case *c, double rank, bool checkpointing, arena *a, pg_error *e)
{
    pg_code code = check(c, rank, e);
    if (code) return code;
    double tokens = c->r.batch * c->r.input;
    llm_pass pass = {.groups = 1, .steps = 1, .logits = tokens, .rank = rank};
    pass.group[0] = (llm_group){c->r.batch, c->r.input, {c->r.input, c->r.input}, 0};
    *out = (llm_tuning){.rank = rank, .adapters = count_adapters(&c->model, rank)};
    code = llm_plan_make(&out->plan, c, &pass, a, e);
    if (code) return code;
    add_backward(&out->plan, checkpointing ? 1 : 0);
    double bytes = out->adapters * ADAPTER_BYTES * ADAMW_PASSES;
    kernel k = {
        .kind = KERNEL_ELEMENTWISE, .flops = 10 * out->adapters, .read_bytes = bytes * 2 / 3, .write_bytes = bytes / 3};
    k.shape.rows = (rows_shape){out->adapters, 1};
    kernel_plan *p = &out->plan.plan;
    out->plan.labels[p->n_kernels] = "optimizer";
    p->kernels[p->n_kernels++] = (plan_kernel){.k = k, .count = 1};
    p->opt.training = true;
    out->activations = count_activations(c, tokens, checkpointing);
    return PG_E_OK;
}

llm_memory llm_tuning_memory(const llm_case *c, const llm_tuning *t, const predict_gpu *g, const predict_constants *pc,
                             double *gradients, double *optimizer)
{
    const runtime_profile *rt = c->r.runtime;
    llm_memory m = {.weights = c->weights_each + t->adapters * ADAPTER_BYTES,
                    .activations = t->activations * rt->allocator_round,
                    .workspace = 1e6 * rt->workspace_mb,
                    .context = 1e6 * (pc->context_mb + pc->context_mb_per_sm * g->cost.sms)};
    *gradients = t->adapters * ADAPTER_BYTES;
    *optimizer = t->adapters * ADAPTER_BYTES * MOMENTS;
    m.runtime = 1e6 * rt->framework_mb + m.context;
    m.total = m.weights + m.activations + m.workspace + m.runtime + *gradients + *optimizer;
    m.fits = g->spec->memory_bytes <= 0 || m.total <= g->spec->memory_bytes;
    return m;
}
