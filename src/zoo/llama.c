/* LLaMA (Touvron 2023), Llama 2 and 3, Mistral and others of their form: RMS norm, rotary positions, gated SiLU,
 * grouped keys and values. One forward pass over `sequence` tokens that gives all their logits, without a KV cache:
 * a prefill. */
#include "zoo/language.h"
#include "zoo/tables.h"

typedef struct llama_dims {
    int64_t vocabulary, width, ffn, heads, kv_heads;
    int layers;
    double theta; /* base of the rotary frequencies */
} llama_dims;

static nn_val attention(nn *n, nn_val x, nn_rotary r, const llama_dims *d)
{
    int64_t head = d->width / d->heads, kv = head * d->kv_heads;
    nn_val q = nn_split_heads(n, nn_linear(n, x, "q_proj", d->width, false), "q", d->heads);
    nn_val k = nn_split_heads(n, nn_linear(n, x, "k_proj", kv, false), "k", d->kv_heads);
    nn_val v = nn_split_heads(n, nn_linear(n, x, "v_proj", kv, false), "v", d->kv_heads);
    q = nn_rotate(n, q, r, "q_rotary");
    k = nn_rotate(n, k, r, "k_rotary");
    nn_attend o = {.heads = d->heads, .kv_heads = d->kv_heads, .causal = true, .mask = NN_ABSENT};
    return nn_linear(n, nn_sdpa(n, q, k, v, o), "o_proj", d->width, false);
}

static nn_val layer(nn *n, nn_val x, nn_rotary r, const llama_dims *d)
{
    nn_val y = nn_rms_norm(n, x, "input_layernorm");
    size_t mark = nn_push(n, "self_attn");
    y = attention(n, y, r, d);
    nn_pop(n, mark);
    x = nn_add(n, x, y, "attn_add");
    y = nn_rms_norm(n, x, "post_attention_layernorm");
    mark = nn_push(n, "mlp");
    nn_val gate = nn_op1(n, OP_Silu, "act", nn_linear(n, y, "gate_proj", d->ffn, false));
    y = nn_mul(n, gate, nn_linear(n, y, "up_proj", d->ffn, false), "mul");
    y = nn_linear(n, y, "down_proj", d->width, false);
    nn_pop(n, mark);
    return nn_add(n, x, y, "mlp_add");
}

static void describe(nn *n, const llama_dims *d)
{
    int64_t head = d->width / d->heads;
    lm_layer l = {.count = (uint32_t)d->layers,
                  .mixer = LM_ATTENTION,
                  .ffn = LM_GATED,
                  .heads = d->heads,
                  .kv_heads = d->kv_heads,
                  .head_dim = head,
                  .rope_features = head,
                  .ffn_dim = d->ffn,
                  .norms = 2,
                  .activation = OP_Silu};
    zoo_language(
        n,
        &(language_model){
            .type = STR("llama"), .hidden = d->width, .vocab = d->vocabulary, .rms_norm = true, .rope_theta = d->theta},
        &l, NULL);
}

static void build(nn *n, const void *dims)
{
    const llama_dims *d = dims;
    nn_val ids = nn_token_input(n, "input_ids");
    nn_val x = nn_embedding(n, ids, "model.embed_tokens", d->vocabulary, d->width, NULL);
    nn_rotary r = nn_rotary_angles(n, ids, "model.rotary_emb", d->width / d->heads, d->theta);
    for (int i = 0; i < d->layers; i++) {
        size_t mark = nn_push(n, "model.layers.%d", i);
        x = layer(n, x, r, d);
        nn_pop(n, mark);
    }
    x = nn_rms_norm(n, x, "model.norm");
    nn_output(n, nn_linear(n, x, "lm_head", d->vocabulary, false), "logits");
    describe(n, d);
}

#define ROW(nm, alias, text, params, repo, most, stored, ...)                                                       \
    {                                                                                                               \
        .name = nm, .aliases = alias, .family = "transformer", .description = text, .parameters = params,           \
        .source = ZOO_HUGGING_FACE(repo), .sequence = 512, .max_sequence = most, .weights = stored, .build = build, \
        .dims = ZOO_DIMS(llama_dims, __VA_ARGS__)                                                                   \
    }

static const zoo_entry rows[] = {
    ROW("llama-7b", "llama huggyllama/llama-7b llama-1-7b openlm-research/open_llama_7b", "LLaMA 7B", 6738415616,
        "huggyllama/llama-7b", 2048, DT_FP16, {32000, 4096, 11008, 32, 32, 32, 1e4}),
    ROW("llama-13b", "huggyllama/llama-13b llama-1-13b openlm-research/open_llama_13b", "LLaMA 13B", 13015864320,
        "huggyllama/llama-13b", 2048, DT_FP16, {32000, 5120, 13824, 40, 40, 40, 1e4}),
    ROW("llama-30b", "huggyllama/llama-30b llama-33b", "LLaMA 30B", 32528943616, "huggyllama/llama-30b", 2048, DT_FP16,
        {32000, 6656, 17920, 52, 52, 60, 1e4}),
    ROW("llama-65b", "huggyllama/llama-65b", "LLaMA 65B", 65285660672, "huggyllama/llama-65b", 2048, DT_FP16,
        {32000, 8192, 22016, 64, 64, 80, 1e4}),
    ROW("llama-2-7b",
        "meta-llama/Llama-2-7b-hf meta-llama/Llama-2-7b-chat-hf llama-2-7b-hf llama-2-7b-chat-hf lmsys/vicuna-7b-v1.5",
        "Llama 2 7B", 6738415616, "meta-llama/Llama-2-7b-hf", 4096, DT_FP16, {32000, 4096, 11008, 32, 32, 32, 1e4}),
    ROW("llama-2-13b",
        "meta-llama/Llama-2-13b-hf meta-llama/Llama-2-13b-chat-hf llama-2-13b-hf llama-2-13b-chat-hf lmsys/vicuna-13b-v1.5",
        "Llama 2 13B", 13015864320, "meta-llama/Llama-2-13b-hf", 4096, DT_FP16, {32000, 5120, 13824, 40, 40, 40, 1e4}),
    ROW("llama-2-70b",
        "llama-70b meta-llama/Llama-2-70b-hf meta-llama/Llama-2-70b-chat-hf llama-2-70b-hf llama-2-70b-chat-hf",
        "Llama 2 70B", 68976648192, "meta-llama/Llama-2-70b-hf", 4096, DT_FP16, {32000, 8192, 28672, 64, 8, 80, 1e4}),
    ROW("llama-3-8b", "meta-llama/Meta-Llama-3-8B meta-llama/Meta-Llama-3-8B-Instruct", "Llama 3 8B", 8030261248,
        "meta-llama/Meta-Llama-3-8B", 8192, DT_BF16, {128256, 4096, 14336, 32, 8, 32, 5e5}),
    ROW("llama-3-70b", "meta-llama/Meta-Llama-3-70B meta-llama/Meta-Llama-3-70B-Instruct", "Llama 3 70B", 70553706496,
        "meta-llama/Meta-Llama-3-70B", 8192, DT_BF16, {128256, 8192, 28672, 64, 8, 80, 5e5}),
    ROW("llama-3.1-8b",
        "meta-llama/Llama-3.1-8B meta-llama/Llama-3.1-8B-Instruct meta-llama/Meta-Llama-3.1-8B meta-llama/Meta-Llama-3.1-8B-Instruct deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
        "Llama 3.1 8B", 8030261248, "meta-llama/Llama-3.1-8B", 131072, DT_BF16, {128256, 4096, 14336, 32, 8, 32, 5e5}),
    ROW("llama-3.1-70b",
        "meta-llama/Llama-3.1-70B meta-llama/Llama-3.1-70B-Instruct meta-llama/Meta-Llama-3.1-70B meta-llama/Meta-Llama-3.1-70B-Instruct",
        "Llama 3.1 70B", 70553706496, "meta-llama/Llama-3.1-70B", 131072, DT_BF16,
        {128256, 8192, 28672, 64, 8, 80, 5e5}),
    ROW("llama-3.1-405b",
        "meta-llama/Llama-3.1-405B meta-llama/Llama-3.1-405B-Instruct meta-llama/Meta-Llama-3.1-405B meta-llama/Meta-Llama-3.1-405B-Instruct",
        "Llama 3.1 405B", 405853388800, "meta-llama/Llama-3.1-405B", 131072, DT_BF16,
        {128256, 16384, 53248, 128, 8, 126, 5e5}),
    ROW("codellama-34b", "codellama/CodeLlama-34b-hf codellama/CodeLlama-34b-Instruct-hf", "Code Llama 34B",
        33743970304, "codellama/CodeLlama-34b-hf", 16384, DT_BF16, {32000, 8192, 22016, 64, 8, 48, 1e6}),
    ROW("tinyllama-1.1b", "tinyllama TinyLlama/TinyLlama-1.1B-Chat-v1.0", "TinyLlama 1.1B", 1100048384,
        "TinyLlama/TinyLlama-1.1B-Chat-v1.0", 2048, DT_BF16, {32000, 2048, 5632, 32, 4, 22, 1e4}),
    ROW("mistral-7b",
        "mistral mistralai/Mistral-7B-v0.1 mistralai/Mistral-7B-Instruct-v0.1 HuggingFaceH4/zephyr-7b-beta",
        "Mistral 7B v0.1", 7241732096, "mistralai/Mistral-7B-v0.1", 32768, DT_BF16,
        {32000, 4096, 14336, 32, 8, 32, 1e4}),
};

const zoo_table zoo_llama = ZOO_TABLE(rows);
