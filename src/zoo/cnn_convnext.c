/* ConvNeXt (Liu 2022), as in torchvision: depthwise 7x7 convolutions, and normalisation and linear layers over channels
 * that are moved last for them. */
#include "zoo/tables.h"

typedef struct convnext_dims {
    int blocks[4];
    int64_t width; /* of the first stage; each doubles it */
} convnext_dims;

static nn_val channels_last(nn *n, nn_val x, const char *layer)
{
    return nn_transpose(n, x, layer, 4, (int64_t[]){0, 2, 3, 1});
}

static nn_val channels_first(nn *n, nn_val x, const char *layer)
{
    return nn_transpose(n, x, layer, 4, (int64_t[]){0, 3, 1, 2});
}

static nn_val norm_2d(nn *n, nn_val x, const char *layer)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_layer_norm(n, channels_last(n, x, "permute1"), "norm");
    x = channels_first(n, x, "permute2");
    nn_pop(n, mark);
    return x;
}

static nn_val block(nn *n, nn_val x)
{
    nn_val y = nn_conv(n, x, "dwconv", (nn_conv2d){.out = x.c, .k = 7, .pad = 3, .groups = x.c, .bias = true});
    y = nn_layer_norm(n, channels_last(n, y, "permute1"), "norm");
    y = nn_mlp(n, y, "pwconv1", "pwconv2", 4 * x.c, OP_Gelu);
    y = channels_first(n, y, "permute2");
    y = nn_op2(n, OP_Mul, "scale", y, nn_weight(n, "layer_scale", "", 3, (int64_t[]){x.c, 1, 1}));
    return nn_add(n, x, y, "add");
}

static void build(nn *n, const void *dims)
{
    const convnext_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv(n, x, "stem.conv", (nn_conv2d){.out = d->width, .k = 4, .stride = 4, .bias = true});
    x = norm_2d(n, x, "stem.norm");
    for (int s = 0; s < 4; s++) {
        size_t stage = nn_push(n, "stages.%d", s);
        if (s) {
            x = norm_2d(n, x, "downsample.norm");
            x = nn_conv(n, x, "downsample.conv", (nn_conv2d){.out = 2 * x.c, .k = 2, .stride = 2, .bias = true});
        }
        for (int b = 0; b < d->blocks[s]; b++) {
            size_t mark = nn_push(n, "%d", b);
            x = block(n, x);
            nn_pop(n, mark);
        }
        nn_pop(n, stage);
    }
    x = nn_layer_norm(n, nn_global_pool(n, x, "avgpool"), "head.norm");
    nn_output(n, nn_fc(n, x, "head.fc", 1000), "output");
}

#define ROW(size, params, ...)                                                                               \
    {                                                                                                        \
        .name = "convnext_" size, .aliases = "facebook/convnext-" size "-224", .family = "cnn",              \
        .description = "ConvNeXt " size, .parameters = params, .source = ZOO_TORCHVISION, .image_size = 224, \
        .image_min = 32, .image_step = 1, .build = build, .dims = ZOO_DIMS(convnext_dims, __VA_ARGS__)       \
    }

static const zoo_entry rows[] = {
    ROW("tiny", 28589128, {{3, 3, 9, 3}, 96}),
    ROW("small", 50223688, {{3, 3, 27, 3}, 96}),
    ROW("base", 88591464, {{3, 3, 27, 3}, 128}),
    ROW("large", 197767336, {{3, 3, 27, 3}, 192}),
};

const zoo_table zoo_convnext = ZOO_TABLE(rows);
