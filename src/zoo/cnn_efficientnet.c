/* EfficientNet B0 to B7 (Tan 2019): one network, scaled in width, depth and resolution. Sizes are torchvision's. */
#include "zoo/nn_mobile.h"
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

typedef struct efficientnet_dims {
    double width, depth;
} efficientnet_dims;

void nn_efficientnet_features(nn *n, nn_val x, double width, double depth, nn_val out[5])
{
    static const struct {
        int expand, k, stride, out, blocks;
    } stages[7] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
                   {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};
    int level = 0;
    x = nn_conv_bn(n, x, "stem", (nn_conv2d){.out = nn_divisible(32 * width, 8), .k = 3, .stride = 2, .pad = 1},
                   OP_Silu);
    for (int s = 0; s < 7; s++) {
        int blocks = (int)ceil(stages[s].blocks * depth);
        for (int b = 0; b < blocks; b++) {
            size_t mark = nn_push(n, "features.%d.%d", s + 1, b);
            nn_inverted r = {.k = stages[s].k, .stride = b ? 1 : stages[s].stride, .act = OP_Silu, .gate = OP_Sigmoid};
            r.hidden = x.c * stages[s].expand;
            r.out = nn_divisible(stages[s].out * width, 8);
            r.squeezed = x.c / 4;
            x = nn_inverted_residual(n, x, r);
            nn_pop(n, mark);
        }
        level += stages[s].stride - 1;
        out[level] = x;
    }
}

static void build(nn *n, const void *dims)
{
    const efficientnet_dims *d = dims;
    nn_val maps[5];
    nn_efficientnet_features(n, nn_image_input(n, "input", 3), d->width, d->depth, maps);
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

static const zoo_entry rows[] = {
    ROW("b0", " efficientnet", 5288548, 224, {1.0, 1.0}),
    ROW("b1", "", 7794184, 240, {1.0, 1.1}),
    ROW("b2", "", 9109994, 288, {1.1, 1.2}),
    ROW("b3", "", 12233232, 300, {1.2, 1.4}),
    ROW("b4", " efficientnet_quant_b4", 19341616, 380, {1.4, 1.8}),
    ROW("b5", "", 30389784, 456, {1.6, 2.2}),
    ROW("b6", "", 43040704, 528, {1.8, 2.6}),
    ROW("b7", "", 66347960, 600, {2.0, 3.1}),
};

const zoo_table zoo_efficientnet = ZOO_TABLE(rows);
