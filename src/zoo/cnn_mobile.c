/* MobileNet v1 to v3 (Howard 2017, Sandler 2018, Howard 2019) and MnasNet (Tan 2018), as in torchvision; v1 as in
 * TensorFlow. */
#include "zoo/nn_mobile.h"
#include "zoo/tables.h"

int64_t nn_divisible(double width, int64_t by)
{
    int64_t w = (int64_t)(width + (double)by / 2) / by * by;
    if (w < by) w = by;
    return (double)w < 0.9 * width ? w + by : w;
}

nn_val nn_inverted_residual(nn *n, nn_val x, nn_inverted s)
{
    nn_val y = x;
    if (s.hidden != x.c) y = nn_conv_bn(n, y, "expand", (nn_conv2d){.out = s.hidden, .k = 1}, s.act);
    nn_conv2d depthwise = {.out = s.hidden, .k = s.k, .stride = s.stride, .pad = (s.k - 1) / 2, .groups = s.hidden};
    y = nn_conv_bn(n, y, "depthwise", depthwise, s.act);
    if (s.squeezed) y = nn_squeeze_excite(n, y, s.squeezed, s.act == OP_Silu ? OP_Silu : OP_Relu, s.gate);
    y = nn_conv_bn(n, y, "project", (nn_conv2d){.out = s.out, .k = 1}, NN_NO_ACT);
    return s.stride == 1 && x.c == s.out ? nn_add(n, x, y, "add") : y;
}

nn_val nn_mobilenet_v1_blocks(nn *n, nn_val x, int first, int last)
{
    static const int64_t out[13] = {64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024};
    for (int i = first; i <= last; i++) {
        size_t mark = nn_push(n, "conv%d", i);
        int stride = i == 2 || i == 4 || i == 6 || i == 12 ? 2 : 1;
        nn_conv2d depthwise = {.out = x.c, .k = 3, .stride = stride, .pad = 1, .groups = x.c};
        x = nn_conv_bn(n, x, "depthwise", depthwise, OP_Clip);
        x = nn_conv_bn(n, x, "pointwise", (nn_conv2d){.out = out[i - 1], .k = 1}, OP_Clip);
        nn_pop(n, mark);
    }
    return x;
}

static void build_v1(nn *n, const void *dims)
{
    (void)dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv_bn(n, x, "conv0", (nn_conv2d){.out = 32, .k = 3, .stride = 2, .pad = 1}, OP_Clip);
    x = nn_global_pool(n, nn_mobilenet_v1_blocks(n, x, 1, 13), "avgpool");
    nn_output(n, nn_fc(n, x, "classifier", 1000), "output");
}

/* A stage of equal blocks: the first one has the stride. */
typedef struct stage {
    int expand, k, out, blocks, stride;
} stage;

typedef struct staged_dims {
    double width; /* of all but the head */
    op_kind act;
    stage stages[7];
} staged_dims;

/* MobileNet v2, and MnasNet, whose first block has the same form. */
static void build_staged(nn *n, const void *dims)
{
    const staged_dims *d = dims;
    double width = d->width;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv_bn(n, x, "features.0", (nn_conv2d){.out = nn_divisible(32 * width, 8), .k = 3, .stride = 2, .pad = 1},
                   d->act);
    for (int s = 0, i = 1; s < 7; s++)
        for (int b = 0; b < d->stages[s].blocks; b++, i++) {
            const stage *st = &d->stages[s];
            size_t mark = nn_push(n, "features.%d", i);
            nn_inverted r = {
                .hidden = x.c * st->expand, .out = nn_divisible(st->out * width, 8), .k = st->k, .act = d->act};
            r.stride = b == 0 ? st->stride : 1;
            x = nn_inverted_residual(n, x, r);
            nn_pop(n, mark);
        }
    x = nn_conv_bn(n, x, "features.head", (nn_conv2d){.out = 1280, .k = 1}, d->act);
    x = nn_global_pool(n, x, "avgpool");
    nn_output(n, nn_fc(n, x, "classifier", 1000), "output");
}

typedef struct v3_block {
    int k, hidden, out;
    bool se, hard_swish;
    int stride;
} v3_block;

typedef struct v3_dims {
    int last_conv, head, n_blocks;
    v3_block blocks[15];
} v3_dims;

static void build_v3(nn *n, const void *dims)
{
    const v3_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv_bn(n, x, "features.0", (nn_conv2d){.out = 16, .k = 3, .stride = 2, .pad = 1}, OP_HardSwish);
    for (int i = 0; i < d->n_blocks; i++) {
        const v3_block *b = &d->blocks[i];
        size_t mark = nn_push(n, "features.%d", i + 1);
        nn_inverted r = {.hidden = b->hidden, .out = b->out, .k = b->k, .stride = b->stride, .gate = OP_HardSigmoid};
        r.act = b->hard_swish ? OP_HardSwish : OP_Relu;
        r.squeezed = b->se ? nn_divisible(b->hidden / 4.0, 8) : 0;
        x = nn_inverted_residual(n, x, r);
        nn_pop(n, mark);
    }
    x = nn_conv_bn(n, x, "features.last", (nn_conv2d){.out = d->last_conv, .k = 1}, OP_HardSwish);
    x = nn_global_pool(n, x, "avgpool");
    x = nn_act(n, nn_fc(n, x, "classifier.0", d->head), OP_HardSwish, "classifier.1");
    nn_output(n, nn_fc(n, x, "classifier.3", 1000), "output");
}

#define ROW(nm, alias, text, params, src, builder, dimensions)                                                   \
    {                                                                                                            \
        .name = nm, .aliases = alias, .family = "cnn", .description = text, .parameters = params, .source = src, \
        .image_size = 224, .image_min = 32, .image_step = 1, .build = builder, .dims = dimensions                \
    }

/* clang-format off: a table is read by its columns */
#define V2_STAGES                                                                                                    \
    {                                                                                                                \
        {1, 3, 16, 1, 1}, {6, 3, 24, 2, 2}, {6, 3, 32, 3, 2}, {6, 3, 64, 4, 2}, {6, 3, 96, 3, 1}, {6, 3, 160, 3, 2}, \
        {                                                                                                            \
            6, 3, 320, 1, 1                                                                                          \
        }                                                                                                            \
    }
#define MNASNET_STAGES                                                                                               \
    {                                                                                                                \
        {1, 3, 16, 1, 1}, {3, 3, 24, 3, 2}, {3, 5, 40, 3, 2}, {6, 5, 80, 3, 2}, {6, 3, 96, 2, 1}, {6, 5, 192, 4, 2}, \
        {                                                                                                            \
            6, 3, 320, 1, 1                                                                                          \
        }                                                                                                            \
    }

static const v3_dims v3_large = {960,
                                 1280,
                                 15,
                                 {{3, 16, 16, false, false, 1},
                                  {3, 64, 24, false, false, 2},
                                  {3, 72, 24, false, false, 1},
                                  {5, 72, 40, true, false, 2},
                                  {5, 120, 40, true, false, 1},
                                  {5, 120, 40, true, false, 1},
                                  {3, 240, 80, false, true, 2},
                                  {3, 200, 80, false, true, 1},
                                  {3, 184, 80, false, true, 1},
                                  {3, 184, 80, false, true, 1},
                                  {3, 480, 112, true, true, 1},
                                  {3, 672, 112, true, true, 1},
                                  {5, 672, 160, true, true, 2},
                                  {5, 960, 160, true, true, 1},
                                  {5, 960, 160, true, true, 1}}};
static const v3_dims v3_small = {576,
                                 1024,
                                 11,
                                 {{3, 16, 16, true, false, 2},
                                  {3, 72, 24, false, false, 2},
                                  {3, 88, 24, false, false, 1},
                                  {5, 96, 40, true, true, 2},
                                  {5, 240, 40, true, true, 1},
                                  {5, 240, 40, true, true, 1},
                                  {5, 120, 48, true, true, 1},
                                  {5, 144, 48, true, true, 1},
                                  {5, 288, 96, true, true, 2},
                                  {5, 576, 96, true, true, 1},
                                  {5, 576, 96, true, true, 1}}};
/* clang-format on */

#define PAPER_V1 "https://arxiv.org/abs/1704.04861"
#define STAGED(nm, alias, text, params, ...) \
    ROW(nm, alias, text, params, ZOO_TORCHVISION, build_staged, ZOO_DIMS(staged_dims, __VA_ARGS__))

static const zoo_entry rows[] = {
    ROW("mobilenet_v1", "mobilenetv1_100 google/mobilenet_v1_1.0_224 mobilenet", "MobileNet v1 1.0", 4231976, PAPER_V1,
        build_v1, NULL),
    STAGED("mobilenet_v2", "mobilenetv2_100 google/mobilenet_v2_1.0_224", "MobileNet v2 1.0", 3504872,
           {1.0, OP_Clip, V2_STAGES}),
    ROW("mobilenet_v3_large", "mobilenet_v3 mobilenetv3_large_100", "MobileNet v3 Large", 5483032, ZOO_TORCHVISION,
        build_v3, &v3_large),
    ROW("mobilenet_v3_small", "mobilenetv3_small_100", "MobileNet v3 Small", 2542856, ZOO_TORCHVISION, build_v3,
        &v3_small),
    STAGED("mnasnet0_5", "mnasnet_050", "MnasNet 0.5", 2218512, {0.5, OP_Relu, MNASNET_STAGES}),
    STAGED("mnasnet0_75", "mnasnet_075", "MnasNet 0.75", 3170208, {0.75, OP_Relu, MNASNET_STAGES}),
    STAGED("mnasnet1_0", "mnasnet mnasnet_100 mnasnet_b1", "MnasNet 1.0", 4383312, {1.0, OP_Relu, MNASNET_STAGES}),
    STAGED("mnasnet1_3", "", "MnasNet 1.3", 6282256, {1.3, OP_Relu, MNASNET_STAGES}),
};

const zoo_table zoo_mobile = ZOO_TABLE(rows);
