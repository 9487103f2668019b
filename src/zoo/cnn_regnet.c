/* RegNet X and Y (Radosavovic 2020), as in torchvision: widths on a line, quantised; Y has squeeze and excitation. */
#include "zoo/nn_mobile.h"
#include "zoo/tables.h"

typedef struct regnet_dims {
    int depth, first;       /* blocks; width of the first */
    double slope, multiple; /* growth of the width a block; ratio between stages */
    int64_t group;
    bool se;
} regnet_dims;

static nn_val block(nn *n, nn_val x, int64_t out, int64_t group, int stride, bool se)
{
    int64_t in = x.c, g = group < out ? group : out;
    nn_conv2d grouped = {.out = out, .k = 3, .stride = stride, .pad = 1, .groups = out / g};
    nn_val y = nn_conv_bn(n, x, "a", (nn_conv2d){.out = out, .k = 1}, OP_Relu);
    y = nn_conv_bn(n, y, "b", grouped, OP_Relu);
    if (se) y = nn_squeeze_excite(n, y, (int64_t)(0.25 * (double)in + 0.5), OP_Relu, OP_Sigmoid);
    y = nn_conv_bn(n, y, "c", (nn_conv2d){.out = out, .k = 1}, NN_NO_ACT);
    if (stride != 1 || in != out)
        x = nn_conv_bn(n, x, "proj", (nn_conv2d){.out = out, .k = 1, .stride = stride}, NN_NO_ACT);
    return nn_op1(n, OP_Relu, "act", nn_add(n, x, y, "add"));
}

/* To the nearest multiple of 8, ties to the even one: 180 is 176. */
static int64_t eights(double width)
{
    double eighths = width / 8, low = floor(eighths);
    bool up = eighths - low > 0.5 || (eighths - low == 0.5 && fmod(low, 2) != 0);
    return (int64_t)(low + up) * 8;
}

static void build(nn *n, const void *dims)
{
    const regnet_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv_bn(n, x, "stem", (nn_conv2d){.out = 32, .k = 3, .stride = 2, .pad = 1}, OP_Relu);
    int64_t last = 0;
    for (int i = 0, stage = 0, in_stage = 0; i < d->depth; i++) {
        double capacity = floor(log((i * d->slope + d->first) / d->first) / log(d->multiple) + 0.5);
        int64_t width = eights(d->first * pow(d->multiple, capacity));
        bool starts = width != last;
        last = width;
        in_stage = starts ? 0 : in_stage + 1;
        stage += starts;
        int64_t group = d->group < width ? d->group : width;
        size_t mark = nn_push(n, "trunk.block%d.%d", stage, in_stage);
        x = block(n, x, nn_divisible((double)width, group), group, starts ? 2 : 1, d->se);
        nn_pop(n, mark);
    }
    x = nn_global_pool(n, x, "avgpool");
    nn_output(n, nn_fc(n, x, "fc", 1000), "output");
}

#define ROW(nm, timm, text, params, ...)                                                                      \
    {                                                                                                         \
        .name = "regnet_" nm, .aliases = "regnet" timm, .family = "cnn", .description = "RegNet" text,        \
        .parameters = params, .source = ZOO_TORCHVISION, .image_size = 224, .image_min = 32, .image_step = 1, \
        .build = build, .dims = ZOO_DIMS(regnet_dims, __VA_ARGS__)                                            \
    }

static const zoo_entry rows[] = {
    ROW("x_400mf", "x_004_tv", "X 400MF", 5495976, {22, 24, 24.48, 2.54, 16, false}),
    ROW("x_800mf", "x_008", "X 800MF", 7259656, {16, 56, 35.73, 2.28, 16, false}),
    ROW("x_16gf", "x_160", "X 16GF", 54278536, {22, 216, 55.59, 2.1, 128, false}),
    ROW("x_1_6gf", "x_016", "X 1.6GF", 9190136, {18, 80, 34.01, 2.25, 24, false}),
    ROW("x_32gf", "x_320", "X 32GF", 107811560, {23, 320, 69.86, 2.0, 168, false}),
    ROW("x_3_2gf", "x_032", "X 3.2GF", 15296552, {25, 88, 26.31, 2.25, 48, false}),
    ROW("x_8gf", "x_080", "X 8GF", 39572648, {23, 80, 49.56, 2.88, 120, false}),
    ROW("y_400mf", "y_004", "Y 400MF", 4344144, {16, 48, 27.89, 2.09, 8, true}),
    ROW("y_800mf", "y_008_tv", "Y 800MF", 6432512, {14, 56, 38.84, 2.4, 16, true}),
    ROW("y_16gf", "y_160", "Y 16GF", 83590140, {18, 200, 106.23, 2.48, 112, true}),
    ROW("y_1_6gf", "y_016", "Y 1.6GF", 11202430, {27, 48, 20.71, 2.65, 24, true}),
    ROW("y_32gf", "y_320", "Y 32GF", 145046770, {20, 232, 115.89, 2.53, 232, true}),
    ROW("y_3_2gf", "y_032", "Y 3.2GF", 19436338, {21, 80, 42.63, 2.66, 24, true}),
    ROW("y_8gf", "y_080_tv", "Y 8GF", 39381472, {17, 192, 76.82, 2.19, 56, true}),
};

const zoo_table zoo_regnet = ZOO_TABLE(rows);
