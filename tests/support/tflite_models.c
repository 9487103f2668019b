#include "support/tflite_models.h"

#include <stdbool.h>
#include <stdlib.h>

static int f32(tw_graph *g, const char *name, const int32_t *dims)
{
    return tw_value(g, name, TW_FLOAT32, dims);
}

static int weight(tw_graph *g, const char *name, const int32_t *dims)
{
    return tw_weight(g, name, TW_FLOAT32, dims);
}

/* x -> y with one operator. */
static tw_op *one(tw_graph *g, int number, int x, int y)
{
    return tw_add_op(g, number, LIST(x), LIST(y));
}

enum { SAME, VALID };
enum { PLAIN, RELU, RELU6 = 3 };

static void conv_options(tw_op *o, int padding, int stride, int activation)
{
    bool depthwise = o->number == TFL_DEPTHWISE;
    tw_set(o, 0, 'b', padding);
    tw_set(o, 1, 'i', stride);
    tw_set(o, 2, 'i', stride);
    tw_set(o, depthwise ? 4 : 3, 'b', activation);
    if (depthwise) tw_set(o, 3, 'i', 1);
}

/* ---- images ---- */

/* [1, 16, 16, 3]: convolution, depthwise, 1x1, sum, mean over the image, dense, softmax. */
static tw *image_network(int type, int bias_type)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = tw_value(g, "image", type, DIMS(1, 16, 16, 3));
    int k1 = tw_weight(g, "conv", type, DIMS(8, 3, 3, 3)), b1 = tw_weight(g, "conv_bias", bias_type, DIMS(8));
    int k2 = tw_weight(g, "depthwise", type, DIMS(1, 3, 3, 8)), b2 = tw_weight(g, "depthwise_bias", bias_type, DIMS(8));
    int k3 = tw_weight(g, "point", type, DIMS(8, 1, 1, 8)), b3 = tw_weight(g, "point_bias", bias_type, DIMS(8));
    int k4 = tw_weight(g, "dense", type, DIMS(10, 8)), b4 = tw_weight(g, "dense_bias", bias_type, DIMS(10));
    int v1 = tw_value(g, "v1", type, DIMS(1, 8, 8, 8)), v2 = tw_value(g, "v2", type, DIMS(1, 8, 8, 8));
    int v3 = tw_value(g, "v3", type, DIMS(1, 8, 8, 8)), v4 = tw_value(g, "v4", type, DIMS(1, 8, 8, 8));
    int v5 = tw_value(g, "v5", type, DIMS(1, 8)), v6 = tw_value(g, "v6", type, DIMS(1, 10));
    int y = tw_value(g, "y", type, DIMS(1, 10)), axes = tw_ints(g, "axes", 2, (const int32_t[]){1, 2});
    conv_options(tw_add_op(g, TFL_CONV, LIST(x, k1, b1), LIST(v1)), SAME, 2, RELU6);
    conv_options(tw_add_op(g, TFL_DEPTHWISE, LIST(v1, k2, b2), LIST(v2)), SAME, 1, RELU6);
    conv_options(tw_add_op(g, TFL_CONV, LIST(v2, k3, b3), LIST(v3)), SAME, 1, PLAIN);
    tw_add_op(g, TFL_ADD, LIST(v3, v1), LIST(v4));
    tw_set(tw_add_op(g, TFL_MEAN, LIST(v4, axes), LIST(v5)), 0, 'b', 0);
    tw_set(tw_add_op(g, TFL_FULLY_CONNECTED, LIST(v5, k4, b4), LIST(v6)), 0, 'b', 0);
    tw_set(one(g, TFL_SOFTMAX, v6, y), 0, 'f', 1);
    tw_ends(g, LIST(x), LIST(y));
    if (type != TW_FLOAT32)
        for (unsigned i = 0; i < g->n_tensors; i++) g->tensors[i].scales = 1;
    return w;
}

tw *tflite_image_network(void)
{
    return image_network(TW_FLOAT32, TW_FLOAT32);
}

static tw *image_int8(void)
{
    tw *w = image_network(TW_INT8, TW_INT32);
    for (unsigned i = 0; i < w->graphs[0].n_tensors; i++)
        if (w->graphs[0].tensors[i].name[0] == 'c') w->graphs[0].tensors[i].scales = 8; /* one a channel */
    return w;
}

/* Weights in half, widened by DEQUANTIZE. */
static tw *half_weights(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "image", DIMS(1, 8, 8, 3)), y = f32(g, "y", DIMS(1, 8, 8, 4));
    int k = tw_weight(g, "kernel", TW_FLOAT16, DIMS(4, 3, 3, 3)), b = tw_weight(g, "bias", TW_FLOAT16, DIMS(4));
    int k32 = f32(g, "kernel32", DIMS(4, 3, 3, 3)), b32 = f32(g, "bias32", DIMS(4));
    one(g, TFL_DEQUANTIZE, k, k32);
    one(g, TFL_DEQUANTIZE, b, b32);
    conv_options(tw_add_op(g, TFL_CONV, LIST(x, k32, b32), LIST(y)), SAME, 1, PLAIN);
    tw_ends(g, LIST(x), LIST(y));
    return w;
}

/* Weights of which only what isn't 0 is stored, and some that lie behind the FlatBuffer. */
static tw *stored(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 8)), k = weight(g, "k", DIMS(4, 8)), dense = f32(g, "dense", DIMS(4, 8));
    int b = weight(g, "b", DIMS(4)), y = f32(g, "y", DIMS(1, 4)), u = tw_weight(g, "u", TW_INT4, DIMS(3, 4));
    int z = f32(g, "z", DIMS(1, 3));
    g->tensors[k].sparse = 1;
    g->tensors[k].bytes = 20;
    g->tensors[b].outside = g->tensors[u].outside = 1;
    one(g, TFL_DENSIFY, k, dense);
    tw_add_op(g, TFL_FULLY_CONNECTED, LIST(x, dense, b), LIST(y));
    tw_add_op(g, TFL_FULLY_CONNECTED, LIST(y, u, -1), LIST(z));
    tw_ends(g, LIST(x), LIST(z));
    return w;
}

/* Zeros around an image before a VALID convolution, and before something else. */
static tw *padded(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "image", DIMS(1, 9, 9, 3)), p = f32(g, "padded", DIMS(1, 11, 12, 3));
    int pads = tw_ints(g, "pads", 8, (const int32_t[]){0, 0, 1, 1, 1, 2, 0, 0});
    g->tensors[pads].rank = 2, g->tensors[pads].dims[0] = 4, g->tensors[pads].dims[1] = 2;
    int k = weight(g, "kernel", DIMS(4, 3, 3, 3)), y = f32(g, "y", DIMS(1, 5, 5, 4)), z = f32(g, "z", DIMS(1, 5, 6, 3));
    tw_add_op(g, TFL_PAD, LIST(x, pads), LIST(p));
    conv_options(tw_add_op(g, TFL_CONV, LIST(p, k), LIST(y)), VALID, 2, RELU);
    tw_op *o = one(g, TFL_MAX_POOL, p, z);
    conv_options(o, VALID, 2, PLAIN);
    o->options[3].field = 5;
    tw_set(o, 3, 'i', 2);
    tw_set(o, 4, 'i', 2);
    tw_ends(g, LIST(x), LIST(y, z));
    return w;
}

/* Up and down again, with branches that are joined along the channels. */
static tw *segments(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "image", DIMS(1, 8, 8, 3)), a = f32(g, "a", DIMS(1, 4, 4, 8)), k = weight(g, "k", DIMS(8, 3, 3, 3));
    int up = f32(g, "up", DIMS(1, 8, 8, 8)), size = tw_ints(g, "size", 2, (const int32_t[]){8, 8});
    int shape = tw_ints(g, "shape", 4, (const int32_t[]){1, 8, 8, 4}), kt = weight(g, "kt", DIMS(4, 2, 2, 8));
    int t = f32(g, "t", DIMS(1, 8, 8, 4)), c = f32(g, "c", DIMS(1, 8, 8, 12)), s = f32(g, "s", DIMS(1, 8, 8, 12));
    int alpha = weight(g, "alpha", DIMS(1, 1, 12)), axis = tw_scalar(g, "axis", 3),
        y = tw_value(g, "y", TW_INT64, DIMS(1, 8, 8));
    conv_options(tw_add_op(g, TFL_CONV, LIST(x, k), LIST(a)), SAME, 2, RELU);
    tw_set(tw_add_op(g, TFL_RESIZE_BILINEAR, LIST(a, size), LIST(up)), 3, 'b', 1);
    conv_options(tw_add_op(g, TFL_TRANSPOSE_CONV, LIST(shape, kt, a), LIST(t)), SAME, 2, PLAIN);
    tw_set(tw_add_op(g, TFL_CONCATENATION, LIST(up, t), LIST(c)), 0, 'i', -1);
    tw_add_op(g, TFL_PRELU, LIST(c, alpha), LIST(s));
    tw_add_op(g, TFL_ARG_MAX, LIST(s, axis), LIST(y));
    tw_ends(g, LIST(x), LIST(y));
    return w;
}

/* A dilated convolution as it is written for kernels without dilation, and blocks that belong to none. */
static tw *dilated(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 12, 12, 3)), block = tw_ints(g, "block", 2, (const int32_t[]){2, 2});
    int pads = tw_ints(g, "pads", 4, (const int32_t[]){2, 2, 2, 2}),
        none = tw_ints(g, "none", 4, (const int32_t[]){0, 0, 0, 0});
    int b = f32(g, "b", DIMS(4, 8, 8, 3)), k = weight(g, "k", DIMS(4, 3, 3, 3)), c = f32(g, "c", DIMS(4, 6, 6, 4));
    int bias = weight(g, "bias", DIMS(4)), s = f32(g, "s", DIMS(4, 6, 6, 4)), y = f32(g, "y", DIMS(1, 12, 12, 4));
    int z = f32(g, "z", DIMS(4, 6, 6, 3));
    tw_add_op(g, TFL_SPACE_TO_BATCH, LIST(x, block, pads), LIST(b));
    conv_options(tw_add_op(g, TFL_CONV, LIST(b, k), LIST(c)), VALID, 1, PLAIN);
    tw_add_op(g, TFL_ADD, LIST(c, bias), LIST(s));
    tw_add_op(g, TFL_BATCH_TO_SPACE, LIST(s, block, none), LIST(y));
    tw_add_op(g, TFL_SPACE_TO_BATCH, LIST(x, block, none), LIST(z));
    tw_ends(g, LIST(x), LIST(y, z));
    return w;
}

/* A network that was channels first before it was converted, with a dense layer that takes the last image as it is. */
static tw *ported(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 3, 8, 8)), perm = tw_ints(g, "perm", 4, (const int32_t[]){0, 2, 3, 1});
    int t = f32(g, "t", DIMS(1, 8, 8, 3)), k = weight(g, "k", DIMS(4, 3, 3, 3)), c = f32(g, "c", DIMS(1, 8, 8, 4));
    int axes = tw_ints(g, "axes", 2, (const int32_t[]){1, 2}), m = f32(g, "m", DIMS(1, 1, 1, 4));
    int d = weight(g, "d", DIMS(5, 4)), y = f32(g, "y", DIMS(1, 5));
    tw_add_op(g, TFL_TRANSPOSE, LIST(x, perm), LIST(t));
    conv_options(tw_add_op(g, TFL_CONV, LIST(t, k), LIST(c)), SAME, 1, PLAIN);
    tw_set(tw_add_op(g, TFL_MEAN, LIST(c, axes), LIST(m)), 0, 'b', 1);
    tw_add_op(g, TFL_FULLY_CONNECTED, LIST(m, d, -1), LIST(y));
    tw_ends(g, LIST(x), LIST(y));
    return w;
}

/* Convolutions into which a converter folded batch normalisations, one with a bias of its own; it joins the names. */
static tw *normalised(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 8, 8, 3)), k = weight(g, "k", DIMS(4, 3, 3, 3)), b = weight(g, "b", DIMS(4));
    int c = f32(g, "a/Relu;a/FusedBatchNormV3;a/BiasAdd;a/Conv2D", DIMS(1, 8, 8, 4));
    int k2 = weight(g, "k2", DIMS(4, 1, 1, 4)), b2 = weight(g, "b2", DIMS(4));
    int y = f32(g, "b/FusedBatchNormV3;b/Conv2D", DIMS(1, 8, 8, 4));
    conv_options(tw_add_op(g, TFL_CONV, LIST(x, k, b), LIST(c)), SAME, 1, RELU);
    conv_options(tw_add_op(g, TFL_CONV, LIST(c, k2, b2), LIST(y)), SAME, 1, PLAIN);
    tw_ends(g, LIST(x), LIST(y));
    return w;
}

static tw *volume(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 4, 8, 8, 2)), k = weight(g, "k", DIMS(3, 3, 3, 2, 4)),
        y = f32(g, "y", DIMS(1, 4, 8, 8, 4));
    tw_op *o = tw_add_op(g, TFL_CONV_3D, LIST(x, k), LIST(y));
    tw_set(o, 0, 'b', SAME);
    for (unsigned i = 1; i < 4; i++) tw_set(o, i, 'i', 1);
    tw_ends(g, LIST(x), LIST(y));
    return w;
}

/* A convolution over a line, as converters write it: with a dim of 1 that comes and goes. */
static tw *line(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 32, 6)), axis = tw_scalar(g, "axis", 1), e = f32(g, "e", DIMS(1, 1, 32, 6));
    int k = weight(g, "k", DIMS(8, 1, 3, 6)), c = f32(g, "c", DIMS(1, 1, 32, 8)), s = f32(g, "s", DIMS(1, 32, 8));
    int b = weight(g, "b", DIMS(8)), y = f32(g, "y", DIMS(1, 32, 8)), m = f32(g, "m", DIMS(1, 8));
    int axes = tw_ints(g, "axes", 1, (const int32_t[]){1});
    tw_add_op(g, TFL_EXPAND_DIMS, LIST(x, axis), LIST(e));
    conv_options(tw_add_op(g, TFL_CONV, LIST(e, k), LIST(c)), SAME, 1, PLAIN);
    tw_set_list(one(g, TFL_SQUEEZE, c, s), 0, 'I', 1, (const int64_t[]){1});
    tw_add_op(g, TFL_ADD, LIST(s, b), LIST(y));
    tw_add_op(g, TFL_MEAN, LIST(y, axes), LIST(m));
    tw_ends(g, LIST(x), LIST(m));
    return w;
}

/* ---- data that moves ---- */

static tw *moves(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 6, 4)), axis = tw_scalar(g, "axis", 1),
        two = tw_ints(g, "two", 3, (const int32_t[]){0, 2, 1});
    int begin = tw_ints(g, "begin", 3, (const int32_t[]){0, 1, 0}),
        size = tw_ints(g, "size", 3, (const int32_t[]){-1, 3, 2});
    int end = tw_ints(g, "end", 3, (const int32_t[]){1, 6, 1}),
        step = tw_ints(g, "step", 3, (const int32_t[]){1, 2, 1});
    int a = f32(g, "a", DIMS(1, 3, 4)), b = f32(g, "b", DIMS(1, 3, 4)), c = f32(g, "c", DIMS(1, 3, 2));
    int d = f32(g, "d", DIMS(1, 3)), e = f32(g, "e", DIMS(1, 4, 6)), u0 = f32(g, "u0", DIMS(1, 4)),
        u1 = f32(g, "u1", DIMS(1, 4));
    int u2 = f32(g, "u2", DIMS(1, 4)), p = f32(g, "p", DIMS(1, 2, 4));
    tw_set(tw_add_op(g, TFL_SPLIT, LIST(axis, x), LIST(a, b)), 0, 'i', 2);
    tw_add_op(g, TFL_SLICE, LIST(x, begin, size), LIST(c));
    tw_op *o = tw_add_op(g, TFL_STRIDED_SLICE, LIST(x, begin, end, step), LIST(d));
    tw_set(o, 0, 'i', 1);
    tw_set(o, 1, 'i', 1);
    tw_set(o, 4, 'i', 4); /* the last axis vanishes */
    tw_add_op(g, TFL_TRANSPOSE, LIST(x, two), LIST(e));
    o = tw_add_op(g, TFL_UNPACK, LIST(a), LIST(u0, u1, u2));
    tw_set(o, 0, 'i', 3);
    tw_set(o, 1, 'i', 1);
    o = tw_add_op(g, TFL_PACK, LIST(u0, u1), LIST(p));
    tw_set(o, 0, 'i', 2);
    tw_set(o, 1, 'i', 1);
    tw_ends(g, LIST(x), LIST(b, c, d, e, u2, p));
    return w;
}

/* Free dims, and a target of a reshape that the graph computes. */
static tw *free_dims(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 1, 8)), s = tw_value(g, "s", TW_INT32, DIMS(3)), n = tw_value(g, "n", TW_INT32, NULL);
    int zero = tw_ints(g, "zero", 1, (const int32_t[]){0}), first = tw_ints(g, "first", 1, (const int32_t[]){1});
    int rest = tw_scalar(g, "rest", -1), to = tw_value(g, "to", TW_INT32, DIMS(2)), y = f32(g, "y", DIMS(1, 8));
    int k = weight(g, "k", DIMS(4, 8)), z = f32(g, "z", DIMS(1, 1, 4));
    g->tensors[x].open = 3, g->tensors[y].open = 3, g->tensors[z].open = 3;
    one(g, TFL_SHAPE, x, s);
    tw_set(tw_add_op(g, TFL_STRIDED_SLICE, LIST(s, zero, first, first), LIST(n)), 4, 'i', 1);
    tw_set(tw_add_op(g, TFL_PACK, LIST(n, rest), LIST(to)), 0, 'i', 2);
    tw_add_op(g, TFL_RESHAPE, LIST(x, to), LIST(y));
    tw_set(tw_add_op(g, TFL_FULLY_CONNECTED, LIST(x, k, -1), LIST(z)), 2, 'b', 1);
    tw_ends(g, LIST(x), LIST(y, z));
    return w;
}

/* An image of any size, and a sum of an image with one pixel. */
static tw *free_image(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 1, 1, 3)), k = weight(g, "k", DIMS(4, 3, 3, 3)), c = f32(g, "c", DIMS(1, 1, 1, 4));
    int axes = tw_ints(g, "axes", 2, (const int32_t[]){1, 2}), m = f32(g, "m", DIMS(1, 1, 1, 4)),
        s = f32(g, "s", DIMS(1, 1, 1, 4));
    int p = f32(g, "p", DIMS(1, 4)), to = tw_ints(g, "to", 2, (const int32_t[]){-1, 4}),
        mean = f32(g, "mean", DIMS(1, 1, 1, 4));
    int d = weight(g, "d", DIMS(4, 4)), y = f32(g, "y", DIMS(1, 4));
    g->tensors[x].open = g->tensors[c].open = g->tensors[s].open = 7;
    g->tensors[m].open = g->tensors[mean].open = g->tensors[p].open = g->tensors[y].open = 1;
    conv_options(tw_add_op(g, TFL_CONV, LIST(x, k), LIST(c)), SAME, 2, PLAIN);
    tw_set(tw_add_op(g, TFL_MEAN, LIST(c, axes), LIST(m)), 0, 'b', 1);
    tw_add_op(g, TFL_MUL, LIST(c, m), LIST(s));
    tw_set(tw_add_op(g, TFL_MEAN, LIST(s, axes), LIST(mean)), 0, 'b', 1);
    tw_add_op(g, TFL_RESHAPE, LIST(mean, to), LIST(p));
    tw_add_op(g, TFL_FULLY_CONNECTED, LIST(p, d, -1), LIST(y));
    tw_ends(g, LIST(x), LIST(y));
    return w;
}

/* Queries and keys of a few words. */
static tw *words(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int ids = tw_value(g, "ids", TW_INT32, DIMS(1, 12)), table = weight(g, "table", DIMS(100, 16));
    int x = f32(g, "x", DIMS(1, 12, 16)), scores = f32(g, "scores", DIMS(1, 12, 12)), p = f32(g, "p", DIMS(1, 12, 12));
    int y = f32(g, "y", DIMS(1, 12, 16));
    tw_set(tw_add_op(g, TFL_GATHER, LIST(table, ids), LIST(x)), 0, 'i', 0);
    tw_set(tw_add_op(g, TFL_BATCH_MATMUL, LIST(x, x), LIST(scores)), 1, 'b', 1);
    tw_set(one(g, TFL_SOFTMAX, scores, p), 0, 'f', 1);
    tw_set(tw_add_op(g, TFL_BATCH_MATMUL, LIST(p, x), LIST(y)), 0, 'b', 0);
    tw_ends(g, LIST(ids), LIST(y));
    return w;
}

/* ---- recurrent layers ---- */

/* Weights of one direction of an LSTM from operand `at` on: 4 of inputs, 4 recurrent, then 3 that are left out, 4 biases. */
static void lstm_weights(tw_graph *g, int *in, int at, int32_t cells, int32_t width)
{
    for (int i = 0; i < 4; i++) {
        in[at + i] = weight(g, "w", DIMS(cells, width));
        in[at + 4 + i] = weight(g, "u", DIMS(cells, cells));
        in[at + 11 + i] = weight(g, "b", DIMS(cells));
    }
}

static tw *sequence_lstm(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int in[21];
    for (int i = 0; i < 20; i++) in[i] = -1;
    in[20] = TW_END;
    in[0] = f32(g, "x", DIMS(1, 10, 6));
    lstm_weights(g, in, 1, 8, 6);
    in[18] = f32(g, "state", DIMS(1, 8));
    in[19] = f32(g, "cells", DIMS(1, 8));
    g->tensors[in[18]].variable = g->tensors[in[19]].variable = 1;
    int y = f32(g, "y", DIMS(1, 10, 8));
    tw_set(tw_add_op(g, TFL_SEQUENCE_LSTM, in, LIST(y)), 3, 'b', 0);
    tw_ends(g, LIST(in[0]), LIST(y));
    return w;
}

/* With a projection of 8 cells onto 4 that are fed back; and one without input gates. */
static tw *projected(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int in[18], plain[18];
    for (int i = 0; i < 17; i++) in[i] = plain[i] = -1;
    in[17] = plain[17] = TW_END;
    in[0] = f32(g, "x", DIMS(1, 10, 6));
    lstm_weights(g, in, 1, 8, 6);
    for (int i = 5; i < 9; i++) g->tensors[in[i]].dims[1] = 4, g->tensors[in[i]].bytes /= 2;
    in[16] = weight(g, "projection", DIMS(4, 8));
    int y = f32(g, "y", DIMS(1, 10, 4)), z = f32(g, "z", DIMS(1, 10, 8));
    tw_set(tw_add_op(g, TFL_SEQUENCE_LSTM, in, LIST(y)), 3, 'b', 0);
    plain[0] = in[0];
    lstm_weights(g, plain, 1, 8, 6);
    plain[1] = plain[5] = plain[12] = -1;
    tw_set(tw_add_op(g, TFL_SEQUENCE_LSTM, plain, LIST(z)), 3, 'b', 0);
    tw_ends(g, LIST(in[0]), LIST(y, z));
    return w;
}

static tw *both_ways(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int in[40];
    for (int i = 0; i < 39; i++) in[i] = -1;
    in[39] = TW_END;
    in[0] = f32(g, "x", DIMS(1, 10, 6));
    lstm_weights(g, in, 1, 8, 6);
    lstm_weights(g, in, 18, 8, 6);
    int y = f32(g, "y", DIMS(1, 10, 16));
    tw_op *o = tw_add_op(g, TFL_BIDIRECTIONAL_LSTM, in, LIST(y));
    tw_set(o, 3, 'b', 1);
    tw_set(o, 4, 'b', 0);
    tw_ends(g, LIST(in[0]), LIST(y));
    return w;
}

/* Two steps of a cell with the same weights, then a plain cell and SVDF. */
static tw *cells(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 6)), k = weight(g, "k", DIMS(16, 10)), b = weight(g, "b", DIMS(16)),
        s = f32(g, "s", DIMS(1, 4));
    int a1 = f32(g, "a1", DIMS(1, 4)), s1 = f32(g, "s1", DIMS(1, 4)), a2 = f32(g, "a2", DIMS(1, 4)),
        s2 = f32(g, "s2", DIMS(1, 4));
    int wr = weight(g, "wr", DIMS(5, 4)), ur = weight(g, "ur", DIMS(5, 5)), br = weight(g, "br", DIMS(5)),
        h = f32(g, "h", DIMS(1, 5));
    int wf = weight(g, "wf", DIMS(8, 5)), wt = weight(g, "wt", DIMS(8, 3)), y = f32(g, "y", DIMS(1, 4)),
        m = f32(g, "m", DIMS(1, 24));
    g->tensors[s].variable = g->tensors[m].variable = 1;
    int hs = f32(g, "hs", DIMS(1, 5));
    g->tensors[hs].variable = 1;
    tw_set(tw_add_op(g, TFL_LSTM, LIST(x, s, k, b, s), LIST(a1, s1)), 3, 'b', 1);
    tw_set(tw_add_op(g, TFL_LSTM, LIST(x, s, k, b, s), LIST(a2, s2)), 3, 'b', 1);
    tw_set(tw_add_op(g, TFL_RNN, LIST(a1, wr, ur, br, hs), LIST(h)), 0, 'b', 1);
    tw_set(tw_add_op(g, TFL_SVDF, LIST(h, wf, wt, -1, m), LIST(y)), 0, 'i', 2);
    tw_ends(g, LIST(x), LIST(y, a2));
    return w;
}

/* ---- control ---- */

static tw *counted_loop(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w), *cond = tw_add_graph(w), *body = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 8)), zero = tw_scalar(g, "zero", 0);
    int n = tw_value(g, "n", TW_INT32, NULL), y = f32(g, "y", DIMS(1, 8));
    tw_op *o = tw_add_op(g, TFL_WHILE, LIST(zero, x), LIST(n, y));
    tw_set(o, 0, 'i', 1);
    tw_set(o, 1, 'i', 2);
    tw_ends(g, LIST(x), LIST(y));
    int i = tw_value(cond, "i", TW_INT32, NULL), v = f32(cond, "v", DIMS(1, 8)), most = tw_scalar(cond, "most", 7);
    int less = tw_value(cond, "less", TW_BOOL, NULL);
    tw_add_op(cond, TFL_LESS, LIST(i, most), LIST(less));
    tw_ends(cond, LIST(i, v), LIST(less));
    i = tw_value(body, "i", TW_INT32, NULL), v = f32(body, "v", DIMS(1, 8));
    int one_ = tw_scalar(body, "one", 1), next = tw_value(body, "next", TW_INT32, NULL);
    int k = weight(body, "k", DIMS(8, 8)), out = f32(body, "out", DIMS(1, 8));
    tw_add_op(body, TFL_ADD, LIST(i, one_), LIST(next));
    tw_add_op(body, TFL_FULLY_CONNECTED, LIST(v, k, -1), LIST(out));
    tw_ends(body, LIST(i, v), LIST(next, out));
    return w;
}

static tw *branches(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 8)), c = tw_value(g, "c", TW_BOOL, DIMS(1)), y = f32(g, "y", DIMS(1, 8)),
        z = f32(g, "z", DIMS(1, 8));
    tw_op *o = tw_add_op(g, TFL_IF, LIST(c, x), LIST(y));
    tw_set(o, 0, 'i', 1);
    tw_set(o, 1, 'i', 2);
    tw_set(tw_add_op(g, TFL_CALL, LIST(y), LIST(z)), 0, 'i', 1);
    tw_ends(g, LIST(c, x), LIST(z));
    for (int i = 0; i < 2; i++) {
        tw_graph *b = tw_add_graph(w);
        int in = f32(b, "in", DIMS(1, 8)), k = weight(b, "k", DIMS(8, 8)), out = f32(b, "out", DIMS(1, 8));
        if (i) one(b, TFL_LOGISTIC, in, out);
        else tw_add_op(b, TFL_FULLY_CONNECTED, LIST(in, k, -1), LIST(out));
        tw_ends(b, LIST(in), LIST(out));
    }
    w->signature = "second";
    return w;
}

/* ---- custom operators and StableHLO ---- */

/* A FlexBuffer {"max_detections": 10}: the key, the list of keys, the map, the root. */
const unsigned char tflite_detection_options[25] = {'m', 'a', 'x', '_', 'd', 'e', 't', 'e', 'c', 't', 'i', 'o', 'n',
                                                    's', 0,   1,   16,  1,   1,   1,   10,  4,   2,   36,  1};

/* Detection, whose results have no shape in the file, and an operator that nobody knows, with memory of its own. */
static tw *custom(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int boxes = f32(g, "boxes", DIMS(1, 20, 4)), scores = f32(g, "scores", DIMS(1, 20, 3)),
        anchors = weight(g, "anchors", DIMS(20, 4));
    int a = f32(g, "a", NULL), b = f32(g, "b", NULL), c = f32(g, "c", NULL), d = f32(g, "d", NULL);
    int y = f32(g, "y", DIMS(1, 10)), scratch = f32(g, "scratch", DIMS(64));
    tw_op *o = tw_add_op(g, TFL_CUSTOM, LIST(boxes, scores, anchors), LIST(a, b, c, d));
    o->custom = "TFLite_Detection_PostProcess";
    o->raw = tflite_detection_options;
    o->raw_size = sizeof tflite_detection_options;
    tw_add_op(g, TFL_CUSTOM, LIST(c, scratch), LIST(y))->custom = "FlexFancy";
    tw_ends(g, LIST(boxes, scores), LIST(a, y));
    return w;
}

static tw *stable_hlo(void)
{
    tw *w = tw_new();
    tw_graph *g = tw_add_graph(w);
    int x = f32(g, "x", DIMS(1, 8, 8, 3)), k = weight(g, "k", DIMS(3, 3, 3, 4)), c = f32(g, "c", DIMS(1, 8, 8, 4));
    int m = f32(g, "m", DIMS(1, 4)), d = weight(g, "d", DIMS(4, 5)), p = f32(g, "p", DIMS(1, 5)),
        y = f32(g, "y", DIMS(1, 3));
    tw_op *o = tw_add_op(g, TFL_HLO_CONVOLUTION, LIST(x, k), LIST(c));
    tw_set_list(o, 0, 'L', 2, (const int64_t[]){1, 1});
    tw_set_list(o, 1, 'L', 4, (const int64_t[]){1, 1, 1, 1});
    tw_set(o, 6, 'l', 3);
    tw_set_list(o, 7, 'L', 2, (const int64_t[]){1, 2});
    tw_set(o, 8, 'l', 2);
    tw_set(o, 9, 'l', 3);
    tw_set_list(o, 10, 'L', 2, (const int64_t[]){0, 1});
    tw_set(o, 12, 'l', 3);
    tw_set_list(o, 13, 'L', 2, (const int64_t[]){1, 2});
    o->second = 1;
    o = one(g, TFL_HLO_REDUCE, c, m);
    tw_set_list(o, 0, 'L', 2, (const int64_t[]){1, 2});
    o->second = 1;
    o = tw_add_op(g, TFL_HLO_DOT, LIST(m, d), LIST(p));
    tw_set_list(o, 2, 'L', 1, (const int64_t[]){1});
    tw_set_list(o, 3, 'L', 1, (const int64_t[]){0});
    o->second = 1;
    o = one(g, TFL_HLO_SLICE, p, y);
    tw_set_list(o, 0, 'L', 2, (const int64_t[]){0, 1});
    tw_set_list(o, 1, 'L', 2, (const int64_t[]){1, 4});
    tw_set_list(o, 2, 'L', 2, (const int64_t[]){1, 1});
    o->second = 1;
    tw_ends(g, LIST(x), LIST(y));
    return w;
}

static fb *description(void)
{
    fb *b = calloc(1, sizeof *b);
    if (!b) abort();
    fb_begin(b, "M001");
    size_t model = tw_texts(b, 0, 0, 8,
                            (const char *const[]){"digits", "Tells digits apart", "v1", NULL, "A. Author",
                                                  "Apache License. Version 2.0", NULL, "1.0.0"});
    fb_root(b, model);
    size_t graph = tw_texts(b, model, 3, 6, (const char *const[]){"main", NULL, NULL, NULL, NULL, NULL});
    tw_texts(b, graph, 2, 2, (const char *const[]){"image", "16 x 16 pixels\nin 0 to 1"});
    size_t out = tw_texts(b, graph, 3, 7, (const char *const[]){"probability", NULL, NULL, NULL, NULL, NULL, NULL});
    tw_texts(b, out, 6, 2, (const char *const[]){"labels.txt", "names of the digits"});
    return b;
}

tw *tflite_described(void)
{
    tw *w = tflite_image_network();
    w->runtime = "1.14.0";
    w->metadata = description();
    return w;
}

const tflite_model tflite_models[] = {
    {"image", tflite_image_network, "y [batch, 10] float32", 466, 22608, 9, 0},
    {"image_int8", image_int8, "y [batch, 10] int8", 466, 22608, 7, 0},
    {"half_weights", half_weights, "y [batch, 8, 8, 4] float32", 112, 6912, 1, 0},
    {"stored", stored, "z [batch, 3] float32", 48, 44, 2, 0},
    {"padded", padded, "y [batch, 5, 5, 4] float32; z [batch, 5, 6, 3] float32", 108, 2700, 4, 0},
    {"segments", segments, "y [batch, 8, 8] int64", 356, 5504, 7, 0},
    {"dilated", dilated, "y [batch, 12, 12, 4] float32; z [4*batch, 6, 6, 3] float32", 112, 15552, 3, 0},
    {"normalised", normalised, "b/FusedBatchNormV3;b/Conv2D [batch, 8, 8, 4] float32", 132, 7936, 5, 0},
    {"ported", ported, "y [batch, 5] float32", 128, 6932, 4, 0},
    {"volume", volume, "y [batch, 4, 8, 8, 4] float32", 216, 55296, 1, 0},
    {"line", line, "m [batch, 8] float32", 152, 4608, 6, 0},
    {"moves", moves,
     "b [batch, 3, 4] float32; c [batch, 3, 2] float32; d [batch, 3] float32; e [batch, 4, 6] float32; u2 [batch, 4] float32; "
     "p [batch, 2, 4] float32",
     0, 0, 12, 0},
    {"free_dims", free_dims, "y [batch, 8*sequence] float32; z [batch, sequence, 4] float32", 32, 4096, 2, 0},
    {"free_image", free_image, "y [batch, 4] float32", 124, 1354768, 6, 0},
    {"words", words, "y [batch, 12, 16] float32", 1600, 4608, 5, 0},
    {"sequence_lstm", sequence_lstm, "y [batch, 10, 8] float32", 480, 4480, 2, 0},
    {"projected", projected, "y [batch, 10, 4] float32; z [batch, 10, 8] float32", 744, 6880, 4, 0},
    {"both_ways", both_ways, "y [batch, 10, 16] float32", 960, 8960, 2, 0},
    {"cells", cells, "y [batch, 4] float32; a2 [batch, 4] float32", 290, 405, 14, 0},
    {"counted_loop", counted_loop, "y [batch, 8] float32", 64, 448, 2, 0},
    {"branches", branches, "z [batch, 8] float32", 64, 128, 5, 0},
    {"custom", custom, "a [batch, 10, 4] float32; y [batch, 10] float32", 80, 0, 2, 1},
    {"stable_hlo", stable_hlo, "y [1, 3] float32", 128, 6932, 7, 0},
    {"described", tflite_described, "y [batch, 10] float32", 466, 22608, 9, 0},
};
const size_t tflite_model_count = sizeof tflite_models / sizeof tflite_models[0];
