/* Units whose arithmetic decides: matrix products, convolutions, attention, recurrent layers. */
#include "predict/planner.h"

static const op *op_of(const planner *p)
{
    return &p->g->ops[p->u->op];
}

/* Dim i of a tensor, negative i from the back; 1 when it is not known. */
static double dim(const planner *p, uint32_t t, int i)
{
    if (t == NO_TENSOR) return 1;
    const tensor_shape *ts = plan_shape(p, t);
    if (i < 0) i += ts->rank;
    if (i < 0 || i >= ts->rank || !num_known(ts->dims[i])) return 1;
    return ts->dims[i].v.i > 0 ? (double)ts->dims[i].v.i : 0;
}

static double product(const planner *p, uint32_t t, int from, int to)
{
    double n = 1;
    for (int i = from; i < to; i++) n *= dim(p, t, i);
    return n;
}

static double half_width(const planner *p)
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

/* Which unit does the arithmetic. FP32 models run on tensor cores as TF32 where the runtime lets them. */
static precision math_of(const planner *p, bool tf32)
{
    if (is_integer_op((op_kind)p->u->kind)) return PREC_INT8;
    if (p->u->kind == OP_MatMulNBits || p->u->kind == OP_MatMulBnb4)
        return p->opt.math == PREC_FP32 ? PREC_FP32 : p->opt.math == PREC_BF16 ? PREC_BF16 : PREC_FP16;
    if (p->opt.math == PREC_FP32 && tf32 && !p->opt.lone) return PREC_TF32; /* a lone kernel: what was asked for */
    if (p->opt.math == PREC_INT4) return PREC_FP16;                         /* weights only */
    return p->opt.math;
}

static kernel math_kernel(precision math, kernel_kind kind)
{
    kernel k;
    memset(&k, 0, sizeof k);
    k.kind = kind;
    k.math = math;
    return k;
}

/* Casts to the width of the products and makes the data walkable; weights are cast once a step. */
static void prepare(planner *p, uint32_t t, bool contiguous)
{
    if (t == NO_TENSOR) return;
    plan_cast(p, t, half_width(p));
    if (contiguous) plan_contiguous(p, t);
}

/* Where the operands are: quantised operators carry scales and zero points between them. */
static void operands(const planner *p, uint32_t *a, uint32_t *b)
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
    const op *o = op_of(p);
    int ra = plan_shape(p, a)->rank, rb = plan_shape(p, b)->rank, ro = plan_shape(p, out)->rank;
    if (p->u->kind == OP_MatMulNBits || p->u->kind == OP_MatMulBnb4) {
        s.n = (double)op_attr_int(p->g, o, ATTR_N, 1);
        s.k = (double)op_attr_int(p->g, o, ATTR_K, 1);
        s.m = product(p, a, 0, ra - 1);
        return s;
    }
    if (p->u->kind == OP_Gemm || p->u->kind == OP_FusedGemm || p->u->kind == OP_QGemm) {
        s.m = dim(p, out, 0);
        s.n = dim(p, out, -1);
        s.k = dim(p, a, op_attr_int(p->g, o, ATTR_transA, 0) ? 0 : -1);
        return s;
    }
    if (p->u->kind == OP_ExpertMatMul) {
        s.k = dim(p, a, -1);
        s.n = dim(p, out, -1);
        s.batch = experts_met(dim(p, b, 0), dim(p, a, 0));
        if (s.batch > 0) s.m = dim(p, a, 0) / s.batch;
        return s;
    }
    s.k = dim(p, a, op_attr_int(p->g, o, ATTR_transA, 0) ? -2 : -1);
    bool turned = op_attr_int(p->g, o, ATTR_transA, 0) != 0;
    s.k = dim(p, a, turned ? -2 : -1);
    s.n = rb >= 2 ? dim(p, out, -1) : 1;
    if (rb <= 2 && !turned) { /* one matrix for all: the leading dims of A are rows */
        s.m = product(p, a, 0, ra - 1);
        return s;
    }
    s.m = ra >= 2 ? dim(p, out, -2) : 1;
    s.batch = ro > 2 ? product(p, out, 0, ro - 2) : 1;
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
    bool block = fp8 && p->u->kind == OP_MatMul && op_attr_int(p->g, op_of(p), ATTR_block_size, 0) > 0;
    int kernels = fp8 && !block ? (int)rt->quantize_kernels : rt->quantize_kernels >= 1;
    if (rt->quantized_io || !(width > 0) || kernels < 1) return;
    const gemm_shape *s = &product->shape.gemm;
    double n = s->m * s->k * s->batch, in = product->read_bytes;
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

void lower_gemm(planner *p)
{
    uint32_t a, b, out = plan_out(p, 0);
    operands(p, &a, &b);
    if (a == NO_TENSOR || b == NO_TENSOR || out == NO_TENSOR) return;
    kernel k = math_kernel(math_of(p, p->rt->gemm_tf32), KERNEL_GEMM);
    bool weight = p->us->constant[b];
    prepare(p, a, weight || !view_batchable(p, a));
    prepare(p, b, !weight && !view_batchable(p, b));
    k.shape.gemm = gemm_of(p, a, b, out);
    k.flops = 2 * k.shape.gemm.m * k.shape.gemm.n * k.shape.gemm.k * k.shape.gemm.batch;
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    if (p->u->kind == OP_ExpertMatMul && dim(p, b, 0) > 0) k.weight_bytes *= k.shape.gemm.batch / dim(p, b, 0);
    if (weight && !is_integer_op((op_kind)p->u->kind)) quantize_input(p, &k);
    plan_result(p, &k, out, half_width(p));
}

/* ---- convolution ---- */

static double attr_at(const planner *p, attr_key key, uint32_t i, double fallback)
{
    const int64_t *v = NULL;
    uint32_t n = op_attr_ints(p->g, op_of(p), key, &v);
    return i < n && v[i] > 0 ? (double)v[i] : fallback;
}

static conv_shape conv_of(const planner *p, uint32_t x, uint32_t w, uint32_t out)
{
    conv_shape s;
    int rank = plan_shape(p, x)->rank;
    memset(&s, 0, sizeof s);
    uint32_t spatial = rank > 2 ? (uint32_t)rank - 2 : 0;
    bool transposed = p->u->kind == OP_ConvTranspose;
    int first = op_of(p)->flags & OPF_CHANNELS_LAST ? 1 : 2, last = first + (int)spatial - 1; /* of the spatial dims */
    double fan = dim(p, w, 1);
    s.batch = dim(p, x, 0);
    s.in = plan_channels(p, x);
    s.out = plan_channels(p, out);
    s.groups = (double)op_attr_int(p->g, op_of(p), ATTR_group, 1);
    if (s.groups == 0 && fan > 0) s.groups = floor(s.in / fan); /* the weights tell */
    if (s.groups < 1) s.groups = 1;
    s.h = product(p, x, first, last);
    s.w = spatial ? dim(p, x, last) : 1;
    s.oh = product(p, out, first, last);
    s.ow = spatial ? dim(p, out, last) : 1;
    s.kh = product(p, w, 2, rank - 1);
    s.kw = spatial ? dim(p, w, -1) : 1;
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

/* PyTorch adds a convolution's bias, and runs its batch normalisation, in kernels of their own over the result. */
static void after_conv(planner *p, uint32_t out, bool norm)
{
    double n = p->v[out].elements > 0 ? p->v[out].elements : 0;
    kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n * (norm ? 2 : 1));
    plan_read(p, &k, out);
    k.write_bytes = p->v[out].stored * p->v[out].width;
    plan_emit(p, &k, norm ? STEP_NORM : STEP_BIAS, OP_KIND_COUNT);
    p->v[out].born = p->clock;
}

/* PyTorch convolves channels last where the data or the weights are; what is not gets copied first. */
static bool conv_is_last(planner *p, uint32_t x, uint32_t w)
{
    if (p->rt->channels_last) return p->opt.channels_last;
    bool weights = p->opt.channels_last && p->rt->strided_views && plan_shape(p, x)->rank == 4 &&
                   p->g->tensors[w].role == ROLE_WEIGHT && plan_channels(p, x) > 1;
    if (!weights && !view_is_channels_last(p, x)) return false;
    plan_cast(p, x, half_width(p));
    if (dim(p, x, 2) * dim(p, x, 3) > 1 && !view_is_packed_last(p, x)) {
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
        if (op_work_class((op_kind)p->u->kind) != WORK_CONV) continue;
        operands(p, &x, &w);
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
    if (last || k->kind != KERNEL_CONV || half_width(p) >= 4) return;
    if (s->groups <= 1 && s->kh * s->kw <= 1) p->beside[p->ui] += value_bytes(&p->v[x]) + value_bytes(&p->v[out]);
}

void lower_conv(planner *p)
{
    uint32_t x, w, out = plan_out(p, 0);
    operands(p, &x, &w);
    if (x == NO_TENSOR || w == NO_TENSOR || out == NO_TENSOR) return;
    kernel k = math_kernel(math_of(p, p->rt->conv_tf32), KERNEL_CONV);
    bool last = conv_is_last(p, x, w);
    prepare(p, x, !last);
    if (p->train && !last && p->opt.channels_last && p->v[x].elements > 0 &&
        plan_shape(p, x)->rank == 4) { /* PyTorch: channels-last weights decide */
        plan_relayout(p, x);
        last = true;
    }
    prepare(p, w, false);
    k.shape.conv = conv_of(p, x, w, out);
    k.channels_last = last && !(p->train && is_padded(&k));
    const conv_shape *s = &k.shape.conv;
    if (s->groups > 1 && s->groups >= s->in && s->groups >= 2) k.kind = KERNEL_DEPTHWISE;
    k.flops = 2 * s->batch * s->oh * s->ow * s->out * (s->in / s->groups) * s->kh * s->kw;
    bool separate = p->rt->conv_bias_kernel;
    bool norm = separate && (p->u->flags & UNIT_BN_FOLDED) && !p->rt->fold_batch_norm;
    bool bias = separate && !norm && (p->u->flags & UNIT_BIAS) && k.kind != KERNEL_DEPTHWISE;
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    plan_result(p, &k, out, half_width(p));
    if (p->cluster_of[p->ui]) return; /* what follows runs inside or is fused with the next kernel */
    if (last && p->rt->strided_views) view_set_channels_last(p, out);
    beside_conv(p, &k, last, norm);
    if (norm && p->train) {
        train_statistics(p, out, !p->rt->fuse_pointwise);
        p->train->trace[p->ui].kept += p->v[out].stored * p->v[out].width; /* what the normalisation read */
    } else if ((norm || bias) && !p->rt->fuse_pointwise) after_conv(p, out, norm);
}

/* ---- attention ---- */

typedef struct heads {
    attention_shape s;
    double projected; /* com.microsoft Attention: width of the projections that come with it; 0: none */
} heads;

static heads heads_of(const planner *p)
{
    heads h;
    const op *o = op_of(p);
    uint32_t q = plan_in(p, 0), k = plan_in(p, 1), v = plan_in(p, 2), out = plan_out(p, 0);
    int rank = plan_shape(p, q)->rank;
    memset(&h, 0, sizeof h);
    attention_shape *s = &h.s;
    s->causal = (p->u->flags & UNIT_CAUSAL) || op_attr_int(p->g, o, ATTR_is_causal, 0) ||
                op_attr_int(p->g, o, ATTR_unidirectional, 0);
    if (p->u->kind == OP_ScaledDotProductAttention && rank >= 4) {
        bool kt = p->u->flags & UNIT_K_TRANSPOSED;
        s->heads = dim(p, q, -3);
        s->kv_heads = dim(p, k, -3);
        s->batch = product(p, q, 0, rank - 3);
        s->q_len = dim(p, q, -2);
        s->kv_len = dim(p, k, kt ? -1 : -2);
        s->head_dim = dim(p, q, -1);
        s->v_dim = dim(p, v, p->u->flags & UNIT_V_TRANSPOSED ? -2 : -1);
        s->bias = p->u->n_in > 3 && plan_in(p, 3) != NO_TENSOR;
        return h;
    }
    s->heads = (double)op_attr_int(p->g, o,
                                   p->u->kind == OP_ScaledDotProductAttention ? ATTR_q_num_heads : ATTR_num_heads, 1);
    if (s->heads < 1) s->heads = 1;
    s->kv_heads = (double)op_attr_int(p->g, o, ATTR_kv_num_heads, (int64_t)s->heads);
    if (s->kv_heads < 1) s->kv_heads = s->heads;
    s->batch = rank >= 3 ? dim(p, q, 0) : 1;
    s->q_len = dim(p, q, -2);
    s->kv_len = s->q_len;
    double width = dim(p, q, -1);
    if (p->u->kind == OP_Attention || p->u->kind == OP_QAttention) {
        h.projected = k == NO_TENSOR ? 0 : dim(p, k, -1);
        width = out == NO_TENSOR ? width : dim(p, out, -1);
    } else if (rank == 3 && k != NO_TENSOR && plan_shape(p, k)->rank >= 3) {
        s->kv_len = plan_shape(p, k)->rank == 4 ? dim(p, k, 2) : dim(p, k, 1);
    }
    if (rank == 3 && !(p->u->flags & UNIT_K_TRANSPOSED)) s->head_dim = s->v_dim = width / s->heads;
    else { /* [batch * heads, length, head dim] */ s->heads = s->kv_heads = 1;
        s->head_dim = dim(p, q, -1);
        s->v_dim = v == NO_TENSOR ? s->head_dim : dim(p, v, -1);
        s->kv_len = k == NO_TENSOR ? s->q_len : dim(p, k, p->u->flags & UNIT_K_TRANSPOSED ? -1 : -2);
        s->bias = p->u->n_in > 3;
    }
    return h;
}

/* A window that is narrower than the keys: every query meets about as many as it is wide. */
static void narrow(const planner *p, attention_shape *s)
{
    double window = (double)op_attr_int(p->g, op_of(p), ATTR_local_window_size, 0);
    if (!(window > 0) || window >= s->kv_len) return;
    s->kv_len = window;
    s->causal = false;
}

static void lower_projection(planner *p, double width)
{
    uint32_t x = plan_in(p, 0), w = plan_in(p, 1);
    kernel k = math_kernel(math_of(p, p->rt->gemm_tf32), KERNEL_GEMM);
    prepare(p, x, true);
    prepare(p, w, false);
    k.shape.gemm = (gemm_shape){product(p, x, 0, plan_shape(p, x)->rank - 1), width, dim(p, x, -1), 1};
    k.flops = 2 * k.shape.gemm.m * k.shape.gemm.n * k.shape.gemm.k;
    plan_read(p, &k, x);
    plan_read(p, &k, w);
    k.write_bytes = k.shape.gemm.m * width * half_width(p);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}

/* New keys and values (and with some runtimes the queries) of a prompt are copied to where the attention kernel reads them. */
static void fill_cache(planner *p, const attention_shape *s, double born)
{
    double row = (double)op_attr_int(p->g, op_of(p), ATTR_latent, 0);
    double copied = row > 0 ? row
                            : (p->rt->paged_cache ? s->kv_heads * (s->head_dim + s->v_dim) : 0) +
                                  (p->rt->pack_queries ? s->heads * s->head_dim : 0);
    double bytes = s->batch * s->q_len * copied * half_width(p);
    if (!s->causal || s->q_len <= 1 || !(bytes > 0)) return;
    kernel k = plan_kernel_rows(p, KERNEL_COPY, bytes / half_width(p), 1, 0);
    plan_read_bytes(p, &k, bytes, born);
    k.write_bytes = bytes;
    plan_emit(p, &k, STEP_COPY, OP_KIND_COUNT);
    p->again += bytes; /* attention reads the copy */
}

/* One of the steps of attention that is not fused: reads `in` and writes `written` bytes. */
static void attention_step(planner *p, kernel_kind kind, double rows, double cols, double flops, double in,
                           double written)
{
    kernel k = plan_kernel_rows(p, kind, rows, cols, flops);
    plan_read_bytes(p, &k, in, p->clock);
    k.write_bytes = written;
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}

static void attention_product(planner *p, precision math, gemm_shape shape, double read, double written)
{
    kernel k = math_kernel(math, KERNEL_GEMM);
    k.shape.gemm = shape;
    k.flops = 2 * shape.m * shape.n * shape.k * shape.batch;
    plan_read_bytes(p, &k, read, p->clock);
    k.write_bytes = written;
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}

/* Runtimes fuse attention from some version on, PyTorch only where queries, keys and values have four dimensions. */
static bool attention_is_fused(const planner *p)
{
    bool own = p->u->kind != OP_ScaledDotProductAttention; /* an operator for it in the file */
    bool since = !(p->opt.version > 0 && p->opt.version < p->rt->fused_attention_since);
    if (!p->rt->strided_views) return own || (since && !p->rt->spelled_attention);
    return since && (!(p->u->flags & UNIT_RECOMPOSED) || plan_shape(p, plan_in(p, 0))->rank == 4);
}

/* Attention as products and a softmax: what a model's own code does, and what PyTorch's fused call falls back to. */
static void lower_attention_steps(planner *p, const attention_shape *s, uint32_t out)
{
    bool own = !p->rt->strided_views || (p->opt.version > 0 && p->opt.version < p->rt->fused_attention_since);
    bool wide = !own && !(p->opt.version > 0 && p->opt.version < p->rt->wide_attention_since);
    precision math = wide ? p->rt->gemm_tf32 ? PREC_TF32 : PREC_FP32 : math_of(p, p->rt->gemm_tf32);
    double w = wide ? 4 : half_width(p), soft = own && p->opt.autocast ? 4 : w;
    double rows = s->batch * s->heads * s->q_len, n = rows * s->kv_len;
    double q = rows * s->head_dim, k = s->batch * s->kv_heads * s->kv_len * s->head_dim,
           v = s->batch * s->kv_heads * s->kv_len * s->v_dim, o = rows * s->v_dim;
    bool eager = !p->rt->fuse_pointwise; /* a compiler does what is pointwise inside the kernels around it */
    for (uint32_t i = 0; wide && i < 3; i++) plan_cast(p, plan_in(p, i), 4);
    if (eager || wide) attention_step(p, KERNEL_ELEMENTWISE, q, 1, q, q * w, q * w);
    if (!own && (eager || wide))
        attention_step(p, KERNEL_ELEMENTWISE, k, 1, k, k * w, k * w); /* half of the scale each */
    attention_product(p, math, (gemm_shape){s->q_len, s->kv_len, s->head_dim, s->batch * s->heads}, (q + k) * w, n * w);
    if (s->bias && eager) attention_step(p, KERNEL_ELEMENTWISE, n, 1, n, 2 * n * w, n * w);
    attention_step(p, KERNEL_SOFTMAX, rows, s->kv_len, n * op_flops_per_element(OP_Softmax), n * w, n * soft);
    if (wide && eager) { /* rows that a mask leaves empty become zero: a comparison, its reduction, a choice */
        attention_step(p, KERNEL_ELEMENTWISE, n, 1, n, n * w, n);
        attention_step(p, KERNEL_REDUCE, rows, s->kv_len, n, n, rows);
        attention_step(p, KERNEL_ELEMENTWISE, n, 1, n, n * w, n * w);
    }
    if (soft != w && eager) attention_step(p, KERNEL_COPY, n, 1, n, n * soft, n * w);
    attention_product(p, math, (gemm_shape){s->q_len, s->v_dim, s->kv_len, s->batch * s->heads}, (n + v) * w, o * w);
    plan_write(p, &(kernel){.write_bytes = 0}, out, half_width(p));
    if (wide && eager && half_width(p) < 4) attention_step(p, KERNEL_COPY, o, 1, o, o * w, o * half_width(p));
    p->v[out].born = p->clock;
}

void lower_attention(planner *p)
{
    uint32_t q = plan_in(p, 0), out = plan_out(p, 0);
    if (q == NO_TENSOR || out == NO_TENSOR) return;
    heads h = heads_of(p);
    if (h.projected > 0) lower_projection(p, h.projected);
    else
        for (uint32_t i = 0; i < 3; i++) prepare(p, plan_in(p, i), false);
    if (h.projected <= 0) fill_cache(p, &h.s, p->v[q].born);
    precision math = math_of(p, p->rt->gemm_tf32);
    if (p->train && p->opt.legacy && h.projected == 0 && p->u->n_in >= 3 && !p->cluster_of[p->ui]) {
        attention_plain(p, &h.s, math, half_width(p));
        return;
    }
    if (!p->train && !attention_is_fused(p)) {
        lower_attention_steps(p, &h.s, out);
        return;
    }
    bool turned = p->u->flags & UNIT_V_TRANSPOSED;
    for (uint32_t i = 0; turned && p->rt->strided_views && i < 3; i++) { /* fused kernels want rows of heads */
        p->v[plan_in(p, i)].strided = true;
        plan_contiguous(p, plan_in(p, i));
    }
    kernel k = math_kernel(math, KERNEL_ATTENTION);
    if (p->opt.lone && k.math == PREC_FP8) /* a cache in 8 bits */
        p->v[plan_in(p, 1)].width = p->v[plan_in(p, 2)].width = 1;
    k.shape.attention = h.s;
    narrow(p, &k.shape.attention);
    k.shape.attention.single = p->rt->single_head_kernel;
    k.shape.attention.flash = p->rt->flash_attention;
    k.shape.attention.apart = attention_is_apart(&k.shape.attention, p->rt->shared_heads_most);
    k.shape.attention.prompt = p->rt->prompt_kernel;
    const attention_shape *s = &k.shape.attention;
    /* decode: values are the first part of the keys */
    bool latent = s->kv_heads == 1 && (double)op_attr_int(p->g, op_of(p), ATTR_latent, 0) == s->head_dim;
    k.shape.attention.latent = latent;
    double pairs = s->q_len * s->kv_len;
    if (s->causal) pairs -= s->q_len * (s->q_len - 1) / 2;
    k.flops = 2 * s->batch * s->heads * pairs * (s->head_dim + s->v_dim);
    if (h.projected > 0) plan_read_bytes(p, &k, s->batch * s->q_len * h.projected * half_width(p), p->clock);
    else
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (i != 2 || !latent) plan_read(p, &k, plan_in(p, i));
    plan_result(p, &k, out, half_width(p));
    /* fused kernels write [batch, length, heads, dim]: the transpose back to it, and the reshape after, cost nothing */
    const tensor_shape *ts = plan_shape(p, out);
    if (!p->rt->strided_views || ts->rank != 4) return;
    int64_t heads_n = ts->dims[1].v.i, length = ts->dims[turned ? 3 : 2].v.i, width = ts->dims[turned ? 2 : 3].v.i;
    int64_t row = stride_mul(heads_n, width);
    int64_t stride[4] = {stride_mul(length, row), width, turned ? 1 : row, turned ? row : 1};
    memcpy(p->v[out].stride, stride, sizeof stride);
    p->v[out].strided = heads_n > 1 && length > 1;
}

/* ---- recurrent ---- */

void lower_recurrent(planner *p)
{
    uint32_t x = plan_in(p, 0), w = plan_in(p, 1);
    if (x == NO_TENSOR || w == NO_TENSOR) return;
    kernel k = math_kernel(math_of(p, p->rt->gemm_tf32), KERNEL_RECURRENT);
    recurrent_shape *s = &k.shape.recurrent;
    double gates = p->u->kind == OP_LSTM ? 4 : p->u->kind == OP_GRU ? 3 : 1;
    bool batch_first = op_attr_int(p->g, op_of(p), ATTR_layout, 0) == 1;
    for (uint32_t i = 0; i < 4; i++) prepare(p, plan_in(p, i), i == 0);
    *s = (recurrent_shape){dim(p, x, batch_first ? 1 : 0),
                           dim(p, x, batch_first ? 0 : 1),
                           dim(p, x, 2),
                           dim(p, w, 1) / gates,
                           gates,
                           dim(p, w, 0)};
    uint32_t u = plan_in(p, 2);
    double fed = u != NO_TENSOR && plan_shape(p, u)->rank == 3 ? dim(p, u, 2)
                                                               : s->hidden; /* back: fewer when projected */
    double products = s->gates * s->hidden * (s->input + fed) + (fed < s->hidden ? s->hidden * fed : 0);
    k.flops = 2 * s->steps * s->batch * s->directions * products;
    for (uint32_t i = 0; i < p->u->n_in; i++) plan_read(p, &k, plan_in(p, i));
    for (uint32_t i = 0; i < p->u->n_out; i++)
        if (plan_out(p, i) != NO_TENSOR && p->us->uses[plan_out(p, i)])
            plan_write(p, &k, plan_out(p, i), half_width(p));
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
    if (plan_out(p, 0) != NO_TENSOR) p->v[plan_out(p, 0)].born = p->clock;
    if (p->train) /* the gates and the cell of every step */
        p->train->trace[p->ui].kept += s->steps * s->batch * s->directions * s->hidden * (gates + 1) * half_width(p);
}

/* ---- einsum: a batched product whose letters say which dims are shared, summed or free ---- */

enum { LETTERS = 26 };

typedef struct term {
    bool has[LETTERS];
} term;

static int letter_of(char c)
{
    if (c >= 'a' && c <= 'z') return c - 'a';
    return c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

void lower_einsum(planner *p)
{
    str eq = op_attr_str(p->g, op_of(p), ATTR_equation);
    uint32_t out = plan_out(p, 0);
    term t[3];
    double size[LETTERS];
    memset(t, 0, sizeof t);
    for (int i = 0; i < LETTERS; i++) size[i] = 1;
    if (p->u->n_in != 2 || out == NO_TENSOR) {
        lower_copy(p);
        return;
    }
    int at = 0, axis = 0;
    for (size_t i = 0; i < eq.len && at < 3; i++) {
        char c = eq.ptr[i];
        if (c == ',' || c == '>') {
            at = c == '>' ? 2 : at + 1;
            axis = 0;
            continue;
        }
        int l = letter_of(c);
        if (l < 0) continue;
        t[at].has[l] = true;
        if (at < 2) size[l] = dim(p, plan_in(p, (uint32_t)at), axis);
        axis++;
    }
    gemm_shape s = {1, 1, 1, 1};
    for (int l = 0; l < LETTERS; l++) {
        bool a = t[0].has[l], b = t[1].has[l], o = t[2].has[l];
        if (a && b && o) s.batch *= size[l];
        else if (a && b) s.k *= size[l];
        else if (a) s.m *= size[l];
        else if (b) s.n *= size[l];
    }
    for (uint32_t i = 0; i < 2; i++) prepare(p, plan_in(p, i), !view_batchable(p, plan_in(p, i)));
    kernel k = math_kernel(math_of(p, p->rt->gemm_tf32), KERNEL_GEMM);
    k.shape.gemm = s;
    k.flops = 2 * s.m * s.n * s.k * s.batch;
    for (uint32_t i = 0; i < 2; i++) plan_read(p, &k, plan_in(p, i));
    plan_result(p, &k, out, half_width(p));
}
