/* Convolutions: what layout they run in, and what runs with them. */
#include "predict/lower.h"

static double attr_at(const planner *p, attr_key key, uint32_t i, double fallback)
{
    const int64_t *v = NULL;
    uint32_t n = op_attr_ints(p->g, lower_op(p), key, &v);
    return i < n && v[i] > 0 ? (double)v[i] : fallback;
}

static conv_shape conv_of(const planner *p, uint32_t x, uint32_t w, uint32_t out)
{
    conv_shape s;
    int rank = plan_shape(p, x)->rank;
    memset(&s, 0, sizeof s);
    uint32_t spatial = rank > 2 ? (uint32_t)rank - 2 : 0;
    bool transposed = p->u->kind == OP_ConvTranspose;
    int first = lower_op(p)->flags & OPF_CHANNELS_LAST ? 1 : 2,
        last = first + (int)spatial - 1; /* of the spatial dims */
    double fan = lower_dim(p, w, 1);
    s.batch = lower_dim(p, x, 0);
    s.in = plan_channels(p, x);
    s.out = plan_channels(p, out);
    s.groups = (double)op_attr_int(p->g, lower_op(p), ATTR_group, 1);
    if (s.groups == 0 && fan > 0) s.groups = floor(s.in / fan); /* the weights tell */
    if (s.groups < 1) s.groups = 1;
    s.h = lower_dims(p, x, first, last);
    s.w = spatial ? lower_dim(p, x, last) : 1;
    s.oh = lower_dims(p, out, first, last);
    s.ow = spatial ? lower_dim(p, out, last) : 1;
    s.kh = lower_dims(p, w, 2, rank - 1);
    s.kw = spatial ? lower_dim(p, w, -1) : 1;
    s.stride = attr_at(p, ATTR_strides, spatial ? spatial - 1 : 0, 1);
    s.dilation = attr_at(p, ATTR_dilations, spatial ? spatial - 1 : 0, 1);
    if (spatial == 1) s.h = s.oh = s.kh = 1;
    if (transposed) { /* costed as the convolution whose backward pass it is */
        double t = s.in;
        s.in = s.out;
        s.out = t;
        t = s.h;
        s.h = s.oh;
        s.oh = t;
        t = s.w;
        s.w = s.ow;
        s.ow = t;
    }
    return s;
}

/* PyTorch convolves channels last where the data or the weights are; what is not gets copied first. */
static bool conv_is_last(planner *p, uint32_t x, uint32_t w)
{
    if (p->rt->channels_last || !p->rt->strided_views) return p->opt.channels_last;
    bool weights = p->opt.channels_last && p->rt->strided_views && plan_shape(p, x)->rank == 4 &&
                   p->g->tensors[w].role == ROLE_WEIGHT && plan_channels(p, x) > 1;
    if (!weights && !view_is_channels_last(p, x)) return false;
    plan_cast(p, x, lower_width(p));
    if (lower_dim(p, x, 2) * lower_dim(p, x, 3) > 1 && !view_is_packed_last(p, x)) {
        p->v[x].strided = true; /* whatever it was: it is copied */
        plan_contiguous(p, x);
    }
    view_set_channels_last(p, x);
    return true;
}

/* Inductor turns all images of a model to channels last unless grouped convolutions, which it expects to be slower for it,
 * outweigh the others: torch/_inductor/graph.py, decide_layout_opt, for inference, with its measured ratios of time. */
bool convs_want_channels_last(planner *p)
{
    static const double grouped = 1.358, small = 0.783, narrowing = 0.725, other = 0.823;
    double all = 0, last = 0;
    for (uint32_t i = 0; i < p->us->n; i++) {
        p->u = &p->us->u[i];
        uint32_t x, w, out = plan_out(p, 0);
        if (unit_work(p->u) != WORK_CONV) continue;
        lower_operands(p, &x, &w);
        if (x == NO_TENSOR || w == NO_TENSOR || out == NO_TENSOR) continue;
        conv_shape s = conv_of(p, x, w, out);
        double in = s.in / s.groups, flops = s.batch * s.oh * s.ow * s.out * in * s.kh * s.kw * p->u->trips;
        double ratio = s.groups > 1 && in > 1      ? grouped
                     : s.out <= 64 && in <= 64     ? small
                     : s.out * 2 <= in && s.kh > 1 ? narrowing
                                                   : other;
        all += flops;
        last += flops * ratio;
    }
    return last <= all;
}

/* cuDNN pads channels-last data to eight channels with kernels of their own, as it changes the layout of NCHW data. */
static bool is_padded(const kernel *k)
{
    const conv_shape *s = &k->shape.conv;
    return k->math != PREC_FP32 && s->groups < 2 && s->in > 4 &&
           (!plan_multiple(s->in, 8) || !plan_multiple(s->out, 8));
}

/* Eagerly, a normalisation that the file folded away reads what the convolution wrote; and tensor cores want channels last, so
 * that NCHW data and results are turned in a workspace. Larger windows have kernels that do without one where it doesn't fit. */
static void beside_conv(planner *p, const kernel *k, bool last, bool norm)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    const conv_shape *s = &k->shape.conv;
    if (!p->rt->strided_views || p->rt->fuse_pointwise) return;
    if (norm && !p->train) p->beside[p->ui] += value_bytes(&p->v[out]);
    if (last || k->kind != KERNEL_CONV || lower_width(p) >= 4) return;
    if (s->groups <= 1 && s->kh * s->kw <= 1) p->beside[p->ui] += value_bytes(&p->v[x]) + value_bytes(&p->v[out]);
}

void lower_conv(planner *p)
{
    uint32_t x, w, out = plan_out(p, 0);
    lower_operands(p, &x, &w);
    if (x == NO_TENSOR || w == NO_TENSOR || out == NO_TENSOR) return;
    kernel k = lower_kernel(lower_precision(p, p->rt->conv_tf32), KERNEL_CONV);
    bool last = conv_is_last(p, x, w);
    lower_prepare(p, x, !last);
    if (p->train && !last && p->opt.channels_last && p->v[x].elements > 0 &&
        plan_shape(p, x)->rank == 4) { /* PyTorch: channels-last weights decide */
        plan_relayout(p, x);
        last = true;
    }
    lower_prepare(p, w, false);
    k.shape.conv = conv_of(p, x, w, out);
    k.channels_last = last && !(p->train && is_padded(&k));
    const conv_shape *s = &k.shape.conv;
    if (s->groups > 1 && s->groups >= s->in && s->groups >= 2) k.kind = KERNEL_DEPTHWISE;
    k.flops = 2 * s->batch * s->oh * s->ow * s->out * (s->in / s->groups) * s->kh * s->kw;
    bool separate = p->rt->conv_bias_kernel;
    bool norm = separate && (p->u->flags & UNIT_BN_FOLDED) && !p->rt->fold_batch_norm;
    bool own = !norm || (p->u->flags & UNIT_BIAS_FOLDED); /* beside what came from the normalisation */
    bool bias = separate && own && (p->u->flags & UNIT_BIAS) && k.kind != KERNEL_DEPTHWISE;
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    plan_result(p, &k, out, lower_width(p));
    if (p->cluster_of[p->ui]) return; /* what follows runs inside or is fused with the next kernel */
    if (last && p->rt->strided_views) view_set_channels_last(p, out);
    beside_conv(p, &k, last, norm);
    if (bias && !p->rt->fuse_pointwise) lower_after(p, out, STEP_BIAS, 1); /* a kernel of its own */
    if (norm && p->train) {
        train_statistics(p, out, !p->rt->fuse_pointwise);
        p->train->trace[p->ui].kept += p->v[out].stored * p->v[out].width; /* what the normalisation read */
    } else if (norm && !p->rt->fuse_pointwise) lower_after(p, out, STEP_NORM, 2);
}
