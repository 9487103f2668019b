/* Convolutional LSTM: the convolution of all steps' inputs at once, and a loop over the steps whose body convolves the state and mixes
 * the gates. */
#include "load/keras_internal.h"

typedef struct cells {
    int64_t filters;
    int dims, channels; /* where the channels are in [batch, ...] */
    bool first;
    uint32_t gates; /* [batch, steps, ..., 4 * filters] of all inputs */
    uint32_t state, memory;
} cells;

/* A part of the channels of one step. */
static void split_gates(keras *k, const keras_layer *l, const cells *x, uint32_t sum, uint32_t part[4])
{
    keras_op_outs(k, l, OP_Split, &sum, 1, part, 4);
    keras_int(k, ATTR_axis, x->channels);
    keras_int(k, ATTR_num_outputs, 4);
}

static uint32_t body_input(keras *k, uint32_t body, const char *name, dtype d)
{
    uint32_t t = k->failed ? NO_TENSOR : graph_add_tensor(k->g, str_c(name), d);
    if (!k->failed) keras_must(k, t != NO_TENSOR && graph_add_input(k->g, body, t));
    return t;
}

static void body_output(keras *k, uint32_t body, uint32_t t)
{
    if (!k->failed) keras_must(k, graph_add_output(k->g, body, t));
}

/* One step; returns its region. */
static uint32_t make_body(keras *k, keras_layer *l, const cells *x, bool sequences)
{
    const json_t *inner = json_object_get(l->config, "activation"),
                 *outer = json_object_get(l->config, "recurrent_activation");
    uint32_t body = k->failed ? NO_TENSOR : graph_add_region(k->g), part[4];
    if (!keras_must(k, body != NO_TENSOR)) return NO_TENSOR;
    uint32_t step = body_input(k, body, "step", DT_INT64), going = body_input(k, body, "going", DT_BOOL);
    uint32_t state = body_input(k, body, "state", DT_UNKNOWN), memory = body_input(k, body, "memory", DT_UNKNOWN);
    if (!k->failed && (!graph_set_dims(k->g, step, 0, NULL) || !graph_set_dims(k->g, going, 0, NULL)))
        keras_must(k, false);
    k->region = body;
    uint32_t now = keras_op2(k, l, OP_Gather, x->gates, step);
    keras_int(k, ATTR_axis, 1);
    now = keras_op2(k, l, OP_Add, now, keras_convolve(k, l, state, x->dims, x->filters, 4 * x->filters, true));
    split_gates(k, l, x, now, part);
    for (int i = 0; i < 4; i++) part[i] = keras_activation(k, l, part[i], i == 2 ? inner : outer);
    memory = keras_op2(k, l, OP_Add, keras_op2(k, l, OP_Mul, part[1], memory),
                       keras_op2(k, l, OP_Mul, part[0], part[2]));
    state = keras_op2(k, l, OP_Mul, part[3], keras_activation(k, l, memory, inner));
    going = keras_op1(k, l, OP_Identity, going);
    uint32_t each = sequences ? keras_op1(k, l, OP_Identity, state) : NO_TENSOR;
    k->region = 0;
    body_output(k, body, going);
    body_output(k, body, state);
    body_output(k, body, memory);
    if (sequences) body_output(k, body, each);
    return body;
}

/* The inputs' convolution of all steps, which join the batch for it. */
static bool convolve_inputs(keras *k, keras_layer *l, uint32_t x, cells *out, num *steps)
{
    const tensor_shape *s = keras_shape(k, x);
    int rank = s->rank;
    num dims[8], back[8];
    if (rank != out->dims + 3) return false;
    *steps = s->dims[1];
    dims[0] = back[0] = num_unknown();
    for (int i = 2; i < rank; i++) dims[i - 1] = s->dims[i];
    back[1] = *steps;
    int64_t in = num_plain(dims[out->channels]) ? dims[out->channels].v.i : -1;
    if (in < 1) return false;
    uint32_t y = keras_convolve(k, l, keras_reshape_to(k, l, x, dims, rank - 1), out->dims, in, 4 * out->filters,
                                false);
    s = keras_shape(k, y);
    if (s->rank != rank - 1) return false;
    for (int i = 1; i < s->rank; i++) back[i + 1] = s->dims[i];
    out->gates = keras_reshape_to(k, l, y, back, rank);
    return true;
}

/* Zeros to begin with, as large as a step's state: a part of the first step, times nothing. */
static uint32_t zeros(keras *k, keras_layer *l, const cells *x)
{
    int64_t zero = 0, drop = 1;
    uint32_t y = keras_op1(k, l, OP_Slice, x->gates);
    keras_list_attr(k, ATTR_starts, (int64_t[]){0, 0}, 2);
    keras_list_attr(k, ATTR_ends, (int64_t[]){1, x->filters}, 2);
    keras_list_attr(k, ATTR_axes, (int64_t[]){1, x->channels + 1}, 2);
    y = keras_op1(k, l, OP_Squeeze, y);
    keras_list_attr(k, ATTR_axes, &drop, 1);
    return keras_op2(k, l, OP_Mul, y, keras_scalar(k, (double)zero));
}

void keras_conv_lstm(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    bool sequences = json_get_bool(l->config, "return_sequences", false);
    cells x = {.filters = keras_size(k, l, "filters", 0), .dims = dims, .first = keras_channels_first(l)};
    num steps;
    x.channels = x.first ? 1 : dims + 1;
    if (x.filters > INT32_MAX / 4) keras_fail(k, l, PG_E_GRAPH, "its filters are out of range");
    if (k->failed) return;
    if (!convolve_inputs(k, l, keras_in(c), &x, &steps)) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    num times = keras_declared(k, steps);
    uint32_t zero = zeros(k, l, &x), body = make_body(k, l, &x, sequences), out[3];
    uint32_t in[4] = {num_known(times) ? keras_numbers(k, &times, 1, 0) : NO_TENSOR, NO_TENSOR, zero, zero};
    keras_op_outs(k, l, OP_Loop, in, 4, out, sequences ? 3 : 2);
    keras_region(k, ATTR_body, body);
    uint32_t all = NO_TENSOR;
    if (sequences) { /* steps come first */
        int64_t perm[6] = {1, 0};
        for (int i = 2; i < dims + 3; i++) perm[i] = i;
        all = keras_transpose(k, l, out[2], perm, dims + 3);
    }
    keras_give(k, &c->out, sequences ? all : out[0]);
    for (int i = 0; i < 2 && json_get_bool(l->config, "return_state", false); i++) keras_give(k, &c->out, out[i]);
}
