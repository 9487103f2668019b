/* Matrix products, recurrent layers, and what all units have in common whose arithmetic decides. */
#include "predict/lower.h"

const op *lower_op(const planner *p)
{
    return &p->g->ops[p->u->op];
}

double lower_dim(const planner *p, uint32_t t, int i)
{
    if (t == NO_TENSOR) return 1;
    const tensor_shape *ts = plan_shape(p, t);
    if (i < 0) i += ts->rank;
    if (i < 0 || i >= ts->rank || !num_known(ts->dims[i])) return 1;
    return ts->dims[i].v.i > 0 ? (double)ts->dims[i].v.i : 0;
}

double lower_dims(const planner *p, uint32_t t, int from, int to)
{
    double n = 1;
    for (int i = from; i < to; i++) n *= lower_dim(p, t, i);
    return n;
}

double lower_width(const planner *p)
{
    if (p->opt.autocast) return 2;
    switch (p->opt.math) {
    case PREC_FP16:
    case PREC_BF16: return 2;
    case PREC_FP8:
    case PREC_INT8: return p->rt->quantized_io ? 1 : 2;
    case PREC_FP4:
    case PREC_INT4: return 2;
    default: return 4;
    }
}

static bool is_integer_op(op_kind k)
{
    switch (k) {
    case OP_MatMulInteger:
    case OP_QLinearMatMul:
    case OP_QGemm:
    case OP_ConvInteger:
    case OP_QLinearConv:
    case OP_QAttention:
    case OP_DynamicQuantizeMatMul:
    case OP_MatMulIntegerToFloat: return true;
    default: return false;
    }
}

precision lower_precision(const planner *p, bool tf32)
{
    if (is_integer_op((op_kind)p->u->kind)) return PREC_INT8;
    if (p->u->kind == OP_MatMulNBits || p->u->kind == OP_MatMulBnb4)
        return p->opt.math == PREC_FP32 ? PREC_FP32 : p->opt.math == PREC_BF16 ? PREC_BF16 : PREC_FP16;
    if (p->opt.math == PREC_FP32 && tf32 && !p->opt.lone) return PREC_TF32; /* a lone kernel: what was asked for */
    if (p->opt.math == PREC_INT4) return PREC_FP16;                         /* weights only */
    return p->opt.math;
}

kernel lower_kernel(precision math, kernel_kind kind)
{
    kernel k;
    memset(&k, 0, sizeof k);
    k.kind = kind;
    k.math = math;
    return k;
}

void lower_prepare(planner *p, uint32_t t, bool contiguous)
{
    if (t == NO_TENSOR) return;
    plan_cast(p, t, lower_width(p));
    if (contiguous) plan_contiguous(p, t);
}

void lower_operands(const planner *p, uint32_t *a, uint32_t *b)
{
    *a = plan_in(p, 0);
    *b = plan_in(p, 1);
    if (p->u->kind == OP_QLinearMatMul || p->u->kind == OP_QGemm || p->u->kind == OP_QLinearConv) *b = plan_in(p, 3);
}

/* Experts that at least one of the rows goes to, where the router spreads them evenly. */
static double experts_met(double experts, double rows)
{
    double met = experts > 1 ? experts * (1 - pow(1 - 1 / experts, rows)) : experts;
    return met < rows ? met : rows;
}

static gemm_shape gemm_of(const planner *p, uint32_t a, uint32_t b, uint32_t out)
{
    gemm_shape s = {1, 1, 1, 1};
    const op *o = lower_op(p);
    int ra = plan_shape(p, a)->rank, rb = plan_shape(p, b)->rank, ro = plan_shape(p, out)->rank;
    if (p->u->kind == OP_MatMulNBits || p->u->kind == OP_MatMulBnb4) {
        s.n = (double)op_attr_int(p->g, o, ATTR_N, 1);
        s.k = (double)op_attr_int(p->g, o, ATTR_K, 1);
        s.m = lower_dims(p, a, 0, ra - 1);
        return s;
    }
    if (p->u->kind == OP_Gemm || p->u->kind == OP_FusedGemm || p->u->kind == OP_QGemm) {
        s.m = lower_dim(p, out, 0);
        s.n = lower_dim(p, out, -1);
        s.k = lower_dim(p, a, op_attr_int(p->g, o, ATTR_transA, 0) ? 0 : -1);
        return s;
    }
    if (p->u->kind == OP_ExpertMatMul) {
        s.k = lower_dim(p, a, -1);
        s.n = lower_dim(p, out, -1);
        s.batch = experts_met(lower_dim(p, b, 0), lower_dim(p, a, 0));
        if (s.batch > 0) s.m = lower_dim(p, a, 0) / s.batch;
        return s;
    }
    bool turned = op_attr_int(p->g, o, ATTR_transA, 0) != 0;
    s.k = lower_dim(p, a, turned ? -2 : -1);
    s.n = rb >= 2 ? lower_dim(p, out, -1) : 1;
    if (rb <= 2 && !turned) { /* one matrix for all: the leading dims of A are rows */
        s.m = lower_dims(p, a, 0, ra - 1);
        return s;
    }
    s.m = ra >= 2 ? lower_dim(p, out, -2) : 1;
    s.batch = ro > 2 ? lower_dims(p, out, 0, ro - 2) : 1;
    return s;
}

/* Activations come in 16 bits and are turned into what the units take by kernels of their own: FP4 and INT8 in one pass; FP8
 * as the runtime does it, where a thread block that takes a row first looks for its largest value. */
static void quantize_input(planner *p, kernel *product)
{
    const runtime_profile *rt = p->rt;
    bool fp4 = product->math == PREC_FP4;
    bool fp8 = product->math == PREC_FP8;
    double width = fp4 ? 0.5625 : fp8 || product->math == PREC_INT8 ? 1 : 0;
    bool block = fp8 && p->u->kind == OP_MatMul && op_attr_int(p->g, lower_op(p), ATTR_block_size, 0) > 0;
    int kernels = fp8 && !block ? (int)rt->quantize_kernels : rt->quantize_kernels >= 1;
    if (rt->quantized_io || !(width > 0) || kernels < 1) return;
    const gemm_shape *s = &product->shape.gemm;
    double n = s->m * s->k * s->batch, in = product->read_bytes;
    if (product->math == PREC_INT8 && rt->int8_ready) {
        product->read_bytes = n * width;
        product->whole_k = s->m > rt->int8_vectors;
        if (product->hot_bytes > n * width) product->hot_bytes = n * width;
        return;
    }
    double bytes = !fp8 || block                           ? in + n * width
                 : rt->quantize_bytes * n > in + n * width ? rt->quantize_bytes * n
                                                           : in + n * width;
    for (int i = 0; i < kernels; i++) {
        kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, s->m * s->batch, s->k, 4 * n);
        k.write_bytes = n * width / kernels;
        k.read_bytes = bytes / kernels - k.write_bytes;
        k.hot_bytes = product->hot_bytes > 0 ? k.read_bytes : 0;
        k.hot_distance = product->hot_distance;
        k.scan = !fp8 ? SCAN_NONE : block ? SCAN_GROUPS : rt->quantize_rows ? SCAN_ROWS : SCAN_NONE;
        plan_emit(p, &k, STEP_CAST, OP_KIND_COUNT);
    }
    p->again += bytes - in; /* the narrow copy counts once, passes over the same data once */
    product->whole_k = block || !fp8 || !rt->split_fp8;
    product->choice = block ? PRODUCT_BLOCK_SCALED : fp8 && rt->fp8_by_rows ? PRODUCT_BY_ROWS : PRODUCT_BEST;
    product->read_bytes = n * width;
    product->hot_bytes = product->read_bytes;
    product->hot_distance = 0;
}

void lower_after(planner *p, uint32_t out, step_role role, double operations)
{
    double n = p->v[out].elements > 0 ? p->v[out].elements / p->v[out].shards : 0;
    kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n * operations);
    plan_read(p, &k, out);
    k.write_bytes = p->v[out].stored * p->v[out].width / p->v[out].shards;
    k.indexed = role == STEP_BIAS && p->opt.legacy;
    plan_emit(p, &k, role, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

/* PyTorch's linear layers have a product that adds the bias for matrices alone, and from some version on for batches of them. */
static bool adds_bias_apart(const planner *p, uint32_t a)
{
    if (!(p->u->flags & UNIT_BIAS)) return false;
    if (p->rt->product_bias_kernel) return true;
    if (p->rt->bare_products) return plan_shape(p, a)->rank > 2;
    if (!p->rt->strided_views || p->rt->fuse_pointwise) return false;
    bool old = p->opt.version > 0 && p->opt.version < p->rt->linear_bias_since;
    return old && plan_shape(p, a)->rank > 2;
}

void lower_gemm(planner *p)
{
    uint32_t a, b, out = plan_out(p, 0);
    lower_operands(p, &a, &b);
    if (a == NO_TENSOR || b == NO_TENSOR || out == NO_TENSOR) return;
    kernel k = lower_kernel(lower_precision(p, p->rt->gemm_tf32), KERNEL_GEMM);
    bool weight = p->us->constant[b];
    lower_prepare(p, a, weight || !view_batchable(p, a));
    lower_prepare(p, b, !weight && !view_batchable(p, b));
    k.shape.gemm = gemm_of(p, a, b, out);
    k.flops = 2 * k.shape.gemm.m * k.shape.gemm.n * k.shape.gemm.k * k.shape.gemm.batch;
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    if (p->u->kind == OP_ExpertMatMul && lower_dim(p, b, 0) > 0)
        k.weight_bytes *= k.shape.gemm.batch / lower_dim(p, b, 0);
    if (weight && !is_integer_op((op_kind)p->u->kind)) quantize_input(p, &k);
    plan_result(p, &k, out, lower_width(p));
    if (adds_bias_apart(p, a) && !p->cluster_of[p->ui]) lower_after(p, out, STEP_BIAS, 1);
}

/* ---- recurrent ---- */

/* No library has recurrent layers in 8 bits or fewer: among layers that are, they run in half. */
static void widen_recurrent(const planner *p, kernel *k)
{
    if (k->math < PREC_FP8) return;
    k->math = PREC_FP16;
    k->weight_bytes *= 2;
    if (!p->rt->quantized_io) return; /* what passes between layers is half already */
    k->read_bytes *= 2;
    k->write_bytes *= 2;
}

void lower_recurrent(planner *p)
{
    uint32_t x = plan_in(p, 0), w = plan_in(p, 1);
    if (x == NO_TENSOR || w == NO_TENSOR) return;
    kernel k = lower_kernel(lower_precision(p, p->rt->gemm_tf32), KERNEL_RECURRENT);
    recurrent_shape *s = &k.shape.recurrent;
    double gates = p->u->kind == OP_LSTM ? 4 : p->u->kind == OP_GRU ? 3 : 1;
    bool batch_first = op_attr_int(p->g, lower_op(p), ATTR_layout, 0) == 1;
    for (uint32_t i = 0; i < 4; i++) lower_prepare(p, plan_in(p, i), i == 0);
    *s = (recurrent_shape){lower_dim(p, x, batch_first ? 1 : 0),
                           lower_dim(p, x, batch_first ? 0 : 1),
                           lower_dim(p, x, 2),
                           lower_dim(p, w, 1) / gates,
                           gates,
                           lower_dim(p, w, 0)};
    uint32_t u = plan_in(p, 2);
    double fed = u != NO_TENSOR && plan_shape(p, u)->rank == 3 ? lower_dim(p, u, 2)
                                                               : s->hidden; /* back: fewer when projected */
    double products = s->gates * s->hidden * (s->input + fed) + (fed < s->hidden ? s->hidden * fed : 0);
    k.flops = 2 * s->steps * s->batch * s->directions * products;
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (plan_out(p, i) != NO_TENSOR && p->us->uses[plan_out(p, i)])
            plan_write(p, &k, plan_out(p, i), lower_width(p));
    widen_recurrent(p, &k);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    if (plan_out(p, 0) != NO_TENSOR) p->v[plan_out(p, 0)].born = p->clock;
    if (p->train) /* the gates and the cell of every step */
        p->train->trace[p->ui].kept += s->steps * s->batch * s->directions * s->hidden * (gates + 1) * lower_width(p);
}
