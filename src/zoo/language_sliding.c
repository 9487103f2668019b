/* Attention of Longformer (Beltagy 2020), as transformers computes it: each token sees `window` / 2 tokens on either side, in products of
 * overlapping blocks, of which the diagonals are taken; and the first tokens, which see all others by projections of their own.
 * Blocks have `side` tokens, half a window: texts are padded to whole windows at the start and cut off at the end. */
#include "zoo/language_build.h"

enum { GLOBAL = 1 }; /* tokens that see all: <s> alone, as classifiers have it */

static const int64_t END = INT64_MAX;

static nn_val length_of(nn *n, nn_val ids, const char *layer)
{
    nn_val at = nn_pick(n, nn_op1(n, OP_Shape, "shape", ids), layer, 0, 1);
    return nn_unsqueeze(n, at, "as_list", 1, (int64_t[]){0});
}

static nn_val number(nn *n, const char *layer, int64_t v)
{
    return (nn_val){nn_ints(n, layer, "", &v, 1), 0};
}

nn_val lm_pad(lm_build *b, nn_val x, const char *layer, int rank)
{
    nn *n = &b->n;
    if (b->more.t == NO_TENSOR || x.t == NO_TENSOR) return x;
    size_t mark = nn_push(n, "%s", layer);
    nn_val none = {nn_ints(n, "none", "", (int64_t[8]){0}, (uint32_t)(2 * rank - 1)), 0};
    nn_val pads = nn_concat(n, (nn_val[]){none, b->more}, 2, 0, "pads");
    x = nn_op2(n, OP_Pad, "pad", x, pads.t);
    nn_pop(n, mark);
    return x;
}

void lm_pad_to_windows(lm_build *b)
{
    nn *n = &b->n;
    int64_t window = 0;
    for (uint32_t i = 0; i < b->m->n_layers; i++)
        if (b->m->layers[i].blocks && b->m->layers[i].window > window) window = b->m->layers[i].window;
    if (!window) return;
    size_t mark = nn_push(n, "windows");
    nn_val len = length_of(n, b->ids, "length"), by = number(n, "window", window);
    nn_val up = nn_op2(n, OP_Add, "up", len, number(n, "window_less_one", window - 1).t);
    up = nn_op2(n, OP_Mul, "whole", nn_op2(n, OP_Div, "count", up, by.t), by.t);
    b->more = nn_op2(n, OP_Sub, "more", up, len.t);
    nn_pop(n, mark);
    b->ids = lm_pad(b, b->ids, "pad_ids", 2);
    b->mask = lm_pad(b, b->mask, "pad_mask", 4);
}

nn_val lm_cut_to_length(lm_build *b, nn_val x, nn_val ids)
{
    nn *n = &b->n;
    size_t mark = nn_push(n, "cut");
    uint32_t in[4] = {x.t, number(n, "from", 0).t, length_of(n, ids, "length").t, number(n, "axis", 1).t};
    nn_val y = nn_op(n, OP_Slice, "tokens", in, 4, x.c);
    nn_pop(n, mark);
    return y;
}

/* [batch, heads, tokens, d] as [batch, heads, blocks - count + 1, count * side, d]: runs of so many blocks. */
static nn_val runs(nn *n, nn_val x, const char *layer, int64_t heads, int64_t side, int count)
{
    size_t mark = nn_push(n, "%s", layer);
    static const char *const names[3] = {"first", "second", "third"};
    nn_val part[3];
    x = nn_reshape(n, x, "blocks", 5, (int64_t[]){0, heads, -1, side, x.c}, x.c);
    for (int i = 0; i < count; i++) part[i] = nn_slice(n, x, names[i], 2, i, i == count - 1 ? END : i - count + 1, x.c);
    x = nn_concat(n, part, (uint32_t)count, 3, "run");
    x.c = part[0].c;
    nn_pop(n, mark);
    return x;
}

static nn_val part_of(nn *n, nn_val x, const char *layer, const int64_t from[3], const int64_t to[3])
{
    uint32_t in[4] = {x.t};
    in[1] = nn_ints(n, layer, ".starts", from, 3);
    in[2] = nn_ints(n, layer, ".ends", to, 3);
    in[3] = nn_ints(n, layer, ".axes", (int64_t[]){2, 3, 4}, 3);
    return nn_op(n, OP_Slice, layer, in, 4, x.c);
}

/* Products of runs of two blocks become a row of 2 side + 1 scores for each token: one more row, read anew, shears the diagonals upright. */
static nn_val upright(nn *n, nn_val s, int64_t heads, int64_t side)
{
    size_t mark = nn_push(n, "diagonals");
    int64_t wide = 2 * side + 1, pads[10] = {[8] = 1};
    s = nn_op2(n, OP_Pad, "one_row", s, nn_ints(n, "one_row", ".pads", pads, 10));
    s = nn_reshape(n, s, "sheared", 5, (int64_t[]){0, heads, -1, 2 * side, wide}, wide);
    nn_val after[2] = {part_of(n, s, "after", (int64_t[]){0, 0, 0}, (int64_t[]){END, side, side + 1}),
                       part_of(n, s, "after_last", (int64_t[]){-1, side, 0}, (int64_t[]){END, END, side + 1})};
    nn_val before[2] = {part_of(n, s, "before_first", (int64_t[]){0, 0, side + 1}, (int64_t[]){1, side, END}),
                        part_of(n, s, "before", (int64_t[]){0, side, side + 1}, (int64_t[]){END, END, END})};
    nn_val both[2] = {nn_concat(n, before, 2, 2, "all_before"), nn_concat(n, after, 2, 2, "all_after")};
    s = nn_concat(n, both, 2, 4, "side_by_side");
    s = nn_reshape(n, s, "rows", 4, (int64_t[]){0, heads, -1, wide}, wide);
    nn_pop(n, mark);
    return s;
}

/* The way back: each block's rows stand aslant over the three blocks that they weigh. */
static nn_val aslant(nn *n, nn_val p, int64_t heads, int64_t side)
{
    size_t mark = nn_push(n, "aslant");
    int64_t wide = 3 * side + 2, pads[10] = {[9] = side + 1};
    p = nn_reshape(n, p, "blocks", 5, (int64_t[]){0, heads, -1, side, 2 * side + 1}, 0);
    p = nn_op2(n, OP_Pad, "widen", p, nn_ints(n, "widen", ".pads", pads, 10));
    p = nn_reshape(n, p, "flat", 4, (int64_t[]){0, heads, -1, side * wide}, 0);
    p = nn_slice(n, p, "shorter", 3, 0, -side, 0);
    p = nn_reshape(n, p, "sheared", 5, (int64_t[]){0, heads, -1, side, wide - 1}, 0);
    p = nn_slice(n, p, "over_three", 4, 0, -1, 0);
    nn_pop(n, mark);
    return p;
}

static nn_val turned(nn *n, nn_val x, const char *layer, int rank)
{
    return nn_transpose(n, x, layer, rank, rank == 4 ? (int64_t[]){0, 1, 3, 2} : (int64_t[]){0, 1, 2, 4, 3});
}

static nn_val times(nn *n, nn_val a, nn_val b, const char *layer, int64_t c)
{
    nn_val y = nn_op2(n, OP_MatMul, layer, a, b.t);
    y.c = c;
    return y;
}

/* What the global tokens see: everything, by queries, keys and values of their own. */
static nn_val global_rows(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    int64_t wide = l->heads * l->head_dim;
    nn_val first = nn_slice(n, x, "global_tokens", 1, 0, GLOBAL, x.c);
    nn_val q = nn_linear(n, first, "query_global", wide, l->qkv_bias), k, v;
    k = nn_linear(n, x, "key_global", wide, l->qkv_bias);
    v = nn_linear(n, x, "value_global", wide, l->qkv_bias);
    nn_explicit o = {.heads = l->heads, .scale = 1 / sqrt((double)l->head_dim), .bias = b->mask, .bias_2 = NN_ABSENT};
    size_t mark = nn_push(n, "global");
    x = nn_attention_explicit(n, q, k, v, o);
    nn_pop(n, mark);
    return x;
}

nn_val lm_sliding(lm_build *b, const lm_layer *l, nn_val x)
{
    nn *n = &b->n;
    int64_t heads = l->heads, d = l->head_dim, side = l->window / 2, seen = 2 * side + 1;
    nn_val q = nn_linear(n, x, "query", heads * d, l->qkv_bias), k = nn_linear(n, x, "key", heads * d, l->qkv_bias);
    nn_val v = nn_linear(n, x, "value", heads * d, l->qkv_bias);
    q = nn_heads(n, nn_scale(n, q, "scale", 1 / sqrt((double)d)), "q", heads, false);
    k = nn_heads(n, k, "k", heads, false);
    v = nn_heads(n, v, "v", heads, false);

    nn_val keys = turned(n, runs(n, k, "k_runs", heads, side, 2), "k_turned", 5);
    nn_val s = times(n, runs(n, q, "q_runs", heads, side, 2), keys, "scores", 2 * side);
    s = upright(n, s, heads, side);
    if (b->mask.t != NO_TENSOR) s = nn_add(n, s, turned(n, b->mask, "mask_turned", 4), "add_mask");
    nn_val k_all = turned(n, nn_slice(n, k, "k_global", 2, 0, GLOBAL, d), "k_global_turned", 4);
    s = nn_concat(n, (nn_val[]){times(n, q, k_all, "global_scores", GLOBAL), s}, 2, 3, "all_scores");
    s = nn_softmax(n, s, "softmax", -1);

    nn_val p = aslant(n, nn_slice(n, s, "local", 3, GLOBAL, END, seen), heads, side);
    nn_val around = nn_op2(n, OP_Pad, "around", v,
                           nn_ints(n, "around", ".pads", (int64_t[]){0, 0, side, 0, 0, 0, side, 0}, 8));
    around.c = d;
    nn_val y = times(n, p, runs(n, around, "v_runs", heads, side, 3), "context", d);
    y = nn_reshape(n, y, "tokens", 4, (int64_t[]){0, heads, -1, d}, d);
    nn_val weight = nn_slice(n, s, "to_global", 3, 0, GLOBAL, GLOBAL);
    y = nn_add(n, y, times(n, weight, nn_slice(n, v, "v_global", 2, 0, GLOBAL, d), "global_context", d), "add_global");
    y = nn_merge_heads(n, y, heads);
    nn_val rest = nn_slice(n, y, "others", 1, GLOBAL, END, y.c);
    y = nn_concat(n, (nn_val[]){global_rows(b, l, x), rest}, 2, 1, "all_tokens");
    y.c = heads * d;
    return nn_linear(n, y, "o_proj", b->m->hidden, l->out_bias);
}
