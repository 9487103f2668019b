/* A recurrent layer: one large product for all inputs, then steps that wait for each other. */
#include "cost/parts.h"

void cost_recurrent(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const recurrent_shape *s = &k->shape.recurrent;
    precision p = k->math;
    double directions = cost_max(s->directions, 1), steps = cost_max(s->steps, 1);
    cost_matmul inputs = {.m = s->steps * s->batch, .n = s->gates * s->hidden, .k = s->input, .batch = directions};
    inputs.slow = 1;
    inputs.setup = c->gemm_vector_tile_clocks * g->tick;
    inputs.splits = COST_SPLITS;
    inputs.tiles = g->tensor[p] ? g->tiles_tensor : g->tiles_vector;
    cost_matmul step = inputs;
    step.m = s->batch;
    step.k = s->hidden;
    step.batch = 1;
    step.setup = 0;
    double all = cost_matmul_best(g, p, &inputs).seconds;
    double flops = 2 * inputs.m * inputs.n * inputs.k * directions;
    double one = cost_matmul_best(g, p, &step).seconds;
    /* The weights of the recurrence are read in every step: from L2 if they fit there, else from DRAM. */
    double weights = k->weight_bytes * s->hidden / cost_max(s->hidden + s->input, 1) / directions;
    double read = weights <= g->l2_keep ? weights / g->l2 : weights / g->dram;
    /* So are, between two steps, the gates of the inputs' product, this step's own gates (written and read) and both states. */
    double width = k->weight_bytes / cost_max(directions * s->gates * s->hidden * (s->hidden + s->input), 1);
    double values = s->batch * s->hidden * (3 * s->gates + 4) * width;
    double passed = values <= g->l2_keep ? values / g->l2 : values / g->dram;
    double step_flops = 2 * step.m * step.n * step.k;
    one = cost_max(cost_power_limited(g, k, one, step_flops), read) + passed + c->recurrent_step_clocks * g->tick;
    out->compute_s = cost_power_limited(g, k, all, flops) + one * steps * directions;
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
}
