/* Recognition of speech: Jasper (Li 2019), QuartzNet (Kriman 2019), RNN-T (Graves 2012, as in MLPerf), wav2vec 2.0
 * (Baevski 2020). `sequence` is the length of the audio: frames of 10 ms; of 30 ms for RNN-T, of 20 ms for wav2vec. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

/* ---- Jasper and QuartzNet: blocks of five convolutions along time ---- */

typedef struct ctc_block {
    int64_t out;
    int k, repeat, stride, dilation;
    bool residual;
} ctc_block;

typedef struct ctc_dims {
    const ctc_block *blocks;
    int count;
    bool separable; /* depthwise, then 1x1 (QuartzNet); residuals from the block before only */
} ctc_dims;

enum { MELS = 64, LETTERS = 29 };

/* Both codes clear what is behind the end of each utterance in front of every convolution, and follow the lengths through it: QuartzNet's
 * in `whole` numbers. */
static nn_val masked(nn *n, nn_val x, nn_val *lengths, nn_conv1d s, bool whole)
{
    size_t mark = nn_push(n, "mask");
    nn_val at = nn_range(n, "range", nn_pick(n, nn_op1(n, OP_Shape, "shape", x), "length", 0, 2));
    nn_val ends = nn_unsqueeze(n, *lengths, "ends", 1, (int64_t[]){1});
    nn_val behind = nn_op2(n, OP_GreaterOrEqual, "behind", at, ends.t);
    uint32_t in[3] = {NO_TENSOR, NO_TENSOR, x.t};
    in[0] = nn_unsqueeze(n, behind, "every_channel", 1, (int64_t[]){1}).t;
    in[1] = nn_floats(n, "zero", (double[]){0}, 1);
    x = nn_op(n, OP_Where, "where", in, 3, x.c);
    int64_t window = (s.dilation ? s.dilation : 1) * (s.k - 1) + 1;
    nn_val l = nn_op2(n, OP_Add, "pad", *lengths, nn_scalar(n, "both_sides", "", 2 * (int64_t)s.pad));
    if (whole) {
        l = nn_op2(n, OP_Sub, "room", l, nn_scalar(n, "reach", "", window - 1));
        l = nn_op2(n, OP_Sub, "last", l, nn_scalar(n, "itself", "", 1));
        l = nn_op2(n, OP_Div, "div", l, nn_scalar(n, "stride", "", s.stride ? s.stride : 1));
    } else {
        l = nn_op1(n, OP_Cast, "float", nn_op2(n, OP_Sub, "room", l, nn_scalar(n, "window", "", window)));
        nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
        l = nn_op2(n, OP_Div, "div", l, nn_floats(n, "stride", (double[]){s.stride ? s.stride : 1}, 1));
        l = nn_op1(n, OP_Cast, "long", nn_op1(n, OP_Floor, "floor", l));
        nn_attr(n, ATTR_to, 7); /* int64 */
    }
    *lengths = nn_op2(n, OP_Add, "first", l, nn_scalar(n, "one", "", 1));
    nn_pop(n, mark);
    return x;
}

static nn_val masked_conv_bn(nn *n, nn_val x, nn_val *lengths, const char *layer, nn_conv1d s, bool whole, op_kind act)
{
    size_t mark = nn_push(n, "%s", layer);
    x = nn_conv_1d(n, masked(n, x, lengths, s, whole), "conv", s);
    x = nn_batch_norm(n, x, "bn");
    if (act != NN_NO_ACT) x = nn_op1(n, act, "act", x);
    nn_pop(n, mark);
    return x;
}

static nn_val ctc_conv(nn *n, nn_val x, nn_val *lengths, const char *layer, const ctc_block *b, bool quartz,
                       op_kind act)
{
    int dilation = b->dilation ? b->dilation : 1;
    nn_conv1d s = {.out = b->out, .k = b->k, .stride = b->stride, .dilation = dilation};
    s.pad = dilation * (b->k - 1) / 2;
    if (!quartz || b->k == 1) return masked_conv_bn(n, x, lengths, layer, s, quartz, act);
    size_t mark = nn_push(n, "%s", layer);
    s.out = s.groups = x.c;
    size_t inner = nn_push(n, "depthwise");
    x = nn_conv_1d(n, masked(n, x, lengths, s, true), "conv", s);
    nn_pop(n, inner);
    x = masked_conv_bn(n, x, lengths, "pointwise", (nn_conv1d){.out = b->out, .k = 1}, true, act);
    nn_pop(n, mark);
    return x;
}

/* Jasper's dense residuals: every block's input reaches all the blocks behind it. */
static nn_val ctc_residuals(nn *n, nn_val y, const nn_val *inputs, nn_val lengths, int from, int to, bool whole)
{
    for (int i = from; i < to; i++) {
        char layer[16];
        format_text(layer, sizeof layer, "residual.%d", i);
        nn_val l = lengths;
        nn_val r = masked_conv_bn(n, inputs[i], &l, layer, (nn_conv1d){.out = y.c, .k = 1}, whole, NN_NO_ACT);
        format_text(layer, sizeof layer, "add.%d", i);
        y = nn_add(n, y, r, layer);
    }
    return y;
}

static void build_ctc(nn *n, const void *dims)
{
    const ctc_dims *d = dims;
    nn_val inputs[24], x = nn_sequence_input(n, "features", n->weights, 1, 0, MELS);
    nn_val lengths = nn_row_input(n, "lengths", DT_INT64, 0);
    int panes = 0;
    x = nn_swap(n, x, "channels_first", MELS);
    for (int i = 0; i < d->count; i++) {
        const ctc_block *b = &d->blocks[i];
        size_t mark = nn_push(n, "encoder.%d", i);
        nn_val before = lengths;
        if (b->residual) inputs[panes++] = x;
        for (int r = 0; r < b->repeat; r++) {
            char layer[16];
            format_text(layer, sizeof layer, "conv.%d", r);
            bool inner = r + 1 < b->repeat || !b->residual;
            x = ctc_conv(n, x, &lengths, layer, b, d->separable, inner ? OP_Relu : NN_NO_ACT);
        }
        if (b->residual) {
            x = ctc_residuals(n, x, inputs, before, d->separable ? panes - 1 : 0, panes, d->separable);
            x = nn_op1(n, OP_Relu, "act", x);
        }
        nn_pop(n, mark);
    }
    x = nn_conv_1d(n, x, "decoder", (nn_conv1d){.out = LETTERS, .k = 1, .bias = true});
    x = nn_op1(n, OP_LogSoftmax, "log_softmax", nn_swap(n, x, "tokens", LETTERS));
    nn_attr(n, ATTR_axis, -1);
    nn_output(n, x, "log_probs");
}

static const ctc_block jasper[] = {
    {256, 11, 1, 2, 1, false}, {256, 11, 5, 1, 1, true}, {256, 11, 5, 1, 1, true}, {384, 13, 5, 1, 1, true},
    {384, 13, 5, 1, 1, true},  {512, 17, 5, 1, 1, true}, {512, 17, 5, 1, 1, true}, {640, 21, 5, 1, 1, true},
    {640, 21, 5, 1, 1, true},  {768, 25, 5, 1, 1, true}, {768, 25, 5, 1, 1, true}, {896, 29, 1, 1, 2, false},
    {1024, 1, 1, 1, 1, false},
};
#define THREE(...)                \
    {__VA_ARGS__}, {__VA_ARGS__}, \
    {                             \
        __VA_ARGS__               \
    }
static const ctc_block quartznet[] = {
    {256, 33, 1, 2, 1, false},     THREE(256, 33, 5, 1, 1, true), THREE(256, 39, 5, 1, 1, true),
    THREE(512, 51, 5, 1, 1, true), THREE(512, 63, 5, 1, 1, true), THREE(512, 75, 5, 1, 1, true),
    {512, 87, 1, 1, 2, false},     {1024, 1, 1, 1, 1, false},
};

/* ---- RNN-T of MLPerf: five LSTMs, two of them before time is halved; a letter a step ---- */

/* One step of an LSTM for a single frame or letter: [batch, c] and the states to [batch, hidden]. */
static nn_val lstm_step(nn *n, nn_val x, const char *layer, nn_val *h, nn_val *c, int64_t hidden)
{
    nn_val part[4];
    size_t mark = nn_push(n, "%s", layer);
    nn_val gates = nn_add(n, nn_fc(n, x, "ih", 4 * hidden), nn_fc(n, *h, "hh", 4 * hidden), "add");
    nn_split(n, gates, "split", 1, 4, part);
    nn_val in = nn_mul(n, nn_op1(n, OP_Sigmoid, "i", part[0]), nn_op1(n, OP_Tanh, "g", part[1]), "in");
    *c = nn_add(n, nn_mul(n, nn_op1(n, OP_Sigmoid, "f", part[2]), *c, "keep"), in, "cell");
    *h = nn_mul(n, nn_op1(n, OP_Sigmoid, "o", part[3]), nn_op1(n, OP_Tanh, "tanh", *c), "out");
    nn_pop(n, mark);
    return *h;
}

enum { RNNT_MELS = 240, RNNT_ENCODER = 1024, RNNT_PREDICTOR = 320, RNNT_JOINT = 512 };

static nn_val rnnt_encoder(nn *n)
{
    nn_val x = nn_sequence_input(n, "features", n->weights, 2, 0, RNNT_MELS);
    size_t mark = nn_push(n, "encoder");
    for (int i = 0; i < 5; i++) {
        char layer[16];
        format_text(layer, sizeof layer, "%s.%d", i < 2 ? "pre_rnn" : "post_rnn", i);
        if (i == 2) x = nn_reshape(n, x, "stack_time", 3, (int64_t[]){0, -1, 2 * RNNT_ENCODER}, 2 * RNNT_ENCODER);
        x = nn_recurrent(n, OP_LSTM, x, layer, RNNT_ENCODER, false, NN_ABSENT);
    }
    nn_pop(n, mark);
    return x;
}

/* Greedy: the letter before goes through the predictor, and with the frame through the joint layers; either a letter comes of it
 * or the next frame's turn. Of English there are about as many letters as frames of 60 ms. */
static void build_rnnt(nn *n, const void *dims)
{
    (void)dims;
    nn_val frames = rnnt_encoder(n);
    nn_val steps = nn_pick(n, nn_op1(n, OP_Shape, "shape", frames), "frames", 0, 1);
    steps = nn_op2(n, OP_Mul, "steps", steps, nn_scalar(n, "frames_and_letters", "", 2));
    nn_val frame = nn_pick(n, frames, "frame", 1, 0);
    nn_val state[5];
    for (int i = 0; i < 4; i++) {
        char layer[16];
        format_text(layer, sizeof layer, "state.%d", i);
        state[i] = nn_zeros(n, frame, layer, RNNT_PREDICTOR);
    }
    size_t mark = nn_push(n, "letter");
    state[4] = nn_op1(n, OP_ArgMax, "first", frame);
    nn_attr(n, ATTR_axis, 1);
    nn_attr(n, ATTR_keepdims, 0);
    nn_pop(n, mark);
    nn_scan loop;
    nn_scan_begin(n, &loop, steps, 5, state);
    for (int i = 0; i < 4; i++) state[i].c = RNNT_PREDICTOR;
    mark = nn_push(n, "step");
    nn_val y = nn_embedding(n, state[4], "prediction.embed", LETTERS - 1, RNNT_PREDICTOR, NULL);
    y = lstm_step(n, y, "prediction.0", &state[0], &state[1], RNNT_PREDICTOR);
    y = lstm_step(n, y, "prediction.1", &state[2], &state[3], RNNT_PREDICTOR);
    y = nn_concat(n, (nn_val[]){frame, y}, 2, 1, "concat");
    y = nn_op1(n, OP_Relu, "joint.act", nn_fc(n, y, "joint.0", RNNT_JOINT));
    y = nn_fc(n, y, "joint.1", LETTERS);
    state[4] = nn_op1(n, OP_ArgMax, "best", y);
    nn_attr(n, ATTR_axis, 1);
    nn_attr(n, ATTR_keepdims, 0);
    nn_pop(n, mark);
    y = nn_scan_end(n, &loop, "decode", state, y);
    nn_output(n, nn_transpose(n, y, "batch_first", 3, (int64_t[]){1, 0, 2}), "logits");
}

/* ---- wav2vec 2.0: seven convolutions over samples, then an encoder ---- */

typedef struct wav2vec_dims {
    int64_t width, heads;
    int layers;
    bool large; /* layer norms in the convolutions, with biases; normalisation in front of a layer's parts */
} wav2vec_dims;

static nn_val wave_features(nn *n, nn_val x, const wav2vec_dims *d)
{
    static const int kernels[7] = {10, 3, 3, 3, 3, 2, 2}, strides[7] = {5, 2, 2, 2, 2, 2, 2};
    enum { CHANNELS = 512 };
    x = nn_unsqueeze(n, x, "channel", 1, (int64_t[]){1});
    x.c = 1;
    for (int i = 0; i < 7; i++) {
        size_t mark = nn_push(n, "feature_extractor.%d", i);
        x = nn_conv_1d(n, x, "conv",
                       (nn_conv1d){.out = CHANNELS, .k = kernels[i], .stride = strides[i], .bias = d->large});
        if (d->large) {
            x = nn_layer_norm(n, nn_swap(n, x, "tokens", CHANNELS), "layer_norm");
            x = nn_swap(n, x, "channels", CHANNELS);
        } else if (i == 0) {
            x = nn_group_norm(n, x, "group_norm", CHANNELS);
        }
        x = nn_op1(n, OP_Gelu, "act", x);
        nn_pop(n, mark);
    }
    x = nn_layer_norm(n, nn_swap(n, x, "tokens", CHANNELS), "feature_projection.layer_norm");
    return nn_linear(n, x, "feature_projection.projection", d->width, true);
}

/* A grouped convolution of width 128 stands for positions. Its weight is normalised: a length for each tap. */
static nn_val wave_positions(nn *n, nn_val x, const wav2vec_dims *d)
{
    enum { TAPS = 128, GROUPS = 16 };
    size_t mark = nn_push(n, "pos_conv_embed");
    nn_val y = nn_swap(n, x, "channels", d->width);
    nn_val length = nn_parameter(n, "weight_g", 3, (int64_t[]){1, 1, TAPS});
    nn_val v = nn_parameter(n, "weight_v", 3, (int64_t[]){d->width, d->width / GROUPS, TAPS});
    v = nn_mul(n, v, length, "weight");
    uint32_t in[3] = {y.t, v.t, NO_TENSOR};
    in[2] = nn_weight(n, "bias", "", 1, &d->width);
    y = nn_op(n, OP_Conv, "conv", in, 3, d->width);
    nn_attr_ints(n, ATTR_kernel_shape, 1, (int64_t[]){TAPS});
    nn_attr_ints(n, ATTR_pads, 2, (int64_t[]){TAPS / 2, TAPS / 2 - 1});
    nn_attr(n, ATTR_group, GROUPS);
    y = nn_op1(n, OP_Gelu, "act", y);
    x = nn_add(n, x, nn_swap(n, y, "tokens", d->width), "add");
    nn_pop(n, mark);
    return x;
}

static nn_val wave_layer(nn *n, nn_val x, const wav2vec_dims *d)
{
    nn_val y = d->large ? nn_layer_norm(n, x, "layer_norm") : x;
    size_t mark = nn_push(n, "attention");
    nn_val q = nn_linear(n, y, "q_proj", d->width, true), k = nn_linear(n, y, "k_proj", d->width, true);
    nn_val v = nn_linear(n, y, "v_proj", d->width, true);
    y = nn_attention(n, q, k, v, (nn_attend){.heads = d->heads, .mask = NN_ABSENT});
    y = nn_linear(n, y, "out_proj", d->width, true);
    nn_pop(n, mark);
    x = nn_add(n, x, y, "attention_add");
    if (!d->large) x = nn_layer_norm(n, x, "layer_norm");
    y = d->large ? nn_layer_norm(n, x, "final_layer_norm") : x;
    x = nn_add(n, x, nn_mlp(n, y, "intermediate_dense", "output_dense", 4 * d->width, OP_Gelu), "ffn_add");
    return d->large ? x : nn_layer_norm(n, x, "final_layer_norm");
}

static void build_wav2vec(nn *n, const void *dims)
{
    const wav2vec_dims *d = dims;
    /* as many samples of 16 kHz as give `sequence` frames of 320 */
    nn_val x = wave_features(n, nn_sequence_input(n, "input_values", n->weights, 320, 80, 0), d);
    x = wave_positions(n, x, d);
    if (!d->large) x = nn_layer_norm(n, x, "encoder.layer_norm");
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "encoder.layers.%d", i);
        x = wave_layer(n, x, d);
        nn_pop(n, mark);
    }
    if (d->large) x = nn_layer_norm(n, x, "encoder.layer_norm");
    nn_output(n, x, "last_hidden_state");
}

#define WAV2VEC(nm, alias, text, params, ...)                                                        \
    {                                                                                                \
        .name = nm, .aliases = alias, .family = "speech", .description = text, .parameters = params, \
        .source = ZOO_HUGGING_FACE("facebook/" nm), .sequence = 500, .build = build_wav2vec,         \
        .dims = ZOO_DIMS(wav2vec_dims, __VA_ARGS__)                                                  \
    }

static const zoo_entry rows[] = {
    {.name = "jasper",
     .aliases = "jasper10x5dr jasper-10x5",
     .family = "speech",
     .description = "Jasper 10x5 with dense residuals",
     .parameters = 333000000,
     .source = "https://arxiv.org/abs/1904.03288, table 1",
     .sequence = 700,
     .build = build_ctc,
     .dims = ZOO_DIMS(ctc_dims, {jasper, sizeof jasper / sizeof *jasper, false})},
    {.name = "quartznet",
     .aliases = "quartznet15x5 quartznet-15x5",
     .family = "speech",
     .description = "QuartzNet 15x5",
     .parameters = 18900000,
     .source = "https://arxiv.org/abs/1910.10261, table 1",
     .sequence = 700,
     .build = build_ctc,
     .dims = ZOO_DIMS(ctc_dims, {quartznet, sizeof quartznet / sizeof *quartznet, true})},
    {.name = "rnnt",
     .aliases = "rnn-t",
     .family = "speech",
     .description = "RNN-T of MLPerf, greedy",
     .parameters = 45323037,
     .source = "https://github.com/mlcommons/inference: speech_recognition/rnnt",
     .sequence = 120,
     .build = build_rnnt},
    WAV2VEC("wav2vec2-base", "wav2vec2 facebook/wav2vec2-base facebook/wav2vec2-base-960h", "wav2vec 2.0 base",
            94370944, {768, 12, 12, false}),
    WAV2VEC("wav2vec2-large-lv60", "wav2vec2-large facebook/wav2vec2-large-lv60 facebook/wav2vec2-large-960h-lv60",
            "wav2vec 2.0 large", 315437696, {1024, 16, 24, true}),
};

const zoo_table zoo_speech = ZOO_TABLE(rows);
