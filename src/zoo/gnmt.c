/* GNMT v2 (Wu 2016, as in NVIDIA's and MLPerf's training code): four LSTM layers read, the first both ways; four write,
 * with attention after the first. Both texts have `sequence` words. `gnmt` translates: a word a step of each translation that is open,
 * of which the likeliest go on. `gnmt-pairs` reads known pairs at once, as in training. */
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
static nn_val attend(nn *n, nn_val query, nn_val keys, nn_val lengths, nn_val *weights)
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
    *weights = nn_softmax(n, s, "softmax", -1);
    s = nn_op2(n, OP_MatMul, "context", *weights, keys.t);
    s.c = WIDTH;
    nn_pop(n, mark);
    return s;
}

static nn_val decode(nn *n, nn_val x, nn_val encoded, nn_val lengths)
{
    nn_val context = NN_ABSENT, weights;
    for (int i = 0; i < LAYERS; i++) {
        size_t mark = nn_push(n, "decoder.%d", i);
        nn_val in = i ? nn_concat(n, (nn_val[]){x, context}, 2, 2, "concat") : x;
        nn_val y = nn_recurrent(n, OP_LSTM, in, "rnn", WIDTH, false, NN_ABSENT);
        if (i == 0) context = attend(n, y, encoded, lengths, &weights);
        else x = i > 1 ? nn_add(n, y, x, "residual") : y; /* the second layer reads the words, not the first's output */
        nn_pop(n, mark);
    }
    return x;
}

/* ---- word by word ---- */

enum { BEAMS = 5 /* translate.py's and the paper's; MLPerf takes 10 */, STATES = 2 * LAYERS, END = 3 };

/* What a step of the search carries on, for each of the BEAMS translations that are open of each sentence: `rows` in all. */
typedef struct beams {
    nn_val hidden;   /* [STATES, rows, WIDTH] */
    nn_val words;    /* [1, rows] */
    nn_val lengths;  /* [rows] */
    nn_val scores;   /* [batch, BEAMS] */
    nn_val coverage; /* [rows, words read]: what attention there was on each so far */
    nn_val written;  /* [rows, words] */
} beams;
enum { CARRIED = sizeof(beams) / sizeof(nn_val) };

/* Every row once for each beam; their order changes no work. */
static nn_val beam_rows(nn *n, nn_val x, const char *layer, int rank)
{
    x = nn_op2(n, OP_Tile, layer, x, nn_ints(n, layer, ".times", (int64_t[]){BEAMS, 1, 1}, (uint32_t)rank));
    return x;
}

/* One step of an LSTM layer as a call of its own: [1, rows, c], with its states [1, rows, WIDTH]. */
static nn_val lstm_call(nn *n, nn_val x, const char *layer, nn_val *h, nn_val *c)
{
    uint32_t in[7] = {x.t, NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR, h->t, c->t}, out[3];
    size_t mark = nn_push(n, "%s", layer);
    in[1] = nn_weight(n, "weight_ih", "", 3, (int64_t[]){1, 4 * WIDTH, x.c});
    in[2] = nn_weight(n, "weight_hh", "", 3, (int64_t[]){1, 4 * WIDTH, WIDTH});
    in[3] = nn_weight(n, "bias", "", 2, (int64_t[]){1, 8 * WIDTH});
    nn_emit(n, OP_LSTM, "cell", in, 7, out, 3);
    nn_attr(n, ATTR_hidden_size, WIDTH);
    *h = (nn_val){out[1], WIDTH};
    *c = (nn_val){out[2], WIDTH};
    x = nn_reshape(n, (nn_val){out[0], WIDTH}, "merge", 3, (int64_t[]){1, -1, WIDTH}, WIDTH);
    nn_pop(n, mark);
    return x;
}

static nn_val decode_step(nn *n, nn_val x, nn_val encoded, nn_val lengths, nn_val *state, nn_val *weights)
{
    nn_val context = NN_ABSENT;
    for (int i = 0; i < LAYERS; i++) {
        size_t mark = nn_push(n, "decoder.%d", i);
        nn_val in = i ? nn_concat(n, (nn_val[]){x, context}, 2, 2, "concat") : x;
        nn_val y = lstm_call(n, in, "rnn", &state[2 * i], &state[2 * i + 1]);
        if (i == 0) {
            context = attend(n, nn_transpose(n, y, "query", 3, (int64_t[]){1, 0, 2}), encoded, lengths, weights);
            context = nn_transpose(n, context, "context", 3, (int64_t[]){1, 0, 2});
        } else x = i > 1 ? nn_add(n, y, x, "residual") : y;
        nn_pop(n, mark);
    }
    return x;
}

static nn_val gathered(nn *n, nn_val x, nn_val index, int64_t axis, const char *layer)
{
    int64_t c = x.c;
    x = nn_op2(n, OP_Gather, layer, x, index.t);
    nn_attr(n, ATTR_axis, axis);
    x.c = c;
    return x;
}

static nn_val chosen(nn *n, nn_val x, nn_val index, const char *layer)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_reshape(n, x, "of_sentence", 2, (int64_t[]){-1, BEAMS * BEAMS}, BEAMS);
    x = nn_op2(n, OP_GatherElements, "choose", x, index.t);
    nn_attr(n, ATTR_axis, 1);
    nn_pop(n, mark);
    return x;
}

/* Where `ended` holds, a number instead of x. */
static nn_val unless(nn *n, nn_val ended, nn_val x, uint32_t instead, const char *layer)
{
    uint32_t in[3] = {ended.t, instead, x.t};
    return nn_op(n, OP_Where, layer, in, 3, x.c);
}

/* Of the BEAMS likeliest words of each row the BEAMS likeliest translations of each sentence, as beam_search.py has it; the rows that
 * went on from other rows take over what those had. `step`: how many words were written. */
static void search(nn *n, beams *b, nn_val logprobs, nn_val words, nn_val weights, nn_val step)
{
    size_t mark = nn_push(n, "search");
    nn_val ended = nn_op2(n, OP_Equal, "ended", b->words, nn_scalar(n, "end", "", END));
    ended = nn_reshape(n, ended, "rows", 2, (int64_t[]){-1, 1}, 1);
    nn_val longer = nn_op1(n, OP_Not, "goes_on", nn_reshape(n, ended, "flat", 1, (int64_t[]){-1}, 1));
    longer = nn_op1(n, OP_Cast, "longer", longer);
    nn_attr(n, ATTR_to, 7); /* ONNX's number for int64 */
    nn_val lengths = nn_op2(n, OP_Add, "lengths", b->lengths, longer.t);
    weights = nn_op2(n, OP_Squeeze, "weights", weights, nn_ints(n, "weights", ".axes", (int64_t[]){1}, 1));
    weights = unless(n, ended, weights, nn_floats(n, "nothing", (double[]){0}, 1), "attention");
    nn_val coverage = nn_add(n, b->coverage, weights, "coverage");
    words = nn_reshape(n, words, "candidates", 2, (int64_t[]){-1, BEAMS}, BEAMS);
    words = unless(n, ended, words, nn_scalar(n, "ends", "", END), "words");
    logprobs = nn_reshape(n, logprobs, "chances", 2, (int64_t[]){-1, BEAMS}, BEAMS);
    logprobs = unless(n, ended, logprobs, nn_floats(n, "lowest_but_one", (double[]){-65504}, 1), "logprobs");
    logprobs = nn_reshape(n, logprobs, "of_sentences", 3, (int64_t[]){-1, BEAMS, BEAMS}, BEAMS);
    logprobs = nn_add(n, logprobs, nn_unsqueeze(n, b->scores, "so_far", 1, (int64_t[]){2}), "scores");
    nn_val flat = nn_reshape(n, logprobs, "all", 2, (int64_t[]){-1, BEAMS * BEAMS}, BEAMS);
    uint32_t best[2];
    nn_emit(n, OP_TopK, "best", (uint32_t[]){flat.t, nn_ints(n, "best", ".k", (int64_t[]){BEAMS}, 1)}, 2, best, 2);
    nn_val at = {best[1], 1}, from = nn_op2(n, OP_Div, "beam", at, nn_scalar(n, "beams", "", BEAMS));
    from = nn_op2(n, OP_Add, "row", from, nn_scalar(n, "first_of_sentence", "", 0));
    from = nn_reshape(n, from, "from", 1, (int64_t[]){-1}, 1);
    b->scores = chosen(n, logprobs, at, "scores.all");
    b->words = nn_reshape(n, chosen(n, words, at, "words.all"), "next", 2, (int64_t[]){1, -1}, 1);
    b->lengths = gathered(n, lengths, from, 0, "lengths.from");
    b->coverage = coverage; /* stays with its row */
    b->hidden = gathered(n, b->hidden, from, 1, "hidden.from");
    nn_val place = nn_range(n, "places", nn_pick(n, nn_op1(n, OP_Shape, "shape", b->written), "length", 0, 1));
    nn_val last = nn_reshape(n, b->words, "last", 2, (int64_t[]){-1, 1}, 1);
    b->written = gathered(n, b->written, from, 0, "written.from");
    b->written = unless(n, nn_op2(n, OP_Equal, "here", place, step.t), b->written, last.t, "written");
    nn_pop(n, mark);
}

/* What the search begins with: the sentence's first word in every row, states and scores of zeros. */
static beams begin(nn *n, nn_val ids, nn_val read)
{
    size_t mark = nn_push(n, "begin");
    nn_val words = beam_rows(n, nn_slice(n, ids, "first_word", 1, 0, 1, 0), "words", 2);
    nn_val rows = nn_pick(n, nn_op1(n, OP_Shape, "shape", words), "rows", 0, 0),
           written = beam_rows(n, ids, "written", 2);
    rows = nn_unsqueeze(n, rows, "vector", 1, (int64_t[]){0});
    nn_val first = {nn_ints(n, "states", "", (int64_t[]){STATES}, 1), 0},
           last = {nn_ints(n, "width", "", (int64_t[]){WIDTH}, 1), 0};
    rows = nn_concat(n, (nn_val[]){first, rows, last}, 3, 0, "dims");
    beams b = {.hidden = nn_op1(n, OP_ConstantOfShape, "hidden", rows),
               .words = nn_reshape(n, words, "first", 2, (int64_t[]){1, -1}, 1),
               .lengths = beam_rows(n, read, "lengths", 1),
               .scores = nn_zeros(n, ids, "scores", BEAMS),
               .coverage = nn_op1(n, OP_ConstantOfShape, "coverage", nn_op1(n, OP_Shape, "attention", written)),
               .written = written};
    nn_pop(n, mark);
    return b;
}

/* Long translations have had more words to lose score by, and those that left words out score less. */
static nn_val final_scores(nn *n, const beams *b)
{
    size_t mark = nn_push(n, "final");
    nn_val x = nn_op1(n, OP_Log, "log", nn_op1(n, OP_Sigmoid, "clamp", b->coverage));
    x = nn_reduce(n, x, OP_ReduceSum, "sum", 1, false);
    x = nn_scale(n, nn_reshape(n, x, "sentences", 2, (int64_t[]){-1, BEAMS}, BEAMS), "factor", 0.1);
    nn_val norm = nn_op1(n, OP_Cast, "float", b->lengths);
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    norm = nn_op2(n, OP_Pow, "norm", nn_scale(n, norm, "longer", 1 / 6.0),
                  nn_floats(n, "exponent", (double[]){0.6}, 1));
    norm = nn_reshape(n, norm, "of_sentences", 2, (int64_t[]){-1, BEAMS}, BEAMS);
    x = nn_add(n, nn_op2(n, OP_Div, "normalize", b->scores, norm.t), x, "penalty");
    nn_pop(n, mark);
    return x;
}

static void build_translation(nn *n, const void *dims)
{
    (void)dims;
    uint32_t table;
    nn_val ids = nn_token_input(n, "source"), read = nn_row_input(n, "source_lengths", DT_INT64, 0);
    nn_val state[STATES], weights;
    nn_val encoded = encode(n, nn_embedding(n, ids, "embedder", VOCABULARY, WIDTH, &table));
    encoded = beam_rows(n, encoded, "encoded", 3);
    encoded.c = WIDTH;
    nn_val steps = nn_pick(n, nn_op1(n, OP_Shape, "shape", ids), "steps", 0, 1), every = beam_rows(n, read, "read", 1);
    union {
        beams b;
        nn_val carried[CARRIED];
    } u = {.b = begin(n, ids, read)};
    nn_scan loop;
    nn_scan_begin(n, &loop, steps, CARRIED, u.carried);
    size_t mark = nn_push(n, "word");
    nn_val x = nn_op2(n, OP_Gather, "embedder", (nn_val){table, WIDTH}, u.b.words.t);
    nn_attr(n, ATTR_axis, 0);
    nn_split(n, u.b.hidden, "chunks", 0, STATES, state);
    x = decode_step(n, x, encoded, every, state, &weights);
    u.b.hidden = nn_concat(n, state, STATES, 0, "package_hidden");
    x = nn_op1(n, OP_LogSoftmax, "log_softmax", nn_linear(n, x, "classifier", VOCABULARY, true));
    nn_attr(n, ATTR_axis, -1);
    uint32_t likely[2];
    nn_emit(n, OP_TopK, "topk", (uint32_t[]){x.t, nn_ints(n, "beams", "", (int64_t[]){BEAMS}, 1)}, 2, likely, 2);
    search(n, &u.b, (nn_val){likely[0], BEAMS}, (nn_val){likely[1], BEAMS}, weights, nn_scan_step(&loop));
    nn_pop(n, mark);
    nn_scan_end(n, &loop, "words", u.carried, NN_ABSENT);
    x = final_scores(n, &u.b);
    nn_val best = nn_op1(n, OP_ArgMax, "best", x);
    nn_attr(n, ATTR_axis, 1);
    nn_attr(n, ATTR_keepdims, 0);
    nn_output(n, gathered(n, u.b.written, best, 0, "translation"), "translations");
    nn_output(n, x, "scores");
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
    ROW("gnmt", "gnmt-v2 gnmtv2", "GNMT v2, translating word by word with 5 beams", build_translation),
    ROW("gnmt-pairs", "gnmt-training", "GNMT v2, given pairs, as in training", build_pairs),
};

const zoo_table zoo_gnmt = ZOO_TABLE(rows);
