/* Kernels that pass over their data once: bytes, and arithmetic where a function is expensive. */
#include "cost/parts.h"

/* A radix sort of 32-bit keys by 8-bit digits reads and writes everything this often. */
enum { SORT_PASSES = 4 };

/* A thread block goes over a row in turns of so many elements, whose loads all wait for memory. */
static double scan_time(const cost_gpu *g, const rows_shape *s)
{
    enum { TURN = 2048 };
    double turns = (double)(int64_t)(cost_min(s->cols, 1e15) / TURN);
    if (turns * TURN < s->cols) turns++;
    return s->rows / g->sms * (g->c->vector_scan_clocks + turns * g->c->vector_turn_clocks) * g->tick;
}

void cost_elementwise(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    double share = g->stream;
    if (k->kind == KERNEL_SORT && !k->grouped) {
        t.total *= SORT_PASSES;
        t.dram *= SORT_PASSES;
        out->launches = 2 * SORT_PASSES;
    } else if (k->kind == KERNEL_GATHER || k->kind == KERNEL_RESIZE) {
        share *= c->vector_gather_share;
    } else if (k->scan == SCAN_GROUPS) {
        share *= c->vector_rows_share;
    }
    out->compute_s = k->flops / (g->peak[PREC_FP32] * c->vector_flop_share);
    enum { RESIDENT = 1024 }; /* threads that an SM keeps in flight with a few dozen registers each */
    double waves = cost_max(k->serial_threads / (g->sms * RESIDENT), 1);
    out->compute_s = cost_max(out->compute_s, k->serial_turns * waves * c->vector_serial_clocks * g->tick);
    if (k->scan == SCAN_ROWS) out->compute_s = cost_max(out->compute_s, scan_time(g, &k->shape.rows));
    if (k->scattered)
        out->compute_s = cost_max(out->compute_s, t.total / (c->vector_scattered_bytes * g->clock * g->sms));
    if (k->indexed) {
        double each = c->vector_indexed_rate * g->clock * g->sms;
        out->compute_s = cost_max(out->compute_s, k->shape.rows.rows * k->shape.rows.cols / each);
    }
    if (k->kind == KERNEL_POOL) t.total += k->read_bytes * cost_max(k->shape.rows.cols - 1, 0) * g->l1_miss;
    out->memory_s = cost_memory_time(g, t, share);
    if (k->pass == PASS_STATISTICS) out->memory_s = cost_max(out->memory_s, cost_channels_time(g, k, t));
    cost_finish(g, out, t);
}
