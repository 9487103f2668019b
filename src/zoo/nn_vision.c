#include "zoo/nn_vision.h"

/* ---- layers ---- */

nn_val nn_sized_input(nn *n, const char *name, int64_t channels, int spatial, const int64_t *sides)
{
    num dims[5] = {nn_symbol(n->batch), num_int(channels)};
    for (int i = 0; i < spatial; i++) dims[2 + i] = num_int(sides[i]);
    return nn_input(n, name, n->weights, 2 + spatial, dims, channels);
}

nn_val nn_resize(nn *n, nn_val x, const char *layer, int factor, const char *mode)
{
    size_t mark = nn_push(n, "%s", layer);
    uint32_t in[3] = {x.t, NO_TENSOR, NO_TENSOR};
    in[2] = nn_floats(n, "scales", (double[]){1, 1, factor, factor}, 4);
    nn_val y = nn_op(n, OP_Resize, "resize", in, 3, x.c);
    nn_attr_text(n, ATTR_mode, mode);
    nn_pop(n, mark);
    return y;
}

nn_val nn_instance_norm(nn *n, nn_val x, const char *layer)
{
    uint32_t in[3] = {x.t};
    in[1] = nn_weight(n, layer, ".weight", 1, &x.c);
    in[2] = nn_weight(n, layer, ".bias", 1, &x.c);
    return nn_op(n, OP_InstanceNormalization, layer, in, 3, x.c);
}

static nn_val conv3d(nn *n, op_kind kind, nn_val x, const char *layer, const nn_conv2d *s)
{
    bool up = kind == OP_ConvTranspose;
    int64_t stride = s->stride ? s->stride : 1, pad = s->pad;
    uint32_t in[3] = {x.t, NO_TENSOR, NO_TENSOR};
    in[1] = nn_weight(n, layer, ".weight", 5, (int64_t[]){up ? x.c : s->out, up ? s->out : x.c, s->k, s->k, s->k});
    if (s->bias) in[2] = nn_weight(n, layer, ".bias", 1, &s->out);
    nn_val y = nn_op(n, kind, layer, in, s->bias ? 3 : 2, s->out);
    nn_attr_ints(n, ATTR_kernel_shape, 3, (int64_t[]){s->k, s->k, s->k});
    nn_attr_ints(n, ATTR_strides, 3, (int64_t[]){stride, stride, stride});
    nn_attr_ints(n, ATTR_pads, 6, (int64_t[]){pad, pad, pad, pad, pad, pad});
    return y;
}

nn_val nn_conv3d(nn *n, nn_val x, const char *layer, nn_conv2d s)
{
    return conv3d(n, OP_Conv, x, layer, &s);
}

nn_val nn_conv_transpose3d(nn *n, nn_val x, const char *layer, nn_conv2d s)
{
    return conv3d(n, OP_ConvTranspose, x, layer, &s);
}

nn_shared_conv nn_shared_conv_make(nn *n, const char *layer, int64_t in, nn_conv2d s)
{
    nn_shared_conv c = {s, in, NO_TENSOR, NO_TENSOR};
    int64_t groups = s.groups ? s.groups : 1;
    c.weight = nn_weight(n, layer, ".weight", 4, (int64_t[]){s.out, in / groups, s.k, s.k});
    if (s.bias) c.bias = nn_weight(n, layer, ".bias", 1, &s.out);
    return c;
}

nn_val nn_shared_conv_use(nn *n, nn_val x, const char *layer, const nn_shared_conv *c)
{
    const nn_conv2d *s = &c->spec;
    int64_t stride = s->stride ? s->stride : 1;
    uint32_t in[3] = {x.t, c->weight, c->bias};
    nn_val y = nn_op(n, OP_Conv, layer, in, s->bias ? 3 : 2, s->out);
    nn_attr_ints(n, ATTR_kernel_shape, 2, (int64_t[]){s->k, s->k});
    nn_attr_ints(n, ATTR_strides, 2, (int64_t[]){stride, stride});
    nn_attr_ints(n, ATTR_pads, 4, (int64_t[]){s->pad, s->pad, s->pad, s->pad});
    if (s->groups > 1) nn_attr(n, ATTR_group, s->groups);
    return y;
}

/* ---- boxes ---- */

nn_val nn_boxes_view(nn *n, nn_val x, const char *layer, int64_t each)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_transpose(n, x, "transpose", 4, (int64_t[]){0, 2, 3, 1});
    x = nn_reshape(n, x, "reshape", 3, (int64_t[]){0, -1, each}, each);
    nn_pop(n, mark);
    return x;
}

static void suppress(nn *n, nn_val boxes, nn_val scores, const char *layer, nn_suppression s, uint32_t out[4])
{
    nn_emit(n, OP_EfficientNMS_TRT, layer, (uint32_t[]){boxes.t, scores.t}, 2, out, 4);
    nn_attr(n, ATTR_max_output_boxes, s.most);
    nn_attr(n, ATTR_calls_per_image, s.calls);
}

nn_val nn_suppress(nn *n, nn_val boxes, nn_val scores, const char *layer, nn_suppression s)
{
    uint32_t out[4];
    suppress(n, boxes, scores, layer, s, out);
    return (nn_val){out[1], 4};
}

void nn_output_detections(nn *n, nn_val boxes, nn_val scores, nn_suppression s)
{
    uint32_t out[4];
    suppress(n, boxes, scores, "nms", s, out);
    nn_output(n, (nn_val){out[1], 4}, "detection_boxes");
    nn_output(n, (nn_val){out[2], s.most}, "detection_scores");
}

void nn_feature_pyramid(nn *n, nn_val *maps, int count, int64_t width, bool smooth_top)
{
    static const char *const inner[4] = {"inner_blocks.0", "inner_blocks.1", "inner_blocks.2", "inner_blocks.3"},
                             *const outer[4] = {"layer_blocks.0", "layer_blocks.1", "layer_blocks.2", "layer_blocks.3"},
                             *const up[4] = {"up.0", "up.1", "up.2", "up.3"},
                             *const add[4] = {"add.0", "add.1", "add.2", "add.3"};
    size_t mark = nn_push(n, "fpn");
    nn_val last = NN_ABSENT;
    for (int i = count - 1; i >= 0; i--) {
        nn_val lateral = nn_conv(n, maps[i], inner[i], (nn_conv2d){.out = width, .k = 1, .bias = true});
        if (i < count - 1) lateral = nn_add(n, lateral, nn_resize(n, last, up[i], 2, "nearest"), add[i]);
        last = lateral;
        nn_conv2d smooth = {.out = width, .k = 3, .pad = 1, .bias = true};
        maps[i] = i < count - 1 || smooth_top ? nn_conv(n, last, outer[i], smooth) : last;
    }
    nn_pop(n, mark);
}
