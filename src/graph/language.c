#include "graph/language.h"

static double projection(double from, double to, bool bias)
{
    return from * to + (bias ? to : 0);
}

static double value_dim(const lm_layer *l)
{
    return (double)(l->v_head_dim ? l->v_head_dim : l->head_dim);
}

/* Numbers of a normalisation over `width` features. */
static double norm(const language_model *m, double width)
{
    return m->norm_plain ? 0 : m->norm_bias ? 2 * width : width;
}

static double attention(const language_model *m, const lm_layer *l)
{
    double h = (double)m->hidden, q = (double)(l->heads * l->head_dim), k = (double)(l->kv_heads * l->head_dim);
    double v = (double)l->kv_heads * value_dim(l), out = (double)l->heads * value_dim(l);
    double n = projection(h, q, l->qkv_bias) + projection(h, k, l->qkv_bias && !l->no_key_bias);
    if (!l->k_is_v) n += projection(h, v, l->qkv_bias);
    n += projection(out, h, l->out_bias);
    if (l->gated_output) n += h * out;
    if (l->blocks) n += projection(h, q, l->qkv_bias) + projection(h, k, l->qkv_bias) + projection(h, v, l->qkv_bias);
    if (l->qk_norm) n += l->qk_norm_wide ? q + k : 2 * (double)l->head_dim;
    return n + (l->sinks ? (double)l->heads : 0);
}

static double latent_attention(const language_model *m, const lm_layer *l)
{
    double h = (double)m->hidden, rank = (double)l->kv_rank, heads = (double)l->heads, v = value_dim(l);
    double q = heads * (double)(l->nope_dim + l->rope_dim), n;
    double q_rank = (double)l->q_rank, index = (double)l->index_dim, index_heads = (double)l->index_heads;
    if (l->q_rank) n = projection(h, q_rank, l->qkv_bias) + q_rank + q_rank * q;
    else n = h * q;
    n += projection(h, rank + (double)l->rope_dim, l->qkv_bias) + rank;
    n += rank * heads * ((double)l->nope_dim + v) + projection(heads * v, h, l->out_bias);
    if (l->index_heads) n += (l->q_rank ? q_rank : h) * index_heads * index + h * index + 2 * index + h * index_heads;
    return n;
}

static double mamba(const language_model *m, const lm_layer *l)
{
    double h = (double)m->hidden, inner = (double)l->inner, state = (double)l->state, dt = (double)l->dt_rank;
    double n = projection(h, 2 * inner, l->ssm_bias) + inner * ((double)l->conv_kernel + l->conv_bias);
    n += inner * (dt + 2 * state) + projection(dt, inner, true);
    n += inner * state + inner + projection(inner, h, l->ssm_bias);
    return n + (l->ssm_norms ? dt + 2 * state : 0);
}

static double mamba2(const language_model *m, const lm_layer *l)
{
    double h = (double)m->hidden, inner = (double)l->inner, mixed = inner + 2 * (double)(l->groups * l->state);
    double heads = (double)l->ssm_heads;
    double n = projection(h, inner + mixed + heads, l->ssm_bias) + mixed * ((double)l->conv_kernel + l->conv_bias);
    return n + 3 * heads + inner + projection(inner, h, l->ssm_bias);
}

static double gated_delta(const language_model *m, const lm_layer *l)
{
    double h = (double)m->hidden, values = (double)l->inner, keys = (double)(l->groups * l->state);
    double n = h * (2 * keys + 2 * values) + h * 2 * (double)l->ssm_heads;
    n += (2 * keys + values) * ((double)l->conv_kernel + l->conv_bias);
    return n + 2 * (double)l->ssm_heads + (double)l->ssm_head_dim + values * h;
}

static double mixer(const language_model *m, const lm_layer *l)
{
    double h = (double)m->hidden, wide = (double)(l->heads * l->head_dim);
    switch (l->mixer) {
    case LM_NO_MIXER: return 0;
    case LM_ATTENTION: return attention(m, l);
    case LM_MLA: return latent_attention(m, l);
    case LM_MAMBA: return mamba(m, l);
    case LM_MAMBA2: return mamba2(m, l);
    case LM_GATED_DELTA: return gated_delta(m, l);
    case LM_SHORT_CONV: return 3 * h * h + h * ((double)l->conv_kernel + l->conv_bias) + h * h;
    case LM_LIGHTNING: return 5 * h * wide + wide;
    }
    return 0;
}

static double feed_forward(double h, double width, bool gated, bool bias)
{
    return (gated ? 2 : 1) * projection(h, width, bias) + projection(width, h, bias);
}

static double ffn(const language_model *m, const lm_layer *l, bool active)
{
    double h = (double)m->hidden, width = (double)l->ffn_dim;
    bool gated = l->ffn == LM_GATED || (l->ffn == LM_MOE && l->gated);
    if (l->ffn == LM_NO_FFN) return 0;
    if (l->ffn != LM_MOE) return feed_forward(h, width, gated, l->ffn_bias);
    double n = h * (double)l->experts + (l->router_bias ? (double)l->experts : 0);
    n += (double)(active ? l->experts_used : l->experts) * feed_forward(h, width, gated, l->ffn_bias);
    if (l->shared_dim) n += feed_forward(h, (double)l->shared_dim, gated, false) + (l->shared_gate ? h : 0);
    return n;
}

double lm_layer_count(const language_model *m, const lm_layer *l, bool active)
{
    double n = mixer(m, l) + ffn(m, l, active) + l->norms * norm(m, (double)m->hidden) + l->extra_parameters;
    if (m->layer_embedding) n += (double)m->hidden * (2 * (double)m->layer_embedding + 1);
    return n + (l->cross ? attention(m, l) : 0);
}

static void count_layers(language_model *m, lm_layer *layers, uint32_t kinds)
{
    for (uint32_t i = 0; i < kinds; i++) {
        lm_layer *l = &layers[i];
        double times = m->shared_layers ? (i == 0) : l->count;
        l->parameters = lm_layer_count(m, l, false);
        l->active_parameters = lm_layer_count(m, l, true);
        m->parameters += times * l->parameters;
        m->active_parameters += times * l->active_parameters;
    }
}

/* What stands around the layers: tables, norms, the output layer. */
static double frame(const language_model *m)
{
    double h = (double)m->hidden, width = m->embedding_width ? (double)m->embedding_width : h;
    double n = m->extra_parameters + (double)m->vocab * width + (double)(m->position_table + m->token_types) * width;
    int stacks = m->n_encoder ? 2 : 1;
    if (m->embedding_width && m->embedding_width != m->hidden) n += projection(width, h, m->encoder_only);
    if (m->embed_norm) n += (m->mels ? 0 : stacks) * norm(m, width);
    if (!m->no_final_norm) n += stacks * norm(m, h);
    if (!m->tied && !m->no_output) n += (double)m->vocab * h;
    if (m->output_bias) n += (double)m->vocab;
    if (m->pooler) n += projection(h, h, true);
    n += (double)m->encoder_positions * h;
    if (m->mels) n += h * (double)m->mels * 3 + h + h * h * 3 + h;
    double rows = (double)m->layer_embedding * lm_depth(m->layers, m->n_layers);
    n += rows * ((double)m->layer_vocab + h) + (double)m->layer_embedding;
    if (m->buckets && m->n_layers) n += (double)m->buckets * (double)m->layers[0].heads * stacks;
    return n;
}

void lm_count(language_model *m, lm_layer *layers, lm_layer *encoder)
{
    m->layers = layers;
    m->encoder = encoder;
    m->parameters = m->active_parameters = frame(m);
    count_layers(m, layers, m->n_layers);
    count_layers(m, encoder, m->n_encoder);
}

uint32_t lm_depth(const lm_layer *layers, uint32_t kinds)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < kinds; i++) n += layers[i].count;
    return n;
}

double lm_cache_elements(const lm_layer *l)
{
    if (l->shared_cache) return 0;
    if (l->mixer == LM_ATTENTION) return (double)l->kv_heads * ((double)l->head_dim + value_dim(l));
    if (l->mixer == LM_MLA) return (double)(l->kv_rank + l->rope_dim) + (l->index_heads ? (double)l->index_dim : 0);
    return 0;
}

double lm_state_elements(const lm_layer *l, int64_t hidden)
{
    double kernel = (double)l->conv_kernel - 1, grouped = (double)(l->groups * l->state);
    switch (l->mixer) {
    case LM_MAMBA: return (double)l->inner * ((double)l->state + kernel);
    case LM_MAMBA2: return (double)l->inner * (double)l->state + ((double)l->inner + 2 * grouped) * kernel;
    case LM_GATED_DELTA: return (double)l->inner * (double)l->state + ((double)l->inner + 2 * grouped) * kernel;
    case LM_SHORT_CONV: return (double)hidden * kernel;
    case LM_LIGHTNING: return (double)(l->heads * l->head_dim * l->head_dim);
    default: return 0;
    }
}

int64_t lm_cache_tokens(const lm_layer *l, int64_t length)
{
    int64_t most = l->window && (!l->chunk || l->window < l->chunk) ? l->window : l->chunk;
    return most && most < length ? most : length;
}

double lm_bits(const language_model *m, double bits)
{
    if (bits > 0) return bits;
    return 8 * dtype_bytes(m->weights ? m->weights : DT_FP16);
}

static double layer_bits(const language_model *m, const lm_layer *l)
{
    double own = lm_bits(m, 0), all = l->parameters, h = (double)m->hidden, experts = 0;
    if (l->ffn == LM_MOE) experts = (double)l->experts * feed_forward(h, (double)l->ffn_dim, l->gated, false);
    double rest = l->norms * norm(m, h), linear = all - experts - rest;
    return experts * lm_bits(m, m->expert_bits) + linear * lm_bits(m, m->linear_bits) + rest * own;
}

double lm_weight_bytes(const language_model *m)
{
    double bits = 0, width = (double)(m->embedding_width ? m->embedding_width : m->hidden);
    double table = (double)m->vocab * width,
           output = m->tied || m->no_output ? 0 : (double)m->vocab * (double)m->hidden;
    for (uint32_t i = 0; i < m->n_layers; i++)
        bits += (m->shared_layers ? (i == 0) : m->layers[i].count) * layer_bits(m, &m->layers[i]);
    for (uint32_t i = 0; i < m->n_encoder; i++) bits += m->encoder[i].count * layer_bits(m, &m->encoder[i]);
    bits += table * lm_bits(m, m->embedding_bits) + output * lm_bits(m, m->output_bits);
    return (bits + (frame(m) - table - output) * lm_bits(m, 0)) / 8;
}

bool lm_has_experts(const language_model *m)
{
    for (uint32_t i = 0; i < m->n_layers; i++)
        if (m->layers[i].ffn == LM_MOE) return true;
    return false;
}
