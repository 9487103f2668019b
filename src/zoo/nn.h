/* Layers for the zoo's builders, so that they read as the architecture tables of the papers.
 *
 * Failure is sticky: once memory runs out, every call does nothing and returns a dead value, and zoo_build reports it
 * at the end. Builders therefore check nothing. A node's name is the scope, joined with '.', and the layer's own. */
#ifndef ZOO_NN_H
#define ZOO_NN_H

#include "zoo/zoo.h"

/* Weights that several layers share: taken down in the first of them, given out again in the others. */
typedef struct nn_shared {
    uint32_t t[64], n, at;
    bool again;
} nn_shared;

typedef struct nn {
    graph *g;
    const zoo_entry *entry;
    int64_t image; /* side of the input image */
    dtype weights;
    int32_t batch, sequence; /* symbols; sequence is -1 without tokens */
    bool failed;
    uint32_t region;    /* where operators go: 0 is the model, others are bodies of loops */
    uint32_t zero, six; /* limits of ReLU6, shared by the whole model */
    nn_shared *shared;  /* NULL: every weight is its layer's own */
    char scope[160];
    size_t scope_len;
} nn;

/* A tensor and its width: channels of an image [batch, c, h, w], features of tokens [batch, sequence, c]. */
typedef struct nn_val {
    uint32_t t;
    int64_t c;
} nn_val;

#define NN_ABSENT ((nn_val){NO_TENSOR, 0})
#define NN_NO_ACT OP_KIND_COUNT

static inline bool nn_is_there(nn_val x)
{
    return x.t != NO_TENSOR;
}

/* Zeros mean: kernel square, stride 1, no padding, one group, no bias, no dilation. */
typedef struct nn_conv2d {
    int64_t out;
    int k, kw;
    int stride, pad, pad_w; /* pad_w only counts together with kw */
    int64_t groups;
    bool bias;
    int dilation;
} nn_conv2d;

typedef struct nn_attend {
    int64_t heads, kv_heads; /* kv_heads 0: as many as heads */
    bool causal;
    nn_val mask; /* NN_ABSENT: none */
    bool late;   /* OPF_LATE_ATTENTION */
} nn_attend;

typedef struct nn_rotary {
    nn_val cos, sin; /* [1, sequence, features / 2] */
} nn_rotary;

/* ---- plumbing ---- */

/* Opens a scope; give the result to nn_pop. */
size_t nn_push(nn *n, const char *fmt, ...) PRINTF_LIKE(2, 3);
void nn_pop(nn *n, size_t mark);
/* A dim that is the symbol. */
static inline num nn_symbol(int32_t symbol)
{
    return (num){{.i = 0}, 1, symbol};
}
nn_val nn_input(nn *n, const char *name, dtype d, int rank, const num *dims, int64_t c);
nn_val nn_image_input(nn *n, const char *name, int64_t channels);
nn_val nn_token_input(nn *n, const char *name); /* int64 [batch, sequence] */
void nn_output(nn *n, nn_val x, const char *name);
uint32_t nn_weight(nn *n, const char *layer, const char *suffix, int rank, const int64_t *dims);
uint32_t nn_ints(nn *n, const char *layer, const char *suffix, const int64_t *v, uint32_t count);
uint32_t nn_indices(nn *n, const char *layer, int64_t count); /* int64, of contents that nothing depends on */
uint32_t nn_scalar(nn *n, const char *layer, const char *suffix, int64_t v);
uint32_t nn_floats(nn *n, const char *layer, const double *v, uint32_t count); /* a Constant node: not a parameter */
bool nn_emit(nn *n, op_kind kind, const char *layer, const uint32_t *in, uint32_t n_in, uint32_t *out, uint32_t n_out);
/* With one result, of c features. */
nn_val nn_op(nn *n, op_kind kind, const char *layer, const uint32_t *in, uint32_t n_in, int64_t c);
nn_val nn_op1(nn *n, op_kind kind, const char *layer, nn_val x);
nn_val nn_op2(nn *n, op_kind kind, const char *layer, nn_val a, uint32_t b);
void nn_attr(nn *n, attr_key key, int64_t v); /* of the node emitted last */
void nn_attr_ints(nn *n, attr_key key, uint32_t count, const int64_t *v);
void nn_attr_text(nn *n, attr_key key, const char *v);

/* ---- layers ---- */

nn_val nn_conv(nn *n, nn_val x, const char *layer, nn_conv2d s);
nn_val nn_conv_transpose(nn *n, nn_val x, const char *layer, nn_conv2d s);
nn_val nn_batch_norm(nn *n, nn_val x, const char *layer);
/* Conv without bias, BatchNormalization and an activation (NN_NO_ACT: none) as LAYER.conv, LAYER.bn, LAYER.act. */
nn_val nn_conv_bn(nn *n, nn_val x, const char *layer, nn_conv2d s, op_kind act);
nn_val nn_act(nn *n, nn_val x, op_kind kind, const char *layer); /* OP_Clip: ReLU6 */
nn_val nn_squeeze_excite(nn *n, nn_val x, int64_t squeezed, op_kind act, op_kind gate);
nn_val nn_pool(nn *n, nn_val x, op_kind kind, const char *layer, int k, int stride, int pad);
nn_val nn_adaptive_pool(nn *n, nn_val x, const char *layer, int64_t size);
nn_val nn_global_pool(nn *n, nn_val x, const char *layer); /* and Flatten: [batch, c] */
nn_val nn_upsample2(nn *n, nn_val x, const char *layer);   /* nearest, twice the size */
nn_val nn_flatten(nn *n, nn_val x, const char *layer, int64_t c);
nn_val nn_fc(nn *n, nn_val x, const char *layer, int64_t out);                /* of [batch, c] */
nn_val nn_linear(nn *n, nn_val x, const char *layer, int64_t out, bool bias); /* of [..., c] */
nn_val nn_mlp(nn *n, nn_val x, const char *up, const char *down, int64_t hidden, op_kind act);
nn_val nn_group_norm(nn *n, nn_val x, const char *layer, int64_t groups);
nn_val nn_layer_norm(nn *n, nn_val x, const char *layer);
nn_val nn_rms_norm(nn *n, nn_val x, const char *layer);
nn_val nn_add(nn *n, nn_val a, nn_val b, const char *layer);
nn_val nn_mul(nn *n, nn_val a, nn_val b, const char *layer);
nn_val nn_concat(nn *n, const nn_val *x, uint32_t count, int64_t axis, const char *layer);
void nn_split(nn *n, nn_val x, const char *layer, int64_t axis, uint32_t count, nn_val *out); /* equal parts of c */
nn_val nn_reshape(nn *n, nn_val x, const char *layer, int rank, const int64_t *dims, int64_t c);
nn_val nn_transpose(nn *n, nn_val x, const char *layer, int rank, const int64_t *perm);
nn_val nn_unsqueeze(nn *n, nn_val x, const char *layer, uint32_t count, const int64_t *axes);
nn_val nn_pick(nn *n, nn_val x, const char *layer, int64_t axis, int64_t index); /* drops the axis */

/* ---- text ---- */

nn_val nn_embedding(nn *n, nn_val ids, const char *layer, int64_t rows, int64_t width, uint32_t *table);
nn_val nn_lookup(nn *n, const char *layer, uint32_t table, nn_val ids, int64_t width); /* of a table that is there */
nn_val nn_range(nn *n, const char *layer, nn_val count);                               /* 0, 1, ... count - 1 */
nn_val nn_positions(nn *n, nn_val ids);                                                /* [sequence]: 0, 1, 2, ... */
nn_val nn_split_heads(nn *n, nn_val x, const char *layer, int64_t heads); /* [batch, heads, sequence, c / heads] */
nn_val nn_attention(nn *n, nn_val q, nn_val k, nn_val v, nn_attend o);    /* of tokens; splits and merges heads */
nn_val nn_sdpa(nn *n, nn_val q, nn_val k, nn_val v, nn_attend o);         /* of split heads; merges them */
/* Angles of every position and pair of features, once for all layers; and their use on split heads. */
nn_rotary nn_rotary_angles(nn *n, nn_val ids, const char *layer, int64_t features, double base);
nn_val nn_rotate(nn *n, nn_val x, nn_rotary r, const char *layer);
nn_val nn_lstm(nn *n, nn_val x, const char *layer, int64_t hidden); /* of [sequence, batch, c] */

#endif
