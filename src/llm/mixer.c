/* State spaces, linear attention, and the choice among a layer's mixers. */
#include "llm/build.h"
#include "predict/scan.h"

/* A recurrence over a state of dim x width numbers for each head and sequence. */
static void build_scan(build *b, double heads, double dim, double width)
{
    for (int i = 0; i < b->pass->groups; i++) {
        const llm_group *g = &b->pass->group[i];
        kernel k = scan_kernel(g->seqs * (1 + g->guesses), g->q, heads, dim, width, build_min(b->c->act, 2));
        build_add(b, g->q <= 1 ? "state update" : "chunk scan", k, 1);
    }
}

static void build_conv(build *b, double channels, double kernel_size)
{
    for (int i = 0; i < b->pass->groups; i++) {
        const llm_group *g = &b->pass->group[i];
        build_add(b, "short convolution",
                  scan_convolution(g->seqs * (1 + g->guesses), g->q, channels, kernel_size, b->c->act), 1);
    }
}

static void build_state_space(build *b, const lm_layer *l)
{
    double tp = b->c->tensor, h = (double)b->m->hidden, t = b->tokens, bits = lm_bits(b->m, b->m->linear_bits);
    double inner = (double)l->inner / tp, grouped = (double)(l->groups * l->state) / tp,
           heads = (double)l->ssm_heads / tp;
    if (l->mixer == LM_MAMBA) {
        build_product(b, "input projection", t, 2 * inner, h, bits);
        build_conv(b, inner, (double)l->conv_kernel);
        build_product(b, "dt, B, C", t, (double)(l->dt_rank + 2 * l->state), inner, bits);
        build_product(b, "dt", t, inner, (double)l->dt_rank, bits);
        build_scan(b, inner / 64, 64, (double)l->state);
    } else if (l->mixer == LM_MAMBA2) {
        build_product(b, "input projection", t, 2 * inner + 2 * grouped + heads, h, bits);
        build_conv(b, inner + 2 * grouped, (double)l->conv_kernel);
        build_scan(b, heads, inner / build_max(heads, 1), (double)l->state);
        build_norm(b, "gated norm", t, inner, false);
    } else {
        build_product(b, "input projection", t, 2 * inner + 2 * grouped + 2 * heads, h, bits);
        build_conv(b, inner + 2 * grouped, (double)l->conv_kernel);
        build_scan(b, heads, inner / build_max(heads, 1), (double)l->state);
        build_norm(b, "gated norm", t * build_max(heads, 1), (double)l->ssm_head_dim, false);
    }
    build_product(b, "output projection", t, h, inner, bits);
}

static void build_lightning(build *b, const lm_layer *l)
{
    double tp = b->c->tensor, h = (double)b->m->hidden, t = b->tokens, bits = lm_bits(b->m, b->m->linear_bits);
    double heads = (double)l->heads / tp, dim = (double)l->head_dim;
    build_product(b, "query, key, value, gate", t, 4 * heads * dim, h, bits);
    build_scan(b, heads, dim, dim);
    build_norm(b, "gated norm", t, heads * dim, false);
    build_product(b, "output projection", t, h, heads * dim, bits);
}

void build_mixer(build *b, const lm_layer *l)
{
    double h = (double)b->m->hidden, t = b->tokens, bits = lm_bits(b->m, b->m->linear_bits);
    switch (l->mixer) {
    case LM_NO_MIXER: return;
    case LM_ATTENTION: build_attention(b, l); return;
    case LM_MLA: build_latent(b, l); return;
    case LM_LIGHTNING: build_lightning(b, l); return;
    case LM_SHORT_CONV:
        build_product(b, "input projection", t, 3 * h / b->c->tensor, h, bits);
        build_conv(b, h / b->c->tensor, (double)l->conv_kernel);
        build_product(b, "output projection", t, h, h / b->c->tensor, bits);
        return;
    default: build_state_space(b, l);
    }
}
