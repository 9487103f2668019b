/* Segmentation on dilated ResNets, as in torchvision: DeepLabV3 (Chen 2017) and FCN (Long 2014), both with their
 * auxiliary head, which torchvision's trained models run at inference too. */
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

enum { CLASSES = 21, STRIDE = 8 };

typedef struct dilated_dims {
    nn_resnet trunk;
    bool pyramid; /* DeepLabV3's, with holes of several sizes */
} dilated_dims;

static nn_val fcn_head(nn *n, nn_val x)
{
    x = nn_conv_bn(n, x, "0", (nn_conv2d){.out = x.c / 4, .k = 3, .pad = 1}, OP_Relu);
    return nn_conv(n, x, "predictor", (nn_conv2d){.out = CLASSES, .k = 1, .bias = true});
}

static nn_val deeplab_head(nn *n, nn_val x)
{
    static const char *const name[4] = {"aspp.0", "aspp.1", "aspp.2", "aspp.3"};
    nn_val part[5];
    for (int i = 0; i < 4; i++) {
        nn_conv2d s = {.out = 256, .k = i ? 3 : 1, .pad = 12 * i, .dilation = 12 * i};
        part[i] = nn_conv_bn(n, x, name[i], s, OP_Relu);
    }
    part[4] = nn_op1(n, OP_GlobalAveragePool, "aspp.4.pool", x);
    part[4] = nn_conv_bn(n, part[4], "aspp.4", (nn_conv2d){.out = 256, .k = 1}, OP_Relu);
    part[4] = nn_resize(n, part[4], "aspp.4.up", (int)(n->image / STRIDE), "linear");
    x = nn_conv_bn(n, nn_concat(n, part, 5, 1, "aspp.concat"), "aspp.project", (nn_conv2d){.out = 256, .k = 1},
                   OP_Relu);
    x = nn_conv_bn(n, x, "1", (nn_conv2d){.out = 256, .k = 3, .pad = 1}, OP_Relu);
    return nn_conv(n, x, "predictor", (nn_conv2d){.out = CLASSES, .k = 1, .bias = true});
}

static void build(nn *n, const void *dims)
{
    const dilated_dims *d = dims;
    nn_val stages[4];
    nn_resnet_cut cut = {.stages = 4, .flat_from = 3, .dilate = true};
    nn_resnet_features(n, nn_image_input(n, "input", 3), &d->trunk, cut, stages);
    size_t mark = nn_push(n, "classifier");
    nn_val x = d->pyramid ? deeplab_head(n, stages[3]) : fcn_head(n, stages[3]);
    nn_pop(n, mark);
    nn_output(n, nn_resize(n, x, "up", STRIDE, "linear"), "out");
    mark = nn_push(n, "aux_classifier");
    x = fcn_head(n, stages[2]);
    nn_pop(n, mark);
    nn_output(n, nn_resize(n, x, "aux_up", STRIDE, "linear"), "aux");
}

#define ROW(nm, alias, text, params, ...)                                                                    \
    {                                                                                                        \
        .name = nm, .aliases = alias, .family = "segmentation", .description = text, .parameters = params,   \
        .source = ZOO_TORCHVISION, .image_size = 520, .image_min = 64, .image_step = STRIDE, .build = build, \
        .dims = ZOO_DIMS(dilated_dims, __VA_ARGS__)                                                          \
    }

static const zoo_entry rows[] = {
    ROW("deeplabv3_resnet50", "deeplabv3", "DeepLabV3 on ResNet-50, 21 classes", 42004074,
        {{{3, 4, 6, 3}, true, 0, 0, 0}, true}),
    ROW("deeplabv3_resnet101", "", "DeepLabV3 on ResNet-101, 21 classes", 60996202,
        {{{3, 4, 23, 3}, true, 0, 0, 0}, true}),
    ROW("fcn_resnet50", "fcn", "FCN on ResNet-50, 21 classes", 35322218, {{{3, 4, 6, 3}, true, 0, 0, 0}, false}),
    ROW("fcn_resnet101", "", "FCN on ResNet-101, 21 classes", 54314346, {{{3, 4, 23, 3}, true, 0, 0, 0}, false}),
};

const zoo_table zoo_segment_dilated = ZOO_TABLE(rows);
