/* Convolutions as implicit matrix products, as Winograd where that pays, and depthwise. */
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

static cost_matmul conv_direct(const cost_gpu *g, const conv_shape *s, int tiles)
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

/* Winograd with `tile` x `tile` outputs at a time: (tile + 2)^2 products where the direct form has 9 tile^2. The matrix
 * products run over tiles of pixels, so a small image wastes part of its last tiles; a fused kernel's thread block works on
 * 4 x 8 of them in one image. */
static cost_matmul conv_winograd(const cost_gpu *g, const conv_shape *s, double tile, int tiles)
{
    double spots = tile > 2 ? s->batch * conv_ceil(s->oh / tile) * conv_ceil(s->ow / tile)
                            : s->batch * 32 * conv_ceil(s->oh / 8) * conv_ceil(s->ow / 16);
    return conv_product(g, spots, s->out, s->in, (tile + 2) * (tile + 2), tiles);
}

static void conv_timed(const cost_gpu *g, const kernel *k, const cost_matmul *w, cost_traffic t, kernel_cost *out)
{
    double flops = 2 * w->m * w->n * w->k * w->batch;
    out->compute_s = cost_power_limited(g, k, cost_matmul_best(g, k->math, w).seconds, flops);
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
static cost_matmul conv_wgrad(const cost_gpu *g, const conv_shape *s, int tiles)
{
    double groups = cost_max(s->groups, 1);
    cost_matmul w = conv_product(g, s->out / groups, s->in / groups * s->kh * s->kw, s->batch * s->oh * s->ow, groups,
                                 tiles);
    w.splits = COST_WGRAD_SPLITS;
    return w;
}

/* Winograd in stages for the weights' gradient: the tiles of input and output gradient are transformed and multiplied over all
 * tiles, 36 products for each 4 x 4 outputs. */
static void conv_winograd_wgrad(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const conv_shape *s = &k->shape.conv;
    cost_matmul w = conv_winograd(g, s, 4, g->tiles_staged);
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

static void conv_vector(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const conv_shape *s = &k->shape.conv;
    bool wgrad = k->pass == PASS_WGRAD;
    int own = T_128x128 | T_128x64 | T_128x32;
    cost_matmul w = wgrad ? conv_wgrad(g, s, own) : conv_direct(g, s, own);
    kernel_cost other = *out;
    conv_timed(g, k, &w, t, out);
    if (!conv_winograd_fits(s)) {
        return;
    }
    if (wgrad) {
        conv_winograd_wgrad(g, k, t, out);
        return;
    }
    /* Fused: the transformed weights are written and read once, the rest stays on chip. */
    double weights = 4 * s->in * s->out;
    cost_traffic more = {t.total + 2 * 16 * weights, t.dram + 2 * 16 * weights * (1 - cost_resident(g, 16 * weights))};
    w = conv_winograd(g, s, 2, T_32x128);
    w.k *= w.batch; /* one thread block does all products of its tiles */
    w.batch = 1;
    w.slow = c->gemm_vector_share / c->conv_fused_share;
    other.launches = 2;
    conv_timed(g, k, &w, more, &other);
    conv_keep_faster(out, &other);
    /* In stages: input, weights and products all go through memory in their transformed form. */
    w = conv_winograd(g, s, 4, g->tiles_staged);
    double bytes = 2 * 36 * (c->conv_filter_bytes * weights + c->conv_transform_bytes * 4 * w.m * (s->in + s->out));
    more = (cost_traffic){t.total + bytes, t.dram + bytes * (1 - cost_resident(g, bytes))};
    other.launches = 4;
    conv_timed(g, k, &w, more, &other);
    /* One stage after the other: what cost_finish() hid is not hidden. */
    other.seconds = cost_max(other.seconds, other.compute_s + other.memory_s + g->floor * other.launches);
    conv_keep_faster(out, &other);
}

/* cuDNN 8.3 had no tensor-core kernel for some channels-last weight gradients: tiles on the vector units, each of which walks
 * over all of batch and pixels. */
static void conv_wgrad_whole(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    cost_matmul w = conv_wgrad(g, &k->shape.conv, COST_CONV_TILES);
    w.splits = 1;
    w.slow = g->c->gemm_vector_share / g->c->train_whole_share;
    out->compute_s = cost_matmul_best(g, PREC_FP32, &w).seconds;
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
}

/* Tensor cores want channels last: NCHW input is turned before the convolution and its result after it, by kernels of
 * their own that nothing hides. A product of pixels and channels can be had from NCHW data directly. */
static void conv_change_layout(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const conv_shape *s = &k->shape.conv;
    bool pointwise = s->kh * s->kw <= 1 && s->stride <= 1 && s->groups <= 1;
    double passes = pointwise ? g->c->conv_layout_pointwise : g->c->conv_layout_bytes;
    double bytes = passes * (k->read_bytes + k->write_bytes), missed = t.total > 0 ? t.dram / t.total : 1;
    if (!(bytes > 0)) return;
    cost_traffic extra = {bytes, bytes * missed};
    double seconds = cost_memory_time(g, extra, g->stream);
    out->memory_s += seconds;
    out->seconds += seconds + g->floor * (pointwise ? 0 : 2);
    out->dram_bytes += extra.dram;
    out->launches += pointwise ? 0 : 2;
}

static void conv_tensor(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    bool wgrad = k->pass == PASS_WGRAD;
    cost_matmul w = wgrad ? conv_wgrad(g, &k->shape.conv, COST_CONV_TILES)
                          : conv_direct(g, &k->shape.conv, COST_CONV_TILES);
    double flops = 2 * w.m * w.n * w.k * w.batch;
    w.depth = c->conv_tensor_k0;
    w.slow = c->gemm_tensor_share / c->conv_tensor_share;
    if (!wgrad) {
        /* Channels that are missing to fill the units count like channels that are there. */
        w.n += c->conv_tensor_n0;
        w.fine = true;
        w.splits = COST_SPLITS;
    }
    if (wgrad) w.slow /= c->train_wgrad_share;
    out->compute_s = cost_power_limited(g, k, cost_matmul_best(g, k->math, &w).seconds, flops);
    if (!k->channels_last && k->pass != PASS_FORWARD) { /* turned as part of longer kernels */
        double extra = c->train_layout_bytes * (k->read_bytes + k->write_bytes);
        t.total += extra;
        t.dram += extra * (t.dram / cost_max(t.total - extra, 1));
        out->launches += extra > 0 ? 1 : 0;
    }
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
    if (!k->channels_last && k->pass == PASS_FORWARD) conv_change_layout(g, k, t, out);
}

void cost_conv(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    if (k->pass == PASS_WGRAD_WHOLE) {
        conv_wgrad_whole(g, k, t, out);
    } else if (g->tensor[k->math]) {
        conv_tensor(g, k, t, out);
    } else {
        conv_vector(g, k, t, out);
    }
}

/* One channel has no matrix product: the vector units do it, far from their peak. */
void cost_depthwise(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    const cost_constants *c = g->c;
    const conv_shape *s = &k->shape.conv;
    double share = c->conv_depthwise_share * (k->channels_last ? c->conv_depthwise_nhwc : 1);
    double flops = 2 * s->batch * s->out * s->oh * s->ow * (s->kh * s->kw + c->conv_depthwise_taps);
    out->compute_s = flops / (g->peak[PREC_FP32] * cost_min(share, 1));
    double miss = k->pass == PASS_WGRAD ? c->train_depthwise_miss : g->l1_miss; /* each tap is a sum of its own */
    t.total += k->read_bytes * (s->kh * s->kw - 1) * miss;
    out->memory_s = cost_memory_time(g, t, 1);
    cost_finish(g, out, t);
}
