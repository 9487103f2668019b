/* Backward of what the arithmetic decides: matrix products, convolutions with their normalisation, attention, recurrent layers. */
#include "predict/backward.h"

static void bias_gradient(planner *p, uint32_t bias, uint32_t out)
{
    if (backward_wants(p, bias))
        backward_sum_to(p, backward_elements(p, out), backward_width(p, out), p->train->born[out], bias, STEP_WGRAD);
}

static void product_gradient(planner *p, const kernel *like, gemm_shape s, uint32_t other, uint32_t to, step_role role)
{
    kernel k;
    memset(&k, 0, sizeof k);
    k.kind = KERNEL_GEMM;
    k.math = like->math;
    k.shape.gemm = s;
    k.flops = like->flops;
    backward_read(p, &k, plan_out(p, 0));
    backward_read_saved(p, &k, other);
    backward_emit(p, &k, to, role);
}

void backward_gemm(planner *p)
{
    const kernel *found = backward_forward(p);
    uint32_t a = plan_in(p, 0), b = plan_in(p, 1);
    if (!found || found->kind != KERNEL_GEMM) return;
    kernel f; /* the array of kernels grows meanwhile */
    memcpy(&f, found, sizeof f);
    gemm_shape s = f.shape.gemm;
    if (backward_wants(p, a)) product_gradient(p, &f, (gemm_shape){s.m, s.k, s.n, s.batch}, b, a, STEP_BACKWARD);
    if (backward_wants(p, b)) product_gradient(p, &f, (gemm_shape){s.k, s.n, s.m, s.batch}, a, b, backward_role(p, b));
    if (p->u->n_in > 2) bias_gradient(p, plan_in(p, 2), plan_out(p, 0));
}

/* The gradient of a convolution's input is a convolution from its output channels to its input channels; at a stride it has
 * 1 / stride^2 of the window for each pixel. */
static conv_shape exchanged(const conv_shape *s)
{
    conv_shape x = *s;
    double stride = s->stride > 1 ? s->stride : 1;
    x.in = s->out;
    x.out = s->in;
    x.h = s->oh;
    x.w = s->ow;
    x.oh = s->h;
    x.ow = s->w;
    x.stride = 1;
    if (s->h > s->oh) x.kh = s->kh * s->oh / s->h;
    if (s->w > s->ow) x.kw = s->kw * s->ow / s->w;
    if (stride == 1) x.kh = s->kh, x.kw = s->kw;
    return x;
}

void backward_batch_norm(planner *p, uint32_t x, double born)
{
    uint32_t out = plan_out(p, 0);
    double n = backward_elements(p, out), saved = n * p->v[x].width, channels = plan_channels(p, out);
    kernel k = plan_kernel_rows(p, KERNEL_REDUCE, channels, n / channels, 4 * n);
    k.pass = PASS_STATISTICS;
    k.channels_last = p->v[out].strided;
    backward_read(p, &k, out);
    plan_read_bytes(p, &k, saved, born);
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    double again = p->clock - saved - n * backward_width(p, out);
    k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, channels, n / channels, 6 * n);
    k.pass = PASS_STATISTICS;
    k.channels_last = p->v[out].strided;
    plan_read_bytes(p, &k, n * backward_width(p, out), again);
    plan_read_bytes(p, &k, saved, again);
    k.write_bytes = saved;
    p->train->silent = true;
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    p->train->born[out] = p->clock;
}

/* Channels-last weight gradients on tensor cores, as far as cuDNN 8.3 had them: channels in eights, and groups of 4, 8, 16 or 32. */
static bool is_whole(const planner *p, const kernel *f)
{
    const conv_shape *s = &f->shape.conv;
    double in = s->in / s->groups, out = s->out / s->groups;
    if (!p->opt.legacy || !f->channels_last || f->kind != KERNEL_CONV || f->math == PREC_FP32 || s->groups < 2)
        return false;
    return in != out || in > 32 || (in > 4 && !plan_multiple(in, 8));
}

void backward_conv(planner *p)
{
    const kernel *found = backward_forward(p);
    uint32_t x = plan_in(p, 0), w = plan_in(p, 1), out = plan_out(p, 0);
    if (!found || (found->kind != KERNEL_CONV && found->kind != KERNEL_DEPTHWISE)) return;
    kernel f;
    memcpy(&f, found, sizeof f);
    bool norm = (p->u->flags & UNIT_BN_FOLDED) && !p->rt->fold_batch_norm;
    if (norm) backward_batch_norm(p, out, p->v[out].born);
    bool own = !norm || (p->u->flags & UNIT_BIAS_FOLDED);
    if (own && p->u->n_in > 2) bias_gradient(p, plan_in(p, 2), out);
    if (norm && p->u->n_in > 2 && backward_wants_in(p, 2))
        backward_count(p, plan_in(p, 2)); /* comes with the norm's sums */
    if (backward_wants(p, x)) {
        kernel k = f;
        k.pass = PASS_DGRAD;
        k.shape.conv = exchanged(&f.shape.conv);
        if (p->u->kind == OP_ConvTranspose) k.shape.conv = f.shape.conv;
        k.read_bytes = k.weight_bytes = k.write_bytes = k.hot_bytes = k.hot_distance = 0;
        backward_read(p, &k, out);
        plan_read(p, &k, w);
        backward_emit(p, &k, x, STEP_BACKWARD);
    }
    if (backward_wants(p, w)) {
        kernel k = f;
        k.pass = is_whole(p, &f) ? PASS_WGRAD_WHOLE : PASS_WGRAD;
        k.read_bytes = k.weight_bytes = k.write_bytes = k.hot_bytes = k.hot_distance = 0;
        backward_read(p, &k, out);
        backward_read_saved(p, &k, x);
        backward_emit(p, &k, w, STEP_WGRAD);
    }
}

void backward_attention(planner *p)
{
    const kernel *found = backward_forward(p);
    uint32_t out = plan_out(p, 0);
    if (!found || (found->kind != KERNEL_ATTENTION && found->kind != KERNEL_GEMM)) return;
    kernel k;
    memcpy(&k, found, sizeof k);
    if (k.kind == KERNEL_GEMM) {
        attention_plain_backward(p, &k);
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (backward_wants_in(p, i)) backward_give(p, plan_in(p, i));
        return;
    }
    double width = p->v[out].width, wrote = 0;
    k.pass = PASS_DGRAD;
    k.flops *= 2.5;
    k.read_bytes = k.weight_bytes = k.write_bytes = k.hot_bytes = k.hot_distance = 0;
    backward_read(p, &k, out);
    backward_read_saved(p, &k, out);
    for (uint32_t i = 0; i < p->u->n_in; i++) {
        uint32_t t = plan_in(p, i);
        backward_read_saved(p, &k, t);
        if (backward_wants(p, t)) wrote += backward_elements(p, t) * (i < 3 ? width : backward_width(p, t));
    }
    k.write_bytes = wrote;
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    for (uint32_t i = 0; i < p->u->n_in; i++)
        if (backward_wants_in(p, i)) backward_give(p, plan_in(p, i));
}

/* The steps backwards cost what they cost forward; the weights' gradients are one product over all steps. */
void backward_recurrent(planner *p)
{
    const kernel *found = backward_forward(p);
    if (!found || found->kind != KERNEL_RECURRENT) return;
    kernel k, f;
    memcpy(&f, found, sizeof f);
    k = f;
    const recurrent_shape *s = &f.shape.recurrent;
    backward_read(p, &k, plan_out(p, 0));
    if (backward_wants_in(p, 0)) backward_emit(p, &k, plan_in(p, 0), STEP_BACKWARD);
    else plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    memset(&k, 0, sizeof k);
    k.kind = KERNEL_GEMM;
    k.math = f.math;
    k.shape.gemm = (gemm_shape){s->gates * s->hidden, s->input + s->hidden, s->steps * s->batch, s->directions};
    k.flops = f.flops;
    backward_read(p, &k, plan_out(p, 0));
    backward_read_saved(p, &k, plan_in(p, 0));
    for (uint32_t i = 1; i < p->u->n_in; i++)
        if (backward_wants_in(p, i))
            k.write_bytes += backward_elements(p, plan_in(p, i)) * backward_width(p, plan_in(p, i));
    plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
    for (uint32_t i = 1; i < p->u->n_in; i++)
        if (backward_wants_in(p, i)) backward_give(p, plan_in(p, i));
}
