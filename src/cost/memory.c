/* What is still in L2, and how long bytes take. Residency belongs to the situation (how much was touched since the
 * bytes were last used), never to the kernel: a benchmark that loops one kernel finds its weights in a 96 MB L2, a
 * model not. */
#include "cost/parts.h"

/* Share of a reused set that survived `distance` bytes of other traffic: whole, then linearly less, then nothing. */
double cost_resident(const cost_gpu *g, double distance)
{
    if (distance <= g->l2_keep) {
        return 1;
    }
    return distance >= g->l2_lose ? 0 : (g->l2_lose - distance) / (g->l2_lose - g->l2_keep);
}

static double copies_that_fill(const cost_gpu *g, const kernel *k)
{
    double copies = g->l2_bytes / k->weight_bytes, whole = (double)(int64_t)cost_min(copies, 1e9);
    return whole + (whole < copies ? 1 : 0);
}

double cost_weight_copies(const cost_gpu *g, const kernel *k)
{
    if (k->copies <= 1 || k->weight_bytes <= 0) return 1;
    return k->weight_rotated ? cost_max(cost_min(k->copies, copies_that_fill(g, k)), 1) : k->copies;
}

cost_traffic cost_traffic_of(const cost_gpu *g, const kernel *k)
{
    cost_traffic t = {k->read_bytes + k->weight_bytes + k->write_bytes, 0};
    t.dram = t.total;
    double hot = cost_min(k->hot_bytes, k->read_bytes);
    if (hot > 0) {
        t.dram -= hot * cost_resident(g, cost_max(k->hot_distance, hot));
    }
    if (k->weight_bytes > 0 && k->weight_distance > 0) {
        double distance = cost_max(k->weight_distance, k->weight_bytes);
        if (k->weight_rotated) distance = cost_min(distance, copies_that_fill(g, k) * k->weight_bytes);
        t.dram -= k->weight_bytes * cost_resident(g, distance);
    }
    if (k->write_bytes > 0 && k->write_distance > 0) {
        t.dram -= k->write_bytes * cost_resident(g, cost_max(k->write_distance, k->write_bytes));
    }
    t.dram = cost_max(t.dram, 0);
    return t;
}

/* Batch normalisation gives a channel of NCHW data one thread block: few channels can't fill the GPU. */
double cost_channels_time(const cost_gpu *g, const kernel *k, cost_traffic t)
{
    if (k->channels_last) return 0;
    return t.total / (k->shape.rows.rows * g->c->train_channel_bytes * g->clock);
}

double cost_memory_time(const cost_gpu *g, cost_traffic t, double share)
{
    const cost_constants *c = g->c;
    if (t.total <= 0) {
        return 0;
    }
    double stream = cost_max(t.dram / (g->dram * share), t.total / g->l2);
    double ramp = c->memory_ramp_clocks * g->tick * t.total / (t.total + c->memory_ramp_mb * 1e6);
    return stream + ramp;
}
