/* A request held against its model, and everything filled in that follows from the two. */
#include "llm/llm.h"

static const double bytes_of[PREC_COUNT] = {4, 4, 2, 2, 1, 1, 0.5, 0.5};

static pg_code check_lengths(const llm_request *r, pg_error *e)
{
    double most = (double)r->model->max_position, all = r->input + r->output;
    if (!(r->batch >= 1)) return error_set(e, PG_E_USAGE, "batch %g: at least one sequence is needed", r->batch);
    if (!(r->guesses >= 0 && r->guesses <= LLM_GUESSES_MOST))
        return error_set(e, PG_E_USAGE, "speculative_tokens %g is not between 0 and %d", r->guesses, LLM_GUESSES_MOST);
    if (!(r->accepted >= 0 && r->accepted <= 1))
        return error_set(e, PG_E_USAGE, "acceptance_rate %g is not between 0 and 1", r->accepted);
    if (!(r->input >= 0) || !(r->output >= 0) || !(all >= 1))
        return error_set(e, PG_E_USAGE, "input_len %g and output_len %g: at least one token is needed", r->input,
                         r->output);
    if (most > 0 && all > most && r->input > most)
        return error_set(e, PG_E_USAGE, "input_len %.0f is beyond the %.0f positions that the model was made for",
                         r->input, most);
    if (most > 0 && all > most)
        return error_set(e, PG_E_USAGE,
                         "input_len %.0f and output_len %.0f together are beyond the %.0f positions that the model was "
                         "made for",
                         r->input, r->output, most);
    return PG_E_OK;
}

/* llama.cpp divides matrices by rows, whatever the heads, and has no kernel for divided experts. */
static pg_code check_rows(const llm_request *r, pg_error *e)
{
    if (r->pipeline > 1)
        return error_set(e, PG_E_USAGE,
                         "tensor_parallel %d and pipeline_parallel %d: llama.cpp divides matrices or layers, not both",
                         r->tensor, r->pipeline);
    if (lm_has_experts(r->model))
        return error_set(e, PG_E_UNSUPPORTED,
                         "tensor_parallel %d: llama.cpp does not divide a mixture of experts' matrices; give "
                         "pipeline_parallel for its division by layers",
                         r->tensor);
    return PG_E_OK;
}

static pg_code check_layer(const llm_request *r, const lm_layer *l, pg_error *e)
{
    if (!r->runtime->ggml && (l->mixer == LM_ATTENTION || l->mixer == LM_MLA)) {
        if (l->heads % r->tensor)
            return error_set(e, PG_E_USAGE, "tensor_parallel %d does not divide the model's %lld attention heads",
                             r->tensor, (long long)l->heads);
        if (l->kv_heads && r->tensor < l->kv_heads && l->kv_heads % r->tensor)
            return error_set(e, PG_E_USAGE, "tensor_parallel %d does not divide the model's %lld key-value heads",
                             r->tensor, (long long)l->kv_heads);
    }
    if (l->ffn == LM_MOE && r->expert > 1 && l->experts % r->expert)
        return error_set(e, PG_E_USAGE, "expert_parallel %d does not divide the model's %lld experts", r->expert,
                         (long long)l->experts);
    return PG_E_OK;
}

static pg_code check_split(const llm_request *r, pg_error *e)
{
    const language_model *m = r->model;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        pg_code code = check_layer(r, &m->layers[i], e);
        if (code) return code;
    }
    if (r->runtime->ggml && r->tensor > 1) {
        pg_code code = check_rows(r, e);
        if (code) return code;
    }
    if (r->expert > 1 && !lm_has_experts(m))
        return error_set(e, PG_E_USAGE, "expert_parallel %d: the model has no mixture of experts to spread", r->expert);
    if (r->expert > r->tensor || r->tensor % r->expert)
        return error_set(
            e, PG_E_USAGE,
            "expert_parallel %d: experts are spread over the GPUs of tensor_parallel %d, which it must divide",
            r->expert, r->tensor);
    uint32_t layers = lm_depth(m->layers, m->n_layers);
    if ((uint32_t)r->pipeline > layers)
        return error_set(e, PG_E_USAGE, "pipeline_parallel %d is more than the model's %u layers", r->pipeline, layers);
    if (r->gpu_layers > (int64_t)layers)
        return error_set(e, PG_E_USAGE, "gpu_layers %d is more than the model's %u layers", r->gpu_layers, layers);
    if (r->gpu_layers >= 0 && !r->runtime->ggml)
        return error_set(e, PG_E_USAGE, "gpu_layers %d: only llama.cpp leaves layers to the CPU, not %.*s",
                         r->gpu_layers, STR_ARG(r->runtime->key));
    if (r->gpu_layers >= 0 && r->tensor * r->pipeline > 1)
        return error_set(e, PG_E_USAGE, "gpu_layers %d goes with one GPU", r->gpu_layers);
    return PG_E_OK;
}

static pg_code check_model(const llm_request *r, pg_error *e)
{
    const language_model *m = r->model;
    if (m->encoder_only)
        return error_set(e, PG_E_UNSUPPORTED, "the model only encodes: it generates no tokens; use --task inference");
    if (m->n_encoder)
        return error_set(e, PG_E_UNSUPPORTED, "models with encoder and decoder are predicted as --task inference only");
    if (!m->n_layers || m->hidden <= 0 || m->vocab <= 0)
        return error_set(e, PG_E_UNSUPPORTED, "the model's layers are not known");
    return PG_E_OK;
}

/* llama.cpp counts the output layer as one more, which the last stage has. */
double llm_stage_layers(const llm_case *c)
{
    return c->pipeline <= 1 ? c->layers : ceil((c->layers + (c->r.runtime->ggml ? 1 : 0)) / c->pipeline);
}

/* Bytes of one copy of the model on the fullest of the GPUs that share it. */
static double weights_each(const llm_case *c)
{
    const language_model *m = &c->model;
    double width = (double)(m->embedding_width ? m->embedding_width : m->hidden);
    double table = (double)m->vocab * width * lm_bits(m, m->embedding_bits) / 8;
    double out = m->tied || m->no_output ? 0 : (double)m->vocab * (double)m->hidden * lm_bits(m, m->output_bits) / 8;
    double norms = 0;
    for (uint32_t i = 0; i < m->n_layers; i++)
        norms += (double)m->layers[i].count * (m->layers[i].norms + 1) * (double)m->hidden * lm_bits(m, 0) / 8;
    double layers = c->weights - table - out, each = llm_stage_layers(c) / c->layers;
    double sharers = c->tensor * c->row_gpus;
    layers = (layers - norms) / sharers + norms;
    /* llama.cpp keeps the table of embeddings in the CPU's memory, and the output layer on the GPU */
    if (c->r.runtime->ggml) table = m->tied ? table : 0;
    if (c->pipeline <= 1) return layers * (1 - c->cpu_share) + (table + out) / sharers;
    if (c->r.runtime->ggml) {
        double last = c->layers - ceil((c->pipeline - 1) * (c->layers + 1) / c->pipeline), before = layers * each;
        last = layers * (last > 0 ? last : 0) / c->layers + (m->tied ? table : out) / c->tensor;
        return before > last ? before : last;
    }
    return layers * each + (m->tied || out < table ? table : out) / c->tensor;
}

pg_code llm_case_make(llm_case *out, const llm_request *r, pg_error *e)
{
    *out = (llm_case){.r = *r, .model = *r->model};
    llm_case *c = out;
    pg_code code = check_model(r, e);
    if (!code) code = check_lengths(r, e);
    if (!code) code = check_split(r, e);
    if (code) return code;
    bool narrow = r->math == PREC_FP8 || r->math == PREC_INT8 || r->math == PREC_FP4 || r->math == PREC_INT4;
    double wide = narrow ? 2 : bytes_of[r->math];
    if (!r->own_weights) quant_apply(r->quant, &c->model, 8 * wide);
    if (!r->own_weights) c->model.weights = wide == 4 ? DT_FP32 : DT_BF16;
    c->math = r->quant && r->quant->kind == QUANT_NARROW ? r->quant->math : narrow ? PREC_FP16 : r->math;
    c->packed = r->quant && r->quant->kind != QUANT_NARROW;
    c->act = r->runtime->ggml ? 4 : wide;
    c->cache_bytes = bytes_of[r->cache];
    c->tensor = r->runtime->ggml ? 1 : r->tensor;
    c->row_gpus = r->runtime->ggml ? r->tensor : 1;
    c->pipeline = r->pipeline;
    c->expert = r->expert;
    c->layers = lm_depth(c->model.layers, c->model.n_layers);
    c->weights = lm_weight_bytes(&c->model);
    if (r->gpu_layers >= 0) c->cpu_share = 1 - r->gpu_layers / c->layers;
    c->weights_each = weights_each(c);
    return PG_E_OK;
}
