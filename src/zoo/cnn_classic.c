/* AlexNet (Krizhevsky 2014), VGG (Simonyan 2014), SqueezeNet (Iandola 2016), DenseNet (Huang 2016): torchvision's. */
#include "zoo/tables.h"

/* ---- VGG, AlexNet ---- */

typedef struct vgg_dims {
    int convs[5]; /* 3x3 convolutions before each halving */
    bool batch_norm;
} vgg_dims;

static void classifier(nn *n, nn_val x, int64_t spatial)
{
    x = nn_adaptive_pool(n, x, "avgpool", spatial);
    x = nn_flatten(n, x, "flatten", x.c * spatial * spatial);
    x = nn_op1(n, OP_Relu, "classifier.relu1", nn_fc(n, x, "classifier.fc1", 4096));
    x = nn_op1(n, OP_Relu, "classifier.relu2", nn_fc(n, x, "classifier.fc2", 4096));
    nn_output(n, nn_fc(n, x, "classifier.fc3", 1000), "output");
}

static void build_vgg(nn *n, const void *dims)
{
    static const int64_t width[5] = {64, 128, 256, 512, 512};
    const vgg_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    for (int s = 0; s < 5; s++) {
        size_t mark = nn_push(n, "features.%d", s);
        for (int i = 0; i < d->convs[s]; i++) {
            size_t inner = nn_push(n, "%d", i);
            x = nn_conv(n, x, "conv", (nn_conv2d){.out = width[s], .k = 3, .pad = 1, .bias = true});
            if (d->batch_norm) x = nn_batch_norm(n, x, "bn");
            x = nn_op1(n, OP_Relu, "relu", x);
            nn_pop(n, inner);
        }
        x = nn_pool(n, x, OP_MaxPool, "maxpool", 2, 2, 0);
        nn_pop(n, mark);
    }
    classifier(n, x, 7);
}

static nn_val conv_relu(nn *n, nn_val x, const char *layer, nn_conv2d s)
{
    size_t mark = nn_push(n, "%s", layer);
    s.bias = true;
    x = nn_op1(n, OP_Relu, "relu", nn_conv(n, x, "conv", s));
    nn_pop(n, mark);
    return x;
}

static void build_alexnet(nn *n, const void *dims)
{
    (void)dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = conv_relu(n, x, "features.0", (nn_conv2d){.out = 64, .k = 11, .stride = 4, .pad = 2});
    x = nn_pool(n, x, OP_MaxPool, "features.2", 3, 2, 0);
    x = conv_relu(n, x, "features.3", (nn_conv2d){.out = 192, .k = 5, .pad = 2});
    x = nn_pool(n, x, OP_MaxPool, "features.5", 3, 2, 0);
    x = conv_relu(n, x, "features.6", (nn_conv2d){.out = 384, .k = 3, .pad = 1});
    x = conv_relu(n, x, "features.8", (nn_conv2d){.out = 256, .k = 3, .pad = 1});
    x = conv_relu(n, x, "features.10", (nn_conv2d){.out = 256, .k = 3, .pad = 1});
    classifier(n, nn_pool(n, x, OP_MaxPool, "features.12", 3, 2, 0), 6);
}

/* ---- SqueezeNet ---- */

typedef struct squeeze_dims {
    int stem, stem_kernel;
    int pool_after[2]; /* fire modules before the second and third pooling */
} squeeze_dims;

static void build_squeezenet(nn *n, const void *dims)
{
    static const int64_t squeezed[8] = {16, 16, 32, 32, 48, 48, 64, 64};
    const squeeze_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = conv_relu(n, x, "features.0", (nn_conv2d){.out = d->stem, .k = d->stem_kernel, .stride = 2});
    x = nn_pool(n, x, OP_MaxPool, "maxpool1", 3, 2, 0);
    for (int i = 0; i < 8; i++) {
        size_t mark = nn_push(n, "fire%d", i + 2);
        x = conv_relu(n, x, "squeeze", (nn_conv2d){.out = squeezed[i], .k = 1});
        nn_val both[2];
        both[0] = conv_relu(n, x, "expand1x1", (nn_conv2d){.out = squeezed[i] * 4, .k = 1});
        both[1] = conv_relu(n, x, "expand3x3", (nn_conv2d){.out = squeezed[i] * 4, .k = 3, .pad = 1});
        x = nn_concat(n, both, 2, 1, "concat");
        bool pool = i + 1 == d->pool_after[0] || i + 1 == d->pool_after[1];
        if (pool) { /* rounds up, as Caffe does */
            x = nn_pool(n, x, OP_MaxPool, "maxpool", 3, 2, 0);
            nn_attr(n, ATTR_ceil_mode, 1);
        }
        nn_pop(n, mark);
    }
    x = conv_relu(n, x, "classifier", (nn_conv2d){.out = 1000, .k = 1});
    nn_output(n, nn_global_pool(n, x, "avgpool"), "output");
}

/* ---- DenseNet ---- */

typedef struct dense_dims {
    int blocks[4];
    int growth, stem;
} dense_dims;

static nn_val bn_relu_conv(nn *n, nn_val x, int i, nn_conv2d s)
{
    static const char *const norm[] = {"norm1", "norm2", "norm"}, *const relu[] = {"relu1", "relu2", "relu"},
                             *const conv[] = {"conv1", "conv2", "conv"};
    return nn_conv(n, nn_op1(n, OP_Relu, relu[i], nn_batch_norm(n, x, norm[i])), conv[i], s);
}

/* Each layer sees everything before it; PyTorch concatenates the whole list anew every time. */
static nn_val dense_block(nn *n, nn_val x, int block, const dense_dims *d)
{
    nn_val seen[64] = {x};
    int layers = d->blocks[block];
    size_t outer = nn_push(n, "features.denseblock%d", block + 1);
    for (int i = 0; i < layers; i++) {
        size_t mark = nn_push(n, "denselayer%d", i + 1);
        nn_val y = i ? nn_concat(n, seen, (uint32_t)i + 1, 1, "concat") : x;
        y = bn_relu_conv(n, y, 0, (nn_conv2d){.out = 4 * d->growth, .k = 1});
        seen[i + 1] = bn_relu_conv(n, y, 1, (nn_conv2d){.out = d->growth, .k = 3, .pad = 1});
        nn_pop(n, mark);
    }
    x = nn_concat(n, seen, (uint32_t)layers + 1, 1, "concat");
    nn_pop(n, outer);
    return x;
}

static void build_densenet(nn *n, const void *dims)
{
    const dense_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv(n, x, "features.conv0", (nn_conv2d){.out = d->stem, .k = 7, .stride = 2, .pad = 3});
    x = nn_op1(n, OP_Relu, "features.relu0", nn_batch_norm(n, x, "features.norm0"));
    x = nn_pool(n, x, OP_MaxPool, "features.pool0", 3, 2, 1);
    for (int b = 0; b < 4; b++) {
        x = dense_block(n, x, b, d);
        if (b == 3) break;
        size_t mark = nn_push(n, "features.transition%d", b + 1);
        x = bn_relu_conv(n, x, 2, (nn_conv2d){.out = x.c / 2, .k = 1});
        x = nn_pool(n, x, OP_AveragePool, "pool", 2, 2, 0);
        nn_pop(n, mark);
    }
    x = nn_op1(n, OP_Relu, "relu", nn_batch_norm(n, x, "features.norm5"));
    x = nn_global_pool(n, x, "avgpool");
    nn_output(n, nn_fc(n, x, "classifier", 1000), "output");
}

#define ROW(nm, alias, text, params, smallest, builder, type, ...)                                              \
    {                                                                                                           \
        .name = nm, .aliases = alias, .family = "cnn", .description = text, .parameters = params,               \
        .source = ZOO_TORCHVISION, .image_size = 224, .image_min = smallest, .image_step = 1, .build = builder, \
        .dims = ZOO_DIMS(type, __VA_ARGS__)                                                                     \
    }

static const zoo_entry rows[] = {
    ROW("vgg11", "", "VGG-11", 132863336, 32, build_vgg, vgg_dims, {{1, 1, 2, 2, 2}, false}),
    ROW("vgg11_bn", "", "VGG-11 with batch normalisation", 132868840, 32, build_vgg, vgg_dims, {{1, 1, 2, 2, 2}, true}),
    ROW("vgg13", "", "VGG-13", 133047848, 32, build_vgg, vgg_dims, {{2, 2, 2, 2, 2}, false}),
    ROW("vgg13_bn", "", "VGG-13 with batch normalisation", 133053736, 32, build_vgg, vgg_dims, {{2, 2, 2, 2, 2}, true}),
    ROW("vgg16", "vgg", "VGG-16", 138357544, 32, build_vgg, vgg_dims, {{2, 2, 3, 3, 3}, false}),
    ROW("vgg16_bn", "", "VGG-16 with batch normalisation", 138365992, 32, build_vgg, vgg_dims, {{2, 2, 3, 3, 3}, true}),
    ROW("vgg19", "", "VGG-19", 143667240, 32, build_vgg, vgg_dims, {{2, 2, 4, 4, 4}, false}),
    ROW("vgg19_bn", "", "VGG-19 with batch normalisation", 143678248, 32, build_vgg, vgg_dims, {{2, 2, 4, 4, 4}, true}),
    {.name = "alexnet",
     .aliases = "",
     .family = "cnn",
     .description = "AlexNet",
     .parameters = 61100840,
     .source = ZOO_TORCHVISION,
     .image_size = 224,
     .image_min = 63,
     .image_step = 1,
     .build = build_alexnet},
    ROW("squeezenet1_0", "squeezenet", "SqueezeNet 1.0", 1248424, 32, build_squeezenet, squeeze_dims, {96, 7, {3, 7}}),
    ROW("squeezenet1_1", "", "SqueezeNet 1.1", 1235496, 32, build_squeezenet, squeeze_dims, {64, 3, {2, 4}}),
    ROW("densenet121", "densenet", "DenseNet-121", 7978856, 32, build_densenet, dense_dims, {{6, 12, 24, 16}, 32, 64}),
    ROW("densenet161", "", "DenseNet-161", 28681000, 32, build_densenet, dense_dims, {{6, 12, 36, 24}, 48, 96}),
    ROW("densenet169", "", "DenseNet-169", 14149480, 32, build_densenet, dense_dims, {{6, 12, 32, 32}, 32, 64}),
    ROW("densenet201", "", "DenseNet-201", 20013928, 32, build_densenet, dense_dims, {{6, 12, 48, 32}, 32, 64}),
};

const zoo_table zoo_classic = ZOO_TABLE(rows);
