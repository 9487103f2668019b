/* FP32 convolutions on the vector units: as implicit matrix products, and 3 x 3 windows as Winograd, in one kernel or in stages. */
#include "cost/parts.h"

static cost_matmul conv_product(const cost_gpu *g, double m, double n, double k, double batch, int tiles)
{
    return (cost_matmul){
        .m = m,
        .n = n,
        .k = k,
        .batch = batch,
        .depth = g->c->gemm_vector_depth,
        .slow = 1,
        .setup = g->c->gemm_vector_tile_clocks * g->tick,
        .splits = 1,
        .tiles = tiles,
    };
}

cost_matmul cost_conv_direct(const cost_gpu *g, const conv_shape *s, int tiles)
{
    double groups = cost_max(s->groups, 1);
    return conv_product(g, s->batch * s->oh * s->ow, s->out / groups, s->in / groups * s->kh * s->kw, groups, tiles);
}

static bool conv_winograd_fits(const conv_shape *s)
{
    return s->kh == 3 && s->kw == 3 && s->stride == 1 && s->dilation <= 1 && s->groups <= 1;
}

static double conv_ceil(double x)
{
    double whole = x < 1e15 ? (double)(int64_t)x : x;
    return whole + (whole < x ? 1 : 0);
}

/* The products of Winograd F(4x4) in stages: 36 for each 4 x 4 outputs, where the direct form has 9 * 16. A small image wastes part of
 * its last tiles. */
static cost_matmul conv_staged_products(const cost_gpu *g, const conv_shape *s)
{
    double spots = s->batch * conv_ceil(s->oh / 4) * conv_ceil(s->ow / 4);
    cost_matmul w = conv_product(g, spots, s->out, s->in, 36, g->tiles_staged);
    w.slow = 1 / g->conv_share;
    w.depth = 0;
    w.waves = true;
    return w;
}

static void conv_timed(const cost_gpu *g, const kernel *k, const cost_matmul *w, cost_traffic t, kernel_cost *out)
{
    out->operations = 2 * w->m * w->n * w->k * w->batch * g->c->conv_energy;
    out->compute_s = cost_power_limited(g, k, cost_matmul_best(g, k->math, w).seconds, out->operations);
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
}

static void conv_keep_faster(kernel_cost *best, const kernel_cost *other)
{
    if (other->seconds < best->seconds) {
        *best = *other;
    }
}

/* The weights' gradient: a product that sums over batch and pixels, whose result is small: K is split over the SMs. */
cost_matmul cost_conv_wgrad(const cost_gpu *g, const conv_shape *s, int tiles)
{
    double groups = cost_max(s->groups, 1);
    cost_matmul w = conv_product(g, s->out / groups, s->in / groups * s->kh * s->kw, s->batch * s->oh * s->ow, groups,
                                 tiles);
    w.splits = COST_WGRAD_SPLITS;
    return w;
}

/* What a stage leaves for the next one lies in L2 as far as it fits. */
static void traffic_add(const cost_gpu *g, cost_traffic *t, double bytes)
{
    t->total += bytes;
    t->dram += bytes * (1 - cost_resident(g, bytes));
}

/* Time of a kernel that reads or writes `t` outside of the convolution and `into` among its stages. */
static double transform_time(const cost_gpu *g, cost_traffic t, double into, double share)
{
    traffic_add(g, &t, into);
    return cost_memory_time(g, t, 1) * share;
}

/* Winograd in stages for the weights' gradient: the tiles of input and output gradient are transformed and multiplied over all
 * tiles, 36 products for each 4 x 4 outputs. */
static void conv_winograd_wgrad(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const conv_shape *s = &k->shape.conv;
    cost_matmul w = conv_staged_products(g, s);
    kernel_cost other = *out;
    double bytes = g->c->conv_transform_bytes * 2 * 36 * 4 * (s->in * s->out + w.m * (s->in + s->out));
    cost_traffic more = {t.total + bytes, t.dram + bytes * (1 - cost_resident(g, bytes))};
    w = conv_product(g, s->out, s->in, w.m, w.batch, g->tiles_staged);
    w.splits = COST_WGRAD_SPLITS;
    other.launches = 4;
    conv_timed(g, k, &w, more, &other);
    other.seconds = cost_max(other.seconds, other.compute_s + other.memory_s + g->floor * other.launches);
    conv_keep_faster(out, &other);
}

static void conv_direct(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    cost_matmul w = cost_conv_direct(g, &k->shape.conv, T_128x128 | T_128x64 | T_128x32);
    w.slow = g->c->gemm_vector_share / (g->c->conv_direct_share * g->conv_share);
    w.depth = 0;
    w.setup = g->c->conv_direct_clocks * g->tick;
    w.waves = true;
    conv_timed(g, k, &w, t, out);
}

/* Thread blocks of a fused kernel, F(2x2): each has 32 channels of 32 tiles of 2 x 2 outputs, of one image or, where there are kernels for
 * small ones, of two. */
static double fused_blocks(const cost_gpu *g, const conv_shape *s)
{
    double one = s->batch * conv_ceil(s->oh / 8) * conv_ceil(s->ow / 16), pairs = conv_ceil(s->batch / 2);
    if (g->conv_pairs) {
        one = cost_min(one, pairs * conv_ceil(s->oh / 8) * conv_ceil(s->ow / 8));
        one = cost_min(one, pairs * conv_ceil(s->oh / 4) * conv_ceil(s->ow / 16));
    }
    return one * conv_ceil(s->out / 32);
}

static void conv_fused(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const conv_shape *s = &k->shape.conv;
    double blocks = fused_blocks(g, s), each = 2 * 16 * 32 * 32 * conv_ceil(s->in / 8) * 8,
           weights = 4 * s->in * s->out;
    double seconds = conv_ceil(blocks / g->sms) *
                     (each * g->sms / (g->peak[k->math] * c->conv_fused_share * g->conv_share) +
                      c->conv_fused_clocks * g->tick);
    out->operations = blocks * each * c->conv_energy;
    out->compute_s = cost_power_limited(g, k, seconds, out->operations);
    out->memory_s = cost_memory_time(g, t, 1);
    out->launches = 2;
    cost_finish(g, out, t);
    cost_traffic filter = {9 * weights, 9 * weights};
    out->seconds += transform_time(g, filter, 16 * weights, c->conv_fused_filter);
}

/* In stages: input, weights and products all go through memory in their transformed form, one stage after the other. */
static void conv_staged(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const conv_shape *s = &k->shape.conv;
    cost_matmul w = conv_staged_products(g, s);
    double weights = 4 * s->in * s->out, in = 36 * 4 * w.m * s->in, result = 36 * 4 * w.m * s->out,
           missed = t.total > 0 ? t.dram / t.total : 1;
    cost_traffic read = {k->read_bytes, k->read_bytes * missed}, write = {k->write_bytes, k->write_bytes * missed},
                 filter = {9 * weights, 9 * weights}, among = {0, 0};
    double around = transform_time(g, read, in, c->conv_transform_bytes) +
                    transform_time(g, write, result, c->conv_transform_bytes) +
                    transform_time(g, filter, 36 * weights, c->conv_filter_bytes * g->conv_filter);
    traffic_add(g, &among, in);
    traffic_add(g, &among, result);
    traffic_add(g, &among, 36 * weights);
    out->launches = 4;
    out->operations = 2 * w.m * w.n * w.k * w.batch * c->conv_energy;
    out->compute_s = cost_matmul_best(g, k->math, &w).seconds;
    out->memory_s = cost_memory_time(g, among, 1);
    cost_finish(g, out, among);
    /* The limit acts on the mean power of all four. */
    out->seconds = cost_power_limited(g, k, out->seconds + around, out->operations);
    out->dram_bytes += t.dram + among.dram;
    out->among = 2 * among.total;
}

static void conv_gradient(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    cost_matmul w = cost_conv_wgrad(g, &k->shape.conv, T_128x128 | T_128x64 | T_128x32);
    conv_timed(g, k, &w, t, out);
    if (conv_winograd_fits(&k->shape.conv)) conv_winograd_wgrad(g, k, t, out);
}

void cost_conv_vector(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    static void (*const make[])(const cost_gpu *, const kernel *, cost_traffic, kernel_cost *) = {
        [CONV_DIRECT] = conv_direct, [CONV_FUSED] = conv_fused, [CONV_STAGED] = conv_staged};
    if (k->pass == PASS_WGRAD) {
        conv_gradient(g, k, t, out);
        return;
    }
    kernel_cost start = *out;
    if (!conv_winograd_fits(&k->shape.conv)) {
        conv_direct(g, k, t, out);
        return;
    }
    if (k->choice != CONV_BEST) {
        make[k->choice](g, k, t, out);
        return;
    }
    out->seconds = INFINITY;
    for (int i = CONV_DIRECT; i <= CONV_STAGED; i++) {
        kernel_cost other = start;
        make[i](g, k, t, &other);
        conv_keep_faster(out, &other);
    }
    out->seconds *= g->c->conv_chosen; /* by rules of thumb, now and then another one */
}
