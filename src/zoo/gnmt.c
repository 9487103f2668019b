/* GNMT v2 (Wu 2016, as in NVIDIA's and MLPerf's training code): four LSTM layers read, the first both ways; four write,
 * with attention after the first. Both texts have `sequence` words. `gnmt` translates: the likeliest word a step, which the next
 * step reads. `gnmt-pairs` reads known pairs at once, as in training. */
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

/* Bahdanau's: a layer over the sum of query and key for every pair of words; none behind the end of a sentence. */
static nn_val attend(nn *n, nn_val query, nn_val keys, nn_val lengths)
{
    size_t mark = nn_push(n, "attention");
    nn_val at = nn_range(n, "range", nn_pick(n, nn_op1(n, OP_Shape, "shape", keys), "length", 0, 1));
    nn_val ends = nn_unsqueeze(n, lengths, "ends", 1, (int64_t[]){1});
    nn_val behind = nn_op2(n, OP_GreaterOrEqual, "behind", at, ends.t);
    behind = nn_unsqueeze(n, behind, "every_query", 1, (int64_t[]){1});
    nn_val q = nn_unsqueeze(n, nn_linear(n, query, "linear_q", WIDTH, false), "q", 1, (int64_t[]){2});
    nn_val k = nn_unsqueeze(n, nn_linear(n, keys, "linear_k", WIDTH, false), "k", 1, (int64_t[]){1});
    nn_val s = nn_add(n, q, k, "sum");
    s = nn_add(n, s, nn_parameter(n, "normalize_bias", 1, (int64_t[]){WIDTH}), "normalize");
    nn_val v = nn_parameter(n, "linear_att", 2, (int64_t[]){WIDTH, 1});
    v = nn_op2(n, OP_Div, "unit", v, nn_reduce(n, v, OP_ReduceL2, "norm", 0, true).t);
    v = nn_mul(n, v, nn_parameter(n, "normalize_scalar", 1, (int64_t[]){1}), "scaled");
    s = nn_op2(n, OP_MatMul, "scores", nn_op1(n, OP_Tanh, "tanh", s), v.t);
    s = nn_op2(n, OP_Squeeze, "squeeze", s, nn_ints(n, "squeeze", ".axes", (int64_t[]){3}, 1));
    uint32_t in[3] = {behind.t, nn_floats(n, "lowest", (double[]){-65504}, 1), s.t};
    s = nn_op(n, OP_Where, "mask", in, 3, s.c);
    s = nn_op2(n, OP_MatMul, "context", nn_softmax(n, s, "softmax", -1), keys.t);
    s.c = WIDTH;
    nn_pop(n, mark);
    return s;
}

static nn_val decode(nn *n, nn_val x, nn_val encoded, nn_val lengths)
{
    nn_val context = NN_ABSENT;
    for (int i = 0; i < LAYERS; i++) {
        size_t mark = nn_push(n, "decoder.%d", i);
        nn_val in = i ? nn_concat(n, (nn_val[]){x, context}, 2, 2, "concat") : x;
        nn_val y = nn_recurrent(n, OP_LSTM, in, "rnn", WIDTH, false, NN_ABSENT);
        if (i == 0) context = attend(n, y, encoded, lengths);
        else x = i > 1 ? nn_add(n, y, x, "residual") : y; /* the second layer reads the words, not the first's output */
        nn_pop(n, mark);
    }
    return x;
}

/* ---- word by word ---- */

/* One step of an LSTM layer as a call of its own: [batch, 1, c], with its states [batch, 1, WIDTH]. */
static nn_val lstm_call(nn *n, nn_val x, const char *layer, nn_val *h, nn_val *c)
{
    uint32_t in[7] = {x.t, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR, h->t, c->t}, out[3];
    size_t mark = nn_push(n, "%s", layer);
    in[1] = nn_weight(n, "weight_ih", "", 3, (int64_t[]){1, 4 * WIDTH, x.c});
    in[2] = nn_weight(n, "weight_hh", "", 3, (int64_t[]){1, 4 * WIDTH, WIDTH});
    in[3] = nn_weight(n, "bias", "", 2, (int64_t[]){1, 8 * WIDTH});
    nn_emit(n, OP_LSTM, "cell", in, 7, out, 3);
    nn_attr(n, ATTR_hidden_size, WIDTH);
    nn_attr(n, ATTR_layout, 1); /* the batch comes first */
    *h = (nn_val){out[1], WIDTH};
    *c = (nn_val){out[2], WIDTH};
    x = nn_reshape(n, (nn_val){out[0], WIDTH}, "merge", 3, (int64_t[]){0, 0, WIDTH}, WIDTH);
    nn_pop(n, mark);
    return x;
}

static nn_val decode_step(nn *n, nn_val x, nn_val encoded, nn_val lengths, nn_val *state)
{
    nn_val context = NN_ABSENT;
    for (int i = 0; i < LAYERS; i++) {
        size_t mark = nn_push(n, "decoder.%d", i);
        nn_val in = i ? nn_concat(n, (nn_val[]){x, context}, 2, 2, "concat") : x;
        nn_val y = lstm_call(n, in, "rnn", &state[2 * i], &state[2 * i + 1]);
        if (i == 0) context = attend(n, y, encoded, lengths);
        else x = i > 1 ? nn_add(n, y, x, "residual") : y;
        nn_pop(n, mark);
    }
    return x;
}

/* [batch, 1, WIDTH] of zeros */
static nn_val zeros(nn *n, nn_val like)
{
    nn_val rows = nn_pick(n, nn_op1(n, OP_Shape, "shape", like), "rows", 0, 0);
    rows = nn_unsqueeze(n, rows, "vector", 1, (int64_t[]){0});
    rows = nn_concat(n, (nn_val[]){rows, {nn_ints(n, "one_width", "", (int64_t[]){1, WIDTH}, 2), 0}}, 2, 0, "dims");
    nn_val z = nn_op1(n, OP_ConstantOfShape, "zeros", rows);
    z.c = WIDTH;
    return z;
}

static void build_translation(nn *n, const void *dims)
{
    (void)dims;
    uint32_t table;
    nn_val ids = nn_token_input(n, "source"), read = nn_row_input(n, "source_lengths", DT_INT64, 0);
    nn_val carried[2 * LAYERS + 2], best[2];
    nn_val encoded = encode(n, nn_embedding(n, ids, "embedder", VOCABULARY, WIDTH, &table));
    nn_val steps = nn_pick(n, nn_op1(n, OP_Shape, "shape", ids), "steps", 0, 1);
    size_t mark = nn_push(n, "state");
    nn_val zero = zeros(n, ids);
    nn_pop(n, mark);
    for (int i = 0; i < 2 * LAYERS; i++) carried[i] = zero;
    carried[2 * LAYERS] = nn_slice(n, ids, "first_word", 1, 0, 1, 0);
    nn_scan loop;
    carried[2 * LAYERS + 1] = read; /* stands for the lengths written so far */
    nn_scan_begin(n, &loop, steps, 2 * LAYERS + 2, carried);
    mark = nn_push(n, "word");
    nn_val x = nn_op2(n, OP_Gather, "embedder", (nn_val){table, WIDTH}, carried[2 * LAYERS].t);
    nn_attr(n, ATTR_axis, 0);
    x = decode_step(n, x, encoded, read, carried);
    nn_concat(n, carried, 2 * LAYERS, 1, "package_hidden");
    x = nn_op1(n, OP_LogSoftmax, "log_softmax", nn_linear(n, x, "classifier", VOCABULARY, true));
    nn_attr(n, ATTR_axis, -1);
    uint32_t word[2];
    nn_emit(n, OP_TopK, "topk", (uint32_t[]){x.t, nn_ints(n, "one", "", (int64_t[]){1}, 1)}, 2, word, 2);
    for (int i = 0; i < 2; i++) best[i] = (nn_val){word[i], 0};
    carried[2 * LAYERS] = nn_op2(n, OP_Squeeze, "word", best[1], nn_ints(n, "word", ".axes", (int64_t[]){2}, 1));
    nn_val ended = nn_op2(n, OP_Equal, "ended", carried[2 * LAYERS], nn_scalar(n, "end", "", 3));
    nn_reduce(n, ended, OP_ReduceAny, "any_ended", 1, false);
    carried[2 * LAYERS + 1] = nn_op2(n, OP_Add, "longer", carried[2 * LAYERS + 1], nn_scalar(n, "by", "", 1));
    nn_pop(n, mark);
    x = nn_scan_end(n, &loop, "words", carried, x); /* [steps, batch, 1, VOCABULARY] */
    x = nn_transpose(n, x, "batch_first", 4, (int64_t[]){1, 0, 2, 3});
    nn_output(n, nn_reshape(n, x, "merge", 3, (int64_t[]){0, 0, VOCABULARY}, VOCABULARY), "log_probs");
}

static void build_pairs(nn *n, const void *dims)
{
    (void)dims;
    uint32_t table;
    nn_val from = nn_token_input(n, "source"), to = nn_token_input(n, "target");
    nn_val read = nn_row_input(n, "source_lengths", DT_INT64, 0);
    nn_val x = nn_embedding(n, from, "embedder", VOCABULARY, WIDTH, &table);
    nn_val encoded = encode(n, x);
    x = nn_op2(n, OP_Gather, "decoder_embedder", (nn_val){table, WIDTH}, to.t);
    nn_attr(n, ATTR_axis, 0);
    x = decode(n, x, encoded, read);
    nn_output(n, nn_linear(n, x, "classifier", VOCABULARY, true), "logits");
}

#define ROW(nm, alias, text, how)                                                                             \
    {                                                                                                         \
        .name = nm, .aliases = alias, .family = "rnn", .description = text, .parameters = 160671297,          \
        .source = "https://github.com/NVIDIA/DeepLearningExamples: PyTorch/Translation/GNMT", .sequence = 32, \
        .build = how                                                                                          \
    }

static const zoo_entry rows[] = {
    ROW("gnmt", "gnmt-v2 gnmtv2", "GNMT v2, translating word by word", build_translation),
    ROW("gnmt-pairs", "gnmt-training", "GNMT v2, given pairs, as in training", build_pairs),
};

const zoo_table zoo_gnmt = ZOO_TABLE(rows);
