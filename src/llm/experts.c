/* Mixtures of experts: which experts the tokens of a step touch, and how much work the fullest GPU of them has. */
#include "llm/build.h"
#include "predict/experts.h"

enum { BLOCK = 128 * 128 }; /* weights that share a scale in FP8 as DeepSeek has it */

static void build_router(build *b, const lm_layer *l)
{
    double t = b->tokens, experts = (double)l->experts, used = (double)l->experts_used, wide = 16;
    build_product(b, "router", t, experts, (double)b->m->hidden, wide);
    kernel top = {.kind = KERNEL_SOFTMAX,
                  .flops = 6 * t * experts,
                  .read_bytes = t * experts * 4,
                  .write_bytes = t * used * 8,
                  .hot_bytes = t * experts * 4,
                  .hot_distance = t * experts * 4,
                  .write_distance = t * used * 8};
    top.shape.rows = (rows_shape){t, experts};
    build_add(b, "choice of experts", top, 1);
}

/* Runtimes without kernels for all experts at once: llama.cpp's graph, eager frameworks. */
static void build_plainly(build *b, const lm_layer *l, const experts_layer *e)
{
    double h = e->hidden, t = e->tokens, act = e->act, bits = lm_bits(b->m, b->m->expert_bits);
    experts_spread s;
    experts_spread_of(&s, e);
    double rows = build_max(s.pairs / s.touched, 1);
    build_stream(b, "sort by expert", t * e->used, 4, t * e->used * 8, t * e->used * 16);
    b->narrowed = b->rt->fuse_norm; /* on the way */
    build_stream(b, "gather tokens", s.pairs * h, 1, t * h * act, s.pairs * h * act);
    build_experts(b, l->gated ? "experts' gate and up" : "experts' up", s.touched, rows, (l->gated ? 2 : 1) * e->width,
                  h, bits);
    build_stream(b, "experts' activation", s.pairs * e->width, 8, (l->gated ? 2 : 1) * s.pairs * e->width * act,
                 s.pairs * e->width * act);
    b->narrowed = b->rt->fuse_norm;
    build_experts(b, "experts' down", s.touched, rows, h, e->width, bits);
    build_stream(b, "sum over experts", s.pairs * h, 2, s.pairs * h * act, t * h * act);
}

void build_moe(build *b, const lm_layer *l)
{
    const llm_case *c = b->c;
    double bits = lm_bits(b->m, b->m->expert_bits);
    bool narrow = bits < 16 && !c->packed;
    experts_layer e = {.tokens = b->tokens,
                       .hidden = (double)b->m->hidden,
                       .width = (double)l->ffn_dim * c->expert / c->tensor,
                       .experts = (double)l->experts,
                       .used = (double)l->experts_used,
                       .parts = c->expert,
                       .uneven = b->rt->moe_uneven,
                       .gated = l->gated,
                       .narrow = narrow,
                       .scaled = narrow && c->math == PREC_FP8 && b->m->group == BLOCK,
                       .math = narrow                 ? c->math
                             : c->act > 2             ? c->r.math
                             : c->r.math == PREC_FP16 ? PREC_FP16
                                                      : PREC_BF16,
                       .act = c->act,
                       .weight = bits / 8};
    if (b->rt->ggml || b->eager) {
        build_router(b, l);
        build_plainly(b, l, &e);
    } else {
        build_product(b, "router", e.tokens, e.experts, e.hidden, 16);
        experts_kernel list[EXPERTS_KERNELS];
        int n = experts_kernels(&e, list);
        for (int i = 0; i < n; i++) {
            if (list[i].k.kind == KERNEL_GEMM) list[i].k.weight_distance = c->weights_each;
            build_add(b, list[i].label, list[i].k, 1);
        }
    }
    if (l->shared_dim > 0) build_feed_forward(b, (double)l->shared_dim, l->gated);
}
