/* A recurrent layer: one large product for all inputs, then steps that wait for each other. */
#include "cost/parts.h"

void cost_recurrent(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const recurrent_shape *s = &k->shape.recurrent;
    precision p = k->math;
    double directions = cost_max(s->directions, 1), steps = cost_max(s->steps, 1);
    double setup = c->gemm_tile_clocks * g->tick;
    cost_matmul inputs = {s->steps * s->batch, s->gates * s->hidden, s->input, directions, 0, 1, setup, COST_SPLITS, COST_TILES};
    cost_matmul step = {s->batch, s->gates * s->hidden, s->hidden, 1, 0, 1, 0, COST_SPLITS, COST_TILES};
    double all = cost_matmul_best(g, p, &inputs).seconds;
    double flops = 2 * inputs.m * inputs.n * inputs.k * directions;
    double one = cost_matmul_best(g, p, &step).seconds;
    /* The weights of the recurrence are read in every step: from L2 if they fit there, else from DRAM. */
    double weights = k->weight_bytes * s->hidden / cost_max(s->hidden + s->input, 1) / directions;
    double read = weights <= g->l2_keep ? weights / g->l2 : weights / g->dram;
    one = cost_max(one, read) + c->recurrent_step_clocks * g->tick;
    out->compute_s = cost_power_limited(g, p, all, flops) + one * steps * directions;
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
}
