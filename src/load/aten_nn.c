/* Layers: convolution, normalisation, pooling, recurrent layers, attention, resizing. */
#include "load/aten.h"

#define A(i) (i < n ? arg[i] : aten_none())

static uint32_t tensor_arg(aten *x, aten_value v)
{
    return v.kind == ATEN_TENSOR ? aten_operand(x, v, NO_TENSOR) : NO_TENSOR;
}

static bool is_true(aten_value v)
{
    return v.kind == ATEN_BOOL && v.v.n.v.i;
}

/* `n` numbers, of which one stands for all. */
static bool spatial(aten_value v, int64_t *out, int n, int64_t fallback)
{
    int count = v.kind == ATEN_NONE ? 0 : aten_ints(v, out, MAX_RANK);
    if (count < 0 || (count > 1 && count != n)) return false;
    for (int i = 0; i < n; i++) out[i] = count == 0 ? fallback : count == 1 ? out[0] : out[i];
    return true;
}

static aten_value tuple_of(aten *x, aten_value first, uint32_t count)
{
    aten_value out = aten_new_list(x, ATEN_TUPLE, &first, 1);
    for (uint32_t i = 1; !x->code && i < count; i++) aten_append(x, out.v.list, aten_none());
    return out;
}

/* Weights that the module has not: a normalisation without affine parameters. */
static uint32_t plain_weight(aten *x, uint32_t like, int axis)
{
    const tensor_shape *s = aten_shape(x, like);
    int64_t dim = axis < s->rank && num_known(s->dims[axis]) ? s->dims[axis].v.i : 1;
    if (x->code) return NO_TENSOR;
    uint32_t t = graph_add_weight(x->g, STR("constant"),
                                  dtype_get((dtype)s->dtype)->floating ? (dtype)s->dtype : DT_FP32, 1, &dim);
    if (t == NO_TENSOR) aten_nomem(x);
    else x->g->tensors[t].literal = x->g->tensors[t].buffer = true;
    return t;
}

/* ---- convolution ---- */

typedef struct conv_args {
    aten_value stride, padding, dilation, extra, groups;
    bool transposed;
} conv_args;

static aten_value conv_of(aten *x, aten_value data, aten_value weight, aten_value bias, const conv_args *c)
{
    uint32_t in[3] = {tensor_arg(x, data), tensor_arg(x, weight), tensor_arg(x, bias)};
    int64_t stride[MAX_RANK], pad[MAX_RANK * 2], dilation[MAX_RANK], extra[MAX_RANK], groups = 1;
    if (in[0] == NO_TENSOR || in[1] == NO_TENSOR) return aten_unknown();
    const tensor_shape *w = aten_shape(x, in[1]);
    int k = w->rank - 2;
    bool text = c->padding.kind == ATEN_TEXT, same = text && str_is(c->padding.v.text, "same");
    aten_plain_int(c->groups, &groups);
    if (k < 1 || k > 3 || groups < 1 || groups > INT32_MAX || !spatial(c->stride, stride, k, 1) ||
        !spatial(c->dilation, dilation, k, 1) || !spatial(c->extra, extra, k, 0) ||
        (!text && !spatial(c->padding, pad, k, 0)))
        return aten_unknown();
    if (num_known(w->dims[1]) && num_known(w->dims[0]))
        aten_hint_dims(x, in[0], w->rank, 1, c->transposed ? w->dims[0].v.i : w->dims[1].v.i * groups);
    bool alone = aten_rank(x, in[0]) == w->rank - 1; /* no batch */
    if (alone) in[0] = aten_unsqueeze(x, in[0], 0);
    for (int i = 0; i < k; i++) {
        if (text) pad[i] = 0;
        pad[k + i] = pad[i];
    }
    aten_begin(x, c->transposed ? OP_ConvTranspose : OP_Conv, in, in[2] == NO_TENSOR ? 2 : 3, 1);
    aten_attr_list(x, ATTR_strides, stride, (uint32_t)k);
    aten_attr_list(x, ATTR_dilations, dilation, (uint32_t)k);
    if (same) aten_attr_text(x, ATTR_auto_pad, "SAME_UPPER");
    else aten_attr_list(x, ATTR_pads, pad, 2 * (uint32_t)k);
    if (c->transposed) aten_attr_list(x, ATTR_output_padding, extra, (uint32_t)k);
    aten_attr(x, ATTR_group, groups);
    aten_value out = aten_end(x);
    return alone && out.kind == ATEN_TENSOR ? aten_tensor(aten_squeeze(x, out.v.tensor, 0)) : out;
}

static aten_value conv(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    conv_args c = {A(3), A(4), A(5), aten_none(), A(6), false};
    aten_value w = A(1), b = A(2);
    if (w.kind == ATEN_TUPLE) { /* of a quantised module: weight, bias, stride, padding, dilation, groups */
        const aten_list *p = w.v.list;
        if (p->n < 6) return aten_unknown();
        c = (conv_args){p->v[2], p->v[3], p->v[4], aten_none(), p->v[5], false};
        w = p->v[0], b = p->v[1];
    }
    aten_value y = conv_of(x, A(0), w, b, &c);
    return row->op == OP_Relu && y.kind == ATEN_TENSOR ? aten_tensor(aten_emit1(x, OP_Relu, y.v.tensor)) : y;
}

static aten_value conv_transpose(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    conv_args c = {A(3), A(4), A(7), A(5), A(6), true};
    return conv_of(x, A(0), A(1), A(2), &c);
}

static aten_value convolution(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    conv_args c = {A(3), A(4), A(5), A(7), A(8), is_true(A(6))};
    return conv_of(x, A(0), A(1), A(2), &c);
}

/* ---- normalisation ---- */

static aten_value batch_norm_of(aten *x, const aten_value *v, aten_value eps)
{
    uint32_t t = tensor_arg(x, v[0]);
    if (t == NO_TENSOR) return aten_unknown();
    uint32_t in[5] = {t};
    for (int i = 1; i < 5; i++) {
        in[i] = tensor_arg(x, v[i]);
        if (in[i] == NO_TENSOR) in[i] = plain_weight(x, t, 1);
    }
    const tensor_shape *w = x->code ? NULL : aten_shape(x, in[1]);
    if (w && w->rank == 1 && num_known(w->dims[0])) aten_hint_dims(x, t, 4, 1, w->dims[0].v.i);
    aten_begin(x, OP_BatchNormalization, in, 5, 1);
    if (aten_is_number(eps)) aten_attr_real(x, ATTR_epsilon, aten_real(eps));
    return aten_end(x);
}

static aten_value instance_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t t = tensor_arg(x, A(0)), w = tensor_arg(x, A(1)), b = tensor_arg(x, A(2));
    if (t == NO_TENSOR) return aten_unknown();
    if (w == NO_TENSOR) w = plain_weight(x, t, 1);
    if (b == NO_TENSOR) b = plain_weight(x, t, 1);
    aten_begin(x, OP_InstanceNormalization, (uint32_t[]){t, w, b}, 3, 1);
    return aten_end(x);
}

static aten_value batch_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool statistics = A(3).kind == ATEN_TENSOR && A(4).kind == ATEN_TENSOR;
    if (!statistics && !strcmp(row->name, "batch_norm")) return instance_norm(x, row, arg, n);
    bool no_training = row->op == OP_Identity; /* (x, w, b, mean, var, momentum, eps) */
    aten_value out = batch_norm_of(x, arg, no_training ? A(6) : A(7));
    return strcmp(row->name, "batch_norm") != 0 ? tuple_of(x, out, 3) : out;
}

static aten_value layer_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    int64_t dims[MAX_RANK];
    int k = aten_ints(A(1), dims, MAX_RANK);
    uint32_t t = tensor_arg(x, A(0)), w = tensor_arg(x, A(2)),
             b = row->op == OP_LayerNormalization ? tensor_arg(x, A(3)) : NO_TENSOR;
    if (t == NO_TENSOR || k < 1) return aten_unknown();
    if (k == 1) aten_hint_dims(x, t, 3, 2, dims[0]);
    if (w == NO_TENSOR && !x->code) { /* the module has no scale: one that is not a parameter takes its place */
        w = graph_add_weight(x->g, STR("constant"), DT_FP32, k, dims);
        if (w == NO_TENSOR) {
            aten_nomem(x);
            return aten_none();
        }
        x->g->tensors[w].literal = x->g->tensors[w].buffer = true;
    }
    aten_begin(x, (op_kind)row->op, (uint32_t[]){t, w, b}, b == NO_TENSOR ? 2 : 3, 1);
    aten_attr(x, ATTR_axis, -k);
    aten_value out = aten_end(x);
    return !strcmp(row->name, "native_layer_norm") ? tuple_of(x, out, 3) : out;
}

static aten_value group_norm(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool native = row->op == OP_GroupNorm; /* (x, w, b, N, C, HxW, groups, eps) */
    uint32_t t = tensor_arg(x, A(0)), w = tensor_arg(x, native ? A(1) : A(2)), b = tensor_arg(x, native ? A(2) : A(3));
    int64_t groups = 1;
    if (t == NO_TENSOR || !aten_plain_int(native ? A(6) : A(1), &groups)) return aten_unknown();
    if (w == NO_TENSOR) w = plain_weight(x, t, 1);
    if (b == NO_TENSOR) b = plain_weight(x, t, 1);
    aten_begin(x, OP_GroupNormalization, (uint32_t[]){t, w, b}, 3, 1);
    aten_attr(x, ATTR_num_groups, groups);
    aten_value out = aten_end(x);
    return native ? tuple_of(x, out, 3) : out;
}

static aten_value softmax(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    int64_t axis = aten_axis(x, t, A(1), -1);
    aten_begin(x, (op_kind)row->op, &t, 1, 1);
    aten_attr(x, ATTR_axis, axis);
    return aten_end(x);
}

/* ---- pooling ---- */

static aten_value pool(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    bool max = row->op == OP_MaxPool, indices = strstr(row->name, "indices") != NULL;
    int k = row->name[strcspn(row->name, "0123456789")] - '0';
    int64_t kernel[MAX_RANK], stride[MAX_RANK], pad[MAX_RANK], dilation[MAX_RANK];
    if (t == NO_TENSOR || k < 1 || k > 3 || !spatial(A(1), kernel, k, 1)) return aten_unknown();
    bool no_stride = A(2).kind == ATEN_NONE || (A(2).kind == ATEN_LIST && !A(2).v.list->n);
    memcpy(stride, kernel, sizeof stride);
    if ((!no_stride && !spatial(A(2), stride, k, 1)) || !spatial(A(3), pad, k, 0) ||
        !spatial(max ? A(4) : aten_none(), dilation, k, 1))
        return aten_unknown();
    aten_hint_dims(x, t, k + 2, -1, 0);
    bool alone = aten_rank(x, t) == k + 1;
    if (alone) t = aten_unsqueeze(x, t, 0);
    for (int i = 0; i < k; i++) pad[k + i] = pad[i];
    aten_begin(x, (op_kind)row->op, &t, 1, indices ? 2 : 1);
    aten_attr_list(x, ATTR_kernel_shape, kernel, (uint32_t)k);
    aten_attr_list(x, ATTR_strides, stride, (uint32_t)k);
    aten_attr_list(x, ATTR_pads, pad, 2 * (uint32_t)k);
    if (max) aten_attr_list(x, ATTR_dilations, dilation, (uint32_t)k);
    else aten_attr(x, ATTR_count_include_pad, A(5).kind == ATEN_NONE || is_true(A(5)));
    aten_attr(x, ATTR_ceil_mode, is_true(max ? A(5) : A(4)));
    aten_value out = aten_end(x);
    if (indices) return aten_new_list(x, ATEN_TUPLE, (aten_value[]){out, aten_tensor(aten_output(x, 1))}, 2);
    return alone && out.kind == ATEN_TENSOR ? aten_tensor(aten_squeeze(x, out.v.tensor, 0)) : out;
}

/* To one element it is a global pooling. The window of an adaptive maximum costs what that of an average does. */
static aten_value adaptive_pool(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    bool max = row->op == OP_GlobalMaxPool;
    int k = row->name[strcspn(row->name, "0123456789")] - '0';
    int64_t size[MAX_RANK];
    if (t == NO_TENSOR || k < 1 || k > 3) return aten_unknown();
    aten_hint_dims(x, t, k + 2, -1, 0);
    bool alone = aten_rank(x, t) == k + 1, one = true;
    if (alone) t = aten_unsqueeze(x, t, 0);
    aten_value list = A(1);
    const tensor_shape *s = aten_shape(x, t);
    for (int i = 0; i < k; i++) {
        aten_value v = list.kind == ATEN_LIST && i < (int)list.v.list->n ? list.v.list->v[i] : list;
        if (!aten_plain_int(v, &size[i])) /* None keeps the size */
            size[i] = s->rank == k + 2 && num_known(s->dims[2 + i]) ? s->dims[2 + i].v.i : 1;
        one &= size[i] == 1;
    }
    aten_begin(x, one ? (op_kind)row->op : OP_AdaptiveAveragePool, &t, 1, 1);
    if (!one) aten_attr_list(x, ATTR_output_shape, size, (uint32_t)k);
    aten_value out = aten_end(x);
    if (alone && out.kind == ATEN_TENSOR) out = aten_tensor(aten_squeeze(x, out.v.tensor, 0));
    return max ? tuple_of(x, out, 2) : out;
}

/* ---- recurrent layers ---- */

typedef struct recurrent {
    op_kind kind;
    int gates;
    bool biases, both, batch_first;
    int64_t layers;
} recurrent;

/* Weights of both directions beside each other, as the operator takes them; what they are made of is not used then. */
static uint32_t stacked(aten *x, const aten_value *parts, int dirs, int step, int also, int64_t *hidden)
{
    uint32_t first = tensor_arg(x, parts[0]);
    char key[32];
    bool added;
    if (first == NO_TENSOR) return NO_TENSOR;
    const tensor_shape *s = aten_shape(x, first);
    if (s->rank != 1 && s->rank != 2) return NO_TENSOR; /* no weights of a recurrent layer */
    int64_t dims[3] = {dirs, 0, 0};
    for (int i = 0; i < s->rank && i < 2; i++) dims[1 + i] = num_known(s->dims[i]) ? s->dims[i].v.i : 0;
    if (also) dims[1] *= 2; /* biases of input and state */
    if (hidden) *hidden = dims[2];
    str k = str_copy(x->a, (str){key, format_text(key, sizeof key, "r%u:%d", first, also)});
    uint32_t *slot = k.ptr ? map_add(&x->turned, k, NO_TENSOR, &added) : NULL;
    (void)step;
    if (!slot || x->code) {
        aten_nomem(x);
        return NO_TENSOR;
    }
    if (!added) return *slot;
    const tensor *t = &x->g->tensors[first];
    *slot = graph_add_weight(x->g, t->name, (dtype)s->dtype, s->rank + 1, dims);
    if (*slot == NO_TENSOR) aten_nomem(x);
    return *slot;
}

/* One layer of data [steps, batch, features] to [steps, batch, directions * hidden]. */
static uint32_t layer(aten *x, const recurrent *r, uint32_t t, const aten_value *w, const uint32_t *state,
                      uint32_t *last)
{
    int dirs = r->both ? 2 : 1, step = r->biases ? 4 : 2;
    int64_t hidden = 0;
    uint32_t in[7] = {t,
                      stacked(x, w, dirs, step, 0, NULL),
                      stacked(x, w + 1, dirs, step, 0, &hidden),
                      NO_TENSOR,
                      NO_TENSOR,
                      NO_TENSOR,
                      NO_TENSOR};
    if (r->biases) in[3] = stacked(x, w + 2, dirs, step, 1, NULL);
    if (x->code || in[1] == NO_TENSOR || in[2] == NO_TENSOR) return NO_TENSOR;
    uint32_t n_in = r->biases ? 4 : 3, n_state = r->kind == OP_LSTM ? 2 : 1;
    for (uint32_t i = 0; state && i < n_state; i++) in[5 + i] = state[i];
    if (state && state[0] != NO_TENSOR) n_in = 5 + n_state;
    aten_begin(x, r->kind, in, n_in, r->kind == OP_LSTM ? 3 : 2);
    aten_attr(x, ATTR_hidden_size, hidden);
    aten_attr_text(x, ATTR_direction, r->both ? "bidirectional" : "forward");
    if (r->kind == OP_GRU) aten_attr(x, ATTR_linear_before_reset, 1);
    aten_end(x);
    uint32_t y = aten_output(x, 0);
    last[0] = aten_output(x, 1);
    last[1] = aten_output(x, 2);
    if (!r->both) return aten_squeeze(x, y, 1);
    const tensor_shape *s = aten_shape(x, t);
    if (s->rank != 3) return NO_TENSOR;
    num dims[3] = {s->dims[0], s->dims[1], num_int(2 * hidden)};
    return aten_reshape(x, aten_transpose(x, y, (const int64_t[]){0, 2, 1, 3}, 4), dims, 3);
}

static aten_value joined(aten *x, const uint32_t *parts, int64_t n)
{
    if (n == 1) return aten_tensor(parts[0]);
    aten_begin(x, OP_Concat, parts, (uint32_t)n, 1);
    aten_attr(x, ATTR_axis, 0);
    return aten_end(x);
}

/* The states of a layer: a view of those of all. */
static void layer_state(aten *x, const recurrent *r, const uint32_t *all, int64_t i, uint32_t *out)
{
    int64_t dirs = r->both ? 2 : 1;
    for (int k = 0; k < 2; k++) {
        out[k] = all[k];
        if (all[k] == NO_TENSOR || r->layers == 1) continue;
        out[k] = aten_slice(x, all[k], 0, num_int(i * dirs), num_int((i + 1) * dirs), num_int(1));
    }
}

/* lstm(x, [h, c], weights, biases, layers, dropout, train, bidirectional, batch_first); gru and rnn take h alone */
static aten_value recurrent_layers(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { LAYERS = 64 };
    recurrent r = {
        .kind = (op_kind)row->op, .biases = is_true(A(3)), .both = is_true(A(7)), .batch_first = is_true(A(8))};
    uint32_t t = tensor_arg(x, A(0)), h[LAYERS], c[LAYERS], state[2] = {NO_TENSOR, NO_TENSOR};
    int each = (r.biases ? 4 : 2) * (r.both ? 2 : 1);
    if (t == NO_TENSOR || A(2).kind != ATEN_LIST || !aten_plain_int(A(4), &r.layers) || r.layers < 1 ||
        r.layers > LAYERS || A(2).v.list->n < (uint32_t)(r.layers * each))
        return aten_unknown(); /* packed sequences, projections */
    const aten_value *w = A(2).v.list->v;
    uint32_t first = tensor_arg(x, w[0]);
    if (first != NO_TENSOR && aten_rank(x, first) == 2 && num_known(aten_shape(x, first)->dims[1]))
        aten_hint_dims(x, t, 3, 2, aten_shape(x, first)->dims[1].v.i);
    if (!r.batch_first) aten_hint_steps(x, t);
    bool alone = aten_rank(x, t) == 2; /* no batch */
    if (alone) t = aten_unsqueeze(x, t, r.batch_first ? 0 : 1);
    if (r.batch_first) t = aten_transpose(x, t, (const int64_t[]){1, 0, 2}, 3);
    aten_value hx = A(1);
    if (!alone) {
        state[0] = tensor_arg(x, hx.kind == ATEN_LIST && hx.v.list->n ? hx.v.list->v[0] : hx);
        if (hx.kind == ATEN_LIST && hx.v.list->n > 1) state[1] = tensor_arg(x, hx.v.list->v[1]);
        if (r.kind == OP_LSTM && state[1] == NO_TENSOR) state[0] = NO_TENSOR;
    }
    for (int64_t i = 0; i < r.layers && !x->code; i++) {
        uint32_t last[2], own[2];
        layer_state(x, &r, state, i, own);
        t = layer(x, &r, t, w + i * each, own, last);
        h[i] = last[0], c[i] = last[1];
        if (t == NO_TENSOR) return aten_unknown();
    }
    aten_value hn = joined(x, h, r.layers), cn = r.kind == OP_LSTM ? joined(x, c, r.layers) : aten_none();
    if (r.batch_first) t = aten_transpose(x, t, (const int64_t[]){1, 0, 2}, 3);
    if (alone) t = aten_squeeze(x, t, r.batch_first ? 0 : 1);
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){aten_tensor(t), hn, cn}, r.kind == OP_LSTM ? 3 : 2);
}

/* lstm_cell(x, [h, c], w_ih, w_hh, b_ih, b_hh): a layer of one step */
static aten_value recurrent_cell(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    recurrent r = {.kind = (op_kind)row->op, .biases = A(4).kind == ATEN_TENSOR};
    uint32_t t = tensor_arg(x, A(0)), state[2] = {NO_TENSOR, NO_TENSOR}, last[2];
    aten_value hx = A(1), w[4] = {A(2), A(3), A(4), A(5)};
    if (t == NO_TENSOR) return aten_unknown();
    uint32_t first = tensor_arg(x, A(2));
    if (first != NO_TENSOR && aten_rank(x, first) == 2 && num_known(aten_shape(x, first)->dims[1]))
        aten_hint_dims(x, t, 2, 1, aten_shape(x, first)->dims[1].v.i);
    t = aten_unsqueeze(x, t, 0);
    for (uint32_t i = 0; i < 2; i++) {
        aten_value v = hx.kind == ATEN_LIST || hx.kind == ATEN_TUPLE ? i < hx.v.list->n ? hx.v.list->v[i] : aten_none()
                     : i ? aten_none()
                                                                     : hx;
        if (v.kind == ATEN_TENSOR) state[i] = aten_unsqueeze(x, tensor_arg(x, v), 0);
    }
    if (r.kind == OP_LSTM && state[1] == NO_TENSOR) state[0] = NO_TENSOR;
    if (layer(x, &r, t, w, state, last) == NO_TENSOR) return aten_unknown();
    aten_value h = aten_tensor(aten_squeeze(x, last[0], 0));
    if (r.kind != OP_LSTM) return h;
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){h, aten_tensor(aten_squeeze(x, last[1], 0))}, 2);
}

/* ---- embedding, attention ---- */

static aten_value embedding(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t w = tensor_arg(x, A(0)), t = tensor_arg(x, A(1));
    if (w == NO_TENSOR || t == NO_TENSOR) return aten_unknown();
    aten_hint_tokens(x, t);
    return aten_tensor(aten_emit2(x, OP_Gather, w, t));
}

/* Rows of a table, summed bag by bag; bags are taken to be of one size. */
static aten_value embedding_bag(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    uint32_t w = tensor_arg(x, A(0)), t = tensor_arg(x, A(1)), bags = tensor_arg(x, A(2));
    if (w == NO_TENSOR || t == NO_TENSOR || bags == NO_TENSOR) return aten_unknown();
    if (aten_rank(x, w) != 2 || aten_rank(x, bags) != 1) return aten_unknown();
    num dims[3] = {aten_shape(x, bags)->dims[0], num_int(-1), aten_shape(x, w)->dims[1]};
    t = aten_reshape(x, aten_emit2(x, OP_Gather, w, t), dims, 3);
    aten_begin(x, OP_ReduceSum, (uint32_t[]){t, aten_constant(x, 1, (num[]){num_int(1)}, 1)}, 2, 1);
    aten_attr(x, ATTR_keepdims, 0);
    aten_value sum = aten_end(x);
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){sum, aten_unknown(), aten_unknown(), aten_unknown()}, 4);
}

static aten_value attend(aten *x, uint32_t q, uint32_t k, uint32_t v, uint32_t mask, bool causal)
{
    uint32_t in[4] = {q, k, v, mask};
    if (q == NO_TENSOR || k == NO_TENSOR || v == NO_TENSOR) return aten_unknown();
    aten_begin(x, OP_ScaledDotProductAttention, in, mask == NO_TENSOR ? 3 : 4, 1);
    if (causal) aten_attr(x, ATTR_is_causal, 1);
    if (aten_rank(x, q) == 3) {
        aten_attr(x, ATTR_q_num_heads, 1);
        aten_attr(x, ATTR_kv_num_heads, 1);
    }
    return aten_end(x);
}

/* (q, k, v, mask, dropout, is_causal); the inner functions (q, k, v, dropout or bias, ..., is_causal) give more than the output */
static aten_value attention(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    bool inner = row->op == OP_Attention, causal = false;
    for (uint32_t i = 4; i < n; i++) causal |= is_true(arg[i]) && (!inner || i >= 4);
    if (!inner) causal = is_true(A(5));
    aten_value out = attend(x, tensor_arg(x, A(0)), tensor_arg(x, A(1)), tensor_arg(x, A(2)), tensor_arg(x, A(3)),
                            causal);
    return inner && !x->code ? tuple_of(x, out, 9) : out;
}

/* [batch, steps, width] to [batch, heads, steps, width / heads] */
static uint32_t split_heads(aten *x, uint32_t t, int64_t heads)
{
    const tensor_shape *s = aten_shape(x, t);
    if (s->rank != 3 || heads < 1) return NO_TENSOR;
    num dims[4] = {s->dims[0], s->dims[1], num_int(heads), num_floor_div(s->dims[2], num_int(heads))};
    return aten_transpose(x, aten_reshape(x, t, dims, 4), (const int64_t[]){0, 2, 1, 3}, 4);
}

/* Attention with its four projections; qkv in one matrix. */
static uint32_t self_attention(aten *x, uint32_t t, int64_t heads, aten_value *w)
{
    uint32_t part[3];
    aten_value qkv = aten_linear(x, t, tensor_arg(x, w[0]), tensor_arg(x, w[1]));
    if (qkv.kind != ATEN_TENSOR) return NO_TENSOR;
    aten_begin(x, OP_Split, &qkv.v.tensor, 1, 3);
    aten_attr(x, ATTR_axis, -1);
    aten_attr(x, ATTR_num_outputs, 3);
    aten_end(x);
    for (uint32_t i = 0; i < 3; i++) part[i] = aten_output(x, i);
    for (uint32_t i = 0; i < 3; i++) part[i] = x->code ? NO_TENSOR : split_heads(x, part[i], heads);
    aten_value y = attend(x, part[0], part[1], part[2], NO_TENSOR, false);
    const tensor_shape *s = aten_shape(x, t);
    if (y.kind != ATEN_TENSOR || s->rank != 3) return NO_TENSOR;
    uint32_t merged = aten_reshape(x, aten_transpose(x, y.v.tensor, (const int64_t[]){0, 2, 1, 3}, 4), s->dims, 3);
    y = aten_linear(x, merged, tensor_arg(x, w[2]), tensor_arg(x, w[3]));
    return y.kind == ATEN_TENSOR ? y.v.tensor : NO_TENSOR;
}

static uint32_t norm_last(aten *x, uint32_t t, aten_value w, aten_value b)
{
    aten_begin(x, OP_LayerNormalization, (uint32_t[]){t, tensor_arg(x, w), tensor_arg(x, b)}, 3, 1);
    aten_attr(x, ATTR_axis, -1);
    aten_end(x);
    return aten_output(x, 0);
}

/* What goes into the projection [3 * width, width] is [batch, steps, width]. */
static void hint_width(aten *x, uint32_t t, aten_value w)
{
    uint32_t p = tensor_arg(x, w);
    if (t == NO_TENSOR || p == NO_TENSOR || aten_rank(x, p) != 2 || !num_known(aten_shape(x, p)->dims[1])) return;
    aten_hint_dims(x, t, 3, 2, aten_shape(x, p)->dims[1].v.i);
}

/* A whole layer of nn.TransformerEncoder, which runs as one operator without gradients. */
static aten_value encoder_layer(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    int64_t heads = 1;
    aten_value w[4] = {A(3), A(4), A(5), A(6)};
    uint32_t t = tensor_arg(x, A(0)), y;
    for (uint32_t i = 10; i < 18; i++)
        if (A(i).kind != ATEN_TENSOR) return aten_unknown();
    hint_width(x, t, A(3));
    if (t == NO_TENSOR || !aten_plain_int(A(2), &heads) || aten_rank(x, t) != 3) return aten_unknown();
    bool first = is_true(A(8));
    y = self_attention(x, first ? norm_last(x, t, A(10), A(11)) : t, heads, w);
    if (y == NO_TENSOR) return aten_unknown();
    t = aten_emit2(x, OP_Add, t, y);
    if (!first) t = norm_last(x, t, A(10), A(11));
    aten_value h = aten_linear(x, first ? norm_last(x, t, A(12), A(13)) : t, tensor_arg(x, A(14)),
                               tensor_arg(x, A(15)));
    if (h.kind != ATEN_TENSOR) return aten_unknown();
    h = aten_linear(x, aten_emit1(x, is_true(A(7)) ? OP_Gelu : OP_Relu, h.v.tensor), tensor_arg(x, A(16)),
                    tensor_arg(x, A(17)));
    if (h.kind != ATEN_TENSOR) return aten_unknown();
    t = aten_emit2(x, OP_Add, t, h.v.tensor);
    return aten_tensor(first ? t : norm_last(x, t, A(12), A(13)));
}

/* (q, k, v, width, heads, qkv_w, qkv_b, out_w, out_b, ...) */
static aten_value fused_attention(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    (void)row;
    int64_t heads = 1;
    aten_value w[4] = {A(5), A(6), A(7), A(8)};
    uint32_t t = tensor_arg(x, A(0));
    hint_width(x, t, A(5));
    if (t == NO_TENSOR || !aten_plain_int(A(4), &heads) || aten_rank(x, t) != 3) return aten_unknown();
    uint32_t y = self_attention(x, t, heads, w);
    return y == NO_TENSOR ? aten_unknown() : tuple_of(x, aten_tensor(y), 2);
}

/* ---- resizing, padding ---- */

static aten_value upsample(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    if (t == NO_TENSOR) return aten_unknown();
    const tensor_shape *s = aten_shape(x, t);
    num size[MAX_RANK];
    bool aligned = row->op == OP_Upsample; /* has align_corners behind the size */
    int k = aten_nums(A(1), size + 2, MAX_RANK - 2);
    aten_value factors = aten_none();
    for (uint32_t i = aligned ? 3 : 2; i < n; i++)
        if (arg[i].kind == ATEN_LIST && factors.kind == ATEN_NONE) factors = arg[i];
    uint32_t in[4] = {t, NO_TENSOR, NO_TENSOR, NO_TENSOR};
    if (A(1).kind != ATEN_NONE && k > 0 && s->rank == k + 2) {
        size[0] = s->dims[0], size[1] = s->dims[1];
        in[3] = aten_constant(x, 1, size, (uint32_t)k + 2);
    } else if (factors.kind == ATEN_LIST && s->rank == (int)factors.v.list->n + 2) {
        num all[MAX_RANK];
        for (int i = 0; i < s->rank; i++) {
            double f = i < 2 || !aten_is_number(factors.v.list->v[i - 2]) ? 1 : aten_real(factors.v.list->v[i - 2]);
            double to = i < s->rank && num_known(s->dims[i]) ? floor((double)s->dims[i].v.i * f) : -1;
            all[i] = i < 2 ? s->dims[i] : to >= 0 && to < 9e15 ? num_int((int64_t)to) : num_unknown();
            if (i >= 2 && f == floor(f) && f >= 1 && f < 1e6) all[i] = num_mul(s->dims[i], num_int((int64_t)f));
        }
        in[3] = aten_constant(x, 1, all, (uint32_t)s->rank);
    } else {
        return aten_unknown();
    }
    aten_begin(x, OP_Resize, in, 4, 1);
    aten_attr_text(x, ATTR_mode,
                   strstr(row->name, "nearest") ? "nearest"
                   : strstr(row->name, "cubic") ? "cubic"
                                                : "linear");
    return aten_end(x);
}

static uint32_t pad_by(aten *x, uint32_t t, const num *pads, int count, const char *mode)
{
    int rank = aten_rank(x, t);
    num all[MAX_RANK * 2];
    if (rank < 1 || count % 2 || count / 2 > rank) return NO_TENSOR;
    for (int i = 0; i < 2 * rank; i++) all[i] = num_int(0);
    for (int i = 0; i < count / 2; i++) { /* from the last dim on */
        all[rank - 1 - i] = pads[2 * i];
        all[2 * rank - 1 - i] = pads[2 * i + 1];
    }
    aten_begin(x, OP_Pad, (uint32_t[]){t, aten_constant(x, 1, all, 2 * (uint32_t)rank)}, 2, 1);
    aten_attr_text(x, ATTR_mode, mode);
    aten_end(x);
    return aten_output(x, 0);
}

static aten_value pad(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    num pads[MAX_RANK * 2];
    int count = aten_nums(A(1), pads, MAX_RANK * 2);
    const char *mode = strstr(row->name, "reflect") ? "reflect" : strstr(row->name, "replic") ? "edge" : "constant";
    if (A(2).kind == ATEN_TEXT && str_is(A(2).v.text, "reflect")) mode = "reflect";
    if (A(2).kind == ATEN_TEXT && str_is(A(2).v.text, "replicate")) mode = "edge";
    if (t == NO_TENSOR) return aten_unknown();
    uint32_t y = count < 0 ? NO_TENSOR : pad_by(x, t, pads, count, mode);
    if (y != NO_TENSOR || x->code) return aten_tensor(y);
    return aten_tensor(aten_emit1(x, OP_Identity, t)); /* of a rank that isn't known: keeps what it is of */
}

/* ---- the rest ---- */

/* What does nothing when a model is used. */
static aten_value same(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    aten_value v = t == NO_TENSOR ? A(0) : aten_tensor(t);
    return !strcmp(row->name, "native_dropout") ? tuple_of(x, v, 2) : v;
}

static aten_value shuffle(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0));
    int64_t factor = 1;
    if (t == NO_TENSOR || !aten_plain_int(A(1), &factor) || factor < 1) return aten_unknown();
    aten_begin(x, (op_kind)row->op, &t, 1, 1);
    aten_attr(x, ATTR_blocksize, factor);
    if (row->op == OP_DepthToSpace) aten_attr_text(x, ATTR_mode, "CRD");
    return aten_end(x);
}

static aten_value grid_sample(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0)), g = tensor_arg(x, A(1));
    if (t == NO_TENSOR || g == NO_TENSOR) return aten_unknown();
    return aten_tensor(aten_emit2(x, (op_kind)row->op, t, g));
}

/* stft(x, n_fft, hop, win, window, normalized, onesided, complex): [batch, bins, frames], or with 2 numbers each */
static aten_value stft(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    uint32_t t = tensor_arg(x, A(0)), window = tensor_arg(x, A(4));
    int64_t size = 0, hop = 0;
    if (t == NO_TENSOR || !aten_plain_int(A(1), &size) || size < 1) return aten_unknown();
    if (!aten_plain_int(A(2), &hop) || hop < 1) hop = size / 4 ? size / 4 : 1;
    num step = num_int(hop), length = num_int(size);
    bool alone = aten_rank(x, t) == 1;
    if (alone) t = aten_unsqueeze(x, t, 0);
    uint32_t in[4] = {aten_unsqueeze(x, t, -1), aten_constant(x, 0, &step, 1), window, aten_constant(x, 0, &length, 1)};
    aten_begin(x, (op_kind)row->op, in, 4, 1);
    aten_attr(x, ATTR_onesided, A(6).kind == ATEN_NONE || is_true(A(6)));
    aten_end(x);
    uint32_t y = aten_transpose(x, aten_output(x, 0), (const int64_t[]){0, 2, 1, 3}, 4);
    return aten_tensor(alone ? aten_squeeze(x, y, 0) : y);
}

#define CONV "input weight bias stride padding dilation groups"
#define CONV_T "input weight bias stride padding output_padding groups dilation"
#define POOL_MAX "self kernel_size stride padding dilation ceil_mode"
#define POOL_MEAN "self kernel_size stride padding ceil_mode count_include_pad divisor_override"
#define ADAPTIVE "self output_size"
#define CELL "input hx w_ih w_hh b_ih b_hh"
#define LAYERS "input hx params has_biases num_layers dropout train bidirectional batch_first"
#define NEAREST(name)                                                         \
    {                                                                         \
        name, "input output_size scale_factors scales_w", upsample, OP_Resize \
    }
#define ALIGNED(name)                                                                         \
    {                                                                                         \
        name, "input output_size align_corners scale_factors scales_w", upsample, OP_Upsample \
    }
#define SAME(name)                               \
    {                                            \
        name, "input p train", same, OP_Identity \
    }

const aten_row aten_nn_rows[] = {
    {"conv1d", CONV, conv, OP_Conv},
    {"conv2d", CONV, conv, OP_Conv},
    {"conv3d", CONV, conv, OP_Conv},
    {"conv1d_relu", CONV, conv, OP_Relu},
    {"conv2d_relu", CONV, conv, OP_Relu},
    {"conv3d_relu", CONV, conv, OP_Relu},
    {"conv_transpose1d", CONV_T, conv_transpose, OP_ConvTranspose},
    {"conv_transpose2d", CONV_T, conv_transpose, OP_ConvTranspose},
    {"conv_transpose3d", CONV_T, conv_transpose, OP_ConvTranspose},
    {"_convolution", "input weight bias stride padding dilation transposed output_padding groups", convolution,
     OP_Conv},
    {"convolution", "input weight bias stride padding dilation transposed output_padding groups", convolution, OP_Conv},
    {"_convolution_mode", CONV, conv, OP_Conv},
    {"batch_norm", "input weight bias running_mean running_var training momentum eps", batch_norm,
     OP_BatchNormalization},
    {"native_batch_norm", "input weight bias running_mean running_var training momentum eps", batch_norm,
     OP_BatchNormalization},
    {"_native_batch_norm_legit_no_training", "input weight bias running_mean running_var momentum eps", batch_norm,
     OP_Identity},
    {"_native_batch_norm_legit", "input weight bias running_mean running_var training momentum eps", batch_norm,
     OP_BatchNormalization},
    {"instance_norm", "input weight bias running_mean running_var", instance_norm, OP_InstanceNormalization},
    {"layer_norm", "input normalized_shape weight bias eps", layer_norm, OP_LayerNormalization},
    {"native_layer_norm", "input normalized_shape weight bias eps", layer_norm, OP_LayerNormalization},
    {"rms_norm", "input normalized_shape weight eps", layer_norm, OP_RMSNormalization},
    {"group_norm", "input num_groups weight bias eps", group_norm, OP_GroupNormalization},
    {"native_group_norm", "input weight bias N C HxW group eps", group_norm, OP_GroupNorm},
    {"softmax", "self dim dtype", softmax, OP_Softmax},
    {"_softmax", "self dim half_to_float", softmax, OP_Softmax},
    {"log_softmax", "self dim dtype", softmax, OP_LogSoftmax},
    {"_log_softmax", "self dim half_to_float", softmax, OP_LogSoftmax},
    {"max_pool1d", POOL_MAX, pool, OP_MaxPool},
    {"max_pool2d", POOL_MAX, pool, OP_MaxPool},
    {"max_pool3d", POOL_MAX, pool, OP_MaxPool},
    {"max_pool1d_with_indices", POOL_MAX, pool, OP_MaxPool},
    {"max_pool2d_with_indices", POOL_MAX, pool, OP_MaxPool},
    {"max_pool3d_with_indices", POOL_MAX, pool, OP_MaxPool},
    {"avg_pool1d", POOL_MEAN, pool, OP_AveragePool},
    {"avg_pool2d", POOL_MEAN, pool, OP_AveragePool},
    {"avg_pool3d", POOL_MEAN, pool, OP_AveragePool},
    {"adaptive_avg_pool1d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"adaptive_avg_pool2d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"adaptive_avg_pool3d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"_adaptive_avg_pool2d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"_adaptive_avg_pool3d", ADAPTIVE, adaptive_pool, OP_GlobalAveragePool},
    {"adaptive_max_pool1d", ADAPTIVE, adaptive_pool, OP_GlobalMaxPool},
    {"adaptive_max_pool2d", ADAPTIVE, adaptive_pool, OP_GlobalMaxPool},
    {"adaptive_max_pool3d", ADAPTIVE, adaptive_pool, OP_GlobalMaxPool},
    {"lstm", LAYERS, recurrent_layers, OP_LSTM},
    {"gru", LAYERS, recurrent_layers, OP_GRU},
    {"rnn_tanh", LAYERS, recurrent_layers, OP_RNN},
    {"rnn_relu", LAYERS, recurrent_layers, OP_RNN},
    {"lstm_cell", CELL, recurrent_cell, OP_LSTM},
    {"gru_cell", CELL, recurrent_cell, OP_GRU},
    {"rnn_tanh_cell", CELL, recurrent_cell, OP_RNN},
    {"rnn_relu_cell", CELL, recurrent_cell, OP_RNN},
    {"embedding", "weight indices padding_idx", embedding, OP_Gather},
    {"embedding_bag", "weight indices offsets", embedding_bag, OP_Gather},
    {"_embedding_bag", "weight indices offsets", embedding_bag, OP_Gather},
    {"_embedding_bag_forward_only", "weight indices offsets", embedding_bag, OP_Gather},
    {"scaled_dot_product_attention", "query key value attn_mask dropout_p is_causal scale", attention,
     OP_ScaledDotProductAttention},
    {"_scaled_dot_product_flash_attention", "query key value dropout_p is_causal", attention, OP_Attention},
    {"_scaled_dot_product_flash_attention_for_cpu", "query key value dropout_p is_causal", attention, OP_Attention},
    {"_scaled_dot_product_efficient_attention", "query key value attn_bias compute_log_sumexp dropout_p is_causal",
     attention, OP_Attention},
    {"_transformer_encoder_layer_fwd",
     "src embed_dim num_heads qkv_weight qkv_bias proj_weight proj_bias use_gelu norm_first eps norm_weight_1 norm_bias_1 "
     "norm_weight_2 norm_bias_2 ffn_weight_1 ffn_bias_1 ffn_weight_2 ffn_bias_2 mask mask_type",
     encoder_layer, OP_Attention},
    {"_native_multi_head_attention",
     "query key value embed_dim num_head qkv_weight qkv_bias proj_weight proj_bias mask need_weights", fused_attention,
     OP_Attention},
    NEAREST("upsample_nearest1d"),
    NEAREST("upsample_nearest2d"),
    NEAREST("upsample_nearest3d"),
    NEAREST("_upsample_nearest_exact2d"),
    ALIGNED("upsample_linear1d"),
    ALIGNED("upsample_bilinear2d"),
    ALIGNED("_upsample_bilinear2d_aa"),
    ALIGNED("upsample_bicubic2d"),
    ALIGNED("upsample_trilinear3d"),
    {"pad", "self pad mode value", pad, OP_Pad},
    {"constant_pad_nd", "self pad value", pad, OP_Pad},
    {"reflection_pad1d", "self padding", pad, OP_Pad},
    {"reflection_pad2d", "self padding", pad, OP_Pad},
    {"reflection_pad3d", "self padding", pad, OP_Pad},
    {"replication_pad1d", "self padding", pad, OP_Pad},
    {"replication_pad2d", "self padding", pad, OP_Pad},
    {"replication_pad3d", "self padding", pad, OP_Pad},
    SAME("dropout"),
    SAME("feature_dropout"),
    SAME("alpha_dropout"),
    SAME("feature_alpha_dropout"),
    SAME("native_dropout"),
    {"pixel_shuffle", "self upscale_factor", shuffle, OP_DepthToSpace},
    {"pixel_unshuffle", "self downscale_factor", shuffle, OP_SpaceToDepth},
    {"grid_sampler", "input grid", grid_sample, OP_GridSample},
    {"grid_sampler_2d", "input grid", grid_sample, OP_GridSample},
    {"grid_sampler_3d", "input grid", grid_sample, OP_GridSample},
    {"stft", "self n_fft hop_length win_length window normalized onesided return_complex", stft, OP_STFT},
    {NULL, NULL, NULL, 0},
};
