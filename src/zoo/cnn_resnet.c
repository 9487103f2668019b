/* ResNet (He 2015; v1.5: the stride is on the 3x3 convolution), ResNeXt (Xie 2016), Wide ResNet (Zagoruyko 2016) and
 * SE-ResNeXt (Hu 2017). */
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

static nn_val conv_bn(nn *n, nn_val x, int i, nn_conv2d s, bool relu)
{
    static const char *const conv[] = {"conv1", "conv2", "conv3"}, *const bn[] = {"bn1", "bn2", "bn3"},
                             *const act[] = {"relu1", "relu2", "relu3"};
    x = nn_batch_norm(n, nn_conv(n, x, conv[i], s), bn[i]);
    return relu ? nn_op1(n, OP_Relu, act[i], x) : x;
}

typedef struct placement {
    int stride, dilation;
} placement;

static nn_val block(nn *n, nn_val x, const nn_resnet *d, int64_t planes, placement at)
{
    int64_t groups = d->groups ? d->groups : 1, width = planes * (d->group_width ? d->group_width : 64) / 64 * groups;
    int64_t out = d->bottleneck ? planes * 4 : planes;
    nn_conv2d first = {.k = 3, .stride = at.stride, .pad = at.dilation, .dilation = at.dilation};
    nn_val y = x;
    if (d->bottleneck) {
        first.out = width;
        first.groups = groups;
        y = conv_bn(n, y, 0, (nn_conv2d){.out = width, .k = 1}, true);
        y = conv_bn(n, y, 1, first, true);
        y = conv_bn(n, y, 2, (nn_conv2d){.out = out, .k = 1}, false);
    } else {
        first.out = out;
        y = conv_bn(n, y, 0, first, true);
        y = conv_bn(n, y, 1, (nn_conv2d){.out = out, .k = 3, .pad = 1}, false);
    }
    if (d->se_reduction) y = nn_squeeze_excite(n, y, out / d->se_reduction, OP_Relu, OP_Sigmoid);
    if (at.stride != 1 || x.c != out) {
        x = nn_conv(n, x, "downsample.0", (nn_conv2d){.out = out, .k = 1, .stride = at.stride});
        x = nn_batch_norm(n, x, "downsample.1");
    }
    return nn_op1(n, OP_Relu, "relu", nn_add(n, y, x, "add"));
}

void nn_resnet_features(nn *n, nn_val x, const nn_resnet *d, nn_resnet_cut cut, nn_val out[4])
{
    int dilation = 1;
    x = conv_bn(n, x, 0, (nn_conv2d){.out = 64, .k = 7, .stride = 2, .pad = 3}, true);
    x = nn_pool(n, x, OP_MaxPool, "maxpool", 3, 2, 1);
    for (int stage = 1; stage <= cut.stages; stage++) {
        bool flat = stage == 1 || (cut.flat_from && stage >= cut.flat_from);
        for (int b = 0; b < d->blocks[stage - 1]; b++) {
            size_t mark = nn_push(n, "layer%d.%d", stage, b);
            x = block(n, x, d, (int64_t)32 << stage, (placement){b || flat ? 1 : 2, dilation});
            if (b == 0 && flat && stage > 1 && cut.dilate) dilation *= 2; /* the first block keeps the last stage's */
            nn_pop(n, mark);
        }
        out[stage - 1] = x;
    }
}

static void build(nn *n, const void *dims)
{
    nn_val stages[4];
    nn_resnet_features(n, nn_image_input(n, "input", 3), dims, (nn_resnet_cut){.stages = 4}, stages);
    nn_val x = nn_global_pool(n, stages[3], "avgpool");
    nn_output(n, nn_fc(n, x, "fc", 1000), "output");
}

#define CADENE "https://github.com/Cadene/pretrained-models.pytorch"
#define TIMM "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv"
#define ROW(nm, alias, text, params, src, ...)                                                                        \
    {                                                                                                                 \
        .name = nm, .aliases = alias, .family = "cnn", .description = text, .parameters = params, .source = src,      \
        .image_size = 224, .image_min = 32, .image_step = 1, .build = build, .dims = ZOO_DIMS(nn_resnet, __VA_ARGS__) \
    }

static const zoo_entry rows[] = {
    ROW("resnet18", "microsoft/resnet-18 resnet18_v1.5", "ResNet-18", 11689512, ZOO_TORCHVISION,
        {{2, 2, 2, 2}, false, 0, 0, 0}),
    ROW("resnet34", "microsoft/resnet-34 resnet34_v1.5", "ResNet-34", 21797672, ZOO_TORCHVISION,
        {{3, 4, 6, 3}, false, 0, 0, 0}),
    ROW("resnet50", "microsoft/resnet-50 resnet50_v1.5 rn50 resnet", "ResNet-50 v1.5", 25557032, ZOO_TORCHVISION,
        {{3, 4, 6, 3}, true, 0, 0, 0}),
    ROW("resnet101", "microsoft/resnet-101 resnet101_v1.5", "ResNet-101 v1.5", 44549160, ZOO_TORCHVISION,
        {{3, 4, 23, 3}, true, 0, 0, 0}),
    ROW("resnet152", "microsoft/resnet-152 resnet152_v1.5", "ResNet-152 v1.5", 60192808, ZOO_TORCHVISION,
        {{3, 8, 36, 3}, true, 0, 0, 0}),
    ROW("resnext50_32x4d", "resnext50", "ResNeXt-50 32x4d", 25028904, ZOO_TORCHVISION, {{3, 4, 6, 3}, true, 32, 4, 0}),
    ROW("resnext101_32x4d", "resnext101", "ResNeXt-101 32x4d", 44177704, TIMM, {{3, 4, 23, 3}, true, 32, 4, 0}),
    ROW("resnext101_32x8d", "", "ResNeXt-101 32x8d", 88791336, ZOO_TORCHVISION, {{3, 4, 23, 3}, true, 32, 8, 0}),
    ROW("resnext101_64x4d", "", "ResNeXt-101 64x4d", 83455272, ZOO_TORCHVISION, {{3, 4, 23, 3}, true, 64, 4, 0}),
    ROW("wide_resnet50_2", "", "Wide ResNet-50-2", 68883240, ZOO_TORCHVISION, {{3, 4, 6, 3}, true, 1, 128, 0}),
    ROW("wide_resnet101_2", "", "Wide ResNet-101-2", 126886696, ZOO_TORCHVISION, {{3, 4, 23, 3}, true, 1, 128, 0}),
    ROW("se_resnet50", "seresnet50", "SE-ResNet-50", 28088024, TIMM, {{3, 4, 6, 3}, true, 0, 0, 16}),
    ROW("se_resnet152", "seresnet152", "SE-ResNet-152", 66821848, TIMM, {{3, 8, 36, 3}, true, 0, 0, 16}),
    ROW("se_resnext50_32x4d", "seresnext50_32x4d", "SE-ResNeXt-50 32x4d", 27559896, TIMM,
        {{3, 4, 6, 3}, true, 32, 4, 16}),
    ROW("se_resnext101_32x4d", "se_resnext101", "SE-ResNeXt-101 32x4d", 48955416, CADENE,
        {{3, 4, 23, 3}, true, 32, 4, 16}),
};

const zoo_table zoo_resnet = ZOO_TABLE(rows);
