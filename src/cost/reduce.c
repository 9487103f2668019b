/* Reductions along rows: normalisation, softmax, sums. One pass over the data while a row fits on chip, plus the
 * latency of summing across a thread block. */
#include "cost/parts.h"

void cost_rows(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    out->compute_s = k->flops / (g->peak[PREC_FP32] * c->vector_flop_share);
    out->compute_s += k->shape.rows.rows / g->sms * c->vector_row_clocks * g->tick;
    out->memory_s = cost_memory_time(g, t, c->vector_rows_share) + c->vector_rows_clocks * g->tick;
    cost_finish(g, out, t);
}
