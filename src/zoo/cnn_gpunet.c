/* GPUNet (Wang 2022): networks that a search found for a latency under TensorRT on a V100. The layers are those of
 * NVIDIA's configuration files; names are the paper's, and the latency in the files' names. */
#include "zoo/nn_mobile.h"
#include "zoo/tables.h"

typedef enum gpunet_kind { CONV, FUSED, IRB } gpunet_kind;

/* Equal layers: the first one has the stride. */
typedef struct gpunet_layer {
    gpunet_kind kind;
    double expand;
    int k, stride, out, repeat;
    bool swish, se;
} gpunet_layer;

typedef struct gpunet_dims {
    int stem, head;
    bool swish_stem;
    bool distilled;          /* D1, D2: a head of two layers */
    int more_stem;           /* convolutions after the first one */
    gpunet_layer layers[24]; /* ends with a repeat of 0 */
} gpunet_dims;

static nn_val layer(nn *n, nn_val x, const gpunet_layer *l, int stride, bool exact)
{
    op_kind act = l->swish ? OP_Silu : OP_Relu;
    nn_conv2d conv = {.out = l->out, .k = l->k, .stride = stride, .pad = (l->k - 1) / 2};
    if (l->kind == CONV) return nn_conv_bn(n, x, "conv", conv, act);
    int64_t hidden = exact ? (int64_t)((double)x.c * l->expand) : nn_divisible((double)x.c * l->expand, 8);
    int64_t squeezed = l->se ? (int64_t)floor((double)hidden * 0.25 / l->expand + 0.5) : 0;
    nn_val y = x;
    if (l->kind == FUSED) {
        conv.out = hidden;
        y = nn_conv_bn(n, y, "fused", conv, act);
    } else {
        y = nn_conv_bn(n, y, "expand", (nn_conv2d){.out = hidden, .k = 1}, act);
        conv.out = conv.groups = hidden;
        y = nn_conv_bn(n, y, "depthwise", conv, act);
    }
    if (squeezed) y = nn_squeeze_excite(n, y, squeezed, act, OP_Sigmoid);
    y = nn_conv_bn(n, y, "project", (nn_conv2d){.out = l->out, .k = 1}, NN_NO_ACT);
    return stride == 1 && x.c == y.c ? nn_add(n, x, y, "add") : y;
}

static void build(nn *n, const void *dims)
{
    const gpunet_dims *d = dims;
    nn_conv2d stem = {.out = d->stem, .k = 3, .stride = 2, .pad = 1};
    nn_val x = nn_conv_bn(n, nn_image_input(n, "input", 3), "head", stem, d->swish_stem ? OP_Silu : OP_Relu);
    stem.stride = 1;
    for (int i = 0; i < d->more_stem; i++) {
        size_t mark = nn_push(n, "head.%d", i + 1);
        x = nn_conv_bn(n, x, "more", stem, OP_Relu);
        nn_pop(n, mark);
    }
    for (int i = 0, at = 0; d->layers[i].repeat; i++)
        for (int r = 0; r < d->layers[i].repeat; r++, at++) {
            size_t mark = nn_push(n, "layer%d", at);
            x = layer(n, x, &d->layers[i], r ? 1 : d->layers[i].stride, d->distilled);
            nn_pop(n, mark);
        }
    x = nn_conv_bn(n, x, "tail", (nn_conv2d){.out = d->distilled ? 1152 : d->head, .k = 1}, OP_Relu);
    if (d->distilled) {
        x = nn_op1(n, OP_GlobalAveragePool, "avgpool", x);
        x = nn_conv(n, x, "tail.conv2", (nn_conv2d){.out = d->head, .k = 1});
        x = nn_flatten(n, nn_op1(n, OP_Relu, "tail.act2", x), "flatten", d->head);
    } else {
        x = nn_global_pool(n, x, "avgpool");
    }
    nn_output(n, nn_fc(n, x, "fc", 1000), "output");
}

/* clang-format off: a table is read by its columns */
static const gpunet_dims gpunet_0 = {.stem = 32,
                                     .head = 1280,
                                     .swish_stem = true,

                                     .layers = {{CONV, 1, 3, 1, 32, 2, false, false},
                                                {FUSED, 5, 3, 2, 32, 2, false, false},
                                                {FUSED, 5, 3, 2, 64, 3, false, false},
                                                {IRB, 5, 3, 2, 256, 3, true, false},
                                                {IRB, 5, 3, 2, 704, 2, false, true}}};
static const gpunet_dims gpunet_1 = {.stem = 24,
                                     .head = 1280,
                                     .swish_stem = true,

                                     .layers = {{CONV, 1, 3, 1, 24, 1, false, false},
                                                {FUSED, 4, 3, 2, 64, 2, true, false},
                                                {FUSED, 4, 3, 2, 96, 2, true, false},
                                                {IRB, 2, 3, 2, 160, 1, true, true},
                                                {IRB, 5, 3, 1, 288, 4, false, false},
                                                {IRB, 4, 3, 2, 448, 4, false, true}}};
static const gpunet_dims gpunet_2 = {.stem = 32,
                                     .head = 1280,
                                     .swish_stem = true,

                                     .layers = {{CONV, 1, 3, 1, 32, 3, false, false},
                                                {FUSED, 6, 5, 2, 32, 1, true, true},
                                                {FUSED, 3, 3, 2, 112, 3, true, false},
                                                {IRB, 6, 3, 2, 144, 6, true, false},
                                                {IRB, 3, 5, 1, 160, 4, false, false},
                                                {IRB, 3, 3, 2, 224, 8, true, true},
                                                {IRB, 2, 5, 1, 832, 7, false, false}}};
static const gpunet_dims gpunet_p0 = {.stem = 32,
                                      .head = 1984,

                                      .layers = {{CONV, 1, 3, 1, 32, 2, false, false},
                                                 {CONV, 1, 3, 2, 64, 1, false, false},
                                                 {IRB, 8, 3, 2, 96, 1, false, false},
                                                 {IRB, 7.67, 3, 1, 96, 2, false, false},
                                                 {IRB, 7.67, 3, 2, 256, 1, false, false},
                                                 {IRB, 4.25, 5, 1, 256, 1, false, false},
                                                 {IRB, 4.75, 3, 1, 256, 1, false, false},
                                                 {IRB, 8, 3, 2, 704, 1, false, false},
                                                 {IRB, 3.82, 5, 1, 704, 1, false, false},
                                                 {IRB, 3.36, 3, 1, 704, 1, false, false},
                                                 {IRB, 2.55, 3, 1, 704, 1, false, false},
                                                 {IRB, 5.73, 3, 2, 704, 1, false, false}}};
static const gpunet_dims gpunet_p1 = {.stem = 32,
                                      .head = 1984,

                                      .layers = {{CONV, 1, 3, 1, 32, 2, false, false},
                                                 {CONV, 1, 5, 2, 64, 1, false, false},
                                                 {IRB, 8, 3, 1, 64, 2, false, false},
                                                 {IRB, 8, 5, 2, 96, 2, false, false},
                                                 {IRB, 8, 5, 2, 256, 1, false, false},
                                                 {IRB, 7.5, 5, 1, 256, 1, false, false},
                                                 {IRB, 7.88, 3, 1, 256, 1, false, false},
                                                 {IRB, 7.88, 5, 2, 704, 1, false, false},
                                                 {IRB, 8, 5, 1, 704, 1, false, false},
                                                 {IRB, 7.41, 3, 1, 704, 1, false, false},
                                                 {IRB, 8, 5, 1, 704, 1, false, false},
                                                 {IRB, 7.95, 5, 2, 704, 1, false, false}}};
static const gpunet_dims gpunet_d1 = {.stem = 33,
                                      .head = 1984,
                                      .distilled = true,

                                      .layers = {{IRB, 1, 3, 1, 33, 1, false, false},
                                                 {IRB, 3, 3, 2, 44, 1, false, false},
                                                 {IRB, 4, 5, 1, 44, 1, false, false},
                                                 {IRB, 3, 3, 1, 44, 1, false, false},
                                                 {IRB, 4, 5, 2, 67, 2, false, false},
                                                 {IRB, 6, 3, 1, 67, 1, false, false},
                                                 {IRB, 3, 5, 1, 67, 1, false, false},
                                                 {IRB, 6, 7, 2, 134, 1, false, false},
                                                 {IRB, 6, 5, 1, 134, 1, false, false},
                                                 {IRB, 3, 3, 1, 134, 1, false, false},
                                                 {IRB, 4, 5, 1, 134, 1, false, false},
                                                 {IRB, 6, 3, 1, 190, 1, false, false},
                                                 {IRB, 6, 5, 1, 190, 1, false, false},
                                                 {IRB, 6, 7, 1, 190, 1, false, false},
                                                 {IRB, 4, 3, 1, 190, 1, false, false},
                                                 {IRB, 6, 3, 2, 268, 2, false, false},
                                                 {IRB, 6, 5, 1, 268, 1, false, false},
                                                 {IRB, 3, 3, 1, 268, 3, false, false}}};
static const gpunet_dims gpunet_d2 = {.stem = 48,
                                      .head = 1984,
                                      .more_stem = 2,
                                      .distilled = true,

                                      .layers = {{IRB, 1, 3, 1, 48, 1, false, false},
                                                 {IRB, 3, 3, 2, 64, 1, false, false},
                                                 {IRB, 4, 5, 1, 64, 1, false, false},
                                                 {IRB, 3, 3, 1, 64, 1, false, false},
                                                 {IRB, 4, 5, 2, 96, 2, false, false},
                                                 {IRB, 6, 3, 1, 96, 1, false, false},
                                                 {IRB, 3, 5, 1, 96, 1, false, false},
                                                 {IRB, 6, 7, 2, 192, 1, false, false},
                                                 {IRB, 6, 5, 1, 192, 1, false, false},
                                                 {IRB, 3, 3, 1, 192, 1, false, false},
                                                 {IRB, 4, 5, 1, 192, 2, false, false},
                                                 {IRB, 6, 3, 1, 272, 1, false, false},
                                                 {IRB, 6, 5, 1, 272, 1, false, false},
                                                 {IRB, 6, 7, 1, 272, 1, false, false},
                                                 {IRB, 6, 5, 1, 272, 1, false, false},
                                                 {IRB, 4, 3, 1, 272, 1, false, false},
                                                 {IRB, 6, 3, 2, 384, 2, false, false},
                                                 {IRB, 6, 5, 1, 384, 1, false, false},
                                                 {IRB, 3, 3, 1, 384, 4, false, false}}};
/* clang-format on */

#define PAPER "https://arxiv.org/abs/2205.00841"
#define ROW(nm, alias, text, params, size, dimensions)                                                             \
    {                                                                                                              \
        .name = nm, .aliases = alias, .family = "cnn", .description = text, .parameters = params, .source = PAPER, \
        .image_size = size, .image_min = 32, .image_step = 1, .build = build, .dims = dimensions                   \
    }

static const zoo_entry rows[] = {
    ROW("gpunet_0", "gpunet gpunet_065ms gpunet_0.65ms", "GPUNet-0 (0.65 ms)", 11900000, 320, &gpunet_0),
    ROW("gpunet_1", "gpunet_085ms gpunet_0.85ms", "GPUNet-1 (0.85 ms)", 12700000, 288, &gpunet_1),
    ROW("gpunet_2", "gpunet_175ms gpunet_1.75ms", "GPUNet-2 (1.75 ms)", 25800000, 384, &gpunet_2),
    ROW("gpunet_p0", "gpunet_05ms-d gpunet_0.5ms-d", "GPUNet-P0 (0.5 ms, distilled)", 22800000, 224, &gpunet_p0),
    ROW("gpunet_p1", "gpunet_08ms-d gpunet_0.8ms-d", "GPUNet-P1 (0.8 ms, distilled)", 39900000, 224, &gpunet_p1),
    ROW("gpunet_d1", "gpunet_125ms-d gpunet_1.25ms-d", "GPUNet-D1 (1.25 ms, distilled)", 10600000, 456, &gpunet_d1),
    ROW("gpunet_d2", "gpunet_225ms-d gpunet_2.25ms-d", "GPUNet-D2 (2.25 ms, distilled)", 19000000, 528, &gpunet_d2),
};

const zoo_table zoo_gpunet = ZOO_TABLE(rows);
