/* GoogLeNet (Szegedy 2014) and Inception v3 (Szegedy 2015) as in torchvision, for inference: without the auxiliary
 * classifiers of training; Inception v4 (Szegedy 2016) as in timm. */
#include "zoo/tables.h"

/* The three forms of convolution in the paper's figures, each with batch normalisation and ReLU. */
static nn_val square(nn *n, nn_val x, const char *layer, int64_t out, int k, int stride, int pad)
{
    return nn_conv_bn(n, x, layer, (nn_conv2d){.out = out, .k = k, .stride = stride, .pad = pad}, OP_Relu);
}

static nn_val wide(nn *n, nn_val x, const char *layer, int64_t out, int k)
{
    return nn_conv_bn(n, x, layer, (nn_conv2d){.out = out, .k = 1, .kw = k, .pad_w = k / 2}, OP_Relu);
}

static nn_val tall(nn *n, nn_val x, const char *layer, int64_t out, int k)
{
    return nn_conv_bn(n, x, layer, (nn_conv2d){.out = out, .k = k, .kw = 1, .pad = k / 2}, OP_Relu);
}

static nn_val pooled(nn *n, nn_val x, int64_t out)
{
    return square(n, nn_pool(n, x, OP_AveragePool, "avgpool", 3, 1, 1), "branch_pool", out, 1, 1, 0);
}

static nn_val block_a(nn *n, nn_val x, int64_t pool_features)
{
    nn_val b[4];
    b[0] = square(n, x, "branch1x1", 64, 1, 1, 0);
    b[1] = square(n, square(n, x, "branch5x5_1", 48, 1, 1, 0), "branch5x5_2", 64, 5, 1, 2);
    b[2] = square(n, square(n, x, "branch3x3dbl_1", 64, 1, 1, 0), "branch3x3dbl_2", 96, 3, 1, 1);
    b[2] = square(n, b[2], "branch3x3dbl_3", 96, 3, 1, 1);
    b[3] = pooled(n, x, pool_features);
    return nn_concat(n, b, 4, 1, "concat");
}

static nn_val block_b(nn *n, nn_val x, int64_t unused)
{
    (void)unused;
    nn_val b[3];
    b[0] = square(n, x, "branch3x3", 384, 3, 2, 0);
    b[1] = square(n, square(n, x, "branch3x3dbl_1", 64, 1, 1, 0), "branch3x3dbl_2", 96, 3, 1, 1);
    b[1] = square(n, b[1], "branch3x3dbl_3", 96, 3, 2, 0);
    b[2] = nn_pool(n, x, OP_MaxPool, "maxpool", 3, 2, 0);
    return nn_concat(n, b, 3, 1, "concat");
}

static nn_val block_c(nn *n, nn_val x, int64_t c7)
{
    nn_val b[4], y;
    b[0] = square(n, x, "branch1x1", 192, 1, 1, 0);
    y = wide(n, square(n, x, "branch7x7_1", c7, 1, 1, 0), "branch7x7_2", c7, 7);
    b[1] = tall(n, y, "branch7x7_3", 192, 7);
    y = tall(n, square(n, x, "branch7x7dbl_1", c7, 1, 1, 0), "branch7x7dbl_2", c7, 7);
    y = tall(n, wide(n, y, "branch7x7dbl_3", c7, 7), "branch7x7dbl_4", c7, 7);
    b[2] = wide(n, y, "branch7x7dbl_5", 192, 7);
    b[3] = pooled(n, x, 192);
    return nn_concat(n, b, 4, 1, "concat");
}

static nn_val block_d(nn *n, nn_val x, int64_t unused)
{
    (void)unused;
    nn_val b[3], y;
    b[0] = square(n, square(n, x, "branch3x3_1", 192, 1, 1, 0), "branch3x3_2", 320, 3, 2, 0);
    y = wide(n, square(n, x, "branch7x7x3_1", 192, 1, 1, 0), "branch7x7x3_2", 192, 7);
    b[1] = square(n, tall(n, y, "branch7x7x3_3", 192, 7), "branch7x7x3_4", 192, 3, 2, 0);
    b[2] = nn_pool(n, x, OP_MaxPool, "maxpool", 3, 2, 0);
    return nn_concat(n, b, 3, 1, "concat");
}

static nn_val block_e(nn *n, nn_val x, int64_t unused)
{
    (void)unused;
    nn_val b[4], half[2], y;
    b[0] = square(n, x, "branch1x1", 320, 1, 1, 0);
    y = square(n, x, "branch3x3_1", 384, 1, 1, 0);
    half[0] = wide(n, y, "branch3x3_2a", 384, 3);
    half[1] = tall(n, y, "branch3x3_2b", 384, 3);
    b[1] = nn_concat(n, half, 2, 1, "branch3x3_concat");
    y = square(n, square(n, x, "branch3x3dbl_1", 448, 1, 1, 0), "branch3x3dbl_2", 384, 3, 1, 1);
    half[0] = wide(n, y, "branch3x3dbl_3a", 384, 3);
    half[1] = tall(n, y, "branch3x3dbl_3b", 384, 3);
    b[2] = nn_concat(n, half, 2, 1, "branch3x3dbl_concat");
    b[3] = pooled(n, x, 192);
    return nn_concat(n, b, 4, 1, "concat");
}

static void build(nn *n, const void *dims)
{
    static const struct {
        const char *name;
        nn_val (*block)(nn *n, nn_val x, int64_t width);
        int64_t width;
    } mixed[] = {{"Mixed_5b", block_a, 32},  {"Mixed_5c", block_a, 64},  {"Mixed_5d", block_a, 64},
                 {"Mixed_6a", block_b, 0},   {"Mixed_6b", block_c, 128}, {"Mixed_6c", block_c, 160},
                 {"Mixed_6d", block_c, 160}, {"Mixed_6e", block_c, 192}, {"Mixed_7a", block_d, 0},
                 {"Mixed_7b", block_e, 0},   {"Mixed_7c", block_e, 0}};
    (void)dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = square(n, x, "Conv2d_1a_3x3", 32, 3, 2, 0);
    x = square(n, x, "Conv2d_2a_3x3", 32, 3, 1, 0);
    x = square(n, x, "Conv2d_2b_3x3", 64, 3, 1, 1);
    x = nn_pool(n, x, OP_MaxPool, "maxpool1", 3, 2, 0);
    x = square(n, x, "Conv2d_3b_1x1", 80, 1, 1, 0);
    x = square(n, x, "Conv2d_4a_3x3", 192, 3, 1, 0);
    x = nn_pool(n, x, OP_MaxPool, "maxpool2", 3, 2, 0);
    for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++) {
        size_t mark = nn_push(n, "%s", mixed[i].name);
        x = mixed[i].block(n, x, mixed[i].width);
        nn_pop(n, mark);
    }
    x = nn_global_pool(n, x, "avgpool");
    nn_output(n, nn_fc(n, x, "fc", 1000), "output");
}

/* torchvision publishes 27161264 with the auxiliary classifier, which holds 3326696 of them. */
/* ---- GoogLeNet, with batch normalisation ---- */

static nn_val halved(nn *n, nn_val x, const char *layer, int k)
{
    x = nn_pool(n, x, OP_MaxPool, layer, k, 2, 0);
    nn_attr(n, ATTR_ceil_mode, 1);
    return x;
}

static void build_googlenet(nn *n, const void *dims)
{
    /* of the branches: 1x1; 1x1 and 3x3; 1x1 and (in torchvision) 3x3; 1x1 after pooling */
    static const struct {
        const char *name;
        int64_t out[6];
    } blocks[9] = {{"inception3a", {64, 96, 128, 16, 32, 32}},     {"inception3b", {128, 128, 192, 32, 96, 64}},
                   {"inception4a", {192, 96, 208, 16, 48, 64}},    {"inception4b", {160, 112, 224, 24, 64, 64}},
                   {"inception4c", {128, 128, 256, 24, 64, 64}},   {"inception4d", {112, 144, 288, 32, 64, 64}},
                   {"inception4e", {256, 160, 320, 32, 128, 128}}, {"inception5a", {256, 160, 320, 32, 128, 128}},
                   {"inception5b", {384, 192, 384, 48, 128, 128}}};
    (void)dims;
    nn_val x = square(n, nn_image_input(n, "input", 3), "conv1", 64, 7, 2, 3);
    x = square(n, halved(n, x, "maxpool1", 3), "conv2", 64, 1, 1, 0);
    x = halved(n, square(n, x, "conv3", 192, 3, 1, 1), "maxpool2", 3);
    for (int i = 0; i < 9; i++) {
        const int64_t *out = blocks[i].out;
        nn_val b[4];
        if (i == 2) x = halved(n, x, "maxpool3", 3);
        if (i == 7) x = halved(n, x, "maxpool4", 2);
        size_t mark = nn_push(n, "%s", blocks[i].name);
        b[0] = square(n, x, "branch1", out[0], 1, 1, 0);
        b[1] = square(n, square(n, x, "branch2.0", out[1], 1, 1, 0), "branch2.1", out[2], 3, 1, 1);
        b[2] = square(n, square(n, x, "branch3.0", out[3], 1, 1, 0), "branch3.1", out[4], 3, 1, 1);
        b[3] = square(n, nn_pool(n, x, OP_MaxPool, "pool", 3, 1, 1), "branch4", out[5], 1, 1, 0);
        x = nn_concat(n, b, 4, 1, "concat");
        nn_pop(n, mark);
    }
    x = nn_global_pool(n, x, "avgpool");
    nn_output(n, nn_fc(n, x, "fc", 1000), "output");
}

/* ---- Inception v4 ---- */

static nn_val v4_stem(nn *n, nn_val x)
{
    nn_val b[2];
    x = square(n, square(n, x, "features.0", 32, 3, 2, 0), "features.1", 32, 3, 1, 0);
    x = square(n, x, "features.2", 64, 3, 1, 1);
    b[0] = nn_pool(n, x, OP_MaxPool, "features.3.pool", 3, 2, 0);
    b[1] = square(n, x, "features.3.conv", 96, 3, 2, 0);
    x = nn_concat(n, b, 2, 1, "features.3.concat");
    b[0] = square(n, square(n, x, "features.4.branch0.0", 64, 1, 1, 0), "features.4.branch0.1", 96, 3, 1, 0);
    b[1] = wide(n, square(n, x, "features.4.branch1.0", 64, 1, 1, 0), "features.4.branch1.1", 64, 7);
    b[1] = tall(n, b[1], "features.4.branch1.2", 64, 7);
    b[1] = square(n, b[1], "features.4.branch1.3", 96, 3, 1, 0);
    x = nn_concat(n, b, 2, 1, "features.4.concat");
    b[0] = square(n, x, "features.5.conv", 192, 3, 2, 0);
    b[1] = nn_pool(n, x, OP_MaxPool, "features.5.pool", 3, 2, 0);
    return nn_concat(n, b, 2, 1, "features.5.concat");
}

static nn_val v4_a(nn *n, nn_val x)
{
    nn_val b[4];
    b[0] = square(n, x, "branch0", 96, 1, 1, 0);
    b[1] = square(n, square(n, x, "branch1.0", 64, 1, 1, 0), "branch1.1", 96, 3, 1, 1);
    b[2] = square(n, square(n, x, "branch2.0", 64, 1, 1, 0), "branch2.1", 96, 3, 1, 1);
    b[2] = square(n, b[2], "branch2.2", 96, 3, 1, 1);
    b[3] = pooled(n, x, 96);
    return nn_concat(n, b, 4, 1, "concat");
}

static nn_val v4_b(nn *n, nn_val x)
{
    nn_val b[4];
    b[0] = square(n, x, "branch0", 384, 1, 1, 0);
    b[1] = wide(n, square(n, x, "branch1.0", 192, 1, 1, 0), "branch1.1", 224, 7);
    b[1] = tall(n, b[1], "branch1.2", 256, 7);
    b[2] = tall(n, square(n, x, "branch2.0", 192, 1, 1, 0), "branch2.1", 192, 7);
    b[2] = tall(n, wide(n, b[2], "branch2.2", 224, 7), "branch2.3", 224, 7);
    b[2] = wide(n, b[2], "branch2.4", 256, 7);
    b[3] = pooled(n, x, 128);
    return nn_concat(n, b, 4, 1, "concat");
}

static nn_val v4_c(nn *n, nn_val x)
{
    nn_val b[6], y = square(n, x, "branch1.0", 384, 1, 1, 0);
    b[0] = square(n, x, "branch0", 256, 1, 1, 0);
    b[1] = wide(n, y, "branch1.1a", 256, 3);
    b[2] = tall(n, y, "branch1.1b", 256, 3);
    y = tall(n, square(n, x, "branch2.0", 384, 1, 1, 0), "branch2.1", 448, 3);
    y = wide(n, y, "branch2.2", 512, 3);
    b[3] = wide(n, y, "branch2.3a", 256, 3);
    b[4] = tall(n, y, "branch2.3b", 256, 3);
    b[5] = pooled(n, x, 256);
    return nn_concat(n, b, 6, 1, "concat");
}

static nn_val v4_reduce(nn *n, nn_val x, bool second)
{
    nn_val b[3];
    if (second) {
        b[0] = square(n, square(n, x, "branch0.0", 192, 1, 1, 0), "branch0.1", 192, 3, 2, 0);
        b[1] = wide(n, square(n, x, "branch1.0", 256, 1, 1, 0), "branch1.1", 256, 7);
        b[1] = square(n, tall(n, b[1], "branch1.2", 320, 7), "branch1.3", 320, 3, 2, 0);
    } else {
        b[0] = square(n, x, "branch0", 384, 3, 2, 0);
        b[1] = square(n, square(n, x, "branch1.0", 192, 1, 1, 0), "branch1.1", 224, 3, 1, 1);
        b[1] = square(n, b[1], "branch1.2", 256, 3, 2, 0);
    }
    b[2] = nn_pool(n, x, OP_MaxPool, "branch2", 3, 2, 0);
    return nn_concat(n, b, 3, 1, "concat");
}

static void build_v4(nn *n, const void *dims)
{
    nn_val x = v4_stem(n, nn_image_input(n, "input", 3));
    (void)dims;
    for (int i = 6; i < 22; i++) { /* as timm counts them: 4 of A, 7 of B, 3 of C, a reduction between */
        size_t mark = nn_push(n, "features.%d", i);
        if (i == 10 || i == 18) x = v4_reduce(n, x, i == 18);
        else x = i < 10 ? v4_a(n, x) : i < 18 ? v4_b(n, x) : v4_c(n, x);
        nn_pop(n, mark);
    }
    x = nn_global_pool(n, x, "global_pool");
    nn_output(n, nn_fc(n, x, "last_linear", 1000), "output");
}

static const zoo_entry rows[] = {
    {.name = "googlenet",
     .aliases = "inception_v1 googlenet_bn",
     .family = "cnn",
     .description = "GoogLeNet (inference: no auxiliary classifiers)",
     .parameters = 6624904,
     .source = ZOO_TORCHVISION,
     .image_size = 224,
     .image_min = 32,
     .image_step = 1,
     .build = build_googlenet},
    {.name = "inception_v3",
     .aliases = "inception inceptionv3",
     .family = "cnn",
     .description = "Inception v3 (inference: no auxiliary classifier)",
     .parameters = 27161264 - 3326696,
     .source = ZOO_TORCHVISION,
     .image_size = 299,
     .image_min = 75,
     .image_step = 1,
     .build = build},
    {.name = "inception_v4",
     .aliases = "inceptionv4",
     .family = "cnn",
     .description = "Inception v4",
     .parameters = 42679816,
     .source = "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv",
     .image_size = 299,
     .image_min = 75,
     .image_step = 1,
     .build = build_v4},
};

const zoo_table zoo_inception = ZOO_TABLE(rows);
