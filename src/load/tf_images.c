/* Convolutions, pools and what else knows images: NHWC (or NCHW), weights [height, width, in, out]. */
#include "load/tf_internal.h"

enum { SPATIAL = 3 };

static bool is_last(const tf_node *n)
{
    str format = tf_attr_text(n, "data_format");
    return !format.len || format.ptr[format.len - 1] == 'C';
}

static void set_layout(tf_reader *r, const tf_node *n)
{
    if (r->g->n_ops && is_last(n)) tf_last(r)->flags |= OPF_CHANNELS_LAST;
}

/* The spatial entries of a list with one number per dimension; 1 where it says nothing. */
static void spatial_ints(const tf_node *n, const char *key, uint32_t dims, int64_t *out)
{
    int64_t all[SPATIAL + 2];
    uint32_t count = tf_attr_ints(n, key, all, SPATIAL + 2), from = is_last(n) ? 1 : 2;
    for (uint32_t i = 0; i < dims; i++) out[i] = count == dims + 2 ? all[from + i] : 1;
}

static bool put_padding(tf_reader *r, const tf_node *n, uint32_t dims)
{
    int64_t all[2 * (SPATIAL + 2)], pads[2 * SPATIAL];
    str padding = tf_attr_text(n, "padding");
    if (str_is(padding, "SAME")) return graph_attr_string(r->g, ATTR_auto_pad, STR("SAME_UPPER"));
    if (!str_is(padding, "EXPLICIT")) return true;
    uint32_t count = tf_attr_ints(n, "explicit_paddings", all, 2 * (SPATIAL + 2)), from = is_last(n) ? 1 : 2;
    if (count != 2 * (dims + 2)) return true;
    for (uint32_t i = 0; i < dims; i++) {
        pads[i] = all[2 * (from + i)];
        pads[dims + i] = all[2 * (from + i) + 1];
    }
    return graph_attr_ints(r->g, ATTR_pads, pads, 2 * dims);
}

/* Strides, dilation, padding of the operator that was added last. */
static bool put_windows(tf_reader *r, const tf_node *n, uint32_t dims)
{
    int64_t strides[SPATIAL], dilations[SPATIAL];
    const tf_fusion *f = n->fusion;
    spatial_ints(n, "strides", dims, strides);
    spatial_ints(n, "dilations", dims, dilations);
    bool blocks = f && f->rank && f->rank <= dims;
    uint32_t skip = blocks ? dims - f->rank : 0;
    for (uint32_t i = 0; blocks && i < f->rank; i++) dilations[skip + i] = f->dilation[i];
    if (!graph_attr_ints(r->g, ATTR_strides, strides, dims) || !graph_attr_ints(r->g, ATTR_dilations, dilations, dims))
        return false;
    if (!blocks) return put_padding(r, n, dims);
    if (f->same) return graph_attr_string(r->g, ATTR_auto_pad, STR("SAME_UPPER"));
    int64_t pads[2 * SPATIAL] = {0};
    for (uint32_t i = 0; i < f->rank; i++) {
        pads[skip + i] = f->pads[i];
        pads[dims + skip + i] = f->pads[f->rank + i];
    }
    return graph_attr_ints(r->g, ATTR_pads, pads, 2 * dims);
}

/* [k..., in, out] as [out, in, k...]; of a transposed convolution [k..., out, in] as [in, out, k...]. */
static uint32_t filter_of(tf_reader *r, const tf_node *n, uint32_t dims)
{
    tf_ref ref = tf_in(r, n, 1);
    tf_shape s;
    uint32_t w = tf_weight_of(r, ref);
    int64_t to[SPATIAL + 2], perm[SPATIAL + 2] = {dims + 1, dims};
    for (uint32_t i = 0; i < dims; i++) perm[2 + i] = i;
    if (w != TF_NONE && tf_static_shape(r, (tf_ref){w, 0}, &s, 0) && s.rank == (int)dims + 2) {
        for (uint32_t i = 0; i < dims + 2; i++) to[i] = s.dims[perm[i]];
        return tf_weight_as(r, w, s.rank, to, "filter");
    }
    uint32_t in = tf_tensor(r, ref), out = tf_step(r, OP_Transpose, &in, 1);
    return graph_attr_ints(r->g, ATTR_perm, perm, dims + 2) ? out : NO_TENSOR;
}

static uint32_t bias_of(tf_reader *r, const tf_node *n, uint32_t plain)
{
    bool given = (n->fusion && n->fusion->bias) || str_starts(n->op, "_Fused");
    return given && n->n_in > plain ? tf_tensor(r, tf_in(r, n, plain)) : NO_TENSOR;
}

pg_code tf_conv(tf_reader *r, tf_node *n, int dims)
{
    uint32_t in[3] = {tf_input_tensor(r, 0), filter_of(r, n, (uint32_t)dims), bias_of(r, n, 2)};
    if (!tf_op(r, OP_Conv, in, in[2] == NO_TENSOR ? 2 : 3, 1)) return tf_nomem(r);
    set_layout(r, n);
    return graph_attr_int(r->g, ATTR_group, 0) && put_windows(r, n, (uint32_t)dims) ? PG_E_OK : tf_nomem(r);
}

/* Weights [height, width, channels, results of each]. */
pg_code tf_depthwise(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    tf_shape s;
    tf_ref ref = tf_in(r, n, 1);
    if (!tf_static_shape(r, ref, &s, 0) || s.rank != 4) return tf_unknown(r);
    int64_t to[4] = {0, 1, s.dims[0], s.dims[1]}, channels = s.dims[2];
    if (!channels || __builtin_mul_overflow(channels, s.dims[3], &to[0])) return tf_unknown(r);
    uint32_t node = tf_weight_of(r, ref), w;
    if (node != TF_NONE) {
        w = tf_weight_as(r, node, 4, to, "depthwise");
    } else {
        static const int64_t perm[4] = {2, 3, 0, 1};
        uint32_t raw = tf_tensor(r, ref), turned = tf_step(r, OP_Transpose, &raw, 1);
        if (!graph_attr_ints(r->g, ATTR_perm, perm, 4)) return tf_nomem(r);
        w = tf_step(r, OP_Reshape, (uint32_t[2]){turned, tf_ints(r, to, 4)}, 2);
    }
    uint32_t in[3] = {tf_input_tensor(r, 0), w, bias_of(r, n, 2)};
    if (!tf_op(r, OP_Conv, in, in[2] == NO_TENSOR ? 2 : 3, 1)) return tf_nomem(r);
    set_layout(r, n);
    return graph_attr_int(r->g, ATTR_group, channels) && put_windows(r, n, 2) ? PG_E_OK : tf_nomem(r);
}

/* The size of the result, weights [k..., out, in], and what is convolved. */
pg_code tf_conv_transpose(tf_reader *r, tf_node *n, int dims)
{
    int64_t sizes[SPATIAL + 2];
    uint32_t count, d = (uint32_t)dims, from = is_last(n) ? 1 : 2;
    uint32_t in[3] = {tf_input_tensor(r, 2), filter_of(r, n, d), bias_of(r, n, 3)};
    if (!tf_op(r, OP_ConvTranspose, in, in[2] == NO_TENSOR ? 2 : 3, 1)) return tf_nomem(r);
    set_layout(r, n);
    bool ok = put_windows(r, n, d);
    bool known = tf_const_ints(r, tf_in(r, n, 0), sizes, SPATIAL + 2, &count) && count == d + 2;
    for (uint32_t i = 0; i < d && known; i++) known = sizes[from + i] >= 1;
    if (known) ok = ok && graph_attr_ints(r->g, ATTR_output_shape, sizes + from, d);
    return ok ? PG_E_OK : tf_nomem(r);
}

pg_code tf_pool(tf_reader *r, tf_node *n, int kind)
{
    int64_t window[SPATIAL + 2] = {0}, strides[SPATIAL + 2] = {0};
    uint32_t rank = tf_attr_ints(n, "ksize", window, SPATIAL + 2), n_strides = tf_attr_ints(n, "strides", strides, 5);
    if (n->n_in == 3 && (!tf_const_ints(r, tf_in(r, n, 1), window, SPATIAL + 2, &rank) || /* MaxPoolV2 */
                         !tf_const_ints(r, tf_in(r, n, 2), strides, SPATIAL + 2, &n_strides)))
        return tf_unknown(r);
    if ((rank != 4 && rank != 5) || n_strides != rank || window[0] != 1 || window[is_last(n) ? rank - 1 : 1] != 1)
        return tf_unknown(r);
    uint32_t in = tf_input_tensor(r, 0), dims = rank - 2, from = is_last(n) ? 1 : 2;
    if (!tf_op(r, (op_kind)kind, &in, 1, n->n_out > 1 && kind == OP_MaxPool ? 2 : 1)) return tf_nomem(r);
    set_layout(r, n);
    bool ok = graph_attr_ints(r->g, ATTR_kernel_shape, window + from, dims) &&
              graph_attr_ints(r->g, ATTR_strides, strides + from, dims) && put_padding(r, n, dims);
    return ok ? PG_E_OK : tf_nomem(r);
}

/* which: 0: TensorFlow's operator; 1: spelled out, over the last dimension; 2: layer normalisation */
pg_code tf_batch_norm(tf_reader *r, tf_node *n, int which)
{
    uint32_t in[5], outputs = which == 0 && n->n_out > 1 ? n->n_out < 5 ? n->n_out : 5 : 1;
    for (uint32_t i = 0; i < 5; i++) in[i] = tf_input_tensor(r, i);
    if (which == 2) {
        if (!tf_op(r, OP_LayerNormalization, in, 3, 1)) return tf_nomem(r);
        return graph_attr_int(r->g, ATTR_axis, -1) ? PG_E_OK : tf_nomem(r);
    }
    if (!tf_op(r, OP_BatchNormalization, in, 5, outputs)) return tf_nomem(r);
    if (which == 1) tf_last(r)->flags |= OPF_CHANNELS_LAST;
    else set_layout(r, n);
    return PG_E_OK;
}

pg_code tf_bias_add(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    uint32_t in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    if (!is_last(n)) { /* NCHW */
        tf_shape s;
        uint32_t w = tf_weight_of(r, tf_in(r, n, 1));
        if (w != TF_NONE && tf_static_shape(r, (tf_ref){w, 0}, &s, 0) && s.rank == 1)
            in[1] = tf_weight_as(r, w, 3, (int64_t[3]){s.dims[0], 1, 1}, "channels");
        else in[1] = tf_step(r, OP_Unsqueeze, (uint32_t[2]){in[1], tf_ints(r, (int64_t[2]){1, 2}, 2)}, 2);
    }
    return tf_op(r, OP_Add, in, 2, 1) ? PG_E_OK : tf_nomem(r);
}

pg_code tf_resize(tf_reader *r, tf_node *n, int mode)
{
    (void)n;
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    uint32_t in[4] = {tf_input_tensor(r, 0), NO_TENSOR, NO_TENSOR, tf_input_tensor(r, 1)};
    if (!tf_op(r, OP_Resize, in, 4, 1)) return tf_nomem(r);
    tf_last(r)->flags |= OPF_CHANNELS_LAST;
    return graph_attr_ints(r->g, ATTR_axes, (int64_t[2]){1, 2}, 2) &&
                   graph_attr_string(r->g, ATTR_mode, str_c(modes[mode]))
             ? PG_E_OK
             : tf_nomem(r);
}

pg_code tf_blocks(tf_reader *r, tf_node *n, int kind)
{
    uint32_t in = tf_input_tensor(r, 0);
    if (!tf_op(r, (op_kind)kind, &in, 1, 1)) return tf_nomem(r);
    set_layout(r, n);
    return graph_attr_int(r->g, ATTR_blocksize, tf_attr_int(n, "block_size", 0)) ? PG_E_OK : tf_nomem(r);
}

/* Images, boxes, the image of each box, and the size of what is cut out. */
pg_code tf_crop_and_resize(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    int64_t size[2];
    uint32_t count;
    if (!tf_const_ints(r, tf_in(r, n, 3), size, 2, &count) || count != 2) return tf_unknown(r);
    uint32_t in[3] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1), tf_input_tensor(r, 2)};
    if (!tf_op(r, OP_RoiAlign, in, 3, 1)) return tf_nomem(r);
    tf_last(r)->flags |= OPF_CHANNELS_LAST;
    return graph_attr_int(r->g, ATTR_output_height, size[0]) && graph_attr_int(r->g, ATTR_output_width, size[1])
             ? PG_E_OK
             : tf_nomem(r);
}

/* Boxes [n, 4] and scores [n] to the numbers of those that are kept; ONNX has batches and classes of them. */
pg_code tf_suppress(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    uint32_t scores = tf_input_tensor(r, 1), most = tf_input_tensor(r, 2);
    uint32_t a = tf_step(r, OP_Unsqueeze, (uint32_t[2]){tf_input_tensor(r, 0), tf_ints(r, (int64_t[1]){0}, 1)}, 2);
    uint32_t b = tf_step(r, OP_Unsqueeze, (uint32_t[2]){scores, tf_ints(r, (int64_t[2]){0, 1}, 2)}, 2);
    uint32_t kept = tf_step(r, OP_NonMaxSuppression, (uint32_t[3]){a, b, most}, 3);
    uint32_t in[2] = {kept, tf_int(r, 2)};
    if (!tf_op(r, OP_Gather, in, 2, 1) || !graph_attr_int(r->g, ATTR_axis, 1)) return tf_nomem(r);
    uint32_t indices = tf_tensor(r, (tf_ref){r->at, 0});
    if (indices == NO_TENSOR) indices = r->outs[tf_at(r, r->at)->out];
    bool scored = tf_is(n, "NonMaxSuppressionV5");
    if (scored && !tf_bind(r, r->at, 1, tf_step(r, OP_Gather, (uint32_t[2]){scores, indices}, 2))) return tf_nomem(r);
    if (n->n_out > (scored ? 2u : 1u) && !tf_bind(r, r->at, scored ? 2 : 1, tf_step(r, OP_Size, &indices, 1)))
        return tf_nomem(r);
    return PG_E_OK;
}

/* Boxes, scores, classes and how many are valid; the operator that we have gives the last first. */
pg_code tf_combined_suppress(tf_reader *r, tf_node *n, int arg)
{
    (void)arg;
    int64_t total = 0;
    uint32_t count, out[4], in[2] = {tf_input_tensor(r, 0), tf_input_tensor(r, 1)};
    if (n->n_in < 4 || !tf_const_ints(r, tf_in(r, n, 3), &total, 1, &count) || count != 1) return tf_unknown(r);
    for (uint32_t i = 0; i < 4; i++) {
        out[i] = graph_add_tensor(r->g, n->name, DT_UNKNOWN);
        if (out[i] == NO_TENSOR || !tf_bind(r, r->at, (i + 3) % 4, out[i])) return tf_nomem(r);
        r->g->tensors[out[i]].defined = true;
    }
    uint32_t o = graph_add_op(r->g, tf_at(r, r->at)->region, OP_BatchedNMS_TRT, n->name, in, 2, out, 4);
    if (o == NO_TENSOR || !graph_attr_int(r->g, ATTR_keepTopK, total)) return tf_nomem(r);
    r->g->ops[o].type = n->op;
    return PG_E_OK;
}
