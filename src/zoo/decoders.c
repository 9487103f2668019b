/* Decoders beside GPT-2 and LLaMA: GPT-3 (Brown 2020), OPT (Zhang 2022), GPT-Neo (Black 2021), BLOOM (2022), MPT
 * (MosaicML 2023), Phi-2 (Microsoft 2023). One forward pass over `sequence` tokens, without a KV cache: a prefill. */
#include "zoo/language.h"
#include "zoo/nn_seq.h"
#include "zoo/tables.h"

enum {
    FUSED_QKV = 1,     /* one product makes q, k and v */
    NO_QKV_BIAS = 2,   /* GPT-Neo: none on q, k and v alone */
    EMBED_NORM = 4,    /* BLOOM normalises the embeddings */
    ALIBI = 8,         /* a bias of the distance on the scores, instead of positions (Press 2021) */
    SIDE_BY_SIDE = 16, /* attention and feed-forward read one normalisation and are added together */
    UNTIED = 32,       /* the output layer is a matrix of its own, with a bias */
    RELU = 64,         /* else GELU in its tanh form */
    EXPLICIT = 128,    /* no fused attention: products, mask and softmax as kernels of their own */
    FUSED = 256        /* fused attention, before transformers' models had it */
};

typedef struct decoder_dims {
    int64_t vocabulary, width, heads;
    int layers;
    int64_t positions; /* rows of the learned table; 0: none */
    int64_t rotary;    /* features of a head that are rotated; 0: none */
    unsigned flags;
} decoder_dims;

typedef struct shared_inputs {
    nn_rotary rotary;
    nn_val mask, alibi;
} shared_inputs;

static nn_val attend(nn *n, const nn_val *qkv, const shared_inputs *in, const decoder_dims *d)
{
    if (d->flags & (EXPLICIT | ALIBI)) {
        double scale = 1 / sqrt((double)(d->width / d->heads));
        return nn_attention_explicit(
            n, qkv[0], qkv[1], qkv[2],
            (nn_explicit){.heads = d->heads, .scale = scale, .bias = in->mask, .bias_2 = in->alibi});
    }
    nn_attend o = {.heads = d->heads, .causal = true, .mask = NN_ABSENT, .late = !(d->flags & FUSED)};
    if (!d->rotary) return nn_attention(n, qkv[0], qkv[1], qkv[2], o);
    nn_val q = nn_split_heads(n, qkv[0], "q", d->heads), k = nn_split_heads(n, qkv[1], "k", d->heads);
    nn_val v = nn_split_heads(n, qkv[2], "v", d->heads);
    q = nn_rotate(n, q, in->rotary, "q_rotary");
    return nn_sdpa(n, q, nn_rotate(n, k, in->rotary, "k_rotary"), v, o);
}

static nn_val attention(nn *n, nn_val x, const shared_inputs *in, const decoder_dims *d)
{
    size_t mark = nn_push(n, "self_attn");
    bool bias = !(d->flags & NO_QKV_BIAS);
    nn_val qkv[3];
    if (d->flags & FUSED_QKV) {
        nn_split(n, nn_linear(n, x, "qkv", 3 * d->width, bias), "split", 2, 3, qkv);
    } else {
        static const char *const names[3] = {"q_proj", "k_proj", "v_proj"};
        for (int i = 0; i < 3; i++) qkv[i] = nn_linear(n, x, names[i], d->width, bias);
    }
    x = nn_linear(n, attend(n, qkv, in, d), "out_proj", d->width, true);
    nn_pop(n, mark);
    return x;
}

static nn_val layer(nn *n, nn_val x, const shared_inputs *in, const decoder_dims *d)
{
    op_kind act = d->flags & RELU ? OP_Relu : OP_FastGelu;
    nn_val norm = nn_layer_norm(n, x, "ln_1"), y = attention(n, norm, in, d);
    size_t mark;
    if (!(d->flags & SIDE_BY_SIDE)) {
        x = nn_add(n, x, y, "add_1");
        norm = nn_layer_norm(n, x, "ln_2");
    }
    mark = nn_push(n, "mlp");
    nn_val h = nn_mlp(n, norm, "fc1", "fc2", 4 * d->width, act);
    nn_pop(n, mark);
    if (d->flags & SIDE_BY_SIDE) h = nn_add(n, h, y, "add_1");
    return nn_add(n, x, h, "add_2");
}

/* [1, heads, 1, sequence]: what the heads' slopes make of the positions. */
static nn_val alibi_bias(nn *n, nn_val ids, int64_t heads)
{
    double slope[128];
    size_t mark = nn_push(n, "alibi");
    if (heads > 128) n->failed = true;
    for (int64_t i = 0; i < heads && i < 128; i++) slope[i] = exp2(-8.0 * (double)(i + 1) / (double)heads);
    nn_val at = nn_op1(n, OP_Cast, "cast", nn_positions(n, ids));
    nn_attr(n, ATTR_to, 1); /* ONNX's number for float32 */
    at = nn_unsqueeze(n, at, "unsqueeze", 3, (int64_t[]){0, 1, 2});
    nn_val s = {nn_floats(n, "slopes", slope, heads < 128 ? (uint32_t)heads : 128), 0};
    s = nn_reshape(n, s, "per_head", 4, (int64_t[]){1, heads, 1, 1}, 0);
    at = nn_mul(n, at, s, "mul");
    nn_pop(n, mark);
    return at;
}

static void describe(nn *n, const decoder_dims *d)
{
    bool bias = !(d->flags & NO_QKV_BIAS), parallel = (d->flags & SIDE_BY_SIDE) != 0;
    lm_layer l = {.count = (uint32_t)d->layers,
                  .mixer = LM_ATTENTION,
                  .ffn = LM_PLAIN,
                  .heads = d->heads,
                  .kv_heads = d->heads,
                  .head_dim = d->width / d->heads,
                  .rope_features = d->rotary,
                  .qkv_bias = bias,
                  .out_bias = true,
                  .ffn_dim = 4 * d->width,
                  .ffn_bias = true,
                  .parallel = parallel,
                  .norms = parallel ? 1 : 2,
                  .activation = d->flags & RELU ? OP_Relu : OP_FastGelu};
    str type = str_c(n->entry->name); /* "bloom-3b" is a bloom */
    for (size_t i = 0; i < type.len; i++)
        if (type.ptr[i] == '-') type.len = i;
    zoo_language(n,
                 &(language_model){.type = type,
                                   .hidden = d->width,
                                   .vocab = d->vocabulary,
                                   .position_table = d->positions,
                                   .tied = !(d->flags & UNTIED),
                                   .output_bias = (d->flags & UNTIED) != 0,
                                   .norm_bias = true,
                                   .embed_norm = (d->flags & EMBED_NORM) != 0,
                                   .alibi = (d->flags & ALIBI) != 0,
                                   .rope_theta = d->rotary ? 1e4 : 0},
                 &l, NULL);
}

static void build(nn *n, const void *dims)
{
    const decoder_dims *d = dims;
    uint32_t table;
    shared_inputs in = {.mask = NN_ABSENT, .alibi = NN_ABSENT};
    nn_val ids = nn_token_input(n, "input_ids");
    nn_val x = nn_embedding(n, ids, "wte", d->vocabulary, d->width, &table);
    if (d->positions)
        x = nn_add(n, x, nn_embedding(n, nn_positions(n, ids), "wpe", d->positions, d->width, NULL), "add_positions");
    if (d->flags & EMBED_NORM) x = nn_layer_norm(n, x, "embed_ln");
    if (d->rotary) in.rotary = nn_rotary_angles(n, ids, "rotary", d->rotary, 1e4);
    if (d->flags & (ALIBI | EXPLICIT)) in.mask = nn_causal_mask(n, ids);
    if (d->flags & ALIBI) in.alibi = alibi_bias(n, ids, d->heads);
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "h.%d", i);
        x = layer(n, x, &in, d);
        nn_pop(n, mark);
    }
    x = nn_layer_norm(n, x, "ln_f");
    if (d->flags & UNTIED) x = nn_linear(n, x, "lm_head", d->vocabulary, true);
    else x = nn_tied(n, x, "lm_head", table, d->vocabulary);
    nn_output(n, x, "logits");
    describe(n, d);
}

#define ROW(nm, alias, text, params, from, most, stored, length, ...)                                     \
    {                                                                                                     \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params, \
        .source = from, .sequence = length, .max_sequence = most, .weights = stored, .build = build,      \
        .dims = ZOO_DIMS(decoder_dims, __VA_ARGS__)                                                       \
    }

/* Table 2.1 of the paper; vocabulary and 2048 positions as GPT-2's code has them. The paper gives the XL 24 heads of 128
 * for a width of 2048: 16 are what fits. */
#define GPT3(nm, alias, text, params, width, heads, layers)                                         \
    ROW(nm, alias, text, params, "https://arxiv.org/abs/2005.14165, table 2.1", 2048, DT_FP16, 512, \
        {50257, width, heads, layers, 2048, 0, FUSED_QKV})
#define MEGATRON(nm, alias, text, params, width, heads, layers)                                                        \
    ROW(nm, alias, text, params, "https://github.com/NVIDIA/FasterTransformer: docs/gpt_guide.md", 2048, DT_FP16, 512, \
        {51200, width, heads, layers, 2048, 0, FUSED_QKV})
#define OPT(size, params, width, heads, layers)                                                                        \
    ROW("opt-" size, "facebook/opt-" size, "OPT " size, params, ZOO_HUGGING_FACE("facebook/opt-" size), 2048, DT_FP16, \
        512, {50272, width, heads, layers, 2050, 0, RELU})
#define NEO(size, params, width, heads, layers)                               \
    ROW("gpt-neo-" size, "EleutherAI/gpt-neo-" size, "GPT-Neo " size, params, \
        ZOO_HUGGING_FACE("EleutherAI/gpt-neo-" size), 2048, DT_FP32, 512,     \
        {50257, width, heads, layers, 2048, 0, NO_QKV_BIAS | EXPLICIT})
#define BLOOM(size, params, width, heads, layers)                                                                   \
    ROW("bloom-" size, "bigscience/bloom-" size, "BLOOM " size, params, ZOO_HUGGING_FACE("bigscience/bloom-" size), \
        2048, DT_FP16, 512, {250880, width, heads, layers, 0, 0, FUSED_QKV | EMBED_NORM | ALIBI})
/* As llm-foundry's training benchmark has them: learned positions and biases, attention by FlashAttention. */
#define MPT(size, params, width, heads, layers)                                                  \
    ROW("mpt-" size, "mosaicml/mpt-" size, "MPT " size, params,                                  \
        "https://github.com/mosaicml/llm-foundry: scripts/train/benchmarking", 0, DT_BF16, 2048, \
        {50368, width, heads, layers, 2048, 0, FUSED_QKV | FUSED})

static const zoo_entry rows[] = {
    GPT3("gpt3-small", "gpt3-125m gpt-125m", "GPT-3 small (125M)", 125226240, 768, 12, 12),
    GPT3("gpt3-medium", "gpt3-350m gpt-350m", "GPT-3 medium (350M)", 355871744, 1024, 16, 24),
    GPT3("gpt3-large", "gpt3-760m gpt-760m", "GPT-3 large (760M)", 760300032, 1536, 16, 24),
    GPT3("gpt3-xl", "gpt3-1.3b gpt-1.3b", "GPT-3 XL (1.3B)", 1315723264, 2048, 16, 24),
    GPT3("gpt3-2.7b", "gpt-2.7b", "GPT-3 2.7B", 2651553280, 2560, 32, 32),
    GPT3("gpt3-6.7b", "gpt-6.7b", "GPT-3 6.7B", 6658404352, 4096, 32, 32),
    GPT3("gpt3-13b", "gpt-13b", "GPT-3 13B", 12853386240, 5120, 40, 40),
    GPT3("gpt3-175b", "gpt3 gpt-175b", "GPT-3 175B", 174604259328, 12288, 96, 96),
    MEGATRON("gpt-89b", "gpt3-89b", "GPT 89B (FasterTransformer)", 87635091456, 12288, 96, 48),
    MEGATRON("gpt-530b", "mt-nlg-530b megatron-turing-530b", "Megatron-Turing NLG 530B", 529600819200, 20480, 128, 105),
    OPT("125m", 125239296, 768, 12, 12),
    OPT("1.3b", 1315758080, 2048, 32, 24),
    OPT("2.7b", 2651596800, 2560, 32, 32),
    OPT("6.7b", 6658473984, 4096, 32, 32),
    OPT("13b", 12853473280, 5120, 40, 40),
    OPT("30b", 29974540288, 7168, 56, 48),
    OPT("66b", 65719701504, 9216, 72, 64),
    NEO("125m", 125198592, 768, 12, 12),
    NEO("1.3B", 1315575808, 2048, 16, 24),
    NEO("2.7B", 2651307520, 2560, 20, 32),
    BLOOM("560m", 559214592, 1024, 16, 24),
    BLOOM("1b1", 1065314304, 1536, 16, 24),
    BLOOM("1b7", 1722408960, 2048, 16, 24),
    BLOOM("3b", 3002557440, 2560, 32, 30),
    BLOOM("7b1", 7069016064, 4096, 32, 30),
    MPT("125m", 125311488, 768, 12, 12),
    MPT("350m", 355985408, 1024, 16, 24),
    MPT("760m", 760470528, 1536, 12, 24),
    MPT("1b", 1315950592, 2048, 16, 24),
    MPT("3b", 2651837440, 2560, 20, 32),
    MPT("7b", 6658859008, 4096, 32, 32),
    MPT("13b", 12853954560, 5120, 40, 40),
    MPT("30b", 29975214080, 7168, 56, 48),
    MPT("70b", 64862437376, 8192, 64, 80),
    ROW("phi-2", "microsoft/phi-2", "Phi-2 (2.7B)", 2779683840, ZOO_HUGGING_FACE("microsoft/phi-2"), 2048, DT_FP16, 512,
        {51200, 2560, 32, 32, 0, 32, SIDE_BY_SIDE | UNTIED}),
};

const zoo_table zoo_decoders = ZOO_TABLE(rows);
