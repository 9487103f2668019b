#include "llm/quant.h"

static const quant_format formats[] = {
#define QUANT(name, kind, math, bits, value, down, attention_out, embedding, output) \
    {name, QUANT_##kind, PREC_##math, bits, value, down, attention_out, embedding, output},
#include "llm/quant.def"
#undef QUANT
};

const quant_format *quant_find(const char *name)
{
    char wanted[32], have[32];
    size_t n = str_fold(wanted, sizeof wanted, str_c(name));
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        size_t m = str_fold(have, sizeof have, str_c(formats[i].name));
        if (n == m && !memcmp(wanted, have, n)) return &formats[i];
    }
    return NULL;
}

/* Weights of a layer's linear parts by how a mix of formats tells them apart. */
typedef struct parts {
    double value, out, down, rest;
} parts;

static parts count_layer(const language_model *m, const lm_layer *l)
{
    double h = (double)m->hidden, v = (double)(l->v_head_dim ? l->v_head_dim : l->head_dim);
    parts p = {0, 0, 0, 0};
    if (l->mixer == LM_ATTENTION) {
        p.value = h * (double)l->kv_heads * v;
        p.out = h * (double)l->heads * v;
        p.rest = h * (double)((l->heads + l->kv_heads) * l->head_dim);
    } else {
        p.rest = l->parameters - h;
    }
    double width = (double)(l->ffn == LM_MOE ? l->shared_dim : l->ffn_dim);
    bool gated = l->ffn == LM_GATED || (l->ffn == LM_MOE && l->gated);
    if (l->ffn != LM_NO_FFN) {
        p.down = h * width;
        if (l->mixer == LM_ATTENTION) p.rest += (gated ? 2 : 1) * h * width;
    }
    return p;
}

void quant_apply(const quant_format *q, language_model *m, double wide)
{
    double bits = 0, count = 0;
    m->linear_bits = m->expert_bits = m->embedding_bits = m->output_bits = wide;
    if (!q) return;
    for (uint32_t i = 0; i < m->n_layers; i++) {
        parts p = count_layer(m, &m->layers[i]);
        double n = m->layers[i].count;
        bits += n * (p.value * q->value + p.out * q->attention_out + p.down * q->down + p.rest * q->bits);
        count += n * (p.value + p.out + p.down + p.rest);
        if (m->layers[i].ffn == LM_MOE)
            m->expert_bits = m->layers[i].gated ? (2 * q->bits + q->down) / 3 : 0.5 * (q->bits + q->down);
    }
    m->linear_bits = count > 0 ? bits / count : q->bits;
    if (q->embedding > 0) m->embedding_bits = q->embedding;
    if (q->output > 0) m->output_bits = q->output;
    /* An output layer that is the embedding is stored once, as the output layer. */
    if (m->tied && q->output > 0) m->embedding_bits = q->output;
}
