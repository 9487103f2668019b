/* A decode step of heads that share keys where they are more than the library's kernel takes in one tile: each head by itself on
 * the vector units, which read its keys from L2 again. */
#include "cost/parts.h"

static const double precision_bytes[PREC_COUNT] = {4, 4, 2, 2, 1, 1, 0.5, 0.5};

void cost_attention_apart(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const attention_shape *s = &k->shape.attention;
    double blocks = s->batch * s->heads * s->q_len,
           keys = s->kv_len * (s->head_dim + s->v_dim) * precision_bytes[k->math];
    /* All SMs together, and one block by itself, whose keys are split over idle SMs as those of other kernels are. */
    double parts = cost_max(1, cost_min(s->kv_len / c->attention_split_kv, g->sms / cost_max(blocks, 1)));
    double all = blocks / g->sms * (c->attention_apart_clocks + keys / c->attention_apart_bytes);
    double one = c->attention_apart_clocks + keys / parts / c->attention_pull_bytes;
    double flops = 2 * blocks * s->kv_len * (s->head_dim + s->v_dim);
    out->compute_s = cost_max(cost_max(all, one) * g->tick, flops / (g->peak[PREC_FP32] * c->gemm_vector_share));
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
    out->seconds += c->attention_decode_us * 1e-6 + c->attention_around_clocks * g->tick;
}
