/* Detection and segmentation: SSD with MobileNet v1 (Liu 2015, Howard 2017), U-Net (Ronneberger 2015). */
#include "zoo/nn_mobile.h"
#include "zoo/tables.h"

/* ---- SSD-MobileNet v1, as in TensorFlow's detection zoo and MLPerf: COCO's 90 classes and the background ---- */

enum { SSD_CLASSES = 91, SSD_MAPS = 6 };

/* A 1x1 convolution per map and kind, as [batch, boxes, of each]. */
static nn_val predictor(nn *n, nn_val x, const char *kind, int map, int64_t anchors, int64_t each)
{
    size_t mark = nn_push(n, "box_predictor.%d.%s", map, kind);
    x = nn_conv(n, x, "conv", (nn_conv2d){.out = anchors * each, .k = 1, .bias = true});
    x = nn_transpose(n, x, "transpose", 4, (int64_t[]){0, 2, 3, 1});
    x = nn_reshape(n, x, "reshape", 3, (int64_t[]){0, -1, each}, each);
    nn_pop(n, mark);
    return x;
}

static void build_ssd(nn *n, const void *dims)
{
    static const int64_t extra[4] = {512, 256, 256, 128};
    nn_val maps[SSD_MAPS], boxes[SSD_MAPS], scores[SSD_MAPS];
    (void)dims;
    nn_val x = nn_image_input(n, "image", 3);
    x = nn_conv_bn(n, x, "conv0", (nn_conv2d){.out = 32, .k = 3, .stride = 2, .pad = 1}, OP_Clip);
    maps[0] = nn_mobilenet_v1_blocks(n, x, 1, 11);
    maps[1] = x = nn_mobilenet_v1_blocks(n, maps[0], 12, 13);
    for (int i = 0; i < 4; i++) {
        size_t mark = nn_push(n, "extra%d", i);
        x = nn_conv_bn(n, x, "1x1", (nn_conv2d){.out = extra[i] / 2, .k = 1}, OP_Clip);
        x = nn_conv_bn(n, x, "3x3", (nn_conv2d){.out = extra[i], .k = 3, .stride = 2, .pad = 1}, OP_Clip);
        nn_pop(n, mark);
        maps[i + 2] = x;
    }
    for (int i = 0; i < SSD_MAPS; i++) {
        int64_t anchors = i ? 6 : 3;
        boxes[i] = predictor(n, maps[i], "boxes", i, anchors, 4);
        scores[i] = predictor(n, maps[i], "classes", i, anchors, SSD_CLASSES);
    }
    nn_output(n, nn_concat(n, boxes, SSD_MAPS, 1, "boxes"), "boxes");
    x = nn_concat(n, scores, SSD_MAPS, 1, "classes");
    nn_output(n, nn_op1(n, OP_Sigmoid, "sigmoid", x), "scores");
}

/* ---- U-Net, with padded convolutions and batch normalisation as in milesial/Pytorch-UNet ---- */

static nn_val double_conv(nn *n, nn_val x, int64_t out)
{
    x = nn_conv_bn(n, x, "double_conv.1", (nn_conv2d){.out = out, .k = 3, .pad = 1}, OP_Relu);
    return nn_conv_bn(n, x, "double_conv.2", (nn_conv2d){.out = out, .k = 3, .pad = 1}, OP_Relu);
}

static void build_unet(nn *n, const void *dims)
{
    nn_val skip[4];
    (void)dims;
    nn_val x = nn_image_input(n, "input", 3);
    for (int i = 0; i < 5; i++) {
        size_t mark = nn_push(n, "down%d", i);
        if (i) x = nn_pool(n, x, OP_MaxPool, "maxpool", 2, 2, 0);
        x = double_conv(n, x, (int64_t)64 << i);
        if (i < 4) skip[i] = x;
        nn_pop(n, mark);
    }
    for (int i = 3; i >= 0; i--) {
        size_t mark = nn_push(n, "up%d", 4 - i);
        x = nn_conv_transpose(n, x, "up", (nn_conv2d){.out = (int64_t)64 << i, .k = 2, .stride = 2, .bias = true});
        x = nn_concat(n, (nn_val[]){skip[i], x}, 2, 1, "concat");
        x = double_conv(n, x, (int64_t)64 << i);
        nn_pop(n, mark);
    }
    nn_output(n, nn_conv(n, x, "outc", (nn_conv2d){.out = 2, .k = 1, .bias = true}), "output");
}

/* SSD: Open Model Zoo counts 6.807 M with batch normalisation folded; apart, its scales are 12672 more. */
static const zoo_entry rows[] = {
    {.name = "ssd_mobilenet_v1",
     .aliases = "ssd-mobilenet ssd_mobilenet_v1_coco ssd",
     .family = "detection",
     .description = "SSD-MobileNet v1, COCO (boxes and scores, before non-maximum suppression)",
     .parameters = 6807000 + 12672,
     .source = "https://docs.openvino.ai/2023.3/omz_models_model_ssd_mobilenet_v1_coco.html",
     .image_size = 300,
     .image_min = 64,
     .image_step = 1,
     .build = build_ssd},
    {.name = "unet",
     .aliases = "u-net",
     .family = "segmentation",
     .description = "U-Net, 2 classes",
     .parameters = 31037698,
     .source = "https://github.com/milesial/Pytorch-UNet",
     .image_size = 512,
     .image_min = 16,
     .image_step = 16,
     .build = build_unet},
};

const zoo_table zoo_vision_tasks = ZOO_TABLE(rows);
