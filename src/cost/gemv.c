/* Matrices that are read once for a few vectors, by kernels of the vector units (llama.cpp's): bytes from DRAM, and at most so many a
 * clock on each SM, which is what unpacking and summing up lets through. */
#include "cost/parts.h"

void cost_gemv(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    double bytes = k->read_bytes + k->weight_bytes, share = k->pull_share > 0 ? k->pull_share : 1;
    out->compute_s = k->pull > 0 ? bytes / (k->pull * g->sms * g->clock) : 0;
    out->memory_s = cost_memory_time(g, t, share);
    cost_finish(g, out, t);
    /* Loads in flight hide most of the shorter time: a 4-norm. */
    double m = out->memory_s * out->memory_s, c = out->compute_s * out->compute_s;
    out->seconds = g->floor * out->launches + sqrt(sqrt(m * m + c * c));
}
