/* Memory of a language model beside its weights: the cache of keys and values, states, activations. */
#include "llm/llm.h"

/* The part of a layer's cache that each GPU of a tensor-parallel group holds: whole heads, and no less than one. Latent rows belong to
 * all heads. */
static double share_of(const llm_case *c, const lm_layer *l)
{
    if (l->mixer == LM_MLA || c->tensor <= 1) return 1;
    double heads = (double)l->kv_heads;
    return heads > c->tensor ? 1 / c->tensor : heads > 0 ? 1 / heads : 1;
}

/* Bytes of the cache that grow with the sequence (`states` false), or do not, of one sequence. */
static double layers_bytes(const llm_case *c, double length, bool states)
{
    const language_model *m = &c->model;
    double bytes = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const lm_layer *l = &m->layers[i];
        double n = l->count;
        if (states) bytes += n * lm_state_elements(l, m->hidden) * 4 / c->tensor;
        else
            bytes += n * lm_cache_elements(l) * (double)lm_cache_tokens(l, (int64_t)length) * c->cache_bytes *
                     share_of(c, l);
    }
    return bytes;
}

double llm_cache_bytes(const llm_case *c, double seqs, double length)
{
    double here = c->pipeline > 1 ? llm_stage_layers(c) / c->layers : 1 - c->cpu_share;
    return seqs * here * (layers_bytes(c, length, false) + layers_bytes(c, length, true));
}

double llm_activation_bytes(const llm_case *c, double tokens, double logits)
{
    const language_model *m = &c->model;
    double h = (double)m->hidden, widest = 0, scores = 0;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        const lm_layer *l = &m->layers[i];
        double ffn = (double)l->ffn_dim * (l->ffn == LM_MOE ? (double)l->experts_used : 1) *
                     (l->ffn == LM_PLAIN ? 1 : 2);
        double wide = (double)((l->heads + 2 * l->kv_heads) * l->head_dim) + 2 * (double)l->inner;
        if (wide > ffn) ffn = wide;
        if (ffn > widest) widest = ffn;
        double n = (double)l->heads * tokens * (c->r.input + c->r.output) * 4;
        if (n > scores) scores = n;
    }
    double output = logits * (double)m->vocab * 4 / c->tensor, live = tokens * (3 * h + widest / c->tensor) * c->act;
    if (!c->r.runtime->ggml) return live + output;
    /* llama.cpp lays its buffers out for a whole chunk's logits or scores, whichever are more */
    output = tokens * (double)m->vocab * 4;
    double most = output > scores ? output : scores;
    return most > live ? most : live;
}

double llm_most_sequences(const llm_case *c, double bytes, double length)
{
    double each = llm_cache_bytes(c, 1, length);
    if (bytes <= 0) return 0;
    return each > 0 ? floor(bytes / each) : INFINITY;
}

double llm_most_tokens(const llm_case *c, double bytes, double seqs)
{
    double low = 0, high = c->model.max_position > 0 ? (double)c->model.max_position : 1 << 24;
    if (bytes <= 0 || llm_cache_bytes(c, seqs, 1) > bytes) return 0;
    if (llm_cache_bytes(c, seqs, high) <= bytes) return high;
    while (high - low > 1) {
        double middle = floor(0.5 * (low + high));
        if (llm_cache_bytes(c, seqs, middle) <= bytes) low = middle;
        else high = middle;
    }
    return low;
}
