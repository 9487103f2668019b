/* YOLOv5 (v6 and later of ultralytics/yolov5) and YOLOv8 (ultralytics/ultralytics): one table of layers, scaled in
 * width and depth. They end in boxes and scores of all places, before non-maximum suppression. */
#include "zoo/nn_mobile.h"
#include "zoo/nn_vision.h"
#include "zoo/tables.h"

enum { CLASSES = 80, LEVELS = 3, BINS = 16 };

typedef struct yolo_dims {
    double depth, width;
    int64_t widest; /* before scaling */
    bool v8;
} yolo_dims;

typedef struct yolo {
    nn *n;
    const yolo_dims *d;
} yolo;

static int64_t scaled(const yolo *y, int64_t c)
{
    return nn_divisible((double)(c < y->d->widest ? c : y->d->widest) * y->d->width, 8);
}

static nn_val conv(nn *n, nn_val x, const char *layer, int64_t out, int k, int stride)
{
    return nn_conv_bn(n, x, layer, (nn_conv2d){.out = out, .k = k, .stride = stride, .pad = (k - 1) / 2}, OP_Silu);
}

static nn_val bottleneck(nn *n, nn_val x, int i, int first, bool shortcut)
{
    size_t mark = nn_push(n, "m.%d", i);
    nn_val y = conv(n, conv(n, x, "cv1", x.c, first, 1), "cv2", x.c, 3, 1);
    if (shortcut) y = nn_add(n, x, y, "add");
    nn_pop(n, mark);
    return y;
}

/* C3 of v5: two branches, one with bottlenecks. C2f of v8: every bottleneck's result is kept. */
static nn_val stage(const yolo *y, nn_val x, const char *layer, int64_t width, int blocks, bool shortcut)
{
    nn *n = y->n;
    int64_t out = scaled(y, width), half = out / 2;
    int count = (int)fmax(floor(blocks * y->d->depth + 0.5), 1);
    nn_val part[16];
    size_t mark = nn_push(n, "%s", layer);
    if (y->d->v8) {
        nn_split(n, conv(n, x, "cv1", 2 * half, 1, 1), "split", 1, 2, part);
        for (int i = 0; i < count; i++) part[i + 2] = bottleneck(n, part[i + 1], i, 3, shortcut);
        x = conv(n, nn_concat(n, part, (uint32_t)count + 2, 1, "concat"), "cv2", out, 1, 1);
    } else {
        part[0] = conv(n, x, "cv1", half, 1, 1);
        for (int i = 0; i < count; i++) part[0] = bottleneck(n, part[0], i, 1, shortcut);
        part[1] = conv(n, x, "cv2", half, 1, 1);
        x = conv(n, nn_concat(n, part, 2, 1, "concat"), "cv3", out, 1, 1);
    }
    nn_pop(n, mark);
    return x;
}

static nn_val pyramid_pool(const yolo *y, nn_val x)
{
    static const char *const pool[4] = {"", "pool1", "pool2", "pool3"};
    nn *n = y->n;
    nn_val part[4];
    int64_t out = x.c;
    size_t mark = nn_push(n, "sppf");
    part[0] = conv(n, x, "cv1", x.c / 2, 1, 1);
    for (int i = 1; i < 4; i++) part[i] = nn_pool(n, part[i - 1], OP_MaxPool, pool[i], 5, 1, 2);
    x = conv(n, nn_concat(n, part, 4, 1, "concat"), "cv2", out, 1, 1);
    nn_pop(n, mark);
    return x;
}

static nn_val down(const yolo *y, nn_val x, const char *layer, int64_t width)
{
    return conv(y->n, x, layer, scaled(y, width), 3, 2);
}

static nn_val join(const yolo *y, nn_val a, nn_val b, const char *layer)
{
    return nn_concat(y->n, (nn_val[]){a, b}, 2, 1, layer);
}

/* Maps of 1/8, 1/16 and 1/32. */
static void features(const yolo *y, nn_val x, nn_val maps[LEVELS])
{
    nn *n = y->n;
    int middle = y->d->v8 ? 6 : 9;
    x = conv(n, x, "0", scaled(y, 64), y->d->v8 ? 3 : 6, 2);
    x = stage(y, down(y, x, "1", 128), "2", 128, 3, true);
    nn_val p3 = stage(y, down(y, x, "3", 256), "4", 256, 6, true);
    nn_val p4 = stage(y, down(y, p3, "5", 512), "6", 512, middle, true);
    nn_val p5 = pyramid_pool(y, stage(y, down(y, p4, "7", 1024), "8", 1024, 3, true));
    if (!y->d->v8) p5 = conv(n, p5, "10", scaled(y, 512), 1, 1);
    nn_val mid = stage(y, join(y, nn_resize(n, p5, "up1", 2, "nearest"), p4, "join1"), "13", 512, 3, false);
    if (!y->d->v8) mid = conv(n, mid, "14", scaled(y, 256), 1, 1);
    maps[0] = stage(y, join(y, nn_resize(n, mid, "up2", 2, "nearest"), p3, "join2"), "17", 256, 3, false);
    maps[1] = stage(y, join(y, down(y, maps[0], "18", 256), mid, "join3"), "20", 512, 3, false);
    maps[2] = stage(y, join(y, down(y, maps[1], "21", 512), p5, "join4"), "23", 1024, 3, false);
}

/* v5: three anchors a place, each 4 numbers, whether something is there, and 80 classes. */
static void detect_anchors(nn *n, const nn_val maps[LEVELS])
{
    enum { ANCHORS = 3, EACH = 5 + CLASSES };
    nn_val out[LEVELS];
    for (int l = 0; l < LEVELS; l++) {
        size_t mark = nn_push(n, "detect.%d", l);
        int64_t side = n->image >> (l + 3);
        nn_val x = nn_conv(n, maps[l], "conv", (nn_conv2d){.out = ANCHORS * EACH, .k = 1, .bias = true});
        x = nn_reshape(n, x, "view", 5, (int64_t[]){0, ANCHORS, EACH, side, side}, EACH);
        x = nn_transpose(n, x, "permute", 5, (int64_t[]){0, 1, 3, 4, 2});
        x = nn_op1(n, OP_Sigmoid, "sigmoid", x);
        x = nn_op2(n, OP_Mul, "decode", x,
                   nn_floats(n, "stride", (double[]){8 << l}, 1)); /* of the boxes: one kernel */
        out[l] = nn_reshape(n, x, "flat", 3, (int64_t[]){0, -1, EACH}, EACH);
        nn_pop(n, mark);
    }
    nn_output(n, nn_concat(n, out, LEVELS, 1, "detect.concat"), "output");
}

/* v8: towers for 16 bins of each side of a box, and for classes. */
static void detect_free(nn *n, const nn_val maps[LEVELS])
{
    int64_t first = maps[0].c, box = first / 4 > 64 ? first / 4 : 64, cls = first > CLASSES ? first : CLASSES;
    nn_val out[LEVELS], part[2];
    for (int l = 0; l < LEVELS; l++) {
        size_t mark = nn_push(n, "detect.%d", l);
        nn_val x = conv(n, conv(n, maps[l], "cv2.0", box, 3, 1), "cv2.1", box, 3, 1);
        part[0] = nn_conv(n, x, "cv2.2", (nn_conv2d){.out = 4 * BINS, .k = 1, .bias = true});
        x = conv(n, conv(n, maps[l], "cv3.0", cls, 3, 1), "cv3.1", cls, 3, 1);
        part[1] = nn_conv(n, x, "cv3.2", (nn_conv2d){.out = CLASSES, .k = 1, .bias = true});
        out[l] = nn_reshape(n, nn_concat(n, part, 2, 1, "concat"), "view", 3, (int64_t[]){0, 4 * BINS + CLASSES, -1},
                            0);
        out[l].c = 4 * BINS + CLASSES;
        nn_pop(n, mark);
    }
    nn_val all = nn_concat(n, out, LEVELS, 2, "detect.concat");
    uint32_t sizes = nn_ints(n, "detect.split", ".sizes", (int64_t[]){4 * BINS, CLASSES}, 2), t[2];
    nn_emit(n, OP_Split, "detect.split", (uint32_t[]){all.t, sizes}, 2, t, 2);
    nn_attr(n, ATTR_axis, 1);
    nn_val b = nn_reshape(n, (nn_val){t[0], 4 * BINS}, "dfl.view", 4, (int64_t[]){0, 4, BINS, -1}, BINS);
    b = nn_op1(n, OP_Softmax, "dfl.softmax", nn_transpose(n, b, "dfl.transpose", 4, (int64_t[]){0, 2, 1, 3}));
    nn_attr(n, ATTR_axis, 1);
    b.c = BINS;
    b = nn_conv(n, b, "dfl.conv", (nn_conv2d){.out = 1, .k = 1}); /* the mean bin */
    b = nn_reshape(n, b, "dfl.boxes", 3, (int64_t[]){0, 4, -1}, 4);
    part[0] = nn_op2(n, OP_Mul, "dfl.decode", b, nn_floats(n, "dfl.stride", (double[]){8}, 1));
    part[1] = nn_op1(n, OP_Sigmoid, "detect.sigmoid", (nn_val){t[1], CLASSES});
    nn_output(n, nn_concat(n, part, 2, 1, "detect.out"), "output0");
}

static void build(nn *n, const void *dims)
{
    yolo y = {n, dims};
    nn_val maps[LEVELS];
    features(&y, nn_image_input(n, "images", 3), maps);
    if (y.d->v8) detect_free(n, maps);
    else detect_anchors(n, maps);
}

#define ROW(nm, text, params, src, ...)                                                                             \
    {                                                                                                               \
        .name = nm, .aliases = "ultralytics/" nm, .family = "detection", .description = text, .parameters = params, \
        .source = src, .image_size = 640, .image_min = 64, .image_step = 32, .build = build,                        \
        .dims = ZOO_DIMS(yolo_dims, __VA_ARGS__)                                                                    \
    }
#define V5 "https://github.com/ultralytics/yolov5"
#define V8 "https://docs.ultralytics.com/models/yolov8/"

static const zoo_entry rows[] = {
    ROW("yolov5n", "YOLOv5 n", 1872157, V5, {0.33, 0.25, 1024, false}),
    ROW("yolov5s", "YOLOv5 s", 7235389, V5, {0.33, 0.50, 1024, false}),
    ROW("yolov5m", "YOLOv5 m", 21190557, V5, {0.67, 0.75, 1024, false}),
    ROW("yolov5l", "YOLOv5 l", 46563709, V5, {1.00, 1.00, 1024, false}),
    ROW("yolov5x", "YOLOv5 x", 86749405, V5, {1.33, 1.25, 1024, false}),
    ROW("yolov8n", "YOLOv8 n", 3157200, V8, {0.33, 0.25, 1024, true}),
    ROW("yolov8s", "YOLOv8 s", 11166560, V8, {0.33, 0.50, 1024, true}),
    ROW("yolov8m", "YOLOv8 m", 25902640, V8, {0.67, 0.75, 768, true}),
    ROW("yolov8l", "YOLOv8 l", 43691520, V8, {1.00, 1.00, 512, true}),
    ROW("yolov8x", "YOLOv8 x", 68229648, V8, {1.00, 1.25, 512, true}),
};

const zoo_table zoo_detect_yolo = ZOO_TABLE(rows);
