/* Products, reductions, activations with attributes, quantisation. */
#include "load/tf_internal.h"

static uint32_t literal_of(tf_reader *r, dtype d, int rank, int64_t n)
{
    uint32_t t = graph_add_weight(r->g, tf_at(r, r->at)->name, d, rank, &n);
    if (t == NO_TENSOR) return t;
    r->g->tensors[t].defined = true;
    r->g->tensors[t].literal = true;
    return t;
}

static uint32_t one_float(tf_reader *r, double v)
{
    uint32_t t = literal_of(r, DT_FP32, 0, 1);
    num *value = ARENA_NEW(r->g->a, num);
    if (t == NO_TENSOR || !value) return NO_TENSOR;
    *value = num_int(0);
    value->v.f = v;
    r->g->tensors[t].value = value;
    r->g->tensors[t].value_count = 1;
    return t;
}

/* batched: 0: MatMul; 1: BatchMatMul; 2: MatMul with a bias. */
pg_code tf_matmul(tf_reader *r, tf_node *n, int batched)
{
    bool a = tf_attr_int(n, batched == 1 ? "adj_x" : "transpose_a", 0) != 0;
    bool b = tf_attr_int(n, batched == 1 ? "adj_y" : "transpose_b", 0) != 0;
    uint32_t in[3] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1), batched == 2 ? tf_input_tensor(r, 2) : NO_TENSOR};
    tf_shape s;
    uint32_t w = b ? tf_weight_of(r, tf_in(r, n, 1)) : TF_NONE;
    if (w != TF_NONE && tf_static_shape(r, (tf_ref){w, 0}, &s, 0) && s.rank == 2) {
        in[1] = tf_weight_as(r, w, 2, (int64_t[2]){s.dims[1], s.dims[0]}, "transposed");
        b = false;
    }
    if (in[2] != NO_TENSOR) {
        in[0] = tf_step(r, a || b ? OP_FusedMatMul : OP_MatMul, in, 2);
        if ((a || b) && (!graph_attr_int(r->g, ATTR_transA, a) || !graph_attr_int(r->g, ATTR_transB, b)))
            return tf_nomem(r);
        return tf_done(r, tf_op(r, OP_Add, (uint32_t[2]){in[0], in[2]}, 2, 1));
    }
    if (!a && !b) return tf_done(r, tf_op(r, OP_MatMul, in, 2, 1));
    return tf_done(r, tf_op(r, OP_FusedMatMul, in, 2, 1) && graph_attr_int(r->g, ATTR_transA, a) &&
                          graph_attr_int(r->g, ATTR_transB, b));
}

pg_code tf_einsum(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    uint32_t in[16];
    if (n->n_in > 16) return tf_unknown(r);
    for (uint32_t i = 0; i < n->n_in; i++) in[i] = tf_input_tensor(r, i);
    return tf_done(r, tf_op(r, OP_Einsum, in, n->n_in, 1) &&
                          graph_attr_string(r->g, ATTR_equation, tf_attr_text(n, "equation")));
}

/* x, axes */
pg_code tf_reduce(tf_reader *r, tf_node *n, int kind)
{
    int64_t axes[MAX_RANK];
    uint32_t count, in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    if (tf_const_ints(r, tf_in(r, n, 1), axes, MAX_RANK, &count)) in[1] = tf_ints(r, axes, count);
    return tf_done(r, tf_op(r, (op_kind)kind, in, 2, 1) &&
                          graph_attr_int(r->g, ATTR_keepdims, tf_attr_int(n, "keep_dims", 0) != 0) &&
                          graph_attr_int(r->g, ATTR_noop_with_empty_axes, 1));
}

pg_code tf_arg_reduce(tf_reader *r, tf_node *n, int kind)
{
    int64_t axis = 0;
    uint32_t m, in = tf_input_tensor(r, 0);
    if (n->n_in > 1 && (!tf_const_ints(r, tf_in(r, n, 1), &axis, 1, &m) || m != 1)) return tf_unknown(r);
    return tf_done(r, tf_op(r, (op_kind)kind, &in, 1, 1) && graph_attr_int(r->g, ATTR_axis, axis) &&
                          graph_attr_int(r->g, ATTR_keepdims, 0));
}

pg_code tf_softmax(tf_reader *r, tf_node *n, int kind)
{
    (void)n;
    uint32_t in = tf_input_tensor(r, 0);
    return tf_done(r, tf_op(r, (op_kind)kind, &in, 1, 1) && graph_attr_int(r->g, ATTR_axis, -1));
}

pg_code tf_lrn(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    (void)arg;
    uint32_t in = tf_input_tensor(r, 0);
    return tf_done(r, tf_op(r, OP_LRN, &in, 1, 1));
}

pg_code tf_cast(tf_reader *r, tf_node *n, int bits)
{
    uint32_t in = tf_input_tensor(r, 0);
    int64_t code = tf_dtype_code(tf_dtype(tf_attr_int(n, bits ? "type" : "DstT", 0)));
    return tf_done(r, tf_op(r, bits ? OP_BitCast : OP_Cast, &in, 1, 1) && graph_attr_int(r->g, ATTR_to, code));
}

/* Relu6, and between -1 and 1. */
pg_code tf_clip(tf_reader *r, tf_node *n, int most)
{
    (void)n;
    uint32_t in[3] = {tf_input_tensor(r, 0), one_float(r, most == 1 ? -1 : 0), one_float(r, most)};
    return tf_done(r, tf_op(r, OP_Clip, in, 3, 1));
}

pg_code tf_leaky_relu(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    tf_value v;
    uint32_t in = tf_input_tensor(r, 0);
    double alpha = tf_attr(n, "alpha", &v) && v.kind == TF_V_FLOAT ? v.f : 0.2;
    return tf_done(r, tf_op(r, OP_LeakyRelu, &in, 1, 1) && graph_attr_float(r->g, ATTR_alpha, alpha));
}

pg_code tf_cumsum(tf_reader *r, tf_node *n, int arg)
{
    (void)n;
    (void)arg;
    uint32_t in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    return tf_done(r, tf_op(r, OP_CumSum, in, 2, 1));
}

pg_code tf_top_k(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    uint32_t in[2] = {tf_input_tensor(r, 0), n->n_in > 1 ? tf_input_tensor(r, 1) : tf_int(r, tf_attr_int(n, "k", 1))};
    return tf_done(r, tf_op(r, OP_TopK, in, 2, 2) && graph_attr_int(r->g, ATTR_axis, -1));
}

/* indices, depth, and the values for on and off */
pg_code tf_one_hot(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    uint32_t on = tf_input_tensor(r, 2);
    dtype d = on == NO_TENSOR ? DT_UNKNOWN : (dtype)r->g->tensors[on].dtype;
    uint32_t in[3] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1), literal_of(r, d ? d : DT_FP32, 1, 2)};
    return tf_done(r, tf_op(r, OP_OneHot, in, 3, 1) && graph_attr_int(r->g, ATTR_axis, tf_attr_int(n, "axis", -1)));
}

/* Where: the places of what is true, a row each. Select: a condition with one entry per row is allowed. */
pg_code tf_where(tf_reader *r, tf_node *n, int select)
{
    (void)n;
    uint32_t in[3] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1), tf_input_tensor(r, 2)};
    if (select) return tf_done(r, tf_op(r, OP_Select, in, 3, 1));
    uint32_t places = tf_step(r, OP_NonZero, in, 1);
    return tf_done(r, tf_op(r, OP_Transpose, &places, 1, 1) && graph_attr_ints(r->g, ATTR_perm, (int64_t[2]){1, 0}, 2));
}

/* Simulated quantisation: down to integers and back, which engines that run integers take as their place. */
pg_code tf_fake_quant(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    tf_shape s = {.rank = 0};
    uint32_t x = tf_input_tensor(r, 0);
    if (tf_weight_of(r, tf_in(r, n, 0)) != TF_NONE) return tf_done(r, tf_bind(r, r->at, 0, x));
    bool channels = n->n_in > 1 && tf_static_shape(r, tf_in(r, n, 1), &s, 0) && s.rank == 1;
    int64_t size = channels ? s.dims[0] : 1;
    uint32_t in[3] = {x, literal_of(r, DT_FP32, channels, size), literal_of(r, DT_INT8, channels, size)};
    in[0] = tf_step(r, OP_QuantizeLinear, in, 3);
    if (channels && !graph_attr_int(r->g, ATTR_axis, -1)) return tf_nomem(r);
    return tf_done(r, tf_op(r, OP_DequantizeLinear, in, 3, 1) && (!channels || graph_attr_int(r->g, ATTR_axis, -1)));
}

/* Steps, x [steps, batch, in], cell, state, weights [in + hidden, 4 hidden], ...; output 1 are the cells, 6 the states. */
pg_code tf_block_lstm(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    tf_shape s;
    if (!tf_static_shape(r, tf_in(r, n, 4), &s, 0) || s.rank != 2 || s.dims[1] % 4 || s.dims[0] <= s.dims[1] / 4)
        return tf_unknown(r);
    int64_t hidden = s.dims[1] / 4, w[3] = {1, s.dims[1], s.dims[0] - hidden}, h[3] = {1, s.dims[1], hidden};
    uint32_t weight = tf_weight_of(r, tf_in(r, n, 4));
    str name = weight == TF_NONE ? n->name : tf_at(r, weight)->name;
    uint32_t in[4] = {tf_input_tensor(r, 1), graph_add_weight(r->g, name, DT_FP32, 3, w),
                      graph_add_weight(r->g, name, DT_FP32, 3, h),
                      graph_add_weight(r->g, name, DT_FP32, 2, (int64_t[2]){1, s.dims[1]})};
    for (int i = 1; i < 4; i++)
        if (in[i] != NO_TENSOR) r->g->tensors[in[i]].defined = true;
    uint32_t y = tf_step(r, OP_LSTM, in, 4);
    if (!graph_attr_int(r->g, ATTR_hidden_size, hidden)) return tf_nomem(r);
    uint32_t states = tf_step(r, OP_Squeeze, (uint32_t[2]){y, tf_ints(r, (int64_t[1]){1}, 1)}, 2);
    return tf_done(r, tf_bind(r, r->at, 6, states) && (n->n_out < 2 || tf_bind(r, r->at, 1, states)));
}
