/* EfficientNetV2 (Tan 2021), as in torchvision: the first stages fuse the expansion with the depthwise convolution. */
#include "zoo/nn_mobile.h"
#include "zoo/tables.h"

typedef struct v2_stage {
    bool fused;
    int expand, stride, out, blocks;
} v2_stage;

typedef struct v2_dims {
    int stem, stages;
    v2_stage stage[7];
} v2_dims;

static nn_val fused(nn *n, nn_val x, int expand, int64_t out, int stride)
{
    nn_conv2d s = {.out = expand > 1 ? x.c * expand : out, .k = 3, .stride = stride, .pad = 1};
    nn_val y = nn_conv_bn(n, x, "fused", s, OP_Silu);
    if (expand > 1) y = nn_conv_bn(n, y, "project", (nn_conv2d){.out = out, .k = 1}, NN_NO_ACT);
    return stride == 1 && x.c == out ? nn_add(n, x, y, "add") : y;
}

static void build(nn *n, const void *dims)
{
    const v2_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv_bn(n, x, "stem", (nn_conv2d){.out = d->stem, .k = 3, .stride = 2, .pad = 1}, OP_Silu);
    for (int s = 0; s < d->stages; s++) {
        const v2_stage *st = &d->stage[s];
        for (int b = 0; b < st->blocks; b++) {
            size_t mark = nn_push(n, "features.%d.%d", s + 1, b);
            nn_inverted r = {.k = 3, .stride = b ? 1 : st->stride, .out = st->out, .act = OP_Silu, .gate = OP_Sigmoid};
            r.hidden = x.c * st->expand;
            r.squeezed = x.c / 4;
            x = st->fused ? fused(n, x, st->expand, st->out, r.stride) : nn_inverted_residual(n, x, r);
            nn_pop(n, mark);
        }
    }
    x = nn_conv_bn(n, x, "head", (nn_conv2d){.out = 1280, .k = 1}, OP_Silu);
    nn_output(n, nn_fc(n, nn_global_pool(n, x, "avgpool"), "classifier", 1000), "output");
}

#define ROW(v, params, size, ...)                                                                                \
    {                                                                                                            \
        .name = "efficientnet_v2_" v, .aliases = "efficientnetv2_" v " tf_efficientnetv2_" v, .family = "cnn",   \
        .description = "EfficientNetV2 " v, .parameters = params, .source = ZOO_TORCHVISION, .image_size = size, \
        .image_min = 32, .image_step = 1, .build = build, .dims = ZOO_DIMS(v2_dims, __VA_ARGS__)                 \
    }

/* clang-format off: a table is read by its columns */
static const zoo_entry rows[] = {
    ROW("s", 21458488, 384,
        {24,
         6,
         {{true, 1, 1, 24, 2},
          {true, 4, 2, 48, 4},
          {true, 4, 2, 64, 4},
          {false, 4, 2, 128, 6},
          {false, 6, 1, 160, 9},
          {false, 6, 2, 256, 15}}}),
    ROW("m", 54139356, 480,
        {24,
         7,
         {{true, 1, 1, 24, 3},
          {true, 4, 2, 48, 5},
          {true, 4, 2, 80, 5},
          {false, 4, 2, 160, 7},
          {false, 6, 1, 176, 14},
          {false, 6, 2, 304, 18},
          {false, 6, 1, 512, 5}}}),
    ROW("l", 118515272, 480,
        {32,
         7,
         {{true, 1, 1, 32, 4},
          {true, 4, 2, 64, 7},
          {true, 4, 2, 96, 7},
          {false, 4, 2, 192, 10},
          {false, 6, 1, 224, 19},
          {false, 6, 2, 384, 25},
          {false, 6, 1, 640, 7}}}),
};
/* clang-format on */

const zoo_table zoo_efficientnet_v2 = ZOO_TABLE(rows);
