/* ShuffleNet v2 (Ma 2018), as in torchvision: half of the channels pass by, then both halves are interleaved. */
#include "zoo/tables.h"

typedef struct shuffle_dims {
    int64_t stages[3], head;
} shuffle_dims;

static nn_val conv_bn(nn *n, nn_val x, const char *layer, int64_t out, op_kind act)
{
    return nn_conv_bn(n, x, layer, (nn_conv2d){.out = out, .k = 1}, act);
}

static nn_val depthwise(nn *n, nn_val x, const char *layer, int stride)
{
    nn_conv2d s = {.out = x.c, .k = 3, .stride = stride, .pad = 1, .groups = x.c};
    return nn_conv_bn(n, x, layer, s, NN_NO_ACT);
}

static nn_val shuffle(nn *n, nn_val x, int64_t side)
{
    int64_t c = x.c;
    x = nn_reshape(n, x, "shuffle.split", 5, (int64_t[]){0, 2, c / 2, side, side}, c);
    x = nn_transpose(n, x, "shuffle.transpose", 5, (int64_t[]){0, 2, 1, 3, 4});
    return nn_reshape(n, x, "shuffle.merge", 4, (int64_t[]){0, c, side, side}, c);
}

/* `side` is that of the output. */
static nn_val block(nn *n, nn_val x, int64_t out, int stride, int64_t side)
{
    nn_val half[2] = {x, x};
    if (stride == 1) {
        nn_split(n, x, "chunk", 1, 2, half);
    } else {
        half[0] = depthwise(n, x, "branch1.depthwise", stride);
        half[0] = conv_bn(n, half[0], "branch1.pointwise", out / 2, OP_Relu);
    }
    half[1] = conv_bn(n, half[1], "branch2.pointwise1", out / 2, OP_Relu);
    half[1] = depthwise(n, half[1], "branch2.depthwise", stride);
    half[1] = conv_bn(n, half[1], "branch2.pointwise2", out / 2, OP_Relu);
    return shuffle(n, nn_concat(n, half, 2, 1, "concat"), side);
}

static void build(nn *n, const void *dims)
{
    static const int repeats[3] = {4, 8, 4};
    const shuffle_dims *d = dims;
    nn_val x = nn_image_input(n, "input", 3);
    x = nn_conv_bn(n, x, "conv1", (nn_conv2d){.out = 24, .k = 3, .stride = 2, .pad = 1}, OP_Relu);
    x = nn_pool(n, x, OP_MaxPool, "maxpool", 3, 2, 1);
    int64_t side = (n->image + 3) / 4; /* each halving rounds up */
    for (int s = 0; s < 3; s++) {
        side = (side + 1) / 2;
        for (int b = 0; b < repeats[s]; b++) {
            size_t mark = nn_push(n, "stage%d.%d", s + 2, b);
            x = block(n, x, d->stages[s], b ? 1 : 2, side);
            nn_pop(n, mark);
        }
    }
    x = conv_bn(n, x, "conv5", d->head, OP_Relu);
    nn_output(n, nn_fc(n, nn_global_pool(n, x, "mean"), "fc", 1000), "output");
}

#define ROW(width, params, ...)                                                                                  \
    {                                                                                                            \
        .name = "shufflenet_v2_x" width, .aliases = "", .family = "cnn", .description = "ShuffleNet v2 x" width, \
        .parameters = params, .source = ZOO_TORCHVISION, .image_size = 224, .image_min = 32, .image_step = 1,    \
        .build = build, .dims = ZOO_DIMS(shuffle_dims, __VA_ARGS__)                                              \
    }

static const zoo_entry rows[] = {
    ROW("0_5", 1366792, {{48, 96, 192}, 1024}),
    ROW("1_0", 2278604, {{116, 232, 464}, 1024}),
    ROW("1_5", 3503624, {{176, 352, 704}, 1024}),
    ROW("2_0", 7393996, {{244, 488, 976}, 2048}),
};

const zoo_table zoo_shufflenet = ZOO_TABLE(rows);
