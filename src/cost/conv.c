/* Convolutions on tensor cores as implicit matrix products, and depthwise; conv_vector.c has those of the FP32 units. */
#include "cost/parts.h"

/* cuDNN 8.3 had no tensor-core kernel for some channels-last weight gradients: tiles on the vector units, each of which walks
 * over all of batch and pixels. */
static void conv_wgrad_whole(const cost_gpu *g, const kernel *k, cost_traffic t, kernel_cost *out)
{
    cost_matmul w = cost_conv_wgrad(g, &k->shape.conv, COST_CONV_TILES);
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
    cost_matmul w = wgrad ? cost_conv_wgrad(g, &k->shape.conv, COST_CONV_TILES)
                          : cost_conv_direct(g, &k->shape.conv, COST_CONV_TILES);
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
        cost_conv_vector(g, k, t, out);
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
