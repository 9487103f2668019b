/* U-Nets (Ronneberger 2015) of the benchmarks: nnU-Net in two and three dimensions (Isensee 2018) as NVIDIA and MLPerf
 * run it, the tiny U-Net for industrial inspection, and V-Net (Milletari 2016) on small volumes. */
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

/* ---- nnU-Net: two convolutions a level, each with instance normalisation and leaky ReLU ---- */

typedef struct nnunet_dims {
    int spatial; /* 2 or 3 */
    int levels;
    int64_t in, classes, widest;
    int ratio[3]; /* the sides, as multiples of image / ratio[2] */
    int last;     /* kernel of the last convolution */
} nnunet_dims;

static nn_val conv_any(nn *n, const nnunet_dims *d, nn_val x, const char *layer, nn_conv2d s)
{
    return d->spatial == 3 ? nn_conv3d(n, x, layer, s) : nn_conv(n, x, layer, s);
}

static nn_val conv_norm(nn *n, const nnunet_dims *d, nn_val x, const char *layer, int64_t out, int stride)
{
    size_t mark = nn_push(n, "%s", layer);
    x = conv_any(n, d, x, "conv", (nn_conv2d){.out = out, .k = 3, .stride = stride, .pad = 1});
    x = nn_op1(n, OP_LeakyRelu, "act", nn_instance_norm(n, x, "norm"));
    nn_pop(n, mark);
    return x;
}

static nn_val level(nn *n, const nnunet_dims *d, nn_val x, int64_t out, int stride)
{
    return conv_norm(n, d, conv_norm(n, d, x, "conv1", out, stride), "conv2", out, 1);
}

static void build_nnunet(nn *n, const void *dims)
{
    enum { MOST = 8 };
    const nnunet_dims *d = dims;
    int64_t sides[3], width[MOST], unit = n->image / d->ratio[d->spatial - 1];
    nn_val skip[MOST];
    for (int i = 0; i < d->spatial; i++) sides[i] = unit * d->ratio[i];
    nn_val x = nn_sized_input(n, "input", d->in, d->spatial, sides);
    for (int i = 0; i < d->levels; i++) {
        size_t mark = nn_push(n, i ? "downsamples.%d" : "input_block.%d", i ? i - 1 : 0);
        width[i] = ((int64_t)32 << i) < d->widest ? (int64_t)32 << i : d->widest;
        x = skip[i] = level(n, d, x, width[i], i ? 2 : 1);
        nn_pop(n, mark);
    }
    for (int i = d->levels - 2; i >= 0; i--) {
        size_t mark = nn_push(n, "upsamples.%d", d->levels - 2 - i);
        nn_conv2d up = {.out = width[i], .k = 2, .stride = 2, .bias = true};
        x = d->spatial == 3 ? nn_conv_transpose3d(n, x, "transp_conv", up) : nn_conv_transpose(n, x, "transp_conv", up);
        x = level(n, d, nn_concat(n, (nn_val[]){x, skip[i]}, 2, 1, "concat"), width[i], 1);
        nn_pop(n, mark);
    }
    x = conv_any(n, d, x, "output_block",
                 (nn_conv2d){.out = d->classes, .k = d->last, .pad = d->last / 2, .bias = true});
    nn_output(n, x, "output");
}

/* ---- the tiny U-Net of NVIDIA's UNet_Industrial: no normalisation ---- */

static nn_val conv_relu(nn *n, nn_val x, const char *layer, int64_t out)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_op1(n, OP_Relu, "act", nn_conv(n, x, "conv", (nn_conv2d){.out = out, .k = 3, .pad = 1, .bias = true}));
    nn_pop(n, mark);
    return x;
}

static nn_val deconv_relu(nn *n, nn_val x, int64_t out)
{
    x = nn_conv_transpose(n, x, "deconv", (nn_conv2d){.out = out, .k = 2, .stride = 2, .bias = true});
    return nn_op1(n, OP_Relu, "deconv.act", x);
}

static void build_industrial(nn *n, const void *dims)
{
    static const int64_t down[4] = {32, 32, 64, 128};
    nn_val skip[4], x = nn_image_input(n, "input", 1);
    (void)dims;
    for (int i = 0; i < 5; i++) {
        size_t mark = nn_push(n, "down%d", i);
        int64_t width = i < 4 ? down[i] : 256;
        x = conv_relu(n, conv_relu(n, x, "conv1", width), "conv2", width);
        if (i < 4) {
            skip[i] = x;
            x = nn_pool(n, x, OP_MaxPool, "pool", 2, 2, 0);
        } else {
            x = deconv_relu(n, x, 128);
        }
        nn_pop(n, mark);
    }
    for (int i = 3; i >= 0; i--) {
        size_t mark = nn_push(n, "up%d", 3 - i);
        x = conv_relu(n, nn_concat(n, (nn_val[]){x, skip[i]}, 2, 1, "concat"), "conv1", down[i]);
        x = conv_relu(n, x, "conv2", i ? down[i] / 2 : down[i]);
        if (i) x = deconv_relu(n, x, down[i] / 2);
        nn_pop(n, mark);
    }
    x = nn_conv(n, x, "logits", (nn_conv2d){.out = 1, .k = 1, .bias = true});
    nn_output(n, nn_op1(n, OP_Sigmoid, "sigmoid", x), "output");
}

/* ---- the paper's U-Net: unpadded convolutions, so that what is skipped is cut to size ---- */

static nn_val valid_twice(nn *n, nn_val x, int64_t width)
{
    static const char *const conv[2] = {"conv1", "conv2"}, *const act[2] = {"act1", "act2"};
    for (int i = 0; i < 2; i++)
        x = nn_op1(n, OP_Relu, act[i], nn_conv(n, x, conv[i], (nn_conv2d){.out = width, .k = 3, .bias = true}));
    return x;
}

static nn_val cropped(nn *n, nn_val x, int64_t side, int64_t to)
{
    int64_t at = (side - to) / 2;
    uint32_t in[4] = {x.t};
    in[1] = nn_ints(n, "crop", ".starts", (int64_t[]){at, at}, 2);
    in[2] = nn_ints(n, "crop", ".ends", (int64_t[]){at + to, at + to}, 2);
    in[3] = nn_ints(n, "crop", ".axes", (int64_t[]){2, 3}, 2);
    return nn_op(n, OP_Slice, "crop", in, 4, x.c);
}

static void build_medical(nn *n, const void *dims)
{
    nn_val skip[4], x = nn_image_input(n, "input", 1);
    int64_t side = n->image, sides[4];
    (void)dims;
    for (int i = 0; i < 5; i++) {
        size_t mark = nn_push(n, "down%d", i);
        x = valid_twice(n, x, (int64_t)64 << i);
        side -= 4;
        if (i < 4) {
            skip[i] = x;
            sides[i] = side;
            x = nn_pool(n, x, OP_MaxPool, "pool", 2, 2, 0);
            side /= 2;
        }
        nn_pop(n, mark);
    }
    for (int i = 3; i >= 0; i--) {
        size_t mark = nn_push(n, "up%d", 3 - i);
        int64_t width = (int64_t)64 << i;
        x = nn_conv_transpose(n, x, "deconv", (nn_conv2d){.out = width, .k = 3, .stride = 2, .pad = 1, .bias = true});
        nn_attr_ints(n, ATTR_output_padding, 2, (int64_t[]){1, 1});
        x = nn_op1(n, OP_Relu, "deconv.act", x);
        side *= 2;
        x = nn_concat(n, (nn_val[]){x, cropped(n, skip[i], sides[i], side)}, 2, 1, "concat");
        x = valid_twice(n, x, width);
        side -= 4;
        nn_pop(n, mark);
    }
    nn_output(n, nn_conv(n, x, "logits", (nn_conv2d){.out = 2, .k = 1, .bias = true}), "output");
}

/* ---- V-Net, as in NVIDIA's VNet: three levels, residual blocks, the hippocampus in 32 x 32 x 32 ---- */

static nn_val conv3d_bn(nn *n, nn_val x, const char *layer, nn_conv2d s)
{
    size_t mark = nn_push(n, "%s", layer);
    s.bias = true;
    x = s.k == 2 && s.stride == -2
          ? nn_conv_transpose3d(n, x, "conv", (nn_conv2d){.out = s.out, .k = 2, .stride = 2, .bias = true})
          : nn_conv3d(n, x, "conv", s);
    x = nn_op1(n, OP_Relu, "act", nn_batch_norm(n, x, "bn"));
    nn_pop(n, mark);
    return x;
}

static nn_val residual(nn *n, nn_val x)
{
    static const char *const conv[3] = {"conv0", "conv1", "conv2"};
    nn_val y = x;
    for (int i = 0; i < 3; i++) y = conv3d_bn(n, y, conv[i], (nn_conv2d){.out = x.c, .k = 3, .pad = 1});
    return nn_add(n, y, x, "add");
}

static void build_vnet(nn *n, const void *dims)
{
    nn_val skip[4];
    (void)dims;
    nn_val x = nn_sized_input(n, "input", 1, 3, (int64_t[]){n->image, n->image, n->image});
    nn_val y = conv3d_bn(n, x, "input_block", (nn_conv2d){.out = 16, .k = 3, .pad = 1});
    x = skip[0] = nn_add(n, y, x, "input_block.add");
    for (int i = 1; i < 4; i++) {
        size_t mark = nn_push(n, "down%d", i);
        x = conv3d_bn(n, x, "pool", (nn_conv2d){.out = 2 * x.c, .k = 2, .stride = 2});
        x = skip[i] = residual(n, x);
        nn_pop(n, mark);
    }
    for (int i = 2; i >= 1; i--) {
        size_t mark = nn_push(n, "up%d", i);
        x = conv3d_bn(n, x, "upsample", (nn_conv2d){.out = skip[i].c, .k = 2, .stride = -2});
        x = residual(n, nn_concat(n, (nn_val[]){x, skip[i]}, 2, 1, "concat"));
        nn_pop(n, mark);
    }
    x = conv3d_bn(n, x, "output.upsample", (nn_conv2d){.out = 16, .k = 2, .stride = -2});
    x = nn_conv3d(n, x, "output.conv", (nn_conv2d){.out = 3, .k = 3, .pad = 1, .bias = true});
    x = nn_op1(n, OP_Softmax, "softmax", x);
    nn_attr(n, ATTR_axis, 1);
    nn_output(n, x, "output");
}

#define DLE "https://github.com/NVIDIA/DeepLearningExamples/tree/master/"
#define MLPERF "https://github.com/mlcommons/inference/tree/master/vision/medical_imaging"
#define ROW(nm, alias, text, params, src, size, smallest, builder, dimensions)                              \
    {                                                                                                       \
        .name = nm, .aliases = alias, .family = "segmentation", .description = text, .parameters = params,  \
        .source = src, .image_size = size, .image_min = smallest, .image_step = smallest, .build = builder, \
        .dims = dimensions                                                                                  \
    }

static const zoo_entry rows[] = {
    ROW("nnunet_2d", "nnunet2d", "nnU-Net in two dimensions, BraTS slices of 192 x 160", 20600000,
        DLE "PyTorch/Segmentation/nnUNet", 160, 160, build_nnunet, ZOO_DIMS(nnunet_dims, {2, 6, 4, 4, 512, {6, 5}, 1})),
    ROW("nnunet_3d", "nnunet nnunet3d", "nnU-Net in three dimensions, BraTS patches of 128 x 128 x 128", 31200000,
        DLE "PyTorch/Segmentation/nnUNet", 128, 64, build_nnunet,
        ZOO_DIMS(nnunet_dims, {3, 6, 4, 4, 320, {1, 1, 1}, 1})),
    ROW("3d-unet", "3d-unet-brats 3d-unet-brats19 unet3d-brats",
        "3D U-Net of MLPerf Inference v0.7 to v1.1, BraTS volumes of 224 x 224 x 160", 31200000, MLPERF, 160, 160,
        build_nnunet, ZOO_DIMS(nnunet_dims, {3, 6, 4, 4, 320, {7, 7, 5}, 1})),
    ROW("3d-unet-kits19", "unet3d 3dunet-kits19",
        "3D U-Net of MLPerf Inference since v2.0, one KiTS19 window of 128 x 128 x 128", 31200000, MLPERF, 128, 64,
        build_nnunet, ZOO_DIMS(nnunet_dims, {3, 6, 1, 3, 320, {1, 1, 1}, 1})),
    ROW("unet_3d_medical", "unet3d_medical", "3D U-Net of NVIDIA's UNet_3D_Medical, BraTS patches of 128 x 128 x 128",
        31200000, DLE "TensorFlow/Segmentation/UNet_3D_Medical", 128, 64, build_nnunet,
        ZOO_DIMS(nnunet_dims, {3, 6, 4, 4, 320, {1, 1, 1}, 3})),
    ROW("unet_medical", "", "U-Net of NVIDIA's UNet_Medical, unpadded: 388 x 388 from 572 x 572", 34500000,
        DLE "TensorFlow/Segmentation/UNet_Medical", 572, 572, build_medical, NULL),
    ROW("unet_industrial", "tinyunet", "Tiny U-Net for industrial inspection", 1850000,
        DLE "TensorFlow/Segmentation/UNet_Industrial", 512, 16, build_industrial, NULL),
    ROW("vnet", "v-net", "V-Net, hippocampus in volumes of 32 x 32 x 32", 3600000, DLE "TensorFlow/Segmentation/VNet",
        32, 8, build_vnet, NULL),
};

const zoo_table zoo_segment_unet = ZOO_TABLE(rows);
