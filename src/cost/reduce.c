/* Reductions along rows: normalisation, softmax, sums. DRAM sees one pass over the data; what a thread block reads again, after it
 * knows the row's mean or maximum, comes from L2. */
#include "cost/parts.h"

enum { WARP_ROW = 1024 }; /* elements of a row that a warp keeps in its registers */

/* A normalisation gives a row a thread block of its own, softmax and sums a warp; a short row of a sum is a part of one. */
static double row_clocks(const cost_constants *c, const kernel *k)
{
    switch (k->kind) {
    case KERNEL_NORM: return cost_min(k->shape.rows.cols / 256, 1) * c->vector_row_clocks;
    case KERNEL_SOFTMAX: return k->shape.rows.cols > WARP_ROW ? c->vector_row_clocks : c->vector_warp_clocks;
    default: return cost_min(k->shape.rows.cols / 256, 1) * c->vector_warp_clocks;
    }
}

/* Reads of a row beside the first: a normalisation makes its statistics first; a softmax keeps a short row in registers, and reads
 * a longer one for the maximum, the sum and the result. */
static double rows_again(const kernel *k)
{
    switch (k->kind) {
    case KERNEL_NORM: return 1;
    case KERNEL_SOFTMAX: return k->shape.rows.cols > WARP_ROW ? 2 : 0;
    default: return 0;
    }
}

void cost_rows(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    out->compute_s = k->flops / (g->peak[PREC_FP32] * c->vector_flop_share);
    out->compute_s += k->shape.rows.rows / g->sms * row_clocks(c, k) * g->tick;
    double share = k->pass == PASS_STATISTICS ? 1 : c->vector_rows_share;
    if (k->pass == PASS_DGRAD) {
        double least = k->shape.rows.rows / g->sms * c->train_row_clocks * g->tick;
        out->compute_s = cost_max(out->compute_s, least);
    }
    t.total += rows_again(k) * k->read_bytes;
    bool warp = k->kind == KERNEL_SOFTMAX && k->shape.rows.cols <= WARP_ROW;
    out->memory_s = cost_memory_time(g, t, g->stream * (warp ? c->vector_warp_share : share)) +
                    c->vector_rows_clocks * g->tick;
    if (k->pass == PASS_STATISTICS) out->memory_s = cost_max(out->memory_s, cost_channels_time(g, k, t));
    cost_finish(g, out, t);
}
