/* Convolutions, pooling, and what changes the size of images. `dims` is the number of spatial dimensions.
 *
 * Weights have ONNX's order, [out, in / groups, kernel], wherever the data have their channels. */
#include "load/keras_internal.h"

enum { SPATIAL = 3 };

typedef struct window {
    int64_t size[SPATIAL], stride[SPATIAL], dilation[SPATIAL];
    bool same, causal, first; /* first: channels first */
} window;

static int channel_axis(const window *w)
{
    return w->first ? 1 : -1;
}

/* A list of sizes that Keras 1 had under other names, one number each. */
static bool old_sizes(keras *k, const keras_layer *l, const char *const *keys, int n, int64_t *out)
{
    for (int i = 0; i < n; i++) out[i] = keras_size(k, l, keys[i], 0);
    return !k->failed;
}

static bool read_kernel(keras *k, const keras_layer *l, int dims, window *w)
{
    static const char *const flat[] = {"nb_row", "nb_col"}, *const deep[] = {"kernel_dim1", "kernel_dim2",
                                                                             "kernel_dim3"};
    if (json_object_get(l->config, "kernel_size")) return keras_sizes(k, l, "kernel_size", dims, 0, w->size);
    if (dims == 1) return keras_sizes(k, l, "filter_length", 1, 0, w->size);
    return old_sizes(k, l, dims == 2 ? flat : deep, dims, w->size);
}

static bool read_window(keras *k, const keras_layer *l, int dims, window *w)
{
    const json_t *c = l->config;
    const char *padding = json_get_text(c, "padding", json_get_text(c, "border_mode", "valid"));
    const char *strides = json_object_get(c, "strides")   ? "strides"
                        : json_object_get(c, "subsample") ? "subsample"
                        : json_object_get(c, "stride")    ? "stride"
                                                          : "subsample_length";
    const char *dilation = json_object_get(c, "dilation_rate") ? "dilation_rate" : "atrous_rate";
    w->same = !strcmp(padding, "same");
    w->causal = !strcmp(padding, "causal");
    w->first = keras_channels_first(l);
    return keras_sizes(k, l, strides, dims, 1, w->stride) && keras_sizes(k, l, dilation, dims, 1, w->dilation);
}

/* Attributes of a windowed operator, which was added last. */
static void set_window(keras *k, const window *w, int dims, bool kernel)
{
    if (kernel) keras_list_attr(k, ATTR_kernel_shape, w->size, dims);
    keras_list_attr(k, ATTR_strides, w->stride, dims);
    bool dilated = false;
    for (int i = 0; i < dims; i++) dilated |= w->dilation[i] > 1;
    if (dilated) keras_list_attr(k, ATTR_dilations, w->dilation, dims);
    if (w->causal) {
        double reach = (double)(w->size[0] - 1) * (double)w->dilation[0];
        if (reach > INT32_MAX) keras_fail(k, NULL, PG_E_GRAPH, "a window of %.3g steps is out of range", reach);
        else keras_list_attr(k, ATTR_pads, (int64_t[]){(int64_t)reach, 0}, 2);
    } else if (w->same) {
        keras_text(k, ATTR_auto_pad, "SAME_UPPER");
    }
    keras_last(k, !w->first);
}

static int64_t filters_of(keras *k, const keras_layer *l)
{
    return keras_size(k, l, json_object_get(l->config, "filters") ? "filters" : "nb_filter", 0);
}

/* Channels of the input, or -1 when it has no such rank. */
static int64_t channels_in(keras *k, uint32_t x, const window *w, int dims)
{
    int rank = keras_rank(k, x);
    return rank == dims + 2 ? keras_dim(k, x, channel_axis(w)) : -1;
}

/* The convolution itself: `in` channels in groups to `out`. The kernel's name says which of the layer's it is. */
static uint32_t convolve(keras *k, keras_layer *l, uint32_t x, const window *w, int dims, const char *kernel,
                         int64_t in, int64_t out, int64_t groups, bool bias)
{
    int64_t shape[SPATIAL + 2] = {out, in / groups};
    memcpy(shape + 2, w->size, (size_t)dims * sizeof *shape);
    uint32_t operands[3] = {x, keras_weight(k, l, kernel, dims + 2, shape)};
    if (bias) operands[2] = keras_weight(k, l, "bias", 1, &out);
    uint32_t y = keras_op(k, l, OP_Conv, operands, bias ? 3 : 2);
    set_window(k, w, dims, true);
    if (groups > 1) keras_int(k, ATTR_group, groups);
    return y;
}

static void finish(keras *k, keras_call *c, uint32_t y)
{
    keras_give(k, &c->out, keras_activation(k, c->l, y, json_object_get(c->l->config, "activation")));
}

uint32_t keras_convolve(keras *k, keras_layer *l, uint32_t x, int dims, int64_t in, int64_t out, bool recurrent)
{
    static const window still = {.stride = {1, 1, 1}, .dilation = {1, 1, 1}, .same = true};
    window w;
    if (!read_kernel(k, l, dims, &w) || !read_window(k, l, dims, &w)) return NO_TENSOR;
    if (!recurrent) return convolve(k, l, x, &w, dims, "kernel", in, out, 1, keras_uses_bias(l));
    window own = still;
    memcpy(own.size, w.size, sizeof own.size);
    own.first = w.first;
    return convolve(k, l, x, &own, dims, "recurrent_kernel", in, out, 1, false);
}

void keras_conv(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    window w;
    if (!read_kernel(k, l, dims, &w) || !read_window(k, l, dims, &w)) return;
    int64_t in = channels_in(k, keras_in(c), &w, dims), out = filters_of(k, l);
    int64_t groups = keras_size(k, l, "groups", 1);
    if (in < 1) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    if (in % groups || out % groups)
        keras_fail(k, l, PG_E_GRAPH, "%lld channels can't be made of %lld in %lld groups", (long long)out,
                   (long long)in, (long long)groups);
    finish(k, c, convolve(k, l, keras_in(c), &w, dims, "kernel", in, out, groups, keras_uses_bias(l)));
}

void keras_depthwise(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    window w;
    if (!read_kernel(k, l, dims, &w) || !read_window(k, l, dims, &w)) return;
    int64_t in = channels_in(k, keras_in(c), &w, dims), times = keras_size(k, l, "depth_multiplier", 1);
    if (in < 1) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    if (times > INT32_MAX / in) keras_fail(k, l, PG_E_GRAPH, "its depth_multiplier is out of range");
    else
        finish(k, c, convolve(k, l, keras_in(c), &w, dims, "depthwise_kernel", in, in * times, in, keras_uses_bias(l)));
}

void keras_separable(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    window w, one = {.size = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    if (!read_kernel(k, l, dims, &w) || !read_window(k, l, dims, &w)) return;
    one.first = w.first;
    int64_t in = channels_in(k, keras_in(c), &w, dims), times = keras_size(k, l, "depth_multiplier", 1);
    if (in < 1) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    if (times > INT32_MAX / in) {
        keras_fail(k, l, PG_E_GRAPH, "its depth_multiplier is out of range");
        return;
    }
    uint32_t x = convolve(k, l, keras_in(c), &w, dims, "depthwise_kernel", in, in * times, in, false);
    finish(k, c,
           convolve(k, l, x, &one, dims, "pointwise_kernel", in * times, filters_of(k, l), 1, keras_uses_bias(l)));
}

/* Keras gives (in - 1) * stride + kernel and at least in * stride where nothing is padded; in * stride where it is. */
void keras_conv_transpose(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    window w;
    int64_t extra[SPATIAL] = {0}, pads[2 * SPATIAL] = {0};
    if (!read_kernel(k, l, dims, &w) || !read_window(k, l, dims, &w)) return;
    const json_t *padding = json_object_get(l->config, "output_padding");
    bool given = padding && !json_is_null(padding);
    int n_extra = given ? keras_ints(padding, dims, extra) : 0;
    for (int i = 0; n_extra == 1 && i < dims; i++) extra[i] = extra[0];
    int64_t in = channels_in(k, keras_in(c), &w, dims), out = filters_of(k, l);
    if (in < 1) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    int64_t shape[SPATIAL + 2] = {in, out};
    memcpy(shape + 2, w.size, (size_t)dims * sizeof *shape);
    uint32_t operands[3] = {keras_in(c), keras_weight(k, l, "kernel", dims + 2, shape)};
    if (keras_uses_bias(l)) operands[2] = keras_weight(k, l, "bias", 1, &out);
    uint32_t y = keras_op(k, l, OP_ConvTranspose, operands, keras_uses_bias(l) ? 3 : 2);
    bool same = w.same;
    for (int i = 0; i < dims; i++) {
        if (given && same) pads[i] = pads[dims + i] = w.size[i] / 2;
        if (!given && !same && w.stride[i] > w.size[i]) extra[i] = w.stride[i] - w.size[i];
        if (extra[i] < 0 || extra[i] > INT32_MAX) keras_fail(k, l, PG_E_GRAPH, "its output_padding is out of range");
    }
    w.same = same && !given;
    w.causal = false;
    set_window(k, &w, dims, true);
    if (given && same) keras_list_attr(k, ATTR_pads, pads, 2 * dims);
    if (!w.same) keras_list_attr(k, ATTR_output_padding, extra, dims);
    finish(k, c, y);
}

/* ---- pooling ---- */

static void pool(keras *k, keras_call *c, int dims, op_kind kind)
{
    keras_layer *l = c->l;
    window w;
    const char *size = json_object_get(l->config, "pool_size") ? "pool_size" : "pool_length";
    bool strided = !json_is_null(json_object_get(l->config, "strides")) && json_object_get(l->config, "strides");
    if (!read_window(k, l, dims, &w) || !keras_sizes(k, l, size, dims, 2, w.size)) return;
    if (!strided && !json_object_get(l->config, "stride")) memcpy(w.stride, w.size, sizeof w.stride);
    uint32_t y = keras_op1(k, l, kind, keras_in(c));
    set_window(k, &w, dims, true);
    keras_give(k, &c->out, y);
}

void keras_max_pool(keras *k, keras_call *c, int dims)
{
    pool(k, c, dims, OP_MaxPool);
}

void keras_average_pool(keras *k, keras_call *c, int dims)
{
    pool(k, c, dims, OP_AveragePool);
}

static void global_pool(keras *k, keras_call *c, int dims, op_kind kind)
{
    int64_t axes[SPATIAL];
    for (int i = 0; i < dims; i++) axes[i] = i + (keras_channels_first(c->l) ? 2 : 1);
    keras_give(k, &c->out,
               keras_reduce(k, c->l, kind, keras_in(c), axes, dims, json_get_bool(c->l->config, "keepdims", false)));
}

void keras_global_max_pool(keras *k, keras_call *c, int dims)
{
    global_pool(k, c, dims, OP_ReduceMax);
}

void keras_global_average_pool(keras *k, keras_call *c, int dims)
{
    global_pool(k, c, dims, OP_ReduceMean);
}

void keras_adaptive_pool(keras *k, keras_call *c, int dims)
{
    int64_t size[SPATIAL];
    if (!keras_sizes(k, c->l, "output_size", dims, 0, size)) return;
    uint32_t y = keras_op1(k, c->l, OP_AdaptiveAveragePool, keras_in(c));
    keras_list_attr(k, ATTR_output_shape, size, dims);
    keras_last(k, !keras_channels_first(c->l));
    keras_give(k, &c->out, y);
}

/* ---- sizes of images ---- */

static uint32_t resize(keras *k, const keras_layer *l, uint32_t x, const double *scales, int rank, const char *mode)
{
    uint32_t y = keras_op1(k, l, OP_Resize, x);
    if (!k->failed) keras_must(k, graph_attr_floats(k->g, ATTR_scales, scales, (uint32_t)rank));
    keras_text(k, ATTR_mode, mode);
    return y;
}

static const char *mode_of(const keras_layer *l)
{
    const char *given = json_get_text(l->config, "interpolation", "nearest");
    return !strcmp(given, "nearest") ? "nearest" : strstr(given, "cubic") ? "cubic" : "linear";
}

void keras_upsample(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    int64_t size[SPATIAL];
    double scales[SPATIAL + 2];
    const char *key = json_object_get(l->config, "size") ? "size" : "length";
    bool first = keras_channels_first(l);
    if (!keras_sizes(k, l, key, dims, 2, size)) return;
    for (int i = 0; i < dims + 2; i++) scales[i] = 1;
    for (int i = 0; i < dims; i++) scales[i + (first ? 2 : 1)] = (double)size[i];
    uint32_t y = resize(k, l, keras_in(c), scales, dims + 2, mode_of(l));
    keras_last(k, !first);
    keras_give(k, &c->out, y);
}

/* Preprocessing: to a height and a width. */
void keras_resize(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int rank = keras_rank(k, x), at = keras_channels_first(l) ? rank - 2 : rank - 3;
    int64_t size[2] = {keras_size(k, l, "height", 0), keras_size(k, l, "width", 0)}, sizes[4];
    (void)variant;
    if (rank < 3 || rank > 4 || at < 0) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    if (keras_dim(k, x, at) == size[0] && keras_dim(k, x, at + 1) == size[1]) {
        keras_give(k, &c->out, x);
        return;
    }
    uint32_t to = k->failed ? NO_TENSOR : graph_add_ints(k->g, STR("size"), 1, size, 2);
    if (k->failed || !keras_must(k, to != NO_TENSOR)) return;
    sizes[0] = at;
    sizes[1] = at + 1;
    uint32_t y = keras_op(k, l, OP_Resize, (uint32_t[]){x, NO_TENSOR, NO_TENSOR, to}, 4);
    keras_list_attr(k, ATTR_axes, sizes, 2);
    keras_text(k, ATTR_mode, json_object_get(l->config, "interpolation") ? mode_of(l) : "linear");
    keras_last(k, !keras_channels_first(l));
    keras_give(k, &c->out, y);
}

/* The middle of the image; what is smaller is resized first, which only the file's own sizes could tell. */
void keras_center_crop(keras *k, keras_call *c, int variant)
{
    keras_layer *l = c->l;
    uint32_t x = keras_in(c);
    int rank = keras_rank(k, x), at = keras_channels_first(l) ? rank - 2 : rank - 3;
    int64_t size[2] = {keras_size(k, l, "height", 0), keras_size(k, l, "width", 0)};
    (void)variant;
    if (rank < 3 || at < 0) {
        keras_unknown(k, c, NO_TENSOR);
        return;
    }
    uint32_t y = keras_op1(k, l, OP_Slice, x);
    keras_list_attr(k, ATTR_starts, (int64_t[]){0, 0}, 2);
    keras_list_attr(k, ATTR_ends, size, 2);
    keras_list_attr(k, ATTR_axes, (int64_t[]){at, at + 1}, 2);
    keras_give(k, &c->out, y);
}

/* Pairs of numbers, before and after, of each spatial dim: n, [a, b] or [[a, b], [c, d]]. */
static bool read_pairs(keras *k, const keras_layer *l, const char *key, int dims, int64_t (*pairs)[2])
{
    const json_t *v = json_object_get(l->config, key);
    if (json_is_object(v)) v = json_object_get(v, "items");
    int64_t flat[2 * SPATIAL];
    int n = !v ? 1 : keras_ints(v, 2 * SPATIAL, flat);
    if (!v) flat[0] = 1;
    bool ok = json_array_size(v) == (size_t)dims || n == 1 || (dims == 1 && n == 2) || n == 2 * dims;
    for (int i = 0; ok && i < dims; i++) {
        const json_t *pair = json_array_get(v, (size_t)i);
        if (n == 1) pairs[i][0] = pairs[i][1] = flat[0];
        else if (dims == 1 && n == 2) memcpy(pairs[0], flat, sizeof pairs[0]);
        else if (n == 2 * dims) memcpy(pairs[i], flat + 2 * i, sizeof pairs[i]); /* Keras 1: top, bottom, left, right */
        else if (n == dims) pairs[i][0] = pairs[i][1] = flat[i];
        else ok = keras_ints(pair, 2, pairs[i]) == 2;
        for (int side = 0; ok && side < 2; side++) ok = pairs[i][side] >= 0 && pairs[i][side] <= INT32_MAX;
    }
    if (!ok) keras_fail(k, l, PG_E_GRAPH, "its %s should be pairs of numbers from 0 to 2147483647", key);
    return ok;
}

void keras_zero_pad(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    int64_t pairs[SPATIAL][2], pads[2 * (SPATIAL + 2)] = {0};
    int at = keras_channels_first(l) ? 2 : 1;
    if (!read_pairs(k, l, "padding", dims, pairs)) return;
    for (int i = 0; i < dims; i++) {
        pads[at + i] = pairs[i][0];
        pads[dims + 2 + at + i] = pairs[i][1];
    }
    uint32_t y = keras_op1(k, l, OP_Pad, keras_in(c));
    keras_list_attr(k, ATTR_pads, pads, 2 * (dims + 2));
    keras_give(k, &c->out, y);
}

void keras_crop(keras *k, keras_call *c, int dims)
{
    keras_layer *l = c->l;
    int64_t pairs[SPATIAL][2], starts[SPATIAL], ends[SPATIAL], axes[SPATIAL];
    if (!read_pairs(k, l, "cropping", dims, pairs)) return;
    for (int i = 0; i < dims; i++) {
        axes[i] = i + (keras_channels_first(l) ? 2 : 1);
        starts[i] = pairs[i][0];
        ends[i] = pairs[i][1] ? -pairs[i][1] : INT64_MAX;
    }
    uint32_t y = keras_op1(k, l, OP_Slice, keras_in(c));
    keras_list_attr(k, ATTR_starts, starts, dims);
    keras_list_attr(k, ATTR_ends, ends, dims);
    keras_list_attr(k, ATTR_axes, axes, dims);
    keras_give(k, &c->out, y);
}
