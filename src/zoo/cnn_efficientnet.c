/* EfficientNet B0 to B7 (Tan 2019): one network, scaled in width, depth and resolution. Sizes are torchvision's.
 * NVIDIA's "wide SE" squeezes to a quarter of the expanded channels, not of the block's input. */
#include "zoo/nn_mobile.h"
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

typedef struct efficientnet_dims {
    double width, depth;
    bool wide_se;
} efficientnet_dims;

static void features(nn *n, nn_val x, const efficientnet_dims *d, nn_val out[5])
{
    static const struct {
        int expand, k, stride, out, blocks;
    } stages[7] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
                   {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};
    int level = 0;
    x = nn_conv_bn(n, x, "stem", (nn_conv2d){.out = nn_divisible(32 * d->width, 8), .k = 3, .stride = 2, .pad = 1},
                   OP_Silu);
    for (int s = 0; s < 7; s++) {
        int blocks = (int)ceil(stages[s].blocks * d->depth);
        for (int b = 0; b < blocks; b++) {
            size_t mark = nn_push(n, "features.%d.%d", s + 1, b);
            nn_inverted r = {.k = stages[s].k, .stride = b ? 1 : stages[s].stride, .act = OP_Silu, .gate = OP_Sigmoid};
            r.hidden = x.c * stages[s].expand;
            r.out = nn_divisible(stages[s].out * d->width, 8);
            r.squeezed = (d->wide_se ? r.hidden : x.c) / 4;
            x = nn_inverted_residual(n, x, r);
            nn_pop(n, mark);
        }
        level += stages[s].stride - 1;
        out[level] = x;
    }
}

void nn_efficientnet_features(nn *n, nn_val x, double width, double depth, nn_val out[5])
{
    features(n, x, &(efficientnet_dims){width, depth, false}, out);
}

static void build(nn *n, const void *dims)
{
    const efficientnet_dims *d = dims;
    nn_val maps[5];
    features(n, nn_image_input(n, "input", 3), d, maps);
    nn_val x = nn_conv_bn(n, maps[4], "head", (nn_conv2d){.out = 4 * maps[4].c, .k = 1}, OP_Silu);
    x = nn_global_pool(n, x, "avgpool");
    nn_output(n, nn_fc(n, x, "classifier", 1000), "output");
}

#define ROW(b, alias, params, size, ...)                                                                       \
    {                                                                                                          \
        .name = "efficientnet_" b, .aliases = "google/efficientnet-" b alias, .family = "cnn",                 \
        .description = "EfficientNet " b, .parameters = params, .source = ZOO_TORCHVISION, .image_size = size, \
        .image_min = 32, .image_step = 1, .build = build, .dims = ZOO_DIMS(efficientnet_dims, __VA_ARGS__)     \
    }

#define WIDE_SE(b, params, size, ...)                                                                           \
    {                                                                                                           \
        .name = "efficientnet_widese_" b, .aliases = "", .family = "cnn",                                       \
        .description = "EfficientNet " b " with wide squeeze and excitation", .parameters = params,             \
        .source = "https://github.com/NVIDIA/DeepLearningExamples/tree/master/PyTorch/Classification/ConvNets", \
        .image_size = size, .image_min = 32, .image_step = 1, .build = build,                                   \
        .dims = ZOO_DIMS(efficientnet_dims, __VA_ARGS__)                                                        \
    }

static const zoo_entry rows[] = {
    ROW("b0", " efficientnet", 5288548, 224, {1.0, 1.0, false}),
    ROW("b1", "", 7794184, 240, {1.0, 1.1, false}),
    ROW("b2", "", 9109994, 288, {1.1, 1.2, false}),
    ROW("b3", "", 12233232, 300, {1.2, 1.4, false}),
    ROW("b4", " efficientnet_quant_b4", 19341616, 380, {1.4, 1.8, false}),
    ROW("b5", "", 30389784, 456, {1.6, 2.2, false}),
    ROW("b6", "", 43040704, 528, {1.8, 2.6, false}),
    ROW("b7", "", 66347960, 600, {2.0, 3.1, false}),
    WIDE_SE("b0", 8420000, 224, {1.0, 1.0, true}),
    WIDE_SE("b4", 34930000, 380, {1.4, 1.8, true}),
};

const zoo_table zoo_efficientnet = ZOO_TABLE(rows);
