/* Attention: one kernel where the runtime has it, else products and a softmax. */
#include "predict/lower.h"

typedef struct heads {
    attention_shape s;
    double projected; /* com.microsoft Attention: width of the projections that come with it; 0: none */
} heads;

/* How many positions of earlier steps come in as a cache; of a buffer that is shared between the steps, those that are in use, where
 * the file says how many. */
static double past_length(const planner *p, double length)
{
    static const struct {
        uint16_t kind;
        uint8_t operand, rank;
    } caches[] = {{OP_ScaledDotProductAttention, 4, 4},
                  {OP_MultiHeadAttention, 6, 4},
                  {OP_GroupQueryAttention, 3, 4},
                  {OP_Attention, 4, 5},
                  {OP_QAttention, 8, 5}};
    for (size_t i = 0; i < sizeof caches / sizeof caches[0]; i++) {
        uint32_t t = p->u->kind == caches[i].kind ? plan_in(p, caches[i].operand) : NO_TENSOR;
        if (t == NO_TENSOR || plan_shape(p, t)->rank != caches[i].rank) continue;
        double past = lower_dim(p, t, -2);
        uint32_t all = caches[i].kind == OP_GroupQueryAttention ? plan_in(p, 6) : NO_TENSOR;
        const tensor_shape *total = all == NO_TENSOR ? NULL : plan_shape(p, all);
        if (total && total->value && total->value_count == 1 && num_known(total->value[0]))
            return (double)total->value[0].v.i > length ? (double)total->value[0].v.i - length : 0;
        bool shared = op_attr_int(p->g, lower_op(p), ATTR_past_present_share_buffer, 0) != 0;
        return !shared ? past : past > length ? past - length : 0;
    }
    return 0;
}

static heads heads_of(const planner *p)
{
    heads h;
    const op *o = lower_op(p);
    uint32_t q = plan_in(p, 0), k = plan_in(p, 1), v = plan_in(p, 2), out = plan_out(p, 0);
    int rank = plan_shape(p, q)->rank;
    memset(&h, 0, sizeof h);
    attention_shape *s = &h.s;
    s->causal = (p->u->flags & UNIT_CAUSAL) || op_attr_int(p->g, o, ATTR_is_causal, 0) ||
                op_attr_int(p->g, o, ATTR_unidirectional, 0) || p->u->kind == OP_GroupQueryAttention;
    if (p->u->kind == OP_ScaledDotProductAttention && rank >= 4) {
        bool kt = p->u->flags & UNIT_K_TRANSPOSED;
        s->heads = lower_dim(p, q, -3);
        s->kv_heads = lower_dim(p, k, -3);
        s->batch = lower_dims(p, q, 0, rank - 3);
        s->q_len = lower_dim(p, q, -2);
        s->kv_len = lower_dim(p, k, kt ? -1 : -2);
        s->head_dim = lower_dim(p, q, -1);
        s->v_dim = lower_dim(p, v, p->u->flags & UNIT_V_TRANSPOSED ? -2 : -1);
        s->kv_len += past_length(p, s->kv_len);
        s->bias = p->u->n_in > 3 && plan_in(p, 3) != NO_TENSOR;
        return h;
    }
    s->heads = (double)op_attr_int(p->g, o,
                                   p->u->kind == OP_ScaledDotProductAttention ? ATTR_q_num_heads : ATTR_num_heads, 1);
    if (s->heads < 1) s->heads = 1;
    s->kv_heads = (double)op_attr_int(p->g, o, ATTR_kv_num_heads, (int64_t)s->heads);
    if (s->kv_heads < 1) s->kv_heads = s->heads;
    s->batch = rank >= 3 ? lower_dim(p, q, 0) : 1;
    s->q_len = lower_dim(p, q, -2);
    s->kv_len = s->q_len;
    double width = lower_dim(p, q, -1);
    if (p->u->kind == OP_Attention || p->u->kind == OP_QAttention) {
        h.projected = k == NO_TENSOR ? 0 : lower_dim(p, k, -1);
        width = out == NO_TENSOR ? width : lower_dim(p, out, -1);
    } else if (p->u->kind == OP_GroupQueryAttention && k == NO_TENSOR && out != NO_TENSOR) {
        width = lower_dim(p, out, -1); /* keys and values lie beside the queries */
    } else if (rank == 3 && k != NO_TENSOR && plan_shape(p, k)->rank >= 3) {
        s->kv_len = plan_shape(p, k)->rank == 4 ? lower_dim(p, k, 2) : lower_dim(p, k, 1);
    }
    s->kv_len += past_length(p, s->kv_len);
    if (rank == 3 && !(p->u->flags & UNIT_K_TRANSPOSED)) {
        s->head_dim = s->v_dim = width / s->heads;
    } else { /* [batch * heads, length, head dim] */
        s->heads = s->kv_heads = 1;
        s->head_dim = lower_dim(p, q, -1);
        s->v_dim = v == NO_TENSOR ? s->head_dim : lower_dim(p, v, -1);
        s->kv_len = k == NO_TENSOR ? s->q_len : lower_dim(p, k, p->u->flags & UNIT_K_TRANSPOSED ? -1 : -2);
        s->bias = p->u->n_in > 3;
    }
    return h;
}

/* A window that is narrower than the keys: every query meets about as many as it is wide. */
static void narrow(const planner *p, attention_shape *s)
{
    double window = (double)op_attr_int(p->g, lower_op(p), ATTR_local_window_size, 0);
    if (!(window > 0) || window >= s->kv_len) return;
    s->kv_len = window;
    s->causal = false;
}

static void lower_projection(planner *p, double width)
{
    uint32_t x = plan_in(p, 0), w = plan_in(p, 1);
    kernel k = lower_kernel(lower_precision(p, p->rt->gemm_tf32), KERNEL_GEMM);
    lower_prepare(p, x, true);
    lower_prepare(p, w, false);
    k.shape.gemm = (gemm_shape){lower_dims(p, x, 0, plan_shape(p, x)->rank - 1), width, lower_dim(p, x, -1), 1};
    k.flops = 2 * k.shape.gemm.m * k.shape.gemm.n * k.shape.gemm.k;
    plan_read(p, &k, x);
    plan_read(p, &k, w);
    k.write_bytes = k.shape.gemm.m * width * lower_width(p);
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}

/* New keys and values (and with some runtimes the queries) of a prompt are copied to where the attention kernel reads them. */
static void fill_cache(planner *p, const attention_shape *s, double born)
{
    double row = (double)op_attr_int(p->g, lower_op(p), ATTR_latent, 0);
    double copied = row > 0 ? row
                            : (p->rt->paged_cache ? s->kv_heads * (s->head_dim + s->v_dim) : 0) +
                                  (p->rt->pack_queries ? s->heads * s->head_dim : 0);
    double bytes = s->batch * s->q_len * copied * lower_width(p);
    if (!s->causal || s->q_len <= 1 || !(bytes > 0)) return;
    kernel k = plan_kernel_rows(p, KERNEL_COPY, bytes / lower_width(p), 1, 0);
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

/* A mask or bias, which is the same for several heads or queries. */
static void attention_mask(planner *p, double n, double width)
{
    kernel k = plan_kernel_rows(p, KERNEL_ELEMENTWISE, n, 1, n);
    plan_read_bytes(p, &k, 2 * n * width, p->clock);
    k.write_bytes = n * width;
    k.indexed = p->opt.legacy;
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}

static void attention_product(planner *p, precision math, gemm_shape shape, double read, double written)
{
    kernel k = lower_kernel(math, KERNEL_GEMM);
    k.shape.gemm = shape;
    k.flops = 2 * shape.m * shape.n * shape.k * shape.batch;
    plan_read_bytes(p, &k, read, p->clock);
    k.write_bytes = written;
    plan_emit(p, &k, STEP_MAIN, OP_KIND_COUNT);
}

/* A fused call, and code that calls it. */
static bool has_fused_attention(const planner *p)
{
    bool late = lower_op(p)->flags & OPF_LATE_ATTENTION;
    double since = late ? p->rt->late_attention_since : 0;
    if (since < p->rt->fused_attention_since) since = p->rt->fused_attention_since;
    return !(p->opt.version > 0 && p->opt.version < since);
}

/* Runtimes fuse attention from some version on, PyTorch only where queries, keys and values have four dimensions. */
static bool attention_is_fused(const planner *p)
{
    bool own = p->u->kind != OP_ScaledDotProductAttention; /* an operator for it in the file */
    bool since = has_fused_attention(p);
    if (!p->rt->strided_views) return own || (since && !p->rt->spelled_attention);
    return since && (!(p->u->flags & UNIT_RECOMPOSED) || plan_shape(p, plan_in(p, 0))->rank == 4);
}

/* Attention as products and a softmax: what a model's own code does, and what PyTorch's fused call falls back to. */
static void lower_attention_steps(planner *p, const attention_shape *s, uint32_t out)
{
    bool own = !p->rt->strided_views || !has_fused_attention(p);
    bool wide = !own && !(p->opt.version > 0 && p->opt.version < p->rt->wide_attention_since);
    precision math = wide ? p->rt->gemm_tf32 ? PREC_TF32 : PREC_FP32 : lower_precision(p, p->rt->gemm_tf32);
    double w = wide ? 4 : lower_width(p), soft = own && p->opt.autocast ? 4 : w;
    double rows = s->batch * s->heads * s->q_len, n = rows * s->kv_len;
    double q = rows * s->head_dim, k = s->batch * s->kv_heads * s->kv_len * s->head_dim,
           v = s->batch * s->kv_heads * s->kv_len * s->v_dim, o = rows * s->v_dim;
    bool eager = !p->rt->fuse_pointwise; /* a compiler does what is pointwise inside the kernels around it */
    for (uint32_t i = 0; wide && i < 3; i++) plan_cast(p, plan_in(p, i), 4);
    for (uint32_t i = 0; own && i < 3; i++) /* heads that lie between positions are no batch of matrices */
        if (!view_batchable(p, plan_in(p, i))) plan_contiguous(p, plan_in(p, i));
    if (!own && (eager || wide)) { /* half of the scale each */
        attention_step(p, KERNEL_ELEMENTWISE, q, 1, q, q * w, q * w);
        attention_step(p, KERNEL_ELEMENTWISE, k, 1, k, k * w, k * w);
    }
    attention_product(p, math, (gemm_shape){s->q_len, s->kv_len, s->head_dim, s->batch * s->heads}, (q + k) * w, n * w);
    if (own && eager) attention_step(p, KERNEL_ELEMENTWISE, n, 1, n, n * w, n * w); /* authors scale the scores */
    if ((s->bias || (own && s->causal)) && eager) attention_mask(p, n, w);
    attention_step(p, KERNEL_SOFTMAX, rows, s->kv_len, n * op_flops_per_element(OP_Softmax), n * w, n * soft);
    if (wide && eager) { /* rows that a mask leaves empty become zero: a comparison, its reduction, a choice */
        attention_step(p, KERNEL_ELEMENTWISE, n, 1, n, n * w, n);
        attention_step(p, KERNEL_REDUCE, rows, s->kv_len, n, n, rows);
        attention_step(p, KERNEL_ELEMENTWISE, n, 1, n, n * w, n * w);
    }
    if (soft != w && eager) attention_step(p, KERNEL_COPY, n, 1, n, n * soft, n * w);
    attention_product(p, math, (gemm_shape){s->q_len, s->v_dim, s->kv_len, s->batch * s->heads}, (n + v) * w, o * w);
    plan_write(p, &(kernel){.write_bytes = 0}, out, lower_width(p));
    if (wide && eager && lower_width(p) < 4) attention_step(p, KERNEL_COPY, o, 1, o, o * w, o * lower_width(p));
    p->v[out].born = p->clock;
}

void lower_attention(planner *p)
{
    uint32_t q = plan_in(p, 0), out = plan_out(p, 0);
    if (q == NO_TENSOR || out == NO_TENSOR) return;
    heads h = heads_of(p);
    if (h.projected > 0) lower_projection(p, h.projected);
    else
        for (uint32_t i = 0; i < 3; i++) lower_prepare(p, plan_in(p, i), false);
    if (h.projected <= 0) fill_cache(p, &h.s, p->v[q].born);
    precision math = lower_precision(p, p->rt->gemm_tf32);
    bool spelled = p->opt.legacy || (p->rt->strided_views && !has_fused_attention(p));
    if (p->train && spelled && h.projected == 0 && p->u->n_in >= 3 && !p->cluster_of[p->ui]) {
        attention_plain(p, &h.s, math, lower_width(p));
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
    kernel k = lower_kernel(math, KERNEL_ATTENTION);
    if (p->opt.lone && k.math == PREC_FP8) /* a cache in 8 bits */
        p->v[plan_in(p, 1)].width = p->v[plan_in(p, 2)].width = 1;
    k.shape.attention = h.s;
    narrow(p, &k.shape.attention);
    k.shape.attention.single = p->rt->single_head_kernel;
    k.shape.attention.flash = p->rt->flash_attention;
    k.shape.attention.sync = p->rt->sync_attention;
    k.shape.attention.first = p->opt.version > 0 && p->opt.version < p->rt->second_attention_since;
    k.shape.attention.apart = attention_is_apart(&k.shape.attention, p->rt->shared_heads_most);
    k.shape.attention.prompt = p->rt->prompt_kernel;
    const attention_shape *s = &k.shape.attention;
    /* decode: values are the first part of the keys */
    bool latent = s->kv_heads == 1 && (double)op_attr_int(p->g, lower_op(p), ATTR_latent, 0) == s->head_dim;
    k.shape.attention.latent = latent;
    double pairs = s->q_len * s->kv_len;
    if (s->causal) pairs -= s->q_len * (s->q_len - 1) / 2;
    k.flops = 2 * s->batch * s->heads * pairs * (s->head_dim + s->v_dim);
    if (h.projected > 0) plan_read_bytes(p, &k, s->batch * s->q_len * h.projected * lower_width(p), p->clock);
    else
        for (uint32_t i = 0; i < p->u->n_in; i++)
            if (i != 2 || !latent) plan_read(p, &k, plan_in(p, i));
    plan_result(p, &k, out, lower_width(p));
    /* fused kernels write [batch, length, heads, dim]: the transpose back to it, and the reshape after, cost nothing */
    const tensor_shape *ts = plan_shape(p, out);
    if (!p->rt->strided_views || ts->rank != 4) return;
    int64_t heads_n = ts->dims[1].v.i, length = ts->dims[turned ? 3 : 2].v.i, width = ts->dims[turned ? 2 : 3].v.i;
    int64_t row = stride_mul(heads_n, width);
    int64_t stride[4] = {stride_mul(length, row), width, turned ? 1 : row, turned ? row : 1};
    memcpy(p->v[out].stride, stride, sizeof stride);
    p->v[out].strided = heads_n > 1 && length > 1;
}
