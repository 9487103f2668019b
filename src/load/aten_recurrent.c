/* Recurrent layers and cells. */
#include "load/aten_rows.h"

typedef struct recurrent {
    op_kind kind;
    int gates;
    bool biases, both, reverse, batch_first;
    int64_t layers;
} recurrent;

/* Weights of both directions beside each other, as the operator takes them; what they are made of is not used then. */
static uint32_t stacked(aten *x, const aten_value *parts, int dirs, int step, int also, int64_t *hidden)
{
    uint32_t first = aten_data(x, parts[0]);
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
    aten_attr_text(x, ATTR_direction, r->both ? "bidirectional" : r->reverse ? "reverse" : "forward");
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
    recurrent r = {.kind = (op_kind)row->op,
                   .biases = aten_is_true(A(3)),
                   .both = aten_is_true(A(7)),
                   .batch_first = aten_is_true(A(8))};
    uint32_t t = aten_data(x, A(0)), h[LAYERS], c[LAYERS], state[2] = {NO_TENSOR, NO_TENSOR};
    int each = (r.biases ? 4 : 2) * (r.both ? 2 : 1);
    if (t == NO_TENSOR || A(2).kind != ATEN_LIST || !aten_plain_int(A(4), &r.layers) || r.layers < 1 ||
        r.layers > LAYERS || A(2).v.list->n < (uint32_t)(r.layers * each))
        return aten_unknown(); /* packed sequences, projections */
    const aten_value *w = A(2).v.list->v;
    uint32_t first = aten_data(x, w[0]);
    if (first != NO_TENSOR && aten_rank(x, first) == 2 && num_known(aten_shape(x, first)->dims[1]))
        aten_hint_dims(x, t, 3, 2, aten_shape(x, first)->dims[1].v.i);
    if (!r.batch_first) aten_hint_steps(x, t);
    bool alone = aten_rank(x, t) == 2; /* no batch */
    if (alone) t = aten_unsqueeze(x, t, r.batch_first ? 0 : 1);
    if (r.batch_first) t = aten_transpose(x, t, (const int64_t[]){1, 0, 2}, 3);
    aten_value hx = A(1);
    if (!alone) {
        state[0] = aten_data(x, hx.kind == ATEN_LIST && hx.v.list->n ? hx.v.list->v[0] : hx);
        if (hx.kind == ATEN_LIST && hx.v.list->n > 1) state[1] = aten_data(x, hx.v.list->v[1]);
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
    uint32_t t = aten_data(x, A(0)), state[2] = {NO_TENSOR, NO_TENSOR}, last[2];
    aten_value hx = A(1), w[4] = {A(2), A(3), A(4), A(5)};
    if (t == NO_TENSOR) return aten_unknown();
    uint32_t first = aten_data(x, A(2));
    if (first != NO_TENSOR && aten_rank(x, first) == 2 && num_known(aten_shape(x, first)->dims[1]))
        aten_hint_dims(x, t, 2, 1, aten_shape(x, first)->dims[1].v.i);
    t = aten_unsqueeze(x, t, 0);
    for (uint32_t i = 0; i < 2; i++) {
        aten_value v = hx.kind == ATEN_LIST || hx.kind == ATEN_TUPLE ? i < hx.v.list->n ? hx.v.list->v[i] : aten_none()
                     : i ? aten_none()
                                                                     : hx;
        if (v.kind == ATEN_TENSOR) state[i] = aten_unsqueeze(x, aten_data(x, v), 0);
    }
    if (r.kind == OP_LSTM && state[1] == NO_TENSOR) state[0] = NO_TENSOR;
    if (layer(x, &r, t, w, state, last) == NO_TENSOR) return aten_unknown();
    aten_value h = aten_tensor(aten_squeeze(x, last[0], 0));
    if (r.kind != OP_LSTM) return h;
    return aten_new_list(x, ATEN_TUPLE, (aten_value[]){h, aten_tensor(aten_squeeze(x, last[1], 0))}, 2);
}

/* rnn_tanh_cell(x, h, w_ih, w_hh, b_ih, b_hh): no kernel of its own, but two linear layers, their sum and the activation. */
static aten_value simple_cell(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    if (A(0).kind != ATEN_TENSOR || A(1).kind != ATEN_TENSOR) return recurrent_cell(x, row, arg, n);
    aten_args state = {.v = {A(1), A(3), A(5)}, .n = A(5).kind == ATEN_TENSOR ? 3 : 2};
    aten_args input = {.v = {A(0), A(2), A(4)}, .n = A(4).kind == ATEN_TENSOR ? 3 : 2}, sum = {.n = 2};
    sum.v[0] = aten_call(x, STR("linear"), &state, 1);
    sum.v[1] = aten_call(x, STR("linear"), &input, 1);
    aten_args all = {.v = {aten_call(x, STR("add"), &sum, 1)}, .n = 1};
    return aten_call(x, !strcmp(row->name, "rnn_relu_cell") ? STR("relu") : STR("tanh"), &all, 1);
}

/* mkldnn_rnn_layer(x, w_ih, w_hh, b_ih, b_hh, h, c, reverse, batch_sizes, mode, ...): what decompositions on a CPU make of each
 * direction of each layer of an LSTM. */
static aten_value one_layer(aten *x, const aten_row *row, const aten_value *arg, uint32_t n)
{
    enum { LSTM = 2 };
    int64_t mode = 0;
    recurrent r = {.kind = (op_kind)row->op, .biases = aten_is_true(A(12)), .reverse = aten_is_true(A(7))};
    uint32_t t = aten_data(x, A(0)), state[2] = {aten_data(x, A(5)), aten_data(x, A(6))}, last[2];
    if (t == NO_TENSOR || !aten_plain_int(A(9), &mode) || mode != LSTM || aten_is_true(A(14))) return aten_unknown();
    t = layer(x, &r, t, arg + 1, state, last);
    if (t == NO_TENSOR) return aten_unknown();
    return aten_new_list(x, ATEN_TUPLE,
                         (aten_value[]){aten_tensor(t), aten_tensor(last[0]), aten_tensor(last[1]), aten_unknown()}, 4);
}

#define CELL "input hx w_ih w_hh b_ih b_hh"
#define LAYERS "input hx params has_biases num_layers dropout train bidirectional batch_first"

const aten_row aten_recurrent_rows[] = {
    {"lstm", LAYERS, recurrent_layers, OP_LSTM},
    {"gru", LAYERS, recurrent_layers, OP_GRU},
    {"rnn_tanh", LAYERS, recurrent_layers, OP_RNN},
    {"rnn_relu", LAYERS, recurrent_layers, OP_RNN},
    {"lstm_cell", CELL, recurrent_cell, OP_LSTM},
    {"gru_cell", CELL, recurrent_cell, OP_GRU},
    {"rnn_tanh_cell", CELL, simple_cell, OP_RNN},
    {"rnn_relu_cell", CELL, simple_cell, OP_RNN},
    {"mkldnn_rnn_layer",
     "input weight0 weight1 weight2 weight3 hx_ cx_ reverse batch_sizes mode hidden_size num_layers has_biases "
     "bidirectional batch_first train",
     one_layer, OP_LSTM},
    {NULL, NULL, NULL, 0},
};
