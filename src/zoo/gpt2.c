/* GPT-2 (Radford 2019): a pre-norm decoder with learned positions; the output layer is the embedding table again.
 * GPT-J (Wang 2021): rotary positions on 64 of 256 features, attention and feed-forward side by side. */
#include "zoo/language.h"
#include "zoo/tables.h"

typedef struct gpt2_dims {
    int64_t width, heads;
    int layers;
} gpt2_dims;

enum { VOCABULARY = 50257, POSITIONS = 1024, GPTJ_VOCABULARY = 50400, ROTARY_FEATURES = 64 };

static nn_val layer(nn *n, nn_val x, const gpt2_dims *d)
{
    nn_val qkv[3], y = nn_layer_norm(n, x, "ln_1");
    size_t mark = nn_push(n, "attn");
    nn_split(n, nn_linear(n, y, "c_attn", 3 * d->width, true), "split", 2, 3, qkv);
    y = nn_attention(n, qkv[0], qkv[1], qkv[2],
                     (nn_attend){.heads = d->heads, .causal = true, .mask = NN_ABSENT, .late = true});
    y = nn_linear(n, y, "c_proj", d->width, true);
    nn_pop(n, mark);
    x = nn_add(n, x, y, "add_1");
    y = nn_layer_norm(n, x, "ln_2");
    mark = nn_push(n, "mlp");
    y = nn_mlp(n, y, "c_fc", "c_proj", 4 * d->width, OP_FastGelu); /* "gelu_new": the tanh form */
    nn_pop(n, mark);
    return nn_add(n, x, y, "add_2");
}

static void describe(nn *n, const gpt2_dims *d, bool gptj, int64_t vocabulary)
{
    int64_t head = d->width / d->heads;
    lm_layer l = {.count = (uint32_t)d->layers,
                  .mixer = LM_ATTENTION,
                  .ffn = LM_PLAIN,
                  .heads = d->heads,
                  .kv_heads = d->heads,
                  .head_dim = head,
                  .rope_features = gptj ? ROTARY_FEATURES : 0,
                  .qkv_bias = !gptj,
                  .out_bias = !gptj,
                  .ffn_dim = 4 * d->width,
                  .ffn_bias = true,
                  .parallel = gptj,
                  .norms = gptj ? 1 : 2,
                  .activation = OP_FastGelu};
    zoo_language(n,
                 &(language_model){.type = gptj ? STR("gptj") : STR("gpt2"),
                                   .hidden = d->width,
                                   .vocab = vocabulary,
                                   .position_table = gptj ? 0 : POSITIONS,
                                   .tied = !gptj,
                                   .output_bias = gptj,
                                   .norm_bias = true,
                                   .rope_theta = gptj ? 1e4 : 0},
                 &l, NULL);
}

static void build(nn *n, const void *dims)
{
    const gpt2_dims *d = dims;
    uint32_t table;
    nn_val ids = nn_token_input(n, "input_ids");
    nn_val x = nn_embedding(n, ids, "transformer.wte", VOCABULARY, d->width, &table);
    nn_val at = nn_embedding(n, nn_positions(n, ids), "transformer.wpe", POSITIONS, d->width, NULL);
    x = nn_add(n, x, at, "transformer.add");
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "transformer.h.%d", i);
        x = layer(n, x, d);
        nn_pop(n, mark);
    }
    x = nn_op2(n, OP_FusedMatMul, "lm_head", nn_layer_norm(n, x, "transformer.ln_f"), table);
    nn_attr(n, ATTR_transB, 1);
    nn_output(n, x, "logits");
    describe(n, d, false, VOCABULARY);
}

/* ---- GPT-J ---- */

static nn_val gptj_layer(nn *n, nn_val x, nn_rotary r, int64_t heads)
{
    nn_val y = nn_layer_norm(n, x, "ln_1");
    size_t mark = nn_push(n, "attn");
    nn_val q = nn_split_heads(n, nn_linear(n, y, "q_proj", y.c, false), "q", heads);
    nn_val k = nn_split_heads(n, nn_linear(n, y, "k_proj", y.c, false), "k", heads);
    nn_val v = nn_split_heads(n, nn_linear(n, y, "v_proj", y.c, false), "v", heads);
    q = nn_rotate(n, q, r, "q_rotary");
    k = nn_rotate(n, k, r, "k_rotary");
    nn_val a = nn_sdpa(n, q, k, v, (nn_attend){.heads = heads, .causal = true, .mask = NN_ABSENT, .late = true});
    a = nn_linear(n, a, "out_proj", x.c, false);
    nn_pop(n, mark);
    mark = nn_push(n, "mlp");
    y = nn_mlp(n, y, "fc_in", "fc_out", 4 * x.c, OP_FastGelu);
    nn_pop(n, mark);
    return nn_add(n, nn_add(n, a, y, "add_1"), x, "add_2");
}

static void build_gptj(nn *n, const void *dims)
{
    const gpt2_dims *d = dims;
    nn_val ids = nn_token_input(n, "input_ids");
    nn_val x = nn_embedding(n, ids, "transformer.wte", GPTJ_VOCABULARY, d->width, NULL);
    nn_rotary r = nn_rotary_angles(n, ids, "transformer.rotary", ROTARY_FEATURES, 1e4);
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "transformer.h.%d", i);
        x = gptj_layer(n, x, r, d->heads);
        nn_pop(n, mark);
    }
    x = nn_layer_norm(n, x, "transformer.ln_f");
    nn_output(n, nn_linear(n, x, "lm_head", GPTJ_VOCABULARY, true), "logits");
    describe(n, d, true, GPTJ_VOCABULARY);
}

#define ROW(nm, text, params, ...)                                                                   \
    {                                                                                                \
        .name = nm, .aliases = "openai-community/" nm, .family = "transformer", .description = text, \
        .parameters = params, .source = ZOO_HUGGING_FACE("openai-community/" nm), .sequence = 512,   \
        .max_sequence = POSITIONS, .build = build, .dims = ZOO_DIMS(gpt2_dims, __VA_ARGS__)          \
    }

static const zoo_entry rows[] = {
    ROW("gpt2", "GPT-2 (124M)", 124439808, {768, 12, 12}),
    ROW("gpt2-medium", "GPT-2 medium (355M)", 354823168, {1024, 16, 24}),
    ROW("gpt2-large", "GPT-2 large (774M)", 774030080, {1280, 20, 36}),
    ROW("gpt2-xl", "GPT-2 XL (1.5B)", 1557611200, {1600, 25, 48}),
    {.name = "gpt-j-6b",
     .aliases = "gptj EleutherAI/gpt-j-6b",
     .family = "transformer",
     .description = "GPT-J 6B",
     .parameters = 6050882784,
     .source = ZOO_HUGGING_FACE("EleutherAI/gpt-j-6b"),
     .sequence = 512,
     .max_sequence = 2048,
     .weights = DT_FP16,
     .build = build_gptj,
     .dims = ZOO_DIMS(gpt2_dims, {4096, 16, 28})},
};

const zoo_table zoo_gpt2 = ZOO_TABLE(rows);
