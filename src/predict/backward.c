/* Backward by operator: the kernels that autograd launches for the gradients of a unit's inputs, given that of its result. */
#include "predict/planner.h"

static double elements(const planner *p, uint32_t t)
{
    return t == NO_TENSOR || p->v[t].elements < 0 ? 0 : p->v[t].elements / p->v[t].shards;
}

static bool is_weight(const planner *p, uint32_t t)
{
    return p->g->tensors[t].role == ROLE_WEIGHT;
}

static bool wanted(const planner *p, uint32_t t)
{
    return t != NO_TENSOR && p->train->needs[t];
}

static bool wants(const planner *p, uint32_t i)
{
    return wanted(p, plan_in(p, i));
}

/* A gradient has the width of its value; that of a weight the width at which the weight was used. */
double backward_width(const planner *p, uint32_t t)
{
    return p->v[t].width;
}

static void read_gradient(planner *p, kernel *k, uint32_t t)
{
    plan_read_bytes(p, k, elements(p, t) * backward_width(p, t), p->train->born[t]);
}

static void read_saved(planner *p, kernel *k, uint32_t t)
{
    if (t == NO_TENSOR) return;
    if (is_weight(p, t)) plan_read(p, k, t);
    else plan_read_bytes(p, k, value_bytes(&p->v[t]), p->v[t].born);
}

static void rows_emit(planner *p, kernel *k, uint32_t to, step_role role)
{
    k->write_bytes += elements(p, to) * backward_width(p, to);
    plan_emit(p, k, role, OP_KIND_COUNT);
    backward_give(p, to);
}

static kernel pointwise(planner *p, double n, double flops)
{
    return plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n * flops);
}

void backward_give(planner *p, uint32_t t)
{
    train *tr = p->train;
    double n = elements(p, t);
    bool weight = is_weight(p, t), cast = weight && p->opt.autocast && p->v[t].width < 4;
    if (cast) { /* the half gradient of the half copy */
        kernel k = plan_kernel_rows(p, KERNEL_COPY, n, 1, n);
        plan_read_bytes(p, &k, n * p->v[t].width, p->clock);
        k.write_bytes = n * 4;
        plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
    }
    /* zeroed gradients are added to; absent ones (PyTorch 2) take over what arrives first */
    if (tr->parts[t] || (weight && p->opt.legacy)) {
        kernel k = pointwise(p, n, 1);
        double bytes = n * (cast ? 4 : backward_width(p, t));
        plan_read_bytes(p, &k, bytes, p->clock);
        plan_read_bytes(p, &k, bytes, tr->parts[t] ? tr->born[t] : -1);
        k.write_bytes = bytes;
        plan_emit(p, &k, STEP_SUM, OP_KIND_COUNT);
    }
    if (tr->parts[t] < UINT16_MAX) tr->parts[t]++;
    tr->born[t] = p->clock;
}

/* The same memory seen in another shape: no kernel, but a sum where another gradient is there. */
static void pass_on(planner *p, uint32_t from, uint32_t to)
{
    double born = p->train->born[from];
    backward_give(p, to);
    if (p->train->parts[to] == 1) p->train->born[to] = born;
}

/* A gradient of `from` elements summed up to the smaller `to` that was broadcast. */
static void sum_to(planner *p, double from, double width, double born, uint32_t to, step_role role)
{
    double n = elements(p, to) > 0 ? elements(p, to) : 1;
    kernel k = plan_kernel_rows(p, KERNEL_REDUCE, n, from / n, from);
    plan_read_bytes(p, &k, from * width, born);
    rows_emit(p, &k, to, role);
}

/* ---- what the backward pass reads ---- */

/* Derivatives of these are functions of their result. */
static bool keeps_result(op_kind k)
{
    return k == OP_Relu || k == OP_Sigmoid || k == OP_Tanh || k == OP_Exp || k == OP_Sqrt || k == OP_Rsqrt ||
           k == OP_Reciprocal || k == OP_LeakyRelu || k == OP_Elu || k == OP_Softmax || k == OP_LogSoftmax;
}

uint32_t backward_keeps(const planner *p, const unit *u)
{
    uint32_t out = u->n_out ? unit_out(p->us, u)[0] : NO_TENSOR;
    if (!wanted(p, out)) return 0;
    const uint32_t *in = unit_in(p->us, u);
    bool first = u->n_in > 0 && wanted(p, in[0]), second = u->n_in > 1 && wanted(p, in[1]);
    switch (op_work_class((op_kind)u->kind)) {
    case WORK_ELEMENTWISE:
        if (keeps_result((op_kind)u->kind)) return KEEPS_OUTPUT;
        if (u->kind == OP_Add || u->kind == OP_Sub || u->kind == OP_Sum || u->kind == OP_Neg) return 0;
        if (u->kind == OP_Mul || u->kind == OP_Div) return (second ? 1u : 0) | (first ? 2u : 0);
        if (u->kind == OP_Where) return 1;
        return u->n_in > 1 ? 3 : 1;
    case WORK_GEMM:
    case WORK_EINSUM:
    case WORK_CONV: return (second ? 1u : 0) | (first ? 2u : 0);
    case WORK_ATTENTION: return p->opt.legacy ? 7u : 15u | KEEPS_OUTPUT; /* plain: the scores instead of the result */
    case WORK_RECURRENT: return 1u | KEEPS_OUTPUT;
    case WORK_SOFTMAX: return KEEPS_OUTPUT;
    case WORK_NORM:
    case WORK_BATCHNORM: return 1;
    case WORK_POOL: return u->kind == OP_MaxPool ? 1 : 0;
    case WORK_GATHER: return 2;
    case WORK_SCATTER: return 2;
    case WORK_OTHER:
    case WORK_SCAN_OP: return 1;
    default: return 0;
    }
}

/* ---- products ---- */

static const kernel *main_kernel(const planner *p)
{
    uint32_t step = p->train->trace[p->ui].step;
    return step ? &p->out->kernels[p->out->steps[step - 1].kernel].k : NULL;
}

static void bias_gradient(planner *p, uint32_t bias, uint32_t out)
{
    if (wanted(p, bias)) sum_to(p, elements(p, out), backward_width(p, out), p->train->born[out], bias, STEP_WGRAD);
}

static void product_gradient(planner *p, const kernel *like, gemm_shape s, uint32_t other, uint32_t to, step_role role)
{
    kernel k;
    memset(&k, 0, sizeof k);
    k.kind = KERNEL_GEMM;
    k.math = like->math;
    k.shape.gemm = s;
    k.flops = like->flops;
    read_gradient(p, &k, plan_out(p, 0));
    read_saved(p, &k, other);
    rows_emit(p, &k, to, role);
}

static void gemm_backward(planner *p)
{
    const kernel *found = main_kernel(p);
    uint32_t a = plan_in(p, 0), b = plan_in(p, 1);
    if (!found || found->kind != KERNEL_GEMM) return;
    kernel f; /* the array of kernels grows meanwhile */
    memcpy(&f, found, sizeof f);
    gemm_shape s = f.shape.gemm;
    if (wanted(p, a)) product_gradient(p, &f, (gemm_shape){s.m, s.k, s.n, s.batch}, b, a, STEP_BACKWARD);
    if (wanted(p, b))
        product_gradient(p, &f, (gemm_shape){s.k, s.n, s.m, s.batch}, a, b,
                         is_weight(p, b) ? STEP_WGRAD : STEP_BACKWARD);
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

static void batch_norm_backward(planner *p, uint32_t x, double born)
{
    uint32_t out = plan_out(p, 0);
    double n = elements(p, out), saved = n * p->v[x].width, channels = plan_channels(p, out);
    kernel k = plan_kernel_rows(p, KERNEL_REDUCE, channels, n / channels, 4 * n);
    k.pass = PASS_STATISTICS;
    k.channels_last = p->v[out].strided;
    read_gradient(p, &k, out);
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

static void conv_backward(planner *p)
{
    const kernel *found = main_kernel(p);
    uint32_t x = plan_in(p, 0), w = plan_in(p, 1), out = plan_out(p, 0);
    if (!found || (found->kind != KERNEL_CONV && found->kind != KERNEL_DEPTHWISE)) return;
    kernel f;
    memcpy(&f, found, sizeof f);
    bool norm = (p->u->flags & UNIT_BN_FOLDED) && !p->rt->fold_batch_norm;
    if (norm) batch_norm_backward(p, out, p->v[out].born);
    if (!norm && p->u->n_in > 2) bias_gradient(p, plan_in(p, 2), out);
    if (norm && p->u->n_in > 2 && wants(p, 2)) p->train->parts[plan_in(p, 2)]++; /* comes with the norm's sums */
    if (wanted(p, x)) {
        kernel k = f;
        k.pass = PASS_DGRAD;
        k.shape.conv = exchanged(&f.shape.conv);
        if (p->u->kind == OP_ConvTranspose) k.shape.conv = f.shape.conv;
        k.read_bytes = k.weight_bytes = k.write_bytes = k.hot_bytes = k.hot_distance = 0;
        read_gradient(p, &k, out);
        plan_read(p, &k, w);
        rows_emit(p, &k, x, STEP_BACKWARD);
    }
    if (wanted(p, w)) {
        kernel k = f;
        k.pass = is_whole(p, &f) ? PASS_WGRAD_WHOLE : PASS_WGRAD;
        k.read_bytes = k.weight_bytes = k.write_bytes = k.hot_bytes = k.hot_distance = 0;
        read_gradient(p, &k, out);
        read_saved(p, &k, x);
        rows_emit(p, &k, w, STEP_WGRAD);
    }
}

static void attention_backward(planner *p)
{
    const kernel *found = main_kernel(p);
    uint32_t out = plan_out(p, 0);
    if (!found || (found->kind != KERNEL_ATTENTION && found->kind != KERNEL_GEMM)) return;
    kernel k;
    memcpy(&k, found, sizeof k);
    if (k.kind == KERNEL_GEMM) {
        attention_plain_backward(p, &k);
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (wants(p, i)) backward_give(p, plan_in(p, i));
        return;
    }
    double width = p->v[out].width, wrote = 0;
    k.pass = PASS_DGRAD;
    k.flops *= 2.5;
    k.read_bytes = k.weight_bytes = k.write_bytes = k.hot_bytes = k.hot_distance = 0;
    read_gradient(p, &k, out);
    read_saved(p, &k, out);
    for (uint32_t i = 0; i < p->u->n_in; i++) {
        uint32_t t = plan_in(p, i);
        read_saved(p, &k, t);
        if (wanted(p, t)) wrote += elements(p, t) * (i < 3 ? width : backward_width(p, t));
    }
    k.write_bytes = wrote;
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    for (uint32_t i = 0; i < p->u->n_in; i++)
        if (wants(p, i)) backward_give(p, plan_in(p, i));
}

/* The steps backwards cost what they cost forward; the weights' gradients are one product over all steps. */
static void recurrent_backward(planner *p)
{
    const kernel *found = main_kernel(p);
    if (!found || found->kind != KERNEL_RECURRENT) return;
    kernel k, f;
    memcpy(&f, found, sizeof f);
    k = f;
    const recurrent_shape *s = &f.shape.recurrent;
    read_gradient(p, &k, plan_out(p, 0));
    if (wants(p, 0)) rows_emit(p, &k, plan_in(p, 0), STEP_BACKWARD);
    else plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    memset(&k, 0, sizeof k);
    k.kind = KERNEL_GEMM;
    k.math = f.math;
    k.shape.gemm = (gemm_shape){s->gates * s->hidden, s->input + s->hidden, s->steps * s->batch, s->directions};
    k.flops = f.flops;
    read_gradient(p, &k, plan_out(p, 0));
    read_saved(p, &k, plan_in(p, 0));
    for (uint32_t i = 1; i < p->u->n_in; i++)
        if (wants(p, i)) k.write_bytes += elements(p, plan_in(p, i)) * backward_width(p, plan_in(p, i));
    plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
    for (uint32_t i = 1; i < p->u->n_in; i++)
        if (wants(p, i)) backward_give(p, plan_in(p, i));
}

/* ---- what mostly moves bytes ---- */

/* d x of a function of the same size: reads the gradient and what was kept. */
static void unary_backward(planner *p, double flops)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (!wanted(p, x)) return;
    kernel k = pointwise(p, elements(p, out), flops);
    read_gradient(p, &k, out);
    read_saved(p, &k, backward_keeps(p, p->u) == KEEPS_OUTPUT ? out : x);
    rows_emit(p, &k, x, STEP_BACKWARD);
}

/* One factor's gradient: the product with the other, then a sum where the factor was broadcast. */
static void factor_backward(planner *p, uint32_t t, uint32_t other, double flops)
{
    uint32_t out = plan_out(p, 0);
    double n = elements(p, out);
    kernel k = pointwise(p, n, flops);
    if (!wanted(p, t)) return;
    read_gradient(p, &k, out);
    read_saved(p, &k, other);
    if (elements(p, t) == n) {
        rows_emit(p, &k, t, STEP_BACKWARD);
        return;
    }
    k.write_bytes = n * backward_width(p, out);
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    sum_to(p, n, backward_width(p, out), p->clock, t, is_weight(p, t) ? STEP_WGRAD : STEP_BACKWARD);
}

static void sum_backward(planner *p, uint32_t i)
{
    uint32_t t = plan_in(p, i), out = plan_out(p, 0);
    if (!wanted(p, t)) return;
    if (elements(p, t) == elements(p, out)) pass_on(p, out, t);
    else
        sum_to(p, elements(p, out), backward_width(p, out), p->train->born[out], t,
               is_weight(p, t) ? STEP_WGRAD : STEP_BACKWARD);
}

static void pointwise_backward(planner *p)
{
    double flops = op_flops_per_element((op_kind)p->u->kind) + 1;
    if (p->u->n_in == 1 || (p->u->kind == OP_Clip)) {
        unary_backward(p, flops);
        return;
    }
    switch (p->u->kind) {
    case OP_Add:
        if (p->u->n_in == 3) { /* c + a * b */
            factor_backward(p, plan_in(p, 0), plan_in(p, 1), 1);
            factor_backward(p, plan_in(p, 1), plan_in(p, 0), 1);
            sum_backward(p, 2);
            return;
        }
        /* fall through */
    case OP_Sub:
    case OP_Sum:
        for (uint32_t i = 0; i < p->u->n_in; i++) sum_backward(p, i);
        return;
    case OP_Where:
        for (uint32_t i = 1; i < 3; i++) factor_backward(p, plan_in(p, i), plan_in(p, 0), 1);
        return;
    default:
        for (uint32_t i = 0; i < p->u->n_in; i++) factor_backward(p, plan_in(p, i), plan_in(p, i ? 0 : 1), flops);
    }
}

static void norm_backward(planner *p)
{
    const kernel *found = main_kernel(p);
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    double n = elements(p, out);
    if (!found) return;
    double rows = found->shape.rows.rows, cols = found->shape.rows.cols;
    if (wanted(p, x)) {
        kernel k = plan_kernel_rows(p, KERNEL_NORM, rows, cols, 2 * n * op_flops_per_element((op_kind)p->u->kind));
        k.pass = PASS_DGRAD;
        read_gradient(p, &k, out);
        read_saved(p, &k, x);
        rows_emit(p, &k, x, STEP_BACKWARD);
    }
    /* scale and shift: sums over all rows */
    kernel k = plan_kernel_rows(p, KERNEL_REDUCE, cols, rows, 3 * n);
    read_gradient(p, &k, out);
    read_saved(p, &k, x);
    k.write_bytes = 8 * cols;
    p->train->silent = wanted(p, x);
    plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
    for (uint32_t i = 1; i < p->u->n_in; i++) {
        uint32_t t = plan_in(p, i);
        if (!wanted(p, t)) continue;
        if (elements(p, t) == n) pass_on(p, out, t); /* a sum that is normalised with it */
        else if (p->train->parts[t] < UINT16_MAX) p->train->parts[t]++;
    }
}

static void softmax_backward(planner *p)
{
    const kernel *found = main_kernel(p);
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (!wanted(p, x) || !found) return;
    kernel k = plan_kernel_rows(p, KERNEL_SOFTMAX, found->shape.rows.rows, found->shape.rows.cols,
                                4 * elements(p, out));
    read_gradient(p, &k, out);
    read_saved(p, &k, out);
    rows_emit(p, &k, x, STEP_BACKWARD);
}

/* Writes a whole input from a smaller or larger result: pooling, reductions, resizing, slices, scatters. `fill`: the input's
 * gradient is zeroed first. */
static void spread(planner *p, uint32_t x, kernel_kind kind, double extra, bool fill)
{
    uint32_t out = plan_out(p, 0);
    double n = elements(p, x), bytes = n * backward_width(p, x);
    if (!wanted(p, x)) return;
    if (fill) {
        kernel k = plan_kernel_rows(p, KERNEL_COPY, n, 1, 0);
        k.write_bytes = bytes;
        plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    }
    kernel k = plan_kernel_rows(p, kind, fill ? elements(p, out) : n, 1, n);
    read_gradient(p, &k, out);
    plan_read_bytes(p, &k, extra, -1);
    k.write_bytes = fill ? elements(p, out) * backward_width(p, x) : bytes;
    plan_emit(p, &k, is_weight(p, x) ? STEP_WGRAD : STEP_BACKWARD, OP_KIND_COUNT);
    backward_give(p, x);
}

/* Each input looks at all windows that it lies in; a maximum also at the 8-byte index of where it was. */
static void pool_backward(planner *p)
{
    const kernel *found = main_kernel(p);
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    double n = elements(p, x), n_out = elements(p, out), window = found ? found->shape.rows.cols : 1;
    if (!wanted(p, x) || n <= 0) return;
    window *= n_out / n;
    if (window < 1) window = 1;
    kernel k = plan_kernel_rows(p, KERNEL_POOL, n, window, n * window * 4);
    read_gradient(p, &k, out);
    if (p->u->kind == OP_MaxPool) plan_read_bytes(p, &k, n_out * 8, -1);
    rows_emit(p, &k, x, STEP_BACKWARD);
}

static void reduce_backward(planner *p)
{
    uint32_t x = plan_in(p, 0);
    if (p->u->kind == OP_ReduceSum) {
        if (wanted(p, x)) pass_on(p, plan_out(p, 0), x); /* an expanded view */
        return;
    }
    bool mean = p->u->kind == OP_ReduceMean || p->u->kind == OP_GlobalAveragePool;
    spread(p, x, KERNEL_ELEMENTWISE, mean ? 0 : elements(p, x) * p->v[x].width, false);
}

static void slice_backward(planner *p)
{
    uint32_t x = plan_in(p, 0);
    if (!wanted(p, x)) return;
    if (p->u->n_out == 1) {
        spread(p, x, KERNEL_COPY, 0, true);
        return;
    }
    double bytes = elements(p, x) * backward_width(p, x);
    kernel k = plan_kernel_rows(p, KERNEL_COPY, elements(p, x), 1, 0);
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (plan_out(p, i) != NO_TENSOR) read_gradient(p, &k, plan_out(p, i));
    k.write_bytes = bytes;
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    backward_give(p, x);
}

/* A slice of a gradient: a view, which whoever needs dense data copies first. */
static void slice_on(planner *p, uint32_t from, uint32_t to)
{
    uint32_t m = p->maker[to];
    work_class w = m ? op_work_class((op_kind)p->us->u[m - 1].kind) : WORK_VIEW;
    bool dense = w == WORK_CONV || w == WORK_GEMM || w == WORK_BATCHNORM || w == WORK_POOL || w == WORK_NORM ||
                 w == WORK_SOFTMAX;
    if (!dense || p->train->parts[to] || p->us->uses[to] > 1) {
        pass_on(p, from, to);
        return;
    }
    kernel k = plan_kernel_rows(p, KERNEL_COPY, elements(p, to), 1, 0);
    plan_read_bytes(p, &k, elements(p, to) * backward_width(p, to), p->train->born[from]);
    rows_emit(p, &k, to, STEP_BACKWARD);
}

static void copy_backward(planner *p)
{
    uint32_t out = plan_out(p, 0);
    if (p->u->kind == OP_Concat) { /* its inputs' gradients are slices of its own */
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (wants(p, i)) slice_on(p, out, plan_in(p, i));
        return;
    }
    if (p->u->n_in && wants(p, 0) && p->v[out].base == p->v[plan_in(p, 0)].base) pass_on(p, out, plan_in(p, 0));
    else if (p->u->n_in) spread(p, plan_in(p, 0), KERNEL_COPY, 0, false);
}

static void view_backward(planner *p)
{
    uint32_t x = plan_in(p, 0), out = plan_out(p, 0);
    if (!wanted(p, x)) return;
    if (p->u->kind == OP_Dropout) {
        kernel k = pointwise(p, elements(p, out), 2);
        read_gradient(p, &k, out);
        plan_read_bytes(p, &k, elements(p, out), p->v[out].born);
        rows_emit(p, &k, x, STEP_BACKWARD);
        return;
    }
    if (elements(p, out) > elements(p, x))
        sum_to(p, elements(p, out), backward_width(p, out), p->train->born[out], x, STEP_BACKWARD);
    else pass_on(p, out, x);
}

/* Tables of recommenders: a gradient of all their rows would take more than the step, so they are trained with sparse ones, rows and
 * their indices. Vocabularies are shorter. */
static bool is_long_table(const planner *p, uint32_t x)
{
    enum { LONG = 1 << 20 };
    const tensor_shape *s = plan_shape(p, x);
    return is_weight(p, x) && s->rank == 2 && num_known(s->dims[0]) && s->dims[0].v.i > LONG;
}

static void gather_backward(planner *p)
{
    uint32_t x = plan_in(p, 0);
    if (!wanted(p, x)) return;
    if (p->v[plan_out(p, 0)].base == p->v[x].base && !is_weight(p, x)) { /* a selection that was a view */
        spread(p, x, KERNEL_COPY, 0, true);
        return;
    }
    double rows = elements(p, plan_in(p, 1));
    if (is_long_table(p, x)) {
        p->train->touched[x] += elements(p, plan_out(p, 0));
        kernel k = plan_kernel_rows(p, KERNEL_GATHER, elements(p, plan_out(p, 0)), 1, 0);
        read_gradient(p, &k, plan_out(p, 0));
        plan_read_bytes(p, &k, rows * 8, -1);
        k.write_bytes = elements(p, plan_out(p, 0)) * backward_width(p, x);
        plan_emit(p, &k, STEP_WGRAD, OP_KIND_COUNT);
        backward_give(p, x);
        return;
    }
    kernel sort = plan_kernel_rows(p, KERNEL_SORT, rows > 0 ? rows : 1, 1, 4 * rows); /* equal indices come together */
    plan_read_bytes(p, &sort, rows * 8, -1);
    sort.write_bytes = rows * 8;
    plan_emit(p, &sort, STEP_WGRAD, OP_KIND_COUNT);
    spread(p, x, KERNEL_GATHER, rows * 8, true);
}

/* What was put somewhere gets the gradient of that place; what it was put into keeps the rest of its own. */
static void scatter_backward(planner *p)
{
    uint32_t to = plan_in(p, 2);
    if (wants(p, 0)) spread(p, plan_in(p, 0), KERNEL_COPY, 0, false);
    if (!wanted(p, to)) return;
    double n = elements(p, to), width = backward_width(p, to), index = 8 * elements(p, plan_in(p, 1));
    kernel k = plan_kernel_rows(p, KERNEL_GATHER, n, 1, 0);
    plan_read_bytes(p, &k, n * width, p->train->born[plan_out(p, 0)]);
    plan_read_bytes(p, &k, index, -1);
    rows_emit(p, &k, to, STEP_BACKWARD);
}

/* ---- fused pointwise units ---- */

/* One kernel reads the gradients of what left the cluster and what went in, and writes the gradients of what went in; a second
 * one sums up what belongs to broadcast weights. */
static void cluster_backward(planner *p, uint32_t c)
{
    const cluster *cl = &p->clusters[c];
    const kernel *found = main_kernel(p);
    uint32_t last = unit_out(p->us, &p->us->u[cl->last])[0];
    double space = cl->elements > 0 ? cl->elements : 1;
    kernel k = pointwise(p, last == NO_TENSOR ? space : space / p->v[last].shards, 4), sums;
    if (cl->has_norm && found) k.kind = found->kind, k.shape = found->shape;
    bool weights = false, any = false;
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        if (p->cluster_of[i] != c + 1) continue;
        const unit *u = &p->us->u[i];
        for (uint32_t n = 0; n < u->n_out; n++) {
            uint32_t t = unit_out(p->us, u)[n];
            if (t == NO_TENSOR || !p->train->parts[t]) continue;
            read_gradient(p, &k, t);
            any = true;
        }
    }
    if (!any) return;
    memcpy(&sums, &k, sizeof sums);
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        const unit *u = &p->us->u[i];
        if (p->cluster_of[i] != c + 1) continue;
        for (uint32_t n = 0; n < u->n_in; n++) {
            uint32_t t = unit_in(p->us, u)[n];
            if (t == NO_TENSOR || p->v[t].virtual) continue;
            if (backward_keeps(p, u) & (n < 16 ? 1u << n : 0)) {
                read_saved(p, &k, t);
                if (!is_weight(p, t)) read_saved(p, &sums, t); /* the sums multiply the gradients by it */
            }
            if (!wanted(p, t)) continue;
            if (is_weight(p, t)) weights = true;
            else k.write_bytes += elements(p, t) * backward_width(p, t);
        }
    }
    plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
    if (weights) {
        sums.kind = KERNEL_REDUCE;
        plan_emit(p, &sums, STEP_WGRAD, OP_KIND_COUNT);
    }
    for (uint32_t i = cl->first; i <= cl->last; i++) {
        const unit *u = &p->us->u[i];
        for (uint32_t n = 0; p->cluster_of[i] == c + 1 && n < u->n_in; n++) {
            uint32_t t = unit_in(p->us, u)[n];
            if (t == NO_TENSOR || p->v[t].virtual || !wanted(p, t)) continue;
            if (p->train->parts[t] < UINT16_MAX) p->train->parts[t]++;
            p->train->born[t] = p->clock;
        }
    }
}

/* ---- all together ---- */

/* What the forward pass copied and cast, the backward pass copies and casts back. */
static void mirror(planner *p)
{
    const unit_trace *t = &p->train->trace[p->ui];
    if (!t->mirrors) return;
    kernel k = plan_kernel_rows(p, KERNEL_COPY, t->mirror / 4 / t->mirrors, 1, 0);
    k.read_bytes = k.write_bytes = t->mirror / 2 / t->mirrors;
    for (uint32_t i = 0; i < t->mirrors; i++) plan_emit(p, &k, STEP_BACKWARD, OP_KIND_COUNT);
}

static bool has_gradient(const planner *p)
{
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (plan_out(p, i) != NO_TENSOR && p->train->parts[plan_out(p, i)]) return true;
    return false;
}

void backward_unit(planner *p)
{
    uint32_t c = p->cluster_of[p->ui];
    if (c && p->clusters[c - 1].anchor == UINT32_MAX) {
        if (p->clusters[c - 1].last == p->ui) cluster_backward(p, c - 1);
        return;
    }
    if (!has_gradient(p) || !p->u->n_in) return;
    switch (op_work_class((op_kind)p->u->kind)) {
    case WORK_GEMM:
    case WORK_EINSUM: gemm_backward(p); break;
    case WORK_CONV: conv_backward(p); break;
    case WORK_ATTENTION: attention_backward(p); break;
    case WORK_RECURRENT: recurrent_backward(p); break;
    case WORK_ELEMENTWISE: pointwise_backward(p); break;
    case WORK_BATCHNORM:
        if (wants(p, 0)) {
            batch_norm_backward(p, plan_in(p, 0), p->v[plan_in(p, 0)].born);
            pass_on(p, plan_out(p, 0), plan_in(p, 0));
        }
        for (uint32_t i = 1; i < 3; i++)
            if (wants(p, i) && p->train->parts[plan_in(p, i)] < UINT16_MAX) p->train->parts[plan_in(p, i)]++;
        break;
    case WORK_NORM: norm_backward(p); break;
    case WORK_SOFTMAX: softmax_backward(p); break;
    case WORK_POOL: pool_backward(p); break;
    case WORK_REDUCE: reduce_backward(p); break;
    case WORK_SLICE: slice_backward(p); break;
    case WORK_VIEW:
    case WORK_TRANSPOSE:
    case WORK_EXPAND:
    case WORK_CAST:
    case WORK_QUANTIZE: view_backward(p); break;
    case WORK_COPY: copy_backward(p); break;
    case WORK_GATHER: gather_backward(p); break;
    case WORK_SCATTER: scatter_backward(p); break;
    case WORK_RESIZE: spread(p, plan_in(p, 0), KERNEL_RESIZE, 0, false); break;
    case WORK_SORT: spread(p, plan_in(p, 0), KERNEL_GATHER, 0, true); break;
    case WORK_SCAN_OP:
    case WORK_OTHER:
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (wants(p, i))
                spread(p, plan_in(p, i), KERNEL_OTHER, elements(p, plan_in(p, i)) * p->v[plan_in(p, i)].width, false);
        break;
    default: break;
    }
    mirror(p);
}
