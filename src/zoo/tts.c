/* Speech from text: Tacotron 2 (Shen 2018), WaveGlow (Prenger 2019), FastPitch (Lancucki 2021), FastSpeech (Ren 2019),
 * HiFi-GAN (Kong 2020). `sequence` is characters for what reads text, and frames of 256 samples for the vocoders. */
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

enum { MELS = 80, SYMBOLS = 148 };

/* Frames that a text of this many characters becomes: 4.7 each, as Tacotron 2 reads English (22.05 kHz, 256 samples). */
static nn_val frames_of(nn *n, nn_val ids)
{
    size_t mark = nn_push(n, "frames");
    nn_val len = nn_pick(n, nn_op1(n, OP_Shape, "shape", ids), "length", 0, 1);
    len = nn_op2(n, OP_Mul, "mul", len, nn_scalar(n, "mul_by", "", 47));
    len = nn_op2(n, OP_Div, "div", len, nn_scalar(n, "div_by", "", 10));
    len = nn_op2(n, OP_Add, "add", len, nn_scalar(n, "at_least", "", 1));
    nn_pop(n, mark);
    return len;
}

/* ---- Tacotron 2: convolutions and an LSTM over the text, a decoder that makes one frame after the other ---- */

enum { TEXT = 512, ATTENTION = 128, PRENET = 256, CELL = 1024, FILTERS = 32 };

static nn_val taco_encoder(nn *n, nn_val ids)
{
    size_t mark = nn_push(n, "encoder");
    nn_val x = nn_embedding(n, ids, "embedding", SYMBOLS, TEXT, NULL);
    x = nn_swap(n, x, "channels", TEXT);
    for (int i = 0; i < 3; i++) {
        char layer[24];
        format_text(layer, sizeof layer, "convolutions.%d", i);
        x = nn_conv_bn_1d(n, x, layer, (nn_conv1d){.out = TEXT, .k = 5, .pad = 2, .bias = true}, OP_Relu);
    }
    x = nn_recurrent(n, OP_LSTM, nn_swap(n, x, "tokens", TEXT), "lstm", TEXT / 2, true, NN_ABSENT);
    nn_pop(n, mark);
    return x;
}

static nn_val lstm_cell(nn *n, nn_val x, const char *layer, nn_val *h, nn_val *c)
{
    nn_val part[4];
    size_t mark = nn_push(n, "%s", layer);
    nn_val gates = nn_add(n, nn_fc(n, x, "ih", 4 * CELL), nn_fc(n, *h, "hh", 4 * CELL), "add");
    nn_split(n, gates, "split", 1, 4, part);
    nn_val in = nn_mul(n, nn_op1(n, OP_Sigmoid, "i", part[0]), nn_op1(n, OP_Tanh, "g", part[1]), "in");
    *c = nn_add(n, nn_mul(n, nn_op1(n, OP_Sigmoid, "f", part[2]), *c, "keep"), in, "cell");
    *h = nn_mul(n, nn_op1(n, OP_Sigmoid, "o", part[3]), nn_op1(n, OP_Tanh, "tanh", *c), "out");
    nn_pop(n, mark);
    return *h;
}

/* Where the decoder looks: what it knows, what it looked at before, and the text. [batch, TEXT] */
static nn_val taco_attention(nn *n, nn_val h, nn_val memory, nn_val keys, nn_val *weights, nn_val *sum)
{
    size_t mark = nn_push(n, "attention");
    nn_val past[2] = {nn_unsqueeze(n, *weights, "now", 1, (int64_t[]){1}),
                      nn_unsqueeze(n, *sum, "before", 1, (int64_t[]){1})};
    past[0].c = past[1].c = 1;
    nn_val where = nn_concat(n, past, 2, 1, "cat");
    where = nn_conv_1d(n, where, "location_conv", (nn_conv1d){.out = FILTERS, .k = 31, .pad = 15});
    where = nn_linear(n, nn_swap(n, where, "tokens", FILTERS), "location_dense", ATTENTION, false);
    nn_val q = nn_linear(n, nn_unsqueeze(n, h, "query", 1, (int64_t[]){1}), "query_layer", ATTENTION, false);
    nn_val e = nn_op1(n, OP_Tanh, "tanh", nn_add(n, nn_add(n, q, where, "add_where"), keys, "add_keys"));
    e = nn_linear(n, e, "v", 1, false);
    e = nn_reshape(n, e, "squeeze", 2, (int64_t[]){0, -1}, 1);
    *weights = nn_softmax(n, e, "softmax", 1);
    nn_val row = nn_unsqueeze(n, *weights, "row", 1, (int64_t[]){1});
    nn_val context = nn_op2(n, OP_MatMul, "context", row, memory.t);
    context = nn_reshape(n, context, "flat", 2, (int64_t[]){-1, TEXT}, TEXT);
    *sum = nn_add(n, *sum, *weights, "sum");
    nn_pop(n, mark);
    return context;
}

static nn_val postnet(nn *n, nn_val mel)
{
    nn_val x = mel;
    for (int i = 0; i < 5; i++) {
        char layer[24];
        format_text(layer, sizeof layer, "postnet.%d", i);
        nn_conv1d s = {.out = i < 4 ? TEXT : MELS, .k = 5, .pad = 2, .bias = true};
        x = nn_conv_bn_1d(n, x, layer, s, i < 4 ? OP_Tanh : NN_NO_ACT);
    }
    return nn_add(n, mel, x, "postnet.add");
}

/* [batch, MELS, frames] */
static nn_val tacotron2(nn *n, nn_val ids)
{
    nn_val memory = taco_encoder(n, ids), keys = nn_linear(n, memory, "memory_layer", ATTENTION, false);
    static const int64_t widths[6] = {MELS, CELL, CELL, CELL, CELL, TEXT};
    nn_val s[8], frames = frames_of(n, ids); /* frame, attention cell, decoder cell, context, weights and their sum */
    for (int i = 0; i < 6; i++) {
        char layer[16];
        format_text(layer, sizeof layer, "state.%d", i);
        s[i] = nn_zeros(n, ids, layer, widths[i]);
    }
    nn_val nothing = nn_reduce(n, memory, OP_ReduceSum, "no_weights", 2, false);
    s[6] = s[7] = nothing;
    nn_scan loop;
    nn_scan_begin(n, &loop, frames, 8, s);
    size_t mark = nn_push(n, "decoder");
    nn_val x = s[0];
    for (int i = 0; i < 2; i++) {
        char layer[16];
        format_text(layer, sizeof layer, "prenet.%d", i);
        x = nn_op1(n, OP_Relu, i ? "prenet.relu_1" : "prenet.relu_0", nn_linear(n, x, layer, PRENET, false));
    }
    x = nn_concat(n, (nn_val[]){x, s[5]}, 2, 1, "cell_input");
    nn_val h = lstm_cell(n, x, "attention_rnn", &s[1], &s[2]);
    s[5] = taco_attention(n, h, memory, keys, &s[6], &s[7]);
    x = nn_concat(n, (nn_val[]){h, s[5]}, 2, 1, "decoder_input");
    h = lstm_cell(n, x, "decoder_rnn", &s[3], &s[4]);
    x = nn_concat(n, (nn_val[]){h, s[5]}, 2, 1, "projection_input");
    s[0] = nn_fc(n, x, "linear_projection", MELS);
    nn_val stop = nn_op1(n, OP_Sigmoid, "stop", nn_fc(n, x, "gate_layer", 1));
    nn_op2(n, OP_Less, "goes_on", stop, nn_floats(n, "threshold", (double[]){0.5}, 1));
    nn_pop(n, mark);
    nn_val mel = nn_scan_end(n, &loop, "frames_loop", s, s[0]); /* [frames, batch, MELS] */
    mel.c = MELS;
    return postnet(n, nn_transpose(n, mel, "channels_first", 3, (int64_t[]){1, 2, 0}));
}

static void build_tacotron2(nn *n, const void *dims)
{
    (void)dims;
    nn_output(n, tacotron2(n, nn_token_input(n, "characters")), "mel");
}

/* ---- WaveGlow: twelve couplings over groups of eight samples, backwards from noise ---- */

enum { GROUP = 8, FLOWS = 12, WN_LAYERS = 8 };

enum { FROM_MEL, FROM_TACOTRON, FROM_FASTSPEECH };

typedef struct waveglow_dims {
    int64_t channels;
    int from; /* the model in front of it */
} waveglow_dims;

static nn_val wave_net(nn *n, nn_val audio, nn_val mel, int64_t out, const waveglow_dims *d)
{
    int64_t c = d->channels;
    nn_val sum = NN_ABSENT;
    audio = nn_conv_1d(n, audio, "start", (nn_conv1d){.out = c, .k = 1, .bias = true});
    for (int i = 0; i < WN_LAYERS; i++) {
        size_t mark = nn_push(n, "%d", i);
        bool last = i + 1 == WN_LAYERS;
        nn_val half[2],
            x = nn_conv_1d(n, audio, "in_layer",
                           (nn_conv1d){.out = 2 * c, .k = 3, .pad = 1 << i, .dilation = 1 << i, .bias = true});
        x = nn_add(n, x, nn_conv_1d(n, mel, "cond_layer", (nn_conv1d){.out = 2 * c, .k = 1, .bias = true}), "add");
        nn_split(n, x, "split", 1, 2, half);
        x = nn_mul(n, nn_op1(n, OP_Tanh, "tanh", half[0]), nn_op1(n, OP_Sigmoid, "sigmoid", half[1]), "gate");
        x = nn_conv_1d(n, x, "res_skip_layer", (nn_conv1d){.out = last ? c : 2 * c, .k = 1, .bias = true});
        if (!last) {
            nn_split(n, x, "res_skip", 1, 2, half);
            audio = nn_add(n, half[0], audio, "residual");
            x = half[1];
        }
        sum = i ? nn_add(n, sum, x, "skip") : x;
        nn_pop(n, mark);
    }
    return nn_conv_1d(n, sum, "end", (nn_conv1d){.out = out, .k = 1, .bias = true});
}

/* Random numbers [batch, c, groups] of like's batch and length. */
static nn_val noise(nn *n, nn_val like, const char *layer, int64_t c)
{
    nn_val x = nn_slice(n, like, layer, 1, 0, c, c);
    size_t mark = nn_push(n, "%s", layer);
    x = nn_op1(n, OP_RandomNormalLike, "random", x);
    nn_pop(n, mark);
    return x;
}

static void waveglow(nn *n, nn_val mel, const waveglow_dims *d)
{
    mel = nn_conv_transpose_1d(n, mel, "upsample", (nn_conv1d){.out = MELS, .k = 1024, .stride = 256, .bias = true});
    mel = nn_slice(n, mel, "cut", 2, 0, 256 - 1024, MELS);
    mel = nn_reshape(n, mel, "group", 4, (int64_t[]){0, 0, -1, GROUP}, MELS);
    mel = nn_transpose(n, mel, "group_channels", 4, (int64_t[]){0, 1, 3, 2});
    mel = nn_reshape(n, mel, "channels", 3, (int64_t[]){0, MELS * GROUP, -1}, MELS * GROUP);
    nn_val audio = noise(n, mel, "noise", 4);
    for (int k = FLOWS - 1; k >= 0; k--) {
        size_t mark = nn_push(n, "flow.%d", k);
        nn_val half[2], shift[2];
        nn_split(n, audio, "halves", 1, 2, half);
        size_t wn = nn_push(n, "wn");
        nn_val y = wave_net(n, half[0], mel, audio.c, d);
        nn_pop(n, wn);
        nn_split(n, y, "shift_scale", 1, 2, shift);
        y = nn_op2(n, OP_Sub, "sub", half[1], shift[0].t);
        y = nn_op2(n, OP_Div, "div", y, nn_op1(n, OP_Exp, "exp", shift[1]).t);
        audio = nn_concat(n, (nn_val[]){half[0], y}, 2, 1, "concat");
        audio = nn_conv_1d(n, audio, "convinv", (nn_conv1d){.out = audio.c, .k = 1});
        if (k % 4 == 0 && k) audio = nn_concat(n, (nn_val[]){noise(n, mel, "early", 2), audio}, 2, 1, "add_early");
        nn_pop(n, mark);
    }
    nn_output(n, nn_reshape(n, nn_swap(n, audio, "samples", GROUP), "flat", 2, (int64_t[]){0, -1}, 0), "audio");
}

static nn_val frames_input(nn *n)
{
    return nn_swap(n, nn_sequence_input(n, "mel", n->weights, 1, 0, MELS), "channels_first", MELS);
}

/* ---- FastPitch and FastSpeech: transformer blocks with convolutions, over the text and over the frames ---- */

typedef struct fast_dims {
    int64_t heads;
    bool pitch; /* FastPitch, else FastSpeech */
} fast_dims;

enum { FAST = 384, FAST_FILTER = 1536, FAST_HEAD = 64, FAST_LAYERS = 6, PREDICTOR = 256 };

static nn_val fast_block(nn *n, nn_val x, const fast_dims *d)
{
    int64_t inner = d->heads * FAST_HEAD;
    nn_val qkv[3];
    nn_split(n, nn_linear(n, x, "qkv_net", 3 * inner, true), "split", 2, 3, qkv);
    nn_explicit o = {.heads = d->heads, .scale = 0.125, .bias = NN_ABSENT, .bias_2 = NN_ABSENT};
    nn_val y = nn_attention_explicit(n, qkv[0], qkv[1], qkv[2], o);
    y = nn_linear(n, y, "o_net", FAST, !d->pitch);
    x = nn_layer_norm(n, nn_add(n, x, y, "add_1"), "layer_norm_1");
    y = nn_conv_1d(n, nn_swap(n, x, "channels", FAST), "conv_1",
                   (nn_conv1d){.out = FAST_FILTER, .k = 3, .pad = 1, .bias = true});
    y = nn_op1(n, OP_Relu, "act", y);
    y = nn_conv_1d(n, y, "conv_2", (nn_conv1d){.out = FAST, .k = 3, .pad = 1, .bias = true});
    return nn_layer_norm(n, nn_add(n, x, nn_swap(n, y, "tokens", FAST), "add_2"), "layer_norm_2");
}

static nn_val fast_stack(nn *n, nn_val x, const char *name, const fast_dims *d)
{
    size_t mark = nn_push(n, "%s", name);
    for (int i = 0; i < FAST_LAYERS; i++) {
        size_t layer = nn_push(n, "layers.%d", i);
        x = fast_block(n, x, d);
        nn_pop(n, layer);
    }
    nn_pop(n, mark);
    return x;
}

static nn_val predictor(nn *n, nn_val x, const char *name)
{
    size_t mark = nn_push(n, "%s", name);
    for (int i = 0; i < 2; i++) {
        size_t layer = nn_push(n, "layers.%d", i);
        x = nn_conv_1d(n, nn_swap(n, x, "channels", x.c), "conv",
                       (nn_conv1d){.out = PREDICTOR, .k = 3, .pad = 1, .bias = true});
        x = nn_op1(n, OP_Relu, "act", x);
        x = nn_layer_norm(n, nn_swap(n, x, "tokens", PREDICTOR), "norm");
        nn_pop(n, layer);
    }
    x = nn_linear(n, x, "fc", 1, true);
    nn_pop(n, mark);
    return x;
}

/* Pitch and energy go back into the features through a convolution. */
static nn_val conditioned(nn *n, nn_val x, const char *what)
{
    size_t mark = nn_push(n, "%s", what);
    nn_val p = nn_swap(n, predictor(n, x, "predictor"), "channels", 1);
    p = nn_conv_1d(n, p, "emb", (nn_conv1d){.out = FAST, .k = 3, .pad = 1, .bias = true});
    x = nn_add(n, x, nn_swap(n, p, "tokens", FAST), "add");
    nn_pop(n, mark);
    return x;
}

/* [1, length, FAST] of sines, made anew for every text. */
static nn_val fast_positions(nn *n, nn_val length, const char *name)
{
    size_t mark = nn_push(n, "%s", name);
    nn_val at = nn_sines(n, length, FAST);
    nn_pop(n, mark);
    return at;
}

/* Each letter's features as often as it has frames: a product with a matrix of ones [batch, frames, letters]. */
static nn_val regulate(nn *n, nn_val x, nn_val durations, nn_val frames)
{
    size_t mark = nn_push(n, "regulate_len");
    nn_val ends = nn_op2(n, OP_CumSum, "cumsum", nn_op1(n, OP_Exp, "exp", durations), nn_scalar(n, "axis", "", 1));
    ends = nn_transpose(n, ends, "letters_last", 3, (int64_t[]){0, 2, 1});
    nn_val at = nn_op1(n, OP_Cast, "cast", nn_range(n, "range", frames));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    at = nn_unsqueeze(n, at, "unsqueeze", 2, (int64_t[]){0, 2});
    nn_val ones = nn_op1(n, OP_Cast, "ones", nn_op2(n, OP_Less, "less", at, ends.t));
    nn_attr(n, ATTR_to, 1);
    nn_val y = nn_op2(n, OP_MatMul, "repeat", ones, x.t);
    nn_pop(n, mark);
    y.c = x.c;
    return y;
}

/* [batch, frames, MELS] */
static nn_val fast(nn *n, nn_val ids, const fast_dims *d)
{
    nn_val frames = frames_of(n, ids);
    nn_val letters = nn_pick(n, nn_op1(n, OP_Shape, "shape", ids), "letters", 0, 1);
    nn_val x = nn_embedding(n, ids, "word_emb", d->pitch ? SYMBOLS : SYMBOLS + 1, FAST, NULL);
    x = fast_stack(n, nn_add(n, x, fast_positions(n, letters, "letter_positions"), "add_positions"), "encoder", d);
    nn_val durations = predictor(n, x, "duration_predictor");
    if (d->pitch) x = conditioned(n, conditioned(n, x, "pitch"), "energy");
    x = regulate(n, x, durations, frames);
    x = fast_stack(n, nn_add(n, x, fast_positions(n, frames, "frame_positions"), "add_frames"), "decoder", d);
    return nn_linear(n, x, "proj", MELS, true);
}

static void build_fast(nn *n, const void *dims)
{
    nn_output(n, fast(n, nn_token_input(n, "characters"), dims), "mel");
}

/* ---- HiFi-GAN, version 1: the generator ---- */

static nn_val hifi_block(nn *n, nn_val x, int k)
{
    static const int dilations[3] = {1, 3, 5};
    for (int i = 0; i < 3; i++) {
        size_t mark = nn_push(n, "%d", i);
        nn_conv1d first = {
            .out = x.c, .k = k, .pad = dilations[i] * (k - 1) / 2, .dilation = dilations[i], .bias = true};
        nn_conv1d second = {.out = x.c, .k = k, .pad = (k - 1) / 2, .bias = true};
        nn_val y = nn_conv_1d(n, nn_op1(n, OP_LeakyRelu, "act1", x), "convs1", first);
        y = nn_conv_1d(n, nn_op1(n, OP_LeakyRelu, "act2", y), "convs2", second);
        x = nn_add(n, y, x, "add");
        nn_pop(n, mark);
    }
    return x;
}

static void build_hifigan(nn *n, const void *dims)
{
    static const int rates[4] = {8, 8, 2, 2}, kernels[3] = {3, 7, 11};
    (void)dims;
    int64_t c = 512;
    nn_val x = nn_conv_1d(n, frames_input(n), "conv_pre", (nn_conv1d){.out = c, .k = 7, .pad = 3, .bias = true});
    for (int i = 0; i < 4; i++) {
        size_t mark = nn_push(n, "ups.%d", i);
        c /= 2;
        x = nn_op1(n, OP_LeakyRelu, "act", x);
        x = nn_conv_transpose_1d(
            n, x, "conv",
            (nn_conv1d){.out = c, .k = 2 * rates[i], .stride = rates[i], .pad = rates[i] / 2, .bias = true});
        nn_val sum = NN_ABSENT;
        for (int k = 0; k < 3; k++) {
            size_t block = nn_push(n, "resblocks.%d", k);
            nn_val y = hifi_block(n, x, kernels[k]);
            sum = k ? nn_add(n, sum, y, "sum") : y;
            nn_pop(n, block);
        }
        x = nn_scale(n, sum, "mean", 1.0 / 3);
        nn_pop(n, mark);
    }
    x = nn_conv_1d(n, nn_op1(n, OP_LeakyRelu, "act", x), "conv_post",
                   (nn_conv1d){.out = 1, .k = 7, .pad = 3, .bias = true});
    nn_output(n, nn_op1(n, OP_Tanh, "tanh", x), "audio");
}

/* ---- pipelines ---- */

static void build_waveglow(nn *n, const void *dims)
{
    const waveglow_dims *d = dims;
    nn_val mel;
    if (d->from == FROM_MEL) {
        mel = frames_input(n);
    } else {
        nn_val ids = nn_token_input(n, "characters");
        size_t mark = nn_push(n, d->from == FROM_TACOTRON ? "tacotron2" : "fastspeech");
        if (d->from == FROM_TACOTRON) mel = tacotron2(n, ids);
        else mel = nn_swap(n, fast(n, ids, &(fast_dims){2, false}), "channels_first", MELS);
        nn_pop(n, mark);
    }
    waveglow(n, mel, d);
}

#define NVIDIA(path) "https://github.com/NVIDIA/DeepLearningExamples: " path

static const zoo_entry rows[] = {
    {.name = "tacotron2",
     .aliases = "tacotron-2",
     .family = "speech",
     .description = "Tacotron 2, 4.7 frames a character",
     .parameters = 28193153,
     .source = NVIDIA("PyTorch/SpeechSynthesis/Tacotron2"),
     .sequence = 128,
     .build = build_tacotron2},
    {.name = "waveglow",
     .aliases = "waveglow-512",
     .family = "speech",
     .description = "WaveGlow, 512 channels",
     .parameters = 268000000,
     .source = NVIDIA("PyTorch/SpeechSynthesis/Tacotron2"),
     .sequence = 600,
     .build = build_waveglow,
     .dims = ZOO_DIMS(waveglow_dims, {512, FROM_MEL})},
    {.name = "waveglow-256",
     .aliases = "waveglow256",
     .family = "speech",
     .description = "WaveGlow, 256 channels",
     .parameters = 87731816,
     .source = NVIDIA("PyTorch/SpeechSynthesis/Tacotron2"),
     .sequence = 600,
     .build = build_waveglow,
     .dims = ZOO_DIMS(waveglow_dims, {256, FROM_MEL})},
    {.name = "tacotron2/waveglow",
     .aliases = "tacotron2-waveglow",
     .family = "speech",
     .description = "Tacotron 2, then WaveGlow",
     .parameters = 296193001,
     .source = NVIDIA("PyTorch/SpeechSynthesis/Tacotron2"),
     .sequence = 128,
     .build = build_waveglow,
     .dims = ZOO_DIMS(waveglow_dims, {512, FROM_TACOTRON})},
    {.name = "fastpitch",
     .aliases = "fast-pitch",
     .family = "speech",
     .description = "FastPitch, 4.7 frames a character",
     .parameters = 45261395,
     .source = NVIDIA("PyTorch/SpeechSynthesis/FastPitch"),
     .sequence = 128,
     .build = build_fast,
     .dims = ZOO_DIMS(fast_dims, {1, true})},
    {.name = "fastspeech",
     .aliases = "fastspeech/waveglow fastspeech-waveglow",
     .family = "speech",
     .description = "FastSpeech, then WaveGlow with 256 channels",
     .parameters = 133190457,
     .source = NVIDIA("CUDA-Optimized/FastSpeech"),
     .sequence = 128,
     .build = build_waveglow,
     .dims = ZOO_DIMS(waveglow_dims, {256, FROM_FASTSPEECH})},
    {.name = "fastspeech-mel",
     .aliases = "fast-speech-mel",
     .family = "speech",
     .description = "FastSpeech, 4.7 frames a character",
     .parameters = 45458641,
     .source = NVIDIA("CUDA-Optimized/FastSpeech"),
     .sequence = 128,
     .build = build_fast,
     .dims = ZOO_DIMS(fast_dims, {2, false})},
    {.name = "hifi-gan",
     .aliases = "hifigan hifi-gan-v1",
     .family = "speech",
     .description = "HiFi-GAN, generator V1",
     .parameters = 13926017,
     .source = "https://arxiv.org/abs/2010.05646, table 1",
     .sequence = 600,
     .build = build_hifigan},
};

const zoo_table zoo_tts = ZOO_TABLE(rows);
