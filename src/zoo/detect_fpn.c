/* Detectors on a feature pyramid (Lin 2016): RetinaNet (Lin 2017) as in torchvision, in MLPerf Inference and, at 320
 * pixels with lighter heads, in TensorFlow's detection zoo; Faster R-CNN (Ren 2015) as in torchvision, Mask R-CNN (He
 * 2017) as in maskrcnn-benchmark. */
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

enum { LEVELS = 5, WIDTH = 256 };

/* Operations of the published codes for the boxes of an image, by reading them: torchvision's RetinaNet for each level; for each class
 * TensorFlow's object detection API (multiclass_non_max_suppression), and maskrcnn-benchmark (filter_results). */
enum { LEVEL_CALLS = 30, OD_API = 15, FILTER_RESULTS = 12 };

static const nn_resnet resnet50 = {{3, 4, 6, 3}, true, 0, 0, 0}, resnext50 = {{3, 4, 6, 3}, true, 32, 4, 0};

/* ---- RetinaNet ---- */

typedef struct retina_dims {
    const nn_resnet *trunk;
    int64_t classes, anchors;
    bool tensorflow; /* batch normalisation of each level, ReLU6 and no bias in the heads; the top map as it comes */
    int64_t most;    /* boxes after suppression; 0: the model ends before it */
} retina_dims;

/* Four shared convolutions and a predictor over all levels, as [batch, boxes, each]. */
static nn_val retina_head(nn *n, const nn_val *maps, const char *kind, const retina_dims *d, int64_t each)
{
    static const char *const conv[4] = {"conv0", "conv1", "conv2", "conv3"},
                             *const act[4] = {"act0", "act1", "act2", "act3"},
                             *const bn[4] = {"bn0", "bn1", "bn2", "bn3"};
    nn_shared_conv tower[4], last;
    nn_val out[LEVELS];
    size_t head = nn_push(n, "head.%s", kind);
    nn_conv2d s = {.out = WIDTH, .k = 3, .pad = 1, .bias = !d->tensorflow};
    for (int i = 0; i < 4; i++) tower[i] = nn_shared_conv_make(n, conv[i], WIDTH, s);
    s.out = d->anchors * each;
    s.bias = true;
    last = nn_shared_conv_make(n, "predictor", WIDTH, s);
    for (int l = 0; l < LEVELS; l++) {
        size_t mark = nn_push(n, "p%d", l + 3);
        nn_val x = maps[l];
        for (int i = 0; i < 4; i++) {
            x = nn_shared_conv_use(n, x, conv[i], &tower[i]);
            if (d->tensorflow) x = nn_batch_norm(n, x, bn[i]);
            x = nn_act(n, x, d->tensorflow ? OP_Clip : OP_Relu, act[i]);
        }
        out[l] = nn_boxes_view(n, nn_shared_conv_use(n, x, "predictor", &last), "view", each);
        nn_pop(n, mark);
    }
    nn_val all = nn_concat(n, out, LEVELS, 1, "concat");
    nn_pop(n, head);
    all.c = each;
    return all;
}

static void build_retina(nn *n, const void *dims)
{
    const retina_dims *d = dims;
    nn_val stages[4], maps[LEVELS];
    nn_conv2d down = {.out = WIDTH, .k = 3, .stride = 2, .pad = 1, .bias = true};
    nn_resnet_features(n, nn_image_input(n, "input", 3), d->trunk, (nn_resnet_cut){.stages = 4}, stages);
    for (int i = 0; i < 3; i++) maps[i] = stages[i + 1];
    nn_feature_pyramid(n, maps, 3, WIDTH, !d->tensorflow);
    if (d->tensorflow) {
        down.bias = false;
        maps[3] = nn_conv_bn(n, maps[2], "p6", down, OP_Clip);
        maps[4] = nn_conv_bn(n, maps[3], "p7", down, OP_Clip);
    } else {
        maps[3] = nn_conv(n, maps[2], "fpn.p6", down);
        maps[4] = nn_conv(n, nn_op1(n, OP_Relu, "fpn.p6.act", maps[3]), "fpn.p7", down);
    }
    nn_val scores = retina_head(n, maps, "classification", d, d->classes);
    nn_val boxes = retina_head(n, maps, "regression", d, 4);
    scores = nn_op1(n, OP_Sigmoid, "sigmoid", scores);
    if (d->most) {
        nn_output_detections(
            n, boxes, scores,
            (nn_suppression){d->most, d->tensorflow ? OD_API * (d->classes - 1) : LEVEL_CALLS * LEVELS});
        return;
    }
    nn_output(n, boxes, "boxes");
    nn_output(n, scores, "scores");
}

/* ---- Faster and Mask R-CNN: 1000 proposals and 100 detections an image, as the configuration has them at most ---- */

/* Both go through the levels for proposals. torchvision then takes an image's classes together. */
enum { PROPOSALS = 1000, DETECTIONS = 100, POOLED = 7, MASK_POOLED = 14, PROPOSAL_CALLS = 10, IMAGE_CALLS = 60 };

typedef struct rcnn_dims {
    int64_t classes;
    bool masks;
} rcnn_dims;

/* One convolution over all levels gives objectness and shifts of 3 anchors a place; the best 1000 of each level are
 * suppressed to 1000 in all: [batch, 1000, 4]. */
static nn_val proposals(nn *n, const nn_val *maps)
{
    nn_val boxes[LEVELS], scores[LEVELS];
    size_t head = nn_push(n, "rpn");
    nn_shared_conv conv = nn_shared_conv_make(n, "conv", WIDTH,
                                              (nn_conv2d){.out = WIDTH, .k = 3, .pad = 1, .bias = true}),
                   logits = nn_shared_conv_make(n, "cls_logits", WIDTH, (nn_conv2d){.out = 3, .k = 1, .bias = true}),
                   shifts = nn_shared_conv_make(n, "bbox_pred", WIDTH, (nn_conv2d){.out = 12, .k = 1, .bias = true});
    for (int l = 0; l < LEVELS; l++) {
        size_t mark = nn_push(n, "p%d", l + 2);
        nn_val x = nn_op1(n, OP_Relu, "act", nn_shared_conv_use(n, maps[l], "conv", &conv));
        nn_val score = nn_boxes_view(n, nn_shared_conv_use(n, x, "cls_logits", &logits), "scores", 1);
        nn_val box = nn_boxes_view(n, nn_shared_conv_use(n, x, "bbox_pred", &shifts), "boxes", 4);
        score = nn_op1(n, OP_Sigmoid, "sigmoid", score);
        if (l < 3) { /* the smaller levels have fewer than 1000 */
            uint32_t in[2] = {score.t, nn_ints(n, "topk", ".k", (int64_t[]){PROPOSALS}, 1)}, out[2];
            nn_emit(n, OP_TopK, "topk", in, 2, out, 2);
            nn_attr(n, ATTR_axis, 1);
            nn_val at = {out[1], 1}; /* the same index for the four numbers of a box */
            at = nn_concat(n, (nn_val[]){at, at, at, at}, 4, 2, "index");
            box = nn_op2(n, OP_GatherElements, "best", box, at.t);
            nn_attr(n, ATTR_axis, 1);
            score.t = out[0];
        }
        boxes[l] = box;
        scores[l] = score;
        nn_pop(n, mark);
    }
    nn_val box = nn_concat(n, boxes, LEVELS, 1, "boxes"), score = nn_concat(n, scores, LEVELS, 1, "scores");
    box = nn_suppress(n, box, score, "nms", (nn_suppression){PROPOSALS, PROPOSAL_CALLS * LEVELS});
    nn_pop(n, head);
    return box;
}

/* Each region is read from the level of its size; a quarter of them from each, which changes no work. */
static nn_val pooled_regions(nn *n, const nn_val *maps, nn_val boxes, int64_t size, const char *layer)
{
    static const char *const level[4] = {"p2", "p3", "p4", "p5"};
    nn_val part[4], out[4];
    size_t mark = nn_push(n, "%s", layer);
    nn_split(n, boxes, "levels", 1, 4, part);
    for (int l = 0; l < 4; l++) {
        size_t inner = nn_push(n, "%s", level[l]);
        nn_val b = nn_reshape(n, part[l], "boxes", 2, (int64_t[]){-1, 4}, 4);
        nn_val image = nn_reshape(n, nn_pick(n, part[l], "image", 2, 0), "image.flat", 1, (int64_t[]){-1}, 1);
        uint32_t in[3] = {maps[l].t, b.t, NO_TENSOR}, t;
        nn_val index = nn_op1(n, OP_Cast, "image.cast", image);
        nn_attr(n, ATTR_to, 7); /* ONNX's number for int64 */
        in[2] = index.t;
        nn_emit(n, OP_RoiAlign, "align", in, 3, &t, 1);
        nn_attr(n, ATTR_output_height, size);
        nn_attr(n, ATTR_output_width, size);
        out[l] = (nn_val){t, WIDTH};
        nn_pop(n, inner);
    }
    nn_val x = nn_concat(n, out, 4, 0, "concat");
    nn_pop(n, mark);
    x.c = WIDTH;
    return x;
}

static void masks(nn *n, const nn_val *maps, nn_val boxes, int64_t classes)
{
    static const char *const conv[4] = {"conv0", "conv1", "conv2", "conv3"}, *const act[4] = {"act0", "act1", "act2",
                                                                                              "act3"};
    int64_t side = 2 * MASK_POOLED;
    size_t mark = nn_push(n, "mask");
    nn_val x = pooled_regions(n, maps, boxes, MASK_POOLED, "pool");
    for (int i = 0; i < 4; i++) {
        x = nn_conv(n, x, conv[i], (nn_conv2d){.out = WIDTH, .k = 3, .pad = 1, .bias = true});
        x = nn_op1(n, OP_Relu, act[i], x);
    }
    x = nn_conv_transpose(n, x, "deconv", (nn_conv2d){.out = WIDTH, .k = 2, .stride = 2, .bias = true});
    x = nn_conv(n, nn_op1(n, OP_Relu, "act", x), "logits", (nn_conv2d){.out = classes, .k = 1, .bias = true});
    x = nn_op1(n, OP_Sigmoid, "sigmoid", x);
    x = nn_reshape(n, x, "view", 5, (int64_t[]){-1, DETECTIONS, classes, side, side}, classes);
    nn_pop(n, mark);
    nn_output(n, x, "masks");
}

static void build_rcnn(nn *n, const void *dims)
{
    const rcnn_dims *d = dims;
    nn_val stages[4], maps[LEVELS];
    int64_t step = n->image / 42; /* the picture is 25 by 42 of these: 800 x 1344 */
    nn_val x = nn_sized_input(n, "input", 3, 2, (int64_t[]){step * 25, n->image});
    nn_resnet_features(n, x, &resnet50, (nn_resnet_cut){.stages = 4}, stages);
    for (int i = 0; i < 4; i++) maps[i] = stages[i];
    nn_feature_pyramid(n, maps, 4, WIDTH, true);
    maps[4] = nn_pool(n, maps[3], OP_MaxPool, "fpn.p6", 1, 2, 0);
    nn_val boxes = proposals(n, maps);
    size_t mark = nn_push(n, "box");
    x = pooled_regions(n, maps, boxes, POOLED, "pool");
    x = nn_flatten(n, x, "flatten", WIDTH * POOLED * POOLED);
    x = nn_op1(n, OP_Relu, "act6", nn_fc(n, x, "fc6", 1024));
    x = nn_op1(n, OP_Relu, "act7", nn_fc(n, x, "fc7", 1024));
    nn_val scores = nn_op1(n, OP_Softmax, "softmax", nn_fc(n, x, "cls_score", d->classes));
    nn_attr(n, ATTR_axis, -1);
    nn_val shifts = nn_fc(n, x, "bbox_pred", 4 * d->classes);
    scores = nn_reshape(n, scores, "scores", 3, (int64_t[]){-1, PROPOSALS, d->classes}, d->classes);
    shifts = nn_reshape(n, shifts, "shifts", 3, (int64_t[]){-1, PROPOSALS * d->classes, 4}, 4);
    nn_suppression keep = {DETECTIONS, d->masks ? FILTER_RESULTS * (d->classes - 1) : IMAGE_CALLS};
    boxes = nn_suppress(n, shifts, scores, "nms", keep);
    nn_pop(n, mark);
    nn_output(n, boxes, "detection_boxes");
    if (d->masks) masks(n, maps, boxes, d->classes);
}

/* torchvision's counts go without the scales and shifts of its frozen batch normalisations. */
enum { FROZEN = 53120 };

#define TF_ZOO "https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf1_detection_zoo.md"
#define ROW(nm, alias, text, params, src, size, smallest, step, builder, dimensions)                                   \
    {                                                                                                                  \
        .name = nm, .aliases = alias, .family = "detection", .description = text, .parameters = params, .source = src, \
        .image_size = size, .image_min = smallest, .image_step = step, .build = builder, .dims = dimensions            \
    }

static const zoo_entry rows[] = {
    ROW("retinanet_resnet50_fpn", "retinanet retinanet_r50_fpn", "RetinaNet on ResNet-50, COCO", 34014999 + FROZEN,
        ZOO_TORCHVISION, 800, 128, 32, build_retina, ZOO_DIMS(retina_dims, {&resnet50, 91, 9, false, 300})),
    ROW("retinanet_resnext50_32x4d_fpn", "retinanet-mlperf retinanet_resnext50",
        "RetinaNet on ResNeXt-50 of MLPerf Inference, OpenImages", 37100000,
        "https://github.com/mlcommons/inference/tree/master/vision/classification_and_detection", 800, 128, 32,
        build_retina, ZOO_DIMS(retina_dims, {&resnext50, 264, 9, false, 1000})),
    ROW("ssd320_resnet50_fpn", "ssd320 ssd_resnet50_fpn ssd_resnet50_v1_fpn_320",
        "SSD on ResNet-50 with a feature pyramid, COCO", 32900000, TF_ZOO, 320, 128, 32, build_retina,
        ZOO_DIMS(retina_dims, {&resnet50, 91, 6, true, 100})),
    ROW("fasterrcnn_resnet50_fpn", "faster_rcnn faster_rcnn_r50_fpn faster_rcnn_resnet50_fpn",
        "Faster R-CNN on ResNet-50 with a feature pyramid, 1000 proposals, 800 x 1344 pixels", 41755286 + FROZEN,
        ZOO_TORCHVISION, 1344, 1344, 1344, build_rcnn, ZOO_DIMS(rcnn_dims, {91, false})),
    ROW("mask_rcnn_r50_fpn", "mask_rcnn maskrcnn mask_rcnn_resnet50_fpn maskrcnn_resnet50_fpn",
        "Mask R-CNN on ResNet-50 with a feature pyramid, 1000 proposals, 800 x 1344 pixels",
        44401393 - 10 * (5 * 1025 + 257) + FROZEN, ZOO_TORCHVISION, 1344, 1344, 1344, build_rcnn,
        ZOO_DIMS(rcnn_dims, {81, true})),
};

const zoo_table zoo_detect_fpn = ZOO_TABLE(rows);
