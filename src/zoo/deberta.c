/* DeBERTa v3 (He 2021): an encoder whose scores are three products: words with words, words with distances, distances with
 * words. Distances fall into 512 buckets, with an embedding each that all layers share. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

typedef struct deberta_dims {
    int64_t width, heads;
    int layers;
} deberta_dims;

enum { VOCABULARY = 128100, BUCKETS = 512 };

/* [1, 1, sequence, sequence]: the bucket of each distance. */
static nn_val distances(nn *n, nn_val ids)
{
    size_t mark = nn_push(n, "relative_pos");
    nn_val at = nn_positions(n, ids);
    nn_val row = nn_unsqueeze(n, at, "row", 3, (int64_t[]){0, 1, 3}),
           column = nn_unsqueeze(n, at, "column", 3, (int64_t[]){0, 1, 2});
    nn_val far = nn_op1(n, OP_Cast, "cast", nn_op2(n, OP_Sub, "distance", row, column.t));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    nn_val log = nn_scale(n, nn_op1(n, OP_Log, "log", nn_op1(n, OP_Abs, "abs", far)), "per_octave", 36.8);
    far = nn_op1(n, OP_Cast, "bucket",
                 nn_op1(n, OP_Ceil, "ceil", nn_mul(n, log, nn_op1(n, OP_Sign, "sign", far), "signed")));
    nn_attr(n, ATTR_to, 7); /* int64 */
    far = nn_op2(n, OP_Add, "from_zero", far, nn_scalar(n, "half", "", BUCKETS / 2));
    nn_pop(n, mark);
    return far;
}

/* Scores of every word with all buckets, from which each pair takes the one of its distance. */
static nn_val by_distance(nn *n, nn_val x, nn_val buckets, nn_val index, nn_val like, const char *name)
{
    size_t mark = nn_push(n, "%s", name);
    nn_val s = nn_op2(n, OP_MatMul, "product", x, buckets.t);
    nn_val shape = nn_op1(n, OP_Shape, "shape", like);
    index = nn_op2(n, OP_Expand, "expand", index, shape.t);
    s = nn_op2(n, OP_GatherElements, "gather", s, index.t);
    nn_attr(n, ATTR_axis, -1);
    nn_pop(n, mark);
    return s;
}

static nn_val attention(nn *n, nn_val x, nn_val rel, nn_val index, nn_val mask, const deberta_dims *d)
{
    static const char *const names[3] = {"query_proj", "key_proj", "value_proj"};
    uint32_t w[2], b[2];
    nn_val qkv[3], of[2];
    size_t mark = nn_push(n, "attention.self");
    for (int i = 0; i < 3; i++) {
        size_t part = nn_push(n, "%s", names[i]);
        uint32_t weight = nn_weight(n, "weight", "", 2, (int64_t[]){d->width, d->width}),
                 bias = nn_weight(n, "bias", "", 1, &d->width);
        qkv[i] = nn_op2(n, OP_Add, "add", nn_op2(n, OP_MatMul, "matmul", x, weight), bias);
        if (i < 2) w[i] = weight, b[i] = bias;
        nn_pop(n, part);
    }
    for (int i = 0; i < 2; i++) { /* the same layers over the distances */
        size_t part = nn_push(n, "pos_%s", names[i]);
        of[i] = nn_op2(n, OP_Add, "add", nn_op2(n, OP_MatMul, "matmul", rel, w[i]), b[i]);
        of[i] = nn_heads(n, of[i], "heads", d->heads, true);
        nn_pop(n, part);
    }
    double scale = 1 / sqrt(3.0 * (double)(d->width / d->heads));
    nn_val q = nn_heads(n, qkv[0], "q", d->heads, false), k = nn_heads(n, qkv[1], "k", d->heads, false);
    nn_val v = nn_heads(n, qkv[2], "v", d->heads, false),
           kt = nn_transpose(n, k, "k_transposed", 4, (int64_t[]){0, 1, 3, 2});
    nn_val s = nn_scale(n, nn_op2(n, OP_MatMul, "scores", q, kt.t), "scale", scale);
    nn_val c2p = nn_scale(n, by_distance(n, q, of[1], index, s, "c2p"), "c2p_scale", scale);
    nn_val p2c = by_distance(n, k, of[0], index, s, "p2c");
    p2c = nn_scale(n, nn_transpose(n, p2c, "p2c_transposed", 4, (int64_t[]){0, 1, 3, 2}), "p2c_scale", scale);
    s = nn_add(n, nn_add(n, s, nn_add(n, c2p, p2c, "both"), "add_both"), mask, "add_mask");
    s = nn_op2(n, OP_MatMul, "context", nn_softmax(n, s, "softmax", -1), v.t);
    s.c = d->width / d->heads;
    s = nn_merge_heads(n, s, d->heads);
    nn_pop(n, mark);
    mark = nn_push(n, "attention.output");
    x = nn_layer_norm(n, nn_add(n, nn_linear(n, s, "dense", d->width, true), x, "add"), "LayerNorm");
    nn_pop(n, mark);
    return x;
}

static nn_val padding_mask(nn *n)
{
    nn_val m = nn_token_input(n, "attention_mask");
    size_t mark = nn_push(n, "mask");
    m = nn_op1(n, OP_Cast, "cast", nn_unsqueeze(n, m, "unsqueeze", 2, (int64_t[]){1, 2}));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    m = nn_op2(n, OP_Sub, "sub", (nn_val){nn_floats(n, "one", (double[]){1}, 1), 0}, m.t);
    m = nn_op2(n, OP_Mul, "mul", m, nn_floats(n, "lowest", (double[]){-3.4028234663852886e38}, 1));
    nn_pop(n, mark);
    return m;
}

static void build(nn *n, const void *dims)
{
    const deberta_dims *d = dims;
    nn_val ids = nn_token_input(n, "input_ids"), mask = padding_mask(n);
    nn_val x = nn_layer_norm(n, nn_embedding(n, ids, "embeddings.word_embeddings", VOCABULARY, d->width, NULL),
                             "embeddings.LayerNorm");
    nn_val index = distances(n, ids),
           rel = nn_parameter(n, "encoder.rel_embeddings", 2, (int64_t[]){BUCKETS, d->width});
    rel = nn_unsqueeze(n, nn_layer_norm(n, rel, "encoder.LayerNorm"), "encoder.rel", 1, (int64_t[]){0});
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "encoder.layer.%d", i);
        x = attention(n, x, rel, index, mask, d);
        nn_val y = nn_mlp(n, x, "intermediate.dense", "output.dense", 4 * d->width, OP_Gelu);
        x = nn_layer_norm(n, nn_add(n, y, x, "output.add"), "output.LayerNorm");
        nn_pop(n, mark);
    }
    nn_output(n, x, "last_hidden_state");
}

#define ROW(size, params, ...)                                                                          \
    {                                                                                                   \
        .name = "deberta-v3-" size, .aliases = "microsoft/deberta-v3-" size, .family = "transformer",   \
        .description = "DeBERTa v3 " size, .parameters = params,                                        \
        .source = ZOO_HUGGING_FACE("microsoft/deberta-v3-" size), .sequence = 128, .max_sequence = 512, \
        .build = build, .dims = ZOO_DIMS(deberta_dims, __VA_ARGS__)                                     \
    }

static const zoo_entry rows[] = {
    ROW("small", 141304320, {768, 12, 6}),
    ROW("base", 183831552, {768, 12, 12}),
    ROW("large", 434012160, {1024, 16, 24}),
};

const zoo_table zoo_deberta = ZOO_TABLE(rows);
