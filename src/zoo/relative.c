/* Attention with relative positions, a product of its own beside that of queries and keys: Transformer-XL (Dai 2019), XLNet
 * (Yang 2019). */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

typedef struct relative_dims {
    int64_t width, ffn, heads;
    int layers;
    int64_t memory; /* earlier positions kept from the text before; 0: none (XLNet, which looks both ways) */
    int64_t words;  /* of the vocabulary */
    int narrower;   /* every cluster of rarer words has a table so much narrower (adaptive softmax, Grave 2016);
                          0: an ordinary table, and no output layer */
} relative_dims;

/* WikiText-103 has 267735 words; where the clusters end, and how many of the text's words are in a cluster (one in so many). */
enum { CLUSTERS = 4 };
static const int64_t cluster_end[CLUSTERS + 1] = {0, 19997, 39997, 199997, 267735}, one_in[CLUSTERS] = {1, 32, 16, 64};

static int64_t cluster_words(int i)
{
    return cluster_end[i + 1] - cluster_end[i];
}

static int64_t cluster_width(const relative_dims *d, int i)
{
    int64_t width = d->width;
    for (; i > 0; i--) width /= d->narrower;
    return width;
}

/* The rows of x [rows, ..] that belong to a cluster: their numbers, and themselves. */
static nn_val cluster_rows(nn *n, nn_val x, nn_val *rows, int64_t share)
{
    nn_val count = nn_pick(n, nn_op1(n, OP_Shape, "shape", x), "rows", 0, 0);
    count = nn_op2(n, OP_Add, "round_up", count, nn_scalar(n, "round", "", share - 1));
    count = nn_op2(n, OP_Div, "count", count, nn_scalar(n, "share", "", share));
    *rows = nn_range(n, "indices", count);
    nn_val y = nn_op2(n, OP_Gather, "index_select", x, rows->t);
    nn_attr(n, ATTR_axis, 0);
    return y;
}

typedef struct clusters {
    uint32_t table[CLUSTERS], projection[CLUSTERS]; /* NO_TENSOR: as wide as the model */
} clusters;

/* Tables of the clusters' own widths, and what takes them to the model's. */
static nn_val cluster_embeddings(nn *n, nn_val ids, clusters *c, const relative_dims *d)
{
    size_t mark = nn_push(n, "word_emb");
    nn_val shape = nn_op1(n, OP_Shape, "shape", ids), x = NN_ABSENT;
    nn_val flat = nn_reshape(n, ids, "flat", 1, (int64_t[]){-1}, 0);
    for (int i = 0; i < CLUSTERS; i++) {
        size_t cluster = nn_push(n, "cluster.%d", i);
        int64_t width = cluster_width(d, i);
        nn_val rows, some = cluster_rows(n, flat, &rows, one_in[i]);
        nn_val y = nn_embedding(n, some, "emb_layers", cluster_words(i), width, &c->table[i]);
        c->projection[i] = nn_weight(n, "emb_projs", "", 2, (int64_t[]){width, d->width});
        y = nn_op2(n, OP_MatMul, "project", y, c->projection[i]);
        y.c = d->width;
        if (i == 0) {
            x = y;
        } else {
            uint32_t in[3] = {x.t, nn_unsqueeze(n, rows, "column", 1, (int64_t[]){1}).t, y.t};
            nn_emit(n, OP_ScatterND, "index_copy", in, 3, &x.t, 1);
        }
        nn_pop(n, cluster);
    }
    nn_val wide = nn_concat(n, (nn_val[]){shape, {nn_ints(n, "width", "", &d->width, 1), 0}}, 2, 0, "dims");
    x = nn_op2(n, OP_Reshape, "unflat", x, wide.t);
    nn_pop(n, mark);
    x.c = d->width;
    return x;
}

/* Logits of the frequent words and the clusters for every position, of a cluster's words where one of them comes next. */
static nn_val cluster_logits(nn *n, nn_val x, const clusters *c, const relative_dims *d)
{
    size_t mark = nn_push(n, "crit");
    nn_val flat = nn_reshape(n, x, "flat", 2, (int64_t[]){-1, d->width}, d->width), head = NN_ABSENT;
    for (int i = 0; i < CLUSTERS; i++) {
        size_t cluster = nn_push(n, "cluster.%d", i);
        nn_val rows, y = i ? cluster_rows(n, flat, &rows, one_in[i]) : x;
        if (d->narrower > 1) {
            y = nn_op2(n, OP_FusedMatMul, "project", y, c->projection[i]);
            nn_attr(n, ATTR_transB, 1);
        }
        nn_val table = {c->table[i], d->width};
        if (d->narrower == 1) table = nn_slice(n, table, "words", 0, cluster_end[i], cluster_end[i + 1], d->width);
        y = nn_op2(n, OP_FusedMatMul, "logits", y, table.t);
        nn_attr(n, ATTR_transB, 1);
        y = nn_add(n, y, nn_parameter(n, "out_layers.bias", 1, (int64_t[]){cluster_words(i)}), "add");
        y = nn_op1(n, OP_LogSoftmax, "log_softmax", y);
        nn_attr(n, ATTR_axis, -1);
        if (i == 0) head = y;
        nn_pop(n, cluster);
    }
    nn_pop(n, mark);
    return head;
}

/* [1, length, width] of sines, from the last position to the first. */
static nn_val positions(nn *n, nn_val ids, const relative_dims *d)
{
    size_t mark = nn_push(n, "pos_emb");
    nn_val len = nn_pick(n, nn_op1(n, OP_Shape, "shape", ids), "length", 0, 1);
    if (d->memory) len = nn_op2(n, OP_Add, "add", len, nn_scalar(n, "memory", "", d->memory));
    else len = nn_op2(n, OP_Mul, "mul", len, nn_scalar(n, "both_ways", "", 2));
    nn_val at = nn_sines(n, len, d->width);
    nn_pop(n, mark);
    return at;
}

/* Every row of scores of positions one further than the row before: padded, read with another width, cut. */
static nn_val shifted(nn *n, nn_val x, nn_val like)
{
    size_t mark = nn_push(n, "rel_shift");
    nn_val shape = nn_op1(n, OP_Shape, "shape", x);
    x = nn_pad_last(n, x, "pad", 4, 1, 0);
    /* [b, heads, keys + 1, queries], from which the first row goes */
    nn_val padded = nn_op1(n, OP_Shape, "padded_shape", x);
    nn_val order = {nn_ints(n, "order", "", (int64_t[]){0, 1, 3, 2}, 4), 0};
    nn_val turned = nn_op2(n, OP_Gather, "turned", padded, order.t);
    nn_attr(n, ATTR_axis, 0);
    x = nn_op2(n, OP_Reshape, "view", x, turned.t);
    x = nn_slice(n, x, "narrow", 2, 1, INT64_MAX, x.c);
    x = nn_op2(n, OP_Reshape, "view_as", x, shape.t);
    nn_val keys = nn_pick(n, nn_op1(n, OP_Shape, "scores_shape", like), "keys", 0, 3);
    keys = nn_unsqueeze(n, keys, "vector", 1, (int64_t[]){0});
    uint32_t in[4] = {x.t, NO_TENSOR, keys.t, NO_TENSOR};
    in[1] = nn_ints(n, "starts", "", (int64_t[]){0}, 1);
    in[3] = nn_ints(n, "axes", "", (int64_t[]){3}, 1);
    nn_val y = nn_op(n, OP_Slice, "keys_only", in, 4, x.c);
    nn_pop(n, mark);
    return y;
}

/* XLNet's third product: whether two words are of one segment. */
static nn_val segments(nn *n, nn_val q, nn_val scores, const relative_dims *d)
{
    int64_t head = d->width / d->heads;
    size_t mark = nn_push(n, "segments");
    q = nn_add(n, q, nn_parameter(n, "r_s_bias", 3, (int64_t[]){d->heads, 1, head}), "add_bias");
    nn_val two = nn_op2(n, OP_MatMul, "same_or_not", q,
                        nn_parameter(n, "seg_embed", 3, (int64_t[]){d->heads, head, 2}).t);
    two = nn_reduce(n, two, OP_ReduceMax, "choose", 3, true);
    scores = nn_add(n, scores, two, "add");
    nn_pop(n, mark);
    return scores;
}

static nn_val attention(nn *n, nn_val x, nn_val at, nn_val mask, nn_val memory, const relative_dims *d)
{
    int64_t head = d->width / d->heads;
    size_t mark = nn_push(n, "rel_attn");
    nn_val all = memory.t == NO_TENSOR ? x : nn_concat(n, (nn_val[]){memory, x}, 2, 1, "with_memory"), qkv[3];
    all.c = d->width;
    if (d->memory) { /* one product for all three, also of what only keys and values need */
        nn_split(n, nn_linear(n, all, "qkv_net", 3 * d->width, false), "split", 2, 3, qkv);
        qkv[0] = nn_slice(n, qkv[0], "queries", 1, d->memory, INT64_MAX, d->width);
    } else {
        static const char *const names[3] = {"q", "k", "v"};
        for (int i = 0; i < 3; i++) qkv[i] = nn_linear(n, x, names[i], d->width, false);
    }
    nn_val r = nn_heads(n, nn_linear(n, at, "r_net", d->width, false), "r", d->heads, true);
    nn_val q = nn_heads(n, qkv[0], "q_heads", d->heads, false), k = nn_heads(n, qkv[1], "k_heads", d->heads, true);
    nn_val v = nn_heads(n, qkv[2], "v_heads", d->heads, false);
    nn_val w = nn_add(n, q, nn_parameter(n, "r_w_bias", 3, (int64_t[]){d->heads, 1, head}), "add_w_bias");
    nn_val s = nn_op2(n, OP_MatMul, "content", w, k.t);
    w = nn_add(n, q, nn_parameter(n, "r_r_bias", 3, (int64_t[]){d->heads, 1, head}), "add_r_bias");
    s = nn_add(n, s, shifted(n, nn_op2(n, OP_MatMul, "position", w, r.t), s), "add_position");
    if (!d->memory) s = segments(n, q, s, d);
    s = nn_scale(n, s, "scale", 1 / sqrt((double)head));
    if (mask.t != NO_TENSOR) s = nn_add(n, s, mask, "add_mask");
    s = nn_op2(n, OP_MatMul, "context", nn_softmax(n, s, "softmax", -1), v.t);
    s.c = head;
    s = nn_linear(n, nn_merge_heads(n, s, d->heads), "o_net", d->width, false);
    x = nn_layer_norm(n, nn_add(n, x, s, "add"), "layer_norm");
    nn_pop(n, mark);
    return x;
}

/* [1, 1, sequence, memory + sequence]: nothing later than the word itself. */
static nn_val mask_of(nn *n, nn_val ids, const relative_dims *d)
{
    size_t mark = nn_push(n, "mask");
    nn_val own = nn_causal_mask(n, ids);
    nn_val m = nn_pad_last(n, own, "memory", 4, d->memory, 0);
    nn_pop(n, mark);
    return m;
}

static void build(nn *n, const void *dims)
{
    const relative_dims *d = dims;
    clusters c;
    nn_val ids = nn_token_input(n, "input_ids"), memory[32];
    num dims_of[3] = {nn_symbol(n->batch), num_int(d->memory), num_int(d->width)};
    for (int i = 0; i < d->layers && d->memory; i++) {
        char name[16];
        format_text(name, sizeof name, "mems.%d", i);
        str s = n->failed ? STR("") : str_copy(n->g->a, str_c(name));
        memory[i] = nn_input(n, "mems", n->weights, 3, dims_of, d->width);
        if (!s.ptr) n->failed = true;
        if (!n->failed) n->g->tensors[memory[i].t].name = s;
    }
    nn_val x = d->narrower > 1 ? cluster_embeddings(n, ids, &c, d)
                               : nn_embedding(n, ids, "word_emb", d->words, d->width, &c.table[0]);
    for (int i = 1; i < CLUSTERS && d->narrower == 1; i++) c.table[i] = c.table[0];
    if (d->narrower) x = nn_scale(n, x, "emb_scale", sqrt((double)d->width));
    nn_val at = positions(n, ids, d), mask = d->memory ? mask_of(n, ids, d) : NN_ABSENT;
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "layers.%d", i);
        x = attention(n, x, at, mask, d->memory ? memory[i] : NN_ABSENT, d);
        nn_val y = nn_mlp(n, x, "ff.0", "ff.1", d->ffn, d->memory ? OP_Relu : OP_Gelu);
        x = nn_layer_norm(n, nn_add(n, x, y, "ff_add"), "ff_norm");
        nn_pop(n, mark);
    }
    if (d->narrower) x = cluster_logits(n, x, &c, d);
    nn_output(n, x, d->narrower ? "log_probs" : "last_hidden_state");
}

#define XL "https://github.com/NVIDIA/DeepLearningExamples: PyTorch/LanguageModeling/Transformer-XL"
#define ROW(nm, alias, text, params, from, length, ...)                                                   \
    {                                                                                                     \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params, \
        .source = from, .sequence = length, .build = build, .dims = ZOO_DIMS(relative_dims, __VA_ARGS__)  \
    }

static const zoo_entry rows[] = {
    ROW("transformer-xl-base", "transformer-xl transfo-xl-base",
        "Transformer-XL base, WikiText-103, 192 words of memory", 192000000, XL, 192,
        {512, 2048, 8, 16, 192, 267735, 1}),
    ROW("transformer-xl-large", "transfo-xl-large transfo-xl/transfo-xl-wt103",
        "Transformer-XL large, WikiText-103, 384 words of memory", 285000000, XL, 384,
        {1024, 4096, 16, 18, 384, 267735, 4}),
    ROW("xlnet-base-cased", "xlnet-base xlnet xlnet/xlnet-base-cased", "XLNet base, cased", 116717568,
        ZOO_HUGGING_FACE("xlnet/xlnet-base-cased"), 128, {768, 3072, 12, 12, 0, 32000, 0}),
    ROW("xlnet-large-cased", "xlnet-large xlnet/xlnet-large-cased", "XLNet large, cased", 360267776,
        ZOO_HUGGING_FACE("xlnet/xlnet-large-cased"), 128, {1024, 4096, 16, 24, 0, 32000, 0}),
};

const zoo_table zoo_relative = ZOO_TABLE(rows);
