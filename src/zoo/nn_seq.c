#include "zoo/nn_seq.h"

/* ---- 1-D convolutions ---- */

static nn_val conv(nn *n, op_kind kind, nn_val x, const char *layer, const nn_conv1d *s)
{
    int64_t groups = s->groups ? s->groups : 1, stride = s->stride ? s->stride : 1;
    bool up = kind == OP_ConvTranspose;
    uint32_t in[3] = {x.t, NO_TENSOR, NO_TENSOR};
    in[1] = nn_weight(n, layer, ".weight", 3, (int64_t[]){up ? x.c : s->out, (up ? s->out : x.c) / groups, s->k});
    if (s->bias) in[2] = nn_weight(n, layer, ".bias", 1, &s->out);
    nn_val y = nn_op(n, kind, layer, in, s->bias ? 3 : 2, s->out);
    nn_attr_ints(n, ATTR_kernel_shape, 1, (int64_t[]){s->k});
    nn_attr_ints(n, ATTR_strides, 1, &stride);
    nn_attr_ints(n, ATTR_pads, 2, (int64_t[]){s->pad, s->pad});
    if (s->dilation > 1) nn_attr_ints(n, ATTR_dilations, 1, (int64_t[]){s->dilation});
    if (s->output_pad) nn_attr_ints(n, ATTR_output_padding, 1, (int64_t[]){s->output_pad});
    if (groups > 1) nn_attr(n, ATTR_group, groups);
    return y;
}

nn_val nn_conv_1d(nn *n, nn_val x, const char *layer, nn_conv1d s)
{
    return conv(n, OP_Conv, x, layer, &s);
}

nn_val nn_conv_transpose_1d(nn *n, nn_val x, const char *layer, nn_conv1d s)
{
    return conv(n, OP_ConvTranspose, x, layer, &s);
}

nn_val nn_conv_bn_1d(nn *n, nn_val x, const char *layer, nn_conv1d s, op_kind act)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_conv_1d(n, x, "conv", s);
    x = nn_batch_norm(n, x, "bn");
    if (act != NN_NO_ACT) x = nn_op1(n, act, "act", x);
    nn_pop(n, mark);
    return x;
}

nn_val nn_pad_last(nn *n, nn_val x, const char *layer, int rank, int64_t before, int64_t after)
{
    int64_t pads[8] = {0};
    pads[rank - 1] = before;
    pads[2 * rank - 1] = after;
    return nn_op2(n, OP_Pad, layer, x, nn_ints(n, layer, ".pads", pads, (uint32_t)(2 * rank)));
}

nn_val nn_swap(nn *n, nn_val x, const char *layer, int64_t c)
{
    x = nn_transpose(n, x, layer, 3, (int64_t[]){0, 2, 1});
    x.c = c;
    return x;
}

/* ---- plumbing ---- */

nn_val nn_sequence_input(nn *n, const char *name, dtype d, int64_t scale, int64_t offset, int64_t c)
{
    num length = {{.i = offset}, (int32_t)scale, n->sequence};
    num dims[3] = {nn_symbol(n->batch), length, num_int(c)};
    return nn_input(n, name, d, c ? 3 : 2, dims, c);
}

nn_val nn_row_input(nn *n, const char *name, dtype d, int64_t c)
{
    num dims[2] = {nn_symbol(n->batch), num_int(c)};
    return nn_input(n, name, d, c ? 2 : 1, dims, c);
}

nn_val nn_scale(nn *n, nn_val x, const char *layer, double by)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_op2(n, OP_Mul, "mul", x, nn_floats(n, "by", &by, 1));
    nn_pop(n, mark);
    return x;
}

nn_val nn_slice(nn *n, nn_val x, const char *layer, int64_t axis, int64_t from, int64_t to, int64_t c)
{
    uint32_t in[4] = {x.t};
    in[1] = nn_ints(n, layer, ".starts", &from, 1);
    in[2] = nn_ints(n, layer, ".ends", &to, 1);
    in[3] = nn_ints(n, layer, ".axes", &axis, 1);
    return nn_op(n, OP_Slice, layer, in, 4, c);
}

nn_val nn_parameter(nn *n, const char *layer, int rank, const int64_t *dims)
{
    return (nn_val){nn_weight(n, layer, "", rank, dims), dims[rank - 1]};
}

nn_val nn_tied(nn *n, nn_val x, const char *layer, uint32_t table, int64_t rows)
{
    x = nn_op2(n, OP_FusedMatMul, layer, x, table);
    nn_attr(n, ATTR_transB, 1);
    x.c = rows;
    return x;
}

nn_val nn_sines(nn *n, nn_val length, int64_t width)
{
    enum { MOST = 512 };
    double frequency[MOST];
    int64_t half = width / 2;
    if (half > MOST) n->failed = true;
    for (int64_t i = 0; i < half && i < MOST; i++) frequency[i] = pow(1e4, -(double)i / (double)half);
    nn_val at = nn_op1(n, OP_Cast, "cast", nn_range(n, "range", length));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    at = nn_unsqueeze(n, at, "unsqueeze", 2, (int64_t[]){0, 2});
    at = nn_op2(n, OP_Mul, "angles", at, nn_floats(n, "inv_freq", frequency, (uint32_t)(half < MOST ? half : MOST)));
    at = nn_concat(n, (nn_val[]){nn_op1(n, OP_Sin, "sin", at), nn_op1(n, OP_Cos, "cos", at)}, 2, 2, "concat");
    at.c = width;
    return at;
}

nn_val nn_zeros(nn *n, nn_val like, const char *layer, int64_t width)
{
    size_t mark = nn_push(n, "%s", layer);
    nn_val rows = nn_pick(n, nn_op1(n, OP_Shape, "shape", like), "rows", 0, 0);
    rows = nn_unsqueeze(n, rows, "vector", 1, (int64_t[]){0});
    rows = nn_concat(n, (nn_val[]){rows, {nn_ints(n, "width", "", &width, 1), 0}}, 2, 0, "dims");
    nn_val z = nn_op1(n, OP_ConstantOfShape, "zeros", rows);
    nn_pop(n, mark);
    z.c = width;
    return z;
}

nn_val nn_softmax(nn *n, nn_val x, const char *layer, int64_t axis)
{
    x = nn_op1(n, OP_Softmax, layer, x);
    nn_attr(n, ATTR_axis, axis);
    return x;
}

nn_val nn_reduce(nn *n, nn_val x, op_kind kind, const char *layer, int64_t axis, bool keep)
{
    nn_val y = nn_op2(n, kind, layer, x, nn_ints(n, layer, ".axes", &axis, 1));
    nn_attr(n, ATTR_keepdims, keep);
    return y;
}

/* ---- recurrence ---- */

nn_val nn_recurrent(nn *n, op_kind kind, nn_val x, const char *layer, int64_t hidden, bool both_ways, nn_val state)
{
    size_t mark = nn_push(n, "%s", layer);
    int64_t gates = kind == OP_LSTM ? 4 : 3, ways = both_ways ? 2 : 1;
    uint32_t in[7] = {x.t, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR, state.t, state.t};
    in[1] = nn_weight(n, "weight_ih", "", 3, (int64_t[]){ways, gates * hidden, x.c});
    in[2] = nn_weight(n, "weight_hh", "", 3, (int64_t[]){ways, gates * hidden, hidden});
    in[3] = nn_weight(n, "bias", "", 2, (int64_t[]){ways, 2 * gates * hidden});
    nn_val y = nn_op(n, kind, "cell", in, state.t == NO_TENSOR ? 4 : kind == OP_LSTM ? 7 : 6, ways * hidden);
    nn_attr(n, ATTR_hidden_size, hidden);
    nn_attr(n, ATTR_layout, 1); /* the batch comes first; steps, then directions side by side */
    if (both_ways && !n->failed && !graph_attr_string(n->g, ATTR_direction, STR("bidirectional"))) n->failed = true;
    y = nn_reshape(n, y, "merge", 3, (int64_t[]){0, 0, ways * hidden}, ways * hidden);
    nn_pop(n, mark);
    return y;
}

/* ---- attention written out ---- */

nn_val nn_heads(nn *n, nn_val x, const char *layer, int64_t heads, bool transposed)
{
    int64_t width = x.c / heads;
    size_t mark = nn_push(n, "%s", layer);
    x = nn_reshape(n, x, "split_heads", 4, (int64_t[]){0, 0, heads, width}, width);
    x = nn_transpose(n, x, "transpose", 4, transposed ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 2, 1, 3});
    nn_pop(n, mark);
    return x;
}

nn_val nn_merge_heads(nn *n, nn_val x, int64_t heads)
{
    int64_t c = x.c * heads;
    x = nn_transpose(n, x, "transpose", 4, (int64_t[]){0, 2, 1, 3});
    return nn_reshape(n, x, "merge_heads", 3, (int64_t[]){0, 0, c}, c);
}

nn_val nn_attention_explicit(nn *n, nn_val q, nn_val k, nn_val v, nn_explicit o)
{
    int64_t width = v.c / o.heads;
    q = nn_heads(n, q, "q", o.heads, false);
    k = nn_heads(n, k, "k", o.heads, true);
    v = nn_heads(n, v, "v", o.heads, false);
    nn_val s = nn_op2(n, OP_MatMul, "scores", q, k.t);
    if (o.scale > 0) s = nn_scale(n, s, "scale", o.scale);
    if (o.bias.t != NO_TENSOR) s = nn_add(n, s, o.bias, "add_bias");
    if (o.bias_2.t != NO_TENSOR) s = nn_add(n, s, o.bias_2, "add_bias_2");
    s = nn_softmax(n, s, "softmax", -1);
    s = nn_op2(n, OP_MatMul, "context", s, v.t);
    s.c = width;
    return nn_merge_heads(n, s, o.heads);
}

nn_val nn_distance_bias(nn *n, nn_val ids, int64_t buckets, int64_t heads)
{
    size_t mark = nn_push(n, "relative_attention_bias");
    nn_val at = nn_positions(n, ids);
    nn_val row = nn_unsqueeze(n, at, "row", 1, (int64_t[]){0}),
           column = nn_unsqueeze(n, at, "column", 1, (int64_t[]){1});
    nn_val far = nn_op1(n, OP_Cast, "cast", nn_op1(n, OP_Abs, "abs", nn_op2(n, OP_Sub, "distance", row, column.t)));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    far = nn_scale(n, nn_op1(n, OP_Log, "log", far), "per_octave",
                   8 / log(128 / 8)); /* T5: eight buckets for 8 to 128 */
    ;
    far = nn_op1(n, OP_Cast, "bucket", far);
    nn_attr(n, ATTR_to, 7); /* int64 */
    nn_val y = nn_embedding(n, far, "table", buckets, heads, NULL);
    y = nn_transpose(n, y, "heads_first", 3, (int64_t[]){2, 0, 1});
    y = nn_unsqueeze(n, y, "unsqueeze", 1, (int64_t[]){0});
    nn_pop(n, mark);
    return y;
}

nn_val nn_causal_mask(nn *n, nn_val ids)
{
    size_t mark = nn_push(n, "causal_mask");
    nn_val at = nn_positions(n, ids);
    nn_val row = nn_unsqueeze(n, at, "row", 3, (int64_t[]){0, 1, 2});
    nn_val column = nn_unsqueeze(n, at, "column", 3, (int64_t[]){0, 1, 3});
    nn_val later = nn_op2(n, OP_Greater, "later", row, column.t);
    uint32_t in[3] = {later.t, NO_TENSOR, NO_TENSOR};
    in[1] = nn_floats(n, "lowest", (double[]){-3.4028234663852886e38}, 1);
    in[2] = nn_floats(n, "zero", (double[]){0}, 1);
    nn_val m = nn_op(n, OP_Where, "where", in, 3, 0);
    nn_pop(n, mark);
    return m;
}

nn_val nn_padding_mask(nn *n)
{
    nn_val m = nn_token_input(n, "attention_mask");
    size_t mark = nn_push(n, "mask");
    m = nn_unsqueeze(n, m, "unsqueeze", 2, (int64_t[]){1, 2});
    m = nn_op1(n, OP_Cast, "cast", m);
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    nn_val one = {nn_floats(n, "one", (double[]){1}, 1), 0};
    m = nn_op2(n, OP_Sub, "sub", one, m.t);
    m = nn_op2(n, OP_Mul, "mul", m, nn_floats(n, "lowest", (double[]){-3.4028234663852886e38}, 1));
    nn_pop(n, mark);
    return m;
}

/* ---- a loop over steps ---- */

static uint32_t body_tensor(nn *n, const char *name, uint32_t i)
{
    char text[48];
    format_text(text, sizeof text, "%s%s.%u", n->scope, name, i);
    str s = n->failed ? (str){NULL, 0} : str_copy(n->g->a, str_c(text));
    uint32_t t = s.ptr ? graph_add_tensor(n->g, s, DT_UNKNOWN) : NO_TENSOR;
    if (t == NO_TENSOR || !graph_add_input(n->g, n->region, t)) n->failed = true;
    return n->failed ? NO_TENSOR : t;
}

void nn_scan_begin(nn *n, nn_scan *l, nn_val trips, uint32_t count, nn_val *carried)
{
    *l = (nn_scan){.outer = n->region, .carried = count};
    l->in[0] = trips.t;
    l->in[1] = NO_TENSOR;
    for (uint32_t i = 0; i < count; i++) l->in[2 + i] = carried[i].t;
    l->region = n->failed ? NO_TENSOR : graph_add_region(n->g);
    if (l->region == NO_TENSOR) n->failed = true;
    else n->region = l->region;
    for (uint32_t i = 0; i < count + 2; i++) l->body_in[i] = body_tensor(n, "step", i);
    for (uint32_t i = 0; i < count; i++) carried[i].t = l->body_in[2 + i];
}

nn_val nn_scan_step(const nn_scan *l)
{
    return (nn_val){l->body_in[0], 1};
}

nn_val nn_scan_end(nn *n, nn_scan *l, const char *layer, nn_val *next, nn_val each)
{
    uint32_t out[12] = {NO_TENSOR};
    bool scan = each.t != NO_TENSOR, ok = !n->failed;
    ok = ok && graph_add_output(n->g, l->region, l->body_in[1]); /* goes on while it holds: always */
    for (uint32_t i = 0; i < l->carried && ok; i++) ok = graph_add_output(n->g, l->region, next[i].t);
    if (scan && ok) ok = graph_add_output(n->g, l->region, each.t);
    n->failed = !ok;
    n->region = l->outer;
    nn_emit(n, OP_Loop, layer, l->in, 2 + l->carried, out, l->carried + scan);
    if (!n->failed && !graph_attr_index(n->g, ATTR_body, ATTR_REGION, l->region)) n->failed = true;
    for (uint32_t i = 0; i < l->carried; i++) next[i].t = out[i];
    return scan && !n->failed ? (nn_val){out[l->carried], each.c} : NN_ABSENT;
}
