/* Recurrent layers, and layers around others.
 *
 * They become ONNX's operators with the batch in front (layout 1): X [batch, steps, in], W [directions, gates * units, in],
 * R [directions, gates * units, units], B as many numbers as Keras has; Y [batch, steps, directions, units], Y_h and Y_c
 * [batch, directions, units]. */
#include "load/keras_internal.h"

typedef struct recurrent {
    op_kind kind;
    int64_t units, gates;
    bool bias, sequences, state;
    int ways; /* 2: both directions in one operator */
} recurrent;

static recurrent read_recurrent(keras *k, const keras_layer *l, op_kind kind)
{
    const json_t *c = l->config;
    recurrent r = {.kind = kind, .ways = 1};
    r.units = keras_size(k, l, json_object_get(c, "units") ? "units" : "output_dim", 0);
    r.gates = kind == OP_LSTM ? 4 : kind == OP_GRU ? 3 : 1;
    r.bias = json_get_bool(c, "use_bias", true);
    r.sequences = json_get_bool(c, "return_sequences", false);
    r.state = json_get_bool(c, "return_state", false);
    if (r.units > INT32_MAX / 4) keras_fail(k, l, PG_E_GRAPH, "its units are out of range");
    return r;
}

/* Keras's GRU of version 2 has a bias for the state too (reset_after); so have CuDNN's layers. */
static int64_t biases(const keras_layer *l, const recurrent *r)
{
    bool cudnn = str_starts(str_c(l->class), "CuDNN");
    bool twice = cudnn || (r->kind == OP_GRU && json_get_bool(l->config, "reset_after", false));
    return r->gates * r->units * (twice ? 2 : 1);
}

/* Y, Y_h and Y_c of one operator; `states` are those to begin with: for each of LSTM's two, of each direction. */
static bool emit(keras *k, keras_layer *l, const recurrent *r, uint32_t x, const uint32_t *states, uint32_t n_states,
                 uint32_t out[3])
{
    int64_t in = keras_dim(k, x, -1), wide = r->gates * r->units, ways = r->ways;
    uint32_t operands[7] = {x, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR}, n = 3;
    if (in < 1) in = keras_stored_dim(k, l, "kernel", 0);
    if (in < 1 || (keras_rank(k, x) >= 0 && keras_rank(k, x) != 3)) return false;
    operands[1] = keras_weight(k, l, "kernel", 3, (int64_t[]){ways, wide, in});
    operands[2] = keras_weight(k, l, "recurrent_kernel", 3, (int64_t[]){ways, wide, r->units});
    if (r->bias) operands[3] = keras_weight(k, l, "bias", 2, (int64_t[]){ways, biases(l, r)});
    if (r->bias) n = 4;
    uint32_t kinds = r->kind == OP_LSTM ? 2 : 1;
    if (n_states >= kinds * (uint32_t)ways) {
        for (uint32_t s = 0; s < kinds; s++) {
            uint32_t each[2];
            for (uint32_t w = 0; w < (uint32_t)ways; w++) each[w] = keras_unsqueeze(k, l, states[w * kinds + s], 1);
            operands[5 + s] = each[0];
            if (ways == 1) continue;
            operands[5 + s] = keras_op(k, l, OP_Concat, each, 2);
            keras_int(k, ATTR_axis, 1);
        }
        n = 5 + kinds;
    }
    keras_op_outs(k, l, r->kind, operands, n, out, kinds + 1);
    keras_int(k, ATTR_hidden_size, r->units);
    keras_int(k, ATTR_layout, 1);
    keras_text(k, ATTR_direction, ways == 2 ? "bidirectional" : "forward");
    return true;
}

/* Without the dim of the directions, which is 1 or is merged into the features. */
static uint32_t flat(keras *k, const keras_layer *l, uint32_t x, bool sequence, int ways, int64_t units)
{
    int64_t axis = sequence ? 2 : 1, three[3] = {0, 0, ways * units}, two[2] = {0, ways * units};
    if (ways == 2) return keras_reshape(k, l, x, sequence ? three : two, sequence ? 3 : 2);
    uint32_t y = keras_op1(k, l, OP_Squeeze, x);
    keras_list_attr(k, ATTR_axes, &axis, 1);
    return y;
}

void keras_recurrent(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    recurrent r = read_recurrent(k, l, (op_kind)variant);
    uint32_t out[3];
    if (k->failed) return;
    if (!emit(k, l, &r, keras_in(c), c->in + 1, c->n_in - 1, out)) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    keras_give(k, &c->out, flat(k, l, out[r.sequences ? 0 : 1], r.sequences, 1, r.units));
    for (int s = 1; r.state && s <= (r.kind == OP_LSTM ? 2 : 1); s++)
        keras_give(k, &c->out, flat(k, l, out[s], false, 1, r.units));
}

static op_kind cell_kind(const char *class)
{
    static const struct {
        const char *class;
        op_kind kind;
    } known[] = {{"LSTMCell", OP_LSTM},    {"GRUCell", OP_GRU},    {"SimpleRNNCell", OP_RNN},
                 {"LSTM", OP_LSTM},        {"GRU", OP_GRU},        {"SimpleRNN", OP_RNN},
                 {"CuDNNLSTM", OP_LSTM},   {"CuDNNGRU", OP_GRU},   {"LSTMV1", OP_LSTM},
                 {"LSTMV2", OP_LSTM},      {"GRUV1", OP_GRU},      {"GRUV2", OP_GRU},
                 {"UnifiedLSTM", OP_LSTM}, {"UnifiedGRU", OP_GRU}, {"PeepholeLSTMCell", OP_LSTM}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (!strcmp(class, known[i].class)) return known[i].kind;
    return OP_Unknown;
}

/* RNN with a cell, or with several on top of each other (StackedRNNCells). */
void keras_cells(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l, *cells = keras_wrapped(k, l, "cell");
    uint32_t n = l->n_wrapped, x = keras_in(c);
    bool sequences = json_get_bool(l->config, "return_sequences", false);
    keras_list states = {0};
    (void)variant;
    if (!cells) return;
    if (n == 1 && !strcmp(cells[0].class, "StackedRNNCells")) {
        keras_layer *stack = &cells[0];
        cells = keras_wrapped(k, stack, "cells");
        n = stack->n_wrapped;
    }
    for (uint32_t i = 0; cells && i < n; i++)
        if (cell_kind(cells[i].class) == OP_Unknown) {
            keras_unknown(k, c, NO_TENSOR);
            return;
        }
    for (uint32_t i = 0; cells && i < n && !k->failed; i++) {
        keras_layer *cell = &cells[i];
        recurrent r = read_recurrent(k, cell, cell_kind(cell->class));
        uint32_t out[3];
        cell->at = 0;
        if (k->failed) return;
        if (!emit(k, cell, &r, x, NULL, 0, out)) {
            keras_unknown(k, c, NO_TENSOR);
            return;
        }
        bool all = i + 1 < n || sequences;
        x = flat(k, cell, out[all ? 0 : 1], all, 1, r.units);
        for (int s = 1; s <= (r.kind == OP_LSTM ? 2 : 1) && json_get_bool(l->config, "return_state", false); s++)
            keras_give(k, &states, flat(k, cell, out[s], false, 1, r.units));
    }
    keras_give(k, &c->out, x);
    for (uint32_t i = 0; i < states.n; i++) keras_give(k, &c->out, states.t[i]);
}

/* ---- both directions ---- */

/* Two layers of any kind, and their results merged. */
static void run_both(keras *k, keras_call *c, keras_layer *forward)
{
    keras_layer *l = c->l;
    const char *mode = json_get_text(l->config, "merge_mode", "concat");
    if (l->n_wrapped == 1) { /* the second has the same configuration and weights of its own */
        keras_layer *both = ARENA_ARRAY(&k->scratch, keras_layer, 2);
        if (!keras_must(k, both != NULL)) return;
        const json_t *back = json_object_get(l->config, "backward_layer");
        keras_layer_init(k, &both[0], forward->entry, forward->prefix);
        keras_layer_init(k, &both[1], json_is_object(back) ? back : forward->entry, forward->prefix);
        l->wrapped = both;
        l->n_wrapped = 2;
    }
    keras_call calls[2];
    for (int i = 0; i < 2 && !k->failed; i++) {
        calls[i] = (keras_call){.l = &l->wrapped[i], .in = c->in, .n_in = 1};
        keras_run(k, &calls[i]);
    }
    if (k->failed || !calls[0].out.n || !calls[1].out.n) return;
    uint32_t pair[2] = {calls[0].out.t[0], calls[1].out.t[0]};
    keras_call merge = {.l = l, .in = pair, .n_in = 2};
    op_kind kind = !strcmp(mode, "sum") ? OP_Add : !strcmp(mode, "mul") ? OP_Mul : OP_Mean;
    if (strcmp(mode, "concat") != 0) {
        keras_merge(k, &merge, (int)kind);
    } else {
        keras_give(k, &merge.out, keras_op(k, l, OP_Concat, pair, 2));
        keras_int(k, ATTR_axis, -1);
    }
    c->out = merge.out;
    for (int i = 0; i < 2; i++)
        for (uint32_t s = 1; s < calls[i].out.n; s++) keras_give(k, &c->out, calls[i].out.t[s]);
}

/* Whether the way back is of the same kind and size: Keras 3 writes both, which differ in name and direction. */
static bool is_mirror(const keras_layer *forward, const json_t *back)
{
    static const char *const keys[] = {"units", "use_bias", "reset_after", "return_sequences", "return_state"};
    const json_t *config = json_object_get(back, "config");
    if (!json_is_object(back)) return true;
    if (strcmp(json_get_text(back, "class_name", ""), forward->class) != 0) return false;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *a = json_object_get(forward->config, keys[i]), *b = json_object_get(config, keys[i]);
        if (!json_equal(a, b) && (a || b)) return false;
    }
    return true;
}

void keras_bidirectional(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l, *inner = keras_wrapped(k, l, "layer");
    (void)variant;
    if (!inner) return;
    op_kind kind = cell_kind(inner->class);
    const char *mode = json_get_text(l->config, "merge_mode", "concat");
    bool one = kind != OP_Unknown && !strcmp(mode, "concat") && l->n_wrapped == 1 &&
               is_mirror(inner, json_object_get(l->config, "backward_layer"));
    if (!one) {
        run_both(k, c, inner);
        return;
    }
    recurrent r = read_recurrent(k, inner, kind);
    uint32_t out[3], states[4], kinds = kind == OP_LSTM ? 2 : 1;
    r.ways = 2;
    inner->at = 0;
    if (k->failed) return;
    if (!emit(k, inner, &r, keras_in(c), c->in + 1, c->n_in - 1, out)) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    keras_give(k, &c->out, flat(k, l, out[r.sequences ? 0 : 1], r.sequences, 2, r.units));
    for (uint32_t s = 0; r.state && s < kinds; s++) {
        uint32_t parts[2];
        keras_op_outs(k, l, OP_Split, &out[1 + s], 1, parts, 2);
        keras_int(k, ATTR_axis, 1);
        keras_int(k, ATTR_num_outputs, 2);
        for (uint32_t w = 0; w < 2; w++) states[w * kinds + s] = flat(k, l, parts[w], false, 1, r.units);
    }
    for (uint32_t s = 0; r.state && s < 2 * kinds; s++) keras_give(k, &c->out, states[s]);
}

/* ---- wrappers ---- */

void keras_wrapper(keras *k, keras_call *c, int variant)
{
    keras_layer *inner = keras_wrapped(k, c->l, "layer");
    (void)variant;
    if (!inner) return;
    keras_call call = *c;
    call.l = inner;
    keras_run(k, &call);
    c->out = call.out;
}

/* Each step by itself: steps join the batch for the layer, and leave it again. */
void keras_time_distributed(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l, *inner = keras_wrapped(k, l, "layer");
    uint32_t x = keras_in(c);
    num dims[MAX_RANK], back[MAX_RANK];
    (void)variant;
    if (!inner) return;
    const tensor_shape *s = keras_shape(k, x);
    int rank = s->rank;
    if (!strcmp(inner->class, "Dense") || !strcmp(inner->class, "Activation") || !strcmp(inner->class, "Dropout") ||
        !strcmp(inner->class, "LayerNormalization")) { /* work on the last dim alone */
        keras_give(k, &c->out, keras_apply(k, inner, x));
        return;
    }
    if (rank < 3) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    back[0] = num_unknown();
    back[1] = s->dims[1];
    dims[0] = num_unknown();
    for (int i = 2; i < rank; i++) dims[i - 1] = s->dims[i];
    uint32_t y = keras_apply(k, inner, keras_reshape_to(k, l, x, dims, rank - 1));
    s = keras_shape(k, y);
    if (k->failed) return;
    if (s->rank < 1 || s->rank >= MAX_RANK) {
        keras_give(k, &c->out, y);
        return;
    }
    for (int i = 1; i < s->rank; i++) back[i + 1] = s->dims[i];
    keras_give(k, &c->out, keras_reshape_to(k, l, y, back, s->rank + 1));
}
