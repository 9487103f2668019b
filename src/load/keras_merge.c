/* Layers that merge their inputs, and layers that move data. */
#include "load/keras_internal.h"

/* In turn, as Keras does it: two at a time. */
void keras_merge(keras *k, keras_call *c, int variant)
{
    op_kind kind = variant == OP_Mean ? OP_Add : (op_kind)variant;
    uint32_t y = keras_in(c);
    for (uint32_t i = 1; i < c->n_in; i++) y = keras_op2(k, c->l, kind, y, c->in[i]);
    if (variant == OP_Mean) y = keras_op2(k, c->l, OP_Div, y, keras_scalar(k, (double)c->n_in));
    keras_give(k, &c->out, y);
}

/* Keras 1's Merge is one of these by its mode. */
void keras_concatenate(keras *k, keras_call *c, int variant)
{
    static const struct {
        const char *mode;
        int kind;
    } modes[] = {{"sum", OP_Add}, {"mul", OP_Mul}, {"ave", OP_Mean}, {"max", OP_Max}};
    keras_layer *l = c->l;
    int64_t axis = json_get_int(l->config, "axis", json_get_int(l->config, "concat_axis", -1));
    const char *mode = json_get_text(l->config, "mode", "concat");
    (void)variant;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (!strcmp(mode, modes[i].mode)) {
            keras_merge(k, c, modes[i].kind);
            return;
        }
    if (strcmp(mode, "concat") != 0) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    if (c->n_in > UINT16_MAX) {
        keras_fail(k, l, PG_E_LIMIT, "it has more than 65535 inputs");
        return;
    }
    uint32_t y = keras_op(k, l, OP_Concat, c->in, c->n_in);
    keras_int(k, ATTR_axis, axis);
    keras_give(k, &c->out, y);
}

/* A product of matrices over one axis of each. */
void keras_dot(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    int64_t axes[2];
    int n = keras_ints(json_object_get(l->config, "axes"), 2, axes);
    (void)variant;
    uint32_t x[2] = {keras_in(c), c->n_in > 1 ? c->in[1] : NO_TENSOR};
    int rank[2] = {keras_rank(k, x[0]), keras_rank(k, x[1])};
    if (n == 1) axes[1] = axes[0];
    for (int i = 0; i < 2; i++) {
        if (n > 0 && axes[i] < 0) axes[i] += rank[i];
        if (n < 1 || rank[i] < 2 || rank[i] > 3 || axes[i] < 1 || axes[i] >= rank[i]) {
            keras_unknown(k, c, NO_TENSOR);
            return;
        }
        if (!json_get_bool(l->config, "normalize", false)) continue;
        x[i] = keras_op1(k, l, OP_LpNormalization, x[i]);
        keras_int(k, ATTR_axis, axes[i]);
    }
    if (rank[0] == 2 && rank[1] == 2) { /* a number for each sample */
        uint32_t products = keras_op2(k, l, OP_Mul, x[0], x[1]);
        keras_give(k, &c->out, keras_reduce(k, l, OP_ReduceSum, products, (int64_t[]){1}, 1, true));
        return;
    }
    if (rank[0] == 2) x[0] = keras_unsqueeze(k, l, x[0], 1), axes[0] = 2;
    if (rank[1] == 2) x[1] = keras_unsqueeze(k, l, x[1], 2), axes[1] = 1;
    if (axes[0] == 1) x[0] = keras_transpose(k, l, x[0], (int64_t[]){0, 2, 1}, 3);
    if (axes[1] == 2) x[1] = keras_transpose(k, l, x[1], (int64_t[]){0, 2, 1}, 3);
    uint32_t y = keras_op2(k, l, OP_MatMul, x[0], x[1]);
    if (rank[0] == 2 || rank[1] == 2) {
        int64_t axis = rank[0] == 2 ? 1 : 2;
        y = keras_op1(k, l, OP_Squeeze, y);
        keras_list_attr(k, ATTR_axes, &axis, 1);
    }
    keras_give(k, &c->out, y);
}

void keras_reshape_layer(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    int64_t dims[9] = {0}; /* 0: the batch stays */
    int n = keras_ints(json_object_get(l->config, "target_shape"), 8, dims + 1);
    (void)variant;
    bool ok = n >= 0;
    for (int i = 1; i <= n; i++) ok = ok && (dims[i] == -1 || (dims[i] >= 1 && dims[i] <= INT32_MAX));
    if (!ok) keras_fail(k, l, PG_E_GRAPH, "its target_shape should be at most 8 numbers from 1 to 2147483647, or -1");
    else keras_give(k, &c->out, keras_reshape(k, l, keras_in(c), dims, n + 1));
}

void keras_flatten(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int rank = keras_rank(k, x);
    int64_t perm[8] = {0};
    (void)variant;
    if (keras_channels_first(l) && rank > 2 && rank <= 8) { /* the order of the features is that of channels last */
        for (int i = 1; i < rank; i++) perm[i] = i + 1 < rank ? i + 1 : 1;
        x = keras_transpose(k, l, x, perm, rank);
    }
    uint32_t y = keras_op1(k, l, OP_Flatten, x);
    keras_int(k, ATTR_axis, 1);
    keras_give(k, &c->out, y);
}

void keras_permute(keras *k, keras_call *c, int variant)
{
    int64_t perm[9] = {0};
    int n = keras_ints(json_object_get(c->l->config, "dims"), 8, perm + 1);
    uint32_t seen = 1;
    (void)variant;
    for (int i = 1; i <= n; i++)
        if (perm[i] >= 1 && perm[i] <= n) seen |= 1u << perm[i];
    if (n < 1 || seen != (1u << (n + 1)) - 1 || keras_rank(k, keras_in(c)) != n + 1)
        keras_fail(k, c->l, PG_E_GRAPH, "its dims should be those of its input, each once");
    else keras_give(k, &c->out, keras_transpose(k, c->l, keras_in(c), perm, n + 1));
}

void keras_repeat_vector(keras *k, keras_call *c, int variant)
{
    int64_t n = keras_size(k, c->l, "n", 0);
    (void)variant;
    uint32_t y = keras_op1(k, c->l, OP_Tile, keras_unsqueeze(k, c->l, keras_in(c), 1));
    keras_list_attr(k, ATTR_repeats, (int64_t[]){1, n, 1}, 3);
    keras_give(k, &c->out, y);
}
