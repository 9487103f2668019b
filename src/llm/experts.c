/* Mixtures of experts: which experts the tokens of a step touch, and how much work the fullest GPU of them has. */
#include "llm/build.h"

/* Of `experts`, how many so many tokens touch when each picks `used` of them at random: what is never picked is left out. */
static double distinct(double experts, double used, double tokens)
{
    double missed = pow(1 - build_min(used / experts, 1), tokens);
    return experts * (1 - missed);
}

void build_moe(build *b, const lm_layer *l)
{
    const llm_case *c = b->c;
    double h = (double)b->m->hidden, t = b->tokens, act = c->act, experts = (double)l->experts,
           used = (double)l->experts_used;
    double bits = lm_bits(b->m, b->m->expert_bits), wide = 16;
    build_product(b, "router", t, experts, h, wide);
    kernel top = {.kind = KERNEL_SOFTMAX,
                  .flops = 6 * t * experts,
                  .read_bytes = t * experts * 4,
                  .write_bytes = t * used * 8,
                  .hot_bytes = t * experts * 4,
                  .hot_distance = t * experts * 4,
                  .write_distance = t * used * 8};
    top.shape.rows = (rows_shape){t, experts};
    build_add(b, "choice of experts", top, 1);
    build_stream(b, "sort by expert", t * used, 4, t * used * 8, t * used * 16);
    double parts = c->expert, touched = distinct(experts, used, t) / parts, pairs = t * used / parts;
    /* the fullest of the GPUs that experts are spread over: a mean and so many deviations of a binomial */
    if (parts > 1) pairs += sqrt(pairs * (1 - 1 / parts) * 2 * log(parts));
    touched = build_max(touched, 1);
    double rows = build_max(pairs / touched, 1), width = (double)l->ffn_dim * parts / c->tensor;
    b->narrowed = b->rt->fuse_norm; /* on the way */
    build_stream(b, "gather tokens", pairs * h, 1, t * h * act, pairs * h * act);
    build_experts(b, l->gated ? "experts' gate and up" : "experts' up", touched, rows, (l->gated ? 2 : 1) * width, h,
                  bits);
    build_stream(b, "experts' activation", pairs * width, 8, (l->gated ? 2 : 1) * pairs * width * act,
                 pairs * width * act);
    b->narrowed = b->rt->fuse_norm;
    build_experts(b, "experts' down", touched, rows, h, width, bits);
    build_stream(b, "sum over experts", pairs * h, 2, pairs * h * act, t * h * act);
    if (l->shared_dim > 0) build_feed_forward(b, (double)l->shared_dim, l->gated);
}
