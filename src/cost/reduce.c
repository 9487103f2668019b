/* Reductions along rows: normalisation, softmax, sums. DRAM sees one pass over the data, and a second one where a
 * normalisation reads its rows again after L2 has lost them. */
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

/* A normalisation makes its statistics before it reads its row again: from L2 as far as that keeps all rows that are under way, whose
 * thread blocks take no turns. */
static void read_again(const cost_gpu *g, const kernel *k, cost_traffic *t)
{
    enum { ROWS = 16 }; /* thread blocks of 128 threads on an SM */
    if (k->kind != KERNEL_NORM) return;
    double missed = t->total > 0 ? t->dram / t->total : 1;
    double under_way = cost_min(k->read_bytes, g->sms * ROWS * k->read_bytes / cost_max(k->shape.rows.rows, 1));
    t->total += k->read_bytes;
    if (k->pass == PASS_FORWARD) t->dram += missed * k->read_bytes * under_way / (under_way + g->l2_keep);
}

static double rows_share(const cost_constants *c, const kernel *k)
{
    if (k->pass == PASS_STATISTICS) return 1;
    if (k->kind != KERNEL_SOFTMAX) return c->vector_rows_share;
    return k->shape.rows.cols > WARP_ROW ? c->vector_block_share : c->vector_warp_share;
}

void cost_rows(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    out->compute_s = k->flops / (g->peak[PREC_FP32] * c->vector_flop_share);
    out->compute_s += k->shape.rows.rows / g->sms * row_clocks(c, k) * g->tick;
    if (k->pass == PASS_DGRAD) {
        double least = k->shape.rows.rows / g->sms * c->train_row_clocks * g->tick;
        out->compute_s = cost_max(out->compute_s, least);
    }
    read_again(g, k, &t);
    out->memory_s = cost_memory_time(g, t, g->stream * rows_share(c, k)) + c->vector_rows_clocks * g->tick;
    if (k->pass == PASS_STATISTICS) out->memory_s = cost_max(out->memory_s, cost_channels_time(g, k, t));
    cost_finish(g, out, t);
}
