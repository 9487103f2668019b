/* EfficientDet (Tan 2019): EfficientNet, repeated pyramids in both directions with weighted sums, and separable heads
 * that all levels share but for their batch normalisations. */
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

enum { LEVELS = 5, CLASSES = 90, ANCHORS = 9, IMAGE_CALLS = 30 /* its classes together (batched_nms) */ };

typedef struct efficientdet_dims {
    double width, depth; /* of the EfficientNet */
    int64_t channels;
    int cells, layers; /* pyramids; convolutions of each head before its predictor */
} efficientdet_dims;

static nn_val resample(nn *n, nn_val x, const char *layer, int64_t out)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_batch_norm(n, nn_conv(n, x, "conv", (nn_conv2d){.out = out, .k = 1, .bias = true}), "bn");
    nn_pop(n, mark);
    return x;
}

/* Weights that are kept positive and add up to one; Swish, a separable convolution and batch normalisation follow. */
static nn_val node(nn *n, const nn_val *in, int count, const char *layer)
{
    static const char *const pick[3] = {"weight0", "weight1", "weight2"}, *const mul[3] = {"mul0", "mul1", "mul2"};
    size_t mark = nn_push(n, "%s", layer);
    nn_val w = {nn_weight(n, "edge_weights", "", 1, (int64_t[]){count}), count}, x = NN_ABSENT;
    w = nn_op1(n, OP_Relu, "weights.relu", w);
    nn_val sum = nn_op1(n, OP_ReduceSum, "weights.sum", w);
    nn_attr(n, ATTR_keepdims, 1);
    w = nn_op2(n, OP_Div, "weights.div", w, sum.t);
    for (int i = 0; i < count; i++) {
        nn_val term = nn_mul(n, in[i], nn_pick(n, w, pick[i], 0, i), mul[i]);
        x = i ? nn_add(n, x, term, i == 1 ? "add1" : "add2") : term;
    }
    int64_t c = x.c;
    x = nn_op1(n, OP_Silu, "act", x);
    x = nn_conv(n, x, "depthwise", (nn_conv2d){.out = c, .k = 3, .pad = 1, .groups = c});
    x = nn_batch_norm(n, nn_conv(n, x, "pointwise", (nn_conv2d){.out = c, .k = 1, .bias = true}), "bn");
    nn_pop(n, mark);
    return x;
}

/* From the smallest map down, then from the largest up. */
static void cell(nn *n, nn_val *p, const nn_val *second)
{
    static const char *const down[LEVELS] = {"down3", "down4", "down5", "down6", "down7"},
                             *const up[LEVELS] = {"up3", "up4", "up5", "up6", "up7"},
                             *const larger[LEVELS] = {"larger3", "larger4", "larger5", "larger6", "larger7"},
                             *const smaller[LEVELS] = {"smaller3", "smaller4", "smaller5", "smaller6", "smaller7"};
    nn_val mid[LEVELS];
    mid[LEVELS - 1] = p[LEVELS - 1];
    for (int l = LEVELS - 2; l >= 0; l--) {
        nn_val above = nn_resize(n, mid[l + 1], larger[l], 2, "nearest");
        mid[l] = node(n, (nn_val[]){p[l], above}, 2, down[l]);
    }
    nn_val below = p[0] = mid[0];
    for (int l = 1; l < LEVELS; l++) {
        nn_val pooled = nn_pool(n, below, OP_MaxPool, smaller[l], 3, 2, 1);
        nn_val in[3] = {second[l].t == NO_TENSOR ? p[l] : second[l], mid[l], pooled};
        if (l == LEVELS - 1) in[1] = pooled; /* the smallest map has no node of its own on the way down */
        below = p[l] = node(n, in, l == LEVELS - 1 ? 2 : 3, up[l]);
    }
}

static nn_val head(nn *n, const nn_val *maps, const char *kind, int layers, int64_t each)
{
    static const char *const deep[5] = {"deep0", "deep1", "deep2", "deep3", "deep4"},
                             *const point[5] = {"point0", "point1", "point2", "point3", "point4"},
                             *const bn[5] = {"bn0", "bn1", "bn2", "bn3", "bn4"},
                             *const act[5] = {"a0", "a1", "a2", "a3", "a4"};
    nn_shared_conv depthwise[5], pointwise[5];
    nn_val out[LEVELS];
    int64_t c = maps[0].c;
    size_t scope = nn_push(n, "%s", kind);
    for (int i = 0; i <= layers; i++) {
        int64_t wide = i < layers ? c : ANCHORS * each;
        depthwise[i] = nn_shared_conv_make(n, deep[i], c, (nn_conv2d){.out = c, .k = 3, .pad = 1, .groups = c});
        pointwise[i] = nn_shared_conv_make(n, point[i], c, (nn_conv2d){.out = wide, .k = 1, .bias = true});
    }
    for (int l = 0; l < LEVELS; l++) {
        size_t mark = nn_push(n, "p%d", l + 3);
        nn_val x = maps[l];
        for (int i = 0; i <= layers; i++) {
            x = nn_shared_conv_use(n, nn_shared_conv_use(n, x, deep[i], &depthwise[i]), point[i], &pointwise[i]);
            if (i < layers) x = nn_op1(n, OP_Silu, act[i], nn_batch_norm(n, x, bn[i]));
        }
        out[l] = nn_boxes_view(n, x, "view", each);
        nn_pop(n, mark);
    }
    nn_val all = nn_concat(n, out, LEVELS, 1, "concat");
    nn_pop(n, scope);
    all.c = each;
    return all;
}

static void build(nn *n, const void *dims)
{
    const efficientdet_dims *d = dims;
    static const char *const first[3] = {"p3.resample", "p4.resample", "p5.resample"}, *const again[3] = {
                                                                                           "", "p4.resample2",
                                                                                           "p5.resample2"};
    nn_val maps[5], p[LEVELS], second[LEVELS];
    nn_efficientnet_features(n, nn_image_input(n, "input", 3), d->width, d->depth, maps);
    for (int l = 0; l < LEVELS; l++) second[l] = NN_ABSENT;
    for (int l = 0; l < 3; l++) p[l] = resample(n, maps[l + 2], first[l], d->channels);
    for (int l = 1; l < 3; l++) second[l] = resample(n, maps[l + 2], again[l], d->channels);
    p[3] = nn_pool(n, resample(n, maps[4], "p6.resample", d->channels), OP_MaxPool, "p6.pool", 3, 2, 1);
    p[4] = nn_pool(n, p[3], OP_MaxPool, "p7.pool", 3, 2, 1);
    for (int i = 0; i < d->cells; i++) {
        size_t mark = nn_push(n, "bifpn.%d", i);
        cell(n, p, second);
        for (int l = 0; l < LEVELS; l++) second[l] = NN_ABSENT;
        nn_pop(n, mark);
    }
    nn_val scores = head(n, p, "class_net", d->layers, CLASSES), boxes = head(n, p, "box_net", d->layers, 4);
    nn_output_detections(n, boxes, nn_op1(n, OP_Sigmoid, "sigmoid", scores), (nn_suppression){100, IMAGE_CALLS});
}

#define PAPER "https://arxiv.org/abs/1911.09070"
#define ROW(nm, alias, text, params, size, ...)                                                         \
    {                                                                                                   \
        .name = nm, .aliases = alias, .family = "detection", .description = text, .parameters = params, \
        .source = PAPER, .image_size = size, .image_min = 128, .image_step = 128, .build = build,       \
        .dims = ZOO_DIMS(efficientdet_dims, __VA_ARGS__)                                                \
    }

static const zoo_entry rows[] = {
    ROW("efficientdet_d0", "efficientdet tf_efficientdet_d0", "EfficientDet-D0", 3880000, 512, {1.0, 1.0, 64, 3, 3}),
    ROW("efficientdet_d1", "tf_efficientdet_d1", "EfficientDet-D1", 6620000, 640, {1.0, 1.1, 88, 4, 3}),
    ROW("efficientdet_d2", "tf_efficientdet_d2", "EfficientDet-D2", 8090000, 768, {1.1, 1.2, 112, 5, 3}),
    ROW("efficientdet_d3", "tf_efficientdet_d3", "EfficientDet-D3", 12020000, 896, {1.2, 1.4, 160, 6, 4}),
    ROW("efficientdet_d4", "tf_efficientdet_d4", "EfficientDet-D4", 20720000, 1024, {1.4, 1.8, 224, 7, 4}),
};

const zoo_table zoo_detect_efficientdet = ZOO_TABLE(rows);
