/* GNMT v2 (Wu 2016, as in NVIDIA's and MLPerf's training code): four LSTM layers read, the first both ways; four write,
 * with attention after the first. Both texts have `sequence` words: a pass over known pairs, as in training. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

enum { VOCABULARY = 32320, WIDTH = 1024, LAYERS = 4 };

static nn_val encode(nn *n, nn_val x)
{
    for (int i = 0; i < LAYERS; i++) {
        size_t mark = nn_push(n, "encoder.%d", i);
        nn_val y = nn_recurrent(n, OP_LSTM, x, "rnn", WIDTH, i == 0, NN_ABSENT);
        x = i < 2 ? y : nn_add(n, y, x, "residual");
        nn_pop(n, mark);
    }
    return x;
}

/* Bahdanau's: a layer over the sum of query and key for every pair of words. */
static nn_val attend(nn *n, nn_val query, nn_val keys)
{
    size_t mark = nn_push(n, "attention");
    nn_val q = nn_unsqueeze(n, nn_linear(n, query, "linear_q", WIDTH, false), "q", 1, (int64_t[]){2});
    nn_val k = nn_unsqueeze(n, nn_linear(n, keys, "linear_k", WIDTH, false), "k", 1, (int64_t[]){1});
    nn_val s = nn_add(n, q, k, "sum");
    s = nn_add(n, s, nn_parameter(n, "normalize_bias", 1, (int64_t[]){WIDTH}), "normalize");
    nn_val v = nn_parameter(n, "linear_att", 2, (int64_t[]){WIDTH, 1});
    v = nn_mul(n, v, nn_parameter(n, "normalize_scalar", 1, (int64_t[]){1}), "scaled");
    s = nn_op2(n, OP_MatMul, "scores", nn_op1(n, OP_Tanh, "tanh", s), v.t);
    s = nn_op2(n, OP_Squeeze, "squeeze", s, nn_ints(n, "squeeze", ".axes", (int64_t[]){3}, 1));
    s = nn_op2(n, OP_MatMul, "context", nn_softmax(n, s, "softmax", -1), keys.t);
    s.c = WIDTH;
    nn_pop(n, mark);
    return s;
}

static nn_val decode(nn *n, nn_val x, nn_val encoded)
{
    nn_val context = NN_ABSENT;
    for (int i = 0; i < LAYERS; i++) {
        size_t mark = nn_push(n, "decoder.%d", i);
        nn_val in = i ? nn_concat(n, (nn_val[]){x, context}, 2, 2, "concat") : x;
        nn_val y = nn_recurrent(n, OP_LSTM, in, "rnn", WIDTH, false, NN_ABSENT);
        if (i == 0) context = attend(n, y, encoded);
        else x = i > 1 ? nn_add(n, y, x, "residual") : y; /* the second layer reads the words, not the first's output */
        nn_pop(n, mark);
    }
    return x;
}

static void build(nn *n, const void *dims)
{
    (void)dims;
    uint32_t table;
    nn_val from = nn_token_input(n, "source"), to = nn_token_input(n, "target");
    nn_val x = nn_embedding(n, from, "embedder", VOCABULARY, WIDTH, &table);
    nn_val encoded = encode(n, x);
    x = nn_op2(n, OP_Gather, "decoder_embedder", (nn_val){table, WIDTH}, to.t);
    nn_attr(n, ATTR_axis, 0);
    x = decode(n, x, encoded);
    nn_output(n, nn_linear(n, x, "classifier", VOCABULARY, true), "logits");
}

static const zoo_entry rows[] = {
    {.name = "gnmt",
     .aliases = "gnmt-v2 gnmtv2",
     .family = "rnn",
     .description = "GNMT v2, 4 + 4 layers of 1024 (no beam search: given pairs)",
     .parameters = 160671297,
     .source = "https://github.com/NVIDIA/DeepLearningExamples: PyTorch/Translation/GNMT",
     .sequence = 32,
     .build = build},
};

const zoo_table zoo_gnmt = ZOO_TABLE(rows);
