/* Layers of sequences for the zoo's builders: 1-D convolutions, recurrence, attention written out, loops over steps. */
#ifndef ZOO_NN_SEQ_H
#define ZOO_NN_SEQ_H

#include "zoo/nn.h"

/* Zeros mean: stride 1, no padding, dilation 1, one group, no bias. */
typedef struct nn_conv1d {
    int64_t out;
    int k, stride, pad, dilation, output_pad;
    int64_t groups;
    bool bias;
} nn_conv1d;

/* ---- 1-D convolutions, of [batch, c, length] ---- */

nn_val nn_conv_1d(nn *n, nn_val x, const char *layer, nn_conv1d s);
nn_val nn_conv_transpose_1d(nn *n, nn_val x, const char *layer, nn_conv1d s);
nn_val nn_conv_bn_1d(nn *n, nn_val x, const char *layer, nn_conv1d s, op_kind act);
nn_val nn_pad_last(nn *n, nn_val x, const char *layer, int rank, int64_t before, int64_t after);
nn_val nn_swap(nn *n, nn_val x, const char *layer,
               int64_t c); /* [batch, a, b] to [batch, b, a], which has c features */

/* ---- plumbing ---- */

/* An input [batch, scale * sequence + offset, c], or without the last dim for c 0. */
nn_val nn_sequence_input(nn *n, const char *name, dtype d, int64_t scale, int64_t offset, int64_t c);
nn_val nn_row_input(nn *n, const char *name, dtype d, int64_t c);      /* [batch, c]; [batch] for c 0 */
nn_val nn_zeros(nn *n, nn_val like, const char *layer, int64_t width); /* [batch, width], as a state begins */
nn_val nn_sines(nn *n, nn_val length, int64_t width); /* [1, length, width]: sines and cosines of positions */
nn_val nn_scale(nn *n, nn_val x, const char *layer, double by);
nn_val nn_slice(nn *n, nn_val x, const char *layer, int64_t axis, int64_t from, int64_t to, int64_t c);
nn_val nn_parameter(nn *n, const char *layer, int rank, const int64_t *dims);     /* a trained tensor as a value */
nn_val nn_tied(nn *n, nn_val x, const char *layer, uint32_t table, int64_t rows); /* x times the transposed table */
nn_val nn_softmax(nn *n, nn_val x, const char *layer, int64_t axis);
nn_val nn_reduce(nn *n, nn_val x, op_kind kind, const char *layer, int64_t axis, bool keep);

/* ---- recurrence, of [batch, sequence, c] ---- */

/* LSTM or GRU. NN_ABSENT as `state`: starts at zero; else [1, batch, hidden] for h (and c). */
nn_val nn_recurrent(nn *n, op_kind kind, nn_val x, const char *layer, int64_t hidden, bool both_ways, nn_val state);

/* ---- attention as MatMul, Softmax, MatMul: what eager code runs that calls no fused kernel ---- */

typedef struct nn_explicit {
    int64_t heads, head_dim;
    double scale;  /* of the scores; 0: none */
    nn_val bias;   /* added to the scores, after scaling; NN_ABSENT: none */
    nn_val bias_2; /* another one */
} nn_explicit;

nn_val nn_heads(nn *n, nn_val x, const char *layer, int64_t heads, bool transposed); /* [b, heads, s, d]; or d, s */
nn_val nn_merge_heads(nn *n, nn_val x, int64_t heads);                               /* of [b, heads, s, d] */
nn_val nn_attention_explicit(nn *n, nn_val q, nn_val k, nn_val v, nn_explicit o);    /* of tokens */
/* [1, heads, sequence, sequence]: learned biases of distances, as T5 adds them; once for all layers of a stack. */
nn_val nn_distance_bias(nn *n, nn_val ids, int64_t buckets, int64_t heads);
/* [1, 1, sequence, sequence]: what a decoder adds to its scores. */
nn_val nn_causal_mask(nn *n, nn_val ids);
/* The input attention_mask: [batch, sequence] of 1 and 0 becomes [batch, 1, 1, sequence] of 0 and a large negative number. */
nn_val nn_padding_mask(nn *n);

/* ---- a loop over steps ---- */

typedef struct nn_scan {
    uint32_t region, outer;
    uint32_t in[12], body_in[12];
    uint32_t carried;
} nn_scan;

/* `count` tensors are carried from step to step; carried[i] then names the body's own. What is built until nn_scan_end
 * is the body. The number of steps is the value `trips`. */
void nn_scan_begin(nn *n, nn_scan *l, nn_val trips, uint32_t count, nn_val *carried);
/* In the body: the number of the step, from 0. */
nn_val nn_scan_step(const nn_scan *l);
/* next: what the carried tensors become, and then what they are after the last step; each: a result of every step (NN_ABSENT: none),
 * stacked along a new first axis. */
nn_val nn_scan_end(nn *n, nn_scan *l, const char *layer, nn_val *next, nn_val each);

#endif
