/* Encoder and decoder: T5 (Raffel 2019), Switch (Fedus 2021), BART (Lewis 2019), Whisper (Radford 2022), and the
 * Transformer that all of them come from (Vaswani 2017). Both sides read whole sequences, as in
 * training and in scoring a given answer: `sequence` tokens in the decoder and, of text, as many in the encoder. */
#include "zoo/language.h"
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

/* ---- T5: root mean square norms, learned biases of distances on the scores, no other biases ---- */

typedef struct t5_dims {
    int64_t width, ffn, heads, head_dim;
    int layers;
    bool gated; /* version 1.1: gated GELU, and an output layer of its own */
    int experts; /* of every other layer's feed-forward part, of which each token takes one (Switch, Fedus 2021); 0: none */
} t5_dims;

enum { T5_VOCABULARY = 32128, T5_BUCKETS = 32, AUDIO_FRAMES = 3000 /* 30 s */ };

static nn_val t5_attention(nn *n, nn_val x, nn_val from, nn_val bias, nn_val mask, const char *name, const t5_dims *d)
{
    int64_t inner = d->heads * d->head_dim;
    size_t mark = nn_push(n, "%s", name);
    nn_val y = nn_rms_norm(n, x, "layer_norm");
    if (from.t == x.t) from = y;
    nn_val q = nn_linear(n, y, "q", inner, false), k = nn_linear(n, from, "k", inner, false);
    nn_val v = nn_linear(n, from, "v", inner, false);
    y = nn_attention_explicit(n, q, k, v, (nn_explicit){.heads = d->heads, .bias = bias, .bias_2 = mask});
    y = nn_linear(n, y, "o", d->width, false);
    x = nn_add(n, x, y, "add");
    nn_pop(n, mark);
    return x;
}

/* As Hugging Face has it: tokens go to the expert with the highest score, an expert's at a time; balanced, an equal part each. */
static nn_val switch_experts(nn *n, nn_val x, const t5_dims *d)
{
    size_t mark = nn_push(n, "mlp");
    nn_val p = nn_softmax(n, nn_linear(n, x, "router.classifier", d->experts, false), "router.softmax", -1);
    nn_val best = nn_op1(n, OP_ArgMax, "router.argmax", p);
    nn_attr(n, ATTR_axis, -1);
    nn_attr(n, ATTR_keepdims, 0);
    uint32_t in[3] = {best.t, NO_TENSOR, NO_TENSOR};
    in[1] = nn_scalar(n, "router.experts", "", d->experts);
    in[2] = nn_ints(n, "router.values", "", (int64_t[]){0, 1}, 2);
    nn_val mask = nn_op(n, OP_OneHot, "router.one_hot", in, 3, d->experts);
    nn_val place = nn_op2(n, OP_CumSum, "router.cumsum", mask, nn_scalar(n, "router.axis", "", 1));
    place = nn_op2(n, OP_LessOrEqual, "router.capacity", place, nn_scalar(n, "router.most", "", 64));
    place = nn_op1(n, OP_Cast, "router.cast", place);
    nn_attr(n, ATTR_to, 7); /* ONNX's number for int64 */
    mask = nn_mul(n, mask, place, "router.mask");
    nn_val most = nn_reduce(n, p, OP_ReduceMax, "router.max", -1, true);
    nn_val flat = nn_reshape(n, x, "flat", 2, (int64_t[]){-1, d->width}, d->width), y = flat;
    nn_val count = nn_pick(n, nn_op1(n, OP_Shape, "shape", flat), "tokens", 0, 0);
    count = nn_op2(n, OP_Add, "round_up", count, nn_scalar(n, "round", "", d->experts - 1));
    count = nn_op2(n, OP_Div, "share", count, nn_scalar(n, "share_of", "", d->experts));
    in[0] = nn_scalar(n, "start", "", 0);
    in[1] = count.t;
    in[2] = nn_scalar(n, "step", "", 1);
    for (int i = 0; i < d->experts; i++) {
        size_t expert = nn_push(n, "experts.%d", i);
        nn_op2(n, OP_CumSum, "nonzero", nn_pick(n, mask, "column", 2, i), nn_scalar(n, "nonzero.axis", "", 1));
        nn_val rows = nn_op(n, OP_Range, "tokens", in, 3, 0);
        nn_val h = nn_op2(n, OP_Gather, "gather", flat, rows.t);
        nn_attr(n, ATTR_axis, 0);
        h = nn_op1(n, OP_Relu, "act", nn_linear(n, h, "wi", d->ffn, false));
        h = nn_linear(n, h, "wo", d->width, false);
        uint32_t put[3] = {y.t, nn_unsqueeze(n, rows, "rows", 1, (int64_t[]){1}).t, h.t};
        nn_emit(n, OP_ScatterND, "scatter", put, 3, &y.t, 1);
        nn_pop(n, expert);
    }
    y = nn_op2(n, OP_Reshape, "unflat", y, nn_op1(n, OP_Shape, "unflat_shape", x).t);
    y = nn_mul(n, y, most, "weigh");
    nn_pop(n, mark);
    y.c = d->width;
    return y;
}

static nn_val t5_ffn(nn *n, nn_val x, bool sparse, const t5_dims *d)
{
    size_t mark = nn_push(n, "ffn");
    nn_val y = nn_rms_norm(n, x, "layer_norm"), h;
    if (sparse) {
        x = nn_add(n, x, switch_experts(n, y, d), "add");
        nn_pop(n, mark);
        return x;
    }
    if (d->gated) {
        h = nn_op1(n, OP_FastGelu, "act", nn_linear(n, y, "wi_0", d->ffn, false));
        h = nn_mul(n, h, nn_linear(n, y, "wi_1", d->ffn, false), "mul");
    } else {
        h = nn_op1(n, OP_Relu, "act", nn_linear(n, y, "wi", d->ffn, false));
    }
    x = nn_add(n, x, nn_linear(n, h, "wo", d->width, false), "add");
    nn_pop(n, mark);
    return x;
}

static nn_val t5_stack(nn *n, nn_val x, nn_val ids, nn_val encoded, const t5_dims *d)
{
    bool decodes = encoded.t != NO_TENSOR;
    nn_val bias = nn_distance_bias(n, ids, T5_BUCKETS, d->heads), mask = decodes ? nn_causal_mask(n, ids) : NN_ABSENT;
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "block.%d", i);
        x = t5_attention(n, x, x, bias, mask, "self_attention", d);
        if (decodes) x = t5_attention(n, x, encoded, NN_ABSENT, NN_ABSENT, "cross_attention", d);
        x = t5_ffn(n, x, d->experts && i % 2, d);
        nn_pop(n, mark);
    }
    return nn_rms_norm(n, x, "final_layer_norm");
}

static void describe_t5(nn *n, const t5_dims *d)
{
    /* Every other layer of Switch has experts, the first one not. */
    lm_layer plain = {.count = (uint32_t)(d->experts ? d->layers / 2 : d->layers),
                      .mixer = LM_ATTENTION,
                      .ffn = d->gated ? LM_GATED : LM_PLAIN,
                      .heads = d->heads,
                      .kv_heads = d->heads,
                      .head_dim = d->head_dim,
                      .ffn_dim = d->ffn,
                      .norms = 2,
                      .activation = d->gated ? OP_FastGelu : OP_Relu};
    lm_layer sparse = plain;
    sparse.ffn = LM_MOE;
    sparse.experts = d->experts;
    sparse.experts_used = 1;
    lm_layer encoder[2] = {plain, sparse}, decoder[2] = {plain, sparse};
    for (int i = 0; i < 2; i++) {
        decoder[i].cross = true;
        decoder[i].norms = 3;
    }
    uint32_t kinds = d->experts ? 2 : 1;
    zoo_language_kinds(n,
                       &(language_model){.type = d->experts ? STR("switch_transformers") : STR("t5"),
                                         .hidden = d->width,
                                         .vocab = T5_VOCABULARY,
                                         .tied = !d->gated,
                                         .rms_norm = true,
                                         .n_layers = kinds,
                                         .n_encoder = kinds,
                                         .buckets = T5_BUCKETS},
                       decoder, encoder);
}

static void build_t5(nn *n, const void *dims)
{
    const t5_dims *d = dims;
    uint32_t table;
    nn_val ids = nn_token_input(n, "input_ids"), out = nn_token_input(n, "decoder_input_ids");
    nn_val x = nn_embedding(n, ids, "shared", T5_VOCABULARY, d->width, &table);
    size_t mark = nn_push(n, "encoder");
    nn_val encoded = t5_stack(n, x, ids, NN_ABSENT, d);
    nn_pop(n, mark);
    mark = nn_push(n, "decoder");
    x = t5_stack(n, nn_lookup(n, "embed_tokens", table, out, d->width), out, encoded, d);
    nn_pop(n, mark);
    if (d->gated) x = nn_linear(n, x, "lm_head", T5_VOCABULARY, false);
    else x = nn_tied(n, nn_scale(n, x, "lm_scale", 1 / sqrt((double)d->width)), "lm_head", table, T5_VOCABULARY);
    nn_output(n, x, "logits");
    describe_t5(n, d);
}

/* ---- BART and the first Transformer: post-norm; Whisper: pre-norm behind two convolutions over the spectrogram ---- */

typedef struct pair_dims {
    int64_t vocabulary, width, heads;
    int layers;              /* of the encoder and of the decoder */
    int64_t positions, mels; /* 0 positions: sines instead of a table, and ReLU (Vaswani's) */
    int decoder_layers;      /* 0: as many */
} pair_dims;

static nn_val attention(nn *n, nn_val x, nn_val from, bool causal, const pair_dims *d)
{
    nn_val q = nn_linear(n, x, "q_proj", d->width, true);
    nn_val k = nn_linear(n, from, "k_proj", d->width, !d->mels), v = nn_linear(n, from, "v_proj", d->width, true);
    nn_val y = nn_attention(n, q, k, v, (nn_attend){.heads = d->heads, .causal = causal, .mask = NN_ABSENT});
    return nn_linear(n, y, "out_proj", d->width, true);
}

/* A part of a layer with its residual and norm: attention within x, to `from`, or (NN_ABSENT) the feed-forward part. */
static nn_val part(nn *n, nn_val x, nn_val from, bool causal, const char *name, const pair_dims *d)
{
    size_t mark = nn_push(n, "%s", name);
    bool pre = d->mels > 0, self = from.t == x.t;
    nn_val y = pre ? nn_layer_norm(n, x, "layer_norm") : x;
    if (from.t == NO_TENSOR) y = nn_mlp(n, y, "fc1", "fc2", 4 * d->width, d->positions ? OP_Gelu : OP_Relu);
    else y = attention(n, y, self ? y : from, causal, d);
    y = nn_add(n, x, y, "add");
    if (!pre) y = nn_layer_norm(n, y, "layer_norm");
    nn_pop(n, mark);
    return y;
}

static nn_val stack(nn *n, nn_val x, nn_val encoded, int layers, const pair_dims *d)
{
    bool decodes = encoded.t != NO_TENSOR;
    for (int i = 0; i < layers; i++) {
        size_t mark = nn_push(n, "layers.%d", i);
        x = part(n, x, x, decodes, "self_attn", d);
        if (decodes) x = part(n, x, encoded, false, "encoder_attn", d);
        x = part(n, x, NN_ABSENT, false, "ffn", d);
        nn_pop(n, mark);
    }
    return d->mels ? nn_layer_norm(n, x, "layer_norm") : x;
}

/* [1, sequence, width] */
static nn_val sines(nn *n, nn_val ids, int64_t width)
{
    double frequency[512];
    uint32_t half = width < 1024 ? (uint32_t)width / 2 : 512;
    for (uint32_t i = 0; i < half; i++) frequency[i] = pow(1e4, -(double)i / half);
    size_t mark = nn_push(n, "embed_positions");
    nn_val at = nn_op1(n, OP_Cast, "cast", nn_positions(n, ids));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    at = nn_unsqueeze(n, at, "unsqueeze", 2, (int64_t[]){0, 2});
    at = nn_op2(n, OP_Mul, "angles", at, nn_floats(n, "inv_freq", frequency, half));
    at = nn_concat(n, (nn_val[]){nn_op1(n, OP_Sin, "sin", at), nn_op1(n, OP_Cos, "cos", at)}, 2, 2, "concat");
    at.c = width;
    nn_pop(n, mark);
    return at;
}

static nn_val embedded(nn *n, nn_val ids, uint32_t table, const pair_dims *d)
{
    nn_val x = nn_lookup(n, "embed_tokens", table, ids, d->width);
    if (!d->positions)
        return nn_add(n, nn_scale(n, x, "scale", sqrt((double)d->width)), sines(n, ids, d->width), "add_positions");
    nn_val at = nn_embedding(n, nn_positions(n, ids), "embed_positions", d->positions, d->width, NULL);
    x = nn_add(n, x, at, "add_positions");
    return d->mels ? x : nn_layer_norm(n, x, "layernorm_embedding");
}

static nn_val spectrogram(nn *n, const pair_dims *d)
{
    num dims[3] = {nn_symbol(n->batch), num_int(d->mels), num_int(AUDIO_FRAMES)};
    nn_val x = nn_input(n, "input_features", n->weights, 3, dims, d->mels);
    x = nn_conv_1d(n, x, "conv1", (nn_conv1d){.out = d->width, .k = 3, .pad = 1, .bias = true});
    x = nn_op1(n, OP_Gelu, "act1", x);
    x = nn_conv_1d(n, x, "conv2", (nn_conv1d){.out = d->width, .k = 3, .pad = 1, .stride = 2, .bias = true});
    x = nn_swap(n, nn_op1(n, OP_Gelu, "act2", x), "tokens", d->width);
    return nn_add(n, x, nn_parameter(n, "embed_positions.weight", 2, (int64_t[]){AUDIO_FRAMES / 2, d->width}),
                  "add_positions");
}

static void describe_pair(nn *n, const pair_dims *d)
{
    bool whisper = d->mels > 0;
    lm_layer encoder = {.count = (uint32_t)d->layers,
                        .mixer = LM_ATTENTION,
                        .ffn = LM_PLAIN,
                        .heads = d->heads,
                        .kv_heads = d->heads,
                        .head_dim = d->width / d->heads,
                        .qkv_bias = true,
                        .out_bias = true,
                        .ffn_dim = 4 * d->width,
                        .ffn_bias = true,
                        .norms = 2,
                        .norm_after_add = !whisper,
                        .activation = d->positions ? OP_Gelu : OP_Relu,
                        .no_key_bias = whisper};
    lm_layer decoder = encoder;
    decoder.count = (uint32_t)(d->decoder_layers ? d->decoder_layers : d->layers);
    decoder.cross = true;
    decoder.norms = 3;
    zoo_language(n,
                 &(language_model){.type = whisper      ? STR("whisper")
                                         : d->positions ? STR("bart")
                                                        : STR("transformer"),
                                   .hidden = d->width,
                                   .vocab = d->vocabulary,
                                   .position_table = d->positions,
                                   .encoder_positions = whisper ? AUDIO_FRAMES / 2 : d->positions,
                                   .encoder_length = whisper ? AUDIO_FRAMES / 2 : 0,
                                   .mels = d->mels,
                                   .tied = true,
                                   .norm_bias = true,
                                   .embed_norm = !whisper && d->positions,
                                   .no_final_norm = !whisper},
                 &decoder, &encoder);
}

static void build_pair(nn *n, const void *dims)
{
    const pair_dims *d = dims;
    nn_val ids = d->mels ? NN_ABSENT : nn_token_input(n, "input_ids"), out = nn_token_input(n, "decoder_input_ids");
    uint32_t table = nn_weight(n, "shared.weight", "", 2, (int64_t[]){d->vocabulary, d->width});
    size_t mark = nn_push(n, "encoder");
    nn_val x = d->mels ? spectrogram(n, d) : embedded(n, ids, table, d);
    nn_val encoded = stack(n, x, NN_ABSENT, d->layers, d);
    nn_pop(n, mark);
    mark = nn_push(n, "decoder");
    x = stack(n, embedded(n, out, table, d), encoded, d->decoder_layers ? d->decoder_layers : d->layers, d);
    nn_pop(n, mark);
    nn_output(n, nn_tied(n, x, "lm_head", table, d->vocabulary), "logits");
    describe_pair(n, d);
}

#define T5(nm, repo, text, params, ...)                                                                              \
    {                                                                                                                \
        .name = nm, .aliases = repo, .family = "transformer", .description = text, .parameters = params,             \
        .source = ZOO_HUGGING_FACE(repo), .sequence = 128, .build = build_t5, .dims = ZOO_DIMS(t5_dims, __VA_ARGS__) \
    }
#define BART(nm, text, params, ...)                                                                                \
    {                                                                                                              \
        .name = nm, .aliases = "facebook/" nm, .family = "transformer", .description = text, .parameters = params, \
        .source = ZOO_HUGGING_FACE("facebook/" nm), .sequence = 128, .max_sequence = 1024, .build = build_pair,    \
        .dims = ZOO_DIMS(pair_dims, __VA_ARGS__)                                                                   \
    }
#define VASWANI(nm, alias, text, params, ...)                                                             \
    {                                                                                                     \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params, \
        .source = "https://arxiv.org/abs/1706.03762, table 3", .sequence = 32, .build = build_pair,       \
        .dims = ZOO_DIMS(pair_dims, __VA_ARGS__)                                                          \
    }
#define WHISPER(size, params, ...)                                                                                    \
    {                                                                                                                 \
        .name = "whisper-" size, .aliases = "openai/whisper-" size, .family = "speech",                               \
        .description = "Whisper " size ", 30 s of audio", .parameters = params,                                       \
        .source = ZOO_HUGGING_FACE("openai/whisper-" size), .sequence = 64, .max_sequence = 448, .build = build_pair, \
        .dims = ZOO_DIMS(pair_dims, __VA_ARGS__)                                                                      \
    }

static const zoo_entry rows[] = {
    T5("t5-small", "google-t5/t5-small", "T5 small", 60506624, {512, 2048, 8, 64, 6, false, 0}),
    T5("t5-base", "google-t5/t5-base", "T5 base", 222903552, {768, 3072, 12, 64, 12, false, 0}),
    T5("t5-large", "google-t5/t5-large", "T5 large", 737668096, {1024, 4096, 16, 64, 24, false, 0}),
    T5("t5-3b", "google-t5/t5-3b", "T5 3B", 2851598336, {1024, 16384, 32, 128, 24, false, 0}),
    T5("t5-11b", "google-t5/t5-11b", "T5 11B", 11307321344, {1024, 65536, 128, 128, 24, false, 0}),
    T5("flan-t5-small", "google/flan-t5-small", "Flan-T5 small", 76961152, {512, 1024, 6, 64, 8, true, 0}),
    T5("flan-t5-base", "google/flan-t5-base", "Flan-T5 base", 247577856, {768, 2048, 12, 64, 12, true, 0}),
    T5("flan-t5-large", "google/flan-t5-large", "Flan-T5 large", 783150080, {1024, 2816, 16, 64, 24, true, 0}),
    T5("flan-t5-xl", "google/flan-t5-xl", "Flan-T5 XL", 2849757184, {2048, 5120, 32, 64, 24, true, 0}),
    T5("flan-t5-xxl", "google/flan-t5-xxl", "Flan-T5 XXL", 11135332352, {4096, 10240, 64, 64, 24, true, 0}),
    T5("switch-base-8", "google/switch-base-8", "Switch base, 8 experts", 619339008, {768, 3072, 12, 64, 12, false, 8}),
    BART("bart-base", "BART base", 139420416, {50265, 768, 12, 6, 1026, 0, 0}),
    BART("bart-large", "BART large", 406291456, {50265, 1024, 16, 12, 1026, 0, 0}),
    /* 32768 joint words, as fairseq's wmt16.en-de has them */
    VASWANI("transformer-base", "transformer transformer-wmt-en-de", "Transformer base, translation (Vaswani 2017)",
            60915712, {32768, 512, 8, 6, 0, 0, 0}),
    VASWANI("transformer-big", "transformer-wmt-en-de-big transformer-large",
            "Transformer big, translation (Vaswani 2017)", 209911808, {32768, 1024, 16, 6, 0, 0, 0}),
    WHISPER("tiny", 37760640, {51865, 384, 6, 4, 448, 80, 0}),
    WHISPER("base", 72593920, {51865, 512, 8, 6, 448, 80, 0}),
    WHISPER("small", 241734912, {51865, 768, 12, 12, 448, 80, 0}),
    WHISPER("medium", 763857920, {51865, 1024, 16, 24, 448, 80, 0}),
    WHISPER("large-v2", 1543304960, {51865, 1280, 20, 32, 448, 80, 0}),
    WHISPER("large-v3", 1543490560, {51866, 1280, 20, 32, 448, 128, 0}),
    WHISPER("large-v3-turbo", 808878080, {51866, 1280, 20, 32, 448, 128, 4}),
};

const zoo_table zoo_seq2seq = ZOO_TABLE(rows);
