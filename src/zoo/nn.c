#include "zoo/nn.h"

/* ---- plumbing ---- */

size_t nn_push(nn *n, const char *fmt, ...)
{
    size_t mark = n->scope_len, room = sizeof n->scope - mark;
    va_list args;
    va_start(args, fmt);
    size_t len = format_textv(n->scope + mark, room, fmt, args);
    va_end(args);
    n->scope_len += len < room ? len : room - 1;
    if (n->scope_len + 1 < sizeof n->scope) n->scope[n->scope_len++] = '.';
    n->scope[n->scope_len] = '\0';
    return mark;
}

void nn_pop(nn *n, size_t mark)
{
    n->scope_len = mark;
    n->scope[mark] = '\0';
}

/* Remembers that something could not be allocated. */
static bool must(nn *n, bool ok)
{
    if (!ok) n->failed = true;
    return ok;
}

static str name_of(nn *n, const char *layer, const char *suffix)
{
    char text[256];
    size_t len = format_text(text, sizeof text, "%s%s%s", n->scope, layer, suffix);
    str s = str_copy(n->g->a, (str){text, len < sizeof text ? len : sizeof text - 1});
    must(n, s.ptr != NULL);
    return s;
}

nn_val nn_input(nn *n, const char *name, dtype d, int rank, const num *dims, int64_t c)
{
    if (n->failed) return NN_ABSENT;
    uint32_t t = graph_add_tensor(n->g, str_c(name), d);
    if (!must(n, t != NO_TENSOR && graph_set_dims(n->g, t, rank, dims) && graph_add_input(n->g, 0, t)))
        return NN_ABSENT;
    return (nn_val){t, c};
}

nn_val nn_image_input(nn *n, const char *name, int64_t channels)
{
    num dims[4] = {nn_symbol(n->batch), num_int(channels), num_int(n->image), num_int(n->image)};
    return nn_input(n, name, n->weights, 4, dims, channels);
}

nn_val nn_token_input(nn *n, const char *name)
{
    num dims[2] = {nn_symbol(n->batch), nn_symbol(n->sequence)};
    return nn_input(n, name, DT_INT64, 2, dims, 0);
}

void nn_output(nn *n, nn_val x, const char *name)
{
    if (n->failed) return;
    n->g->tensors[x.t].name = str_c(name);
    must(n, graph_add_output(n->g, 0, x.t));
}

uint32_t nn_weight(nn *n, const char *layer, const char *suffix, int rank, const int64_t *dims)
{
    nn_shared *s = n->shared;
    if (n->failed) return NO_TENSOR;
    if (s && s->again) return must(n, s->at < s->n) ? s->t[s->at++] : NO_TENSOR;
    str name = name_of(n, layer, suffix);
    uint32_t t = n->failed ? NO_TENSOR : graph_add_weight(n->g, name, n->weights, rank, dims);
    if (must(n, t != NO_TENSOR) && s && must(n, s->n < sizeof s->t / sizeof *s->t)) s->t[s->n++] = t;
    return t;
}

static uint32_t ints(nn *n, const char *layer, const char *suffix, int rank, const int64_t *v, uint32_t count)
{
    if (n->failed) return NO_TENSOR;
    str name = name_of(n, layer, suffix);
    uint32_t t = n->failed ? NO_TENSOR : graph_add_ints(n->g, name, rank, v, count);
    must(n, t != NO_TENSOR);
    return t;
}

uint32_t nn_ints(nn *n, const char *layer, const char *suffix, const int64_t *v, uint32_t count)
{
    return ints(n, layer, suffix, 1, v, count);
}

uint32_t nn_indices(nn *n, const char *layer, int64_t count)
{
    if (n->failed) return NO_TENSOR;
    str name = name_of(n, layer, "");
    uint32_t t = n->failed ? NO_TENSOR : graph_add_weight(n->g, name, DT_INT64, 1, &count);
    must(n, t != NO_TENSOR);
    return t;
}

uint32_t nn_scalar(nn *n, const char *layer, const char *suffix, int64_t v)
{
    return ints(n, layer, suffix, 0, &v, 1);
}

uint32_t nn_floats(nn *n, const char *layer, const double *v, uint32_t count)
{
    uint32_t out;
    if (!nn_emit(n, OP_Constant, layer, NULL, 0, &out, 1)) return NO_TENSOR;
    must(n, graph_attr_floats(n->g, ATTR_value_floats, v, count));
    return out;
}

bool nn_emit(nn *n, op_kind kind, const char *layer, const uint32_t *in, uint32_t n_in, uint32_t *out, uint32_t n_out)
{
    for (uint32_t i = 0; i < n_out; i++) out[i] = NO_TENSOR;
    if (n->failed) return false;
    str name = name_of(n, layer, "");
    for (uint32_t i = 0; i < n_out && !n->failed; i++) {
        char suffix[16];
        format_text(suffix, sizeof suffix, ".%u", i);
        out[i] = graph_add_tensor(n->g, i ? name_of(n, layer, suffix) : name, DT_UNKNOWN);
        must(n, out[i] != NO_TENSOR);
    }
    return !n->failed && must(n, graph_add_op(n->g, n->region, kind, name, in, n_in, out, n_out) != NO_TENSOR);
}

nn_val nn_op(nn *n, op_kind kind, const char *layer, const uint32_t *in, uint32_t n_in, int64_t c)
{
    uint32_t out;
    return nn_emit(n, kind, layer, in, n_in, &out, 1) ? (nn_val){out, c} : NN_ABSENT;
}

nn_val nn_op1(nn *n, op_kind kind, const char *layer, nn_val x)
{
    return nn_op(n, kind, layer, &x.t, 1, x.c);
}

nn_val nn_op2(nn *n, op_kind kind, const char *layer, nn_val a, uint32_t b)
{
    return nn_op(n, kind, layer, (uint32_t[]){a.t, b}, 2, a.c);
}

void nn_attr(nn *n, attr_key key, int64_t v)
{
    if (!n->failed) must(n, graph_attr_int(n->g, key, v));
}

void nn_attr_ints(nn *n, attr_key key, uint32_t count, const int64_t *v)
{
    if (!n->failed) must(n, graph_attr_ints(n->g, key, v, count));
}

void nn_attr_text(nn *n, attr_key key, const char *v)
{
    if (!n->failed) must(n, graph_attr_string(n->g, key, str_c(v)));
}

/* ---- images ---- */

static void window_attrs(nn *n, const nn_conv2d *s)
{
    int64_t kw = s->kw ? s->kw : s->k, stride = s->stride ? s->stride : 1, pad_w = s->kw ? s->pad_w : s->pad;
    nn_attr_ints(n, ATTR_kernel_shape, 2, (int64_t[]){s->k, kw});
    nn_attr_ints(n, ATTR_strides, 2, (int64_t[]){stride, stride});
    nn_attr_ints(n, ATTR_pads, 4, (int64_t[]){s->pad, pad_w, s->pad, pad_w});
}

static nn_val conv(nn *n, op_kind kind, nn_val x, const char *layer, const nn_conv2d *s)
{
    int64_t kw = s->kw ? s->kw : s->k, groups = s->groups ? s->groups : 1;
    bool up = kind == OP_ConvTranspose;
    uint32_t in[3] = {x.t, NO_TENSOR, NO_TENSOR};
    in[1] = nn_weight(n, layer, ".weight", 4, (int64_t[]){up ? x.c : s->out, (up ? s->out : x.c) / groups, s->k, kw});
    if (s->bias) in[2] = nn_weight(n, layer, ".bias", 1, &s->out);
    nn_val y = nn_op(n, kind, layer, in, s->bias ? 3 : 2, s->out);
    window_attrs(n, s);
    if (groups > 1) nn_attr(n, ATTR_group, groups);
    if (s->dilation > 1) nn_attr_ints(n, ATTR_dilations, 2, (int64_t[]){s->dilation, s->dilation});
    return y;
}

nn_val nn_conv(nn *n, nn_val x, const char *layer, nn_conv2d s)
{
    return conv(n, OP_Conv, x, layer, &s);
}

nn_val nn_conv_transpose(nn *n, nn_val x, const char *layer, nn_conv2d s)
{
    return conv(n, OP_ConvTranspose, x, layer, &s);
}

nn_val nn_batch_norm(nn *n, nn_val x, const char *layer)
{
    static const char *const parts[4] = {".weight", ".bias", ".running_mean", ".running_var"};
    uint32_t in[5] = {x.t};
    for (int i = 0; i < 4; i++) in[i + 1] = nn_weight(n, layer, parts[i], 1, &x.c);
    return nn_op(n, OP_BatchNormalization, layer, in, 5, x.c);
}

nn_val nn_act(nn *n, nn_val x, op_kind kind, const char *layer)
{
    if (kind != OP_Clip) return nn_op1(n, kind, layer, x);
    if (n->zero == NO_TENSOR) { /* the model's first one makes the constants */
        if (nn_emit(n, OP_Constant, "relu6.min", NULL, 0, &n->zero, 1))
            must(n, graph_attr_float(n->g, ATTR_value_float, 0));
        if (nn_emit(n, OP_Constant, "relu6.max", NULL, 0, &n->six, 1))
            must(n, graph_attr_float(n->g, ATTR_value_float, 6));
    }
    return nn_op(n, OP_Clip, layer, (uint32_t[]){x.t, n->zero, n->six}, 3, x.c);
}

nn_val nn_conv_bn(nn *n, nn_val x, const char *layer, nn_conv2d s, op_kind act)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_conv(n, x, "conv", s);
    x = nn_batch_norm(n, x, "bn");
    if (act != NN_NO_ACT) x = nn_act(n, x, act, "act");
    nn_pop(n, mark);
    return x;
}

nn_val nn_squeeze_excite(nn *n, nn_val x, int64_t squeezed, op_kind act, op_kind gate)
{
    size_t mark = nn_push(n, "se");
    nn_val s = nn_op1(n, OP_GlobalAveragePool, "avgpool", x);
    s = nn_conv(n, s, "fc1", (nn_conv2d){.out = squeezed, .k = 1, .bias = true});
    s = nn_act(n, s, act, "activation");
    s = nn_conv(n, s, "fc2", (nn_conv2d){.out = x.c, .k = 1, .bias = true});
    s = nn_act(n, s, gate, "scale_activation");
    x = nn_mul(n, x, s, "mul");
    nn_pop(n, mark);
    return x;
}

nn_val nn_pool(nn *n, nn_val x, op_kind kind, const char *layer, int k, int stride, int pad)
{
    nn_val y = nn_op1(n, kind, layer, x);
    window_attrs(n, &(nn_conv2d){.k = k, .stride = stride, .pad = pad});
    if (kind == OP_AveragePool && pad) nn_attr(n, ATTR_count_include_pad, 1); /* PyTorch's default */
    return y;
}

nn_val nn_adaptive_pool(nn *n, nn_val x, const char *layer, int64_t size)
{
    nn_val y = nn_op1(n, OP_AdaptiveAveragePool, layer, x);
    nn_attr_ints(n, ATTR_output_shape, 2, (int64_t[]){size, size});
    return y;
}

nn_val nn_global_pool(nn *n, nn_val x, const char *layer)
{
    return nn_flatten(n, nn_op1(n, OP_GlobalAveragePool, layer, x), "flatten", x.c);
}

nn_val nn_upsample2(nn *n, nn_val x, const char *layer)
{
    size_t mark = nn_push(n, "%s", layer);
    uint32_t scales = nn_floats(n, "scales", (double[]){1, 1, 2, 2}, 4);
    nn_val y = nn_op(n, OP_Resize, "resize", (uint32_t[]){x.t, NO_TENSOR, scales}, 3, x.c);
    nn_attr_text(n, ATTR_mode, "nearest");
    nn_pop(n, mark);
    return y;
}

nn_val nn_flatten(nn *n, nn_val x, const char *layer, int64_t c)
{
    nn_val y = nn_op1(n, OP_Flatten, layer, x);
    nn_attr(n, ATTR_axis, 1);
    y.c = c;
    return y;
}

nn_val nn_group_norm(nn *n, nn_val x, const char *layer, int64_t groups)
{
    uint32_t in[3] = {x.t};
    in[1] = nn_weight(n, layer, ".weight", 1, &x.c);
    in[2] = nn_weight(n, layer, ".bias", 1, &x.c);
    nn_val y = nn_op(n, OP_GroupNormalization, layer, in, 3, x.c);
    nn_attr(n, ATTR_num_groups, groups);
    return y;
}

/* ---- features ---- */

nn_val nn_fc(nn *n, nn_val x, const char *layer, int64_t out)
{
    uint32_t in[3] = {x.t};
    in[1] = nn_weight(n, layer, ".weight", 2, (int64_t[]){out, x.c});
    in[2] = nn_weight(n, layer, ".bias", 1, &out);
    nn_val y = nn_op(n, OP_Gemm, layer, in, 3, out);
    nn_attr(n, ATTR_transB, 1);
    return y;
}

nn_val nn_linear(nn *n, nn_val x, const char *layer, int64_t out, bool bias)
{
    size_t mark = nn_push(n, "%s", layer);
    nn_val y = nn_op2(n, OP_MatMul, "matmul", x, nn_weight(n, "weight", "", 2, (int64_t[]){x.c, out}));
    if (bias) y = nn_op2(n, OP_Add, "add", y, nn_weight(n, "bias", "", 1, &out));
    nn_pop(n, mark);
    y.c = out;
    return y;
}

nn_val nn_mlp(nn *n, nn_val x, const char *up, const char *down, int64_t hidden, op_kind act)
{
    nn_val h = nn_linear(n, x, up, hidden, true);
    return nn_linear(n, nn_act(n, h, act, "act"), down, x.c, true);
}

nn_val nn_layer_norm(nn *n, nn_val x, const char *layer)
{
    uint32_t in[3] = {x.t};
    in[1] = nn_weight(n, layer, ".weight", 1, &x.c);
    in[2] = nn_weight(n, layer, ".bias", 1, &x.c);
    nn_val y = nn_op(n, OP_LayerNormalization, layer, in, 3, x.c);
    nn_attr(n, ATTR_axis, -1);
    return y;
}

nn_val nn_rms_norm(nn *n, nn_val x, const char *layer)
{
    nn_val y = nn_op2(n, OP_SimplifiedLayerNormalization, layer, x, nn_weight(n, layer, ".weight", 1, &x.c));
    nn_attr(n, ATTR_axis, -1);
    return y;
}

nn_val nn_add(nn *n, nn_val a, nn_val b, const char *layer)
{
    return nn_op2(n, OP_Add, layer, a, b.t);
}

nn_val nn_mul(nn *n, nn_val a, nn_val b, const char *layer)
{
    return nn_op2(n, OP_Mul, layer, a, b.t);
}

/* ---- moving data ---- */

nn_val nn_concat(nn *n, const nn_val *x, uint32_t count, int64_t axis, const char *layer)
{
    uint32_t in[64];
    int64_t c = 0;
    if (!must(n, count <= 64)) return NN_ABSENT;
    for (uint32_t i = 0; i < count; i++) {
        in[i] = x[i].t;
        c += x[i].c;
    }
    nn_val y = nn_op(n, OP_Concat, layer, in, count, c);
    nn_attr(n, ATTR_axis, axis);
    return y;
}

void nn_split(nn *n, nn_val x, const char *layer, int64_t axis, uint32_t count, nn_val *out)
{
    uint32_t t[8];
    if (must(n, count <= 8)) nn_emit(n, OP_Split, layer, &x.t, 1, t, count);
    nn_attr(n, ATTR_axis, axis);
    nn_attr(n, ATTR_num_outputs, count);
    for (uint32_t i = 0; i < count; i++) out[i] = n->failed ? NN_ABSENT : (nn_val){t[i], x.c / count};
}

nn_val nn_reshape(nn *n, nn_val x, const char *layer, int rank, const int64_t *dims, int64_t c)
{
    nn_val y = nn_op2(n, OP_Reshape, layer, x, nn_ints(n, layer, ".shape", dims, (uint32_t)rank));
    y.c = c;
    return y;
}

nn_val nn_transpose(nn *n, nn_val x, const char *layer, int rank, const int64_t *perm)
{
    nn_val y = nn_op1(n, OP_Transpose, layer, x);
    nn_attr_ints(n, ATTR_perm, (uint32_t)rank, perm);
    return y;
}

nn_val nn_unsqueeze(nn *n, nn_val x, const char *layer, uint32_t count, const int64_t *axes)
{
    return nn_op2(n, OP_Unsqueeze, layer, x, nn_ints(n, layer, ".axes", axes, count));
}

nn_val nn_pick(nn *n, nn_val x, const char *layer, int64_t axis, int64_t index)
{
    nn_val y = nn_op2(n, OP_Gather, layer, x, nn_scalar(n, layer, ".index", index));
    nn_attr(n, ATTR_axis, axis);
    return y;
}

/* ---- text ---- */

nn_val nn_embedding(nn *n, nn_val ids, const char *layer, int64_t rows, int64_t width, uint32_t *table)
{
    uint32_t w = nn_weight(n, layer, ".weight", 2, (int64_t[]){rows, width});
    if (table) *table = w;
    return nn_lookup(n, layer, w, ids, width);
}

nn_val nn_lookup(nn *n, const char *layer, uint32_t table, nn_val ids, int64_t width)
{
    nn_val y = nn_op2(n, OP_Gather, layer, (nn_val){table, width}, ids.t);
    nn_attr(n, ATTR_axis, 0);
    return y;
}

nn_val nn_range(nn *n, const char *layer, nn_val count)
{
    uint32_t in[3] = {NO_TENSOR, count.t, NO_TENSOR};
    in[0] = nn_scalar(n, "start", "", 0);
    in[2] = nn_scalar(n, "step", "", 1);
    return nn_op(n, OP_Range, layer, in, 3, 0);
}

nn_val nn_positions(nn *n, nn_val ids)
{
    size_t mark = nn_push(n, "positions");
    nn_val len = nn_pick(n, nn_op1(n, OP_Shape, "shape", ids), "length", 0, 1);
    nn_val y = nn_range(n, "range", len);
    nn_pop(n, mark);
    return y;
}

nn_val nn_split_heads(nn *n, nn_val x, const char *layer, int64_t heads)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_reshape(n, x, "split_heads", 4, (int64_t[]){0, 0, heads, x.c / heads}, x.c / heads);
    x = nn_transpose(n, x, "transpose", 4, (int64_t[]){0, 2, 1, 3});
    nn_pop(n, mark);
    return x;
}

nn_val nn_sdpa(nn *n, nn_val q, nn_val k, nn_val v, nn_attend o)
{
    bool masked = o.mask.t != NO_TENSOR;
    uint32_t in[4] = {q.t, k.t, v.t, o.mask.t};
    nn_val y = nn_op(n, OP_ScaledDotProductAttention, "sdpa", in, masked ? 4 : 3, v.c);
    nn_attr(n, ATTR_is_causal, o.causal);
    if (o.late && !n->failed) n->g->ops[n->g->n_ops - 1].flags |= OPF_LATE_ATTENTION;
    y = nn_transpose(n, y, "transpose", 4, (int64_t[]){0, 2, 1, 3});
    return nn_reshape(n, y, "merge_heads", 3, (int64_t[]){0, 0, o.heads * v.c}, o.heads * v.c);
}

nn_val nn_attention(nn *n, nn_val q, nn_val k, nn_val v, nn_attend o)
{
    int64_t kv = o.kv_heads ? o.kv_heads : o.heads;
    q = nn_split_heads(n, q, "q", o.heads);
    k = nn_split_heads(n, k, "k", kv);
    v = nn_split_heads(n, v, "v", kv);
    return nn_sdpa(n, q, k, v, o);
}

nn_rotary nn_rotary_angles(nn *n, nn_val ids, const char *layer, int64_t features, double base)
{
    double frequency[256];
    int64_t half = features / 2;
    if (!must(n, half <= 256)) return (nn_rotary){NN_ABSENT, NN_ABSENT};
    for (int64_t i = 0; i < half; i++) frequency[i] = pow(base, -(double)i / (double)half);
    size_t mark = nn_push(n, "%s", layer);
    nn_val at = nn_op1(n, OP_Cast, "cast", nn_positions(n, ids));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32: 16 bits are too few for positions */
    at = nn_unsqueeze(n, at, "unsqueeze", 2, (int64_t[]){0, 2});
    at = nn_op2(n, OP_Mul, "angles", at, nn_floats(n, "inv_freq", frequency, (uint32_t)half));
    nn_rotary r = {nn_op1(n, OP_Cos, "cos", at), nn_op1(n, OP_Sin, "sin", at)};
    nn_pop(n, mark);
    return r;
}

nn_val nn_rotate(nn *n, nn_val x, nn_rotary r, const char *layer)
{
    return nn_op(n, OP_RotaryEmbedding, layer, (uint32_t[]){x.t, r.cos.t, r.sin.t}, 3, x.c);
}

nn_val nn_lstm(nn *n, nn_val x, const char *layer, int64_t hidden)
{
    size_t mark = nn_push(n, "%s", layer);
    uint32_t in[4] = {x.t};
    in[1] = nn_weight(n, "weight_ih", "", 3, (int64_t[]){1, 4 * hidden, x.c});
    in[2] = nn_weight(n, "weight_hh", "", 3, (int64_t[]){1, 4 * hidden, hidden});
    in[3] = nn_weight(n, "bias", "", 2, (int64_t[]){1, 8 * hidden});
    nn_val y = nn_op(n, OP_LSTM, "lstm", in, 4, hidden);
    nn_attr(n, ATTR_hidden_size, hidden);
    y = nn_op2(n, OP_Squeeze, "squeeze", y, nn_ints(n, "squeeze", ".axes", (int64_t[]){1}, 1));
    nn_pop(n, mark);
    return y;
}
