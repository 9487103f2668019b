/* SSD (Liu 2015): SSD300 on ResNet-50 as NVIDIA trains it and on VGG-16 as in torchvision, and SSD-ResNet-34 of MLPerf
 * Inference at 1200 pixels. */
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

enum { MAPS = 6, COCO = 81 /* with the background */ };

/* Operations for each class of an image, in NVIDIA's and in torchvision's code. */
enum { CLASS_CALLS = 8 };

static const nn_resnet resnet34 = {{3, 4, 6, 3}, false, 0, 0, 0}, resnet50 = {{3, 4, 6, 3}, true, 0, 0, 0};

typedef struct ssd_dims {
    const nn_resnet *trunk;
    int head_stride;
    bool norm;        /* the additional layers have batch normalisation, and no bias */
    int last_strided; /* additional maps up to this one (of 5) are half the size of the one before */
    int padded;       /* up to this one their 3x3 convolutions are padded */
    int64_t most;     /* boxes after suppression; 0: the model ends before it */
} ssd_dims;

/* One of the additional maps: 1x1, then 3x3. */
static nn_val additional(nn *n, nn_val x, int64_t narrow, nn_conv2d s, bool norm)
{
    if (norm) {
        x = nn_conv_bn(n, x, "reduce", (nn_conv2d){.out = narrow, .k = 1}, OP_Relu);
        return nn_conv_bn(n, x, "expand", s, OP_Relu);
    }
    s.bias = true;
    x = nn_conv(n, x, "reduce", (nn_conv2d){.out = narrow, .k = 1, .bias = true});
    return nn_op1(n, OP_Relu, "expand.act", nn_conv(n, nn_op1(n, OP_Relu, "reduce.act", x), "expand", s));
}

static nn_val head(nn *n, nn_val x, const char *kind, int map, nn_conv2d s, int64_t each)
{
    size_t mark = nn_push(n, "%s.%d", kind, map);
    x = nn_conv(n, x, "conv", s);
    x = nn_reshape(n, x, "reshape", 3, (int64_t[]){0, each, -1}, each);
    nn_pop(n, mark);
    return x;
}

static void build(nn *n, const void *dims)
{
    static const int64_t wide[5] = {512, 512, 256, 256, 256}, narrow[5] = {256, 256, 128, 128, 128};
    static const int anchors[MAPS] = {4, 6, 6, 6, 4, 4};
    const ssd_dims *d = dims;
    nn_val stages[4], maps[MAPS], boxes[MAPS], scores[MAPS];
    nn_resnet_cut cut = {.stages = 3, .flat_from = 3};
    nn_resnet_features(n, nn_image_input(n, "input", 3), d->trunk, cut, stages);
    maps[0] = stages[2];
    for (int i = 0; i < 5; i++) {
        size_t mark = nn_push(n, "additional_blocks.%d", i);
        nn_conv2d s = {.out = wide[i], .k = 3, .stride = i < d->last_strided ? 2 : 1, .pad = i < d->padded};
        maps[i + 1] = additional(n, maps[i], narrow[i], s, d->norm);
        nn_pop(n, mark);
    }
    for (int i = 0; i < MAPS; i++) {
        nn_conv2d s = {.out = anchors[i] * 4, .k = 3, .stride = d->head_stride, .pad = 1, .bias = true};
        boxes[i] = head(n, maps[i], "loc", i, s, 4);
        s.out = anchors[i] * COCO;
        scores[i] = head(n, maps[i], "conf", i, s, COCO);
    }
    nn_val b = nn_concat(n, boxes, MAPS, 2, "boxes"), c = nn_concat(n, scores, MAPS, 2, "scores");
    if (!d->most) {
        nn_output(n, b, "boxes");
        nn_output(n, c, "scores");
        return;
    }
    b = nn_transpose(n, b, "decode.transpose", 3, (int64_t[]){0, 2, 1});
    c = nn_transpose(n, c, "softmax.transpose", 3, (int64_t[]){0, 2, 1});
    c = nn_op1(n, OP_Softmax, "softmax", c);
    nn_attr(n, ATTR_axis, -1);
    nn_output_detections(n, b, c, (nn_suppression){d->most, CLASS_CALLS * (COCO - 1)});
}

/* ---- SSD300 on VGG-16 (the paper's, as in torchvision) ---- */

static nn_val conv_relu(nn *n, nn_val x, const char *layer, nn_conv2d s)
{
    size_t mark = nn_push(n, "%s", layer);
    s.bias = true;
    x = nn_op1(n, OP_Relu, "act", nn_conv(n, x, "conv", s));
    nn_pop(n, mark);
    return x;
}

static void vgg_features(nn *n, nn_val x, nn_val maps[2])
{
    static const int count[5] = {2, 2, 3, 3, 3};
    for (int stage = 0; stage < 5; stage++) {
        size_t mark = nn_push(n, "stage%d", stage);
        if (stage) x = nn_pool(n, x, OP_MaxPool, "pool", 2, 2, 0);
        if (stage == 3) nn_attr(n, ATTR_ceil_mode, 1);
        for (int i = 0; i < count[stage]; i++) {
            size_t inner = nn_push(n, "%d", i);
            x = conv_relu(n, x, "conv", (nn_conv2d){.out = stage < 4 ? (int64_t)64 << stage : 512, .k = 3, .pad = 1});
            nn_pop(n, inner);
        }
        if (stage == 3) maps[0] = x;
        nn_pop(n, mark);
    }
    x = nn_pool(n, x, OP_MaxPool, "pool5", 3, 1, 1);
    x = conv_relu(n, x, "fc6", (nn_conv2d){.out = 1024, .k = 3, .pad = 6, .dilation = 6});
    maps[1] = conv_relu(n, x, "fc7", (nn_conv2d){.out = 1024, .k = 1});
}

static void build_vgg(nn *n, const void *dims)
{
    enum { CLASSES = 91 };
    static const int64_t wide[4] = {512, 256, 256, 256}, narrow[4] = {256, 128, 128, 128};
    static const int anchors[MAPS] = {4, 6, 6, 6, 4, 4};
    nn_val maps[MAPS], boxes[MAPS], scores[MAPS];
    (void)dims;
    vgg_features(n, nn_image_input(n, "input", 3), maps);
    for (int i = 0; i < 4; i++) {
        size_t mark = nn_push(n, "extra.%d", i);
        nn_conv2d s = {.out = wide[i], .k = 3, .stride = i < 2 ? 2 : 1, .pad = i < 2};
        maps[i + 2] = conv_relu(n, conv_relu(n, maps[i + 1], "reduce", (nn_conv2d){.out = narrow[i], .k = 1}), "expand",
                                s);
        nn_pop(n, mark);
    }
    nn_val length = nn_op2(n, OP_ReduceL2, "norm.length", maps[0], nn_ints(n, "norm", ".axes", (int64_t[]){1}, 1));
    nn_attr(n, ATTR_keepdims, 1);
    maps[0] = nn_op2(n, OP_Div, "norm.div", maps[0], length.t);
    uint32_t scale = nn_weight(n, "norm.scale", "", 4, (int64_t[]){1, 512, 1, 1});
    maps[0] = nn_op2(n, OP_Mul, "norm.mul", maps[0], scale);
    for (int i = 0; i < MAPS; i++) {
        size_t mark = nn_push(n, "head.%d", i);
        nn_conv2d s = {.out = anchors[i] * 4, .k = 3, .pad = 1, .bias = true};
        boxes[i] = nn_boxes_view(n, nn_conv(n, maps[i], "regression", s), "regression.view", 4);
        s.out = anchors[i] * CLASSES;
        scores[i] = nn_boxes_view(n, nn_conv(n, maps[i], "classification", s), "classification.view", CLASSES);
        nn_pop(n, mark);
    }
    nn_val c = nn_op1(n, OP_Softmax, "softmax", nn_concat(n, scores, MAPS, 1, "scores"));
    nn_attr(n, ATTR_axis, -1);
    nn_output_detections(n, nn_concat(n, boxes, MAPS, 1, "boxes"), c,
                         (nn_suppression){200, CLASS_CALLS * (CLASSES - 1)});
}

#define ROW(nm, alias, text, params, src, size, smallest, ...)                                                         \
    {                                                                                                                  \
        .name = nm, .aliases = alias, .family = "detection", .description = text, .parameters = params, .source = src, \
        .image_size = size, .image_min = smallest, .image_step = 1, .build = build,                                    \
        .dims = ZOO_DIMS(ssd_dims, __VA_ARGS__)                                                                        \
    }

static const zoo_entry rows[] = {
    ROW("ssd300_resnet50", "ssd300 nvidia_ssd ssd300_resnet50_v1.1", "SSD300 v1.1 on ResNet-50 (before suppression)",
        22900000, "https://pytorch.org/hub/nvidia_deeplearningexamples_ssd/", 300, 260, {&resnet50, 1, true, 3, 3, 0}),
    {.name = "ssd300_vgg16",
     .aliases = "ssd300_vgg",
     .family = "detection",
     .description = "SSD300 on VGG-16, COCO",
     .parameters = 35641826,
     .source = ZOO_TORCHVISION,
     .image_size = 300,
     .image_min = 300,
     .image_step = 1,
     .build = build_vgg},
    /* Open Model Zoo counts 20.058 M with batch normalisation folded */
    ROW("ssd-resnet34-1200", "ssd-resnet34 ssd_resnet34_1200 ssd-large", "SSD-ResNet-34 of MLPerf Inference", 20058000,
        "https://docs.openvino.ai/2023.3/omz_models_model_ssd_resnet34_1200_onnx.html", 1200, 700,
        {&resnet34, 3, false, 4, 3, 200}),
};

const zoo_table zoo_detect_ssd = ZOO_TABLE(rows);
