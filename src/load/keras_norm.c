/* Normalisations. What a layer was told to do without (scale, center) is a constant that nobody trained. */
#include "load/keras_internal.h"

/* A trained scale or offset, or the constant in its place. */
static uint32_t factor(keras *k, keras_layer *l, const char *name, const char *flag, int rank, const int64_t *dims)
{
    return json_get_bool(l->config, flag, true) ? keras_weight(k, l, name, rank, dims)
                                                : keras_buffer(k, l, name, rank, dims);
}

/* The axis of the configuration: a number or a list of them, counted from the front. How many; 0: there is none that fits. */
static int axes_of(keras *k, const keras_layer *l, uint32_t x, int64_t *axes)
{
    int rank = keras_rank(k, x);
    const json_t *v = json_object_get(l->config, "axis");
    int n = keras_ints(v, 8, axes);
    if (!v) {
        axes[0] = -1;
        n = 1;
    }
    for (int i = 0; i < n; i++) {
        if (axes[i] < 0) axes[i] += rank;
        if (axes[i] < 0 || axes[i] >= rank) return 0;
    }
    return n;
}

void keras_batch_norm(keras *k, keras_call *c, int variant)
{
    static const char *const kept[] = {"moving_mean", "moving_variance"};
    keras_layer *l = c->l;
    uint32_t x = keras_in(c), in[5] = {x};
    int64_t axes[8], width;
    int rank = keras_rank(k, x), n = axes_of(k, l, x, axes);
    (void)variant;
    width = n == 1 ? keras_dim(k, x, (int)axes[0]) : -1;
    if (width < 1 && rank < 1) width = keras_stored_dim(k, l, "gamma", 0);
    if (width < 1) {
        keras_unknown(k, c, x);
        return;
    }
    in[1] = factor(k, l, "gamma", "scale", 1, &width);
    in[2] = factor(k, l, "beta", "center", 1, &width);
    for (int i = 0; i < 2; i++) in[3 + i] = keras_buffer(k, l, kept[i], 1, &width);
    uint32_t y = keras_op(k, l, OP_BatchNormalization, in, 5);
    keras_float(k, ATTR_epsilon, json_get_real(l->config, "epsilon", 1e-3));
    keras_last(k, rank > 2 && axes[0] == rank - 1);
    keras_give(k, &c->out, y);
}

/* Over the last axis, or over several from some axis on. Of axes in the middle only the weights are right. */
void keras_layer_norm(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c), in[3] = {x};
    int64_t axes[8], dims[8], first = INT32_MAX;
    int n = axes_of(k, l, x, axes), n_in = 2;
    bool root = variant == OP_RMSNormalization || json_get_bool(l->config, "rms_scaling", false);
    for (int i = 0; i < n; i++) {
        dims[i] = keras_dim(k, x, (int)axes[i]);
        if (dims[i] < 1) n = 0;
        if (axes[i] < first) first = axes[i];
    }
    if (n < 1) {
        keras_unknown(k, c, x);
        return;
    }
    in[1] = factor(k, l, root && variant == OP_RMSNormalization ? "scale" : "gamma", "scale", n, dims);
    if (!root && json_get_bool(l->config, "center", true)) in[n_in++] = keras_weight(k, l, "beta", n, dims);
    uint32_t y = keras_op(k, l, root ? OP_RMSNormalization : OP_LayerNormalization, in, (uint32_t)n_in);
    keras_int(k, ATTR_axis, first);
    keras_give(k, &c->out, y);
}

/* variant 1: a group for each channel, whatever the configuration says */
void keras_group_norm(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c), in[3] = {x};
    int64_t axes[8], width, groups = json_get_int(l->config, "groups", 32);
    int rank = keras_rank(k, x), n = axes_of(k, l, x, axes);
    width = n == 1 ? keras_dim(k, x, (int)axes[0]) : -1;
    if (width < 1) {
        keras_unknown(k, c, x);
        return;
    }
    if (groups == -1 || variant == 1) groups = width; /* a group for each channel */
    if (groups < 1 || width % groups)
        keras_fail(k, l, PG_E_GRAPH, "its %lld channels can't be split into %lld groups", (long long)width,
                   (long long)groups);
    in[1] = factor(k, l, "gamma", "scale", 1, &width);
    in[2] = factor(k, l, "beta", "center", 1, &width);
    uint32_t y = keras_op(k, l, OP_GroupNormalization, in, 3);
    keras_int(k, ATTR_num_groups, groups);
    keras_last(k, rank > 2 && axes[0] == rank - 1);
    keras_give(k, &c->out, y);
}

void keras_unit_norm(keras *k, keras_call *c, int variant)
{
    int64_t axes[8];
    int n = axes_of(k, c->l, keras_in(c), axes);
    (void)variant;
    uint32_t y = keras_op1(k, c->l, OP_LpNormalization, keras_in(c));
    keras_int(k, ATTR_axis, n ? axes[0] : -1);
    keras_int(k, ATTR_p, 2);
    keras_give(k, &c->out, y);
}

/* A trained factor for each feature. */
void keras_layer_scale(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    int64_t width = keras_size(k, l, "projection_dim", 0);
    (void)variant;
    keras_give(k, &c->out, keras_op2(k, l, OP_Mul, keras_in(c), keras_weight(k, l, "gamma", 1, &width)));
}
