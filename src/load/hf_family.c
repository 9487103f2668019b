#include "load/hf.h"

/* model_type to family. Defaults are those that transformers documents in the class of the configuration. */
#define LLAMA(type, flags)       \
    {                            \
        type, hf_llama, (flags), \
        {                        \
            0                    \
        }                        \
    }

enum {
    GPT = HF_LAYER_NORM | HF_PLAIN_FFN,
    QWEN3 = HF_KEY_BIAS | HF_QK_NORM | HF_WINDOW_USED,
    GEMMA = HF_GELU | HF_TIED | HF_KEY_BIAS,
    BERT = HF_LAYER_NORM | HF_PLAIN_FFN | HF_GELU,
};

static const hf_family families[] = {
    /* LLaMA's form */
    {"llama", hf_llama, HF_KEY_BIAS, {4096, 11008, 32, 32, 0, 0, 32000, 2048}},
    {"mistral", hf_llama, HF_WINDOW, {4096, 14336, 32, 32, 8, 0, 32000, 131072}},
    {"qwen2", hf_llama, HF_QKV_BIAS | HF_WINDOW_USED, {4096, 22016, 32, 32, 32, 0, 151936, 32768}},
    {"gemma", hf_llama, GEMMA, {3072, 24576, 28, 16, 16, 256, 256000, 8192}},
    {"gemma2", hf_llama, GEMMA | HF_POST_NORM | HF_WINDOW_ODD, {2304, 9216, 26, 8, 4, 256, 256000, 8192}},
    {"gemma3_text",
     hf_llama,
     GEMMA | HF_POST_NORM | HF_QK_NORM | HF_WINDOW_MOST,
     {2304, 9216, 26, 8, 4, 256, 262208, 131072}},
    {"gemma3n_text", hf_gemma3n, GEMMA | HF_POST_NORM | HF_QK_NORM, {2048, 0, 35, 8, 2, 256, 262400, 32768}},
    {"gemma4_text",
     hf_gemma4,
     GEMMA | HF_POST_NORM | HF_QK_NORM | HF_WINDOW_MOST,
     {0, 0, 0, 0, 0, 256, 262144, 131072}},
    LLAMA("ministral", HF_WINDOW),
    LLAMA("ministral3", HF_WINDOW),
    LLAMA("mixtral", HF_EXPERTS | HF_WINDOW),
    LLAMA("qwen2_moe", HF_QKV_BIAS | HF_EXPERTS | HF_SHARED_GATE | HF_WINDOW_USED),
    LLAMA("qwen2_vl_text", HF_QKV_BIAS | HF_WINDOW_USED),
    LLAMA("qwen2_5_vl_text", HF_QKV_BIAS | HF_WINDOW_USED),
    LLAMA("qwen3", QWEN3),
    LLAMA("qwen3_moe", QWEN3 | HF_EXPERTS),
    LLAMA("qwen3_vl_text", QWEN3),
    LLAMA("qwen3_vl_moe_text", QWEN3 | HF_EXPERTS),
    LLAMA("phi3", HF_WINDOW | HF_FUSED_QKV | HF_FUSED_GATE),
    LLAMA("phi4mm", HF_WINDOW | HF_FUSED_QKV | HF_FUSED_GATE),
    LLAMA("phi",
          GPT | HF_QKV_BIAS | HF_OUT_BIAS | HF_FFN_BIAS | HF_PARALLEL | HF_OUTPUT_BIAS | HF_HALF_ROTARY | HF_GELU),
    LLAMA("phimoe", HF_LAYER_NORM | HF_KEY_BIAS | HF_EXPERTS | HF_OUTPUT_BIAS | HF_WINDOW),
    LLAMA("gpt_oss",
          HF_KEY_BIAS | HF_BIAS_TRUE | HF_EXPERTS | HF_ROUTER_BIAS | HF_EXPERT_BIAS | HF_SINKS | HF_WINDOW_ODD),
    LLAMA("glm", HF_KEY_QKV | HF_HALF_ROTARY | HF_FUSED_GATE),
    LLAMA("glm4", HF_KEY_QKV | HF_POST_NORM | HF_HALF_ROTARY | HF_FUSED_GATE),
    LLAMA("glm4v_text", HF_QKV_BIAS | HF_POST_NORM | HF_HALF_ROTARY),
    LLAMA("glm4_moe", HF_KEY_QKV | HF_EXPERTS | HF_QK_NORM | HF_HALF_ROTARY),
    LLAMA("glm4v_moe_text", HF_KEY_QKV | HF_EXPERTS | HF_HALF_ROTARY),
    LLAMA("minimax_m2", HF_EXPERTS | HF_ROUTER_BIAS | HF_QK_NORM | HF_QK_WIDE),
    LLAMA("deepseek", HF_EXPERTS | HF_KEY_BIAS),
    LLAMA("olmo", HF_LAYER_NORM | HF_NORM_PLAIN | HF_KEY_BIAS),
    LLAMA("olmo2", HF_KEY_BIAS | HF_QK_NORM | HF_QK_WIDE | HF_POST_ALONE),
    LLAMA("olmo3", HF_KEY_BIAS | HF_QK_NORM | HF_QK_WIDE | HF_POST_ALONE | HF_WINDOW),
    LLAMA("olmoe", HF_KEY_BIAS | HF_QK_NORM | HF_QK_WIDE | HF_EXPERTS),
    LLAMA("granite", HF_KEY_BIAS),
    LLAMA("granitemoe", HF_KEY_BIAS | HF_EXPERTS | HF_TIED),
    LLAMA("starcoder2", GPT | HF_KEY_BIAS | HF_BIAS_TRUE | HF_FFN_BIAS | HF_TIED | HF_WINDOW | HF_GELU),
    {"cohere", hf_llama, HF_LAYER_NORM | HF_NORM_NO_BIAS | HF_KEY_BIAS | HF_PARALLEL | HF_TIED | HF_QK_WIDE, {0}},
    {"cohere2",
     hf_llama,
     HF_LAYER_NORM | HF_NORM_NO_BIAS | HF_KEY_BIAS | HF_PARALLEL | HF_TIED | HF_WINDOW_MOST,
     {8192, 22528, 40, 64, 64, 0, 256000, 8192}},
    LLAMA("stablelm", HF_LAYER_NORM | HF_KEY_QKV | HF_QUARTER_ROTARY),
    LLAMA("internlm", HF_QKV_BIAS | HF_OUT_BIAS),
    LLAMA("internlm2", HF_FUSED_QKV),
    LLAMA("internlm3", HF_KEY_QKV),
    LLAMA("baichuan", HF_FUSED_QKV),
    LLAMA("exaone", 0),
    LLAMA("exaone4", HF_QK_NORM | HF_POST_ALONE | HF_WINDOW_MOST),
    LLAMA("nemotron", GPT | HF_KEY_BIAS | HF_HALF_ROTARY),
    LLAMA("smollm3", HF_KEY_BIAS | HF_TIED),
    LLAMA("seed_oss", HF_KEY_QKV | HF_BIAS_TRUE),
    LLAMA("ernie4_5", HF_TIED),
    LLAMA("ernie4_5_moe", HF_EXPERTS | HF_TIED),
    LLAMA("hunyuan_v1_dense", HF_KEY_BIAS | HF_QK_NORM),
    LLAMA("dots1", HF_KEY_BIAS | HF_QK_NORM | HF_EXPERTS),
    LLAMA("bitnet", HF_KEY_BIAS | HF_TIED),
    LLAMA("yi", 0),
    LLAMA("aquila", 0),
    LLAMA("xverse", 0),
    LLAMA("orion", HF_LAYER_NORM),
    LLAMA("minicpm", HF_TIED),
    LLAMA("apertus", HF_PLAIN_FFN | HF_QK_NORM | HF_KEY_BIAS),
    {"llama4_text", hf_llama4, HF_KEY_BIAS | HF_EXPERTS, {5120, 8192, 48, 40, 8, 128, 202048, 131072}},
    /* latent attention */
    {"deepseek_v2", hf_deepseek, 0, {0}},
    {"deepseek_v3", hf_deepseek, HF_ROUTER_BIAS, {0}},
    {"deepseek_v32", hf_deepseek, HF_ROUTER_BIAS, {0}},
    {"kimi_k2", hf_deepseek, HF_ROUTER_BIAS, {0}},
    {"glm_moe_dsa", hf_deepseek, HF_ROUTER_BIAS, {0}},
    {"glm4_moe_lite", hf_deepseek, HF_ROUTER_BIAS, {0}},
    {"minicpm3", hf_deepseek, 0, {0}},
    /* GPT-2's time and its heirs */
    {"gpt2", hf_gpt2, GPT | HF_TIED, {0}},
    {"gpt_bigcode", hf_gpt2, GPT | HF_TIED, {0}},
    {"gpt_neox", hf_gpt_neox, GPT, {0}},
    {"gptj", hf_gptj, GPT | HF_OUTPUT_BIAS, {0}},
    {"codegen", hf_gptj, GPT | HF_OUTPUT_BIAS, {0}},
    {"gpt_neo", hf_gpt_neo, GPT | HF_TIED, {0}},
    {"opt", hf_opt, GPT | HF_TIED, {0}},
    {"bloom", hf_bloom, GPT | HF_TIED | HF_ALIBI, {0}},
    {"falcon", hf_falcon, GPT | HF_TIED, {0}},
    {"RefinedWeb", hf_falcon, GPT | HF_TIED, {0}},
    {"RefinedWebModel", hf_falcon, GPT | HF_TIED, {0}},
    {"mpt", hf_mpt, GPT | HF_TIED, {0}},
    {"dbrx", hf_dbrx, HF_LAYER_NORM | HF_NORM_NO_BIAS, {0}},
    {"qwen", hf_qwen, 0, {0}},
    {"chatglm", hf_chatglm, 0, {0}},
    /* state spaces and linear attention */
    {"mamba", hf_mamba, HF_TIED, {0}},
    {"falcon_mamba", hf_mamba, HF_TIED, {0}},
    {"mamba2", hf_mamba2, 0, {0}},
    {"jamba", hf_jamba, 0, {0}},
    {"nemotron_h", hf_nemotron_h, HF_PLAIN_FFN | HF_KEY_BIAS | HF_ROUTER_BIAS, {0}},
    {"qwen3_next", hf_qwen3_next, HF_KEY_BIAS | HF_QK_NORM | HF_EXPERTS | HF_SHARED_GATE | HF_QUARTER_ROTARY, {0}},
    {"qwen3_5_text", hf_qwen3_next, HF_KEY_BIAS | HF_QK_NORM | HF_QUARTER_ROTARY, {0}},
    {"qwen3_5_moe_text",
     hf_qwen3_next,
     HF_KEY_BIAS | HF_QK_NORM | HF_EXPERTS | HF_SHARED_GATE | HF_QUARTER_ROTARY,
     {0}},
    {"granitemoehybrid", hf_granite_hybrid, HF_KEY_BIAS | HF_TIED, {0}},
    {"bamba", hf_granite_hybrid, HF_KEY_BIAS | HF_HALF_ROTARY, {0}},
    {"lfm2", hf_lfm2, HF_QK_NORM | HF_TIED, {0}},
    {"lfm2_moe", hf_lfm2, HF_QK_NORM | HF_TIED | HF_EXPERTS, {0}},
    {"minimax", hf_minimax, HF_EXPERTS, {0}},
    {"minimax_text_01", hf_minimax, HF_EXPERTS, {0}},
    {"minimax_m1", hf_minimax, HF_EXPERTS, {0}},
    /* encoder and decoder */
    {"t5", hf_t5, HF_TIED, {0}},
    {"mt5", hf_t5, 0, {0}},
    {"umt5", hf_t5, 0, {0}},
    {"switch_transformers", hf_t5, HF_TIED, {0}},
    {"bart", hf_bart, BERT | HF_TIED, {0}},
    {"mbart", hf_bart, BERT | HF_TIED, {0}},
    {"pegasus", hf_bart, BERT | HF_TIED, {0}},
    {"marian", hf_bart, BERT | HF_TIED, {0}},
    {"m2m_100", hf_bart, BERT | HF_TIED, {0}},
    {"whisper", hf_whisper, BERT | HF_TIED, {0}},
    /* encoders */
    {"bert", hf_bert, BERT, {0}},
    {"roberta", hf_bert, BERT, {0}},
    {"xlm-roberta", hf_bert, BERT, {0}},
    {"camembert", hf_bert, BERT, {0}},
    {"electra", hf_bert, BERT, {0}},
    {"albert", hf_bert, BERT, {0}},
    {"mpnet", hf_bert, BERT, {0}},
    {"longformer", hf_longformer, BERT, {0}},
    {"distilbert", hf_distilbert, BERT, {0}},
    {"deberta-v2", hf_deberta, BERT, {0}},
    {"clip_text_model", hf_clip_text, BERT, {512, 2048, 12, 8, 0, 0, 49408, 77}},
    {"vit", hf_vit, 0, {0}},
    {"modernbert", hf_modernbert, HF_LAYER_NORM | HF_NORM_NO_BIAS | HF_GELU, {0}},
};

enum { FAMILIES = sizeof families / sizeof *families };

/* Parts of other models that are a known family under another name. */
static const struct {
    const char *type, *family;
} same[] = {
    {"qwen2_vl", "qwen2_vl_text"},     {"qwen2_5_vl", "qwen2_5_vl_text"},
    {"qwen3_vl", "qwen3_vl_text"},     {"qwen3_vl_moe", "qwen3_vl_moe_text"},
    {"qwen2_5_omni_text", "qwen2"},    {"qwen3_omni_moe_text", "qwen3_moe"},
    {"gemma3", "gemma3_text"},         {"gemma3n", "gemma3n_text"},
    {"gemma4", "gemma4_text"},         {"llama4", "llama4_text"},
    {"deepseek_vl_v2", "deepseek_v2"}, {"kimi_k25_text", "kimi_k2"},
    {"qwen3_5", "qwen3_5_text"},       {"qwen3_5_moe", "qwen3_5_moe_text"},
    {"phi4_multimodal", "phi4mm"},     {"internlm2_5", "internlm2"},
    {"command-r", "cohere"},           {"xlm_roberta", "xlm-roberta"},
    {"hunyuan", "hunyuan_v1_dense"},   {"minimax_m2_5", "minimax_m2"},
};

const hf_family *hf_family_at(size_t i)
{
    return i < FAMILIES ? &families[i] : NULL;
}

const hf_family *hf_family_find(const char *type)
{
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!strcmp(same[i].type, type)) type = same[i].family;
    for (size_t i = 0; i < FAMILIES; i++)
        if (!strcmp(families[i].type, type)) return &families[i];
    return NULL;
}
