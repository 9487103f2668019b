/* BERT (Devlin 2018), RoBERTa (Liu 2019), DistilBERT (Sanh 2019): post-norm encoders as in Hugging Face, without
 * a task's head. */
#include "zoo/tables.h"

typedef struct bert_dims {
    int64_t vocabulary, width, ffn, heads, positions, types;
    int layers;
    bool pooler, offset_positions; /* RoBERTa counts positions of tokens that are not padding, from 2 */
} bert_dims;

static nn_val position_ids(nn *n, nn_val ids, bool offset)
{
    if (!offset) return nn_positions(n, ids);
    size_t mark = nn_push(n, "position_ids");
    nn_val real = nn_op2(n, OP_NotEqual, "not_padding", ids, nn_scalar(n, "padding", "", 1));
    real = nn_op1(n, OP_Cast, "cast", real);
    nn_attr(n, ATTR_to, 7); /* ONNX's number for int64 */
    nn_val at = nn_op2(n, OP_CumSum, "cumsum", real, nn_scalar(n, "axis", "", 1));
    at = nn_op2(n, OP_Add, "add", nn_mul(n, at, real, "mul"), nn_scalar(n, "first", "", 1));
    nn_pop(n, mark);
    return at;
}

static nn_val embeddings(nn *n, nn_val ids, const bert_dims *d)
{
    size_t mark = nn_push(n, "embeddings");
    nn_val x = nn_embedding(n, ids, "word_embeddings", d->vocabulary, d->width, NULL);
    nn_val at = position_ids(n, ids, d->offset_positions);
    if (d->types) {
        nn_val types = d->types > 1 ? nn_token_input(n, "token_type_ids") : ids;
        if (d->types == 1) { /* not an input: all zero */
            nn_val zero = {nn_scalar(n, "zero", "", 0), 0};
            types = nn_op2(n, OP_Expand, "token_type_ids", zero, nn_op1(n, OP_Shape, "shape", ids).t);
        }
        x = nn_add(n, x, nn_embedding(n, types, "token_type_embeddings", d->types, d->width, NULL), "add_types");
    }
    x = nn_add(n, x, nn_embedding(n, at, "position_embeddings", d->positions, d->width, NULL), "add_positions");
    x = nn_layer_norm(n, x, "LayerNorm");
    nn_pop(n, mark);
    return x;
}

/* [batch, sequence] of 1 and 0 becomes [batch, 1, 1, sequence] of 0 and a large negative number. */
static nn_val additive_mask(nn *n)
{
    nn_val m = nn_token_input(n, "attention_mask");
    size_t mark = nn_push(n, "mask");
    m = nn_unsqueeze(n, m, "unsqueeze", 2, (int64_t[]){1, 2});
    m = nn_op1(n, OP_Cast, "cast", m);
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    nn_val one = {nn_floats(n, "one", (double[]){1}, 1), 0};
    m = nn_op2(n, OP_Sub, "sub", one, m.t);
    m = nn_op2(n, OP_Mul, "mul", m, nn_floats(n, "lowest", (double[]){-3.4028234663852886e38}, 1));
    nn_pop(n, mark);
    return m;
}

static nn_val layer(nn *n, nn_val x, nn_val mask, const bert_dims *d)
{
    size_t mark = nn_push(n, "attention");
    nn_val q = nn_linear(n, x, "self.query", d->width, true), k = nn_linear(n, x, "self.key", d->width, true);
    nn_val v = nn_linear(n, x, "self.value", d->width, true);
    nn_val y = nn_attention(n, q, k, v, (nn_attend){.heads = d->heads, .mask = mask});
    y = nn_linear(n, y, "output.dense", d->width, true);
    x = nn_layer_norm(n, nn_add(n, y, x, "output.add"), "output.LayerNorm");
    nn_pop(n, mark);
    y = nn_mlp(n, x, "intermediate.dense", "output.dense", d->ffn, OP_Gelu);
    return nn_layer_norm(n, nn_add(n, y, x, "output.add"), "output.LayerNorm");
}

static void build(nn *n, const void *dims)
{
    const bert_dims *d = dims;
    nn_val ids = nn_token_input(n, "input_ids"), mask = additive_mask(n);
    nn_val x = embeddings(n, ids, d);
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "encoder.layer.%d", i);
        x = layer(n, x, mask, d);
        nn_pop(n, mark);
    }
    nn_output(n, x, "last_hidden_state");
    if (!d->pooler) return;
    nn_val first = nn_pick(n, x, "pooler.first_token", 1, 0);
    nn_output(n, nn_op1(n, OP_Tanh, "pooler.activation", nn_fc(n, first, "pooler.dense", d->width)), "pooler_output");
}

#define ROW(nm, alias, text, params, repo, most, ...)                                                     \
    {                                                                                                     \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params, \
        .source = ZOO_HUGGING_FACE(repo), .sequence = 128, .max_sequence = most, .build = build,          \
        .dims = ZOO_DIMS(bert_dims, __VA_ARGS__)                                                          \
    }

static const zoo_entry rows[] = {
    ROW("bert-base-uncased", "bert bert-base google-bert/bert-base-uncased", "BERT base, uncased", 109482240,
        "google-bert/bert-base-uncased", 512, {30522, 768, 3072, 12, 512, 2, 12, true, false}),
    ROW("bert-large-uncased", "bert-large google-bert/bert-large-uncased", "BERT large, uncased", 335141888,
        "google-bert/bert-large-uncased", 512, {30522, 1024, 4096, 16, 512, 2, 24, true, false}),
    ROW("bert-base-cased", "google-bert/bert-base-cased", "BERT base, cased", 108310272, "google-bert/bert-base-cased",
        512, {28996, 768, 3072, 12, 512, 2, 12, true, false}),
    ROW("distilbert-base-uncased", "distilbert distilbert-base distilbert/distilbert-base-uncased",
        "DistilBERT base, uncased", 66362880, "distilbert/distilbert-base-uncased", 512,
        {30522, 768, 3072, 12, 512, 0, 6, false, false}),
    ROW("roberta-base", "roberta FacebookAI/roberta-base", "RoBERTa base", 124645632, "FacebookAI/roberta-base", 512,
        {50265, 768, 3072, 12, 514, 1, 12, true, true}),
    ROW("roberta-large", "FacebookAI/roberta-large", "RoBERTa large", 355359744, "FacebookAI/roberta-large", 512,
        {50265, 1024, 4096, 16, 514, 1, 24, true, true}),
};

const zoo_table zoo_bert = ZOO_TABLE(rows);
